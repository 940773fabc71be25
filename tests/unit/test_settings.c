/* Settings: defaults, ranges, precedence, and that faults are told without secrets. */
#include "common/settings.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/report.h"
#include "tests/unit/scratch_dir.h"

static char error[512];

/* Before and after each test: no setting anywhere. */
static int forget_settings(void **state)
{
    (void)state;
    for (size_t i = 0; i < settings_table_count; i++)
        unsetenv(settings_table[i].env);
    unsetenv("CREDENTIALS_DIRECTORY");
    unlink("talea-api-token");
    unlink(".env");
    unlink("talead.yaml");
    error[0] = '\0';
    return 0;
}

static void write_file(const char *name, const char *text)
{
    scratch_dir_write(name, text, strlen(text));
}

static const char *config(void)
{
    return access("talead.yaml", F_OK) == 0 ? "talead.yaml" : NULL;
}

/* Reads what the test has put into the environment and the directory. */
static struct settings load(void)
{
    struct settings s;
    if (settings_load(config(), ".env", &s, error, sizeof error) != 0)
        fail_msg("refused: %s", error);
    return s;
}

static struct settings load_with_db_url(void)
{
    setenv("TALEA_DB_URL", "log://d", 1);
    return load();
}

static void assert_refused(const char *message)
{
    static const struct settings none;
    struct settings s;
    memset(&s, 0xff, sizeof s);
    error[0] = '\0';
    if (settings_load(config(), ".env", &s, error, sizeof error) != EINVAL)
        fail_msg("not refused, want: %s", message);
    assert_string_equal(error, message);
    assert_memory_equal(&s, &none, sizeof s);
}

static void assert_env_refused(const char *name, const char *value, const char *why)
{
    char message[1024];
    setenv("TALEA_DB_URL", "log://d", 1);
    setenv(name, value, 1);
    snprintf(message, sizeof message, "invalid %s: %s", name, why);
    assert_refused(message);
    unsetenv(name);
}

static const struct setting *row(const char *env)
{
    for (size_t i = 0; i < settings_table_count; i++)
        if (strcmp(settings_table[i].env, env) == 0)
            return &settings_table[i];
    fail_msg("no setting %s", env);
    return NULL;
}

static uint64_t count_of(const struct settings *s, const struct setting *setting)
{
    return *(const uint64_t *)((const char *)s + setting->offset);
}

static const char *text_of(const struct settings *s, const struct setting *setting)
{
    return *(char *const *)((const char *)s + setting->offset);
}

static void table_holds_what_the_contract_lists(void **state)
{
    (void)state;
    static const struct {
        const char *env, *fallback;
        uint64_t min, max;
    } contract[] = {
        {"TALEA_DB_URL", NULL, 0, 0},
        {"TALEA_BIND", "127.0.0.1:8080", 0, 0},
        {"TALEA_API_TOKEN", NULL, 0, 0},
        {"TALEA_TOKENS_FILE", NULL, 0, 0},
        {"TALEA_MAX_INFLIGHT", "256", 1, 65536},
        {"TALEA_WRITE_QUEUE_DEPTH", "256", 1, 1000000},
        {"TALEA_WRITE_BATCH_MAX", "64", 1, 10000},
        {"TALEA_HTTP_BATCH_MAX", "500", 1, 10000},
        {"TALEA_LOG_SNAPSHOT_EVERY", "100000", 0, 1000000000000},
        {"TALEA_LOG_IDEM_HOT_CAP", "1000000", 1, 100000000},
        {"TALEA_LOG_SEGMENT_MAX", "134217728", 4096, 1099511627776},
        {"TALEA_METRICS_BIND", NULL, 0, 0},
        {"TALEA_WORKERS", "cpus", 1, 64},
        {"TALEA_LOG_LEVEL", "info", 0, 0},
        {"TALEA_LOG_FORMAT", "auto", 0, 0},
        {"TALEA_LOG_FILE", NULL, 0, 0},
        {"TALEA_ACCESS_LOG", "no", 0, 0},
        {"TALEA_SLOW_REQUEST_MS", "1000", 0, 3600000},
        {"TALEA_SLOW_COMMIT_MS", "250", 0, 3600000},
    };
    for (size_t i = 0; i < sizeof contract / sizeof *contract; i++) {
        const struct setting *setting = row(contract[i].env);
        assert_int_equal(setting->min, contract[i].min);
        assert_int_equal(setting->max, contract[i].max);
        if (contract[i].fallback)
            assert_string_equal(setting->fallback, contract[i].fallback);
        else
            assert_null(setting->fallback);
        assert_int_equal(setting->required, strcmp(setting->env, "TALEA_DB_URL") == 0);
        assert_int_equal(setting->kind == SETTING_COUNT, setting->unit != NULL);
        assert_int_equal(setting->kind == SETTING_WORD, setting->words != NULL);
    }
}

