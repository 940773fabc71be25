/*
 * Completion scripts, generated from a program's table of commands: words of
 * commands, their flags and operands, and the values of those that have a list
 * of them or name files. Help texts go into single quotes there and hold none.
 */
#include "common/completions.h"

#include <stdio.h>
#include <string.h>

static const struct program *program; /* whose script is printed; a script is printed once in a process */

static bool is_first_of_its_word(size_t i)
{
    return i == 0 || strcmp(program->commands[i].words[0], program->commands[i - 1].words[0]) != 0;
}

static void print_first_words(void)
{
    for (size_t i = 0; i < program->command_count; i++)
        if (is_first_of_its_word(i))
            printf(" %s", program->commands[i].words[0]);
}

static void print_flag_names(const struct flag *flags)
{
    for (; flags->name; flags++)
        printf(" %s", flags->name);
}

static bool is(const char *metavar, const char *what)
{
    return metavar && strcmp(metavar, what) == 0;
}

/* --- bash --- */

/*
 * bash breaks words at = and :, also within a URL or a posting; what belongs
 * to a value is stepped over. Whether a flag has a value depends on its name
 * alone: a name is a switch in all commands or in none.
 */
static const char bash_begin[] =
    "    local word=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]} command= i\n"
    "    [[ $word == = ]] && word=\n"
    "    [[ $flag == = ]] && flag=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        case ${COMP_WORDS[i]} in\n"
    "        --help | --version | -h";
static const char bash_middle[] =
    ") ;;\n"
    "        --*)\n"
    "            ((i++))\n"
    "            [[ ${COMP_WORDS[i]} == = ]] && ((i++))\n"
    "            while [[ ${COMP_WORDS[i + 1]} == *[:=]* ]]; do ((i += 2)); done ;;\n"
    "        *) command+=\"${COMP_WORDS[i]} \" ;;\n"
    "        esac\n"
    "    done\n"
    "    case $flag in\n";

static void print_bash_switches(void)
{
    for (size_t i = 0; i < program->command_count; i++)
        for (const struct flag *flag = program->commands[i].flags; flag->name; flag++)
            if (!flag->metavar)
                printf(" | %s", flag->name);
}

static void print_bash_files(const char *metavar, const char *indent)
{
    printf("%scompopt -o filenames 2>/dev/null\n"
           "%sCOMPREPLY=($(compgen -%c -- \"$word\"))\n",
           indent, indent, is(metavar, "DIR") ? 'd' : 'f');
}

/* By name alone too: the first command that has a flag of that name says what its values are. */
static void print_bash_values(const struct flag *flags)
{
    for (; flags->name; flags++) {
        if (flags->choices)
            printf("    %s) COMPREPLY=($(compgen -W \"%s\" -- \"$word\")); return ;;\n", flags->name, flags->choices);
        if (is(flags->metavar, "FILE") || is(flags->metavar, "DIR")) {
            printf("    %s)\n", flags->name);
            print_bash_files(flags->metavar, "        ");
            printf("        return ;;\n");
        }
    }
}

static void print_bash_command(const struct command *c)
{
    printf("    \"%s %s%s\"*)\n", c->words[0], c->words[1] ? c->words[1] : "", c->words[1] ? " " : "");
    if (is(c->operand, "FILE") || is(c->operand, "DIR")) {
        printf("        if [[ $word != -* ]]; then\n");
        print_bash_files(c->operand, "            ");
        printf("            return\n        fi\n");
    }
    printf("        COMPREPLY=($(compgen -W \"%s", c->operand_choices ? c->operand_choices : "");
    print_flag_names(c->flags);
    print_flag_names(program->global_flags);
    printf(" --help\" -- \"$word\")) ;;\n");
}

static void print_bash_second_words(size_t first)
{
    const char *word = program->commands[first].words[0];
    printf("    \"%s \"*) COMPREPLY=($(compgen -W \"", word);
    for (size_t i = first; i < program->command_count && strcmp(program->commands[i].words[0], word) == 0; i++)
        printf("%s ", program->commands[i].words[1]);
    printf("\" -- \"$word\")) ;;\n");
}

static void print_bash_commands(void)
{
    for (size_t i = 0; i < program->command_count; i++)
        print_bash_command(&program->commands[i]);
    for (size_t i = 0; i < program->command_count; i++)
        if (program->commands[i].words[1] && is_first_of_its_word(i))
            print_bash_second_words(i);
    printf("    '' | 'help ') COMPREPLY=($(compgen -W \"help");
    print_first_words();
    print_flag_names(program->global_flags);
    printf(" --help --version\" -- \"$word\")) ;;\n");
}

static void print_bash(void)
{
    printf("_%s() {\n%s", program->name, bash_begin);
    print_bash_switches();
    fputs(bash_middle, stdout);
    for (size_t i = 0; i < program->command_count; i++)
        print_bash_values(program->commands[i].flags);
    printf("    --help | --version | -h");
    print_bash_switches();
    printf(") ;;\n"
           "    --*) COMPREPLY=(); return ;;\n"
           "    esac\n"
           "    case $command in\n");
    print_bash_commands();
    printf("    esac\n"
           "}\n"
           "complete -F _%s %s\n",
           program->name, program->name);
}

/* --- zsh --- */

/* Colons and brackets divide the parts of what _arguments reads. */
static void print_zsh_text(const char *s)
{
    for (; *s; s++)
        printf(strchr(":[]", *s) ? "\\%c" : "%c", *s);
}

/* `:what it is:how it is completed`. */
static void print_zsh_value(const char *metavar, const char *choices)
{
    putchar(':');
    print_zsh_text(metavar);
    if (choices)
        printf(":(%s)", choices);
    else
        printf(":%s", is(metavar, "FILE") ? "_files" : is(metavar, "DIR") ? "_files -/" : " ");
}

