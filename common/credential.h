#ifndef TALEA_COMMON_CREDENTIAL_H
#define TALEA_COMMON_CREDENTIAL_H
/*
 * A secret that the service manager hands over as a file in
 * $CREDENTIALS_DIRECTORY (LoadCredential= of systemd.exec(5)): it is in no
 * environment, and in no file that others could read.
 */
#include "common/buffer.h"

#define CREDENTIAL_BYTES_MAX 4096

/*
 * Reads it into the empty buffer `out`: its bytes without one newline at the
 * end, and a NUL behind them. 0; ENOENT when there is no such folder, or no
 * such file in it; another errno when it is there and of no use, and `*why` then
 * says that in words that stay valid and hold nothing of it. Only after 0 there
 * is something in `out`: release it with small_file_wipe.
 */
int credential_read(const char *name, struct buffer *out, const char **why) __attribute__((warn_unused_result));

#endif
