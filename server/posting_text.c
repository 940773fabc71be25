#include "server/posting_text.h"

#include "common/ledger.h"
#include "server/text_append.h"

#define FIXED_BYTES 256 /* more than names of fields, two numbers and a direction take */

void posting_text_begin(struct posting_text *text, struct bytes account_key, struct bytes asset)
{
    buffer_clear(&text->account);
    buffer_clear(&text->asset);
    struct json_text *j = json_text_create(&text->account);
    json_string(j, account_key);
    json_text_restart(j, &text->asset);
    json_string(j, asset);
    json_text_destroy(&j);
}

void posting_text_free(struct posting_text *text)
{
    buffer_free(&text->account);
    buffer_free(&text->asset);
    buffer_free(&text->scratch);
}

void posting_text_write(struct posting_text *text, const struct posting_item *item, struct json_text *j)
{
    char seq[U128_TEXT_MAX], minor[DECIMAL_TEXT_MAX];
    size_t room = FIXED_BYTES + text->account.len + text->asset.len + item->tx_id.len + item->at.len;
    buffer_clear(&text->scratch);
    char *begin = (char *)buffer_reserve(&text->scratch, room);
    char *end = TEXT_APPEND_LITERAL(begin, "{\"seq\":");
    end = text_append(end, seq, (size_t)u128_format(item->seq, seq));
    end = TEXT_APPEND_LITERAL(end, ",\"tx_id\":\"");
    end = text_append_bytes(end, item->tx_id);
    end = TEXT_APPEND_LITERAL(end, "\",\"account\":");
    end = text_append_bytes(end, buffer_bytes(&text->account));
    end = TEXT_APPEND_LITERAL(end, ",\"amount\":{\"minor\":");
    end = text_append(end, minor, (size_t)decimal_format(item->minor, 0, minor));
    end = TEXT_APPEND_LITERAL(end, ",\"asset\":");
    end = text_append_bytes(end, buffer_bytes(&text->asset));
    end = TEXT_APPEND_LITERAL(end, "},\"direction\":\"");
    end = text_append_bytes(end, bytes_of_string(direction_word(item->direction)));
    end = TEXT_APPEND_LITERAL(end, "\",\"at\":\"");
    end = text_append_bytes(end, item->at);
    end = TEXT_APPEND_LITERAL(end, "\"}");
    json_ready(j, bytes_of(begin, (size_t)(end - begin)));
}
