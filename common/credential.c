#include "common/credential.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/small_file.h"

/* The words for what open(2) and read(2) may say of it. */
static const char *why_unreadable(int error)
{
    switch (error) {
    case EFBIG:
        return "must not be longer than 4096 bytes";
    case EACCES:
    case EPERM:
        return "cannot be read: permission denied; see LoadCredential= of the service";
    case EISDIR:
        return "cannot be read: it is a directory";
    default:
        return "cannot be read; see LoadCredential= of the service";
    }
}

int credential_read(const char *name, struct buffer *out, const char **why)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    char path[PATH_MAX];
    _Static_assert(CREDENTIAL_BYTES_MAX == 4096, "why_unreadable says so");
    if (!folder || folder[0] == '\0')
        return ENOENT;
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) {
        *why = "cannot be read: the name of CREDENTIALS_DIRECTORY is too long";
        return ENAMETOOLONG;
    }
    int error = small_file_read(path, CREDENTIAL_BYTES_MAX, out);
    if (error && error != ENOENT)
        *why = why_unreadable(error);
    if (error)
        return error;
    if (out->len > 0 && out->base[out->len - 1] == '\n')
        out->len--;
    out->base[out->len] = '\0'; /* there is room: the newline's, or that which tells a file that is too long */
    if (memchr(out->base, '\0', out->len)) {
        small_file_wipe(out);
        *why = "must be a single value without NUL characters";
        return EINVAL;
    }
    return 0;
}
