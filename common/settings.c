/*
 * Settings out of the environment, a credential, `.env` and a YAML file. For
 * each row of the table the first source that has a value decides; the value is
 * checked and put into its field. A start ends with the first fault.
 */
#include "common/settings.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/credential.h"
#include "common/dotenv.h"
#include "common/exit_status.h"
#include "common/process.h"
#include "common/report.h"
#include "common/small_file.h"
#include "common/yaml_doc.h"

#define SHOWN_CHARACTERS_MAX 40
#define SHOWN_TEXT_MAX (4 * SHOWN_CHARACTERS_MAX + 4) /* an escaped one takes four bytes; `...` and NUL */
#define ORIGIN_TEXT_MAX 320
#define KEY_COMPARED_MAX 64

struct sources {
    struct buffer credential; /* of the setting that was looked for last */
    char credential_file[80]; /* where it stands, for messages */
    struct dotenv *dotenv;
    const char *dotenv_path;
    struct yaml_doc yaml;
    bool has_yaml;
    bool unread; /* there is a file that could not be read: what is missing may stand there */
};

/* A value, and where it stood. */
struct found {
    const char *text; /* NULL: no source has it */
    const char *unusable; /* why, when it is no text: a YAML value that is no scalar, or holds a NUL */
    const char *file;     /* NULL: the environment, or a default */
    int line;             /* 0: of no line */
};

__attribute__((format(printf, 4, 5))) static int refuse(struct complaints *complaints,
                                                        const struct setting *setting,
                                                        const struct found *found, const char *format, ...)
{
    char why[512], origin[ORIGIN_TEXT_MAX] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    if (found->file && found->line)
        snprintf(origin, sizeof origin, " (%s:%d)", found->file, found->line);
    else if (found->file)
        snprintf(origin, sizeof origin, " (%s)", found->file);
    return complaints_add(complaints, setting->env, found->file, found->line, "invalid %s: %s%s", setting->env, why,
                          origin);
}

/* For messages: at most 40 characters; what is not printable ASCII, or would end the quotes, is escaped. */
static const char *show(const char *text, char out[static SHOWN_TEXT_MAX])
{
    char *end = out;
    for (int i = 0; text[i]; i++) {
        uint8_t c = (uint8_t)text[i];
        if (i == SHOWN_CHARACTERS_MAX) {
            memcpy(end, "...", sizeof "...");
            return out;
        }
        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
            end += snprintf(end, 5, "\\x%02x", c);
        else
            *end++ = (char)c;
    }
    *end = '\0';
    return out;
}

static int parse_count(const struct setting *setting, const struct found *found, uint64_t *out,
                       struct complaints *complaints)
{
    char shown[SHOWN_TEXT_MAX];
    uint64_t value = 0;
    bool overflow = false;
    show(found->text, shown);
    if (found->text[strspn(found->text, "0123456789")] != '\0')
        return refuse(complaints, setting, found, "must be a whole number, got \"%s\"", shown);
    for (const char *p = found->text; *p; p++)
        overflow |= __builtin_mul_overflow(value, UINT64_C(10), &value) ||
                    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value);
    if (overflow || value > setting->max)
        return refuse(complaints, setting, found, "%s is more than %llu", shown, (unsigned long long)setting->max);
    if (value < setting->min)
        return refuse(complaints, setting, found, "%s is less than %llu", shown, (unsigned long long)setting->min);
    *out = value;
    return 0;
}

/* "a, b or c" */
static void list_words(const char *const *words, char *out, size_t size)
{
    size_t length = 0;
    for (size_t i = 0; words[i] && length < size; i++)
        length += (size_t)snprintf(out + length, size - length, "%s%s",
                                   i == 0 ? "" : words[i + 1] ? ", " : " or ", words[i]);
}

static int parse_word(const struct setting *setting, const struct found *found, uint64_t *out,
                      struct complaints *complaints)
{
    char shown[SHOWN_TEXT_MAX], choices[200];
    for (size_t i = 0; setting->words[i]; i++)
        if (strcmp(setting->words[i], found->text) == 0) {
            *out = i;
            return 0;
        }
    list_words(setting->words, choices, sizeof choices);
    return refuse(complaints, setting, found, "must be %s, got \"%s\"", choices, show(found->text, shown));
}

static char *duplicate_text(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory reading the settings");
    return copy;
}

static int check_address(const struct setting *setting, const struct found *found, struct complaints *complaints)
{
    char *host, *port, shown[SHOWN_TEXT_MAX];
    if (settings_split_address(found->text, &host, &port))
        return refuse(complaints, setting, found, "must be host:port or [v6]:port, got \"%s\"",
                      show(found->text, shown));
    free(host);
    free(port);
    return 0;
}

/* A token that no header can carry would lock everybody out, and without a word why. */
static int check_secret(const struct setting *setting, const struct found *found, struct complaints *complaints)
{
    const char *text = found->text;
    for (const char *p = text; *p; p++)
        if ((uint8_t)*p < 0x20 || *p == 0x7f)
            return refuse(complaints, setting, found, "must not hold control characters");
    if (text[0] == ' ' || text[strlen(text) - 1] == ' ')
        return refuse(complaints, setting, found, "must not begin or end with a space");
    return 0;
}

