/* The operator's lines: their form, and that nothing in them can forge another line. */
#include "common/report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <yajl/yajl_tree.h>

#include "common/settings.h"

static char written[16384];
static size_t written_count;

/* Runs `what` in a child whose stderr is a pipe; keeps what came out of it and returns the exit status. */
static int run(void (*what)(void))
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        what();
        _exit(0);
    }
    close(ends[1]);
    written_count = 0;
    for (ssize_t n; (n = read(ends[0], written + written_count, sizeof written - 1 - written_count)) > 0;)
        written_count += (size_t)n;
    written[written_count] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void assert_written_matches(const char *pattern)
{
    regex_t compiled;
    assert_int_equal(regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB), 0);
    int outcome = regexec(&compiled, written, 0, NULL, 0);
    regfree(&compiled);
    if (outcome != 0)
        fail_msg("\"%s\" does not match \"%s\"", written, pattern);
}

#define TIME "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z "

static void say_a_warning(void)
{
    report_set_process("arbiter");
    report(REPORT_WARNING, "cut %d bytes", 7);
}

static void line_has_time_level_process_and_text(void **state)
{
    (void)state;
    assert_int_equal(run(say_a_warning), 0);
    assert_written_matches(TIME "warning arbiter\\[[0-9]+\\]: cut 7 bytes\n$");
}

static void say_at_each_level(void)
{
    report_set_process("m");
    for (enum report_level shown = REPORT_ERROR; shown <= REPORT_DEBUG; shown++) {
        report_set_level(shown);
        for (enum report_level level = REPORT_ERROR; level <= REPORT_DEBUG; level++)
            report(level, "%d", (int)shown);
    }
}

static void levels_above_the_one_set_are_silent(void **state)
{
    (void)state;
    run(say_at_each_level);
    int lines[4] = {0};
    for (char *line = strtok(written, "\n"); line; line = strtok(NULL, "\n"))
        lines[line[strlen(line) - 1] - '0']++;
    for (int shown = 0; shown < 4; shown++)
        assert_int_equal(lines[shown], shown + 1);
}

static void say_at_default_level(void)
{
    report(REPORT_DEBUG, "hidden");
    report(REPORT_INFO, "shown");
}

static void info_is_the_level_until_set(void **state)
{
    (void)state;
    run(say_at_default_level);
    assert_written_matches(TIME "info talead\\[[0-9]+\\]: shown\n$");
}

static void say_control_characters(void)
{
    report(REPORT_INFO, "a\nb\r\x1b[2J\x7f\x01\tc\xc2\x9b\xc3\xbc\xff|");
}

static void control_characters_are_escaped(void **state)
{
    (void)state;
    run(say_control_characters);
    assert_non_null(strstr(written, ": a\\x0ab\\x0d\\x1b[2J\\x7f\\x01\\x09c\\xc2\\x9b\xc3\xbc\xff|\n"));
    assert_ptr_equal(strchr(written, '\n'), written + written_count - 1);
}

static char long_text[10000];

static void say_a_long_text(void)
{
    report(REPORT_INFO, "%s", long_text);
}

static void long_lines_are_cut_and_say_so(void **state)
{
    (void)state;
    memset(long_text, 'x', sizeof long_text - 1);
    run(say_a_long_text);
    assert_int_equal(written_count, 4096);
    assert_string_equal(written + 4096 - 5, "x...\n");
    memset(long_text, '\n', sizeof long_text - 1);
    run(say_a_long_text);
    assert_true(written_count <= 4096 && written_count > 4080);
    assert_string_equal(written + written_count - 8, "\\x0a...\n");
}

static void say_errno(void)
{
    errno = ENOSPC;
    report(REPORT_ERROR, "write: %m");
    close(STDERR_FILENO);
    report(REPORT_ERROR, "this cannot be written");
    report_usage_error("nor this");
    _exit(errno == ENOSPC ? 0 : 1);
}

static void errno_is_told_and_kept(void **state)
{
    (void)state;
    assert_int_equal(run(say_errno), 0);
    assert_written_matches(": write: No space left on device\n$");
}

