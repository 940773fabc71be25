#!/usr/bin/env python3
"""A real talead beside a reference ledger: random operations, and every answer and every read must be equal.

Restarts, kill -9 and derived files thrown away are mixed in between the operations, and in the middle of a post now
and then: then the same key tells what became of it. Rotation, snapshots and spills are made frequent.
"""
import argparse
import collections
import http.client
import os
import random
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

from harness import PATIENCE_S, Answer, Ledger, is_running, wait_until  # noqa: E402
from model_requests import BOOKS, PATHS, Requests  # noqa: E402
from reference_forms import (ANY_REASON, Refused, limit_number, parse_time, read_json, read_query,  # noqa: E402
                             signed_number, transaction_draft)
from reference_ledger import Impossible, ReferenceLedger  # noqa: E402

BATCH_MAX = 20
CONNECTIONS = 3  # used in turn: what one worker answered, the other must show
CLOCK_SLACK_US = 1000000
KILL_WITHIN_S = 0.0003  # about what a post takes
NOT_FINAL = (408, 429, 503)
DERIVED = ("index", "idempotency", "snapshots")
SETTINGS = {"log_segment_max": 65536, "log_snapshot_every": 300, "log_idem_hot_cap": 200, "http_batch_max": BATCH_MAX}


class Difference(Exception):
    pass


def differs(expected, got, place=""):
    """Where they are not equal as JSON, and how; None when they are. 1, 1.0 and true are three things."""
    if isinstance(expected, dict) and isinstance(got, dict) and expected.keys() == got.keys():
        parts = ((name, value, got[name]) for name, value in expected.items())
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        parts = ((n, value, got[n]) for n, value in enumerate(expected))
    elif (type(expected) is type(got) and not isinstance(expected, (dict, list)) and expected == got) or \
            (expected is ANY_REASON and isinstance(got, str) and got):
        return None
    else:
        return f"{place or 'the whole'}: expected {shortened(expected)}, got {shortened(got)}"
    return next((d for name, value, part in parts if (d := differs(value, part, f"{place}/{name}"))), None)


def shortened(value):
    text = repr(value)
    return text if len(text) < 3000 else text[:1500] + " ... " + text[-1500:]


def outcome(read, *arguments):
    """Status and body of what the reference answers."""
    try:
        return read(*arguments)
    except Refused as refused:
        return refused.status, refused.envelope


