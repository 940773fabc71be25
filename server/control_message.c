#include "server/control_message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <msgpack/pack.h>

#include "common/data_dir.h"
#include "common/msgpack_reader.h"

void control_request_pack(struct buffer *out, const struct control_request *request)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, buffer_msgpack_write);
    msgpack_pack_array(&pk, 3);
    msgpack_pack_uint32(&pk, CONTROL_VERSION);
    msgpack_pack_uint32(&pk, request->json);
    msgpack_pack_array(&pk, request->count);
    for (uint32_t n = 0; n < request->count; n++)
        msgpack_pack_str_with_body(&pk, request->word[n].base, request->word[n].len);
}

int control_request_unpack(struct bytes message, struct control_request *out)
{
    struct msgpack_reader reader = msgpack_reader_of(message);
    *out = (struct control_request){.json = false};
    msgpack_expect_array(&reader, 3);
    uint64_t version = msgpack_read_uint(&reader);
    if (msgpack_reader_ok(&reader) && version != CONTROL_VERSION)
        return EPROTO;
    out->json = msgpack_read_uint(&reader) != 0;
    out->count = msgpack_read_array(&reader);
    if (!msgpack_reader_ok(&reader) || out->count == 0 || out->count > CONTROL_WORDS_MAX)
        return EBADMSG;
    for (uint32_t n = 0; n < out->count; n++)
        out->word[n] = msgpack_read_str(&reader);
    return msgpack_reader_done(&reader) ? 0 : EBADMSG;
}

void control_answer_pack(struct buffer *out, int exit_status, struct bytes text)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, buffer_msgpack_write);
    msgpack_pack_array(&pk, 2);
    msgpack_pack_int(&pk, exit_status);
    msgpack_pack_str_with_body(&pk, text.base, text.len);
}

int control_answer_unpack(struct bytes message, int *exit_status, struct bytes *text)
{
    struct msgpack_reader reader = msgpack_reader_of(message);
    msgpack_expect_array(&reader, 2);
    *exit_status = (int)msgpack_read_int(&reader);
    *text = msgpack_read_str(&reader);
    return msgpack_reader_done(&reader) ? 0 : EBADMSG;
}

int control_address(const char *data_dir, int *dir_fd, struct sockaddr_un *out)
{
    *dir_fd = open(data_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*dir_fd < 0)
        return errno;
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d/" DATA_DIR_CONTROL, *dir_fd);
    return 0;
}

bool control_word_is(const struct control_request *request, uint32_t n, const char *word)
{
    return n < request->count && request->word[n].len == strlen(word) &&
           memcmp(request->word[n].base, word, strlen(word)) == 0;
}
