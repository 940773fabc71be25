/*
 * Reads `--flag value` and `--flag=value` by the table of commands. getopt_long
 * is not used: flags differ from command to command, those for all commands
 * may stand on either side of it, and a value such as -5 is no option.
 */
#include "client/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/commands.h"
#include "client/help.h"
#include "client/status.h"

#define GO_ON (-1)

struct parser {
    int argc;
    char **argv;
    int at;
    const struct command *command; /* NULL until its words were read */
    struct arguments *arguments, *globals;
};

const char *argument(const struct arguments *arguments, const char *flag)
{
    const char *value = NULL;
    for (size_t i = 0; i < arguments->count; i++)
        if (strcmp(arguments->given[i].flag->name, flag) == 0)
            value = arguments->given[i].value;
    return value;
}

void arguments_free(struct arguments *arguments)
{
    free(arguments->given);
    *arguments = (struct arguments){0};
}

static void add(struct arguments *arguments, const struct flag *flag, char *value)
{
    arguments->given = realloc(arguments->given, (arguments->count + 1) * sizeof *arguments->given);
    if (!arguments->given)
        out_of_memory();
    arguments->given[arguments->count++] = (struct given){flag, value};
}

static bool is_help(const char *word)
{
    return word && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0);
}

static int unknown_command(const char *word)
{
    complain("no command '%s'; talea --help lists them", word);
    return STATUS_USAGE;
}

static int help(const char *first, const char *second)
{
    return help_print_commands(first, second) ? STATUS_DONE : unknown_command(first);
}

/* The command itself, one word or two. */
static int take_command(struct parser *p, const char *first)
{
    const char *second = p->at < p->argc ? p->argv[p->at] : NULL;
    for (size_t i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];
        if (strcmp(c->words[0], first) != 0)
            continue;
        if (c->words[1] && is_help(second))
            return help(first, NULL);
        if (c->words[1] && (!second || strcmp(c->words[1], second) != 0)) {
            complain("no command '%s%s%s'; see talea help %s", first, second ? " " : "", second ? second : "",
                     first);
            return STATUS_USAGE;
        }
        p->at += c->words[1] != NULL;
        p->command = c;
        return GO_ON;
    }
    return unknown_command(first);
}

static int take_help(const struct parser *p)
{
    if (p->at < p->argc)
        return help(p->argv[p->at], p->at + 1 < p->argc ? p->argv[p->at + 1] : NULL);
    help_print_overview(stdout);
    return STATUS_DONE;
}

static int take_word(struct parser *p, const char *word)
{
    if (!p->command)
        return strcmp(word, "help") == 0 ? take_help(p) : take_command(p, word);
    if (!p->command->operand || p->arguments->operand) {
        complain("unexpected '%s'; see talea help %s", word, p->command->words[0]);
        return STATUS_USAGE;
    }
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
    if (p->command)
        complain("unknown option '%.*s'; see talea help %s", (int)length, name, p->command->words[0]);
    else
        complain("unknown option '%.*s' before a command; talea --help lists them", (int)length, name);
    return STATUS_USAGE;
}

static int take_flag(struct parser *p, char *word)
{
    char *equals = strchr(word, '=');
    size_t length = equals ? (size_t)(equals - word) : strlen(word);
    const struct flag *flag = find_flag(global_flags, word, length);
    struct arguments *into = flag ? p->globals : p->arguments;
    if (!flag && p->command)
        flag = find_flag(p->command->flags, word, length);
    if (!flag)
        return unknown_flag(p, word, length);
    if (!equals && p->at == p->argc) {
        complain("%s needs a value: %s", flag->name, flag->metavar);
        return STATUS_USAGE;
    }
    if (!flag->repeatable && into == p->arguments && argument(into, flag->name)) {
        complain("%s is given twice", flag->name);
        return STATUS_USAGE;
    }
    add(into, flag, equals ? equals + 1 : p->argv[p->at++]);
    return GO_ON;
}

static int check_required(const struct parser *p)
{
    if (p->command->operand && !p->arguments->operand) {
        complain("%s needs %s; see talea help %s", p->command->words[0], p->command->operand,
                 p->command->words[0]);
        return STATUS_USAGE;
    }
    for (const struct flag *flag = p->command->flags; flag->name; flag++) {
        if (flag->required && !argument(p->arguments, flag->name)) {
            complain("%s is required; see talea help %s", flag->name, p->command->words[0]);
            return STATUS_USAGE;
        }
    }
    return GO_ON;
}

static int take(struct parser *p, char *word)
{
    if (is_help(word)) {
        if (p->command)
            return help(p->command->words[0], p->command->words[1]);
        help_print_overview(stdout);
        return STATUS_DONE;
    }
    if (strcmp(word, "--version") == 0) {
        puts("talea " PACKAGE_VERSION);
        return STATUS_DONE;
    }
    return strncmp(word, "--", 2) == 0 ? take_flag(p, word) : take_word(p, word);
}

int options_read(int argc, char **argv, const struct command **command, struct arguments *arguments,
                 struct arguments *globals)
{
    struct parser p = {.argc = argc, .argv = argv, .at = 1, .arguments = arguments, .globals = globals};
    while (p.at < argc) {
        int status = take(&p, argv[p.at++]);
        if (status != GO_ON)
            return status;
    }
    if (!p.command) {
        help_print_overview(stderr);
        return STATUS_USAGE;
    }
    *command = p.command;
    return check_required(&p);
}
