"""The ledger as the wire contract describes it, in memory and in the simplest way: a specification that runs.

It takes the bytes of a body and gives the status and the JSON that the server must answer. What only a server can
choose, tx_id and at, is adopted from its answer once it is possible, and stands from then on. Sums are made anew
from the postings on every read; nothing here is fast, nothing is shared with the server.

Where the contract is silent this file decides, and says so at the place, marked "silent".
"""
import bisect
import re

from reference_forms import (I64_MAX, I64_MIN, Refused, account_draft, an_array_of, asset_draft, invalid, parse_time,
                             read_json, transaction_draft)

BOOK_REPEATED_MAX = 16 << 20  # silent: how often a draft may make its event say the book's name, in bytes
KINDS = ("asset", "liability", "income", "expense", "equity", "clearing")
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


class Impossible(Exception):
    """What the server chose cannot be: a seq that is not next, a time that went back, an id that was used."""


class Account:
    def __init__(self, definition):
        self.book, self.path, self.asset = definition["book"], definition["path"], definition["asset"]
        self.definition = definition
        self.transactions = []  # that touch it, in the order of seq

    @property
    def key(self):
        return account_key(self.book, self.path)

    def balance(self, postings):
        """Of these postings, some of which are not its own: debits less credits, or the other way round."""
        raw = sum(p["amount"]["minor"] if p["direction"] == "debit" else -p["amount"]["minor"]
                  for p in postings if p["account"] == self.path)
        return -raw if self.definition["normal_side"] == "credit" else raw


class Transaction:
    def __init__(self, draft, tx_id, seq, at):
        self.draft, self.id, self.seq, self.at = draft, tx_id, seq, at
        self.at_us = parse_time(at).last_micro


class Event:
    """at is None until the server has shown it: opening and registering answer nothing."""

    def __init__(self, kind, payload, at):
        self.kind, self.payload, self.at = kind, payload, at


class Book:
    def __init__(self, name):
        self.name, self.accounts, self.events, self.keys, self.transactions = name, {}, [], {}, []
        self.last_at = ""

    def next_seq(self):
        return len(self.events) + 1


def account_key(book, path):
    return re.sub(r"([:\\])", r"\\\1", book) + ":" + path


def decimal_text(minor, precision):
    if precision == 0:
        return str(minor)
    digits = str(abs(minor)).rjust(precision + 1, "0")
    return ("-" if minor < 0 else "") + digits[:-precision] + "." + digits[-precision:]


