#ifndef TALEA_CLIENT_OPTIONS_H
#define TALEA_CLIENT_OPTIONS_H
/*
 * The command line, described by one table: parsing, help and completions all
 * read it, so none of them can say what another does not.
 */
#include <stdbool.h>
#include <stddef.h>

#define FLAGS_MAX 16
#define WORDS_MAX 2 /* "asset register" */

struct flag {
    const char *name;    /* "--book"; NULL ends the list */
    const char *metavar; /* "BOOK" */
    const char *help;
    bool required;
    bool repeatable; /* stays in the order given, also among other repeatable flags */
};

struct given {
    const struct flag *flag;
    const char *value;
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
    const char *help;
    struct flag flags[FLAGS_MAX];
    int (*run)(const struct server *server, const struct arguments *arguments); /* an exit status */
};

extern const struct command commands[];
extern const size_t command_count;
extern const struct flag global_flags[]; /* before or after the command; ends with a NULL name */

/* The last value of a flag, or NULL. */
const char *argument(const struct arguments *arguments, const char *flag);

/*
 * Reads the command line into *command and *arguments (free with
 * arguments_free). `globals` gets the global flags. Returns an exit status, or
 * -1 to go on; help and version are printed here.
 */
int options_read(int argc, char **argv, const struct command **command, struct arguments *arguments,
                 struct arguments *globals);
void arguments_free(struct arguments *arguments);

#endif
