#!/usr/bin/env python3
"""Everything that is accepted at a limit is carried by every later step, and one step beyond it is refused.

Metadata nested or sized to the maximum, every oddity of Unicode, names of any length, full batches, transactions that
fill a body, amounts at the ends of i64, times at the ends of the calendar: each answer is compared with the reference
ledger; then all of it is read back, streamed and dumped, and must be the same bytes after a restart, a kill -9 and a
rebuild from the log. Of what was refused nothing may be anywhere.
"""
import argparse
import collections
import concurrent.futures
import hashlib
import json
import os
import random
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

import limit_cases as cases  # noqa: E402
from crash_load import check_deaths  # noqa: E402
from harness import PATIENCE_S, SANITIZER, TALEAD, Ledger, clean_environment, quote  # noqa: E402
from limit_cases import BATCH_MAX, BODY_MAX, NESTING_MAX, account, asset, draft, pair, posting, write  # noqa: E402
from model import DERIVED, Difference, conclude, differs, outcome, shortened  # noqa: E402
from reference_forms import ANY_REASON, I64_MAX, I64_MIN, parse_time, read_json, read_number  # noqa: E402
from reference_ledger import BOOK_REPEATED_MAX, ReferenceLedger  # noqa: E402

SETTINGS = {"log_segment_max": 4 << 20, "log_snapshot_every": 2000, "log_idem_hot_cap": 300,
            # Slow readers of this program's read nothing until its end.
            "unsent_max_bytes": 1 << 30, "write_timeout_secs": 3600, "events_behind_max_bytes": 0}
READABLE_MAX = 8000  # bytes of names in a target, which may have 8192
SLOW_READER_BUFFER = 128 << 10
SMALL_BODY = 1 << 16
DIGITS_MAX = 10000  # of the integers in metadata
OVERSIZED = (400, {"error": "invalid_draft", "field": "body", "reason": ANY_REASON})
LAST_AT = "9999-12-31T23:59:59Z"


def as_text(value):
    return json.dumps(value, default=repr, sort_keys=True)


def read_answer(data):
    """Strictly, unless it is large: then its text is compared all the same, and only a name that comes twice is not
    seen."""
    return read_json(data) if len(data) < SMALL_BODY else json.loads(data.decode(), parse_float=read_number)


def digest(data):
    return hashlib.sha256(data).digest()


