/* `.env` files. */
#include "common/dotenv.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/scratch_dir.h"

static char error[512];

static void write_bytes(const void *bytes, size_t length)
{
    scratch_dir_write(".env", bytes, length);
}

static struct dotenv *read_text(const char *text)
{
    struct dotenv *env;
    write_bytes(text, strlen(text));
    error[0] = '\0';
    if (dotenv_read(".env", &env, error, sizeof error) != 0)
        fail_msg("refused: %s", error);
    return env;
}

/* NULL: the name is not in it. */
static void assert_value(const char *text, const char *name, const char *expected)
{
    struct dotenv *env = read_text(text);
    const char *value = dotenv_get(env, name);
    if (!expected)
        assert_null(value);
    else if (!value)
        fail_msg("%s is not in: %s", name, text);
    else
        assert_string_equal(value, expected);
    dotenv_destroy(&env);
    assert_null(env);
}

static void assert_refused_bytes(const void *bytes, size_t length, const char *message)
{
    struct dotenv *env;
    write_bytes(bytes, length);
    assert_int_equal(dotenv_read(".env", &env, error, sizeof error), EINVAL);
    assert_string_equal(error, message);
    assert_null(env);
}

static void assert_refused(const char *text, const char *message)
{
    assert_refused_bytes(text, strlen(text), message);
}

static void missing_file_is_an_empty_set(void **state)
{
    (void)state;
    struct dotenv *env;
    unlink(".env");
    assert_int_equal(dotenv_read(".env", &env, error, sizeof error), ENOENT);
    assert_null(dotenv_get(env, "TALEA_BIND"));
    dotenv_destroy(&env);
    dotenv_destroy(&env);
}

static void empty_lines_and_comments_are_skipped(void **state)
{
    (void)state;
    assert_value("", "A", NULL);
    assert_value("\n\n \t\n# A=1\n   # B=2\n\r\n", "A", NULL);
    assert_value("#\nA=1", "A", "1");
}

static void bare_values_reach_to_the_end_of_the_line(void **state)
{
    (void)state;
    assert_value("A=1\nB=2\n", "A", "1");
    assert_value("A=1\nB=2", "B", "2");
    assert_value("A=log:///var/lib/talea", "A", "log:///var/lib/talea");
    assert_value("A=a b  c", "A", "a b  c");
    assert_value("A=  x y \t ", "A", "x y");
    assert_value("A=1\r\nB=2\r\n", "A", "1");
    assert_value("A=a=b=c", "A", "a=b=c");
    assert_value("A=a\"b'c\\n$HOME`id`", "A", "a\"b'c\\n$HOME`id`");
    assert_value("  A = 1", "A", "1");
    assert_value("A=\xc3\xbc", "A", "\xc3\xbc");
}

static void empty_values_are_values(void **state)
{
    (void)state;
    assert_value("A=", "A", "");
    assert_value("A=\nB=1", "A", "");
    assert_value("A=   ", "A", "");
    assert_value("A=''", "A", "");
    assert_value("A=\"\"", "A", "");
}

static void hash_begins_a_comment_only_after_a_space(void **state)
{
    (void)state;
    assert_value("A=1 # one", "A", "1");
    assert_value("A=1\t#one", "A", "1");
    assert_value("A=a#b", "A", "a#b");
    assert_value("A=#b", "A", "#b");
    assert_value("A= # b", "A", "");
    assert_value("A=a#b #c", "A", "a#b");
}

static void export_in_front_is_ignored(void **state)
{
    (void)state;
    assert_value("export A=1", "A", "1");
    assert_value(" export\tA='1'", "A", "1");
    assert_value("export=1", "export", "1");
    assert_value("export =1", "export", "1");
    assert_value("exportA=1", "exportA", "1");
    assert_value("exportA=1", "A", NULL);
}

static void single_quotes_are_literal(void **state)
{
    (void)state;
    assert_value("A='x y'", "A", "x y");
    assert_value("A=' x # y '  # comment", "A", " x # y ");
    assert_value("A='a\\n\"$b'", "A", "a\\n\"$b");
    assert_value("A= 'x' ", "A", "x");
}

static void double_quotes_know_three_escapes(void **state)
{
    (void)state;
    assert_value("A=\"x y\"", "A", "x y");
    assert_value("A=\"a\\nb\\\"c\\\\d\"", "A", "a\nb\"c\\d");
    assert_value("A=\"#'$x\" # comment", "A", "#'$x");
    assert_value("A=\"\\\\\"", "A", "\\");
    assert_value("A=\"x\"\r\nB=1", "A", "x");
}

static void names_are_matched_whole_and_in_their_case(void **state)
{
    (void)state;
    assert_value("TALEA_BIND_X=1", "TALEA_BIND", NULL);
    assert_value("talea_bind=1", "TALEA_BIND", NULL);
    assert_value("_a1=1", "_a1", "1");
}

static void nothing_enters_the_environment(void **state)
{
    (void)state;
    assert_value("TALEA_TEST_DOTENV_LEAK=1", "TALEA_TEST_DOTENV_LEAK", "1");
    assert_null(getenv("TALEA_TEST_DOTENV_LEAK"));
}

