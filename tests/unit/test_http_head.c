/* The strict reader of heads: what it takes, what it refuses and why, in whatever pieces it comes. */
#include "server/http_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BODY_MAX 2097152
#define START "GET / HTTP/1.1\r\n"
#define HOST "Host: x\r\n"

static struct http_head head;

/* As one piece, and as one that grows by an octet each time: the answer is the same. */
static int parse(const char *text, size_t length, enum http_fault *fault)
{
    enum http_fault piecewise;
    int whole = http_head_parse(text, length, 0, BODY_MAX, &head, fault), grown = 0;
    for (size_t n = 1, seen = 0; n <= length && grown == 0; seen = n++)
        grown = http_head_parse(text, n, seen, BODY_MAX, &head, &piecewise);
    assert_int_equal(grown, whole);
    assert_int_equal(piecewise, *fault);
    return whole;
}

static void assert_taken(const char *text)
{
    enum http_fault fault;
    int length = parse(text, strlen(text), &fault);
    if (length != (int)strlen(text))
        fail_msg("not taken (%s): %s", http_fault_answer(fault)->reason, text);
}

static void assert_fault(const char *text, enum http_fault expected)
{
    enum http_fault fault;
    int length = parse(text, strlen(text), &fault);
    if (length != -1 || fault != expected)
        fail_msg("%d, %s: %s", length, length == -1 ? http_fault_answer(fault)->reason : "no fault", text);
}

static void ordinary_heads_are_taken(void **state)
{
    (void)state;
    assert_taken(START HOST "\r\n");
    assert_taken("\r\n" START HOST "\r\n");
    assert_taken("GET / HTTP/1.0\r\n\r\n");
    assert_taken("get-it! /a?b=c%20d&e=~ HTTP/1.1\r\nhOsT:x\r\n\r\n");
    assert_taken("GET /\xc3\xbc HTTP/1.1\r\n" HOST "X: \xff\x80\ttab \t\r\n\r\n");
    assert_taken("GET http://ledger.example:8080/v1 HTTP/1.1\r\n" HOST "\r\n");
    assert_taken("GET HTTPS://[::1] HTTP/1.1\r\n" HOST "\r\n");
    assert_taken(START HOST "X:\r\nY: \r\nX: again\r\n\r\n");
    assert_taken("POST / HTTP/1.1\r\n" HOST "Content-Length: 000002097152\r\n\r\n");
    assert_taken("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n");
    assert_taken("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nExpect: 100-Continue\r\n\r\n");
    assert_taken("POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: the-unexpected\r\n\r\n");
}

static void slices_are_what_was_sent_without_the_white_space_around(void **state)
{
    enum http_fault fault;
    const char *text = "POST /a?b HTTP/1.0\r\nA: \t one  two \t\r\nb:\r\n\r\nGET";
    (void)state;
    assert_int_equal(http_head_parse(text, strlen(text), 0, BODY_MAX, &head, &fault), strlen(text) - 3);
    assert_true(bytes_equal(head.method, BYTES_LITERAL("POST")) && bytes_equal(head.target, BYTES_LITERAL("/a?b")));
    assert_int_equal(head.minor_version, 0);
    assert_int_equal(head.field_count, 2);
    assert_true(bytes_equal(bytes_of(head.fields[0].name, head.fields[0].name_length), BYTES_LITERAL("A")));
    assert_true(bytes_equal(bytes_of(head.fields[0].value, head.fields[0].value_length), BYTES_LITERAL("one  two")));
    assert_int_equal(head.fields[1].value_length, 0);
}

static void an_expectation_of_a_client_that_knows_none_is_left_out(void **state)
{
    enum http_fault fault;
    const char *text = "POST / HTTP/1.0\r\nExpect: 100-continue\r\nA: b\r\n\r\n";
    (void)state;
    assert_int_equal(parse(text, strlen(text), &fault), strlen(text));
    assert_int_equal(head.field_count, 1);
}

static void a_head_that_is_not_whole_goes_on(void **state)
{
    enum http_fault fault;
    const char *text = "\r\n" START HOST "\r\n";
    (void)state;
    for (size_t n = 0; n < strlen(text); n++)
        assert_int_equal(http_head_parse(text, n, 0, BODY_MAX, &head, &fault), 0);
}

