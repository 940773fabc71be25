/*
 * Completion scripts, generated from the table of commands: words of commands,
 * their flags, and the values of flags that have a list of them. Help texts go
 * into single quotes there and hold none.
 */
#include "client/completions.h"

#include <stdio.h>
#include <string.h>

#include "client/commands.h"

static bool is_first_of_its_word(size_t i)
{
    return i == 0 || strcmp(commands[i].words[0], commands[i - 1].words[0]) != 0;
}

static void print_first_words(void)
{
    for (size_t i = 0; i < command_count; i++)
        if (is_first_of_its_word(i))
            printf(" %s", commands[i].words[0]);
}

static void print_flag_names(const struct flag *flags)
{
    for (; flags->name; flags++)
        printf(" %s", flags->name);
}

static bool wants_file(const struct flag *flag)
{
    return strcmp(flag->metavar, "FILE") == 0;
}

/* --- bash --- */

/* bash breaks words at = and :, also within a URL or a posting; what belongs to a value is stepped over. */
static const char bash_head[] =
    "_talea() {\n"
    "    local word=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]} command= i\n"
    "    [[ $word == = ]] && word=\n"
    "    [[ $flag == = ]] && flag=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        case ${COMP_WORDS[i]} in\n"
    "        --help | --version | -h) ;;\n"
    "        --*)\n"
    "            ((i++))\n"
    "            [[ ${COMP_WORDS[i]} == = ]] && ((i++))\n"
    "            while [[ ${COMP_WORDS[i + 1]} == *[:=]* ]]; do ((i += 2)); done ;;\n"
    "        *) command+=\"${COMP_WORDS[i]} \" ;;\n"
    "        esac\n"
    "    done\n"
    "    case $flag in\n";

static void print_bash_values(const struct flag *flags)
{
    for (; flags->name; flags++) {
        if (flags->choices)
            printf("    %s) COMPREPLY=($(compgen -W \"%s\" -- \"$word\")); return ;;\n", flags->name,
                   flags->choices);
        if (wants_file(flags))
            printf("    %s)\n"
                   "        compopt -o filenames 2>/dev/null\n"
                   "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
                   "        return ;;\n",
                   flags->name);
    }
}

static void print_bash_command(const struct command *c)
{
    printf("    \"%s %s%s\"*) COMPREPLY=($(compgen -W \"%s", c->words[0], c->words[1] ? c->words[1] : "",
           c->words[1] ? " " : "", c->operand_choices ? c->operand_choices : "");
    print_flag_names(c->flags);
    print_flag_names(global_flags);
    printf(" --help\" -- \"$word\")) ;;\n");
}

static void print_bash_second_words(size_t first)
{
    const char *word = commands[first].words[0];
    printf("    \"%s \"*) COMPREPLY=($(compgen -W \"", word);
    for (size_t i = first; i < command_count && strcmp(commands[i].words[0], word) == 0; i++)
        printf("%s ", commands[i].words[1]);
    printf("\" -- \"$word\")) ;;\n");
}

static void print_bash(void)
{
    fputs(bash_head, stdout);
    for (size_t i = 0; i < command_count; i++)
        print_bash_values(commands[i].flags);
    printf("    --help | --version | -h) ;;\n"
           "    --*) COMPREPLY=(); return ;;\n"
           "    esac\n"
           "    case $command in\n");
    for (size_t i = 0; i < command_count; i++)
        print_bash_command(&commands[i]);
    for (size_t i = 0; i < command_count; i++)
        if (commands[i].words[1] && is_first_of_its_word(i))
            print_bash_second_words(i);
    printf("    '' | 'help ') COMPREPLY=($(compgen -W \"help");
    print_first_words();
    print_flag_names(global_flags);
    printf(" --help --version\" -- \"$word\")) ;;\n"
           "    esac\n"
           "}\n"
           "complete -F _talea talea\n");
}

/* --- zsh --- */

/* Colons and brackets divide the parts of what _arguments reads. */
static void print_zsh_text(const char *s)
{
    for (; *s; s++)
        printf(strchr(":[]", *s) ? "\\%c" : "%c", *s);
}

