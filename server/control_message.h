#ifndef TALEA_SERVER_CONTROL_MESSAGE_H
#define TALEA_SERVER_CONTROL_MESSAGE_H
/*
 * What an admin command and the master say to each other over <dir>/control, a
 * Unix socket of kind SOCK_SEQPACKET: the kernel keeps messages apart. Each is
 * one MessagePack array.
 *
 *   request  [version, format, [word, ...]]   the command's name and its arguments
 *   answer   [exit status, text]              what the command prints
 *
 * Both sides are hostile input to each other: what is no such message is EBADMSG.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include "common/buffer.h"

#define CONTROL_VERSION 1
#define CONTROL_WORDS_MAX 8
#define CONTROL_REQUEST_BYTES_MAX 4096
#define CONTROL_ANSWER_BYTES_MAX (128u << 10)

struct control_request {
    bool json; /* for programs, else for people */
    uint32_t count;
    struct bytes word[CONTROL_WORDS_MAX];
};

void control_request_pack(struct buffer *out, const struct control_request *request);
/* Slices of `message`. 0, EPROTO: of another version, or EBADMSG. */
int control_request_unpack(struct bytes message, struct control_request *out) __attribute__((warn_unused_result));

void control_answer_pack(struct buffer *out, int exit_status, struct bytes text);
int control_answer_unpack(struct bytes message, int *exit_status, struct bytes *text)
    __attribute__((warn_unused_result));

/*
 * The socket of a directory. sun_path holds 107 bytes and a directory's path
 * may be longer, so it goes by way of a descriptor, which the caller closes
 * after bind or connect. 0 or errno.
 */
int control_address(const char *data_dir, int *dir_fd, struct sockaddr_un *out) __attribute__((warn_unused_result));

/* Is the n-th word this one? */
bool control_word_is(const struct control_request *request, uint32_t n, const char *word);

#endif
