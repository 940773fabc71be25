#!/usr/bin/env python3
"""Writes a seed corpus: bodies and targets of the shared vectors, and messages and logs forged whole.

    make_seeds.py FOLDER      # FOLDER/<target>/<name>

What a target's first octets mean is said on top of it. The corpus in the tree began as this, plus what `make
fuzz-merge` found worth keeping; run it again for a new target, and merge.
"""
import hashlib
import json
import os
import re
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
from log_forge import crc32c  # noqa: E402

VECTORS = os.path.join(HERE, "..", "e2e", "vectors")
LEDGER = bytes(range(1, 17))
READERS = {"/v1/transactions": 0, "/v1/transactions/batch": 1, "/v1/assets": 2, "/v1/accounts": 3}


def vectors():
    for name in sorted(os.listdir(VECTORS)):
        with open(os.path.join(VECTORS, name)) as f:
            for line in f:
                step = json.loads(line)
                if "path" in step:
                    yield step


def body_of(step):
    if "body" in step:
        return json.dumps(step["body"], separators=(",", ":"), ensure_ascii=False).encode()
    return next((step[k].encode() for k in ("text", "raw") if isinstance(step.get(k), str)), None)


# --- MessagePack, as far as it is needed ---

def pack(value):
    if value is None:
        return b"\xc0"
    if isinstance(value, int):
        if 0 <= value < 128:
            return bytes([value])
        return b"\xd3" + struct.pack(">q", value) if value < 1 << 63 else b"\xcf" + struct.pack(">Q", value)
    if isinstance(value, str):
        octets = value.encode()
        return (bytes([0xa0 | len(octets)]) if len(octets) < 32 else b"\xd9" + bytes([len(octets)])) + octets
    if isinstance(value, bytes):
        return b"\xc4" + bytes([len(value)]) + value
    assert isinstance(value, list) and len(value) < 16
    return bytes([0x90 | len(value)]) + b"".join(map(pack, value))


def draft(key, *postings, refs=(), metadata=None, occurred=None):
    return [key, [list(p) for p in postings], [list(r) for r in refs], metadata, occurred]


POST = draft("k1", ("a", 5, "USD", 0), ("b", 5, "USD", 1))
RICH = draft("k2", ("c", 3, "USD", 0), ("b", 3, "USD", 1), refs=[("order", "1")], metadata=b'{"a":[1]}',
             occurred=[1700000000, 500000000])
EXTREME = draft("k3", ("a", (1 << 63) - 1, "USD", 0), ("b", (1 << 63) - 1, "USD", 1))
OVER = draft("k4", ("c", 9, "USD", 0), ("b", 9, "USD", 1), ("d", 1, "EUR", 0), ("a", 0, "EUR", 1))
PAST_I64 = draft("k6", ("c", 9, "USD", 0), ("b", 9, "USD", 1))
ZERO = draft("k7", ("a", 0, "USD", 0), ("b", 0, "USD", 1))
BELOW = draft("k5", ("b", 1, "USD", 0), ("a", 1, "USD", 1))
ASSET = ["BTC", 2, "bitcoin", None, 8, "Bitcoin"]
FIAT = ["USD", 1, None, None, 2, "US Dollar"]
ACCOUNT = ["cash", "USD", 1, 1, -100]
PLAIN = ["sales", "USD", 3, 0, None]


def submission(kind, count, *parts):
    return b"\0" + struct.pack("<IIQQQ", kind, count, 1, 1, 1) + b"".join(map(pack, parts))


def verdict(code, posting=0, a=0, b=0, seq=0, at=0, reason=0, deduplicated=0):
    return struct.pack("<BBBBIIIqqQq16s", code, reason, deduplicated, 0, posting, 1, 0, a, b, seq, at, LEDGER)


def completion(*verdicts, count=None):
    head = struct.pack("<QII", 1, len(verdicts) if count is None else count, 0)
    return b"\1" + bytes([len(verdicts) - 1]) + head + b"".join(verdicts)


def record(position, payload):
    check = (position ^ position >> 32 ^ 0x7a1ea001) & 0xffffffff
    return struct.pack("<II", len(payload), check) + payload + b"\0" * (-len(payload) % 8)


def ring(head, content, published=None):
    counters = struct.pack("<QQ", head, len(content) if published is None else published)
    return b"\2" + counters + content


def wrapped_ring():
    content = bytearray(256)
    content[240:248] = struct.pack("<II", 0xffffffff, 240 ^ 0x7a1ea001)
    content[0:24] = record(256, b"sixteen octets..")
    return ring(240, bytes(content), 40)


