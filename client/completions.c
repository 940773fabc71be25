#include "client/completions.h"

#include <stdio.h>
#include <string.h>

#include "client/options.h"

static void flag_names(const struct flag *flags)
{
    for (; flags->name; flags++)
        printf(" %s", flags->name);
}

/* First words once each, then the second words of those that have some. */
static void first_words(void)
{
    for (size_t i = 0; i < command_count; i++)
        if (i == 0 || strcmp(commands[i].words[0], commands[i - 1].words[0]) != 0)
            printf(" %s", commands[i].words[0]);
}

static void bash(void)
{
    printf("_talea() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} command= i\n"
           "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
           "        case ${COMP_WORDS[i]} in\n"
           "        -*) ;;\n"
           "        *) [[ -z $command ]] && command=${COMP_WORDS[i]} ;;\n"
           "        esac\n"
           "    done\n"
           "    case $command in\n");
    for (size_t i = 0; i < command_count; i++) {
        printf("    %s) COMPREPLY=($(compgen -W \"", commands[i].words[0]);
        if (commands[i].words[1])
            printf("%s", commands[i].words[1]);
        flag_names(commands[i].flags);
        flag_names(global_flags);
        printf("\" -- \"$word\")) ;;\n");
    }
    printf("    *) COMPREPLY=($(compgen -W \"help");
    first_words();
    flag_names(global_flags);
    printf("\" -- \"$word\")) ;;\n"
           "    esac\n"
           "}\n"
           "complete -F _talea talea\n");
}

static void zsh(void)
{
    printf("#compdef talea\n"
           "_talea() {\n"
           "    local command=${words[2]}\n"
           "    if (( CURRENT == 2 )); then\n"
           "        compadd help");
    first_words();
    flag_names(global_flags);
    printf("\n        return\n"
           "    fi\n"
           "    case $command in\n");
    for (size_t i = 0; i < command_count; i++) {
        printf("    %s) compadd --", commands[i].words[0]);
        if (commands[i].words[1])
            printf(" %s", commands[i].words[1]);
        flag_names(commands[i].flags);
        flag_names(global_flags);
        printf(" ;;\n");
    }
    printf("    esac\n"
           "}\n"
           "compdef _talea talea\n");
}

static void fish(void)
{
    printf("complete -c talea -f\n");
    for (size_t i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];
        printf("complete -c talea -n __fish_use_subcommand -a %s -d '%s'\n", c->words[0], c->help);
        if (c->words[1])
            printf("complete -c talea -n '__fish_seen_subcommand_from %s' -a %s\n", c->words[0], c->words[1]);
        for (const struct flag *f = c->flags; f->name; f++)
            printf("complete -c talea -n '__fish_seen_subcommand_from %s' -l %s -x -d '%s'\n", c->words[0],
                   f->name + 2, f->help);
    }
    for (const struct flag *f = global_flags; f->name; f++)
        printf("complete -c talea -l %s -x -d '%s'\n", f->name + 2, f->help);
}

bool completions_print(const char *shell)
{
    if (strcmp(shell, "bash") == 0)
        bash();
    else if (strcmp(shell, "zsh") == 0)
        zsh();
    else if (strcmp(shell, "fish") == 0)
        fish();
    else
        return false;
    return true;
}