/* "TALEA_MAX_INFLIGHT" and "max_inflight": one rule, no exceptions. */
static void yaml_keys_are_the_variables_in_lower_case(void **state)
{
    (void)state;
    for (size_t i = 0; i < settings_table_count; i++) {
        const struct setting *setting = &settings_table[i];
        assert_memory_equal(setting->env, "TALEA_", 6);
        assert_int_equal(strcasecmp(setting->env + 6, setting->yaml), 0);
        assert_null(strpbrk(setting->yaml, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
        assert_true(strlen(setting->help) > 10);
        assert_int_not_equal(setting->help[strlen(setting->help) - 1], '.');
    }
}

static void defaults_hold_when_nothing_is_set(void **state)
{
    (void)state;
    struct settings s = load_with_db_url();
    assert_string_equal(s.db_url, "log://d");
    assert_string_equal(s.data_dir, "d");
    assert_string_equal(s.bind, "127.0.0.1:8080");
    assert_null(s.metrics_bind);
    assert_null(s.api_token);
    assert_null(s.tokens_file);
    assert_int_equal(s.max_inflight, 256);
    assert_int_equal(s.write_queue_depth, 256);
    assert_int_equal(s.write_batch_max, 64);
    assert_int_equal(s.http_batch_max, 500);
    assert_int_equal(s.log_snapshot_every, 100000);
    assert_int_equal(s.log_idem_hot_cap, 1000000);
    assert_int_equal(s.log_segment_max, 134217728);
    assert_int_equal(s.log_level, REPORT_INFO);
    assert_int_equal(s.log_format, REPORT_AUTO);
    assert_null(s.log_file);
    assert_int_equal(s.access_log, 0);
    assert_int_equal(s.slow_request_ms, 1000);
    assert_int_equal(s.slow_commit_ms, 250);
    settings_free(&s);
}

static uint64_t word_value(const char *env, const char *word)
{
    setenv(env, word, 1);
    struct settings s = load_with_db_url();
    uint64_t value = count_of(&s, row(env));
    settings_free(&s);
    unsetenv(env);
    return value;
}

static void words_are_the_places_in_their_lists(void **state)
{
    (void)state;
    assert_int_equal(word_value("TALEA_LOG_LEVEL", "error"), REPORT_ERROR);
    assert_int_equal(word_value("TALEA_LOG_LEVEL", "warning"), REPORT_WARNING);
    assert_int_equal(word_value("TALEA_LOG_LEVEL", "info"), REPORT_INFO);
    assert_int_equal(word_value("TALEA_LOG_LEVEL", "debug"), REPORT_DEBUG);
    assert_int_equal(word_value("TALEA_LOG_FORMAT", "auto"), REPORT_AUTO);
    assert_int_equal(word_value("TALEA_LOG_FORMAT", "text"), REPORT_TEXT);
    assert_int_equal(word_value("TALEA_LOG_FORMAT", "json"), REPORT_JSON);
    assert_int_equal(word_value("TALEA_ACCESS_LOG", "no"), 0);
    assert_int_equal(word_value("TALEA_ACCESS_LOG", "yes"), 1);
}

static void other_words_are_refused_with_the_choices(void **state)
{
    (void)state;
    assert_env_refused("TALEA_LOG_LEVEL", "loud", "must be error, warning, info or debug, got \"loud\"");
    assert_env_refused("TALEA_LOG_LEVEL", "Info", "must be error, warning, info or debug, got \"Info\"");
    assert_env_refused("TALEA_LOG_FORMAT", "xml\n", "must be auto, text or json, got \"xml\\x0a\"");
    assert_env_refused("TALEA_ACCESS_LOG", "true", "must be no or yes, got \"true\"");
}

static void yaml_words_are_plain_text(void **state)
{
    (void)state;
    write_file("talead.yaml", "db_url: log://d\naccess_log: yes\nlog_level: debug\nlog_file: /tmp/x.log\n");
    struct settings s = load();
    assert_int_equal(s.access_log, 1);
    assert_int_equal(s.log_level, REPORT_DEBUG);
    assert_string_equal(s.log_file, "/tmp/x.log");
    settings_free(&s);
    write_file("talead.yaml", "db_url: log://d\nlog_format: [json]\n");
    assert_refused("invalid TALEA_LOG_FORMAT: must be a single value without NUL characters (talead.yaml:2)");
}

static void workers_default_to_the_cpus_this_process_may_use(void **state)
{
    (void)state;
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    struct settings s = load_with_db_url();
    assert_int_equal(s.workers, CPU_COUNT(&before) < 64 ? CPU_COUNT(&before) : 64);
    settings_free(&s);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &before))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    s = load();
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    assert_int_equal(s.workers, 1);
    settings_free(&s);
}

static void bounds_of_every_count_are_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < settings_table_count; i++) {
        const struct setting *setting = &settings_table[i];
        if (setting->kind != SETTING_COUNT)
            continue;
        uint64_t bounds[] = {setting->min, setting->max};
        for (int j = 0; j < 2; j++) {
            char text[32];
            snprintf(text, sizeof text, "%llu", (unsigned long long)bounds[j]);
            setenv(setting->env, text, 1);
            struct settings s = load_with_db_url();
            assert_int_equal(count_of(&s, setting), bounds[j]);
            settings_free(&s);
        }
        unsetenv(setting->env);
    }
}

