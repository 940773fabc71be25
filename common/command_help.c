/* Prints what the table of commands says, for people. The manual pages say more and are written by hand. */
#include "common/command_help.h"

#include <stdbool.h>

#include <string.h>

static void print_flags(FILE *out, const struct flag *flags)
{
    for (; flags->name; flags++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s%s", flags->name, flags->metavar ? " " : "",
                 flags->metavar ? flags->metavar : "");
        fprintf(out, "  %-28s %s", left, flags->help);
        if (flags->choices)
            fprintf(out, ": %s", flags->choices);
        fprintf(out, "%s%s\n", flags->required ? " (required)" : "", flags->repeatable ? " (repeatable)" : "");
    }
}

static void print_list(FILE *out, const struct program *program)
{
    int width = 0;
    for (size_t i = 0; i < program->command_count; i++) {
        const char *const *words = program->commands[i].words;
        int length = (int)strlen(words[0]) + (words[1] ? 1 + (int)strlen(words[1]) : 0);
        width = length > width ? length : width;
    }
    for (size_t i = 0; i < program->command_count; i++) {
        const struct command *c = &program->commands[i];
        char name[64];
        snprintf(name, sizeof name, "%s%s%s", c->words[0], c->words[1] ? " " : "", c->words[1] ? c->words[1] : "");
        fprintf(out, "  %-*s %s\n", width, name, c->help);
    }
    fprintf(out, "  %-*s %s\n", width, "help", "explain a command");
}

void help_print_overview(const struct program *program, FILE *out)
{
    fprintf(out, "%s: %s\n\nusage: %s %sCOMMAND ...\n\n", program->name, program->summary, program->name,
            program->global_flags->name ? "[OPTIONS] " : "");
    print_list(out, program);
    if (program->global_flags->name) {
        fprintf(out, "\nOptions, before or after the command:\n\n");
        print_flags(out, program->global_flags);
    }
    fprintf(out, "\n%s help COMMAND explains one; %s --version; manual: man %s\n", program->name, program->name,
            program->name);
}

static void print_usage(const struct program *program, const struct command *c)
{
    printf("usage: %s %s", program->name, c->words[0]);
    if (c->words[1])
        printf(" %s", c->words[1]);
    if (c->operand)
        printf(c->operand_optional ? " [%s]" : " %s", c->operand);
    for (const struct flag *flag = c->flags; flag->name; flag++)
        printf(" %s%s%s%s%s%s", flag->required ? "" : "[", flag->name, flag->metavar ? " " : "",
               flag->metavar ? flag->metavar : "", flag->required ? "" : "]", flag->repeatable ? "..." : "");
    putchar('\n');
}

static void print_command(const struct program *program, const struct command *c)
{
    print_usage(program, c);
    printf("\n%s\n", c->details ? c->details : c->help);
    if (c->operand_choices)
        printf("%s is one of: %s\n", c->operand, c->operand_choices);
    if (c->flags[0].name)
        putchar('\n');
    print_flags(stdout, c->flags);
    if (c->explain)
        c->explain();
}

bool help_print_commands(const struct program *program, const char *first, const char *second)
{
    size_t count = 0;
    for (size_t i = 0; i < program->command_count; i++) {
        const struct command *c = &program->commands[i];
        if (strcmp(c->words[0], first) != 0 || (second && c->words[1] && strcmp(c->words[1], second) != 0))
            continue;
        if (count++ > 0)
            putchar('\n');
        print_command(program, c);
    }
    if (count > 0 && program->global_flags->name) {
        printf("\nOptions of every command:\n\n");
        print_flags(stdout, program->global_flags);
    }
    return count > 0;
}