static void print_zsh_flags(const struct flag *flags)
{
    for (; flags->name; flags++) {
        printf(" \\\n            '%s%s%s[", flags->repeatable ? "*" : "", flags->name, flags->metavar ? "=" : "");
        print_zsh_text(flags->help);
        putchar(']');
        if (flags->metavar)
            print_zsh_value(flags->metavar, flags->choices);
        putchar('\'');
    }
}

static void print_zsh_command(size_t i)
{
    const struct command *c = &program->commands[i];
    if (is_first_of_its_word(i))
        printf("    %s)\n", c->words[0]);
    printf("        _arguments \"${common[@]}\"");
    if (c->words[1])
        printf(" '1:command:(%s)'", c->words[1]);
    if (c->operand) {
        printf(" '1%s", c->operand_optional ? ":" : "");
        print_zsh_value(c->operand, c->operand_choices);
        putchar('\'');
    }
    print_zsh_flags(c->flags);
    printf("\n");
    if (i + 1 == program->command_count || is_first_of_its_word(i + 1))
        printf("        ;;\n");
}

static void print_zsh(void)
{
    const char *name = program->name;
    printf("#compdef %s\n"
           "_%s() {\n"
           "    local curcontext=$curcontext state line\n"
           "    local -a common\n"
           "    common=( \\\n            '--help[explain]'",
           name, name);
    print_zsh_flags(program->global_flags);
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
    for (size_t i = 0; i < program->command_count; i++)
        print_zsh_command(i);
    printf("    esac\n"
           "}\n"
           "if [[ $funcstack[1] == _%s ]]; then _%s \"$@\"; else compdef _%s %s; fi\n",
           name, name, name, name);
}

/* --- fish --- */

/*
 * fish's own conditions take the value of an option for a command. Here the
 * words so far are those that are neither options nor their values; a command
 * is the one that they begin with.
 */
static void print_fish_functions(void)
{
    const char *name = program->name;
    printf("function __%s_words\n"
           "    set -l words\n"
           "    set -l is_value no\n"
           "    for word in (commandline -opc)[2..-1]\n"
           "        if test $is_value = yes\n"
           "            set is_value no\n"
           "            continue\n"
           "        end\n"
           "        switch $word\n"
           "            case '--*=*' --help --version -h",
           name);
    for (size_t i = 0; i < program->command_count; i++)
        for (const struct flag *flag = program->commands[i].flags; flag->name; flag++)
            if (!flag->metavar)
                printf(" %s", flag->name);
    printf("\n"
           "            case '--*'\n"
           "                set is_value yes\n"
           "            case '*'\n"
           "                set -a words $word\n"
           "        end\n"
           "    end\n"
           "    echo \"$words\"\n"
           "end\n"
           "function __%s_at\n"
           "    test (__%s_words) = \"$argv\"\n"
           "end\n"
           "function __%s_in\n"
           "    string match -q -- \"$argv *\" (__%s_words)' '\n"
           "end\n",
           name, name, name, name);
}

static void print_fish_flag(const char *condition, const struct flag *flag)
{
    printf("complete -c %s%s -l %s%s -d '%s'", program->name, condition, flag->name + 2, flag->metavar ? " -r" : "",
           flag->help);
    if (flag->choices)
        printf(" -f -a '%s'", flag->choices);
    else if (is(flag->metavar, "DIR"))
        printf(" -f -a '(__fish_complete_directories)'");
    else
        printf("%s", is(flag->metavar, "FILE") ? " -F" : " -f");
    putchar('\n');
}

static void print_fish_operand(const struct command *c)
{
    if (!c->operand_choices && !is(c->operand, "DIR") && !is(c->operand, "FILE"))
        return;
    printf("complete -c %s -n '__%s_at %s'", program->name, program->name, c->words[0]);
    if (c->operand_choices)
        printf(" -a '%s'\n", c->operand_choices);
    else
        printf("%s\n", is(c->operand, "DIR") ? " -a '(__fish_complete_directories)'" : " -F");
}

static void print_fish_command(size_t i)
{
    const struct command *c = &program->commands[i];
    const char *name = program->name;
    char condition[128];
    if (is_first_of_its_word(i))
        printf("complete -c %s -n __%s_at -a %s -d '%s'\n", name, name, c->words[0], c->help);
    if (c->words[1])
        printf("complete -c %s -n '__%s_at %s' -a %s -d '%s'\n", name, name, c->words[0], c->words[1], c->help);
    print_fish_operand(c);
    snprintf(condition, sizeof condition, " -n '__%s_in %s%s%s'", name, c->words[0], c->words[1] ? " " : "",
             c->words[1] ? c->words[1] : "");
    for (const struct flag *f = c->flags; f->name; f++)
        print_fish_flag(condition, f);
}

static void print_fish(void)
{
    const char *name = program->name;
    print_fish_functions();
    printf("complete -c %s -f\n"
           "complete -c %s -n __%s_at -a help -d 'explain a command'\n"
           "complete -c %s -n '__%s_at help' -a '",
           name, name, name, name, name);
    print_first_words();
    printf("'\n"
           "complete -c %s -l help -d 'explain'\n"
           "complete -c %s -n __%s_at -l version -d 'print the version'\n",
           name, name, name);
    for (const struct flag *f = program->global_flags; f->name; f++)
        print_fish_flag("", f);
    for (size_t i = 0; i < program->command_count; i++)
        print_fish_command(i);
}

bool completions_print(const struct program *of, const char *shell)
{
    program = of;
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
