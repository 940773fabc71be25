"""What limits.py sends: values at the limits of the wire contract and one step beyond, as bodies in bytes.

Nothing here asks a server; whether a body is right is said by the reference ledger, and beside it by who calls.
"""
import json

from reference_forms import I64_MAX, I64_MIN

BODY_MAX = 2 << 20
BATCH_MAX = 500
NESTING_MAX = 127

# Text that something on the way may take for its own: ends, separators, escapes, marks, halves of pairs.
ODDITIES = [
    "\0", "a\0b", "\0\0", *(chr(n) for n in range(1, 0x20)), "\x7f", *(chr(n) for n in (0x80, 0x85, 0x9f, 0xa0, 0xad)),
    "\u2028", "\u2029", "line\u2028line\u2029end", "\ufeff", "\ufeffbom", "\ufffe", "\uffff", "\ufdd0", "\U0001fffe",
    "\U0010ffff", "\ue000", "\U000f0000", "\ud7ff", "\ufffd", "\U00010000", "\U0001f600", "e\u0301", "\u00e9", "\u0301",
    "\u200f\u05d0\u05d1", "\u202eabc", "\u2066x\u2069", "\u0645\u0631\u062d\u0628\u0627",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f3f4\U000e0067\U000e007f", "\u200b", "\u3000", " ", "  x  ",
            "\t",
    "\r\n", "\n\n", "data: x\n\nid: 9", ":", "::", "a:b", "\\", "\\:", "\\\\", "/", "//", ".", "..", "../..", "%",
            "%2F",
    "%zz", "%00", "\"", "'", "?", "#", "&a=b", "+", "*", "~", "-", "null", "0", "{}", "[]", "x_", "\\u0000", "\\n",
]
ODDITIES = list(dict.fromkeys(ODDITIES))
IN_NAMES = [text for text in ODDITIES if len(text) > 1 or text > "\x1e" or text in "\0\1\b\t\n\r\x1b"]
LENGTHS = [1, 2, 254, 255, 256, 257, 510, 511, 512, 65535, 65536]

NUMBERS = ["0", "-0", "-0.0", "1e400", "1E400", "-1e-400", "1E+2", "0.1e-5", "1e5", "1.50",
           "123456789012345678901234567890",
           "-9223372036854775809", "18446744073709551616", "0.1000000000000000055511151231257827", "1" + "0" * 4000,
           "0." + "3" * 5000, str(I64_MIN), str(I64_MAX)]
STRINGS = [r'"\""', r'"\\"', r'"\/"', r'"\b\f\n\r\t"', r'"\u0000"', r'"a\u0000b"', r'"\ud83d\ude00"', r'"\uD83D\uDE00"',
           r'"\udbff\udfff"', r'"\ufffe\uffff\ufdd0"', r'"\u2028\u2029\ufeff"', r'"\\ud800"', r'"\u005cud800"',
           r'"\u0022"',
           '"' + "".join(f"\\u{n:04x}" for n in range(0x20)) + '"', '"\x7f\x80\x9f"', '"\u2028\u2029"', '""',
           '"data: x"']
SHAPES = ['null', 'true', 'false', '[]', '{}', '[[],{}]', '{"a":1,"a":2}', '{"":{"":{"":0}},"":1}',
          '{"\\u0000":0,"\\u0000":1}',
          '{"a":1,"\\u0061":2}', '{"book":"other","metadata":{"postings":[]},"idempotency_key":1}', '[null,[null]]',
          '\r\n{\r\n\t"a" : [ 1 ,\r2\n]\n}\r\n', '\n\n[\n\n]\n\n', '{"a"\n:\n"\\n\\n"\n}', '\t \r \n 1 \n',
          '[1\n\n,\n\n2]']
WRONG = [b'"\\ud800"', b'"\\udc00"', b'"\\ud800\\ud800"', b'"\\udc00\\ud800"', b'"\\ud83d\\u0041"', b'"\\ud83dx"',
         b'"\xc0\x80"',
         b'"\xe0\x80\x80"', b'"\xc1\xbf"', b'"\xf0\x80\x80\x80"', b'"\xed\xa0\x80"', b'"\xed\xbf\xbf"',
         b'"\xf4\x90\x80\x80"',
         b'"\xf8\x88\x80\x80\x80"', b'"\xff"', b'"\x80"', b'"\xe2\x82"', b'"\xe2\x82', b'"\x00"', b'"\n"', b'"\x1f"',
         b'"\\x00"',
         b'"\\u12"', b'"\\u00g0"', b'"\\U0000"', b"01", b"-", b"+1", b".5", b"1.", b"1e", b"1e+", b"0x1", b"NaN",
         b"Infinity",
         b"-Infinity", b"1_0", b"nul", b"TRUE", b"'a'", b"[1,]", b"[,]", b'{"a":1,}', b"{a:1}", b'{"a"}', b'{"a":}',
         b"[1 2]",
         b"/**/1", b"1//", b"\xef\xbb\xbf1", b"\x0b1", b"\x0c1", b"\xc2\xa01", b"", b"]", b'{"\\ud800":1}',
         b'{"a\xff":1}']

