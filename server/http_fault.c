#include "server/http_fault.h"

#define HEAD "head"
#define BODY "body"

static const struct http_fault_answer answers[HTTP_FAULT_COUNT] = {
    [HTTP_FAULT_BARE_LF] = {400, HEAD, "a line feed without a carriage return before it"},
    [HTTP_FAULT_BARE_CR] = {400, HEAD, "a carriage return without a line feed behind it"},
    [HTTP_FAULT_CONTROL] = {400, HEAD, "a control character"},
    [HTTP_FAULT_REQUEST_LINE] = {400, HEAD, "the first line is not a method, a target and a version, one space apart"},
    [HTTP_FAULT_METHOD] = {400, HEAD, "the method is not a token"},
    [HTTP_FAULT_TARGET] = {400, HEAD, "the target holds a character that none may hold"},
    [HTTP_FAULT_TARGET_FORM] = {400, HEAD, "the target is not a path, nor an http or https URL"},
    [HTTP_FAULT_TARGET_LENGTH] = {400, HEAD, "the target is longer than 8192 octets"},
    [HTTP_FAULT_VERSION] = {505, HEAD, "the version is not HTTP/1.0 or HTTP/1.1"},
    [HTTP_FAULT_HEAD_LENGTH] = {431, HEAD, "request line and fields are longer than 16384 octets"},
    [HTTP_FAULT_FIELD_COUNT] = {431, HEAD, "more than 100 fields"},
    [HTTP_FAULT_FOLDED] = {400, HEAD, "a field's value goes on in the next line"},
    [HTTP_FAULT_NO_COLON] = {400, HEAD, "a field without a colon"},
    [HTTP_FAULT_NO_NAME] = {400, HEAD, "a field without a name"},
    [HTTP_FAULT_SPACE_BEFORE_COLON] = {400, HEAD, "white space between a field's name and its colon"},
    [HTTP_FAULT_NAME] = {400, HEAD, "a field's name is not a token"},
    [HTTP_FAULT_NO_HOST] = {400, HEAD, "Host is missing"},
    [HTTP_FAULT_TWO_HOSTS] = {400, HEAD, "Host is there more than once"},
    [HTTP_FAULT_HOST] = {400, HEAD, "Host is not a host with or without a port"},
    [HTTP_FAULT_EXPECTATION] = {417, HEAD, "Expect is not 100-continue"},
    [HTTP_FAULT_LENGTH] = {400, HEAD, "Content-Length is not a number"},
    [HTTP_FAULT_TWO_LENGTHS] = {400, HEAD, "Content-Length is there more than once"},
    [HTTP_FAULT_LENGTH_AND_CODING] = {400, HEAD, "Content-Length beside Transfer-Encoding"},
    [HTTP_FAULT_TWO_CODINGS] = {400, HEAD, "Transfer-Encoding is there more than once"},
    [HTTP_FAULT_CODING] = {400, HEAD, "Transfer-Encoding is malformed, or chunked is not its only and last coding"},
    [HTTP_FAULT_CODING_UNKNOWN] = {501, HEAD, "Transfer-Encoding is not chunked"},
    [HTTP_FAULT_CODING_VERSION] = {400, HEAD, "Transfer-Encoding in HTTP/1.0"},
    [HTTP_FAULT_BODY_LENGTH] = {400, BODY, "the body is larger than the limit (TALEA_BODY_MAX_BYTES)"},
    [HTTP_FAULT_CHUNK_SIZE] = {400, BODY, "a chunk's size is not a hexadecimal number"},
    [HTTP_FAULT_CHUNK_LINE] = {400, BODY, "the line of a chunk's size is malformed or longer than 256 octets"},
    [HTTP_FAULT_CHUNK_END] = {400, BODY, "a chunk's data does not end where its size says"},
    [HTTP_FAULT_TRAILER] = {400, BODY, "a malformed trailer"},
    [HTTP_FAULT_TRAILER_LENGTH] = {431, BODY, "trailers longer than 4096 octets"},
    [HTTP_FAULT_TRAILER_FIELD] = {400, BODY, "a trailer that belongs into the head"},
};

const struct http_fault_answer *http_fault_answer(enum http_fault fault)
{
    return &answers[fault];
}
