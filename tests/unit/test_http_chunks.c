/* The strict reader of chunked bodies: the data, whatever pieces it comes in, or why it is refused. */
#include "server/http_chunks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BODY_MAX 1000
#define GOES_ON (-2)

/* Decodes in pieces of so many octets, as h2o does: each where the data of the last ended. The data, with its length. */
static ssize_t decode(const char *text, size_t length, size_t piece, char *data, size_t *data_length,
                      enum http_fault *fault)
{
    struct http_chunks chunks = {.consume_trailer = 1};
    ssize_t rest = GOES_ON;
    *data_length = 0;
    for (size_t at = 0; at < length && rest == GOES_ON; at += piece) {
        size_t size = length - at < piece ? length - at : piece;
        memcpy(data + *data_length, text + at, size);
        rest = http_chunks_decode(&chunks, data + *data_length, &size, BODY_MAX, fault);
        *data_length += size;
        if (rest >= 0)
            rest += (ssize_t)(length - at < piece ? 0 : length - at - piece);
    }
    return rest;
}

static void assert_data(const char *text, const char *expected, const char *behind)
{
    static char data[8192];
    size_t length;
    enum http_fault fault;
    for (size_t piece = 1; piece <= strlen(text); piece++) {
        ssize_t rest = decode(text, strlen(text), piece, data, &length, &fault);
        if (rest != (ssize_t)strlen(behind) || length != strlen(expected) || memcmp(data, expected, length) != 0)
            fail_msg("in pieces of %zu: %zd, %zu octets: %s", piece, rest, length, text);
    }
}

static void assert_fault(const char *text, enum http_fault expected)
{
    static char data[8192];
    size_t length;
    enum http_fault fault;
    for (size_t piece = 1; piece <= strlen(text); piece++) {
        ssize_t rest = decode(text, strlen(text), piece, data, &length, &fault);
        if (rest != -1 || fault != expected)
            fail_msg("in pieces of %zu: %zd, %d (%s): %s", piece, rest, (int)fault,
                     rest == -1 ? http_fault_answer(fault)->reason : "no fault", text);
    }
}

static void data_comes_out_and_what_is_behind_stays(void **state)
{
    (void)state;
    assert_data("0\r\n\r\n", "", "");
    assert_data("3\r\nabc\r\n0\r\n\r\n", "abc", "");
    assert_data("3\r\nabc\r\n00a\r\n0123456789\r\n000\r\n\r\nGET / HTTP", "abc0123456789", "GET / HTTP");
    assert_data("5\r\na\r\nbc\r\n0\r\n\r\n", "a\r\nbc", "");
    assert_data("A\r\n0123456789\r\n0\r\n\r\n", "0123456789", "");
}

static void extensions_and_trailers_are_skipped(void **state)
{
    (void)state;
    assert_data("1;a\r\nx\r\n1;a=b;c=\"d e\"\r\ny\r\n0;last\r\n\r\n", "xy", "");
    assert_data("1\r\nx\r\n0\r\nX-Sum: 1\r\nhosts:\r\nHos: t\r\nContent-Length-Not: 3\r\n\r\nZ", "x", "Z");
}

static void sizes_that_are_none_are_refused(void **state)
{
    (void)state;
    assert_fault("3xyz\r\nabc\r\n", HTTP_FAULT_CHUNK_SIZE);
    assert_fault("0x3\r\nabc\r\n", HTTP_FAULT_CHUNK_SIZE);
    assert_fault("0_3\r\nabc\r\n", HTTP_FAULT_CHUNK_SIZE);
    assert_fault("+3\r\nabc\r\n", HTTP_FAULT_CHUNK_SIZE);
    assert_fault("-3\r\nabc\r\n", HTTP_FAULT_CHUNK_SIZE);
    assert_fault(" 3\r\nabc\r\n", HTTP_FAULT_CHUNK_SIZE);
    assert_fault("3 \r\nabc\r\n", HTTP_FAULT_CHUNK_SIZE);
    assert_fault("3 ;a\r\nabc\r\n", HTTP_FAULT_CHUNK_SIZE);
    assert_fault("\r\n", HTTP_FAULT_CHUNK_SIZE);
    assert_fault(";a\r\n", HTTP_FAULT_CHUNK_SIZE);
    assert_fault("00000000000000003\r\nabc\r\n", HTTP_FAULT_CHUNK_SIZE);
}

