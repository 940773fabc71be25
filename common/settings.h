#ifndef TALEA_COMMON_SETTINGS_H
#define TALEA_COMMON_SETTINGS_H
/*
 * Every setting of talead, once. The table in settings_table.c says its name in the
 * environment, its key in the YAML file, its default, range, unit, whether a
 * reload takes it, and one line of help; parsing, --help, the manual page's
 * table and the README's are checked against it.
 *
 * Precedence: environment, the service's credential (for the one setting that
 * has such), `.env` in the working directory, the YAML file of --config, the
 * default. A value that does not parse, or lies outside its
 * range, is `invalid TALEA_X: <why>` whichever of them it came from; behind it
 * stands where, when that was a file. Set but empty is a value, and none that
 * parses: nothing falls through to the next source in silence.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/complaints.h"

#define HTTP_BATCH_MAX_MAX 10000

struct settings {
    char *db_url;      /* as given */
    char *data_dir;    /* the <dir> of log://<dir>, without a trailing slash */
    char *bind;        /* host:port, [v6]:port */
    char *metrics_bind; /* NULL: none */
    char *api_token;   /* NULL: none; wiped by settings_free */
    char *tokens_file; /* NULL: none */
    char *docs_dir;    /* NULL: where make install put them */
    uint64_t auth_failures_per_minute; /* of one address; 0: any number */
    char *cors_origins; /* NULL: none; "*", or origins with commas between them */
    uint64_t max_inflight;
    uint64_t max_connections;
    uint64_t max_connections_per_address;
    uint64_t max_event_streams;
    uint64_t head_timeout_secs;
    uint64_t body_timeout_secs;
    uint64_t request_timeout_secs;
    uint64_t idle_timeout_secs;
    uint64_t write_timeout_secs;
    uint64_t body_max_bytes;
    uint64_t unsent_max_bytes;
    uint64_t events_behind_max_bytes;
    uint64_t write_queue_depth;
    uint64_t write_batch_max;
    uint64_t http_batch_max; /* up to HTTP_BATCH_MAX_MAX */
    uint64_t log_snapshot_every; /* events; 0: no snapshots */
    uint64_t log_idem_hot_cap;   /* keys */
    uint64_t log_segment_max;    /* bytes */
    uint64_t workers;
    uint64_t stop_timeout_secs;
    uint64_t hang_timeout_secs; /* 0: never */
    uint64_t seccomp;         /* 0 or 1 */
    uint64_t core_dumps;      /* 0 or 1 */
    uint64_t log_level;       /* enum report_level */
    uint64_t log_format;      /* enum report_format */
    char *log_file;           /* NULL: stderr */
    uint64_t access_log;      /* 0 or 1 */
    uint64_t slow_request_ms; /* 0: none is slow */
    uint64_t slow_commit_ms;  /* 0: none is slow */
};

enum setting_kind { SETTING_TEXT, SETTING_SECRET, SETTING_COUNT, SETTING_ADDRESS, SETTING_DB_URL, SETTING_WORD,
                    SETTING_ORIGINS };

struct setting {
    const char *env;      /* "TALEA_MAX_INFLIGHT" */
    const char *yaml;     /* "max_inflight" */
    enum setting_kind kind;
    size_t offset;        /* of the field in struct settings */
    const char *fallback; /* default as text; NULL: unset; "cpus": the number of CPUs this process may run on */
    uint64_t min, max;    /* SETTING_COUNT alone */
    const char *const *words; /* SETTING_WORD alone: the choices, then NULL; the field (uint64_t) is the place in it */
    const char *unit;     /* "requests", "bytes"; NULL for texts */
    int reloadable;       /* a reload takes it */
    int required;
    const char *credential; /* its file in $CREDENTIALS_DIRECTORY; NULL: it is in none */
    const char *help;     /* one line, no full stop */
};

extern const struct setting settings_table[];
extern const size_t settings_table_count;

/*
 * Reads all of it. `config_path` may be NULL. `dotenv_path` is usually ".env".
 * 0, or EINVAL with one line in `error` (never with a secret in it). Unknown
 * keys in the YAML file are refused with file, line and the nearest known key.
 */
int settings_load(const char *config_path, const char *dotenv_path, struct settings *out, char *error,
                  size_t error_size) __attribute__((warn_unused_result));

/* Called for each good value that is no default, as it stood there; `file` is NULL for the environment. */
struct settings_notes {
    void (*each)(void *context, const struct setting *setting, const char *text, const char *file, int line);
    void *context;
};

/*
 * The same with every fault. 0, or EINVAL when there was one; *out holds what
 * is good then, and is released with settings_free in any case. `notes` may be NULL.
 */
int settings_check(const char *config_path, const char *dotenv_path, struct settings *out,
                   struct complaints *complaints, const struct settings_notes *notes)
    __attribute__((warn_unused_result));

/* Every default of the table; what has none, or is required, is NULL. Release with settings_free. */
void settings_default(struct settings *out);
void settings_free(struct settings *s);
/* Wipes the secrets, once they were made use of: none is there afterwards. */
void settings_forget_secrets(struct settings *s);

/* Does the row have the same value in both? */
bool settings_equal(const struct setting *row, const struct settings *a, const struct settings *b);
/* Exchanges the row's value between the two. */
void settings_exchange(const struct setting *row, struct settings *a, struct settings *b);

/* Splits "host:port" or "[v6]:port"; 0 or EINVAL. Hands out strings to free. Port 0 is allowed (the kernel picks). */
int settings_split_address(const char *text, char **host, char **port) __attribute__((warn_unused_result));

/* Is it "*", or a list of scheme://host[:port] with commas between them? 0, or EINVAL with the first that is none. */
int settings_check_origins(const char *text, char *wrong, size_t wrong_size) __attribute__((warn_unused_result));

/* Writes the directory of a `log://<dir>` URL to a new string; 0 or EINVAL with a reason in `error`. */
int settings_parse_db_url(const char *url, char **data_dir, char *error, size_t error_size)
    __attribute__((warn_unused_result));

#endif