MESSAGES = {
    "post": submission(1, 1, "shop", POST),
    "post-rich": submission(1, 1, "shop", RICH),
    "post-extreme": submission(1, 1, "shop", EXTREME),
    "post-past-i64": submission(1, 1, "shop", PAST_I64),
    "post-of-nothing": submission(1, 1, "shop", ZERO),
    "post-two-books": submission(1, 5, "x", POST, "y", OVER, "x", BELOW, "x", POST, "x", RICH),
    "asset": submission(2, 1, ASSET),
    "asset-fiat": submission(2, 1, FIAT),
    "account": submission(3, 1, "shop", ACCOUNT),
    "account-plain": submission(3, 1, "shop", PLAIN),
    "count-that-lies": submission(1, 0xffffffff, "shop", POST),
    "posted": completion(verdict(1, seq=7, at=1700000000000001)),
    "every-verdict": completion(*(verdict(c, posting=1, a=-1, b=2) for c in (2, 3, 4, 5))),
    "every-verdict-2": completion(*(verdict(c, posting=0xffffffff, reason=255) for c in (6, 7, 8, 9))),
    "every-verdict-3": completion(*(verdict(c, posting=9) for c in (10, 11, 12, 13))),
    "no-verdict": completion(verdict(0), verdict(255, at=-(1 << 63))),
    "too-few-verdicts": completion(verdict(1), count=3),
    "ring-two-records": ring(0, record(0, b"one") + record(16, b"the other")),
    "ring-wrapped": wrapped_ring(),
    "ring-record-past-its-end": ring(240, b"\0" * 240 + record(240, b"sixteen octets..")[:16], 24),
    "ring-published-too-much": ring(8, record(8, b"x"), 512),
}


# --- logs ---

def event(kind, body, seq=1, at=1700000000000000, book="shop"):
    return pack([kind, book, seq, at, LEDGER if kind == 3 else None])[1:].join([b"\x96", pack(body)])


def batch(position, number, chain, payload, events, flags=0):
    head = b"TLBT" + struct.pack("<IIIQQqI", len(payload), events, flags, position, number, 1700000000000000, 0)
    head += struct.pack("<I", crc32c(head + payload))
    chain = hashlib.sha256(chain + head + payload).digest()
    octets = head + payload + chain
    return octets + b"\0" * (-len(octets) % 8), chain


def segment(*payloads, seal=0, version=1, position=0):
    chain = hashlib.sha256(LEDGER).digest()
    head = b"TALEALOG" + struct.pack("<II", version, 128) + LEDGER + struct.pack("<QQ", position, 1) + chain
    head += struct.pack("<q", 1700000000000000) + b"\0" * 36
    octets = head + struct.pack("<I", crc32c(head))
    for number, (payload, events) in enumerate(payloads, 1):
        more, chain = batch(len(octets), number, chain, payload, events)
        octets += more
    if seal:
        octets += batch(len(octets), len(payloads) + 1, chain, b"", 0, seal)[0]
    return octets


EVENTS = [event(1, ASSET, book="_system"), event(1, FIAT, 2, book="_system"), event(2, ACCOUNT), event(2, PLAIN, 2),
          event(3, POST, 3), event(3, RICH, 4)]
WHOLE = segment((b"".join(EVENTS[:4]), 4), (EVENTS[4], 1), (EVENTS[5], 1), seal=1)

LOGS = {
    "whole": b"\0\0" + WHOLE,
    "repaired": b"\3\0" + WHOLE,
    "sealed": b"\1\0" + segment((EVENTS[4], 1), seal=2),
    "with-room": b"\0\0" + segment((EVENTS[4], 1)) + b"\0" * 64,
    "torn": b"\0\0" + WHOLE[:-90],
    "gap": b"\0\0" + WHOLE[:300] + b"\0" * 8 + WHOLE[308:],
    "newer-version": b"\1\0" + segment((EVENTS[4], 1), version=2),
    "elsewhere": b"\1\0" + segment((EVENTS[4], 1), position=4096),
    "empty": b"\0\0" + segment(),
    "payload": b"\4\6" + b"".join(EVENTS),
    "payload-asset": b"\4\1" + EVENTS[0],
    "payload-account": b"\4\1" + EVENTS[2],
    "payload-post": b"\4\1" + EVENTS[5],
}

# --- texts ---