class ReferenceLedger:
    def __init__(self, batch_max):
        self.batch_max = batch_max
        self.assets = {}
        self.books = {"_system": Book("_system")}
        self.by_id = {}
        self.current = {}  # account key -> balance; every read below sums the postings anew instead

    def book(self, name):
        """A book that nobody has used reads as an empty one."""
        return self.books.get(name) or Book(name)

    # --- writing ---

    def register_asset(self, body):
        draft = asset_draft(read_json(body))
        if draft["class"] not in ("fiat", "crypto"):
            raise invalid("class")
        if draft["id"] == "":
            raise invalid("id", "must not be empty")
        crypto = draft["class"] == "crypto"
        if crypto and draft["network"] is None:
            raise invalid("network")
        if not crypto and (draft["network"] is not None or draft["native_id"] is not None):
            raise invalid("network")
        known = self.assets.get(draft["id"])
        if known is None:
            self.assets[draft["id"]] = draft
            self.books["_system"].events.append(Event("asset_registered", {
                "id": draft["id"], "precision": draft["precision"], "name": draft["name"],
                "class": {"crypto": {"network": draft["network"], "native_id": draft["native_id"]}} if crypto
                else "fiat"}, None))
        elif known != draft:
            raise Refused(409, "already_exists", what=f"asset {draft['id']}")
        return 204, None

    def open_account(self, body):
        draft = account_draft(read_json(body))
        if draft["kind"] not in KINDS:
            raise invalid("kind", f"unknown account kind '{draft['kind']}'")
        check_book(draft["book"])
        if draft["path"] == "":
            raise invalid("path", "must not be empty")
        if draft["asset"] not in self.assets:
            raise Refused(404, "unknown_asset", asset=draft["asset"])
        book = self.book(draft["book"])
        known = book.accounts.get(draft["path"])
        if known is None:
            self.books[book.name] = book
            account = book.accounts[draft["path"]] = Account(draft)
            self.current[account.key] = 0
            book.events.append(Event("account_opened", {
                "def": {"id": {"book": book.name, "path": draft["path"]}, "asset": draft["asset"],
                        "kind": draft["kind"]},
                "cfg": {"normal_side": draft["normal_side"], "min_balance": draft["min_balance"]}}, None))
        elif known.definition != draft:
            raise Refused(409, "already_exists", what=f"account {known.key}")
        return 204, None

    def post(self, body, answered):
        return 200, self.decide(transaction_draft(read_json(body)), answered)

    def post_batch(self, body, answered):
        """answered: the server's array. Slots are judged one after another, each as if it had come alone."""
        drafts = an_array_of(transaction_draft)(read_json(body))
        if len(drafts) > self.batch_max:
            raise invalid("body", f"batch length {len(drafts)} exceeds cap {self.batch_max} (TALEA_HTTP_BATCH_MAX)")
        if not isinstance(answered, list) or len(answered) != len(drafts):
            answered = [None] * len(drafts)
        return 200, [self.decide_slot(draft, slot) for draft, slot in zip(drafts, answered)]

    def decide_slot(self, draft, answered):
        try:
            return self.decide(draft, answered)
        except Refused as refused:
            return refused.envelope

    def decide(self, draft, answered):
        check_draft(draft)
        known = self.book(draft["book"]).keys.get(draft["idempotency_key"])
        if known:
            return posted(known, True)
        self.judge(draft)
        return posted(self.commit(draft, answered), False)

    def judge(self, draft):
        """May it go where it wants to go? Refused if not."""
        book, touched = self.book(draft["book"]), []
        for p in draft["postings"]:
            account = book.accounts.get(p["account"])
            if account is None:
                raise Refused(404, "unknown_account", account=account_key(book.name, p["account"]))
            if account.asset != p["amount"]["asset"]:
                raise Refused(400, "asset_mismatch", account=account.key, account_asset=account.asset,
                              asset=p["amount"]["asset"])
            if account not in touched:
                touched.append(account)
        self.check_range(book, draft["postings"])
        for account in touched:  # silent on which of several is named: the one that a posting names first
            minimum = account.definition["min_balance"]
            after = self.current[account.key] + account.balance(draft["postings"])
            if minimum is not None and after < minimum:
                raise Refused(409, "constraint_violation", account=account.key, min_balance=minimum, would_be=after)

    def check_range(self, book, postings):
        """silent on the order: posting after posting, so a later one does not bring back what an earlier one left
        the range with; and before any min_balance."""
        balances = {}
        for p in postings:
            account = book.accounts[p["account"]]
            balances.setdefault(account.path, self.current[account.key])
            balances[account.path] += account.balance([p])
            if not I64_MIN <= balances[account.path] <= I64_MAX:
                raise Refused(400, "invalid_amount", amount=p["amount"]["minor"])

    def commit(self, draft, answered):
        """Takes tx_id and at from the answer, when they can be."""
        book = self.book(draft["book"])
        transaction = self.adopt(book, draft, answered)
        self.by_id[transaction.id] = transaction
        book.keys[draft["idempotency_key"]] = transaction
        book.transactions.append(transaction)
        book.last_at = transaction.at
        for path in {p["account"] for p in draft["postings"]}:
            account = book.accounts[path]
            account.transactions.append(transaction)
            self.current[account.key] += account.balance(draft["postings"])
        occurred_at = draft["occurred_at"] or parse_time(transaction.at)  # silent: "the server's now" is its at
        book.events.append(Event("transaction_posted", {
            "id": transaction.id, "book": book.name, "idempotency_key": draft["idempotency_key"],
            "postings": [{**p, "account": {"book": book.name, "path": p["account"]}} for p in draft["postings"]],
            "external_refs": draft["external_refs"], "metadata": draft["metadata"],
            "occurred_at": str(occurred_at)}, transaction.at))
        return transaction

    def adopt(self, book, draft, answered):
        if not isinstance(answered, dict) or not {"tx_id", "seq", "at"} <= set(answered):
            raise Impossible(f"must be accepted as seq {book.next_seq()} of {book.name!r}, got {answered}")
        tx_id, at = answered["tx_id"], answered["at"]
        if answered["seq"] != book.next_seq():
            raise Impossible(f"seq {answered['seq']}, where {book.next_seq()} is next in {book.name!r}")
        if not isinstance(at, str) or not AT.fullmatch(at) or at < book.last_at:
            raise Impossible(f"at {at!r}, after {book.last_at!r}")
        if not isinstance(tx_id, str) or not UUID7.fullmatch(tx_id) or tx_id in self.by_id:
            raise Impossible(f"tx_id {tx_id!r}")
        return Transaction(draft, tx_id, book.next_seq(), at)

    # --- reading ---

    def transaction(self, text):
        if not UUID.fullmatch(text):
            raise invalid("tx_id")
        t = self.by_id.get(text.lower())
        if t is None:
            raise Refused(404, "not_found", what=f"transaction {text}")
        book = self.books[t.draft["book"]]
        return 200, {"tx_id": t.id, "book": book.name, "seq": t.seq, "at": t.at,
                     "postings": [item(t, book, p) for p in t.draft["postings"]],
                     "external_refs": t.draft["external_refs"], "metadata": t.draft["metadata"]}

    def find_account(self, book, path):
        if book == "":
            raise invalid("book", "must not be empty")
        if path == "":
            raise invalid("path", "must not be empty")
        account = self.book(book).accounts.get(path)
        if account is None:
            raise Refused(404, "unknown_account", account=account_key(book, path))
        return account

    def balance(self, book, path, as_of=None):
        account = self.find_account(book, path)
        counted = counted_at(account.transactions, as_of)
        minor = sum(account.balance(t.draft["postings"]) for t in counted)
        return 200, {"account": account.key, "asset": account.asset,
                     "balance": decimal_text(minor, self.assets[account.asset]["precision"]),
                     "as_of": str(as_of) if as_of else None, "updated_seq": counted[-1].seq if counted else 0}

    def history(self, book, path, after_seq=0, limit=100):
        account = self.find_account(book, path)
        limit = max(1, min(limit, 1000))
        first = bisect.bisect_right(account.transactions, after_seq, key=lambda t: t.seq)
        page = account.transactions[first:first + limit]
        items = [item(t, self.books[book], p) for t in page for p in t.draft["postings"] if p["account"] == path]
        return 200, {"items": items, "next": page[-1].seq if len(page) == limit else None}

    def trial_balance(self, book, as_of=None):
        if book == "":
            raise invalid("book", "must not be empty")
        sums = {}
        for t in counted_at(self.book(book).transactions, as_of):
            for p in t.draft["postings"]:
                line = sums.setdefault(p["amount"]["asset"], {"debit": 0, "credit": 0})
                line[p["direction"]] += p["amount"]["minor"]
        return 200, {"book": book, "as_of": str(as_of) if as_of else None,
                     "lines": [{"asset": asset, "debits": line["debit"], "credits": line["credit"]}
                               for asset, line in sorted(sums.items())]}

    def event(self, book, seq, shown):
        """The event as the stream must show it; an at that nobody has seen yet is adopted from what is shown."""
        events = self.book(book).events
        event = events[seq - 1]
        if event.at is None:
            self.adopt_at(events, seq, shown.get("at"))
        return {"seq": seq, "at": event.at, "kind": event.kind, "payload": {"kind": event.kind, **event.payload}}

    def adopt_at(self, events, seq, at):
        before = next((e.at for e in reversed(events[:seq - 1]) if e.at), "")
        after = next((e.at for e in events[seq:] if e.at), "9")
        if not isinstance(at, str) or not AT.fullmatch(at) or not before <= at <= after:
            raise Impossible(f"seq {seq} at {at!r}, between {before!r} and {after!r}")
        events[seq - 1].at = at


