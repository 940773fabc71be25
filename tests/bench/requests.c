#include "tests/bench/requests.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/say.h"

#define HEAD "POST %s HTTP/1.1\r\nHost: %s\r\n%sContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n"

/* The parts of a draft between what is filled in. */
#define D_BOOK "{\"book\":\""
#define D_KEY "\",\"idempotency_key\":\""
#define D_DEBIT "\",\"postings\":[{\"account\":\""
#define D_MINOR "\",\"amount\":{\"minor\":"
#define D_CREDIT ",\"asset\":\"" PLAN_ASSET "\"},\"direction\":\"debit\"},{\"account\":\""
#define D_END ",\"asset\":\"" PLAN_ASSET "\"},\"direction\":\"credit\"}]"
#define D_REFERENCE ",\"external_refs\":[{\"kind\":\"order\",\"value\":\"o-"
#define D_METADATA "\"}],\"metadata\":{\"channel\":\"web\",\"n\":"
#define REFERENCE_LEN 10
#define N_LEAST UINT64_C(1000000000) /* ten digits, and no leading zero */

static char *put(char *p, const char *text)
{
    return stpcpy(p, text);
}

/* A draft as it would be of zeroes: the shape of all of them. */
static char *put_draft(char *p, bool has_metadata)
{
    const char *tail = has_metadata ? D_REFERENCE "0000000000" D_METADATA "1000000000}}" : "}";
    p = put(p, D_BOOK "bench-00000" D_KEY "000000000000-0000000000" D_DEBIT "a0000000" D_MINOR "100" D_CREDIT);
    p = put(p, "a0000000" D_MINOR "100" D_END);
    return put(p, tail);
}

/* Where each part of a draft is, from its beginning. */
enum {
    AT_BOOK = sizeof D_BOOK - 1,
    AT_KEY = AT_BOOK + PLAN_BOOK_LEN + sizeof D_KEY - 1,
    AT_DEBIT = AT_KEY + PLAN_KEY_LEN + sizeof D_DEBIT - 1,
    AT_DEBIT_MINOR = AT_DEBIT + PLAN_ACCOUNT_LEN + sizeof D_MINOR - 1,
    AT_CREDIT = AT_DEBIT_MINOR + PLAN_MINOR_LEN + sizeof D_CREDIT - 1,
    AT_CREDIT_MINOR = AT_CREDIT + PLAN_ACCOUNT_LEN + sizeof D_MINOR - 1,
    AT_REFERENCE = AT_CREDIT_MINOR + PLAN_MINOR_LEN + sizeof D_END - 1 + sizeof D_REFERENCE - 1,
    AT_N = AT_REFERENCE + REFERENCE_LEN + sizeof D_METADATA - 1,
    DRAFT_LEN_MAX = AT_N + REFERENCE_LEN + 2
};
_Static_assert(DRAFT_LEN_MAX < DRAFT_ROOM_BYTES, "room for a draft");

void post_form_make(struct post_form *form, const struct target *t, uint32_t drafts)
{
    bool single = drafts == 0;
    char draft[DRAFT_ROOM_BYTES];
    size_t length = (size_t)(put_draft(draft, single) - draft);
    *form = (struct post_form){.drafts = single ? 1 : drafts, .stride = length + 1, .has_metadata = single};
    size_t body = single ? length : form->drafts * (length + 1) + 1;
    form->text = need(1, body + sizeof t->host + sizeof t->authorization + sizeof HEAD + 64);
    size_t head = (size_t)sprintf(form->text, HEAD, single ? "/v1/transactions" : "/v1/transactions/batch", t->host,
                                  t->authorization, body);
    form->first = head + !single;
    form->length = head + body;
    char *p = form->text + head;
    for (uint32_t i = 0; i < form->drafts; i++) {
        if (!single)
            *p++ = i == 0 ? '[' : ',';
        p = put_draft(p, single);
    }
    if (!single)
        p = put(p, "]");
    assert(p == form->text + form->length);
}

void post_form_free(struct post_form *form)
{
    free(form->text);
    *form = (struct post_form){0};
}

static void write_ten_digits(char *out, uint64_t n)
{
    for (int i = REFERENCE_LEN - 1; i >= 0; i--, n /= 10)
        out[i] = (char)('0' + n % 10);
}

static void fill_in(const struct plan *plan, uint64_t id, char *draft, bool has_metadata)
{
    struct planned_draft d;
    plan_draft(plan, id, &d);
    plan_write_book(draft + AT_BOOK, d.book);
    plan_write_key(draft + AT_KEY, plan, id);
    plan_write_account(draft + AT_DEBIT, d.debit);
    plan_write_minor(draft + AT_DEBIT_MINOR, d.minor);
    plan_write_account(draft + AT_CREDIT, d.credit);
    plan_write_minor(draft + AT_CREDIT_MINOR, d.minor);
    if (!has_metadata)
        return;
    uint64_t n = (id & PLAN_COUNTER_MASK) % (9 * N_LEAST);
    write_ten_digits(draft + AT_REFERENCE, n);
    write_ten_digits(draft + AT_N, N_LEAST + n);
}

void post_form_write(const struct post_form *form, const struct plan *plan, uint64_t id, char *out)
{
    memcpy(out, form->text, form->length);
    for (uint32_t i = 0; i < form->drafts; i++)
        fill_in(plan, id + i, out + form->first + i * form->stride, form->has_metadata);
}

void draft_write_json(const struct plan *plan, uint64_t id, char out[static DRAFT_ROOM_BYTES])
{
    put_draft(out, false);
    fill_in(plan, id, out, false);
}

size_t get_write(const struct target *t, char *out, const char *format, ...)
{
    va_list args;
    size_t length = (size_t)(put(out, "GET ") - out);
    va_start(args, format);
    length += (size_t)vsnprintf(out + length, 512, format, args);
    va_end(args);
    assert(length < 516);
    char *p = put(put(put(out + length, " HTTP/1.1\r\nHost: "), t->host), "\r\n");
    return (size_t)(put(put(p, t->authorization), "\r\n") - out);
}

size_t account_write(const struct target *t, char *out, uint32_t book, uint32_t account)
{
    char body[256];
    int length = snprintf(body, sizeof body,
                          "{\"book\":\"bench-%05u\",\"path\":\"a%07u\",\"asset\":\"" PLAN_ASSET
                          "\",\"kind\":\"asset\"}",
                          book, account);
    int all = snprintf(out, GET_ROOM_BYTES, HEAD "%s", "/v1/accounts", t->host, t->authorization, (size_t)length, body);
    assert(all > 0 && all < GET_ROOM_BYTES);
    return (size_t)all;
}
