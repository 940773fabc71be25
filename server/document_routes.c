#include "server/document_routes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/exit_status.h"
#include "common/report.h"
#include "server/answers.h"
#include "server/embedded.h"
#include "server/worker.h"

#define FILE_MAX_BYTES (8u << 20) /* swagger-ui's largest has not quite two MiB */

#define HTML "text/html; charset=utf-8"
#define CSS "text/css; charset=utf-8"
#define JS "text/javascript; charset=utf-8"
#define TEXT "text/plain; charset=utf-8"

/* Files of talead's own, then those of swagger-ui. */
static const struct file {
    const char *name, *type;
    struct bytes (*embedded)(void); /* NULL: of swagger-ui, read from its folder */
} files[] = {
    {"plain.html", HTML, embedded_plain_page},
    {"plain.css", CSS, embedded_plain_css},
    {"swagger.js", JS, embedded_swagger_js},
    {"swagger-ui.css", CSS, NULL},
    {"swagger-ui-bundle.js", JS, NULL},
    {"swagger-ui-bundle.js.LICENSE.txt", TEXT, NULL},
    {"favicon-32x32.png", "image/png", NULL},
    {"LICENSE", TEXT, NULL},
    {"NOTICE", TEXT, NULL},
};
#define FILE_COUNT (sizeof files / sizeof *files)

struct documents {
    bool swagger;
    struct buffer body[FILE_COUNT]; /* empty for what is embedded, and without swagger-ui */
};

/* --- loading --- */

static void forget(struct documents *documents)
{
    for (size_t i = 0; i < FILE_COUNT; i++)
        buffer_free(&documents->body[i]);
}

/* As much as the file held when it was opened; ESTALE when it was cut meanwhile. */
static int read_fd(int fd, struct buffer *out)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return errno;
    if (!S_ISREG(status.st_mode))
        return EINVAL;
    if (status.st_size == 0 || status.st_size > FILE_MAX_BYTES)
        return EFBIG;
    size_t size = (size_t)status.st_size;
    uint8_t *base = buffer_reserve(out, size);
    while (out->len < size) {
        ssize_t n = read(fd, base + out->len, size - out->len);
        if (n == 0)
            return ESTALE;
        if (n < 0 && errno != EINTR)
            return errno;
        if (n > 0)
            out->len += (size_t)n;
    }
    return 0;
}

static int read_file(const char *folder, const char *name, struct buffer *out)
{
    struct buffer path = {0};
    buffer_printf(&path, "%s/%s", folder, name);
    buffer_append(&path, "", 1);
    int fd = open((const char *)path.base, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int error = fd < 0 ? errno : read_fd(fd, out);
    if (fd >= 0)
        close(fd);
    buffer_free(&path);
    return error;
}

/* All of swagger-ui's files, or an errno with the name of the one that fails. */
static int read_all(struct documents *documents, const char *folder, const char **failed)
{
    int error = 0;
    for (size_t i = 0; i < FILE_COUNT && error == 0; i++) {
        *failed = files[i].name;
        if (!files[i].embedded)
            error = read_file(folder, files[i].name, &documents->body[i]);
    }
    return error;
}

struct documents *documents_load(const struct settings *settings)
{
    struct documents *documents = calloc(1, sizeof *documents);
    const char *failed = "", *folder = settings->docs_dir ? settings->docs_dir : TALEA_DOCS_DIR_DEFAULT;
    if (!documents)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    int error = read_all(documents, folder, &failed);
    documents->swagger = error == 0;
    if (error)
        forget(documents);
    if (error && settings->docs_dir)
        report(REPORT_WARNING, "TALEA_DOCS_DIR: cannot read %s/%s: %s; /docs shows the plain page", folder, failed,
               strerror(error));
    return documents;
}

/* --- answering --- */

/*
 * What a browser may do with a page: load scripts, styles and images of this
 * server, and ask it. Nothing inline, nothing from elsewhere, no frame around it.
 */
static const struct http_header page_headers[] = {
    {"content-security-policy",
     BYTES_LITERAL("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
                   "frame-ancestors 'none'; base-uri 'none'; form-action 'none'")},
    {"x-content-type-options", BYTES_LITERAL("nosniff")},
    {"x-frame-options", BYTES_LITERAL("DENY")},
    {"referrer-policy", BYTES_LITERAL("no-referrer")},
    {"cross-origin-opener-policy", BYTES_LITERAL("same-origin")},
    {"cross-origin-resource-policy", BYTES_LITERAL("same-origin")},
    {"cache-control", BYTES_LITERAL("no-cache")},
};
#define PAGE_HEADER_COUNT (sizeof page_headers / sizeof *page_headers)

static void answer(struct exchange *e, const char *type, struct bytes body)
{
    exchange_answer_text(e, type, page_headers, PAGE_HEADER_COUNT, body);
}

void handle_get_openapi(struct exchange *e)
{
    static const struct http_header headers[] = {
        {"x-content-type-options", BYTES_LITERAL("nosniff")},
        {"cache-control", BYTES_LITERAL("no-cache")},
    };
    exchange_answer_text(e, "application/json", headers, sizeof headers / sizeof *headers, embedded_openapi());
}

void handle_get_docs(struct exchange *e)
{
    answer(e, HTML, e->worker->documents->swagger ? embedded_swagger_page() : embedded_plain_page());
}

void handle_get_docs_file(struct exchange *e)
{
    const struct documents *documents = e->worker->documents;
    for (size_t i = 0; i < FILE_COUNT; i++) {
        if (!bytes_equal(e->match.file, bytes_of_string(files[i].name)))
            continue;
        if (!files[i].embedded && !documents->swagger)
            break;
        answer(e, files[i].type, files[i].embedded ? files[i].embedded() : buffer_bytes(&documents->body[i]));
        return;
    }
    exchange_answer(e, answer_not_found(exchange_json(e), "file", bytes_of(NULL, 0)));
}