class Limits:
    def __init__(self, seed):
        self.seed = seed
        self.rng = random.Random(seed)
        self.ledger = Ledger(workers=2, **SETTINGS)
        self.reference = ReferenceLedger(BATCH_MAX)
        self.accepted = []  # (path, body) of the posts
        self.metadata = {}  # tx_id -> as it must come back
        self.shown = {}  # a target, or a book and seq -> digest of what was answered first
        self.crowd = set()  # books of which there are many alike
        self.live = []  # (book, stream) that were opened before anything was posted
        self.figures = collections.Counter()
        self.keys = 0
        self.doing = None

    # --- asking ---

    def compare(self, expected, got):
        """The same text is the same value; where it is another, an element by element look decides."""
        if as_text(expected) != as_text(got) and (difference := differs(expected, got)):
            raise Difference(difference)

    def send(self, path, body, apply, good=None):
        """One post, compared; good: what the case was made to be, so that the reference is held to it too."""
        self.doing = (path, body)
        self.take(path, body, apply, self.ledger.request("POST", path, raw=body), good)

    def take(self, path, body, apply, answer, good=None):
        got = read_answer(answer.bytes) if answer.bytes else None
        posts = apply in (self.reference.post, self.reference.post_batch)
        expected = OVERSIZED if len(body) > BODY_MAX else outcome(apply, body, *([got] if posts else []))
        self.compare(list(expected), [answer.status, got])
        if good is not None and good != (answer.status < 300):
            raise Difference(f"was to be {'accepted' if good else 'refused'}: {answer.status} {answer.text[:300]}")
        slots = got if isinstance(got, list) else [got]
        refused = sum("error" in (slot or {}) for slot in slots)
        self.figures["refused"] += refused
        self.figures["accepted"] += len(slots) - refused
        if posts and answer.status == 200:
            self.accepted.append((path, body))
        return got

    def register(self, good=True, **definition):
        self.send("/v1/assets", write(asset(**definition), self.rng.random() < 0.5), self.reference.register_asset,
                  good)

    def open(self, *definition, good=True, **more):
        self.send("/v1/accounts", write(account(*definition, **more), self.rng.random() < 0.5),
                  self.reference.open_account, good)

    def post_raw(self, body, good=True):
        self.doing = ("/v1/transactions", body)
        answer = self.ledger.request("POST", "/v1/transactions", raw=body)
        return self.take("/v1/transactions", body, self.reference.post, answer, good)

    def post(self, body, good=True):
        return self.post_raw(write(body, self.rng.random() < 0.5), good)

    def post_batch(self, bodies, good=True):
        body = bodies if isinstance(bodies, bytes) else write(bodies, self.rng.random() < 0.5)
        self.send("/v1/transactions/batch", body, self.reference.post_batch, good)

    def post_metadata(self, text, good=True, book="metadata"):
        posted = self.post_raw(cases.with_metadata(self.sale(book), text), good)
        if good:
            self.metadata[posted["tx_id"]] = cases.as_shown(text)

    def sale(self, book, **more):
        return draft(book, self.new_key(), pair("cash", "sales"), **more)

    def new_key(self):
        self.keys += 1
        return f"key {self.keys}"

    def set_up(self, *books):
        for book in books:
            self.open(book, "cash", normal_side="debit")
            self.open(book, "sales", normal_side="credit")

    def listen(self, book, slow=False):
        stream = self.ledger.stream(book)
        if slow:
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_READER_BUFFER)
        self.live.append((book, stream))

    # --- metadata ---

    def metadata_of_every_kind(self):
        for text in cases.NUMBERS + cases.STRINGS + cases.SHAPES:
            self.post_metadata(text.encode())
        for oddity in cases.ODDITIES:
            self.post_metadata(write(oddity))
            self.post_metadata(write({oddity: [oddity]}, raw=True))
        for text in cases.WRONG:
            self.post_metadata(text, good=False)

    def metadata_nested(self):
        """The draft is the first level; in a batch, the second."""
        for depth in range(NESTING_MAX - 3, NESTING_MAX + 3):
            text, good = cases.nested(depth, self.rng), depth < NESTING_MAX
            self.post_metadata(text, good)
            self.post_raw(write(self.sale("metadata"))[:-1] + b',"unknown":' + text + b"}", good)
            one = cases.with_metadata(self.sale("metadata"), text)
            self.post_batch(b"[" + one + b"]", depth < NESTING_MAX - 1)
        for depth in (1000, 100000, 500000):
            self.post_metadata(b"[" * depth + b"]" * depth, good=False)

    def metadata_sized(self):
        for more, good in ((-1, True), (0, True), (1, False)):
            body = cases.filled(lambda text, one=self.sale("large"): write({**one, "metadata": text}), BODY_MAX + more)
            self.post_raw(body, good)
        zeros = cases.filled(lambda text, one=self.sale("large"): cases.with_metadata(one, b'"%s"' % text.encode()))
        self.post_raw(zeros.replace(b"xxxxxx", b"\\u0000"))
        self.post_raw(cases.filled(lambda text, one=self.sale("large"): write(one) + b" " * len(text)))
        self.post_raw(cases.filled(lambda text, one=self.sale("large"): write(one) + b" " * len(text), BODY_MAX + 1),
                      False)
        body, _ = cases.as_many(lambda n: b"7", write(self.sale("large"))[:-1] + b',"metadata":', b"}", BODY_MAX // 8)
        self.post_raw(body)

    # --- names ---

    def use_name(self, place, text, good=True):
        """Posts something that bears the name in that place, and all that it needs."""
        n, book = self.new_key(), f"names: {place}"
        if place in ("asset", "name", "network", "native_id"):
            more = {"class": "crypto", "network": "net"} if place in ("network", "native_id") else {}
            definition = {"name": text if place == "asset" else f"{place} {n}", **more}
            body = write({**asset(**definition), **({} if place == "asset" else {place: text})},
                         self.rng.random() < 0.5)
            self.send("/v1/assets", body, self.reference.register_asset, good)
        if place == "asset":
            self.open(book, f"a {n}", text, normal_side="credit")
            self.post(draft(book, n, pair(f"a {n}", f"a {n}", 7, text)))
        elif place == "book":
            self.set_up(text)
            self.post(draft(text, n, pair("cash", "sales")))
        elif place == "path":
            self.open(book, text, normal_side=self.rng.choice(["debit", "credit", None]), good=good)
            self.post(draft(book, n, pair(text, "cash", 3)))
        elif place == "key":
            self.post(draft(book, text, pair("cash", "sales")))
        elif place in ("kind", "value"):
            self.post(self.sale(book, external_refs=[{"kind": "k", "value": "v", place: text}]))

    PLACES = ("asset", "name", "network", "native_id", "book", "path", "key", "kind", "value")

    def names_of_every_kind(self):
        for place in self.PLACES:
            self.set_up(f"names: {place}")
            for oddity in cases.IN_NAMES:
                if not (place == "book" and oddity.startswith("_")):
                    self.use_name(place, oddity)
        for book in ("_system", "_", "_\0", ""):
            self.post(self.sale(book), good=False)
            self.open(book, "cash", good=False)

    def names_of_every_length(self):
        """Two of each length that differ in their last character only; and wide ones on both sides of 255 bytes."""
        for place in self.PLACES:
            for length in cases.LENGTHS:
                for last in "12":
                    self.use_name(place, f"{place:x>{length}}"[-length:][:-1] + last)
            for text in ("\u00e9" * 127 + "x", "\u00e9" * 128, "\u00e9" * 127 + "xy", "\U0001f600" * 64, "\0" * 255,
                         "\0" * 256):
                self.use_name(place, text)

    def names_that_fill_a_body(self):
        """As long as it goes; then one byte longer."""
        sale = self.sale("names: key")
        for make in (lambda text: write({**sale, "idempotency_key": text}),
                     lambda text: write({**sale, "idempotency_key": "kind",
                                         "external_refs": [{"kind": text, "value": ""}]}),
                     lambda text: write({**sale, "idempotency_key": "value",
                                         "external_refs": [{"kind": "", "value": text}]})):
            self.post_raw(cases.filled(make))
            self.post_raw(cases.filled(make, BODY_MAX + 1), good=False)
        for make, path, apply in (
                (lambda text: write(account(text, "p")), "/v1/accounts", self.reference.open_account),
                (lambda text: write(account("names: path", text)), "/v1/accounts", self.reference.open_account),
                (lambda text: write(asset(text)), "/v1/assets", self.reference.register_asset),
                (lambda text: write({**asset("long name"), "name": text}), "/v1/assets",
                 self.reference.register_asset)):
            self.send(path, cases.filled(make), apply, True)
            self.send(path, cases.filled(make, BODY_MAX + 1), apply, False)
        self.longest_in_a_post(lambda text: draft(text, "k", pair("p", "p")), lambda text: self.open(text, "p"))
        self.longest_in_a_post(lambda text: draft("names: path", "long path", pair(text, text)),
                               lambda text: self.open("names: path", text))
        self.longest_in_a_post(lambda text: draft("names: asset", "long asset", pair("long", "long", 1, text)),
                               lambda text: (self.register(name=text), self.open("names: asset", "long", text)))

    def names_repeated(self):
        """A book's long name in as many postings as it may be, and in two more."""
        book = "z" * (BOOK_REPEATED_MAX // 64)
        self.open(book, "p")
        for count in (64, 66):
            self.post(draft(book, f"{count}", pair("p", "p") * (count // 2)), good=count == 64)

    def longest_in_a_post(self, make, prepare):
        twice = len(write(make("x"))) - len(write(make("")))
        text = "y" * ((BODY_MAX - len(write(make("")))) // twice)
        prepare(text)
        self.post(make(text))
        self.post(make(text + "y"), good=False)

    # --- batches, and transactions that fill a body ---

    def many_books(self, count):
        """Opened by several clients at once: a book is one client's, so the reference can follow."""
        books = [f"book {n}" for n in range(count)]
        self.crowd.update(books)

        def open_both(book):
            bodies = [write(account(book, path, normal_side=side)) for path,
                      side in (("cash", "debit"), ("sales", None))]
            return [(body, self.ledger.request("POST", "/v1/accounts", raw=body)) for body in bodies]
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            for answers in pool.map(open_both, books):
                for body, answer in answers:
                    self.take("/v1/accounts", body, self.reference.open_account, answer, True)
        for first in range(0, count, BATCH_MAX):
            self.post_batch([self.sale(book) for book in books[first:first + BATCH_MAX]])

    def batches(self):
        known = [self.sale("batch") for _ in range(50)]
        self.post_batch(known)
        fresh = [self.sale("batch") for _ in range(BATCH_MAX)]
        self.post_batch([known[n // 10] if n % 10 == 0 else one for n, one in enumerate(fresh)])
        self.post_batch([{**one, "idempotency_key": "the same"} for one in fresh])
        self.post_batch([{**one, "idempotency_key": f"half {n // 2}"} for n, one in enumerate(fresh)])
        wrong = [draft("batch", self.new_key(), pair("cash", "nowhere")), draft("_b", "k", pair("cash", "sales")),
                 draft("batch", self.new_key(), [posting("cash", "debit")]), draft("batch", "", [])]
        self.post_batch([self.rng.choice(wrong) if n % 3 else self.sale("batch") for n in range(BATCH_MAX)])
        self.post_batch([])
        self.post_batch(fresh + known[:1], good=False)
        self.batches_that_fill_a_body()

    def batches_that_fill_a_body(self):
        for count, more, good in ((BATCH_MAX, 0, True), (BATCH_MAX, 1, False), (2, 0, True), (3, 0, True)):
            drafts = [self.sale("large") for _ in range(count)]
            share = (BODY_MAX + more - len(write(drafts)) - 24 * count) // count

            def make(text):
                return write([{**one, "metadata": "m" * share} for one in drafts[:-1]] + [{**drafts[-1],
                                                                                           "metadata": text}])
            self.post_batch(cases.filled(make, BODY_MAX + more), good)

    def many_postings(self):
        """As many as fit into a body: on one account, and on two in turn."""
        self.register(name="U", precision=0)
        for path in "abc":
            self.open("many", path, "U", normal_side={"a": "debit", "b": "credit"}.get(path))
        for paths, size in (("aa", BODY_MAX), ("bc", BODY_MAX // 4)):
            def one(n):
                return write(posting(paths[n % 2], "debit" if n % 2 else "credit", 1, "U"))
            head = write({"book": "many", "idempotency_key": paths})[:-1] + b',"postings":'
            body, count = cases.as_many(one, head, b"}", size)
            if count % 2:
                body = body[:body.rindex(b',{"account"')] + b"]}"
            self.figures["postings"] = max(self.figures["postings"], count)
            self.post_raw(body)

    def many_refs(self):
        for one, size in ((lambda n: b'{"kind":"","value":""}', BODY_MAX),
                          (lambda n: write({"value": f"\0{n}", "kind": chr(0x10000 + n)}, True), BODY_MAX // 4)):
            self.post_raw(cases.as_many(one, write(self.sale("large"))[:-1] + b',"external_refs":', b"}", size)[0])

    def many_accounts(self, count):
        """One transaction on all of them."""
        for n in range(count):
            self.open("wide", f"account {n}", normal_side=(None, "debit", "credit")[n % 3])
        everyone = [p for n in range(count) for p in pair(f"account {n}", f"account {(n * 7 + 1) % count}", n + 1)]
        self.post(draft("wide", self.new_key(), everyone))
        self.post(draft("wide", self.new_key(), everyone + pair("account 0", "nowhere")), good=False)

    def many_assets(self, count):
        for n in range(count):
            self.register(name=f"asset {n}", precision=n % 256)
            self.open("assets", f"of {n}", f"asset {n}")
        self.post(draft("assets", self.new_key(), [p for n in range(count) for p in
                                                   pair(f"of {n}", f"of {n}", I64_MAX, f"asset {n}")]))

    # --- amounts ---

    def amounts(self):
        for precision in (0, 2, 19, 255):
            self.register(name=f"P{precision}", precision=precision)
            for side in ("debit", "credit", None):
                self.balances_to_the_ends(f"amounts {precision} {side}", f"P{precision}", side)
        self.minimums()
        self.sums()

    def move(self, book, asset, minor, *postings, good=True):
        """Each posting is a path with its sign."""
        self.post(draft(book, self.new_key(), [posting(p[1:], "debit" if p[0] == "+" else "credit", minor, asset)
                                               for p in postings]), good)

    def balances_to_the_ends(self, book, asset, side):
        """Up to 2^63 - 1 and one more, down to -2^63 and one more, from the account's own point of view."""
        for path, normal in (("it", side), ("other", side), ("up", None), ("down", None), ("rest", None)):
            self.open(book, path, asset, normal_side=normal)
        up, down = ("-it", "+it") if side == "credit" else ("+it", "-it")
        away, back = ("+up", "-up") if side == "credit" else ("-up", "+up")
        for minor, first, second, good in ((I64_MAX, up, away, True), (1, up, back.replace("up", "down"), False),
                                           (1, up, away.replace("up", "rest"), False), (1, down, up, True),
                                           (1, up, down, False), (I64_MAX, down, back, True),
                                           (I64_MAX, down, back, True)):
            self.move(book, asset, minor, first, second, good=good)
        rest = "-rest" if side == "credit" else "+rest"
        self.move(book, asset, 1, down, rest)  # it stands at -2^63 now
        self.move(book, asset, 1, down, rest, good=False)
        self.move(book, asset, I64_MAX, down, rest, good=False)
        self.move(book, asset, 1, down, up, good=False)
        self.move(book, asset, 1, up, down)

    def minimums(self):
        self.set_up("minimums")
        for n, minimum in enumerate((I64_MIN, I64_MIN + 1, -1, 0, 1, I64_MAX - 1, I64_MAX)):
            path = f"from {minimum}"
            self.open("minimums", path, normal_side="debit", min_balance=minimum)
            self.open("minimums", f"other {n}")
            self.open("minimums", f"third {n}")
            for minor in (I64_MAX - 1, I64_MAX):
                self.move("minimums", "USD", minor, f"+{path}", f"-other {n}", good=None)
            for minor in (1, 1, I64_MAX, I64_MAX, 1, 1):
                self.move("minimums", "USD", minor, f"-{path}", f"+third {n}", good=None)
        for wrong in (I64_MIN - 1, I64_MAX + 1, 2**64, 1.0):
            self.open("minimums", "wrong", min_balance=wrong, good=False)

    def sums(self):
        """Of a book they pass 64 bits; of a draft they must not, and no amount may be less than 1."""
        self.set_up("sums")
        for n in range(8):
            self.move("sums", "USD", I64_MAX, *(("+cash", "-sales") if n % 2 else ("+sales", "-cash")))
        self.move("sums", "USD", I64_MAX, "+cash", "-sales", "+cash", "-sales", good=False)
        for minor in (0, -1, I64_MIN, I64_MAX + 1, 2**64 + 1, 1.0, "1", None, True):
            self.post(draft("sums", self.new_key(), pair("cash", "sales", minor)), good=False)
        for last in (1, I64_MAX):
            self.post(draft("sums", self.new_key(), pair("cash", "sales", I64_MAX) + pair("cash", "sales", last)),
                      good=False)
        half = 2**62
        self.post(draft("sums", self.new_key(), [posting("cash", "debit", half - 1), posting("sales", "credit",
                                                                                             I64_MAX),
                                                 posting("cash", "debit", half)]))

    # --- times ---

    def times(self):
        self.set_up("times")
        for text in cases.TIMES:
            self.post(self.sale("times", occurred_at=text))
        for text in cases.NO_TIMES + [0, True, [], {}]:
            self.post(self.sale("times", occurred_at=text), good=False)

    def read_the_past(self):
        """Any time may be asked for; what is none is refused."""
        for text in cases.TIMES + [LAST_AT] + cases.NO_TIMES:
            query = f"?as_of={quote(text)}"
            good = text not in cases.NO_TIMES
            for target, read, names in ((self.account_target("times", "cash", "balance"), self.reference.balance,
                                         ("times", "cash")),
                                        ("/v1/books/times/trial-balance", self.reference.trial_balance, ("times",))):
                self.doing = ("GET", target + query)
                answer = self.ledger.request("GET", target + query)
                if good:
                    self.compare(list(read(*names, parse_time(text))), [answer.status, read_json(answer.bytes)])
                else:
                    self.compare([400, "query"], [answer.status, answer.json["field"]])

    # --- around the limits, at random ---

    def random_text(self):
        text = "".join(self.rng.choice(cases.ODDITIES + ["x"] * 20) for _ in range(self.rng.choice([1, 2, 3, 8, 90])))
        length = self.rng.choice([1, 5, 254, 255, 256, 257, 511, 512, self.rng.randint(1, 3000)])
        while len(text.encode()) < length:
            text += self.rng.choice(["x", text[:length]])
        return "n" + text if text.startswith("_") else text

    def random_value(self, depth=0):
        if depth > 4 or self.rng.random() < 0.5:
            return self.rng.choice([None, True, 2**70, -1, self.random_text(), "", self.rng.randint(I64_MIN, I64_MAX)])
        if self.rng.random() < 0.5:
            return [self.random_value(depth + 1) for _ in range(self.rng.randint(0, 4))]
        return {self.random_text(): self.random_value(depth + 1) for _ in range(self.rng.randint(0, 4))}

    def random_round(self):
        rng = self.rng
        for place in rng.sample(self.PLACES, 3):
            self.use_name(place, self.random_text(), good=None)
        text = cases.nested(rng.randint(NESTING_MAX - 5, NESTING_MAX + 5), rng)
        self.post_raw(cases.with_metadata(self.sale("metadata"), text), good=None)
        for text in (write(self.random_value(), rng.random() < 0.5),
                     rng.choice(cases.NUMBERS + cases.STRINGS).encode()):
            self.post_metadata(text)
            place = rng.randrange(len(text) + 1)
            self.post_raw(cases.with_metadata(self.sale("metadata"),
                                              text[:place] + bytes([rng.randrange(256)]) + text[place:]),
                          good=None)
        for _ in range(4):
            minor = rng.choice([1, 2, I64_MAX, I64_MAX - 1, 2**62, rng.randint(1, I64_MAX)])
            paths = rng.sample(["it", "other", "up", "down", "rest"], 2)
            self.move("amounts 2 " + rng.choice(["debit", "credit", "None"]), "P2", minor, f"+{paths[0]}",
                      f"-{paths[1]}", good=None)
        if rng.random() < 0.1:
            one = {**self.sale("large"), rng.choice(["idempotency_key", "metadata"]): ""}
            field = [name for name, value in one.items() if value == ""][0]
            self.post_raw(cases.filled(lambda text: write({**one, field: text}), BODY_MAX + rng.randint(-2, 2)),
                          good=None)

    # --- all that can be read ---

    def account_target(self, book, path, what):
        return f"/v1/books/{quote(book)}/accounts/{quote(path)}/{what}"

    def is_readable(self, *names):
        return sum(len(quote(name)) for name in names) <= READABLE_MAX

    def passed_over(self):
        """Between the first look and the last one, most things are."""
        return not self.whole and self.rng.random() < 0.7

    def read(self, target, read, *arguments):
        """Compared with the reference at first; from then on the same bytes must come."""
        if self.passed_over():
            return
        self.doing = ("GET", target)
        answer = self.ledger.request("GET", target)
        mark = digest(b"%d " % answer.status + answer.bytes)
        if self.shown.setdefault(target, mark) != mark:
            raise Difference(f"GET {shortened(target)} answers now {answer.status} {shortened(answer.bytes)}")
        if not self.first:
            return
        self.figures["compared"] += 1
        self.compare(list(outcome(read, *arguments)), [answer.status, read_answer(answer.bytes)])
        return answer

    def read_transactions(self, book):
        for transaction in book.transactions:
            answer = self.read(f"/v1/transactions/{transaction.id}", self.reference.transaction, transaction.id)
            text = self.metadata.get(transaction.id)
            if answer and text is not None and not answer.bytes.endswith(b'"metadata":' + text + b"}"):
                raise Difference(f"metadata was {shortened(text)}, is shown as {shortened(answer.bytes)}")

    def read_account(self, book, path):
        self.read(self.account_target(book, path, "balance"), self.reference.balance, book, path)
        after = 0
        while after is not None:
            target = self.account_target(book, path, "history") + f"?limit=150&after_seq={after}"
            self.read(target, self.reference.history, book, path, after, 150)
            after = self.reference.history(book, path, after, 150)[1]["next"]

    def read_book(self, name):
        book = self.reference.books[name]
        self.read_transactions(book)
        if not self.is_readable(name):
            return
        self.read(f"/v1/books/{quote(name)}/trial-balance", self.reference.trial_balance, name)
        for path in book.accounts:
            if self.is_readable(name, path):
                self.read_account(name, path)

    def read_dump(self):
        """All events of all books, and nothing else; (book, seq) -> the line."""
        self.doing = ("talead dump", None)
        done = subprocess.run([TALEAD, "dump", self.ledger.dir], env=clean_environment(), capture_output=True,
                              timeout=PATIENCE_S)
        self.compare([0, ""], [done.returncode, done.stderr.decode()])
        lines = done.stdout.split(b"\n")[:-1]
        if self.first:
            self.places = list(self.places_of(lines))
            last = collections.Counter(name for name, _ in self.places)
            self.compare({name: len(b.events) for name, b in self.reference.books.items() if b.events}, dict(last))
        self.compare(len(self.places), len(lines))
        return dict(zip(self.places, lines))

    def places_of(self, lines):
        """Book and seq of each line; the log's order never changes."""
        last = collections.Counter()
        for line in lines:
            name = self.book_of(line)
            last[name] += 1
            yield name, last[name]

    def book_of(self, line):
        payload = json.loads(line)["payload"]
        return payload["def"]["id"]["book"] if "def" in payload else payload.get("book", "_system")

    def check_events(self, lines):
        for (name, seq), line in lines.items():
            self.doing = ("event", (name, seq))
            mark = digest(line)
            if self.shown.setdefault((name, seq), mark) != mark:
                raise Difference(f"seq {seq} of {shortened(name)} is now {shortened(line)}")
            if not self.first:
                continue
            # An event's two levels stand where the draft has one.
            got = read_answer(line) if len(line) > SMALL_BODY else read_json(line, NESTING_MAX + 1)
            self.compare(self.reference.event(name, seq, got), got)
            text = self.metadata.get(got["payload"].get("id"))
            if text is not None and b'"metadata":' + text + b',"occurred_at":' not in line:
                raise Difference(f"metadata was {shortened(text)}, is in the event {shortened(line)}")

    def read_stream(self, name, lines, stream, wait_s=PATIENCE_S):
        """The same bytes as in the dump, whatever stands in them; and nothing behind them."""
        for seq in range(1, len(self.reference.book(name).events) + 1):
            self.doing = ("events", (name, seq))
            if stream.next(wait_s) is None:
                raise Difference(f"event {seq} of {shortened(name)} does not come")
            if stream.last_data != lines[name, seq]:
                raise Difference(f"event {seq} of {shortened(name)} comes as {shortened(stream.last_data)}, "
                                 f"is dumped as {shortened(lines[name, seq])}")
        if self.rng.random() < 0.02 and stream.next(wait_s=0.02):
            raise Difference(f"more is streamed: {shortened(stream.last_data)}")

    def read_all(self, whole, first=False):
        """Every event and most of the rest, unless `whole`; what was refused shows as a line or an event too many."""
        self.first, self.whole = first, whole
        self.read_dump_and_streams()
        for name in self.books_to_read():
            self.read_book(name)
        if whole:
            self.read_the_past()
        self.doing = ("talead verify", None)
        self.ledger.verify()
        check_deaths(self.ledger.stderr_text())
        fault = SANITIZER.search(self.ledger.stderr_text())
        assert not fault, self.ledger.stderr_text()[max(0, fault.start() - 500):fault.start() + 4000]

    def books_to_read(self):
        some = set(self.rng.sample(sorted(self.crowd), min(self.sizes.sample, len(self.crowd))))
        return [name for name in self.reference.books if name not in self.crowd or name in some]

    def read_dump_and_streams(self):
        lines = self.read_dump()
        self.check_events(lines)
        for name, stream in self.live:
            with stream:
                self.read_stream(name, lines, stream)
        self.live.clear()
        for name in self.books_to_read():
            if self.is_readable(name) and not self.passed_over():
                with self.ledger.stream(name) as stream:
                    self.compare(200, stream.status)
                    self.read_stream(name, lines, stream)

    def post_again(self):
        """Every key tells of its first post, and nothing is written. Of the large bodies a few will do."""
        for path, body in self.accepted:
            if len(body) > SMALL_BODY and self.rng.random() < 0.8:
                continue
            self.doing = ("again", body)
            answer = self.ledger.request("POST", path, raw=body)
            got = read_json(answer.bytes)
            apply = self.reference.post_batch if path.endswith("batch") else self.reference.post
            self.compare(list(outcome(apply, body, got)), [answer.status, got])

    # --- all of it ---

    def post_everything(self, sizes):
        self.register(name="USD")
        for book in ("metadata", "large"):
            self.listen(book)
            self.listen(book, slow=True)
        self.set_up("metadata", "large", "batch")
        for step in (self.metadata_of_every_kind, self.metadata_nested, self.metadata_sized, self.names_of_every_kind,
                     self.names_of_every_length, self.names_that_fill_a_body, self.names_repeated, self.batches,
                     self.many_postings,
                     self.many_refs, self.amounts, self.times):
            self.timed(step)
        self.timed(self.many_books, sizes.books)
        self.timed(self.many_accounts, sizes.accounts)
        self.timed(self.many_assets, sizes.assets)
        for _ in range(sizes.rounds):
            self.random_round()

    def timed(self, step, *arguments):
        begun = time.monotonic()
        step(*arguments)
        if self.sizes.verbose:
            print(f"  {step.__name__}: {time.monotonic() - begun:.1f} s", flush=True)

    def drop(self):
        self.ledger.drop_connection()

    def run(self, sizes):
        self.sizes = sizes
        self.ledger.start()
        self.post_everything(sizes)
        self.timed(self.read_all, True, True)
        self.drop()
        self.ledger.restart()
        self.timed(self.read_all, False)
        self.timed(self.post_again)
        self.ledger.kill9()
        self.drop()
        self.ledger.start()
        self.timed(self.read_all, False)
        self.ledger.kill9()
        self.ledger.remove(*DERIVED)
        self.drop()
        self.ledger.start()
        self.timed(self.read_all, True)
        self.timed(self.post_again)
        self.read_dump()
        self.ledger.stop()
        self.ledger.verify()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="of random requests around the limits")
    parser.add_argument("--books", type=int, default=500, help="in one or more batches")
    parser.add_argument("--accounts", type=int, default=200, help="in one transaction")
    parser.add_argument("--assets", type=int, default=100)
    parser.add_argument("--sample", type=int, default=40, help="of these books; the dump shows all of them")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--verbose", action="store_true", help="print how long each part takes")
    arguments = parser.parse_args()
    sys.set_int_max_str_digits(DIGITS_MAX)
    limits = Limits(arguments.seed)
    return conclude(
        "limits", limits, lambda: limits.run(arguments), lambda: f"seed {limits.seed}",
        lambda f: f"{f['accepted']} things accepted, {f['refused']} refused, each read back, streamed, dumped, "
                  "restarted, rebuilt")


if __name__ == "__main__":
    sys.exit(main())