static void one_beyond_the_bounds_of_every_count_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < settings_table_count; i++) {
        const struct setting *setting = &settings_table[i];
        if (setting->kind != SETTING_COUNT)
            continue;
        char text[32], why[96];
        snprintf(text, sizeof text, "%llu", (unsigned long long)setting->max + 1);
        snprintf(why, sizeof why, "%s is more than %llu", text, (unsigned long long)setting->max);
        assert_env_refused(setting->env, text, why);
        if (setting->min == 0)
            continue;
        snprintf(text, sizeof text, "%llu", (unsigned long long)setting->min - 1);
        snprintf(why, sizeof why, "%s is less than %llu", text, (unsigned long long)setting->min);
        assert_env_refused(setting->env, text, why);
    }
}

static void counts_are_decimal_digits_alone(void **state)
{
    (void)state;
    static const char *const texts[] = {"x",     "-1",  "+1", " 1",  "1 ",       "1.0", "1e2", "0x10",
                                        "1_000", "1,0", "1k", "one", "\xd9\xa1", "1\n", "-",   "true"};
    for (size_t i = 0; i < settings_table_count; i++) {
        if (settings_table[i].kind != SETTING_COUNT)
            continue;
        for (size_t j = 0; j < sizeof texts / sizeof *texts; j++) {
            struct settings s;
            setenv("TALEA_DB_URL", "log://d", 1);
            setenv(settings_table[i].env, texts[j], 1);
            assert_int_equal(settings_load(NULL, ".env", &s, error, sizeof error), EINVAL);
            assert_non_null(strstr(error, ": must be a whole number, got \""));
            unsetenv(settings_table[i].env);
        }
    }
    assert_env_refused("TALEA_WORKERS", "x", "must be a whole number, got \"x\"");
    assert_env_refused("TALEA_WORKERS", "-1", "must be a whole number, got \"-1\"");
}

static void counts_beyond_64_bits_are_more_than_the_maximum(void **state)
{
    (void)state;
    assert_env_refused("TALEA_WORKERS", "18446744073709551616", "18446744073709551616 is more than 64");
    assert_env_refused("TALEA_WORKERS", "18446744073709551617", "18446744073709551617 is more than 64");
    assert_env_refused("TALEA_LOG_SEGMENT_MAX", "99999999999999999999999999999999999999999999",
                       "9999999999999999999999999999999999999999... is more than 1099511627776");
}

static void leading_zeros_do_not_make_it_octal(void **state)
{
    (void)state;
    setenv("TALEA_WORKERS", "010", 1);
    struct settings s = load_with_db_url();
    assert_int_equal(s.workers, 10);
    settings_free(&s);
    assert_env_refused("TALEA_WORKERS", "000", "000 is less than 1");
}

static void shown_values_are_escaped_and_cut(void **state)
{
    (void)state;
    assert_env_refused("TALEA_WORKERS", "a\nb\"c\\d\x1b\x7f\xc3\xbc",
                       "must be a whole number, got \"a\\x0ab\\x22c\\x5cd\\x1b\\x7f\\xc3\\xbc\"");
    assert_env_refused("TALEA_WORKERS", "abcdefghijabcdefghijabcdefghijabcdefghij",
                       "must be a whole number, got \"abcdefghijabcdefghijabcdefghijabcdefghij\"");
    assert_env_refused("TALEA_WORKERS", "abcdefghijabcdefghijabcdefghijabcdefghijk",
                       "must be a whole number, got \"abcdefghijabcdefghijabcdefghijabcdefghij...\"");
    char controls[1000], message[512];
    memset(controls, 1, sizeof controls);
    controls[sizeof controls - 1] = '\0';
    int length = snprintf(message, sizeof message, "must be host:port or [v6]:port, got \"");
    for (int i = 0; i < 40; i++)
        length += snprintf(message + length, sizeof message - (size_t)length, "\\x01");
    snprintf(message + length, sizeof message - (size_t)length, "...\"");
    assert_env_refused("TALEA_BIND", controls, message);
}

static void set_but_empty_is_refused_for_every_setting(void **state)
{
    (void)state;
    for (size_t i = 0; i < settings_table_count; i++) {
        forget_settings(NULL);
        assert_env_refused(settings_table[i].env, "", "must not be empty");
    }
}

static void empty_does_not_fall_through_to_the_next_source(void **state)
{
    (void)state;
    write_file("talead.yaml", "db_url: log://d\napi_token: s3cret\n");
    write_file(".env", "TALEA_API_TOKEN=\n");
    assert_refused("invalid TALEA_API_TOKEN: must not be empty (.env:1)");
    write_file(".env", "TALEA_API_TOKEN=s3cret\n");
    setenv("TALEA_API_TOKEN", "", 1);
    assert_refused("invalid TALEA_API_TOKEN: must not be empty");
}

