#ifndef TALEA_COMMON_COMMAND_LINE_H
#define TALEA_COMMON_COMMAND_LINE_H
/*
 * The command line of both programs, described by one table for each
 * (client/commands.c, server/commands.c): parsing, help and completions all
 * read it, so none of them can say what another does not. It stands alone, so
 * that the client can have it without the rest of common/.
 */
#include <stdbool.h>
#include <stddef.h>

#define FLAGS_MAX 8
#define WORDS_MAX 2 /* "asset register" */

#define COMMAND_LINE_DONE 0
#define COMMAND_LINE_WRONG 2 /* the exit status of both programs for it */
#define COMMAND_LINE_GO_ON (-1)

struct flag {
    const char *name;    /* "--book"; NULL ends the list */
    const char *metavar; /* "BOOK"; FILE and DIR are completed as such; NULL: it is a switch, without a value */
    const char *help;
    const char *choices; /* for help and completions, "debit credit"; NULL: anything. Whoever reads the value judges */
    bool required;
    bool repeatable; /* stays in the order given, also among other repeatable flags */
};

struct given {
    const struct flag *flag;
    char *value; /* within argv; NULL of a switch */
};

/* What was given, in order. */
struct arguments {
    struct given *given;
    size_t count;
    const char *operand; /* NULL: none */
};

struct server; /* the client's, client/http.h */

struct command {
    const char *words[WORDS_MAX]; /* the second may be NULL */
    const char *operand;          /* metavar of the one operand, as of flags; NULL: it takes none */
    const char *operand_choices;
    bool operand_optional;
    const char *help;    /* one line, no full stop, no quote */
    const char *details; /* more lines for `help COMMAND`, or NULL */
    struct flag flags[FLAGS_MAX + 1];
    void (*explain)(void); /* prints still more, or NULL */
    /* An exit status. A program's table fills one of the two. */
    int (*run)(const struct arguments *arguments);
    int (*ask)(const struct server *server, const struct arguments *arguments);
};

struct program {
    const char *name, *summary;
    const struct command *commands; /* those of one first word stand together */
    size_t command_count;
    const struct flag *global_flags; /* before or after a command; ends with a NULL name */
};

/* The last value of a flag, or NULL. */
const char *argument(const struct arguments *arguments, const char *flag);

/* Was it given? For switches. */
bool argument_given(const struct arguments *arguments, const char *flag);

/*
 * Reads the command line into *command and *arguments, and the program's global
 * flags into *globals. Returns COMMAND_LINE_GO_ON, or an exit status with what
 * there is to say said: help, the version, or one line of what is wrong. Both
 * are to be freed with arguments_free in any case.
 */
int command_line_read(const struct program *program, int argc, char **argv, const struct command **command,
                      struct arguments *arguments, struct arguments *globals) __attribute__((warn_unused_result));
void arguments_free(struct arguments *arguments);

#endif