TIMES = ["2026-06-04T12:00:00Z", "2026-06-04t12:00:00.123456789+05:30", "2016-12-31 23:59:60z", "0000-01-01T00:00:00Z",
         "9999-12-31T23:59:59.5-00:01", "2024-02-29T00:00:00.1Z", "2023-02-29T00:00:00Z",
         "0000-01-01T00:59:00+01:00", "2026-06-04T12:00:00Zz"]
QUERIES = ["as_of=2026-06-04T12:00:00%2B02:00", "limit=+5&after_seq=-3&x=1", "from=9223372036854775807",
           "limit=0&limit=1",
           "limit=99999999999999999999", "after_seq=%31&from=", "%6cimit=7", "from=-9223372036854775808&&=&as_of"]

SETTINGS = {
    "all": "db_url: log:///var/lib/talea\nbind: 127.0.0.1:8080\nmetrics_bind: '[::1]:9090'\nworkers: 2\n"
           "log_level: debug\nlog_format: json\naccess_log: yes\nmax_inflight: 256\nslow_request_ms: 0\n",
    "api-token": "db_url: log://d/\napi_token: \"s3cret\"\nlog_segment_max: 4096\n",
    "dotenv": "bind: '[fe80::1%eth0]:0'\n--- .env\nexport TALEA_DB_URL=log://x # here\nTALEA_API_TOKEN='a b'\n"
              "TALEA_BIND=\"localhost:1\"\nA=\"\\n\\\"\\\\\"\n",
    "unknown-key": "db_url: log://d\nmax_inflght: 3\nTALEA_BIND: x:1\n",
    "twice": "workers: 1\nworkers: 2\n",
    "wrong-values": "db_url: http://x\nworkers: 65\nbind: x\nlog_level: loud\naccess_log: [1]\nmax_inflight: -1\n",
    "one-worker-too-many": "db_url: log://d\nworkers: 65\n",
    "anchors": "db_url: &a log://d\nbind: *a\n",
    "deep": "workers: " + "[" * 17 + "]" * 17 + "\n",
    "two-documents": "db_url: log://d\n---\nbind: x:1\n",
    "empty": "",
    "dotenv-wrong": "{}\n--- .env\nA=1\nA=2\n1=2\nB='x\nC=\"\\q\"\nTALEA_DB_URL=\n",
    "no-mapping": "- a\n- b\n",
    "utf-16": "\ufeffdb_url: log://d\n",
}
TOKENS = {
    "two": "tokens:\n  payments:  { token: s3cret-1, books: [payments], access: rw }\n"
           "  reporting: { token: s3cret-2, books: [\"*\"], access: ro }\n--- header\nBearer s3cret-1",
    "block": "tokens:\n  p:\n    token: 'x y'\n    books:\n      - a\n      - \"b:c\"\n    access: ro\n"
             "--- header\nbearer  x y",
    "same-token": "tokens:\n  a: { token: t, books: [a], access: rw }\n  b: { token: t, books: [b], access: rw }\n",
    "the-api-token": "tokens:\n  a: { token: api-token, books: [a], access: rw }\n",
    "book-that-begins-with-a-star": "tokens: { a: { token: t, books: ['*x'], access: rw } }\n",
    "mixed-books": "tokens: { a: { token: t, books: ['*', b], access: rw } }\n",
    "wrong-entries": "tokens:\n  a: 1\n  b: {}\n  c: { token: ~, books: [], access: no, more: 1 }\n"
                     "  '': { token: x }\n",
    "no-entry": "tokens: {}\n",
    "none": "",
}
STREAMS = {
    "events": "\x051\nid: 1\ndata: {\"seq\":1}\n\n:\n\nid: 2\ndata: {\"seq\":2}\n\n",
    "crlf": "\x01-5\nid: 7\r\ndata: a\r\ndata: b\r\n\r\nretry: 100\r\revent: x\rdata\r\r",
    "cursor": "\x009223372036854775807",
    "cursor-over": "\x009223372036854775808",
    "cursor-least": "\x00-9223372036854775808",
    "cursor-plus": "\x00+0012\n",
    "goodbye": "\x20:the server closes this connection, reconnect\nretry: 100\n\n",
    "id-with-nul": "\x03id: a\0b\ndata:x\n\nid\ndata:  y\n\n",
}

# --- what clients send to a worker: the marks are explained in fuzz_whole_server.c ---

FLUSH, PAUSE, AGAIN, DONE, LENGTH, KEY, TOKEN = (b"\xff" + mark for mark in (b"|", b",", b"#", b"!", b"L", b"K", b"A"))