static void db_url_is_required(void **state)
{
    (void)state;
    assert_refused("invalid TALEA_DB_URL: required, such as log:///var/lib/talea");
}

static void assert_data_dir(const char *url, const char *expected)
{
    char *dir, why[200] = "";
    if (settings_parse_db_url(url, &dir, why, sizeof why) != 0)
        fail_msg("%s refused: %s", url, why);
    assert_string_equal(dir, expected);
    free(dir);
}

static void db_url_names_a_directory(void **state)
{
    (void)state;
    assert_data_dir("log:///var/lib/talea", "/var/lib/talea");
    assert_data_dir("log:///var/lib/talea/", "/var/lib/talea");
    assert_data_dir("log:///var/lib/talea///", "/var/lib/talea");
    assert_data_dir("log://data", "data");
    assert_data_dir("log://./data/", "./data");
    assert_data_dir("log://.", ".");
    assert_data_dir("log:///", "/");
    assert_data_dir("log:////", "/");
    assert_data_dir("log:///a%20b%2F", "/a%20b%2F");
    assert_data_dir("log:///a b?c#d", "/a b?c#d");
}

static void assert_url_refused(const char *url, const char *expected)
{
    char *dir = NULL, why[200] = "";
    assert_int_equal(settings_parse_db_url(url, &dir, why, sizeof why), EINVAL);
    assert_string_equal(why, expected);
    assert_null(dir);
}

static void other_db_urls_are_refused_without_their_passwords(void **state)
{
    (void)state;
    static const char not_log[] = "must begin with log://, such as log:///var/lib/talea";
    assert_url_refused("", not_log);
    assert_url_refused("/var/lib/talea", not_log);
    assert_url_refused("log:/var/lib/talea", not_log);
    assert_url_refused("log", not_log);
    assert_url_refused(" log://d", not_log);
    assert_url_refused("s3cret@host", not_log);
    assert_url_refused("a-word-far-too-long-for-a-scheme://x", not_log);
    assert_url_refused("LOG://d", "LOG:// is not supported, must be such as log:///var/lib/talea");
    assert_url_refused("postgres://user:s3cret@host/db",
                       "postgres:// is not supported, must be such as log:///var/lib/talea");
    assert_url_refused("log://", "names no directory, must be such as log:///var/lib/talea");
    assert_env_refused("TALEA_DB_URL", "postgres://user:s3cret@host/db",
                       "postgres:// is not supported, must be such as log:///var/lib/talea");
}

static void assert_address(const char *text, const char *expected_host, const char *expected_port)
{
    char *host, *port;
    if (settings_split_address(text, &host, &port) != 0)
        fail_msg("refused: %s", text);
    assert_string_equal(host, expected_host);
    assert_string_equal(port, expected_port);
    free(host);
    free(port);
}

static void addresses_are_host_and_port(void **state)
{
    (void)state;
    assert_address("127.0.0.1:8080", "127.0.0.1", "8080");
    assert_address("0.0.0.0:0", "0.0.0.0", "0");
    assert_address("localhost:65535", "localhost", "65535");
    assert_address("ledger-1.example.org:80", "ledger-1.example.org", "80");
    assert_address("[::1]:8080", "::1", "8080");
    assert_address("[::]:8080", "::", "8080");
    assert_address("[2001:db8::ffff:192.0.2.1]:1", "2001:db8::ffff:192.0.2.1", "1");
    assert_address("[fe80::1%eth0]:1", "fe80::1%eth0", "1");
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",        ":",        ":8080",      "8080",      "localhost",    "localhost:",  "h:65536",
        "h:99999", "h:100000", "h:-1",       "h:+1",      "h: 80",        "h:80 ",       "h:0x50",
        "h:http",  "h:80/",    " h:80",      "a b:80",    "a/b:80",       "http://h:80", "::1:8080",
        "::1",     "[::1]",    "[::1]8080",  "[::1]:",    "[]:80",        "[h]:80",      "[127.0.0.1]:80",
        "[::1:80", "::1]:80",  "[[::1]]:80", "[::1%]:80", "[::1%e/h]:80", "[:::]:80",    "[12345::]:80",
        "h\n:80",  "*:80",     "u@h:80",     "[::1]x:80", "x[::1]:80",    "[%eth0]:80",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *host = NULL, *port = NULL;
        if (settings_split_address(texts[i], &host, &port) != EINVAL)
            fail_msg("not refused: %s", texts[i]);
        assert_null(host);
        assert_null(port);
    }
    assert_env_refused("TALEA_BIND", "8080", "must be host:port or [v6]:port, got \"8080\"");
    assert_env_refused("TALEA_METRICS_BIND", "x:y", "must be host:port or [v6]:port, got \"x:y\"");
}

static void overlong_hosts_are_refused(void **state)
{
    (void)state;
    char text[2000], *host = NULL, *port = NULL;
    memset(text, 'a', sizeof text);
    memcpy(text + 254, ":80", 4);
    assert_int_equal(settings_split_address(text, &host, &port), EINVAL);
    assert_int_equal(settings_split_address(text + 1, &host, &port), 0);
    free(host);
    free(port);
    memset(text, ':', sizeof text);
    text[0] = '[';
    memcpy(text + sizeof text - 5, "]:80", 5);
    assert_int_equal(settings_split_address(text, &host, &port), EINVAL);
}