TIMES = ["0000-01-01T00:00:00Z", "0000-12-31T23:59:59.999999999Z", "0000-02-29T12:00:00Z", "0001-01-01T00:00:00Z",
         "0001-01-01T00:00:00+23:59", "0000-01-01T23:59:00+23:59", "9999-12-31T23:59:59.999999999Z",
         "9999-12-31T23:59:60Z",
         "9999-12-31T00:00:00-23:59", "1969-12-31T23:59:59.999999999Z", "1970-01-01T00:00:00Z",
         "1969-12-31T23:59:60.5Z",
         "1900-02-28T23:59:59Z", "2000-02-29T00:00:00Z", "2016-12-31T23:59:60Z", "2017-01-01T01:59:60.123456789+02:00",
         "2016-12-31T15:29:60.000001-08:30", "1582-10-10T00:00:00Z", "2038-01-19T03:14:08Z",
         "2262-04-11T23:47:16.854775808Z",
         "2020-01-01t00:00:00z", "2020-01-01 00:00:00.1-00:00", "2020-06-30T12:34:56+05:30",
         *(f"2026-06-04T12:00:00.{'123456789'[:n]}Z" for n in range(1, 10)),
         *(f"2026-06-04T12:00:00.{digits}Z" for digits in ("0", "000", "100", "1000", "100100", "100000000",
                                                           "000000001",
                                                           "999999999", "120000", "000001000"))]
NO_TIMES = ["0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "9999-12-31T23:59:60-00:01",
            "10000-01-01T00:00:00Z",
            "-001-01-01T00:00:00Z", "1900-02-29T00:00:00Z", "2023-02-29T00:00:00Z", "2023-00-01T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-01-00T00:00:00Z", "2023-04-31T00:00:00Z", "2023-01-01T24:00:00Z", "2023-01-01T00:60:00Z",
            "2023-01-01T00:00:61Z",
            "2023-01-01T00:00:00", "2023-01-01T00:00:00.Z", "2023-01-01T00:00:00.1234567890Z",
            "2023-01-01T00:00:00+24:00",
            "2023-01-01T00:00:00+00:60", "2023-01-01T00:00:00+0000", "2023-01-01T00:00:00,5Z", "2023-1-1T00:00:00Z",
            "2023-01-01",
            "", " 2023-01-01T00:00:00Z", "2023-01-01T00:00:00Z ", "2023-01-01T00:00:00Z\0", "\uff12023-01-01T00:00:00Z"]


def write(value, raw=False):
    return json.dumps(value, ensure_ascii=not raw, separators=(",", ":")).encode()


def asset(name, precision=2, **more):
    return {"id": name, "class": "fiat", "precision": precision, "name": "a name", **more}


def account(book, path, asset="USD", **more):
    return {"book": book, "path": path, "asset": asset, "kind": "clearing", **more}


def posting(path, direction, minor=1, asset="USD"):
    return {"account": path, "amount": {"minor": minor, "asset": asset}, "direction": direction}


def draft(book, key, postings, **more):
    return {"book": book, "idempotency_key": key, "postings": postings, **more}


def pair(debtor, creditor, minor=1, asset="USD"):
    return [posting(debtor, "debit", minor, asset), posting(creditor, "credit", minor, asset)]


def with_metadata(body, text):
    """The draft's bytes with this text, right or wrong, where the value of metadata stands."""
    return write(body)[:-1] + b',"metadata":' + text + b"}"


def as_shown(text):
    """Metadata comes back as the bytes that were sent, but for the white space around it, and for line breaks."""
    return text.strip(b" \t\r\n").replace(b"\r", b" ").replace(b"\n", b" ")


def nested(depth, rng):
    """As deep as that; objects and arrays in any order."""
    opens = [rng.choice([(b"[", b"]"), (b'{"":', b"}"), (b'[0,{"a":', b"}]")]) for _ in range(depth)]
    kept, room = [], depth
    for one in opens:
        cost = 2 if len(one[1]) == 2 else 1
        if cost <= room:
            kept.append(one)
            room -= cost
    return b"".join(o for o, _ in kept) + b"1" + b"".join(c for _, c in reversed(kept)) if room == 0 else \
        nested(depth, rng)


def filled(make, size=BODY_MAX):
    """make(text) in bytes, with an ASCII text that brings it to that size."""
    return make("x" * (size - len(make(""))))


def as_many(make_one, before, behind, size=BODY_MAX):
    """An array of as many elements as fit: before + [make_one(0), make_one(1) ...] + behind."""
    pieces, room = [], size - len(before) - len(behind) - 2
    while True:
        piece = make_one(len(pieces))
        room -= len(piece) + (1 if pieces else 0)
        if room < 0:
            return before + b"[" + b",".join(pieces) + b"]" + behind, len(pieces)
        pieces.append(piece)