static void lines_that_do_not_fit_are_refused_without_their_text(void **state)
{
    (void)state;
    assert_refused("s3cret", ".env:1: not a line of the form NAME=value");
    assert_refused("A=1\n\ns3cret\n", ".env:3: not a line of the form NAME=value");
    assert_refused("=s3cret", ".env:1: not a line of the form NAME=value");
    assert_refused("1A=s3cret", ".env:1: not a line of the form NAME=value");
    assert_refused("A B=s3cret", ".env:1: not a line of the form NAME=value");
    assert_refused("A-B=s3cret", ".env:1: not a line of the form NAME=value");
    assert_refused("A: s3cret", ".env:1: not a line of the form NAME=value");
    assert_refused("export A", ".env:1: not a line of the form NAME=value");
    assert_refused("\xef\xbb\xbf"
                   "A=1",
                   ".env:1: not a line of the form NAME=value");
}

static void broken_quotes_are_refused(void **state)
{
    (void)state;
    assert_refused("A='s3cret", ".env:1: the quote is not closed on this line");
    assert_refused("A=\"s3cret", ".env:1: the quote is not closed on this line");
    assert_refused("A=\"s3cret\n\"", ".env:1: the quote is not closed on this line");
    assert_refused("A='x's3cret", ".env:1: text follows the closing quote");
    assert_refused("A=\"x\" s3cret", ".env:1: text follows the closing quote");
    assert_refused("A='x'#s3cret", ".env:1: text follows the closing quote");
    static const char escape[] = ".env:1: only \\n, \\\" and \\\\ may follow a backslash in double quotes";
    assert_refused("A=\"\\t\"", escape);
    assert_refused("A=\"\\", escape);
    assert_refused("A=\"s3cret\\\"", ".env:1: the quote is not closed on this line");
}

static void name_given_twice_is_refused(void **state)
{
    (void)state;
    assert_refused("A=1\n#\nA=s3cret\n", ".env:3: A is given twice, first in line 1");
    assert_refused("A=1\nexport A='1'", ".env:2: A is given twice, first in line 1");
}

static void nul_bytes_are_refused(void **state)
{
    (void)state;
    assert_refused_bytes("A=1\0B=2", 7, ".env: holds a NUL byte");
    assert_refused_bytes("\0", 1, ".env: holds a NUL byte");
}

static void file_size_is_bounded(void **state)
{
    (void)state;
    static char text[65537];
    memset(text, '\n', sizeof text);
    assert_refused_bytes(text, 65537, ".env: is larger than 65536 bytes");
    struct dotenv *env;
    memset(text, 'x', sizeof text);
    text[1] = '=';
    write_bytes(text, 65536);
    assert_int_equal(dotenv_read(".env", &env, error, sizeof error), 0);
    assert_int_equal(strlen(dotenv_get(env, "x")), 65534);
    dotenv_destroy(&env);
}

static void directory_in_its_place_is_refused(void **state)
{
    (void)state;
    struct dotenv *env;
    unlink(".env");
    assert_int_equal(mkdir(".env", 0700), 0);
    int failed = dotenv_read(".env", &env, error, sizeof error);
    rmdir(".env");
    assert_int_equal(failed, EINVAL);
    assert_string_equal(error, ".env: cannot be read: Is a directory");
}

static void many_names_are_all_kept(void **state)
{
    (void)state;
    char text[16384] = "", name[16], value[16];
    for (int i = 0; i < 1000; i++)
        snprintf(text + strlen(text), 16, "N%d=%d\n", i, i);
    struct dotenv *env = read_text(text);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "N%d", i);
        snprintf(value, sizeof value, "%d", i);
        assert_string_equal(dotenv_get(env, name), value);
    }
    dotenv_destroy(&env);
}

static void short_error_buffer_is_not_overrun(void **state)
{
    (void)state;
    struct dotenv *env;
    char *small = malloc(8);
    write_bytes("A=1\nA=2", 7);
    assert_int_equal(dotenv_read(".env", &env, small, 8), EINVAL);
    assert_string_equal(small, ".env:2:");
    free(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_file_is_an_empty_set),
        cmocka_unit_test(empty_lines_and_comments_are_skipped),
        cmocka_unit_test(bare_values_reach_to_the_end_of_the_line),
        cmocka_unit_test(empty_values_are_values),
        cmocka_unit_test(hash_begins_a_comment_only_after_a_space),
        cmocka_unit_test(export_in_front_is_ignored),
        cmocka_unit_test(single_quotes_are_literal),
        cmocka_unit_test(double_quotes_know_three_escapes),
        cmocka_unit_test(names_are_matched_whole_and_in_their_case),
        cmocka_unit_test(nothing_enters_the_environment),
        cmocka_unit_test(lines_that_do_not_fit_are_refused_without_their_text),
        cmocka_unit_test(broken_quotes_are_refused),
        cmocka_unit_test(name_given_twice_is_refused),
        cmocka_unit_test(nul_bytes_are_refused),
        cmocka_unit_test(file_size_is_bounded),
        cmocka_unit_test(directory_in_its_place_is_refused),
        cmocka_unit_test(many_names_are_all_kept),
        cmocka_unit_test(short_error_buffer_is_not_overrun),
    };
    return cmocka_run_group_tests(tests, scratch_dir_enter, scratch_dir_leave);
}