static void environment_wins_over_dotenv_over_yaml_over_default(void **state)
{
    (void)state;
    for (size_t i = 0; i < settings_table_count; i++) {
        const struct setting *setting = &settings_table[i];
        static const char *const values[][3] = {
            [SETTING_TEXT] = {"a", "b", "c"},
            [SETTING_SECRET] = {"a", "b", "c"},
            [SETTING_COUNT] = {"5001", "5002", "5003"},
            [SETTING_ADDRESS] = {"h:1", "h:2", "h:3"},
            [SETTING_DB_URL] = {"log://a", "log://b", "log://c"},
            [SETTING_ORIGINS] = {"http://a", "http://b", "*"},
        };
        static const char *const small[3] = {"51", "52", "53"};
        const char *const *words = setting->words;
        const char *const chosen[3] = {words ? words[1] : "", words ? words[0] : "", words ? words[1] : ""};
        const char *const *value = words                                     ? chosen
                                   : setting->max && setting->max < 5003 ? small
                                                                             : values[setting->kind];
        char line[3][128];
        forget_settings(NULL);
        setenv("TALEA_DB_URL", "log://d", 1);
        snprintf(line[0], sizeof line[0], "%s: %s\n", setting->yaml, value[0]);
        snprintf(line[1], sizeof line[1], "%s=%s\n", setting->env, value[1]);
        for (int source = 0; source < 3; source++) {
            if (source == 0) {
                unsetenv(setting->env);
                write_file("talead.yaml", line[0]);
            } else if (source == 1) {
                write_file(".env", line[1]);
            } else {
                setenv(setting->env, value[2], 1);
            }
            struct settings s = load();
            if (setting->kind == SETTING_COUNT)
                assert_int_equal(count_of(&s, setting), strtoull(value[source], NULL, 10));
            else if (words)
                assert_string_equal(words[count_of(&s, setting)], value[source]);
            else
                assert_string_equal(text_of(&s, setting), value[source]);
            settings_free(&s);
        }
    }
}

static void faults_say_which_file_they_came_from(void **state)
{
    (void)state;
    write_file("talead.yaml", "db_url: log://d\n\nworkers: 0\n");
    assert_refused("invalid TALEA_WORKERS: 0 is less than 1 (talead.yaml:3)");
    write_file(".env", "TALEA_WORKERS=65\n");
    assert_refused("invalid TALEA_WORKERS: 65 is more than 64 (.env:1)");
    setenv("TALEA_WORKERS", "x", 1);
    assert_refused("invalid TALEA_WORKERS: must be a whole number, got \"x\"");
    setenv("TALEA_WORKERS", "1", 1);
    struct settings s = load();
    assert_int_equal(s.workers, 1);
    settings_free(&s);
}

static void yaml_values_may_be_quoted(void **state)
{
    (void)state;
    write_file("talead.yaml", "db_url: 'log://d'\nworkers: \"4\"\nbind: \"[::1]:0\"\n");
    struct settings s = load();
    assert_int_equal(s.workers, 4);
    assert_string_equal(s.bind, "[::1]:0");
    settings_free(&s);
}

static void yaml_value_that_is_no_scalar_is_refused(void **state)
{
    (void)state;
    static const char why[] = "must be a single value without NUL characters (talead.yaml:2)";
    static const char *const values[] = {"[s3cret]", "{a: s3cret}", "\"s3cret\\0\"", "\"\\0\""};
    char text[128], message[128];
    snprintf(message, sizeof message, "invalid TALEA_API_TOKEN: %s", why);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        snprintf(text, sizeof text, "db_url: log://d\napi_token: %s\n", values[i]);
        write_file("talead.yaml", text);
        assert_refused(message);
    }
}

static void yaml_null_counts_as_empty(void **state)
{
    (void)state;
    write_file("talead.yaml", "db_url: log://d\napi_token:\n");
    assert_refused("invalid TALEA_API_TOKEN: must not be empty (talead.yaml:2)");
    write_file("talead.yaml", "db_url: log://d\napi_token: ~\n");
    assert_refused("invalid TALEA_API_TOKEN: must not be empty (talead.yaml:2)");
}

static void empty_yaml_file_is_fine(void **state)
{
    (void)state;
    write_file("talead.yaml", "# nothing yet\n");
    struct settings s = load_with_db_url();
    settings_free(&s);
}

static void missing_yaml_file_is_refused(void **state)
{
    (void)state;
    struct settings s;
    setenv("TALEA_DB_URL", "log://d", 1);
    assert_int_equal(settings_load("none.yaml", ".env", &s, error, sizeof error), EINVAL);
    assert_string_equal(error, "none.yaml: no such file");
}

