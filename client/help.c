/* Prints what the table of commands says, for people. The manual page says more and is written by hand. */
#include "client/help.h"

#include <string.h>

#include "client/commands.h"

static void print_flags(FILE *out, const struct flag *flags)
{
    for (; flags->name; flags++) {
        char left[64];
        snprintf(left, sizeof left, "%s %s", flags->name, flags->metavar);
        fprintf(out, "  %-28s %s", left, flags->help);
        if (flags->choices)
            fprintf(out, ": %s", flags->choices);
        fprintf(out, "%s%s\n", flags->required ? " (required)" : "",
                flags->repeatable ? " (repeatable)" : "");
    }
}

void help_print_overview(FILE *out)
{
    fprintf(out, "talea: post to a talea ledger and read it\n\n"
                 "usage: talea [OPTIONS] COMMAND ...\n\n");
    for (size_t i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];
        char name[64];
        snprintf(name, sizeof name, "%s%s%s", c->words[0], c->words[1] ? " " : "",
                 c->words[1] ? c->words[1] : "");
        fprintf(out, "  %-16s %s\n", name, c->help);
    }
    fprintf(out, "\nOptions, before or after the command:\n\n");
    print_flags(out, global_flags);
    fprintf(out, "\ntalea help COMMAND explains one; talea --version; manual: man talea\n");
}

static void print_command(const struct command *c)
{
    printf("usage: talea %s%s%s%s%s%s\n\n%s\n", c->words[0], c->words[1] ? " " : "",
           c->words[1] ? c->words[1] : "", c->operand ? " " : "", c->operand ? c->operand : "",
           c->flags[0].name ? " OPTIONS" : "", c->help);
    if (c->operand_choices)
        printf("%s is one of: %s\n", c->operand, c->operand_choices);
    if (c->flags[0].name)
        putchar('\n');
    print_flags(stdout, c->flags);
}

bool help_print_commands(const char *first, const char *second)
{
    size_t count = 0;
    for (size_t i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];
        if (strcmp(c->words[0], first) != 0 || (second && c->words[1] && strcmp(c->words[1], second) != 0))
            continue;
        if (count++ > 0)
            putchar('\n');
        print_command(c);
    }
    if (count > 0) {
        printf("\nOptions of every command:\n\n");
        print_flags(stdout, global_flags);
    }
    return count > 0;
}
