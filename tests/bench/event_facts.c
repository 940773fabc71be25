#include "tests/bench/event_facts.h"

#include <string.h>

/* {"seq", "payload": {"postings": [{"direction", "account": {"path"}}]}}: how deep each lies. */
enum { DEPTH_EVENT = 1, DEPTH_PAYLOAD = 2, DEPTH_POSTING = 4, DEPTH_OF_POSTING = 5 };

struct scan {
    const char *p, *end;
    int depth;
    bool in_postings; /* the payload's member that we are in */
    struct event_facts *out;
};

bool piece_is(struct piece piece, const char *word)
{
    return piece.length == strlen(word) && memcmp(piece.base, word, piece.length) == 0;
}

/* The string whose opening quote is next; false: it does not end. */
static bool take_string(struct scan *s, struct piece *out)
{
    const char *begin = ++s->p;
    for (; s->p < s->end && *s->p != '"'; s->p++)
        s->p += *s->p == '\\';
    if (s->p >= s->end)
        return false;
    *out = (struct piece){begin, (size_t)(s->p - begin)};
    s->p++;
    return true;
}

static uint64_t number_of(struct piece value)
{
    uint64_t n = 0;
    for (size_t i = 0; i < value.length; i++) {
        if (value.base[i] < '0' || value.base[i] > '9')
            return UINT64_MAX;
        n = n * 10 + (uint64_t)(value.base[i] - '0');
    }
    return n;
}

static void note_of_posting(const struct scan *s, struct piece name, struct piece value)
{
    uint32_t number = s->out->posting_count - 1;
    if (s->out->posting_count == 0 || number >= POSTINGS_KEPT)
        return;
    struct posting_facts *posting = &s->out->postings[number];
    if (s->depth == DEPTH_POSTING && piece_is(name, "direction"))
        posting->direction = value;
    if (s->depth != DEPTH_OF_POSTING)
        return;
    if (piece_is(name, "book"))
        posting->book = value;
    else if (piece_is(name, "path"))
        posting->account = value;
    else if (piece_is(name, "asset"))
        posting->asset = value;
    else if (piece_is(name, "minor"))
        posting->minor = number_of(value);
}

static void note(const struct scan *s, struct piece name, struct piece value)
{
    if (s->depth == DEPTH_EVENT && piece_is(name, "seq"))
        s->out->seq = number_of(value);
    else if (s->depth == DEPTH_EVENT && piece_is(name, "at"))
        s->out->at = value;
    else if (s->depth == DEPTH_EVENT && piece_is(name, "kind"))
        s->out->kind = value;
    else if (s->depth == DEPTH_PAYLOAD && piece_is(name, "idempotency_key"))
        s->out->key = value;
    else if (s->depth == DEPTH_PAYLOAD && piece_is(name, "id"))
        s->out->tx_id = value;
    else if (s->in_postings)
        note_of_posting(s, name, value);
}

/* A name was read, and its colon is next. An object or array is left for the loop to enter. */
static bool take_value(struct scan *s, struct piece name)
{
    struct piece value;
    s->p++;
    if (s->depth == DEPTH_PAYLOAD)
        s->in_postings = piece_is(name, "postings");
    if (s->p < s->end && (*s->p == '{' || *s->p == '['))
        return true;
    if (s->p < s->end && *s->p == '"') {
        if (!take_string(s, &value))
            return false;
    } else {
        const char *begin = s->p;
        while (s->p < s->end && *s->p != ',' && *s->p != '}' && *s->p != ']')
            s->p++;
        value = (struct piece){begin, (size_t)(s->p - begin)};
    }
    note(s, name, value);
    return true;
}

static bool step(struct scan *s)
{
    struct piece name;
    switch (*s->p) {
    case '"':
        if (!take_string(s, &name))
            return false;
        return s->p >= s->end || *s->p != ':' || take_value(s, name);
    case '{':
    case '[':
        s->depth++;
        s->out->posting_count += s->in_postings && s->depth == DEPTH_POSTING;
        break;
    case '}':
    case ']':
        s->depth--;
        break;
    }
    s->p++;
    return true;
}

bool event_facts_read(const char *data, size_t length, struct event_facts *out)
{
    struct scan s = {.p = data, .end = data + length, .out = out};
    *out = (struct event_facts){0};
    if (length == 0 || *data != '{')
        return false;
    do {
        if (!step(&s))
            return false;
    } while (s.p < s.end && s.depth > 0);
    return s.depth == 0 && s.p == s.end;
}
