/*
 * The YAML file of the settings, and behind a line `--- .env` the `.env` file.
 *
 * What is taken: each number in its range, each word one of its choices, each address in two parts. What is refused:
 * one line that says why, and nothing in the settings. A start and `talead check-config` agree.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/dotenv.h"
#include "common/settings.h"
#include "tests/fuzz/fuzz.h"

struct seen {
    unsigned complaints, notes;
    char first[1024];
};

static void see_complaint(void *context, const struct complaint *complaint)
{
    struct seen *seen = context;
    if (seen->complaints++ == 0)
        strncpy(seen->first, complaint->text, sizeof seen->first - 1);
    FUZZ_HOLDS(complaint->text[0] && complaint->line >= 0);
}

static void see_value(void *context, const struct setting *setting, const char *text, const char *file, int line)
{
    struct seen *seen = context;
    seen->notes++;
    FUZZ_HOLDS(setting && text && text[0] && file && line > 0);
}

static void check_address(const char *text)
{
    char *host, *port;
    FUZZ_HOLDS(settings_split_address(text, &host, &port) == 0);
    FUZZ_HOLDS(host[0] && strlen(host) + strlen(port) < strlen(text) && strtoul(port, NULL, 10) <= 65535);
    free(host);
    free(port);
}

static void check_value(const struct settings *s, const struct setting *setting)
{
    uint64_t number = *(const uint64_t *)((const char *)s + setting->offset), words = 0;
    const char *text = NULL;
    switch (setting->kind) {
    case SETTING_COUNT:
        FUZZ_HOLDS(number >= setting->min && number <= setting->max);
        return;
    case SETTING_WORD:
        while (setting->words[words])
            words++;
        FUZZ_HOLDS(number < words);
        return;
    case SETTING_TEXT:
    case SETTING_SECRET:
    case SETTING_ADDRESS:
    case SETTING_DB_URL:
    case SETTING_ORIGINS:
        text = *(char *const *)((const char *)s + setting->offset);
        break;
    }
    FUZZ_HOLDS(text ? text[0] != '\0' : !setting->required);
    if (text && setting->kind == SETTING_ADDRESS)
        check_address(text);
}

static void check_settings(struct settings *s, const struct settings *other)
{
    for (size_t i = 0; i < settings_table_count; i++) {
        check_value(s, &settings_table[i]);
        FUZZ_HOLDS(settings_equal(&settings_table[i], s, other));
    }
    size_t length = strlen(s->data_dir);
    FUZZ_HOLDS(length == 1 || (length > 1 && s->data_dir[length - 1] != '/'));
}

static void check_refused(const struct settings *s, int failed, const char *error, const struct seen *seen)
{
    static const struct settings none;
    FUZZ_HOLDS(failed == EINVAL && memcmp(s, &none, sizeof none) == 0);
    /* check-config goes on where a start ends, but they agree upon the first fault. */
    FUZZ_HOLDS(error[0] && strncmp(error, seen->first, strlen(error)) == 0);
}

/* A set of its own, since settings ask for the names of settings alone. */
static void check_dotenv(const char *path)
{
    struct dotenv *env = NULL;
    char error[512] = "";
    int failed = dotenv_read(path, &env, error, sizeof error);
    FUZZ_HOLDS(failed == 0 || (failed == EINVAL && error[0] && !env));
    if (!failed) {
        const char *value = dotenv_get(env, "A");
        FUZZ_HOLDS((value != NULL) == (dotenv_line(env, "A") > 0));
    }
    dotenv_destroy(&env);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_file yaml, env;
    struct settings loaded, checked;
    struct bytes dotenv;
    struct seen seen = {0};
    char error[512] = "";
    unsetenv("CREDENTIALS_DIRECTORY");
    for (size_t i = 0; i < settings_table_count; i++)
        unsetenv(settings_table[i].env);
    fuzz_file_fill(&yaml, fuzz_cut(bytes_of(data, size), "\n--- .env\n", &dotenv));
    fuzz_file_fill(&env, dotenv);
    int failed = settings_load(yaml.path, env.path, &loaded, error, sizeof error);
    struct complaints complaints = {.each = see_complaint, .context = &seen};
    const struct settings_notes notes = {see_value, &seen};
    int faulty = settings_check(yaml.path, env.path, &checked, &complaints, &notes);
    FUZZ_HOLDS(faulty == failed && (seen.complaints > 0) == (failed != 0));
    if (failed)
        check_refused(&loaded, failed, error, &seen);
    else
        check_settings(&loaded, &checked);
    settings_free(&loaded);
    settings_free(&checked);
    check_dotenv(env.path);
    return 0;
}
