/*
 * Account keys as answers and errors show them. Only the book is escaped: the
 * first `:` without a `\` before it then ends the book, whatever the path holds.
 */
#include "common/account_key.h"

void account_key_append(struct buffer *out, struct bytes book, struct bytes path)
{
    for (size_t i = 0; i < book.len; i++) {
        if (book.base[i] == ':' || book.base[i] == '\\')
            buffer_append(out, "\\", 1);
        buffer_append(out, &book.base[i], 1);
    }
    buffer_append(out, ":", 1);
    buffer_append(out, path.base, path.len);
}
