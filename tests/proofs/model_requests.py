"""Random requests for model.py: mostly what a client would send, often with something wrong, sometimes pure noise.

Everything comes from one random.Random and from the reference ledger, so a seed gives the same requests again (but
for times, which the server chooses).
"""
import datetime
import json
import urllib.parse

from reference_forms import EPOCH, I64_MAX, I64_MIN

ASSETS = ["USD", "JPY", "BTC", "P255", "e/ur o", "ƒ\u0301:\\", "A\0B", "ZZ" * 40]
BOOKS = ["shop", "a:b", "a\\:b", "bücher café", "sp ace/sl%2Fash", "..", "\"q\"?#&+=", "moji 😀\U0010ffff", "nul\0book",
         "edge", "edge:2"]
PATHS = ["cash", "sales", "fees", "c:d", "c\\d", "naïve café", "per%cent", "..", ".", "x/y", "h#sh?", "a+b c", "\"'",
         "emoji 😀", "nul\0", "long:" + "p" * 200, "e\u0301", "\u00e9", "tab\tnewline\n", "treasury:usd:hot"]
KINDS = ["asset", "liability", "income", "expense", "equity", "clearing"]
EDGES = [1, 2, 2**31, 2**53 + 1, 2**62, I64_MAX // 2, I64_MAX - 1, I64_MAX]
WRONG_AMOUNTS = [0, -1, -1000, I64_MIN, I64_MAX]
LAST_SAFE = {"quote_all": "", "quote_some": ":!$'()*,;@=&+~"}


class Requests:
    def __init__(self, rng, reference):
        self.rng, self.reference = rng, reference
        self.keys = 0
        self.sent = []  # (book, key, body) of some posts, to be sent again

    def often(self, probability):
        return self.rng.random() < probability

    # --- bodies as bytes ---

    def write(self, value):
        """One of many ways to write the same JSON."""
        layout = self.rng.choice([{}, {}, {"separators": (",", ":")}, {"indent": 1}])
        return json.dumps(self.shuffled(value), ensure_ascii=self.often(0.5), **layout).encode()

    def shuffled(self, value):
        """Fields in any order, with unknown ones among them; metadata is left as it is."""
        if isinstance(value, list):
            return [self.shuffled(v) for v in value]
        if not isinstance(value, dict):
            return value
        fields = [(k, v if k == "metadata" else self.shuffled(v)) for k, v in value.items()]
        if self.often(0.05):
            fields.append((self.rng.choice(["x", "Book", "postings ", ""]), self.rng.choice([None, [[]], {"a": 1}, 1.5])))
        if self.often(0.3):
            self.rng.shuffle(fields)
        return dict(fields)

    def asset(self):
        name = self.rng.choice(ASSETS)
        draft = {"id": name, "class": "fiat", "precision": {"JPY": 0, "P255": 255, "BTC": 8}.get(name, 2), "name": name}
        if name == "BTC":
            draft.update({"class": "crypto", "network": "bitcoin", "native_id": None})
        if self.often(0.3):
            draft.update(self.rng.choice([
                {"precision": 3}, {"name": "other"}, {"class": "crypto", "network": "n", "native_id": "0xa0"},
                {"class": "fiat", "network": "n"}, {"native_id": "n"}, {"class": "crypto", "network": None},
                {"class": "gold"}, {"id": ""}, {"precision": 256}, {"precision": -1}, {"precision": None}]))
        return self.write(draft)

    def account(self):
        book, path = self.rng.choice(BOOKS), self.rng.choice(PATHS)
        known = self.reference.book(book).accounts.get(path)
        if known and self.often(0.6):
            draft = dict(known.definition)
            if self.often(0.5):
                draft = {k: v for k, v in draft.items() if v is not None}
        else:
            draft = {"book": book, "path": path, "asset": self.rng.choice(ASSETS[:4] if self.often(0.7) else ASSETS),
                     "kind": self.rng.choice(KINDS), "normal_side": self.rng.choice(["debit", "credit", None])}
            if not book.startswith("edge"):
                draft["min_balance"] = self.rng.choice([None, None, 0, 0, -500, 10, I64_MIN])
        if self.often(0.15):
            draft.update(self.rng.choice([
                {"asset": "XXX"}, {"kind": "thing"}, {"book": "_system"}, {"book": "_"}, {"book": ""}, {"path": ""},
                {"normal_side": "left"}, {"min_balance": I64_MAX + 1}, {"min_balance": "0"}, {"kind": None}]))
        return self.write(draft)

    def posting(self, account, direction, minor):
        return {"account": account.path, "amount": {"minor": minor, "asset": account.asset}, "direction": direction}

    def amount(self, book):
        if book.name.startswith("edge"):
            return self.rng.choice(EDGES)
        return self.rng.choice([1, 5, self.rng.randint(1, 300), self.rng.randint(1, 10**6)])

    def amount_to_limit(self, account, direction):
        """What takes the account's balance to its limit, or one short of it or beyond; None when there is no such."""
        rises = account.balance([self.posting(account, direction, 1)]) > 0
        minimum = account.definition["min_balance"]
        if minimum is None and not account.book.startswith("edge") or minimum is not None and rises:
            return None
        balance = self.reference.current[account.key]
        room = I64_MAX - balance if rises else balance - (I64_MIN if minimum is None else minimum)
        minor = room + self.rng.choice([-1, 0, 0, 1])
        return minor if 1 <= minor <= I64_MAX else None

    def leg(self, book):
        """Postings that balance in one asset, on accounts of it (the same one twice, now and then)."""
        accounts = list(book.accounts.values())
        asset = self.rng.choice(accounts).asset
        holders = [a for a in accounts if a.asset == asset]
        debtor, creditor = self.rng.choice(holders), self.rng.choice(holders)
        minor = self.amount(book)
        if self.often(0.3):
            minor = self.amount_to_limit(*self.rng.choice([(debtor, "debit"), (creditor, "credit")])) or minor
        debits = [self.posting(debtor, "debit", minor)]
        credits = [self.posting(creditor, "credit", minor)]
        for side, direction in ((debits, "debit"), (credits, "credit")):
            if minor > 1 and self.often(0.2):
                part = self.rng.randint(1, minor - 1)
                side[0]["amount"]["minor"] -= part
                side.append(self.posting(self.rng.choice(holders), direction, part))
        return debits + credits

    def new_key(self):
        self.keys += 1
        return self.rng.choice(["k%d", "k%d", "order %d \U0001f600", "\0%d", "ключ-%d\n"]) % self.keys

    def draft(self):
        """A draft that is well-formed and balances, in a book that is in use."""
        books = [b for b in self.reference.books.values() if b.accounts]
        if not books:
            return {"book": "nobody's", "idempotency_key": self.new_key(), "postings": []}
        book = self.rng.choice(books)
        postings = [p for _ in range(self.rng.choice([1, 1, 1, 2, 3])) for p in self.leg(book)]
        if self.often(0.3):
            self.rng.shuffle(postings)
        draft = {"book": book.name, "idempotency_key": self.new_key(), "postings": postings}
        if self.often(0.3):
            draft["external_refs"] = [{"kind": self.rng.choice(["order", "", "psp"]), "value": self.text()}
                                      for _ in range(self.rng.randint(0, 3))]
        if self.often(0.4):
            draft["metadata"] = self.value(0)
        if self.often(0.3):
            draft["occurred_at"] = self.rng.choice([None, self.time(self.rng.randint(0, 4 * 10**15))])
        return draft

    def post_draft(self):
        """As draft(), spoilt now and then, with an old key now and then."""
        draft = self.draft()
        if draft["postings"] and self.often(0.25):
            self.spoil(draft)
        if self.sent and self.often(0.12):
            draft["book"], draft["idempotency_key"], _ = self.rng.choice(self.sent)
        return draft

    def spoil(self, draft):
        posting = self.rng.choice(draft["postings"])
        what = self.rng.randrange(10)
        if what == 0:
            draft.update(self.rng.choice([{"book": ""}, {"book": "_system"}, {"book": "unused"}, {"idempotency_key": ""},
                                          {"postings": []}, {"external_refs": None}]))
        elif what == 1:
            posting["amount"]["minor"] = self.rng.choice(WRONG_AMOUNTS)
        elif what == 2:
            posting["account"] = self.rng.choice(["", "nowhere", "cash", "sales"])
        elif what == 3:
            posting["amount"]["asset"] = self.rng.choice(ASSETS + ["XXX", ""])
        elif what == 4:
            for p in draft["postings"]:
                p["amount"]["asset"] = "XXX"
        elif what == 5:
            draft["postings"].remove(posting)
        elif what == 6:
            posting["direction"] = "credit" if posting["direction"] == "debit" else "debit"
        elif what == 7:  # balances, and overdraws whatever has a minimum
            for p in draft["postings"]:
                p["amount"]["minor"] = min(I64_MAX // 8, p["amount"]["minor"] * 10**7)
        elif what == 8:
            draft["postings"] = draft["postings"] * 2
        else:
            posting["amount"]["minor"] += 1

    def post(self):
        if self.sent and self.often(0.04):
            return self.rng.choice(self.sent)[2]
        draft = self.post_draft()
        body = self.write(draft)
        self.remember(draft, body)
        return body

    def remember(self, draft, body):
        entry = (draft["book"], draft["idempotency_key"], body)
        if len(self.sent) < 5000:
            self.sent.append(entry)
        else:
            self.sent[self.rng.randrange(5000)] = entry

    def batch(self):
        drafts = [self.post_draft() for _ in range(self.rng.choice([0, 1, 2, 3, 5, 8, 19, 20, 21]))]
        if drafts and self.often(0.2):
            drafts[-1]["idempotency_key"], drafts[-1]["book"] = drafts[0]["idempotency_key"], drafts[0]["book"]
        return self.write(drafts)

    def fresh_batch(self):
        """No key twice, none that was used: what is committed of it can be told afterwards."""
        return self.write([self.draft() for _ in range(self.rng.randint(1, 20))])

    # --- values ---

    def text(self):
        return self.rng.choice(["", "A-1", "ch_9", "ü\u2028\u2029", "\0\x1f\x7f", "\\\"/", "😀" * 5, "x" * 300])

    def value(self, depth):
        """JSON of any kind. Names in one object differ by more than a byte, so noise does not make one twice."""
        kind = self.rng.randrange(9 if depth < 4 else 6)
        if kind < 6:
            return self.rng.choice([None, True, False, 0, -1, 2**70, -2**63, 1.5, 1e300, -0.25, 1e-7, self.text(),
                                    "y" * self.rng.randint(0, 3000)])
        if kind == 6:
            return [self.value(depth + 1) for _ in range(self.rng.randint(0, 4))]
        names = ["alpha", "beta", "", "γάμμα", "with \"quotes\"", "nul\0"]
        return {n: self.value(depth + 1) for n in self.rng.sample(names, self.rng.randint(0, 4))}

    def time(self, micros):
        """RFC 3339 in one of its many forms, at that microsecond or some nanoseconds behind it."""
        offset = self.rng.choice([None, None, 0, 60, -330, 845])
        local = EPOCH + datetime.timedelta(microseconds=micros, minutes=offset or 0)
        digits = f"{local.microsecond:06}" + self.rng.choice(["", "", "000", "001", "999"])
        if self.often(0.3):
            digits = digits.rstrip("0")
        zone = self.rng.choice("ZZz") if offset is None else \
            ("-" if offset < 0 else "+") + f"{abs(offset) // 60:02}:{abs(offset) % 60:02}"
        return local.strftime("%Y-%m-%d") + self.rng.choice("TTTt ") + local.strftime("%H:%M:%S") + \
            ("." + digits if digits else "") + zone

    def as_of(self, book):
        """Mostly around the events of the book."""
        transactions = self.reference.book(book).transactions
        if transactions and self.often(0.8):
            micros = self.rng.choice(transactions).at_us + self.rng.choice([0, 0, 0, 1, -1, self.rng.randint(-10**7, 10**7)])
            return self.time(micros)
        return self.rng.choice(["2000-01-01T00:00:00Z", "2999-01-01T00:00:00+02:00", "0001-01-01T00:00:00Z",
                                "9999-12-31T23:59:59.999999999Z", "2016-12-31T23:59:60Z", "2016-12-31T23:59:60.5Z",
                                "2999-01-01", "", "x", "2999-13-01T00:00:00Z", "2999-01-01T24:00:00Z",
                                "2999-01-01T00:00:00.1234567891Z", "2999-01-01T00:00:00"])

    def number(self, top):
        return str(self.rng.choice([0, 1, 2, self.rng.randint(0, top), top, top + 1, "+1", "-1", "", "abc", "1.5",
                                    2**63 - 1, 2**63, 2**64, -2**63]))

    # --- places ---

    def name(self, names):
        return self.rng.choice(names) if self.often(0.95) else self.rng.choice(["nobody", "", "_system", "a%zz"])

    def quote(self, segment):
        safe = LAST_SAFE["quote_all" if self.often(0.7) else "quote_some"]
        text = urllib.parse.quote(segment, safe=safe)
        return text.lower() if self.often(0.05) and segment.islower() and segment.isascii() else text

    def query(self, **values):
        """A query string: unknown parameters among the known ones, one of them twice now and then."""
        pairs = [(k, v) for k, v in values.items() if v is not None]
        if self.often(0.05):
            pairs.append(("x", "1"))
        if pairs and self.often(0.02):
            pairs.append(self.rng.choice(pairs))
        self.rng.shuffle(pairs)
        return "&".join(f"{k}={urllib.parse.quote(v, safe=':')}" for k, v in pairs)

    def noise(self, body):
        """A body with something wrong in its bytes. It may still be right: the reference will say."""
        what = self.rng.randrange(8)
        place = self.rng.randrange(len(body) + 1)
        if what == 0:
            return body[:place]
        if what == 1:
            return body[:place] + self.rng.choice([b" x", b"}", b"[]", b"\0", b",", b"\n \t"]) + body[place:]
        if what == 2:
            return b"\xef\xbb\xbf" + body
        if what == 3 and body:
            return body[:place] + bytes([self.rng.randrange(256)]) + body[place + 1:]
        if what == 4:
            return body.replace(b'"minor": ', b'"minor": ' + self.rng.choice([b"1.0, \"x\": ", b"1e2, \"x\": ", b'"1", "x": ',
                                                                             b"01, \"x\": ", b"9223372036854775808, \"x\": "]))
        if what == 5:
            return body.replace(b'"book"', self.rng.choice([b'"book": "shop", "book"', b'"bo\\u006fk"', b'"b"']), 1)
        if what == 6:
            depth = self.rng.choice([100, 124, 125, 126, 127, 128, 200])
            return body.rstrip()[:-1] + b', "deep": ' + b"[" * depth + b"]" * depth + body.rstrip()[-1:]
        return self.rng.choice([b"", b"null", b"[]", b"{}", b"[{}]", b"1", b'"x"', b"{" * 5, b'{"a":\xff}',
                                b'{"book": "\\ud800"}', b"nan", b"/* */{}", b"{'a':1}", b"[1,]"])