class Model:
    def __init__(self, seed, wreck_every):
        self.seed = seed
        self.rng = random.Random(seed)
        self.wreck_every = wreck_every
        self.ledger = Ledger(workers=2, **SETTINGS)
        self.reference = ReferenceLedger(BATCH_MAX)
        self.requests = Requests(self.rng, self.reference)
        self.connections = [None] * CONNECTIONS
        self.figures = collections.Counter()
        self.step, self.doing = 0, None

    # --- asking ---

    def call(self, method, path, body=None):
        """One request on one of the connections. ConnectionError when it breaks."""
        self.doing = (method, path, body)
        n = self.rng.randrange(CONNECTIONS)
        self.ledger.local.connection = self.connections[n]
        try:
            return self.ledger.request(method, path, raw=body)
        finally:
            self.connections[n] = self.ledger.local.connection

    def insist(self, method, path, body=None):
        """Only after something was killed: until an answer comes that is final."""
        def attempt():
            try:
                answer = self.call(method, path, body)
            except OSError:
                return None
            return answer if answer.status not in NOT_FINAL else None
        return wait_until(attempt, f"{method} {path} to be answered")

    def drop_connections(self):
        for connection in self.connections:
            if connection:
                connection.close()
        self.connections = [None] * CONNECTIONS

    def compare(self, expected, got):
        self.figures["comparisons"] += 1
        difference = differs(expected, got)
        if difference:
            raise Difference(difference)

    def compare_answer(self, expected, answer):
        status, body = expected
        got = None
        if answer.bytes:
            got = read_json(answer.bytes)
            self.compare("application/json", answer.headers.get("content-type"))
        self.compare([status, body], [answer.status, got])

    def get(self, path, read, *arguments):
        answer = self.call("GET", path)
        self.compare_answer(outcome(read, *arguments), answer)

    # --- writing ---

    def send(self, path, body, apply):
        begun_us = time.time_ns() // 1000
        answer = self.call("POST", path, body)
        self.take_answer(body, answer, apply, begun_us)

    def take_answer(self, body, answer, apply, begun_us=None):
        slots = self.slots_of(answer)
        before = {name: book.last_at for name, book in self.reference.books.items()}
        if apply in (self.reference.post, self.reference.post_batch):
            expected = outcome(apply, body, read_json(answer.bytes) if answer.bytes else None)
        else:
            expected = outcome(apply, body)
        self.compare_answer(expected, answer)
        for slot in slots:
            self.count(slot)
            if begun_us and slot.get("deduplicated") is False:
                self.check_time(slot, before, begun_us)

    def slots_of(self, answer):
        """What was decided about each draft."""
        value = read_json(answer.bytes) if answer.bytes else None
        return value if isinstance(value, list) else [value] if value else []

    def count(self, slot):
        word = "refused" if "error" in slot else "replayed" if slot["deduplicated"] else "accepted"
        self.figures[word] += 1

    def check_time(self, slot, before, begun_us):
        """at is the clock's, or the book's last one."""
        transaction = self.reference.by_id[slot["tx_id"]]
        now_us = time.time_ns() // 1000
        if slot["at"] == before.get(transaction.draft["book"]):
            return
        if not begun_us - CLOCK_SLACK_US <= transaction.at_us <= now_us + CLOCK_SLACK_US:
            raise Difference(f"at {slot['at']} between {begun_us} and {now_us} us")

    # --- operations ---

    def do_asset(self):
        self.send("/v1/assets", self.requests.asset(), self.reference.register_asset)

    def do_account(self):
        self.send("/v1/accounts", self.requests.account(), self.reference.open_account)

    def do_post(self):
        self.send("/v1/transactions", self.requests.post(), self.reference.post)

    def do_batch(self):
        self.send("/v1/transactions/batch", self.requests.batch(), self.reference.post_batch)

    def do_noise(self):
        path, make, apply = self.rng.choice([
            ("/v1/assets", self.requests.asset, self.reference.register_asset),
            ("/v1/accounts", self.requests.account, self.reference.open_account),
            ("/v1/transactions", self.requests.post, self.reference.post),
            ("/v1/transactions", self.requests.post, self.reference.post),
            ("/v1/transactions/batch", self.requests.batch, self.reference.post_batch)])
        self.send(path, self.requests.noise(make()), apply)

    def do_transaction(self):
        tx_id = self.rng.choice(["abc", "0190b0a0-0000-7000-8000-000000000000", "0190B0A0-0000-4000-8000-00000000000A"])
        if self.reference.by_id and self.rng.random() < 0.9:
            tx_id = self.some_transaction().id
            if self.rng.random() < 0.1:
                tx_id = tx_id.upper()
        self.get("/v1/transactions/" + tx_id, self.reference.transaction, tx_id)

    def some_transaction(self):
        book = self.rng.choice([b for b in self.reference.books.values() if b.transactions])
        return self.rng.choice(book.transactions)

    def some_account(self):
        """Mostly one that is open."""
        books = [b for b in self.reference.books.values() if b.accounts]
        if books and self.rng.random() < 0.85:
            book = self.rng.choice(books)
            return book.name, self.rng.choice(list(book.accounts))
        return self.requests.name(BOOKS), self.requests.name(PATHS)

    def account_path(self, book, path, what, query):
        quote = self.requests.quote
        return f"/v1/books/{quote(book)}/accounts/{quote(path)}/{what}" + ("?" + query if query else "")

    def do_balance(self):
        book, path = self.some_account()
        query = self.requests.query(as_of=self.rng.choice([None, None, self.requests.as_of(book)]))

        def read():
            return self.reference.balance(book, path, **read_query(query, as_of=parse_time))
        self.get(self.account_path(book, path, "balance", query), read)

    def do_history(self):
        book, path = self.some_account()
        top = self.reference.book(book).next_seq()
        rng, number = self.rng, self.requests.number
        query = self.requests.query(
            after_seq=rng.choice([None, str(rng.randint(0, top)), str(rng.randint(0, top)), number(top)]),
            limit=rng.choice([None, "1", str(rng.randint(1, 20)), str(rng.randint(0, 1100)), number(1000)]))

        def read():
            return self.reference.history(book, path, **read_query(query, after_seq=signed_number, limit=limit_number))
        self.get(self.account_path(book, path, "history", query), read)

    def do_trial_balance(self):
        book = self.requests.name(BOOKS + ["_system"])
        query = self.requests.query(as_of=self.rng.choice([None, self.requests.as_of(book)]))

        def read():
            return self.reference.trial_balance(book, **read_query(query, as_of=parse_time))
        self.get(f"/v1/books/{self.requests.quote(book)}/trial-balance" + ("?" + query if query else ""), read)

    def do_events(self):
        book = self.rng.choice(BOOKS + ["_system"])
        last = self.reference.book(book).next_seq() - 1
        after = self.rng.randint(-1, last)
        self.compare_events(book, after, min(last - max(after, 0), self.rng.choice([1, 3, 20, 200])))

    def compare_events(self, book, after, count):
        self.doing = ("GET", f"{count} events of {book!r} after {after}", None)
        as_header = self.rng.random() < 0.3
        with self.ledger.stream(book, "?from=7" if as_header else f"?from={after}",
                                str(after) if as_header else None) as stream:
            self.compare(200, stream.status)
            for seq in range(max(after, 0) + 1, max(after, 0) + 1 + count):
                if stream.next() is None:
                    raise Difference(f"event {seq} does not come")
                got = read_json(stream.last_data)
                self.compare(self.reference.event(book, seq, got), got)
            if count == 0 and self.rng.random() < 0.1:
                self.compare(None, stream.next(wait_s=0.02))

    def do_place(self):
        """Routes and methods that are none."""
        method, path, status, word = self.rng.choice([
            ("GET", "/nope", 404, "not_found"), ("GET", "/v1/books/shop/accounts/a/b/balance", 404, "not_found"),
            ("POST", "/v1/transactions/", 404, "not_found"), ("GET", "/v1/books/shop/../shop/trial-balance", 404, "not_found"),
            ("PUT", "/v1/transactions", 405, "method_not_allowed"), ("GET", "/v1/assets", 405, "method_not_allowed"),
            ("POST", "/v1/books/shop/trial-balance", 405, "method_not_allowed"),
            ("GET", "/v1/books/%ff/trial-balance", 400, "invalid_draft"),
            ("GET", "/v1/books/shop/events?from=abc", 400, "invalid_draft")])
        answer = self.call(method, path, b"" if method != "GET" else None)
        self.compare([status, word], [answer.status, answer.json["error"]])

    OPERATIONS = {do_post: 45, do_batch: 8, do_account: 6, do_asset: 2, do_noise: 6, do_transaction: 6, do_balance: 14,
                  do_history: 7, do_trial_balance: 3, do_events: 3, do_place: 1}

    # --- what goes wrong in between ---

    def victims(self, victim):
        """Pids; looked up beforehand, since that takes longer than a post."""
        workers, arbiter = self.ledger.worker_pids(), self.ledger.arbiter_pid()
        if victim == "arbiter":
            return [arbiter]
        if victim == "worker":
            return self.rng.sample(workers, self.rng.randint(1, 2))
        return [self.ledger.pid, arbiter, *workers]

    def kill(self, pids):
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.figures["kills"] += 1

    def make_whole(self, victim, pids):
        """Waits until others stand in their place; starts all, perhaps without some of the derived files."""
        ledger = self.ledger
        if victim in ("arbiter", "worker"):
            wait_until(lambda: ledger.arbiter_pid() not in (None, *pids) and len(ledger.worker_pids()) == 2 and
                       not set(pids) & set(ledger.worker_pids()), "another process in its place")
            return
        if victim == "everything":
            ledger.process.wait(PATIENCE_S)
            wait_until(lambda: not any(map(is_running, pids)), "all processes to be gone")
        if self.rng.random() < 0.3:
            ledger.remove(*self.rng.sample(DERIVED, self.rng.randint(1, len(DERIVED))))
            self.figures["derived files removed"] += 1
        self.drop_connections()
        ledger.start()

    def settle(self):
        """Every worker answers again: both have seen the arbiter, whichever connection is theirs."""
        body = b'{"id": "USD", "class": "fiat", "precision": 2, "name": "settle"}'
        for n in range(CONNECTIONS * 4):
            if n % CONNECTIONS == 0:
                self.drop_connections()
            answer = self.insist("POST", "/v1/assets", body)
            self.compare_answer(outcome(self.reference.register_asset, body), answer)

    def wreck(self):
        victim = self.rng.choice(["stop", "everything", "everything", "arbiter", "worker"])
        self.doing = ("wreck", victim, None)
        if victim == "stop":
            self.ledger.stop()
            self.figures["restarts"] += 1
            self.make_whole(victim, [])
        elif self.rng.random() < 0.4:
            pids = self.victims(victim)
            self.kill(pids)
            self.make_whole(victim, pids)
        else:
            self.cut_off(victim)
        self.settle()
        self.check(self.some_books(2))

    def cut_off(self, victim):
        """A post that is on its way while something is killed: the same key tells what became of it."""
        if self.rng.random() < 0.5:
            path, body, apply = "/v1/transactions", self.requests.write(self.requests.draft()), self.reference.post
        else:
            path, body, apply = "/v1/transactions/batch", self.requests.fresh_batch(), self.reference.post_batch
        first = self.try_while_killing(path, body, victim)
        if first:
            self.take_answer(body, first, apply)
        again = self.insist("POST", path, body)
        self.adopt_what_was_committed(body, again)
        self.take_answer(body, again, apply)
        self.figures["cut off"] += first is None

    def try_while_killing(self, path, body, victim):
        """The answer, when one came that is final."""
        pids = self.victims(victim)
        self.drop_connections()
        self.doing = ("POST, cut off", path, body)
        connection = http.client.HTTPConnection("127.0.0.1", self.ledger.port, timeout=PATIENCE_S)
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        time.sleep(self.rng.random() * KILL_WITHIN_S)
        self.kill(pids)
        try:
            answer = Answer(connection.getresponse())
        except (OSError, http.client.HTTPException):
            answer = None
        connection.close()
        self.make_whole(victim, pids)
        return answer if answer and answer.status not in NOT_FINAL and not self.is_unsure(answer) else None

    def is_unsure(self, answer):
        return any(slot.get("error") == "overloaded" for slot in self.slots_of(answer))

    def adopt_what_was_committed(self, body, answer):
        """Deduplicated, and nobody has heard of it: the first try has done it, in the order of seq."""
        drafts, slots = read_json(body), self.slots_of(answer)
        drafts = [transaction_draft(d) for d in (drafts if isinstance(drafts, list) else [drafts])]
        done = [(slot["seq"], draft, slot) for draft, slot in zip(drafts, slots) if slot.get("deduplicated") and
                draft["idempotency_key"] not in self.reference.book(draft["book"]).keys]
        for _, draft, slot in sorted(done, key=lambda d: d[0]):
            self.compare({**slot, "deduplicated": False}, self.reference.decide(draft, slot))
            self.figures["accepted"] += 1
            self.figures["adopted"] += 1

    # --- all that can be read ---

    def some_books(self, count):
        books = list(self.reference.books)
        return self.rng.sample(books, min(count, len(books)))

    def check(self, books):
        for name in books:
            book = self.reference.books[name]
            self.get(f"/v1/books/{self.requests.quote(name)}/trial-balance", self.reference.trial_balance, name)
            self.compare_events(name, 0, len(book.events))
            for path, account in book.accounts.items():
                self.get(self.account_path(name, path, "balance", ""), self.reference.balance, name, path)
                minor = sum(account.balance(t.draft["postings"]) for t in account.transactions)
                self.compare(minor, self.reference.current[account.key])
                self.check_history(name, path)
        if self.reference.by_id:
            for _ in range(20):
                tx_id = self.some_transaction().id
                self.get("/v1/transactions/" + tx_id, self.reference.transaction, tx_id)

    def check_history(self, book, path):
        after = 0
        while after is not None:
            query = f"after_seq={after}&limit=1000"
            self.get(self.account_path(book, path, "history", query), self.reference.history, book, path, after, 1000)
            after = self.reference.history(book, path, after, 1000)[1]["next"]

    # --- all of it ---

    def run(self, steps, check_every):
        operations, weights = zip(*self.OPERATIONS.items())
        self.ledger.start()
        for self.step in range(1, steps + 1):
            self.rng.choices(operations, weights)[0](self)
            if self.rng.random() < 1 / self.wreck_every:
                self.wreck()
            if self.step % check_every == 0:
                self.check(self.reference.books)
                print(f"model: step {self.step}, {self.figures['accepted']} accepted", flush=True)
        self.finish()

    def finish(self):
        """Once more all of it, then from the log alone."""
        self.check(self.reference.books)
        self.ledger.kill9()
        self.figures["kills"] += 1
        self.ledger.remove(*DERIVED)
        self.drop_connections()
        self.ledger.start()
        self.check(self.reference.books)
        self.ledger.stop()
        self.figures["restarts"] += 1