static void yaml_that_is_no_mapping_is_refused(void **state)
{
    (void)state;
    static const char message[] =
        "talead.yaml:1: must be lines of `key: value`, such as `bind: 127.0.0.1:8080`";
    setenv("TALEA_DB_URL", "log://d", 1);
    write_file("talead.yaml", "s3cret\n");
    assert_refused(message);
    write_file("talead.yaml", "- bind: h:1\n");
    assert_refused(message);
    write_file("talead.yaml", "api_token=s3cret\n");
    assert_refused(message);
}

static void assert_key_refused(const char *key, const char *shown, const char *nearest)
{
    char text[256], message[256];
    snprintf(text, sizeof text, "db_url: log://d\n%s: 1\n", key);
    write_file("talead.yaml", text);
    snprintf(message, sizeof message, "talead.yaml:2: unknown key \"%s\", the nearest known one is \"%s\"",
             shown, nearest);
    assert_refused(message);
}

static void unknown_key_is_refused_with_the_nearest_known_one(void **state)
{
    (void)state;
    assert_key_refused("bnd", "bnd", "bind");
    assert_key_refused("worker", "worker", "workers");
    assert_key_refused("max_in_flight", "max_in_flight", "max_inflight");
    assert_key_refused("log_snapshots_every", "log_snapshots_every", "log_snapshot_every");
    assert_key_refused("TALEA_METRICS_BIND", "TALEA_METRICS_BIND", "metrics_bind");
    assert_key_refused("token_file", "token_file", "tokens_file");
    assert_key_refused("Bind", "Bind", "bind");
}

static void unknown_key_shows_no_more_than_a_name(void **state)
{
    (void)state;
    assert_key_refused("api_token=s3cret", "api_token...", "api_token");
    assert_key_refused("\"api_token\\ns3cret\"", "api_token...", "api_token");
    assert_key_refused("log_snapshot_every_and_much_more_behind_it",
                       "log_snapshot_every_and_much_more_behind_...", "log_snapshot_every");
    write_file("talead.yaml", "{api_token:s3cret}");
    assert_refused("talead.yaml:1: unknown key \"api_token...\", the nearest known one is \"api_token\"");
}

static void very_long_key_is_compared_in_bounds(void **state)
{
    (void)state;
    char text[1000];
    struct settings s;
    memset(text, 'k', sizeof text);
    memcpy(text + sizeof text - 6, ": 1\n", 5);
    write_file("talead.yaml", text);
    assert_int_equal(settings_load("talead.yaml", ".env", &s, error, sizeof error), EINVAL);
    assert_non_null(strstr(error, "unknown key \"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk...\""));
}

static void faults_of_the_files_are_passed_on(void **state)
{
    (void)state;
    setenv("TALEA_DB_URL", "log://d", 1);
    write_file("talead.yaml", "bind: h:1\nbind: h:2\n");
    assert_refused("talead.yaml:2: key \"bind\" is given twice, first in line 1");
    write_file(".env", "s3cret\n");
    assert_refused(".env:1: not a line of the form NAME=value");
}

static void names_of_others_in_dotenv_do_not_matter(void **state)
{
    (void)state;
    write_file(".env",
               "TALEA_URL=http://127.0.0.1:8080\nTALEA_TOKEN=x\nPATH=/nowhere\nTALEA_DB_URL=log://d\n");
    struct settings s = load();
    assert_string_equal(s.data_dir, "d");
    settings_free(&s);
}

static void token_that_no_header_can_carry_is_refused_unseen(void **state)
{
    (void)state;
    static const char controls[] = "must not hold control characters";
    static const char spaces[] = "must not begin or end with a space";
    assert_env_refused("TALEA_API_TOKEN", "s3cret\n", controls);
    assert_env_refused("TALEA_API_TOKEN", "s3\tcret", controls);
    assert_env_refused("TALEA_API_TOKEN", "\x7f", controls);
    assert_env_refused("TALEA_API_TOKEN", " s3cret", spaces);
    assert_env_refused("TALEA_API_TOKEN", "s3cret ", spaces);
    assert_env_refused("TALEA_API_TOKEN", " ", spaces);
    setenv("TALEA_API_TOKEN", "s3 cret \xc3\xbc!", 1);
    struct settings s = load_with_db_url();
    assert_string_equal(s.api_token, "s3 cret \xc3\xbc!");
    settings_free(&s);
}

static void secret_is_in_no_error_of_another_setting(void **state)
{
    (void)state;
    for (size_t i = 0; i < settings_table_count; i++) {
        struct settings s;
        if (settings_table[i].kind == SETTING_TEXT || settings_table[i].kind == SETTING_SECRET)
            continue;
        setenv("TALEA_DB_URL", "log://d", 1);
        setenv("TALEA_API_TOKEN", "s3cret", 1);
        setenv(settings_table[i].env, "?", 1);
        assert_int_equal(settings_load(NULL, ".env", &s, error, sizeof error), EINVAL);
        assert_null(strstr(error, "s3cret"));
        unsetenv(settings_table[i].env);
    }
}

