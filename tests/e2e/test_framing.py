"""HTTP as such: what two parsers could read in two ways is refused, once, and nothing behind it is read."""
import json
import re
import socket

import pytest

from harness import PATIENCE_S, debit, credit, draft, sale
from raw_http import answers_in, ask, connect, read_all

POST = b"POST /v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
GET = b"GET /health HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SMUGGLED = b"GET /v1/books/smuggled/trial-balance HTTP/1.1\r\nHost: x\r\n\r\n"

# What is sent, the status of its answer, and a piece of the reason.
CASES = {
    "length and coding": (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "beside"),
    "two lengths": (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", 400, "more than once"),
    "two equal lengths": (POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400, "more than once"),
    "a length with a sign": (POST + b"Content-Length: +2\r\n\r\n{}", 400, "not a number"),
    "a length in hexadecimal": (POST + b"Content-Length: 0x2\r\n\r\n{}", 400, "not a number"),
    "a list of lengths": (POST + b"Content-Length: 2, 2\r\n\r\n{}", 400, "not a number"),
    "an empty length": (POST + b"Content-Length: \r\n\r\n{}", 400, "not a number"),
    "a length beyond 64 bits": (POST + b"Content-Length: 18446744073709551618\r\n\r\n{}", 400, "larger than the limit"),
    "a coding that is not known": (POST + b"Transfer-Encoding: gzip\r\n\r\n", 501, "not chunked"),
    "a coding under chunked": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, "not chunked"),
    "chunked twice": (POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400, "only and last"),
    "two codings": (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n", 400, "more than once"),
    "chunked in quotes": (POST + b"Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400, "malformed"),
    "chunked behind a control character": (POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400, "control"),
    "chunked in HTTP/1.0": (CHUNKED.replace(b"/1.1", b"/1.0") + b"0\r\n\r\n", 400, "HTTP/1.0"),
    "a folded field": (GET + b"A: b\r\n c\r\n\r\n", 400, "goes on in the next line"),
    "a bare line feed": (GET + b"A: b\nC: d\r\n\r\n", 400, "line feed"),
    "a head of line feeds": (GET.replace(b"\r", b"") + b"\n", 400, "line feed"),
    "a bare carriage return": (GET + b"A: b\rC: d\r\n\r\n", 400, "carriage return"),
    "NUL in a value": (GET + b"A: \0\r\n\r\n", 400, "control"),
    "a control character in a name": (GET + b"A\x01: b\r\n\r\n", 400, "control"),
    "DEL in a value": (GET + b"A: \x7f\r\n\r\n", 400, "control"),
    "a space before the colon": (GET + b"Content-Length : 5\r\n\r\n", 400, "its colon"),
    "no colon": (GET + b"nothing\r\n\r\n", 400, "without a colon"),
    "no name": (GET + b": nothing\r\n\r\n", 400, "without a name"),
    "no host": (b"GET /health HTTP/1.1\r\n\r\n", 400, "Host is missing"),
    "two hosts": (GET + b"Host: x\r\n\r\n", 400, "more than once"),
    "a host that is none": (b"GET /health HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "not a host"),
    "a host with a path": (b"GET /health HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "not a host"),
    "an empty host": (b"GET /health HTTP/1.1\r\nHost:\r\n\r\n", 400, "not a host"),
    "HTTP/2.0": (GET.replace(b"1.1", b"2.0") + b"\r\n", 505, "not HTTP/1.0"),
    "HTTP/1.2": (GET.replace(b"1.1", b"1.2") + b"\r\n", 505, "not HTTP/1.0"),
    "HTTP/0.9": (b"GET /health\r\n\r\n", 400, "one space apart"),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "not HTTP/1.0"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "control"),
    "a chunk's size with junk": (CHUNKED + b"3xyz\r\nabc\r\n0\r\n\r\n", 400, "chunk's size"),
    "a chunk's size in C": (CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n", 400, "chunk's size"),
    "a chunk's size with an underscore": (CHUNKED + b"0_3\r\nabc\r\n0\r\n\r\n", 400, "chunk's size"),
    "a chunk's size with a sign": (CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n", 400, "chunk's size"),
    "a chunk's size with a space": (CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n", 400, "chunk's size"),
    "a chunk's size that overflows": (CHUNKED + b"10000000000000003\r\nabc\r\n0\r\n\r\n", 400, ""),
    "a chunk larger than a body may be": (CHUNKED + b"ffffffff\r\n", 400, "larger than the limit"),
    "a chunk's line that ends in LF": (CHUNKED + b"3\nabc\r\n0\r\n\r\n", 400, "chunk's size"),
    "a chunk without its CRLF": (CHUNKED + b"3\r\nabc0\r\n\r\n", 400, "does not end where"),
    "a chunk that ends in LF": (CHUNKED + b"3\r\nabc\n0\r\n\r\n", 400, "does not end where"),
    "a long extension": (CHUNKED + b"3;" + b"x" * 1_000_000 + b"\r\nabc\r\n0\r\n\r\n", 400, "longer than 256"),
    "a line feed in an extension": (CHUNKED + b"3;a\nb\r\nabc\r\n0\r\n\r\n", 400, "line of a chunk"),
    "a trailer with a length": (CHUNKED + b"2\r\n{}\r\n0\r\nContent-Length: 3\r\n\r\n", 400, "belongs into the head"),
    "a trailer with a coding": (CHUNKED + b"2\r\n{}\r\n0\r\nTransfer-Encoding: x\r\n\r\n", 400, "belongs into the head"),
    "a trailer with a host": (CHUNKED + b"2\r\n{}\r\n0\r\nHost: y\r\n\r\n", 400, "belongs into the head"),
    "long trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n" + b"A: b\r\n" * 1000 + b"\r\n", 431, "4096"),
    "a long head": (GET + b"A: " + b"x" * 17_000 + b"\r\n\r\n", 431, "16384"),
    "a head of a megabyte": (GET + b"A: " + b"x" * 1_000_000 + b"\r\n\r\n", 431, "16384"),
    "101 fields": (GET + b"A: b\r\n" * 100 + b"\r\n", 431, "100 fields"),
    "a long target": (b"GET /" + b"x" * 8192 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400, "8192"),
    "a target of a megabyte": (b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400, "8192"),
    "an asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 400, "not a path"),
    "an authority": (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "not a path"),
    "two spaces": (b"GET  /health HTTP/1.1\r\nHost: x\r\n\r\n", 400, "one space apart"),
    "a method that is none": (b"GE(T) /health HTTP/1.1\r\nHost: x\r\n\r\n", 400, "not a token"),
    "another expectation": (POST + b"Content-Length: 2\r\nExpect: 200-maybe\r\n\r\n{}", 417, "100-continue"),
    "another expectation without a body": (GET + b"Expect: x\r\n\r\n", 417, "100-continue"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_once_and_nothing_behind_it_is_read(shop, case):
    data, status, reason = CASES[case]
    answers = answers_in(ask(shop, data + SMUGGLED))
    assert [a[0] for a in answers] == [status], answers
    _, fields, body = answers[0]
    assert fields["connection"] == "close" and fields["content-type"] == "application/json"
    assert re.fullmatch("[0-9a-f-]{36}", fields["x-request-id"])
    refusal = json.loads(body)
    assert refusal["error"] == "invalid_draft" and refusal["field"] in ("head", "body") and reason in refusal["reason"]


def test_it_is_refused_behind_good_requests_too(shop):
    good = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    answers = answers_in(ask(shop, good + good + CASES["a chunk's size with junk"][0] + SMUGGLED))
    assert [a[0] for a in answers] == [200, 200, 400]


def test_it_is_refused_on_the_metrics_listener_too(make_ledger):
    ledger = make_ledger(metrics=True)
    with socket.create_connection(("127.0.0.1", ledger.metrics_port), timeout=PATIENCE_S) as s:
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n")
        assert [a[0] for a in answers_in(read_all(s))] == [400]


def test_refusals_are_counted_by_status(make_ledger):
    ledger = make_ledger(metrics=True)
    for case in ("two hosts", "HTTP/2.0", "101 fields", "a coding that is not known", "another expectation"):
        ask(ledger, CASES[case][0])
    with socket.create_connection(("127.0.0.1", ledger.metrics_port), timeout=PATIENCE_S) as s:
        s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        text = read_all(s).decode()
    for status in (400, 417, 431, 501, 505):
        assert re.search(rf'talea_http_requests_total{{[^}}]*route="other",status="{status}"}} 1\n', text), text


def test_a_large_body_is_refused_before_it_is_asked_for(shop):
    with connect(shop) as s:
        s.sendall(POST + b"Content-Length: 2097153\r\nExpect: 100-continue\r\n\r\n")
        answers = answers_in(read_all(s))
    assert [a[0] for a in answers] == [400] and b"larger than the limit" in answers[0][2]


def test_a_refusal_reaches_a_client_that_goes_on_sending(shop):
    """A socket that closes on unread octets takes its answer back: whoever sends a megabyte all the same reads it."""
    for _ in range(10):
        with connect(shop) as s:
            s.sendall(POST + b"Content-Length: 2097153\r\n\r\n")
            try:
                for _ in range(16):
                    s.sendall(b"x" * 65536)
            except OSError:
                pass
            assert answers_in(read_all(s))[0][0] == 400


# --- what is odd, and good ---

def test_pipelined_requests_are_answered_in_order(shop):
    requests = b"".join(b"GET /v1/books/b%d/trial-balance HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(20))
    got = ask(shop, requests + b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    order = [got.index(b'"book":"b%d"' % n) for n in range(20)]
    assert order == sorted(order) and got.endswith(b"ok")


def one_post(key):
    return json.dumps(draft("shop", key, debit("cash", 1), credit("sales", 1))).encode()


def chunked(body, size=7, extension=b""):
    pieces = [body[i:i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x%s\r\n%s\r\n" % (len(p), extension, p) for p in pieces) + b"0\r\n"


CLOSE = POST + b"Connection: close\r\n"


@pytest.mark.parametrize("end", [b"\r\n", b"X-Checksum: 1\r\nB:\r\n\r\n"])
@pytest.mark.parametrize("extension", [b"", b";name=value"])
def test_chunked_bodies_are_taken(shop, end, extension):
    got = ask(shop, CLOSE + b"Transfer-Encoding: cHuNkEd\r\n\r\n" + chunked(one_post("k"), 7, extension) + end)
    assert b'"deduplicated":false' in got


def test_a_chunked_body_at_the_limit_is_taken_and_one_octet_more_refused(shop):
    limit = 2 * 1024 * 1024
    body = one_post("large")
    body = body + b" " * (limit - len(body))
    head = CLOSE + b"Transfer-Encoding: chunked\r\n\r\n"
    assert b'"deduplicated":false' in ask(shop, head + chunked(body, 65536) + b"\r\n")
    assert answers_in(ask(shop, head + chunked(body + b" ", 65536) + b"\r\n"))[0][0] == 400


def test_one_octet_in_a_packet_is_a_request_like_another(shop):
    body = one_post("slow")
    for framing, content in ((b"Content-Length: %d\r\n\r\n" % len(body), body),
                             (b"Transfer-Encoding: chunked\r\n\r\n", chunked(body) + b"\r\n")):
        with connect(shop) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for octet in CLOSE + framing + content:
                s.sendall(bytes([octet]))
            assert answers_in(read_all(s))[0][0] == 200


def test_field_names_in_any_case_and_white_space_around_values_are_taken(shop):
    body = one_post("case")
    head = b"POST /v1/transactions HTTP/1.1\r\nhOST:x\r\ncOnTeNt-TyPe:\t application/json \t\r\ncontent-LENGTH:%d\r\n" % len(body)
    assert answers_in(ask(shop, head + b"CONNECTION:   Close\r\n\r\n" + body))[0][0] == 200


def test_http_1_0_is_kept_alive_when_it_asks_for_it(shop):
    with connect(shop) as s:
        for _ in range(3):
            s.sendall(b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            got = b""
            while not got.endswith(b"ok"):
                got += s.recv(4096)
            assert b"connection: keep-alive" in got.lower()
        s.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        assert read_all(s).endswith(b"ok")


def test_close_wins_over_keep_alive_and_another_word_closes_nothing(shop):
    assert ask(shop, GET + b"Connection: keep-alive\r\nConnection: close\r\n\r\n").endswith(b"ok")
    assert ask(shop, GET + b"Connection: close, keep-alive\r\n\r\n").endswith(b"ok")
    got = ask(shop, GET + b"Connection: TE\r\n\r\n" + GET + b"Connection: close\r\n\r\n")
    assert [a[0] for a in answers_in(got)] == [200, 200]


def test_an_upgrade_to_http_2_gets_an_answer_of_http_1_1(shop):
    got = ask(shop, GET + b"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 200 ") and got.endswith(b"ok")


def test_a_client_that_closed_its_half_still_gets_its_answer(shop):
    body = one_post("half")
    with connect(shop) as s:
        s.sendall(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        s.shutdown(socket.SHUT_WR)
        assert answers_in(read_all(s))[0][0] == 200


def test_a_body_that_is_expected_is_asked_for(shop):
    body = one_post("continue")
    for framing, content in ((b"Content-Length: %d" % len(body), body),
                             (b"Transfer-Encoding: chunked", chunked(body) + b"\r\n")):
        with connect(shop) as s:
            s.sendall(CLOSE + b"Expect: 100-Continue\r\n" + framing + b"\r\n\r\n")
            assert s.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
            s.sendall(content)
            assert answers_in(read_all(s))[0][0] == 200


def test_an_expectation_in_http_1_0_is_passed_over(shop):
    body = one_post("old")
    got = ask(shop, b"POST /v1/transactions HTTP/1.0\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
              b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert [a[0] for a in answers_in(got)] == [200]


def test_an_empty_line_before_a_request_is_passed_over(shop):
    got = ask(shop, b"\r\n" + GET + b"\r\n\r\n" + GET + b"Connection: close\r\n\r\n")
    assert [a[0] for a in answers_in(got)] == [200, 200]


def test_octets_beyond_ascii_in_a_target_are_taken(shop):
    got = ask(shop, "GET /v1/books/bücher/trial-balance HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answers_in(got)[0][0] == 200 and "bücher".encode() in got
