#ifndef TALEA_CLIENT_OPTIONS_H
#define TALEA_CLIENT_OPTIONS_H
/*
 * The command line, described by one table (commands.h): parsing, help and
 * completions all read it, so none of them can say what another does not.
 */
#include <stdbool.h>
#include <stddef.h>

#define FLAGS_MAX 8
#define WORDS_MAX 2 /* "asset register" */

/* Every flag takes a value. */
struct flag {
    const char *name;    /* "--book"; NULL ends the list */
    const char *metavar; /* "BOOK"; "FILE" is completed as one */
    const char *help;
    const char *choices; /* for help and completions, "debit credit"; NULL: anything. The ledger judges */
    bool required;
    bool repeatable; /* stays in the order given, also among other repeatable flags */
};

struct given {
    const struct flag *flag;
    char *value; /* within argv */
};

/* What was given, in order. */
struct arguments {
    struct given *given;
    size_t count;
    const char *operand; /* NULL when the command takes none */
};

struct server;

struct command {
    const char *words[WORDS_MAX]; /* the second may be NULL */
    const char *operand;          /* metavar of the one operand, or NULL */
    const char *operand_choices;
    const char *help;
    struct flag flags[FLAGS_MAX + 1];
    int (*run)(const struct server *server, const struct arguments *arguments); /* an exit status */
};

/* The last value of a flag, or NULL. */
const char *argument(const struct arguments *arguments, const char *flag);

/*
 * Reads the command line into *command and *arguments, and the flags that may
 * stand before or after a command into *globals. Returns -1 to go on, or an
 * exit status; help and version are printed here. Both are to be freed with
 * arguments_free in any case.
 */
int options_read(int argc, char **argv, const struct command **command, struct arguments *arguments,
                 struct arguments *globals);
void arguments_free(struct arguments *arguments);

#endif