static int check_origins(const struct setting *setting, const struct found *found, struct complaints *complaints)
{
    char wrong[SHOWN_CHARACTERS_MAX + 2], shown[SHOWN_TEXT_MAX];
    if (settings_check_origins(found->text, wrong, sizeof wrong))
        return refuse(complaints, setting, found, "must be such as https://app.example.org, or * alone, got \"%s\"",
                      show(wrong, shown));
    return 0;
}

static int check_db_url(const struct setting *setting, const struct found *found, char **data_dir,
                        struct complaints *complaints)
{
    char why[200];
    if (settings_parse_db_url(found->text, data_dir, why, sizeof why))
        return refuse(complaints, setting, found, "%s", why);
    return 0;
}

/* Checks the value and puts it into its field. */
static int assign(const struct setting *setting, const struct found *found, struct settings *s,
                  struct complaints *complaints)
{
    void *field = (char *)s + setting->offset;
    int error = 0;
    if (found->unusable)
        return refuse(complaints, setting, found, "%s", found->unusable);
    if (found->text[0] == '\0')
        return refuse(complaints, setting, found, "must not be empty");
    switch (setting->kind) {
    case SETTING_COUNT:
        return parse_count(setting, found, field, complaints);
    case SETTING_WORD:
        return parse_word(setting, found, field, complaints);
    case SETTING_ADDRESS:
        error = check_address(setting, found, complaints);
        break;
    case SETTING_SECRET:
        error = check_secret(setting, found, complaints);
        break;
    case SETTING_DB_URL:
        error = check_db_url(setting, found, &s->data_dir, complaints);
        break;
    case SETTING_ORIGINS:
        error = check_origins(setting, found, complaints);
        break;
    case SETTING_TEXT:
        break;
    }
    if (!error)
        *(char **)field = duplicate_text(found->text);
    return error;
}

static int assign_default(const struct setting *setting, struct settings *s, struct complaints *complaints)
{
    struct found found = {.text = setting->fallback};
    if (setting->required)
        return refuse(complaints, setting, &found, "required, such as log:///var/lib/talea");
    if (!setting->fallback)
        return 0;
    if (strcmp(setting->fallback, "cpus") == 0) {
        uint64_t cpus = process_cpu_count();
        *(uint64_t *)((char *)s + setting->offset) = cpus < setting->max ? cpus : setting->max;
        return 0;
    }
    return assign(setting, &found, s, complaints);
}

static void find_in_yaml(struct sources *from, const struct setting *setting, struct found *found)
{
    yaml_node_t *node =
        from->has_yaml ? yaml_doc_get(&from->yaml, yaml_doc_root(&from->yaml), setting->yaml) : NULL;
    if (!node)
        return;
    found->text = yaml_node_is_null(node) ? "" : yaml_node_text(node);
    if (!found->text) {
        found->text = "";
        found->unusable = "must be a single value without NUL characters";
    }
    found->file = from->yaml.path;
    found->line = yaml_node_line(node);
}

static void find_credential(struct sources *from, const struct setting *setting, struct found *found)
{
    small_file_wipe(&from->credential);
    if (!setting->credential)
        return;
    int error = credential_read(setting->credential, &from->credential, &found->unusable);
    if (error == ENOENT)
        return;
    found->text = error ? "" : (const char *)from->credential.base;
    snprintf(from->credential_file, sizeof from->credential_file, "credential %s", setting->credential);
    found->file = from->credential_file;
}

static void find_value(struct sources *from, const struct setting *setting, struct found *found)
{
    *found = (struct found){.text = getenv(setting->env)};
    if (!found->text)
        find_credential(from, setting, found);
    if (found->text)
        return;
    found->text = dotenv_get(from->dotenv, setting->env);
    if (!found->text) {
        find_in_yaml(from, setting, found);
        return;
    }
    found->file = from->dotenv_path;
    found->line = dotenv_line(from->dotenv, setting->env);
}

/* Levenshtein's distance over the first KEY_COMPARED_MAX bytes. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[KEY_COMPARED_MAX + 1];
    size_t a_length = strnlen(a, KEY_COMPARED_MAX), b_length = strnlen(b, KEY_COMPARED_MAX);
    for (size_t j = 0; j <= b_length; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            size_t shorter = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
            diagonal = row[j];
            row[j] = replaced < shorter ? replaced : shorter;
        }
    }
    return row[b_length];
}

/* The YAML key that looks most like `key`; the name in the environment, put there by mistake, counts too. */
static const char *nearest_key(const char *key)
{
    const char *nearest = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < settings_table_count; i++) {
        size_t distance = edit_distance(key, settings_table[i].yaml);
        size_t env_distance = edit_distance(key, settings_table[i].env);
        if (env_distance < distance)
            distance = env_distance;
        if (distance < least) {
            least = distance;
            nearest = settings_table[i].yaml;
        }
    }
    return nearest;
}