static void what_stands_behind_the_head_is_not_looked_at(void **state)
{
    static const char text[] = START HOST "\r\n\0\n\r\x01";
    enum http_fault fault;
    (void)state;
    assert_int_equal(http_head_parse(text, sizeof text - 1, 0, BODY_MAX, &head, &fault), strlen(START HOST) + 2);
}

static void request_lines_that_two_could_read_in_two_ways_are_refused(void **state)
{
    (void)state;
    assert_fault("\r\n\r\n", HTTP_FAULT_REQUEST_LINE);
    assert_fault("GET\r\n\r\n", HTTP_FAULT_REQUEST_LINE);
    assert_fault("GET /\r\n\r\n", HTTP_FAULT_REQUEST_LINE);
    assert_fault(" GET / HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE);
    assert_fault("GET  / HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE);
    assert_fault("GET /  HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE);
    assert_fault("GET / a HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE);
    assert_fault("GET / HTTP/1.1 \r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE);
    assert_fault("GET\t/\tHTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE);
    assert_fault("GET / http/1.1\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE);
    assert_fault("GET / HTTP/1.10\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE);
    assert_fault("G(T / HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_METHOD);
    assert_fault("GET / HTTP/2.0\r\n" HOST "\r\n", HTTP_FAULT_VERSION);
    assert_fault("GET / HTTP/1.2\r\n" HOST "\r\n", HTTP_FAULT_VERSION);
    assert_fault("GET / HTTP/0.9\r\n" HOST "\r\n", HTTP_FAULT_VERSION);
    assert_fault("PRI * HTTP/2.0\r\n\r\n", HTTP_FAULT_VERSION);
    assert_fault("GET /#a HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_TARGET);
    assert_fault("GET /a\tb HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_TARGET);
    assert_fault("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_TARGET_FORM);
    assert_fault("CONNECT x:80 HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_TARGET_FORM);
    assert_fault("GET health HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_TARGET_FORM);
    assert_fault("GET ftp://x/ HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_TARGET_FORM);
    assert_fault("GET http:// HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_TARGET_FORM);
    assert_fault("GET http://u:p@x/ HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_TARGET_FORM);
}

static void octets_that_end_no_line_are_refused_as_soon_as_they_come(void **state)
{
    enum http_fault fault;
    (void)state;
    assert_fault("GET / HTTP/1.1\n" HOST "\r\n", HTTP_FAULT_BARE_LF);
    assert_fault("\n" START HOST "\r\n", HTTP_FAULT_BARE_LF);
    assert_fault(START "Host: x\n\r\n", HTTP_FAULT_BARE_LF);
    assert_fault(START "Host: x\r\n\n", HTTP_FAULT_BARE_LF);
    assert_fault(START "Host: x\r\rA: b\r\n\r\n", HTTP_FAULT_BARE_CR);
    assert_fault(START "Ho\rst: x\r\n\r\n", HTTP_FAULT_BARE_CR);
    assert_fault(START HOST "A: \x01\r\n\r\n", HTTP_FAULT_CONTROL);
    assert_fault(START HOST "A: \x7f\r\n\r\n", HTTP_FAULT_CONTROL);
    assert_fault("\x16\x03\x01", HTTP_FAULT_CONTROL); /* TLS */
    assert_int_equal(http_head_parse(START HOST "A: \0\r\n\r\n", strlen(START HOST) + 8, 0, BODY_MAX, &head, &fault), -1);
    assert_int_equal(fault, HTTP_FAULT_CONTROL);
}

/* Wherever in a line they stand, whatever stands around: heads are looked at by several octets at once. */
static void every_control_octet_is_found_at_every_place(void **state)
{
    (void)state;
    for (int octet = 0; octet < 256; octet++)
        for (size_t place = 0; place < 40; place++)
            for (int around = 0; around < 2; around++) {
                char text[128];
                enum http_fault fault;
                bool control = (octet < 0x20 && octet != '\t' && octet != '\r' && octet != '\n') || octet == 0x7f;
                enum http_fault expected = octet == '\r'  ? HTTP_FAULT_BARE_CR
                                           : octet == '\n' ? HTTP_FAULT_BARE_LF
                                           : control      ? HTTP_FAULT_CONTROL
                                                          : HTTP_FAULT_NONE;
                size_t length = (size_t)sprintf(text, START HOST "A: ");
                memset(text + length, around ? 0xff : 0x80, 41);
                text[length + place] = (char)octet;
                memcpy(text + length + 41, "\r\n\r\n", 4);
                int end = parse(text, length + 45, &fault);
                assert_int_equal(fault, expected);
                assert_int_equal(end, expected ? -1 : (int)length + 45);
            }
}

static void malformed_fields_are_refused(void **state)
{
    (void)state;
    assert_fault(START HOST "A: b\r\n c\r\n\r\n", HTTP_FAULT_FOLDED);
    assert_fault(START " Host: x\r\n\r\n", HTTP_FAULT_FOLDED);
    assert_fault(START HOST "A: b\r\n\tc\r\n\r\n", HTTP_FAULT_FOLDED);
    assert_fault(START HOST "A\r\n\r\n", HTTP_FAULT_NO_COLON);
    assert_fault(START HOST ": b\r\n\r\n", HTTP_FAULT_NO_NAME);
    assert_fault(START HOST "A : b\r\n\r\n", HTTP_FAULT_SPACE_BEFORE_COLON);
    assert_fault(START HOST "A\t: b\r\n\r\n", HTTP_FAULT_SPACE_BEFORE_COLON);
    assert_fault(START HOST "A b: c\r\n\r\n", HTTP_FAULT_NAME);
    assert_fault(START HOST "A(: c\r\n\r\n", HTTP_FAULT_NAME);
    assert_fault(START HOST "\xc3\xbc: c\r\n\r\n", HTTP_FAULT_NAME);
}

static void a_host_is_there_once_and_is_one(void **state)
{
    static const char *const good[] = {"x",       "x:80",  "x:",        "a.b-c_d~:65535", "127.0.0.1:1",
                                       "[::1]:8", "[::1]", "%C3%BC.de", "(a),b;c=d",      "localhost"};
    static const char *const bad[] = {"",      "a b",     "a/b",  "u@x", ":80",     "x:65536", "x:-1",  "x:8a",  "x:000080",
                                      "[::1",  "[::1]x",  "[]",   "::1", "a,b:1:2", "x?",      "x#",    "%c",    "%zz",
                                      "x\\y", "[::1%eth0]", "\"x\"", "<x>", "\xc3\xbc"};
    char text[128];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(text, sizeof text, START "Host: %s\r\n\r\n", good[i]);
        assert_taken(text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, START "Host: %s\r\n\r\n", bad[i]);
        assert_fault(text, HTTP_FAULT_HOST);
    }
    assert_fault(START "\r\n", HTTP_FAULT_NO_HOST);
    assert_fault(START HOST HOST "\r\n", HTTP_FAULT_TWO_HOSTS);
    assert_fault("GET / HTTP/1.0\r\n" HOST "hOST: x\r\n\r\n", HTTP_FAULT_TWO_HOSTS);
    assert_fault("GET http://y/ HTTP/1.1\r\n\r\n", HTTP_FAULT_NO_HOST);
}

static void assert_framing(const char *fields, enum http_fault expected)
{
    char text[256];
    snprintf(text, sizeof text, "POST / HTTP/1.1\r\n" HOST "%s\r\n", fields);
    assert_fault(text, expected);
}

static void a_body_has_one_length_told_in_one_way(void **state)
{
    (void)state;
    assert_framing("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", HTTP_FAULT_LENGTH_AND_CODING);
    assert_framing("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", HTTP_FAULT_LENGTH_AND_CODING);
    assert_framing("Content-Length: 1\r\nContent-Length: 1\r\n", HTTP_FAULT_TWO_LENGTHS);
    assert_framing("Content-Length: 1\r\nA: b\r\ncontent-length: 2\r\n", HTTP_FAULT_TWO_LENGTHS);
    assert_framing("Content-Length: 1, 1\r\n", HTTP_FAULT_LENGTH);
    assert_framing("Content-Length: +1\r\n", HTTP_FAULT_LENGTH);
    assert_framing("Content-Length: -1\r\n", HTTP_FAULT_LENGTH);
    assert_framing("Content-Length: 0x1\r\n", HTTP_FAULT_LENGTH);
    assert_framing("Content-Length: 1 1\r\n", HTTP_FAULT_LENGTH);
    assert_framing("Content-Length: 1.0\r\n", HTTP_FAULT_LENGTH);
    assert_framing("Content-Length:\r\n", HTTP_FAULT_LENGTH);
    assert_framing("Content-Length: 2097153\r\n", HTTP_FAULT_BODY_LENGTH);
    assert_framing("Content-Length: 18446744073709551617\r\n", HTTP_FAULT_BODY_LENGTH);
    assert_framing("Content-Length: 999999999999999999999999999999\r\n", HTTP_FAULT_BODY_LENGTH);
    assert_framing("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", HTTP_FAULT_TWO_CODINGS);
    assert_framing("Transfer-Encoding: chunked, chunked\r\n", HTTP_FAULT_CODING);
    assert_framing("Transfer-Encoding: chunked, gzip\r\n", HTTP_FAULT_CODING);
    assert_framing("Transfer-Encoding: chunked,\r\n", HTTP_FAULT_CODING);
    assert_framing("Transfer-Encoding: chunked;a=b\r\n", HTTP_FAULT_CODING);
    assert_framing("Transfer-Encoding: \"chunked\"\r\n", HTTP_FAULT_CODING);
    assert_framing("Transfer-Encoding:\r\n", HTTP_FAULT_CODING);
    assert_framing("Transfer-Encoding: gzip, chunked\r\n", HTTP_FAULT_CODING_UNKNOWN);
    assert_framing("Transfer-Encoding: identity\r\n", HTTP_FAULT_CODING_UNKNOWN);
    assert_framing("Transfer-Encoding: xchunked\r\n", HTTP_FAULT_CODING_UNKNOWN);
    assert_framing("Expect: 200-ok\r\n", HTTP_FAULT_EXPECTATION);
    assert_framing("Expect:\r\n", HTTP_FAULT_EXPECTATION);
    assert_fault("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_FAULT_CODING_VERSION);
}

/* A head whose target and last field have so many octets, and so many fields. */
static enum http_fault fault_of_size(size_t target, size_t value, int fields)
{
    static char text[64 * 1024];
    enum http_fault fault;
    int n = sprintf(text, "GET /%0*d HTTP/1.1\r\n" HOST, (int)target - 1, 0);
    for (int i = 2; i < fields; i++)
        n += sprintf(text + n, "A: b\r\n");
    n += sprintf(text + n, "Z: %0*d\r\n\r\n", (int)value, 0);
    (void)parse(text, (size_t)n, &fault);
    return fault;
}

static void sizes_are_bounded(void **state)
{
    (void)state;
    assert_int_equal(fault_of_size(8192, 1, 2), HTTP_FAULT_NONE);
    assert_int_equal(fault_of_size(8193, 1, 2), HTTP_FAULT_TARGET_LENGTH);
    assert_int_equal(fault_of_size(20000, 1, 2), HTTP_FAULT_TARGET_LENGTH);
    assert_int_equal(fault_of_size(10, 16384 - 41, 2), HTTP_FAULT_NONE);
    assert_int_equal(fault_of_size(10, 16384 - 40, 2), HTTP_FAULT_HEAD_LENGTH);
    assert_int_equal(fault_of_size(10, 1, 100), HTTP_FAULT_NONE);
    assert_int_equal(fault_of_size(10, 1, 101), HTTP_FAULT_FIELD_COUNT);
}

static void every_fault_has_an_answer(void **state)
{
    (void)state;
    for (int fault = HTTP_FAULT_NONE + 1; fault < HTTP_FAULT_COUNT; fault++) {
        const struct http_fault_answer *answer = http_fault_answer((enum http_fault)fault);
        assert_true(answer->status >= 400 && answer->status <= 505);
        assert_non_null(answer->field);
        assert_non_null(answer->reason);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_heads_are_taken),
        cmocka_unit_test(slices_are_what_was_sent_without_the_white_space_around),
        cmocka_unit_test(an_expectation_of_a_client_that_knows_none_is_left_out),
        cmocka_unit_test(a_head_that_is_not_whole_goes_on),
        cmocka_unit_test(what_stands_behind_the_head_is_not_looked_at),
        cmocka_unit_test(request_lines_that_two_could_read_in_two_ways_are_refused),
        cmocka_unit_test(octets_that_end_no_line_are_refused_as_soon_as_they_come),
        cmocka_unit_test(every_control_octet_is_found_at_every_place),
        cmocka_unit_test(malformed_fields_are_refused),
        cmocka_unit_test(a_host_is_there_once_and_is_one),
        cmocka_unit_test(a_body_has_one_length_told_in_one_way),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(every_fault_has_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
