#include "tests/bench/plan.h"

#include <string.h>

#define MARK_BIT (UINT64_C(1) << 39)
#define RUN_DIGITS 12
#define ID_DIGITS 10
#define MINOR_LEAST 100

_Static_assert(RUN_DIGITS + 1 + ID_DIGITS == PLAN_KEY_LEN, "a key's length");
_Static_assert(PLAN_COUNTER_BITS + 4 == 39 && PLAN_THREADS_MAX == 16, "the id's bits: mark, thread, counter");

/* splitmix64 */
uint64_t plan_mix(uint64_t n)
{
    n += UINT64_C(0x9e3779b97f4a7c15);
    n = (n ^ (n >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    n = (n ^ (n >> 27)) * UINT64_C(0x94d049bb133111eb);
    return n ^ (n >> 31);
}

void plan_draft(const struct plan *plan, uint64_t id, struct planned_draft *out)
{
    uint64_t random = plan_mix(plan->run ^ plan_mix(id)), more = plan_mix(random);
    uint64_t counter = id & PLAN_COUNTER_MASK;
    out->book = plan_is_mark(id) ? (uint32_t)(counter >> 1) : (uint32_t)(counter % plan->books);
    out->debit = (uint32_t)(random % plan->accounts);
    out->credit = (uint32_t)((out->debit + 1 + more % (plan->accounts - 1)) % plan->accounts);
    out->minor = MINOR_LEAST + (uint32_t)((random >> 40) % 900);
}

uint64_t plan_first_id(unsigned thread)
{
    return (uint64_t)thread << PLAN_COUNTER_BITS;
}

unsigned plan_thread_of(uint64_t id)
{
    return (unsigned)(id >> PLAN_COUNTER_BITS) % PLAN_THREADS_MAX;
}

uint64_t plan_mark_id(uint32_t book, enum plan_mark mark)
{
    return MARK_BIT | (uint64_t)book << 1 | (mark == PLAN_MARK_AFTER);
}

bool plan_is_mark(uint64_t id)
{
    return (id & MARK_BIT) != 0;
}

static void write_decimal(char *out, int digits, uint64_t n)
{
    for (int i = digits - 1; i >= 0; i--, n /= 10)
        out[i] = (char)('0' + n % 10);
}

static void write_hex(char *out, int digits, uint64_t n)
{
    for (int i = digits - 1; i >= 0; i--, n >>= 4)
        out[i] = "0123456789abcdef"[n & 15];
}

static bool read_hex(const char *text, int digits, uint64_t *out)
{
    for (*out = 0; digits > 0; digits--, text++) {
        bool decimal = *text >= '0' && *text <= '9';
        if (!decimal && (*text < 'a' || *text > 'f'))
            return false;
        *out = *out << 4 | (uint64_t)(decimal ? *text - '0' : *text - 'a' + 10);
    }
    return true;
}

void plan_write_book(char *out, uint32_t book)
{
    memcpy(out, "bench-", 6);
    write_decimal(out + 6, PLAN_BOOK_LEN - 6, book);
}

void plan_write_account(char *out, uint32_t account)
{
    out[0] = 'a';
    write_decimal(out + 1, PLAN_ACCOUNT_LEN - 1, account);
}

void plan_write_minor(char *out, uint32_t minor)
{
    write_decimal(out, PLAN_MINOR_LEN, minor);
}

void plan_write_key(char *out, const struct plan *plan, uint64_t id)
{
    write_hex(out, RUN_DIGITS, plan->run);
    out[RUN_DIGITS] = '-';
    write_hex(out + RUN_DIGITS + 1, ID_DIGITS, id);
}

bool plan_read_key(const struct plan *plan, const char *text, size_t length, uint64_t *id)
{
    uint64_t run;
    return length == PLAN_KEY_LEN && read_hex(text, RUN_DIGITS, &run) && run == plan->run &&
           text[RUN_DIGITS] == '-' && read_hex(text + RUN_DIGITS + 1, ID_DIGITS, id);
}