static void name_journal_stream(const char *format)
{
    struct stat st;
    char stream[64];
    fstat(STDERR_FILENO, &st);
    snprintf(stream, sizeof stream, format, (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
}

static void say_to_the_journal(void)
{
    name_journal_stream("%llu:%llu");
    report_set_process("worker 2");
    report_set_level(REPORT_DEBUG);
    report(REPORT_ERROR, "a");
    report(REPORT_WARNING, "b");
    report(REPORT_INFO, "c");
    report(REPORT_DEBUG, "d");
}

static void journal_gets_priorities_instead_of_time(void **state)
{
    (void)state;
    run(say_to_the_journal);
    assert_written_matches(
        "^<3>worker 2\\[[0-9]+\\]: a\n<4>worker 2\\[[0-9]+\\]: b\n<6>worker 2\\[[0-9]+\\]: c\n"
        "<7>worker 2\\[[0-9]+\\]: d\n$");
}

static void say_beside_the_journal(void)
{
    name_journal_stream("%llu:1%llu");
    report(REPORT_INFO, "a");
    setenv("JOURNAL_STREAM", "nonsense", 1);
    report(REPORT_INFO, "b");
}

static void journal_that_is_not_stderr_does_not_count(void **state)
{
    (void)state;
    run(say_beside_the_journal);
    assert_written_matches(TIME "info .*: a\n");
    assert_null(strchr(written, '<'));
}

static void give_up(void)
{
    report_fatal(42, "no %s", "memory");
}

static void fatal_says_why_and_exits(void **state)
{
    (void)state;
    assert_int_equal(run(give_up), 42);
    assert_written_matches(TIME "error talead\\[[0-9]+\\]: no memory\n$");
}

static void refuse_to_start(void)
{
    report_usage_error("invalid TALEA_BIND: %s", "x\ny");
}

static void usage_error_is_plain(void **state)
{
    (void)state;
    run(refuse_to_start);
    assert_string_equal(written, "talead: invalid TALEA_BIND: x\\x0ay\n");
}

static void set_a_long_name(void)
{
    char name[500];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    report_set_process(name);
    report(REPORT_INFO, "still here");
}

static void long_process_name_is_cut(void **state)
{
    (void)state;
    run(set_a_long_name);
    assert_written_matches(" n{31}\\[[0-9]+\\]: still here\n$");
}

static void say_to_a_closed_stderr(void)
{
    close(STDERR_FILENO);
    report(REPORT_INFO, "nobody listens");
    report_fatal(3, "nobody listens");
}

static void closed_stderr_stops_nobody(void **state)
{
    (void)state;
    assert_int_equal(run(say_to_a_closed_stderr), 3);
    assert_int_equal(written_count, 0);
}

/* --- fields --- */

static void say_fields(void)
{
    const struct report_field fields[] = {
        report_text("request_id", BYTES_LITERAL("abc-1")), report_text("book", BYTES_LITERAL("my \"shop\"=\n\\")),
        report_text("absent", bytes_of(NULL, 0)),          report_text("empty", BYTES_LITERAL("")),
        report_count("bytes", UINT64_MAX),                 report_ms("duration_ms", 1234567),
        report_text("nul", bytes_of("a\0b", 3)),
    };
    report_fields(REPORT_WARNING, fields, sizeof fields / sizeof *fields, "slow %s", "request");
}

static void fields_stand_behind_the_message(void **state)
{
    (void)state;
    run(say_fields);
    assert_non_null(strstr(written, ": slow request request_id=abc-1 book=\"my \\x22shop\\x22=\\x0a\\x5c\" empty=\"\" "
                                    "bytes=18446744073709551615 duration_ms=1.234 nul=\"a\\x00b\"\n"));
}

static char long_value[REPORT_FIELDS_MAX][5000];

static void say_long_fields(void)
{
    struct report_field fields[REPORT_FIELDS_MAX];
    for (int i = 0; i < REPORT_FIELDS_MAX; i++)
        fields[i] = report_text("a_name_of_24_characters_", bytes_of(long_value[i], sizeof long_value[i]));
    report_fields(REPORT_INFO, fields, REPORT_FIELDS_MAX, "%s", long_text);
}

static void long_values_are_cut_and_no_field_is_lost(void **state)
{
    (void)state;
    static const char fills[] = {'x', '\n', '"', '\xc3'};
    memset(long_text, 'x', sizeof long_text - 1);
    for (size_t f = 0; f < sizeof fills; f++) {
        memset(long_value, fills[f], sizeof long_value);
        run(say_long_fields);
        int found = 0;
        for (char *at = written; (at = strstr(at, " a_name_of_24_characters_=")); at++)
            found++;
        assert_int_equal(found, REPORT_FIELDS_MAX);
        assert_true(written_count <= 4096);
        assert_ptr_equal(strchr(written, '\n'), written + written_count - 1);
        assert_non_null(strstr(written, "xxx... a_name"));
        assert_non_null(strstr(written, "..."));
    }
}

/* --- JSON --- */

/* The only line, parsed. */
static yajl_val parse_written(void)
{
    char why[256];
    assert_ptr_equal(strchr(written, '\n'), written + written_count - 1);
    yajl_val root = yajl_tree_parse(written, why, sizeof why);
    if (!root)
        fail_msg("\"%s\" does not parse: %s", written, why);
    return root;
}

static const char *text_member(yajl_val root, const char *name)
{
    const char *path[] = {name, NULL};
    return YAJL_GET_STRING(yajl_tree_get(root, path, yajl_t_string));
}

static const char *number_member(yajl_val root, const char *name)
{
    const char *path[] = {name, NULL};
    return YAJL_GET_NUMBER(yajl_tree_get(root, path, yajl_t_number));
}

static void say_json(void)
{
    report_set_process("worker 2");
    report_set_format(REPORT_JSON);
    say_fields();
}

static void json_line_has_members_and_fields(void **state)
{
    (void)state;
    run(say_json);
    yajl_val root = parse_written();
    assert_int_equal(root->u.object.len, 11);
    assert_int_equal(strlen(text_member(root, "time")), 24);
    assert_string_equal(text_member(root, "time") + 23, "Z");
    assert_string_equal(text_member(root, "level"), "warning");
    assert_string_equal(text_member(root, "process"), "worker 2");
    assert_true(atoi(number_member(root, "pid")) > 1);
    assert_string_equal(text_member(root, "message"), "slow request");
    assert_string_equal(text_member(root, "request_id"), "abc-1");
    assert_string_equal(text_member(root, "book"), "my \"shop\"=\n\\");
    assert_string_equal(text_member(root, "empty"), "");
    assert_string_equal(number_member(root, "bytes"), "18446744073709551615");
    assert_string_equal(number_member(root, "duration_ms"), "1.234");
    assert_non_null(strstr(written, "\"nul\":\"a\\u0000b\"}"));
    yajl_tree_free(root);
}

static void say_hostile_json(void)
{
    report_set_format(REPORT_JSON);
    report(REPORT_INFO, "a\nb\r\x1b[2J\x7f\",\"level\":\"error\\ \xc3\xbc \xff \xed\xa0\x80 \xe2\x82");
}

static void nothing_in_a_message_breaks_a_json_line(void **state)
{
    (void)state;
    run(say_hostile_json);
    yajl_val root = parse_written();
    assert_int_equal(root->u.object.len, 5);
    assert_string_equal(text_member(root, "level"), "info");
    static const char begin[] = "a\nb\r\x1b[2J\x7f\",\"level\":\"error\\ \xc3\xbc \xef\xbf\xbd ";
    assert_memory_equal(text_member(root, "message"), begin, sizeof begin - 1);
    yajl_tree_free(root);
}

static void say_long_json(void)
{
    report_set_format(REPORT_JSON);
    say_long_fields();
}

static void long_json_lines_are_cut_inside_and_still_parse(void **state)
{
    (void)state;
    static const char fills[] = {'x', '\n', '"', '\xc3', '\x7f'};
    for (size_t f = 0; f < sizeof fills; f++) {
        memset(long_text, fills[f], sizeof long_text - 1);
        memset(long_value, fills[f], sizeof long_value);
        run(say_long_json);
        assert_true(written_count <= 4096);
        yajl_val root = parse_written();
        assert_int_equal(root->u.object.len, 5 + REPORT_FIELDS_MAX);
        const char *message = text_member(root, "message");
        assert_string_equal(message + strlen(message) - 3, "...");
        yajl_tree_free(root);
    }
}

static void say_json_to_the_journal(void)
{
    name_journal_stream("%llu:%llu");
    report_set_format(REPORT_JSON);
    report(REPORT_INFO, "a");
}

static void say_text_to_the_journal(void)
{
    name_journal_stream("%llu:%llu");
    report_set_format(REPORT_TEXT);
    report(REPORT_INFO, "a");
}

static void a_format_that_was_asked_for_holds_for_the_journal_too(void **state)
{
    (void)state;
    run(say_json_to_the_journal);
    yajl_tree_free(parse_written());
    run(say_text_to_the_journal);
    assert_written_matches(TIME "info .*: a\n$");
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

/* Takes what is left below a limit of the address space. False where that cannot be (sanitizers need more of it). */
static bool use_up_memory(void)
{
#ifdef SANITIZED
    return false;
#else
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_AS, &none) != 0)
        return false;
    for (size_t size = 1 << 20; size >= 16;) {
        void *volatile taken = malloc(size);
        if (!taken)
            size /= 2;
    }
    return true;
#endif
}

static void say_without_memory(void)
{
    report_set_format(REPORT_JSON);
    if (!use_up_memory())
        _exit(77);
    report_fatal(42, "out of memory: %d bytes", 100);
}

static void json_needs_no_memory(void **state)
{
    (void)state;
    int status = run(say_without_memory);
    if (status == 77)
        skip();
    assert_int_equal(status, 42);
    yajl_val root = parse_written();
    assert_string_equal(text_member(root, "message"), "out of memory: 100 bytes");
    yajl_tree_free(root);
}

/* --- the log file --- */

static char folder[] = "/tmp/talea-test-report-XXXXXX";
static char log_path[PATH_MAX], moved_path[PATH_MAX];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(log_path, sizeof log_path, "%s/log", folder);
    snprintf(moved_path, sizeof moved_path, "%s/moved", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(log_path);
    unlink(moved_path);
    rmdir(folder);
    strcpy(folder, "/tmp/talea-test-report-XXXXXX");
    return 0;
}

static const char *contents(const char *path)
{
    static char text[2][16384];
    static int turn;
    char *out = text[turn ^= 1];
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, out, sizeof text[0] - 1);
    out[n > 0 ? n : 0] = '\0';
    if (fd >= 0)
        close(fd);
    return out;
}

