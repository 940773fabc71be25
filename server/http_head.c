#include "server/http_head.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define LENGTH_DIGITS_MAX 18 /* of a Content-Length: more would not fit 64 bits */
#define IPV6_TEXT_MAX 45

/* What the fields say of the body and the host. */
struct framing {
    int hosts, lengths, codings;
    struct bytes host, coding;
    struct bytes content_length;
    bool other_expectation;
};

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(uint8_t c)
{
    uint8_t letter = c | 0x20;
    return is_digit(c) || (letter >= 'a' && letter <= 'z');
}

int http_hex_digit(uint8_t c)
{
    uint8_t letter = c | 0x20;
    return is_digit(c) ? c - '0' : letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

int http_is_token_octet(uint8_t c)
{
    return is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!http_is_token_octet(text.base[i]))
            return false;
    return text.len > 0;
}

static bool is_word(struct bytes text, const char *word)
{
    size_t length = strlen(word);
    return text.len == length && strncasecmp((const char *)text.base, word, length) == 0;
}

static struct bytes trim(struct bytes text)
{
    while (text.len > 0 && is_blank(text.base[0]))
        text = bytes_of(text.base + 1, text.len - 1);
    while (text.len > 0 && is_blank(text.base[text.len - 1]))
        text.len--;
    return text;
}

/* --- where it ends --- */

#define EACH_OCTET 0x0101010101010101u
#define HIGH_BITS (0x80 * EACH_OCTET)
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first octet is the lowest");

/*
 * How many octets at the beginning are no control characters, in steps of eight:
 * a head is looked at as a whole, and a loop over its octets was the dearest thing
 * that was done with a request. Below the first octet that is one, no bit is set:
 * what the subtractions borrow goes upwards.
 */
static size_t plain_octets(const uint8_t *text, size_t length)
{
    size_t n = 0;
    for (uint64_t word; length - n >= sizeof word; n += sizeof word) {
        memcpy(&word, text + n, sizeof word);
        uint64_t delete = word ^ 0x7f * EACH_OCTET;
        uint64_t low = (word - 0x20 * EACH_OCTET) & ~word, none = (delete - EACH_OCTET) & ~delete;
        uint64_t controls = (low | none) & HIGH_BITS;
        if (controls)
            return n + (size_t)__builtin_ctzll(controls) / 8;
    }
    return n;
}

/* The end of the head that begins at `from`, looked for from `at` on; 0: not there yet. */
static size_t find_end(const uint8_t *text, size_t from, size_t at, size_t length, enum http_fault *fault)
{
    for (size_t i = at; i < length; i++) {
        if (i == from || text[i - 1] != '\r')
            i += plain_octets(text + i, length - i);
        if (i == length)
            break;
        uint8_t c = text[i];
        if (c == '\n') {
            if (i == from || text[i - 1] != '\r')
                return *fault = HTTP_FAULT_BARE_LF, 0;
            if (i - 1 == from || (i >= from + 3 && text[i - 2] == '\n'))
                return i + 1;
        } else if (i > from && text[i - 1] == '\r') {
            return *fault = HTTP_FAULT_BARE_CR, 0;
        } else if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7f) {
            return *fault = HTTP_FAULT_CONTROL, 0;
        }
    }
    return 0;
}

static enum http_fault too_long(const uint8_t *text, size_t length)
{
    return memchr(text, '\n', length) ? HTTP_FAULT_HEAD_LENGTH : HTTP_FAULT_TARGET_LENGTH;
}

/* --- the request line --- */

/* uri-host [ ":" port ] of RFC 9110, 7.2, where the host is not empty. */
static bool is_host(struct bytes text)
{
    size_t end = 0;
    if (text.len > 0 && text.base[0] == '[') {
        char address[IPV6_TEXT_MAX + 1];
        struct in6_addr parsed;
        const uint8_t *close = memchr(text.base, ']', text.len);
        size_t length = close ? (size_t)(close - text.base) - 1 : 0;
        if (length == 0 || length > IPV6_TEXT_MAX)
            return false;
        memcpy(address, text.base + 1, length);
        address[length] = '\0';
        if (inet_pton(AF_INET6, address, &parsed) != 1)
            return false;
        end = length + 2;
    } else {
        for (; end < text.len && text.base[end] != ':'; end++) {
            uint8_t c = text.base[end];
            bool escaped = c == '%' && end + 2 < text.len && http_hex_digit(text.base[end + 1]) >= 0 &&
                           http_hex_digit(text.base[end + 2]) >= 0;
            if (!is_alnum(c) && !escaped && (c == '%' || c == '\0' || !strchr("-._~!$&'()*+,;=", c)))
                return false;
        }
        if (end == 0)
            return false;
    }
    if (end == text.len)
        return true;
    uint32_t port = 0;
    if (text.base[end] != ':' || text.len - end > 6)
        return false;
    for (size_t i = end + 1; i < text.len; i++) {
        if (!is_digit(text.base[i]))
            return false;
        port = port * 10 + (text.base[i] - '0');
    }
    return port <= UINT16_MAX;
}

