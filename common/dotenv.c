/*
 * `.env` files, parsed line by line inside the file's own text: names and
 * values point into it, with NULs put behind them, and unescaping only ever
 * shortens. What does not fit the grammar is refused, since a line that is
 * skipped in silence may be the one with the token. Messages show names and
 * line numbers alone.
 */
#include "common/dotenv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/exit_status.h"
#include "common/report.h"
#include "common/small_file.h"

#define FILE_BYTES_MAX (64u << 10)
#define NAME_SHOWN_MAX 64

struct entry {
    const char *name;
    const char *value;
    int line;
};

struct dotenv {
    struct buffer text;
    struct entry *entries;
    size_t count;
    size_t capacity;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool is_name_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static char *skip_blanks(char *p)
{
    while (is_blank(*p))
        p++;
    return p;
}

/* Only blanks and a comment may follow a closing quote. */
static const char *check_after_quote(char *rest)
{
    char *p = skip_blanks(rest);
    return *p == '\0' || (*p == '#' && p > rest) ? NULL : "text follows the closing quote";
}

static const char *parse_single_quoted(char *p, char **value)
{
    char *end = strchr(p, '\'');
    if (!end)
        return "the quote is not closed on this line";
    *end = '\0';
    *value = p;
    return check_after_quote(end + 1);
}

static const char *parse_double_quoted(char *p, char **value)
{
    char *to = p;
    *value = p;
    for (; *p != '"'; p++) {
        if (*p == '\\') {
            p++;
            if (*p != 'n' && *p != '"' && *p != '\\')
                return "only \\n, \\\" and \\\\ may follow a backslash in double quotes";
            *to++ = *p == 'n' ? '\n' : *p;
        } else if (*p == '\0') {
            return "the quote is not closed on this line";
        } else {
            *to++ = *p;
        }
    }
    const char *wrong = check_after_quote(p + 1);
    *to = '\0';
    return wrong;
}

static void parse_bare(char *p, char **value)
{
    char *begin = skip_blanks(p);
    char *end = begin;
    for (char *at = begin; *at && !(*at == '#' && at > p && is_blank(at[-1])); at++)
        if (!is_blank(*at))
            end = at + 1;
    *end = '\0';
    *value = begin;
}

/* `p` stands behind the `=`. NULL, or what is wrong. */
static const char *parse_value(char *p, char **value)
{
    char *first = skip_blanks(p);
    if (*first == '\'')
        return parse_single_quoted(first + 1, value);
    if (*first == '"')
        return parse_double_quoted(first + 1, value);
    parse_bare(p, value);
    return NULL;
}

static char *skip_export(char *p)
{
    if (strncmp(p, "export", 6) == 0 && is_blank(p[6])) {
        char *name = skip_blanks(p + 6);
        if (is_name_char(*name))
            return name;
    }
    return p;
}

/* One line without its newline, NUL-terminated. `*name` stays NULL when it is blank or a comment. */
static const char *parse_line(char *line, char **name, char **value)
{
    char *begin = skip_blanks(line);
    if (*begin == '\0' || *begin == '#')
        return NULL;
    begin = skip_export(begin);
    char *end = begin;
    while (is_name_char(*end))
        end++;
    char *equals = skip_blanks(end);
    if (end == begin || (*begin >= '0' && *begin <= '9') || *equals != '=')
        return "not a line of the form NAME=value";
    const char *wrong = parse_value(equals + 1, value);
    *end = '\0';
    *name = begin;
    return wrong;
}

static const struct entry *find(const struct dotenv *env, const char *name)
{
    for (size_t i = 0; i < env->count; i++)
        if (strcmp(env->entries[i].name, name) == 0)
            return &env->entries[i];
    return NULL;
}

static void add_entry(struct dotenv *env, const char *name, const char *value, int line)
{
    if (env->count == env->capacity) {
        env->capacity = env->capacity ? env->capacity * 2 : 16;
        env->entries = reallocarray(env->entries, env->capacity, sizeof *env->entries);
        if (!env->entries)
            report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory reading an environment file");
    }
    env->entries[env->count++] = (struct entry){name, value, line};
}

static void take_line(struct dotenv *env, const char *path, char *text, int line, struct complaints *complaints)
{
    char *name = NULL, *value = NULL;
    const char *wrong = parse_line(text, &name, &value);
    const struct entry *earlier = name && !wrong ? find(env, name) : NULL;
    if (wrong)
        complaints_add(complaints, NULL, path, line, "%s:%d: %s", path, line, wrong);
    else if (earlier)
        complaints_add(complaints, NULL, path, line, "%s:%d: %.*s is given twice, first in line %d", path, line,
                       NAME_SHOWN_MAX, name, earlier->line);
    else if (name)
        add_entry(env, name, value, line);
}

static void parse_text(struct dotenv *env, const char *path, struct complaints *complaints)
{
    int line = 1;
    for (char *at = (char *)env->text.base, *next; at && !complaints_suffice(complaints); at = next, line++) {
        char *newline = strchr(at, '\n');
        next = newline ? newline + 1 : NULL;
        if (newline)
            *newline = '\0';
        take_line(env, path, at, line, complaints);
    }
}

static int read_text(struct dotenv *env, const char *path, struct complaints *complaints)
{
    int failed = small_file_read(path, FILE_BYTES_MAX, &env->text);
    if (failed == ENOENT)
        return ENOENT;
    if (failed == EFBIG)
        return complaints_add(complaints, NULL, path, 0, "%s: is larger than %u bytes", path, FILE_BYTES_MAX);
    if (failed)
        return complaints_add(complaints, NULL, path, 0, "%s: cannot be read: %s", path, strerror(failed));
    if (memchr(env->text.base, '\0', env->text.len))
        return complaints_add(complaints, NULL, path, 0, "%s: holds a NUL byte", path);
    buffer_append(&env->text, "", 1);
    return 0;
}

int dotenv_read_all(const char *path, struct dotenv **out, struct complaints *complaints)
{
    struct dotenv *env = calloc(1, sizeof *env);
    if (!env)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory reading %s", path);
    int failed = read_text(env, path, complaints);
    if (!failed)
        parse_text(env, path, complaints);
    *out = env;
    return failed == ENOENT ? ENOENT : 0;
}

int dotenv_read(const char *path, struct dotenv **out, char *error, size_t error_size)
{
    struct complaints complaints = {.first = error, .first_size = error_size};
    int failed = dotenv_read_all(path, out, &complaints);
    if (complaints.count == 0)
        return failed;
    dotenv_destroy(out);
    return EINVAL;
}

void dotenv_destroy(struct dotenv **env)
{
    if (!*env)
        return;
    small_file_wipe(&(*env)->text);
    free((*env)->entries);
    free(*env);
    *env = NULL;
}

const char *dotenv_get(const struct dotenv *env, const char *name)
{
    const struct entry *entry = find(env, name);
    return entry ? entry->value : NULL;
}

int dotenv_line(const struct dotenv *env, const char *name)
{
    const struct entry *entry = find(env, name);
    return entry ? entry->line : 0;
}