static void print_zsh_flags(const struct flag *flags)
{
    for (; flags->name; flags++) {
        printf(" \\\n            '%s%s=[", flags->repeatable ? "*" : "", flags->name);
        print_zsh_text(flags->help);
        printf("]:");
        print_zsh_text(flags->metavar);
        if (flags->choices)
            printf(":(%s)'", flags->choices);
        else
            printf(":%s'", wants_file(flags) ? "_files" : " ");
    }
}

static void print_zsh_command(size_t i)
{
    const struct command *c = &commands[i];
    if (is_first_of_its_word(i))
        printf("    %s)\n", c->words[0]);
    printf("        _arguments \"${common[@]}\"");
    if (c->words[1])
        printf(" '1:command:(%s)'", c->words[1]);
    if (c->operand)
        printf(" '1:%s:(%s)'", c->operand, c->operand_choices ? c->operand_choices : "");
    print_zsh_flags(c->flags);
    printf("\n");
    if (i + 1 == command_count || is_first_of_its_word(i + 1))
        printf("        ;;\n");
}

static void print_zsh(void)
{
    printf("#compdef talea\n"
           "_talea() {\n"
           "    local curcontext=$curcontext state line\n"
           "    local -a common\n"
           "    common=( \\\n            '--help[explain]'");
    print_zsh_flags(global_flags);
    printf(" )\n"
           "    _arguments -C \"${common[@]}\" '--version[print the version]' '1:command:(help");
    print_first_words();
    printf(")' '*::argument:->rest' && return\n"
           "    [[ $state == rest ]] || return\n"
           "    case $words[1] in\n"
           "    help)\n"
           "        _arguments '1:command:(");
    print_first_words();
    printf(")' ;;\n");
    for (size_t i = 0; i < command_count; i++)
        print_zsh_command(i);
    printf("    esac\n"
           "}\n"
           "if [[ $funcstack[1] == _talea ]]; then _talea \"$@\"; else compdef _talea talea; fi\n");
}

/* --- fish --- */

static void print_fish_flag(const char *condition, const struct flag *flag)
{
    printf("complete -c talea%s -l %s -r -d '%s'", condition, flag->name + 2, flag->help);
    if (flag->choices)
        printf(" -f -a '%s'", flag->choices);
    else
        printf("%s", wants_file(flag) ? " -F" : " -f");
    putchar('\n');
}

static void print_fish_command(const struct command *c)
{
    char condition[128];
    printf("complete -c talea -n __fish_use_subcommand -a %s -d '%s'\n", c->words[0], c->help);
    if (c->words[1])
        printf("complete -c talea -n '__fish_seen_subcommand_from %s; "
               "and not __fish_seen_subcommand_from %s' -a %s\n",
               c->words[0], c->words[1], c->words[1]);
    if (c->operand_choices)
        printf("complete -c talea -n '__fish_seen_subcommand_from %s' -a '%s'\n", c->words[0],
               c->operand_choices);
    snprintf(condition, sizeof condition, " -n '__fish_seen_subcommand_from %s'",
             c->words[1] ? c->words[1] : c->words[0]);
    for (const struct flag *f = c->flags; f->name; f++)
        print_fish_flag(condition, f);
}

static void print_fish(void)
{
    printf("complete -c talea -f\n"
           "complete -c talea -n __fish_use_subcommand -a help -d 'explain a command'\n"
           "complete -c talea -l help -d 'explain'\n"
           "complete -c talea -n __fish_use_subcommand -l version -d 'print the version'\n");
    for (const struct flag *f = global_flags; f->name; f++)
        print_fish_flag("", f);
    for (size_t i = 0; i < command_count; i++)
        print_fish_command(&commands[i]);
}

bool completions_print(const char *shell)
{
    if (strcmp(shell, "bash") == 0)
        print_bash();
    else if (strcmp(shell, "zsh") == 0)
        print_zsh();
    else if (strcmp(shell, "fish") == 0)
        print_fish();
    else
        return false;
    return true;
}
