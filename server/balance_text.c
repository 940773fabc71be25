#include "server/balance_text.h"

#include "common/account_key.h"
#include "server/json_text.h"
#include "server/text_append.h"

#define FIXED_BYTES (160 + DECIMAL_TEXT_MAX + RFC3339_TEXT_MAX + U128_TEXT_MAX) /* more than all but the names takes */

/* Nothing in it that JSON escapes, and not the octet `other` either. */
static bool is_plain(struct bytes text, uint8_t other)
{
    bool plain = true;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.base[i];
        plain &= (c >= 0x20) & (c != '"') & (c != '\\') & (c != other);
    }
    return plain;
}

static struct bytes quoted_by_generator(struct bytes text, struct arena *arena)
{
    struct buffer json = {0};
    struct json_text *j = json_text_create(&json);
    json_string(j, text);
    json_text_destroy(&j);
    struct bytes quoted = bytes_of(arena_copy(arena, json.base, json.len), json.len);
    buffer_free(&json);
    return quoted;
}

static struct bytes quoted(struct bytes text, struct arena *arena)
{
    if (!is_plain(text, '"'))
        return quoted_by_generator(text, arena);
    char *begin = arena_alloc(arena, text.len + 2);
    char *end = TEXT_APPEND_LITERAL(begin, "\"");
    end = text_append_bytes(end, text);
    end = TEXT_APPEND_LITERAL(end, "\"");
    return bytes_of(begin, (size_t)(end - begin));
}

/* The account key: of a book, it escapes ':' and '\\'. */
static struct bytes quoted_key(struct bytes book, struct bytes path, struct arena *arena)
{
    if (!is_plain(book, ':') || !is_plain(path, '"')) {
        struct buffer key = {0};
        account_key_append(&key, book, path);
        struct bytes quoted = quoted_by_generator(buffer_bytes(&key), arena);
        buffer_free(&key);
        return quoted;
    }
    char *begin = arena_alloc(arena, book.len + path.len + 3);
    char *end = TEXT_APPEND_LITERAL(begin, "\"");
    end = text_append_bytes(end, book);
    end = TEXT_APPEND_LITERAL(end, ":");
    end = text_append_bytes(end, path);
    end = TEXT_APPEND_LITERAL(end, "\"");
    return bytes_of(begin, (size_t)(end - begin));
}

static char *append_as_of(char *end, const struct balance_view *view)
{
    if (!view->past)
        return TEXT_APPEND_LITERAL(end, "null");
    end = TEXT_APPEND_LITERAL(end, "\"");
    end += rfc3339_format(view->as_of, end);
    return TEXT_APPEND_LITERAL(end, "\"");
}

void balance_text_write(const struct balance_view *view, struct arena *arena, struct buffer *out)
{
    struct bytes account = quoted_key(view->book, view->path, arena), asset = quoted(view->asset, arena);
    char *begin = (char *)buffer_reserve(out, FIXED_BYTES + account.len + asset.len);
    char *end = TEXT_APPEND_LITERAL(begin, "{\"account\":");
    end = text_append_bytes(end, account);
    end = TEXT_APPEND_LITERAL(end, ",\"asset\":");
    end = text_append_bytes(end, asset);
    end = TEXT_APPEND_LITERAL(end, ",\"balance\":\"");
    end += decimal_format(view->balance, view->precision, end);
    end = TEXT_APPEND_LITERAL(end, "\",\"as_of\":");
    end = append_as_of(end, view);
    end = TEXT_APPEND_LITERAL(end, ",\"updated_seq\":");
    end += u128_format(view->updated_seq, end);
    end = TEXT_APPEND_LITERAL(end, "}");
    out->len += (size_t)(end - begin);
}