static bool is_known_key(const char *key)
{
    for (size_t i = 0; i < settings_table_count; i++)
        if (strcmp(settings_table[i].yaml, key) == 0)
            return true;
    return false;
}

/* `{api_token:s3cret}` is one key without a value, so only what looks like a name is shown. */
static void refuse_key(const struct yaml_doc *doc, const yaml_node_t *node, const char *key,
                       struct complaints *complaints)
{
    size_t name_length = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    size_t shown = name_length < SHOWN_CHARACTERS_MAX ? name_length : SHOWN_CHARACTERS_MAX;
    int line = yaml_node_line(node);
    complaints_add(complaints, NULL, doc->path, line, "%s:%d: unknown key \"%.*s%s\", the nearest known one is \"%s\"",
                   doc->path, line, (int)shown, key, key[shown] ? "..." : "", nearest_key(key));
}

static void check_yaml(struct yaml_doc *doc, struct complaints *complaints)
{
    yaml_node_t *root = yaml_doc_root(doc);
    if (!root)
        return;
    if (root->type != YAML_MAPPING_NODE) {
        int line = yaml_node_line(root);
        complaints_add(complaints, NULL, doc->path, line,
                       "%s:%d: must be lines of `key: value`, such as `bind: 127.0.0.1:8080`", doc->path, line);
        return;
    }
    yaml_node_pair_t *pair = root->data.mapping.pairs.start;
    for (; pair < root->data.mapping.pairs.top && !complaints_suffice(complaints); pair++) {
        yaml_node_t *node = yaml_doc_node(doc, pair->key);
        const char *key = yaml_node_text(node);
        if (!key || !is_known_key(key))
            refuse_key(doc, node, key ? key : "", complaints);
    }
}

static void open_sources(const char *config_path, const char *dotenv_path, struct sources *from,
                         struct complaints *complaints)
{
    from->dotenv_path = dotenv_path;
    int error = dotenv_read_all(dotenv_path, &from->dotenv, complaints);
    from->unread = error == 0 && complaints->count > 0;
    if (!config_path || complaints_suffice(complaints))
        return;
    error = yaml_doc_open_all(config_path, &from->yaml, complaints);
    if (error == ENOENT)
        complaints_add(complaints, NULL, config_path, 0, "%s: no such file", config_path);
    if (error) {
        from->unread = true;
        return;
    }
    from->has_yaml = true;
    if (!complaints_suffice(complaints))
        check_yaml(&from->yaml, complaints);
}

static void close_sources(struct sources *from)
{
    small_file_wipe(&from->credential);
    if (from->has_yaml)
        yaml_doc_close(&from->yaml);
    dotenv_destroy(&from->dotenv);
}

static void assign_all(struct sources *from, struct settings *out, struct complaints *complaints,
                       const struct settings_notes *notes)
{
    for (size_t i = 0; i < settings_table_count && !complaints_suffice(complaints); i++) {
        const struct setting *setting = &settings_table[i];
        struct found found;
        find_value(from, setting, &found);
        if (found.text && assign(setting, &found, out, complaints) == 0 && notes)
            notes->each(notes->context, setting, found.text, found.file, found.line);
        if (!found.text && !(setting->required && from->unread))
            assign_default(setting, out, complaints);
    }
}

int settings_check(const char *config_path, const char *dotenv_path, struct settings *out,
                   struct complaints *complaints, const struct settings_notes *notes)
{
    struct sources from = {0};
    size_t before = complaints->count;
    *out = (struct settings){0};
    open_sources(config_path, dotenv_path, &from, complaints);
    if (!complaints_suffice(complaints))
        assign_all(&from, out, complaints, notes);
    close_sources(&from);
    return complaints->count > before ? EINVAL : 0;
}

int settings_load(const char *config_path, const char *dotenv_path, struct settings *out, char *error,
                  size_t error_size)
{
    struct complaints complaints = {.first = error, .first_size = error_size};
    int failed = settings_check(config_path, dotenv_path, out, &complaints, NULL);
    if (failed)
        settings_free(out);
    return failed;
}

void settings_default(struct settings *out)
{
    char text[512];
    struct complaints complaints = {.first = text, .first_size = sizeof text};
    *out = (struct settings){0};
    for (size_t i = 0; i < settings_table_count; i++) {
        int error = settings_table[i].required ? 0 : assign_default(&settings_table[i], out, &complaints);
        assert(error == 0);
        (void)error;
    }
}

void settings_forget_secrets(struct settings *s)
{
    if (s->api_token)
        explicit_bzero(s->api_token, strlen(s->api_token));
    free(s->api_token);
    s->api_token = NULL;
}

void settings_free(struct settings *s)
{
    settings_forget_secrets(s);
    free(s->db_url);
    free(s->data_dir);
    free(s->bind);
    free(s->metrics_bind);
    free(s->docs_dir);
    free(s->tokens_file);
    free(s->cors_origins);
    free(s->log_file);
    *s = (struct settings){0};
}