static void write_credential(const void *bytes, size_t length)
{
    setenv("CREDENTIALS_DIRECTORY", ".", 1);
    scratch_dir_write("talea-api-token", bytes, length);
}

static void assert_token(const char *expected)
{
    struct settings s = load_with_db_url();
    assert_string_equal(s.api_token, expected);
    settings_free(&s);
}

static void credential_stands_between_environment_and_dotenv(void **state)
{
    (void)state;
    write_file("talead.yaml", "api_token: of-yaml\n");
    write_file(".env", "TALEA_API_TOKEN=of-dotenv\n");
    write_credential("of-credential\n", 14);
    setenv("TALEA_API_TOKEN", "of-environment", 1);
    assert_token("of-environment");
    unsetenv("TALEA_API_TOKEN");
    assert_token("of-credential");
    unlink("talea-api-token");
    assert_token("of-dotenv");
    unlink(".env");
    assert_token("of-yaml");
}

static void credential_is_for_the_token_alone(void **state)
{
    struct settings s;
    (void)state;
    write_credential("t", 1);
    scratch_dir_write("talea-bind", "h:1", 3);
    scratch_dir_write("TALEA_BIND", "h:1", 3);
    s = load_with_db_url();
    assert_string_equal(s.bind, "127.0.0.1:8080");
    settings_free(&s);
}

static void credential_loses_one_newline(void **state)
{
    (void)state;
    write_credential("no newline", 10);
    assert_token("no newline");
    write_credential("two\n\n", 5);
    setenv("TALEA_DB_URL", "log://d", 1);
    assert_refused("invalid TALEA_API_TOKEN: must not hold control characters (credential talea-api-token)");
}

static void empty_credential_is_refused(void **state)
{
    (void)state;
    setenv("TALEA_DB_URL", "log://d", 1);
    write_credential("", 0);
    assert_refused("invalid TALEA_API_TOKEN: must not be empty (credential talea-api-token)");
    write_credential("\n", 1);
    assert_refused("invalid TALEA_API_TOKEN: must not be empty (credential talea-api-token)");
}

static void credential_has_4096_bytes_at_most(void **state)
{
    char text[4097];
    (void)state;
    memset(text, 't', sizeof text);
    write_credential(text, 4096);
    setenv("TALEA_DB_URL", "log://d", 1);
    struct settings s = load();
    assert_int_equal(strlen(s.api_token), 4096);
    settings_free(&s);
    write_credential(text, 4097);
    assert_refused("invalid TALEA_API_TOKEN: must not be longer than 4096 bytes (credential talea-api-token)");
}

static void credential_with_a_nul_is_refused_unseen(void **state)
{
    (void)state;
    write_credential("s3c\0ret", 7);
    setenv("TALEA_DB_URL", "log://d", 1);
    assert_refused("invalid TALEA_API_TOKEN: must be a single value without NUL characters "
                   "(credential talea-api-token)");
}

static void credential_that_cannot_be_read_is_refused(void **state)
{
    (void)state;
    setenv("CREDENTIALS_DIRECTORY", ".", 1);
    setenv("TALEA_DB_URL", "log://d", 1);
    assert_int_equal(mkdir("talea-api-token", 0700), 0);
    assert_refused("invalid TALEA_API_TOKEN: cannot be read: it is a directory (credential talea-api-token)");
    assert_int_equal(rmdir("talea-api-token"), 0);
}

static void without_a_credential_the_next_source_decides(void **state)
{
    (void)state;
    write_file(".env", "TALEA_API_TOKEN=of-dotenv\n");
    setenv("CREDENTIALS_DIRECTORY", "", 1);
    assert_token("of-dotenv");
    setenv("CREDENTIALS_DIRECTORY", "/nowhere", 1);
    assert_token("of-dotenv");
}

struct seen {
    char text[1024];
};

static void see_complaint(void *context, const struct complaint *complaint)
{
    struct seen *seen = context;
    size_t length = strlen(seen->text);
    snprintf(seen->text + length, sizeof seen->text - length, "%s,%s,%d\n",
             complaint->setting ? complaint->setting : "", complaint->file ? complaint->file : "", complaint->line);
}

static void see_value(void *context, const struct setting *setting, const char *text, const char *file, int line)
{
    struct seen *seen = context;
    size_t length = strlen(seen->text);
    snprintf(seen->text + length, sizeof seen->text - length, "%s=%s,%s,%d\n", setting->env, text, file ? file : "",
             line);
}