def counted_at(transactions, as_of):
    """Those whose at is not later; at never falls as seq grows."""
    if as_of is None:
        return transactions
    return transactions[:bisect.bisect_right(transactions, as_of.last_micro, key=lambda t: t.at_us)]


def posted(transaction, deduplicated):
    return {"tx_id": transaction.id, "seq": transaction.seq, "at": transaction.at, "deduplicated": deduplicated}


def item(transaction, book, p):
    return {"seq": transaction.seq, "tx_id": transaction.id, "account": account_key(book.name, p["account"]),
            "amount": p["amount"], "direction": p["direction"], "at": transaction.at}


def check_book(book):
    if book == "":
        raise invalid("book", "must not be empty")
    if book.startswith("_"):
        raise invalid("book", "names starting with '_' are reserved")


def check_draft(draft):
    """Everything that can be said of a draft without asking the ledger."""
    check_book(draft["book"])
    if draft["idempotency_key"] == "":
        raise invalid("idempotency_key", "must not be empty")
    if not draft["postings"]:
        raise invalid("postings", "must not be empty")
    sums = {}
    for p in draft["postings"]:
        minor, asset = p["amount"]["minor"], p["amount"]["asset"]
        total = sums.setdefault(asset, {"debit": 0, "credit": 0})
        total[p["direction"]] += minor
        if minor <= 0 or total[p["direction"]] > I64_MAX:
            raise Refused(400, "invalid_amount", amount=minor)
        if p["account"] == "":
            raise invalid("postings.account", "must not be empty")
    for asset, total in sums.items():
        if total["debit"] != total["credit"]:
            raise Refused(400, "unbalanced", asset=asset, debit=total["debit"], credit=total["credit"])
    if len(draft["book"].encode()) * len(draft["postings"]) > BOOK_REPEATED_MAX:
        raise invalid("postings")
