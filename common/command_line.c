/*
 * Reads `--flag value`, `--flag=value` and switches by the table of commands. getopt_long
 * is not used: flags differ from command to command, those for all commands
 * may stand on either side of it, and a value such as -5 is no option.
 */
#include "common/command_line.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/command_help.h"

#define GO_ON COMMAND_LINE_GO_ON
#define OUT_OF_MEMORY 3 /* what both programs end with then */

struct parser {
    const struct program *program;
    int argc;
    char **argv;
    int at;
    const struct command *command; /* NULL until its words were read */
    struct arguments *arguments, *globals;
};

__attribute__((format(printf, 2, 3))) static int wrong(const struct parser *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", p->program->name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return COMMAND_LINE_WRONG;
}

const char *argument(const struct arguments *arguments, const char *flag)
{
    const char *value = NULL;
    for (size_t i = 0; i < arguments->count; i++)
        if (strcmp(arguments->given[i].flag->name, flag) == 0)
            value = arguments->given[i].value;
    return value;
}

bool argument_given(const struct arguments *arguments, const char *flag)
{
    for (size_t i = 0; i < arguments->count; i++)
        if (strcmp(arguments->given[i].flag->name, flag) == 0)
            return true;
    return false;
}

void arguments_free(struct arguments *arguments)
{
    free(arguments->given);
    *arguments = (struct arguments){0};
}

static void add(const struct parser *p, struct arguments *arguments, const struct flag *flag, char *value)
{
    arguments->given = realloc(arguments->given, (arguments->count + 1) * sizeof *arguments->given);
    if (!arguments->given) {
        wrong(p, "out of memory");
        exit(OUT_OF_MEMORY);
    }
    arguments->given[arguments->count++] = (struct given){flag, value};
}

static bool is_help(const char *word)
{
    return word && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0);
}

static int unknown_command(const struct parser *p, const char *word)
{
    return wrong(p, "no command '%s'; %s --help lists them", word, p->program->name);
}

static int help(const struct parser *p, const char *first, const char *second)
{
    return help_print_commands(p->program, first, second) ? COMMAND_LINE_DONE : unknown_command(p, first);
}

/* The command itself, one word or two. */
static int take_command(struct parser *p, const char *first)
{
    const char *second = p->at < p->argc ? p->argv[p->at] : NULL;
    for (size_t i = 0; i < p->program->command_count; i++) {
        const struct command *c = &p->program->commands[i];
        if (strcmp(c->words[0], first) != 0)
            continue;
        if (c->words[1] && is_help(second))
            return help(p, first, NULL);
        if (c->words[1] && (!second || strcmp(c->words[1], second) != 0))
            return wrong(p, "no command '%s%s%s'; see %s help %s", first, second ? " " : "", second ? second : "",
                         p->program->name, first);
        p->at += c->words[1] != NULL;
        p->command = c;
        return GO_ON;
    }
    return unknown_command(p, first);
}

static int take_help(const struct parser *p)
{
    if (p->at < p->argc && strcmp(p->argv[p->at], "help") != 0)
        return help(p, p->argv[p->at], p->at + 1 < p->argc ? p->argv[p->at + 1] : NULL);
    help_print_overview(p->program, stdout);
    return COMMAND_LINE_DONE;
}

static int take_word(struct parser *p, const char *word)
{
    if (!p->command)
        return strcmp(word, "help") == 0 ? take_help(p) : take_command(p, word);
    if (!p->command->operand || p->arguments->operand)
        return wrong(p, "unexpected '%s'; see %s help %s", word, p->program->name, p->command->words[0]);
    p->arguments->operand = word;
    return GO_ON;
}

static const struct flag *find_flag(const struct flag *flags, const char *name, size_t length)
{
    for (; flags->name; flags++)
        if (strlen(flags->name) == length && strncmp(flags->name, name, length) == 0)
            return flags;
    return NULL;
}

static int unknown_flag(const struct parser *p, const char *name, size_t length)
{
    const char *program = p->program->name;
    if (p->command)
        return wrong(p, "unknown option '%.*s'; see %s help %s", (int)length, name, program, p->command->words[0]);
    return wrong(p, "unknown option '%.*s' before a command; %s --help lists them", (int)length, name, program);
}

/* A switch has no value, all else has one, behind the `=` or as the next word. */
static int take_value(struct parser *p, const struct flag *flag, char *equals, char **value)
{
    *value = equals ? equals + 1 : NULL;
    if (!flag->metavar)
        return equals ? wrong(p, "%s takes no value", flag->name) : GO_ON;
    if (!equals && p->at == p->argc)
        return wrong(p, "%s needs a value: %s", flag->name, flag->metavar);
    if (!equals)
        *value = p->argv[p->at++];
    return GO_ON;
}

static int take_flag(struct parser *p, char *word)
{
    char *equals = strchr(word, '='), *value;
    size_t length = equals ? (size_t)(equals - word) : strlen(word);
    const struct flag *flag = find_flag(p->program->global_flags, word, length);
    struct arguments *into = flag ? p->globals : p->arguments;
    if (!flag && p->command)
        flag = find_flag(p->command->flags, word, length);
    if (!flag)
        return unknown_flag(p, word, length);
    int status = take_value(p, flag, equals, &value);
    if (status != GO_ON)
        return status;
    if (!flag->repeatable && into == p->arguments && argument_given(into, flag->name))
        return wrong(p, "%s is given twice", flag->name);
    add(p, into, flag, value);
    return GO_ON;
}

static int check_required(const struct parser *p)
{
    const char *program = p->program->name, *word = p->command->words[0];
    if (p->command->operand && !p->command->operand_optional && !p->arguments->operand)
        return wrong(p, "%s needs %s; see %s help %s", word, p->command->operand, program, word);
    for (const struct flag *flag = p->command->flags; flag->name; flag++)
        if (flag->required && !argument(p->arguments, flag->name))
            return wrong(p, "%s is required; see %s help %s", flag->name, program, word);
    return GO_ON;
}

/* -5 and - are words. */
static bool looks_like_flag(const char *word)
{
    char next = word[0] == '-' ? word[1] : '\0';
    return next == '-' || (next >= 'a' && next <= 'z') || (next >= 'A' && next <= 'Z');
}

static int take(struct parser *p, char *word)
{
    if (is_help(word)) {
        if (p->command)
            return help(p, p->command->words[0], p->command->words[1]);
        help_print_overview(p->program, stdout);
        return COMMAND_LINE_DONE;
    }
    if (strcmp(word, "--version") == 0) {
        printf("%s " PACKAGE_VERSION "\n", p->program->name);
        return COMMAND_LINE_DONE;
    }
    return looks_like_flag(word) ? take_flag(p, word) : take_word(p, word);
}

int command_line_read(const struct program *program, int argc, char **argv, const struct command **command,
                      struct arguments *arguments, struct arguments *globals)
{
    struct parser p = {
        .program = program, .argc = argc, .argv = argv, .at = 1, .arguments = arguments, .globals = globals};
    while (p.at < argc) {
        int status = take(&p, argv[p.at++]);
        if (status != GO_ON)
            return status;
    }
    if (!p.command) {
        help_print_overview(program, stderr);
        return COMMAND_LINE_WRONG;
    }
    *command = p.command;
    return check_required(&p);
}