static void more_than_may_come_is_refused_when_it_is_announced(void **state)
{
    (void)state;
    assert_fault("3e9\r\n", HTTP_FAULT_BODY_LENGTH);
    assert_fault("ffffffffffffffff\r\n", HTTP_FAULT_BODY_LENGTH);
    assert_fault("100000000\r\n", HTTP_FAULT_BODY_LENGTH);
    assert_fault("1\r\na\r\n3e8\r\n", HTTP_FAULT_BODY_LENGTH);
}

static void lines_end_with_both_and_data_where_its_size_says(void **state)
{
    (void)state;
    assert_fault("3\nabc\r\n", HTTP_FAULT_CHUNK_SIZE);
    assert_fault("3\rabc\r\n", HTTP_FAULT_CHUNK_LINE);
    assert_fault("3;a\nabc\r\n", HTTP_FAULT_CHUNK_LINE);
    assert_fault("3;\x01\r\nabc\r\n", HTTP_FAULT_CHUNK_LINE);
    assert_fault("3\r\nabcd\r\n", HTTP_FAULT_CHUNK_END);
    assert_fault("3\r\nabc\n", HTTP_FAULT_CHUNK_END);
    assert_fault("3\r\nabc\rX", HTTP_FAULT_CHUNK_END);
    assert_fault("3\r\nab\r\n0\r\n\r\n", HTTP_FAULT_CHUNK_END);
}

static void trailers_are_fields_and_none_that_belongs_into_the_head(void **state)
{
    (void)state;
    assert_fault("0\r\nContent-Length: 3\r\n\r\n", HTTP_FAULT_TRAILER_FIELD);
    assert_fault("0\r\nA: b\r\ntransfer-ENCODING: chunked\r\n\r\n", HTTP_FAULT_TRAILER_FIELD);
    assert_fault("0\r\nHost: x\r\n\r\n", HTTP_FAULT_TRAILER_FIELD);
    assert_fault("0\r\nTE:\r\n\r\n", HTTP_FAULT_TRAILER_FIELD);
    assert_fault("0\r\nAuthorization: Bearer x\r\n\r\n", HTTP_FAULT_TRAILER_FIELD);
    assert_fault("0\r\nA\r\n\r\n", HTTP_FAULT_TRAILER);
    assert_fault("0\r\n: b\r\n\r\n", HTTP_FAULT_TRAILER);
    assert_fault("0\r\nA : b\r\n\r\n", HTTP_FAULT_TRAILER);
    assert_fault("0\r\nA: b\r\n c\r\n\r\n", HTTP_FAULT_TRAILER);
    assert_fault("0\r\nA: \x02\r\n\r\n", HTTP_FAULT_TRAILER);
    assert_fault("0\r\nA: b\n\r\n", HTTP_FAULT_TRAILER);
    assert_fault("0\r\n\rX", HTTP_FAULT_TRAILER);
}

static void lines_and_trailers_are_bounded(void **state)
{
    static char text[8192], data[8192];
    enum http_fault fault;
    size_t length;
    (void)state;
    int n = sprintf(text, "1;%0250d\r\nx\r\n0\r\n\r\n", 0);
    assert_int_equal(decode(text, (size_t)n, 7, data, &length, &fault), 0);
    n = sprintf(text, "1;%0260d\r\nx\r\n0\r\n\r\n", 0);
    assert_int_equal(decode(text, (size_t)n, 7, data, &length, &fault), -1);
    assert_int_equal(fault, HTTP_FAULT_CHUNK_LINE);
    n = sprintf(text, "0\r\nA: %04000d\r\n\r\n", 0);
    assert_int_equal(decode(text, (size_t)n, 7, data, &length, &fault), 0);
    n = sprintf(text, "0\r\nA: %04100d\r\n\r\n", 0);
    assert_int_equal(decode(text, (size_t)n, 7, data, &length, &fault), -1);
    assert_int_equal(fault, HTTP_FAULT_TRAILER_LENGTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_comes_out_and_what_is_behind_stays),
        cmocka_unit_test(extensions_and_trailers_are_skipped),
        cmocka_unit_test(sizes_that_are_none_are_refused),
        cmocka_unit_test(more_than_may_come_is_refused_when_it_is_announced),
        cmocka_unit_test(lines_end_with_both_and_data_where_its_size_says),
        cmocka_unit_test(trailers_are_fields_and_none_that_belongs_into_the_head),
        cmocka_unit_test(lines_and_trailers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