static void use_file(enum report_level level, enum report_format format, char *path)
{
    char error[512];
    struct settings settings = {.log_level = level, .log_format = format, .log_file = path};
    if (report_configure(&settings, error, sizeof error) != 0)
        report_fatal(9, "%s", error);
}

static void say_to_the_file(void)
{
    umask(0);
    use_file(REPORT_DEBUG, REPORT_AUTO, log_path);
    report(REPORT_DEBUG, "to the file");
    report_usage_error("to stderr");
}

static void lines_go_to_the_file_and_usage_errors_do_not(void **state)
{
    (void)state;
    struct stat st;
    int fd = open(log_path, O_WRONLY | O_CREAT, 0640);
    assert_int_equal(write(fd, "before\n", 7), 7);
    close(fd);
    unlink(moved_path);
    assert_int_equal(run(say_to_the_file), 0);
    assert_string_equal(written, "talead: to stderr\n");
    assert_memory_equal(contents(log_path), "before\n2", 8);
    assert_non_null(strstr(contents(log_path), "]: to the file\n"));
    unlink(log_path);
    run(say_to_the_file);
    assert_int_equal(stat(log_path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
}

static void say_through_a_move(void)
{
    use_file(REPORT_INFO, REPORT_TEXT, log_path);
    report(REPORT_INFO, "first");
    rename(log_path, moved_path);
    report(REPORT_INFO, "second");
    report_reopen();
    report(REPORT_INFO, "third");
}

static void a_file_that_was_moved_is_left_on_reopening(void **state)
{
    (void)state;
    assert_int_equal(run(say_through_a_move), 0);
    assert_non_null(strstr(contents(moved_path), "first"));
    assert_non_null(strstr(contents(moved_path), "second"));
    assert_null(strstr(contents(moved_path), "third"));
    assert_non_null(strstr(contents(log_path), "third"));
    assert_null(strstr(contents(log_path), "second"));
    assert_int_equal(written_count, 0);
}

static void say_after_a_signal(void)
{
    use_file(REPORT_INFO, REPORT_TEXT, log_path);
    rename(log_path, moved_path);
    report_reopen_if_told();
    report(REPORT_INFO, "not told");
    report_reopen_soon();
    report(REPORT_INFO, "told");
    rename(log_path, moved_path);
    report_reopen_soon();
    report_reopen_if_told();
    if (access(log_path, F_OK) != 0)
        report_fatal(1, "not opened again");
    rename(log_path, moved_path);
    report_reopen_if_told();
    report(REPORT_INFO, "told once");
    _exit(access(log_path, F_OK) == 0);
}

static void reopening_that_was_asked_for_happens_once_and_before_the_next_line(void **state)
{
    (void)state;
    assert_int_equal(run(say_after_a_signal), 0);
    assert_non_null(strstr(contents(moved_path), "told once"));
}

static void say_when_it_cannot_be_reopened(void)
{
    use_file(REPORT_INFO, REPORT_TEXT, log_path);
    rename(log_path, moved_path);
    if (mkdir(log_path, 0700) != 0)
        _exit(1);
    report_reopen();
    report(REPORT_INFO, "goes on");
    rmdir(log_path);
}

static void a_file_that_cannot_be_reopened_goes_on_and_says_so(void **state)
{
    (void)state;
    assert_int_equal(run(say_when_it_cannot_be_reopened), 0);
    const char *text = contents(moved_path);
    assert_non_null(strstr(text, "error talead"));
    assert_non_null(strstr(text, "cannot open /tmp/talea-test-report-"));
    assert_non_null(strstr(text, ": Is a directory;"));
    assert_non_null(strstr(text, "goes on\n"));
}

static void reopen_without_a_file(void)
{
    report_reopen();
    report(REPORT_INFO, "here");
}

static void reopening_stderr_does_nothing(void **state)
{
    (void)state;
    assert_int_equal(run(reopen_without_a_file), 0);
    assert_written_matches(TIME "info .*: here\n$");
}

static void use_a_folder_as_file(void)
{
    use_file(REPORT_DEBUG, REPORT_JSON, folder);
}

static void a_file_that_cannot_be_opened_is_an_error_and_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(run(use_a_folder_as_file), 9);
    assert_written_matches(TIME "error .*: invalid TALEA_LOG_FILE: cannot open /tmp/[^ ]*: Is a directory\n$");
}

static void configure_again(void)
{
    use_file(REPORT_INFO, REPORT_TEXT, log_path);
    report(REPORT_DEBUG, "hidden");
    use_file(REPORT_DEBUG, REPORT_JSON, moved_path);
    report(REPORT_DEBUG, "shown");
    _exit(access(moved_path, F_OK) == 0);
}

static void a_reload_takes_level_and_format_and_leaves_the_file(void **state)
{
    (void)state;
    assert_int_equal(run(configure_again), 0);
    assert_null(strstr(contents(log_path), "hidden"));
    assert_non_null(strstr(contents(log_path), "\"message\":\"shown\"}\n"));
}

static int open_beside(void)
{
    int ends[2];
    if (pipe(ends) != 0)
        _exit(1);
    return ends[1];
}

static void close_others(void)
{
    open_beside(); /* the log file does not get the first free number */
    use_file(REPORT_INFO, REPORT_TEXT, log_path);
    int behind = open_beside();
    report_close_other_files();
    report(REPORT_INFO, "still here");
    for (int fd = STDERR_FILENO + 2; fd <= behind; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            _exit(2);
}

static void close_others_without_a_file(void)
{
    int other = open_beside();
    report_close_other_files();
    report(REPORT_INFO, "to stderr");
    _exit(fcntl(other, F_GETFD) >= 0);
}

static void a_child_closes_all_but_the_log(void **state)
{
    (void)state;
    assert_int_equal(run(close_others), 0);
    assert_non_null(strstr(contents(log_path), "still here\n"));
    assert_int_equal(run(close_others_without_a_file), 0);
    assert_written_matches(": to stderr\n$");
}

#define with_folder(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    unsetenv("JOURNAL_STREAM");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_has_time_level_process_and_text),
        cmocka_unit_test(levels_above_the_one_set_are_silent),
        cmocka_unit_test(info_is_the_level_until_set),
        cmocka_unit_test(control_characters_are_escaped),
        cmocka_unit_test(long_lines_are_cut_and_say_so),
        cmocka_unit_test(errno_is_told_and_kept),
        cmocka_unit_test(journal_gets_priorities_instead_of_time),
        cmocka_unit_test(journal_that_is_not_stderr_does_not_count),
        cmocka_unit_test(fatal_says_why_and_exits),
        cmocka_unit_test(usage_error_is_plain),
        cmocka_unit_test(long_process_name_is_cut),
        cmocka_unit_test(closed_stderr_stops_nobody),
        cmocka_unit_test(fields_stand_behind_the_message),
        cmocka_unit_test(long_values_are_cut_and_no_field_is_lost),
        cmocka_unit_test(json_line_has_members_and_fields),
        cmocka_unit_test(nothing_in_a_message_breaks_a_json_line),
        cmocka_unit_test(long_json_lines_are_cut_inside_and_still_parse),
        cmocka_unit_test(a_format_that_was_asked_for_holds_for_the_journal_too),
        cmocka_unit_test(json_needs_no_memory),
        with_folder(lines_go_to_the_file_and_usage_errors_do_not),
        with_folder(a_file_that_was_moved_is_left_on_reopening),
        with_folder(reopening_that_was_asked_for_happens_once_and_before_the_next_line),
        with_folder(a_file_that_cannot_be_reopened_goes_on_and_says_so),
        with_folder(a_file_that_cannot_be_opened_is_an_error_and_changes_nothing),
        with_folder(a_reload_takes_level_and_format_and_leaves_the_file),
        with_folder(a_child_closes_all_but_the_log),
        cmocka_unit_test(reopening_stderr_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