def conclude(name, subject, prove, say_where, say_what):
    """The exit status: 1 with what was found, where, and where it lies, or 0 with the figures."""
    begun = time.monotonic()
    try:
        prove()
    except (Difference, Impossible, AssertionError, OSError, EOFError, subprocess.TimeoutExpired) as fault:
        print(f"{name}: {say_where()}: {shortened(subject.doing)}\n{type(fault).__name__}: {fault}")
        print(f"the ledger and its messages are kept in {subject.ledger.home}")
        if subject.ledger.is_up():
            subject.ledger.kill9()
        return 1
    subject.ledger.close()
    print(f"{name}: {say_what(subject.figures)}, 0 differences, {time.monotonic() - begun:.0f} s, seed {subject.seed}")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--wreck-every", type=int, default=120, help="steps between restarts and kills")
    parser.add_argument("--check-every", type=int, default=5000, help="steps between comparisons of everything")
    arguments = parser.parse_args()
    model = Model(arguments.seed, arguments.wreck_every)
    return conclude(
        "model", model, lambda: model.run(arguments.steps, arguments.check_every),
        lambda: f"step {model.step} of seed {model.seed}",
        lambda f: f"{model.step} steps, {f['accepted']} posts accepted, {f['refused']} refused, {f['replayed']} "
                  f"replayed, {f['restarts']} restarts, {f['kills']} kills, {f['cut off']} posts cut off "
                  f"({f['adopted']} had been done), {f['comparisons']} comparisons")


if __name__ == "__main__":
    sys.exit(main())