static bool is_url(struct bytes target)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t length = strlen(schemes[i]);
        if (target.len <= length || strncasecmp((const char *)target.base, schemes[i], length) != 0)
            continue;
        size_t end = length;
        while (end < target.len && target.base[end] != '/' && target.base[end] != '?')
            end++;
        return is_host(bytes_of(target.base + length, end - length));
    }
    return false;
}

static enum http_fault check_target(struct bytes target)
{
    if (target.len > HTTP_TARGET_MAX_BYTES)
        return HTTP_FAULT_TARGET_LENGTH;
    /* A fragment is the client's own affair: some readers would cut it off, others would not. */
    if (memchr(target.base, '#', target.len) || memchr(target.base, '\t', target.len))
        return HTTP_FAULT_TARGET;
    return target.base[0] == '/' || is_url(target) ? HTTP_FAULT_NONE : HTTP_FAULT_TARGET_FORM;
}

static enum http_fault check_version(struct bytes text, int *minor)
{
    static const char name[] = "HTTP/";
    size_t length = sizeof name - 1;
    if (text.len != length + 3 || memcmp(text.base, name, length) != 0 || !is_digit(text.base[length]) ||
        text.base[length + 1] != '.' || !is_digit(text.base[length + 2]))
        return HTTP_FAULT_REQUEST_LINE;
    *minor = text.base[length + 2] - '0';
    return text.base[length] == '1' && *minor <= 1 ? HTTP_FAULT_NONE : HTTP_FAULT_VERSION;
}

static enum http_fault parse_request_line(struct bytes line, struct http_head *head)
{
    const uint8_t *first = memchr(line.base, ' ', line.len);
    const uint8_t *last = memrchr(line.base, ' ', line.len);
    if (!first || first == last)
        return HTTP_FAULT_REQUEST_LINE;
    struct bytes method = bytes_of(line.base, (size_t)(first - line.base));
    struct bytes target = bytes_of(first + 1, (size_t)(last - first) - 1);
    struct bytes version = bytes_of(last + 1, line.len - (size_t)(last + 1 - line.base));
    if (method.len == 0 || target.len == 0 || memchr(target.base, ' ', target.len))
        return HTTP_FAULT_REQUEST_LINE;
    if (!is_token(method))
        return HTTP_FAULT_METHOD;
    enum http_fault fault = check_version(version, &head->minor_version);
    if (!fault)
        fault = check_target(target);
    if (fault)
        return fault;
    head->method = method;
    head->target = target;
    return HTTP_FAULT_NONE;
}

/* --- fields --- */

static void note(struct framing *framing, const struct http_field *field)
{
    struct bytes name = bytes_of(field->name, field->name_length);
    struct bytes value = bytes_of(field->value, field->value_length);
    if (is_word(name, "host")) {
        framing->hosts++;
        framing->host = value;
    } else if (is_word(name, "content-length")) {
        framing->lengths++;
        framing->content_length = value;
    } else if (is_word(name, "transfer-encoding")) {
        framing->codings++;
        framing->coding = value;
    } else if (is_word(name, "expect")) {
        framing->other_expectation |= !is_word(value, "100-continue");
    }
}

static enum http_fault parse_field(struct bytes line, struct http_field *field)
{
    if (is_blank(line.base[0]))
        return HTTP_FAULT_FOLDED;
    const uint8_t *colon = memchr(line.base, ':', line.len);
    if (!colon)
        return HTTP_FAULT_NO_COLON;
    struct bytes name = bytes_of(line.base, (size_t)(colon - line.base));
    if (name.len == 0)
        return HTTP_FAULT_NO_NAME;
    if (is_blank(name.base[name.len - 1]))
        return HTTP_FAULT_SPACE_BEFORE_COLON;
    if (!is_token(name))
        return HTTP_FAULT_NAME;
    struct bytes value = trim(bytes_of(colon + 1, line.len - name.len - 1));
    *field = (struct http_field){(const char *)name.base, name.len, (const char *)value.base, value.len};
    return HTTP_FAULT_NONE;
}

/* A server ignores the expectation of a client that knows no interim answers (RFC 9110, 10.1.1). */
static bool is_for_nobody(const struct http_field *field, int minor_version)
{
    return minor_version == 0 && is_word(bytes_of(field->name, field->name_length), "expect");
}

/* --- the body's length --- */