static void check_goes_on_behind_a_fault_and_keeps_what_is_good(void **state)
{
    (void)state;
    struct seen faults = {""}, values = {""};
    struct complaints complaints = {.each = see_complaint, .context = &faults};
    const struct settings_notes notes = {see_value, &values};
    struct settings s;
    setenv("TALEA_WORKERS", "0", 1);
    write_file(".env", "x\nTALEA_BIND=b:1\n=\n");
    write_file("talead.yaml", "no: 1\nmax_inflight: 9\nmax_inflight: 8\nhttp_batch_max: many\n");
    assert_int_equal(settings_check("talead.yaml", ".env", &s, &complaints, &notes), EINVAL);
    assert_string_equal(faults.text, ",.env,1\n,.env,3\n,talead.yaml,3\n,talead.yaml,1\n"
                                     "TALEA_HTTP_BATCH_MAX,talead.yaml,4\nTALEA_WORKERS,,0\n");
    assert_string_equal(values.text, "TALEA_BIND=b:1,.env,2\nTALEA_MAX_INFLIGHT=9,talead.yaml,2\n");
    assert_int_equal(complaints.count, 6);
    assert_int_equal(s.max_inflight, 9);
    assert_string_equal(s.bind, "b:1");
    assert_null(s.db_url); /* no complaint of it: it may stand where .env could not be read */
    settings_free(&s);
}

static void free_empties_and_may_come_twice(void **state)
{
    (void)state;
    static const struct settings none;
    setenv("TALEA_API_TOKEN", "s3cret", 1);
    setenv("TALEA_TOKENS_FILE", "tokens.yaml", 1);
    setenv("TALEA_METRICS_BIND", "h:1", 1);
    struct settings s = load_with_db_url();
    assert_string_equal(s.api_token, "s3cret");
    assert_string_equal(s.tokens_file, "tokens.yaml");
    assert_string_equal(s.metrics_bind, "h:1");
    settings_free(&s);
    assert_memory_equal(&s, &none, sizeof s);
    settings_free(&s);
}

#define SETTINGS_TEST(name) cmocka_unit_test_setup_teardown(name, forget_settings, forget_settings)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(table_holds_what_the_contract_lists),
        SETTINGS_TEST(yaml_keys_are_the_variables_in_lower_case),
        SETTINGS_TEST(defaults_hold_when_nothing_is_set),
        SETTINGS_TEST(words_are_the_places_in_their_lists),
        SETTINGS_TEST(other_words_are_refused_with_the_choices),
        SETTINGS_TEST(yaml_words_are_plain_text),
        SETTINGS_TEST(workers_default_to_the_cpus_this_process_may_use),
        SETTINGS_TEST(bounds_of_every_count_are_taken),
        SETTINGS_TEST(one_beyond_the_bounds_of_every_count_is_refused),
        SETTINGS_TEST(counts_are_decimal_digits_alone),
        SETTINGS_TEST(counts_beyond_64_bits_are_more_than_the_maximum),
        SETTINGS_TEST(leading_zeros_do_not_make_it_octal),
        SETTINGS_TEST(shown_values_are_escaped_and_cut),
        SETTINGS_TEST(set_but_empty_is_refused_for_every_setting),
        SETTINGS_TEST(empty_does_not_fall_through_to_the_next_source),
        SETTINGS_TEST(db_url_is_required),
        SETTINGS_TEST(db_url_names_a_directory),
        SETTINGS_TEST(other_db_urls_are_refused_without_their_passwords),
        SETTINGS_TEST(addresses_are_host_and_port),
        SETTINGS_TEST(what_is_no_address_is_refused),
        SETTINGS_TEST(overlong_hosts_are_refused),
        SETTINGS_TEST(environment_wins_over_dotenv_over_yaml_over_default),
        SETTINGS_TEST(faults_say_which_file_they_came_from),
        SETTINGS_TEST(yaml_values_may_be_quoted),
        SETTINGS_TEST(yaml_value_that_is_no_scalar_is_refused),
        SETTINGS_TEST(yaml_null_counts_as_empty),
        SETTINGS_TEST(empty_yaml_file_is_fine),
        SETTINGS_TEST(missing_yaml_file_is_refused),
        SETTINGS_TEST(yaml_that_is_no_mapping_is_refused),
        SETTINGS_TEST(unknown_key_is_refused_with_the_nearest_known_one),
        SETTINGS_TEST(unknown_key_shows_no_more_than_a_name),
        SETTINGS_TEST(very_long_key_is_compared_in_bounds),
        SETTINGS_TEST(faults_of_the_files_are_passed_on),
        SETTINGS_TEST(names_of_others_in_dotenv_do_not_matter),
        SETTINGS_TEST(token_that_no_header_can_carry_is_refused_unseen),
        SETTINGS_TEST(secret_is_in_no_error_of_another_setting),
        SETTINGS_TEST(credential_stands_between_environment_and_dotenv),
        SETTINGS_TEST(credential_is_for_the_token_alone),
        SETTINGS_TEST(credential_loses_one_newline),
        SETTINGS_TEST(empty_credential_is_refused),
        SETTINGS_TEST(credential_has_4096_bytes_at_most),
        SETTINGS_TEST(credential_with_a_nul_is_refused_unseen),
        SETTINGS_TEST(credential_that_cannot_be_read_is_refused),
        SETTINGS_TEST(without_a_credential_the_next_source_decides),
        SETTINGS_TEST(check_goes_on_behind_a_fault_and_keeps_what_is_good),
        SETTINGS_TEST(free_empties_and_may_come_twice),
    };
    return cmocka_run_group_tests(tests, scratch_dir_enter, scratch_dir_leave);
}