def get(path, *lines, method="GET", token=True):
    head = [f"{method} {path} HTTP/1.1".encode(), b"Host: x", *lines]
    return b"\r\n".join(head + [TOKEN] * token) + b"\r\n\r\n"


def send(path, body, *lines, length=True, kind=b"application/json"):
    lines = [b"Content-Type: " + kind, *([b"Content-Length: " + LENGTH] if length else []), *lines]
    return get(path, *lines, method="POST") + body


def chunked(path, *chunks, trailer=b""):
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailer + b"\r\n"
    return send(path, body, b"Transfer-Encoding: chunked", length=False)


def sale(key, minor=5, account=b"sales"):
    return (b'{"book":"shop","idempotency_key":"' + key + b'","postings":[{"account":"cash","amount":{"minor":%d,'
            b'"asset":"USD"},"direction":"debit"},{"account":"%s","amount":{"minor":%d,"asset":"USD"},'
            b'"direction":"credit"}]}'
            % (minor, account, minor))


POSTS, BATCH = "/v1/transactions", "/v1/transactions/batch"
BOOK = "/v1/books/shop"
REQUESTS = {
    "health": get("/health", token=False),
    "health-http-1-0": b"GET /health HTTP/1.0\r\n\r\n",
    "absolute-form": get("http://x/health?a=b"),
    "post": send(POSTS, sale(b"k1")),
    "post-fresh": send(POSTS, sale(KEY)) + FLUSH + get(BOOK + "/accounts/cash/balance"),
    "post-metadata": send(POSTS, sale(b"k2")[:-1] + b',"metadata":{"a":[1,"\\u00e9"]},"external_refs":[{"kind":"o",'
                          b'"value":"1"}],"occurred_at":"2026-01-02T03:04:05.5Z"}'),
    "post-refused": send(POSTS, sale(b"k3", account=b"till", minor=7)) + FLUSH
                    + send(POSTS, sale(b"k4", account=b"none")),
    "post-batch": send(BATCH, b"[" + sale(b"k5") + b"," + sale(KEY) + b"," + sale(b"", -1) + b"]"),
    "post-in-pieces": send(POSTS, sale(b"k6")).replace(b"postings", b"post" + PAUSE + b"ings"),
    "post-cut": send(POSTS, sale(b"k7") + b" " * 9)[:-20] + AGAIN + get("/health"),
    "post-and-gone": send(POSTS, sale(KEY)) + DONE + AGAIN + get("/health"),
    "post-chunked": chunked(POSTS, sale(b"k8")[:20], sale(b"k8")[20:]),
    "post-chunked-trailer": chunked(POSTS, sale(b"k9"), trailer=b"X-A: b\r\n"),
    "post-chunked-broken": chunked(POSTS, sale(b"k9")).replace(b"14\r\n", b"zz\r\n"),
    "post-two-framings": send(POSTS, b"0\r\n\r\n", b"Transfer-Encoding: chunked"),
    "post-two-lengths": send(POSTS, sale(b"k8"), b"Content-Length: 3"),
    "post-no-length": send(POSTS, sale(b"k8"), length=False),
    "post-text": send(POSTS, sale(b"k8"), kind=b"text/plain"),
    "post-expect": send(POSTS, PAUSE + sale(b"k8"), b"Expect: 100-continue"),
    "post-too-long": send(POSTS, b"{", b"Content-Length: 99999999", length=False),
    "asset": send("/v1/assets", b'{"id":"BTC","class":"crypto","network":"bitcoin","precision":8,"name":"B"}'),
    "account": send("/v1/accounts", b'{"book":"b","path":"p","asset":"USD","kind":"equity","min_balance":-5}'),
    "pipeline": get(BOOK + "/trial-balance") * 3 + get("/health", method="HEAD") + get("/nowhere"),
    "pipeline-posts": send(POSTS, sale(b"k1")).replace(LENGTH, b"%d" % len(sale(b"k1"))) * 4,
    "balance-as-of": get(BOOK + "/accounts/cash/balance?as_of=2026-06-04T12:00:00%2B02:00"),
    "history": get(BOOK + "/accounts/cash/history?after_seq=1&limit=2") + get(BOOK + "/accounts/a%2Fb/history"),
    "events": get(BOOK + "/events?from=2") + FLUSH + FLUSH,
    "events-id": get(BOOK + "/events", b"Last-Event-ID: -1") + FLUSH + get("/health"),
    "events-head": get(BOOK + "/events", method="HEAD"),
    "events-1-0": get(BOOK + "/events").replace(b"HTTP/1.1", b"HTTP/1.0"),
    "transaction": get("/v1/transactions/01890a5d-ac96-774b-bcce-b302099a8057"),
    "not-utf-8": get("/v1/books/%ff/trial-balance"),
    "other-method": get(BOOK + "/trial-balance", method="DELETE") + get("/health", method="OPTIONS"),
    "no-token": get(BOOK + "/trial-balance", token=False)
                + get(BOOK + "/events", b"Authorization: Bearer x", token=False),
    "request-id": get("/health", b"X-Request-Id: a-1") + get("/health", b"X-Request-Id: a", b"X-Request-Id: b"),
    "close": get("/health", b"Connection: close") + get("/health"),
    "upgrade": get("/health", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQ"),
    "http-2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "long-head": get("/health", *(b"X-%d: y" % n for n in range(120))),
    "folded-head": get("/health", b"X-A: b\r\n c"),
    "no-request": b"\r\n\r\nhello\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    "nothing": b"",
}


START = b"GET / HTTP/1.1\r\nHost: x\r\n"
# The first octet: even for heads, odd for chunked bodies; half of it, and one, is the length of a piece.
FRAMING = {
    "plain": b"\x20" + START + b"\r\n",
    "old": b"\2GET /a?b HTTP/1.0\r\n\r\n",
    "absolute": b"\x10GET http://[::1]:80/v1?a=%20 HTTP/1.1\r\nhost:[::1]:80\r\n\r\n",
    "length": b"\x10POST / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 4096\r\nExpect: 100-continue\r\n\r\n",
    "chunked": b"\x10POST / HTTP/1.1\r\nHost: a.b\r\nTransfer-Encoding: Chunked\r\n\r\n",
    "both": b"\x10POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "two-lengths": b"\0POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "codings": b"\0POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "folded": b"\0" + START + b"A: b\r\n c\r\n\r\n",
    "bare": b"\0" + START + b"A: b\nC: d\r\n\r\n",
    "empty-line": b"\0\r\n" + START + b"A:\t b \r\n\r\nbehind",
    "no-host": b"\0GET / HTTP/1.1\r\n\r\n",
    "http-2": b"\0PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "long": b"\xfe" + START + b"A: " + b"x" * 16400 + b"\r\n\r\n",
    "fields": b"\xfe" + START + b"A: b\r\n" * 101 + b"\r\n",
    "body": b"\x093\r\nabc\r\n0a\r\n0123456789\r\n0\r\n\r\nGET",
    "extensions": b"\x033;a=b;c=\"d\"\r\nabc\r\n0;e\r\n\r\n",
    "trailers": b"\x013\r\nabc\r\n0\r\nX-Sum: 1\r\nHos: t\r\n\r\n",
    "trailer-of-a-head": b"\x0f0\r\nContent-Length: 3\r\n\r\n",
    "sizes": b"\x0f0x3\r\nabc\r\n",
    "large": b"\x0ffffffffffffffff\r\n",
    "no-end": b"\x0f3\r\nabcd\r\n0\r\n\r\n",
}


def write(folder, target, name, content):
    os.makedirs(os.path.join(folder, target), exist_ok=True)
    name = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    with open(os.path.join(folder, target, name), "wb") as f:
        f.write(content.encode() if isinstance(content, str) else content)


def main():
    folder, = sys.argv[1:]
    for step in vectors():
        body = body_of(step)
        if body is not None and len(body) < 2000 and step["path"] in READERS:
            write(folder, "draft_json", step.get("name", "step"), bytes([READERS[step["path"]]]) + body)
        if len(step["path"]) < 200 and "?" in step["path"] + "?":
            write(folder, "query", step.get("name", step["path"]), step["path"])
    for n, time in enumerate(TIMES):
        write(folder, "query", f"time-{n}", time)
    for n, query in enumerate(QUERIES):
        write(folder, "query", f"query-{n}", "/v1/books/a%2Fb/accounts/x%20y/history?" + query)
    for target, seeds in (("message", MESSAGES), ("log_batch", LOGS), ("settings", SETTINGS), ("tokens", TOKENS),
                          ("sse", STREAMS), ("framing", FRAMING), ("whole_server", REQUESTS)):
        for name, content in seeds.items():
            write(folder, target, name, content)


if __name__ == "__main__":
    main()