static enum http_fault check_length(struct bytes text, uint64_t body_max)
{
    uint64_t length = 0;
    for (size_t i = 0; i < text.len; i++)
        if (!is_digit(text.base[i]))
            return HTTP_FAULT_LENGTH;
    if (text.len == 0)
        return HTTP_FAULT_LENGTH;
    if (text.len > LENGTH_DIGITS_MAX)
        return HTTP_FAULT_BODY_LENGTH;
    for (size_t i = 0; i < text.len; i++)
        length = length * 10 + (text.base[i] - '0');
    return length > body_max ? HTTP_FAULT_BODY_LENGTH : HTTP_FAULT_NONE;
}

/* A list of tokens without `chunked` is a coding that we do not know; anything else is no coding at all. */
static enum http_fault check_coding(struct bytes text)
{
    if (is_word(text, "chunked"))
        return HTTP_FAULT_NONE;
    while (text.len > 0) {
        const uint8_t *comma = memchr(text.base, ',', text.len);
        size_t length = comma ? (size_t)(comma - text.base) : text.len;
        struct bytes word = trim(bytes_of(text.base, length));
        if (!is_token(word) || (is_word(word, "chunked") && comma))
            return HTTP_FAULT_CODING;
        text = comma ? bytes_of(comma + 1, text.len - length - 1) : bytes_of(NULL, 0);
        if (!comma)
            return HTTP_FAULT_CODING_UNKNOWN;
    }
    return HTTP_FAULT_CODING;
}

static enum http_fault check_framing(const struct framing *framing, int minor_version, uint64_t body_max)
{
    if (framing->hosts == 0 && minor_version >= 1)
        return HTTP_FAULT_NO_HOST;
    if (framing->hosts > 1)
        return HTTP_FAULT_TWO_HOSTS;
    if (framing->hosts && !is_host(framing->host))
        return HTTP_FAULT_HOST;
    if (framing->lengths && framing->codings)
        return HTTP_FAULT_LENGTH_AND_CODING;
    if (framing->lengths > 1)
        return HTTP_FAULT_TWO_LENGTHS;
    if (framing->codings > 1)
        return HTTP_FAULT_TWO_CODINGS;
    if (framing->codings && minor_version == 0)
        return HTTP_FAULT_CODING_VERSION;
    enum http_fault fault = framing->codings ? check_coding(framing->coding) : HTTP_FAULT_NONE;
    if (!fault && framing->lengths)
        fault = check_length(framing->content_length, body_max);
    if (!fault && framing->other_expectation && minor_version >= 1)
        fault = HTTP_FAULT_EXPECTATION;
    return fault;
}

/* --- all of it --- */

/* Its line without CRLF, which is there. */
static struct bytes next_line(const uint8_t **at)
{
    const uint8_t *end = rawmemchr(*at, '\n');
    struct bytes line = bytes_of(*at, (size_t)(end - *at) - 1);
    *at = end + 1;
    return line;
}

static enum http_fault parse_whole(const uint8_t *text, uint64_t body_max, struct http_head *head)
{
    struct framing framing = {0};
    enum http_fault fault = parse_request_line(next_line(&text), head);
    if (fault)
        return fault;
    for (struct bytes line = next_line(&text); line.len > 0; line = next_line(&text)) {
        struct http_field field;
        fault = parse_field(line, &field);
        if (fault)
            return fault;
        note(&framing, &field);
        if (is_for_nobody(&field, head->minor_version))
            continue;
        if (head->field_count == HTTP_FIELDS_MAX)
            return HTTP_FAULT_FIELD_COUNT;
        head->fields[head->field_count++] = field;
    }
    return check_framing(&framing, head->minor_version, body_max);
}

int http_head_parse(const char *text, size_t length, size_t seen, uint64_t body_max, struct http_head *head,
                    enum http_fault *fault)
{
    const uint8_t *octets = (const uint8_t *)text;
    /* RFC 9112, 2.2: an empty line that an old client sends behind a body. */
    size_t from = length >= 2 && octets[0] == '\r' && octets[1] == '\n' ? 2 : 0;
    size_t whole = length - from <= HTTP_HEAD_MAX_BYTES ? length : from + HTTP_HEAD_MAX_BYTES;
    *fault = HTTP_FAULT_NONE;
    head->method = head->target = bytes_of("", 0);
    head->field_count = 0;
    if (length == 0 || (length == 1 && octets[0] == '\r'))
        return 0;
    size_t end = find_end(octets, from, seen > from ? seen : from, whole, fault);
    if (!*fault && end == 0 && length > whole)
        *fault = too_long(octets + from, whole - from);
    if (!*fault && end > 0)
        *fault = parse_whole(octets + from, body_max, head);
    return *fault ? -1 : (int)end;
}
