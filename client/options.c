#include "client/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/status.h"

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

static void add(struct arguments *arguments, const struct flag *flag, const char *value)
{
    arguments->given = realloc(arguments->given, (arguments->count + 1) * sizeof *arguments->given);
    if (!arguments->given) {
        complain("out of memory");
        exit(STATUS_USAGE);
    }
    arguments->given[arguments->count++] = (struct given){flag, value};
}

/* --- help --- */

static void print_name(FILE *out, const struct command *command)
{
    fprintf(out, "%s%s%s", command->words[0], command->words[1] ? " " : "", command->words[1] ? command->words[1] : "");
}

static void print_flags(FILE *out, const struct flag *flags)
{
    for (; flags->name; flags++) {
        char left[48];
        snprintf(left, sizeof left, "%s %s", flags->name, flags->metavar);
        fprintf(out, "  %-24s %s%s%s\n", left, flags->help, flags->required ? " (required)" : "",
                flags->repeatable ? " (repeatable)" : "");
    }
}

static void print_overview(FILE *out)
{
    fprintf(out, "talea: post to a talea ledger and read it\n\nusage: talea [--url URL] [--token TOKEN] COMMAND ...\n\n");
    for (size_t i = 0; i < command_count; i++) {
        char name[48];
        snprintf(name, sizeof name, "%s%s%s", commands[i].words[0], commands[i].words[1] ? " " : "",
                 commands[i].words[1] ? commands[i].words[1] : "");
        fprintf(out, "  %-16s %s\n", name, commands[i].help);
    }
    fprintf(out, "\nOptions before or after the command:\n\n");
    print_flags(out, global_flags);
    fprintf(out, "\ntalea help COMMAND explains one; manual: man talea\n");
}

static void print_command(const struct command *command)
{
    printf("usage: talea ");
    print_name(stdout, command);
    printf("%s%s%s\n\n%s\n\n", command->operand ? " " : "", command->operand ? command->operand : "",
           command->flags[0].name ? " [OPTIONS]" : "", command->help);
    print_flags(stdout, command->flags);
}

/* --- parsing --- */

static const struct flag *find_flag(const struct flag *flags, const char *name, size_t length)
{
    for (; flags->name; flags++)
        if (strlen(flags->name) == length && strncmp(flags->name, name, length) == 0)
            return flags;
    return NULL;
}

struct parser {
    int argc;
    char **argv;
    int at;
    const struct command *command; /* NULL until its words were read */
    struct arguments *arguments, *globals;
};

static const struct command *find_command(const char *first, const char *second)
{
    for (size_t i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];
        if (strcmp(c->words[0], first) == 0 && (!c->words[1] || (second && strcmp(c->words[1], second) == 0)))
            return c;
    }
    return NULL;
}

static int take_word(struct parser *p, const char *word)
{
    if (!p->command) {
        const char *next = p->at < p->argc ? p->argv[p->at] : NULL;
        p->command = find_command(word, next);
        if (!p->command) {
            complain("no command '%s'; talea --help lists them", word);
            return STATUS_USAGE;
        }
        if (p->command->words[1])
            p->at++;
        return -1;
    }
    if (!p->command->operand || p->arguments->operand) {
        complain("unexpected '%s'; see talea help %s", word, p->command->words[0]);
        return STATUS_USAGE;
    }
    p->arguments->operand = word;
    return -1;
}

/* A token on the command line shows in ps until it is overwritten; the copy stays. */
static const char *hide(char *value)
{
    char *copy = strdup(value);
    if (copy)
        memset(value, 'x', strlen(value));
    return copy ? copy : "";
}

static int take_flag(struct parser *p, char *word)
{
    char *equals = strchr(word, '=');
    size_t length = equals ? (size_t)(equals - word) : strlen(word);
    struct arguments *into = p->globals;
    const struct flag *flag = find_flag(global_flags, word, length);
    if (!flag && p->command) {
        flag = find_flag(p->command->flags, word, length);
        into = p->arguments;
    }
    if (!flag) {
        complain("unknown option '%.*s'; talea --help lists them", (int)length, word);
        return STATUS_USAGE;
    }
    if (!equals && p->at == p->argc) {
        complain("%s needs a value: %s", flag->name, flag->metavar);
        return STATUS_USAGE;
    }
    char *value = equals ? equals + 1 : p->argv[p->at++];
    if (!flag->repeatable && into != p->globals && argument(into, flag->name)) {
        complain("%s is given twice", flag->name);
        return STATUS_USAGE;
    }
    add(into, flag, strcmp(flag->name, "--token") == 0 ? hide(value) : value);
    return -1;
}

static int check_required(const struct parser *p)
{
    if (p->command->operand && !p->arguments->operand) {
        complain("%s needs %s; see talea help %s", p->command->words[0], p->command->operand, p->command->words[0]);
        return STATUS_USAGE;
    }
    for (const struct flag *flag = p->command->flags; flag->name; flag++) {
        if (flag->required && !argument(p->arguments, flag->name)) {
            complain("%s is required", flag->name);
            return STATUS_USAGE;
        }
    }
    return -1;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int help(int argc, char **argv)
{
    const struct command *command;
    if (argc < 1) {
        print_overview(stdout);
        return STATUS_DONE;
    }
    command = find_command(argv[0], argc > 1 ? argv[1] : NULL);
    for (size_t i = 0; !command && i < command_count; i++)
        if (strcmp(commands[i].words[0], argv[0]) == 0)
            command = &commands[i];
    if (!command) {
        complain("no command '%s'; talea --help lists them", argv[0]);
        return STATUS_USAGE;
    }
    print_command(command);
    return STATUS_DONE;
}

int options_read(int argc, char **argv, const struct command **command, struct arguments *arguments,
                 struct arguments *globals)
{
    struct parser p = {.argc = argc, .argv = argv, .at = 1, .arguments = arguments, .globals = globals};
    if (argc > 1 && strcmp(argv[1], "help") == 0)
        return help(argc - 2, argv + 2);
    while (p.at < argc) {
        char *word = argv[p.at++];
        int status;
        if (is_help(word)) {
            if (p.command)
                print_command(p.command);
            else
                print_overview(stdout);
            return STATUS_DONE;
        }
        if (strcmp(word, "--version") == 0) {
            puts("talea " PACKAGE_VERSION);
            return STATUS_DONE;
        }
        status = word[0] == '-' && word[1] == '-' ? take_flag(&p, word) : take_word(&p, word);
        if (status >= 0)
            return status;
    }
    if (!p.command) {
        print_overview(stderr);
        return STATUS_USAGE;
    }
    *command = p.command;
    return check_required(&p);
}
