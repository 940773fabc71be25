"""What the proofs that crash talead share: load that remembers how each post ended, and what must hold afterwards.

A post ends in one of three ways: acknowledged (it must be there, once, as it was answered), refused (it must not be
there), or unknown (it may be there once or not at all, and the same key posted again tells which).
"""
import argparse
import os
import random
import re
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

from harness import Ledger, SANITIZER, credit, debit, draft, quote, sale  # noqa: E402

BOOKS = ["a", "b", "c", "d"]
# Every few dozen posts meet a new segment, a snapshot, a spill of keys and keys that are no longer in memory.
FREQUENT = dict(workers=2, log_segment_max=65536, log_snapshot_every=150, log_idem_hot_cap=100,
                write_batch_max=2)  # groups so small that others wait: they are decided while one is synced
THREADS = 6
ACCOUNTS_MAX = 24
METADATA_MAX = 12000
BATCH_MAX = 400  # of one request of a check; the server's cap is 500
FINAL = (200, 204)


def posted_of(answer):
    return (answer["tx_id"], answer["seq"], answer["at"])


class Record:
    """What is known of one ledger, over all its crashes."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.lock = threading.Lock()
        self.unknown = {}  # (book, key) -> body
        self.accounts = set()  # (book, path) whose opening was answered
        self.streamed = {book: [] for book in BOOKS}  # what a live stream showed and nobody compared yet
        self.events = {book: [] for book in BOOKS}
        self.markers = 0
        self.crash_began = False

    def begin_crash(self):
        """From here on answers prove nothing: the disk is about to forget."""
        with self.lock:
            self.crash_began = True

    def note_posted(self, body, posted):
        key = (body["book"], body["idempotency_key"])
        with self.lock:
            if self.crash_began:
                if key not in self.ledger.acknowledged:
                    self.unknown[key] = body
                return
            self.unknown.pop(key, None)
        self.ledger.acknowledge(*key, posted)

    def note_unknown(self, body):
        key = (body["book"], body["idempotency_key"])
        with self.lock:
            if key not in self.ledger.acknowledged:
                self.unknown[key] = body

    def note_opened(self, book, path):
        with self.lock:
            if not self.crash_began:
                self.accounts.add((book, path))

    def note_streamed(self, book, event):
        with self.lock:
            if not self.crash_began:
                self.streamed[book].append(event)

    def some_acknowledged(self, rng):
        with self.ledger.lock:
            keys = list(self.ledger.acknowledged)
        return rng.choice(keys) if keys else None

    def some_unknown(self, rng):
        with self.lock:
            bodies = list(self.unknown.values())
        return rng.choice(bodies) if bodies else None


class Load:
    """Threads that post, open accounts, ask again for old keys and listen, from birth until stop()."""

    def __init__(self, record, name, seed):
        self.record, self.ledger, self.name = record, record.ledger, name
        self.count = 0
        self.errors = []
        self.stopping = threading.Event()
        jobs = [(self.post_until_stopped, n) for n in range(THREADS)] + [(self.listen, seed % len(BOOKS))]
        self.threads = [threading.Thread(target=self.guard, args=(job, n, random.Random(f"{seed}-{name}-{n}")), daemon=True)
                        for job, n in jobs]
        for thread in self.threads:
            thread.start()

    def guard(self, job, n, rng):
        try:
            job(n, rng)
        except Exception as error:  # whoever stops the load shows it
            self.errors.append(error)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(90)
        assert not any(thread.is_alive() for thread in self.threads), "a request was never answered"
        if self.errors:
            raise self.errors[0]

    # --- posting ---

    def post_until_stopped(self, thread, rng):
        n = 0
        while not self.stopping.is_set():
            n += 1
            self.one_step(f"{self.name}-{thread}-{n}", rng)
            self.count += 1

    def one_step(self, key, rng):
        dice = rng.random()
        old = self.record.some_acknowledged(rng) if dice < 0.15 else None
        lost = self.record.some_unknown(rng) if 0.15 <= dice < 0.25 else None
        if old:
            self.post_again(sale(*old))
        elif lost:
            self.post(lost, rng, tried=True)
        elif dice < 0.28:
            self.open_account(key, rng)
        elif dice < 0.4:
            self.post_batch(key, rng)
        else:
            self.post(self.new_draft(key, rng), rng)

    def new_draft(self, key, rng):
        with self.record.lock:
            accounts = sorted(self.record.accounts)
        book, path = rng.choice(accounts) if accounts and rng.random() < 0.3 else (rng.choice(BOOKS), "cash")
        more = {"metadata": {"pad": "x" * rng.randrange(METADATA_MAX)}} if rng.random() < 0.3 else {}
        minor = rng.randrange(1, 10**6)
        return draft(book, key, debit(path, minor), credit("sales", minor), **more)

    def attempt(self, path, body):
        """An answer, or None: what became of the request is not known."""
        try:
            answer = self.ledger.request("POST", path, body)
        except OSError:
            answer = None
        if answer is None or answer.status in (408, 429, 503):
            self.stopping.wait(0.005)
            return None
        assert answer.status in FINAL, f"{path}: {answer.status} {answer.text}"
        return answer

    def post(self, body, rng, tried=False):
        """Half of the posts whose outcome is unknown are posted again at once, the others are left for later."""
        while True:
            answer = self.attempt("/v1/transactions", body)
            if answer:
                assert tried or not answer.json["deduplicated"], f"{body}: new, and answered as known: {answer.text}"
                self.record.note_posted(body, answer.json)
                return
            self.record.note_unknown(body)
            tried = True
            if self.stopping.is_set() or rng.random() < 0.5:
                return

    def post_again(self, body):
        """An acknowledged key."""
        answer = self.attempt("/v1/transactions", body)
        if answer:
            assert answer.json["deduplicated"], f"{body}: acknowledged before, and posted again as new: {answer.text}"
            self.record.note_posted(body, answer.json)

    def post_batch(self, key, rng):
        bodies = [self.new_draft(f"{key}-{i}", rng) for i in range(rng.randrange(2, 20))]
        refused = rng.randrange(len(bodies))
        bodies[refused] = draft(rng.choice(BOOKS), f"refused-{key}", debit("nowhere", 1), credit("sales", 1))
        answer = self.attempt("/v1/transactions/batch", bodies)
        slots = answer.json if answer else [{"error": "overloaded"}] * len(bodies)
        for i, (body, slot) in enumerate(zip(bodies, slots)):
            if "tx_id" in slot:
                assert i != refused, f"a draft on an unknown account was posted: {slot}"
                assert not slot["deduplicated"], f"{body}: new, and answered as known: {slot}"
                self.record.note_posted(body, slot)
            elif i != refused:
                assert slot["error"] == "overloaded", slot
                self.record.note_unknown(body)

    def open_account(self, name, rng):
        if len(self.record.accounts) >= ACCOUNTS_MAX:
            return
        book = rng.choice(BOOKS)
        body = {"book": book, "path": f"till-{name}", "asset": "USD", "kind": "asset", "normal_side": rng.choice(["debit", "credit", None])}
        if self.attempt("/v1/accounts", body):
            self.record.note_opened(book, body["path"])

    # --- listening ---

    def listen(self, n, rng):
        """What a live stream shows is on stable storage, so it must still be there after any crash."""
        book = BOOKS[n]
        while not self.stopping.is_set():
            try:
                with self.ledger.stream(book, f"?from={self.known_seq(book)}") as stream:
                    while stream.status == 200 and not self.stopping.is_set():
                        event = stream.next(wait_s=0.02)
                        if event:
                            self.record.note_streamed(book, event)
            except (OSError, EOFError, ValueError, IndexError):  # cut off, in the middle of a line perhaps
                self.stopping.wait(0.005)

    def known_seq(self, book):
        with self.record.lock:
            shown = self.record.streamed[book]
            return shown[-1]["seq"] if shown else len(self.record.events[book])


# --- what must hold ---

def chunks(items, size=BATCH_MAX):
    return [items[i:i + size] for i in range(0, len(items), size)]


def read_events(ledger, book, after, until):
    """Events after+1 .. until, which all must be there."""
    events = []
    with ledger.insist_on_stream(book) if after == 0 else ledger.stream(book, f"?from={after}") as stream:
        assert stream.status == 200, f"{book}: events answered {stream.status}"
        for seq in range(after + 1, until + 1):
            event = stream.next()
            assert event, f"{book}: event {seq} of {until} is not streamed"
            assert event["seq"] == seq, f"{book}: event {seq} was to come, {event['seq']} came"
            events.append(event)
    return events


def follow(record, until):
    """Reads what is new in each book, up to the given seq."""
    for book, seq in until.items():
        known = record.events[book]
        known += read_events(record.ledger, book, len(known), max(seq, len(known)))
        pairs = zip(known, known[1:])
        assert all(a["at"] <= b["at"] for a, b in pairs), f"{book}: at went back"


def post_markers(record):
    """One post to each book: whatever was posted before and is in the book has a lower seq than this."""
    record.markers += 1
    posted = record.ledger.post_batch([sale(book, f"marker-{record.markers}") for book in BOOKS])
    assert not any(p["deduplicated"] for p in posted), f"a marker was posted before: {posted}"
    return {book: p["seq"] for book, p in zip(BOOKS, posted)}


def settle_unknown(record, markers, by_key):
    """Posts each key of unknown outcome again: the answer must agree with what the book showed before."""
    for bodies in chunks(list(record.unknown.values())):
        for body, answer in zip(bodies, record.ledger.post_batch(bodies)):
            book, key = body["book"], body["idempotency_key"]
            assert "tx_id" in answer, f"{book} {key}: of unknown outcome, posted again: {answer}"
            found = by_key[book].get(key)
            if found:
                assert answer["deduplicated"], f"{book} {key}: is there as {found}, and posted again as {answer}"
                assert posted_of(answer) == found, f"{book} {key}: is there as {found}, answered as {answer}"
            else:
                assert answer["seq"] > markers[book], f"{book} {key}: answered as {answer}, but the book lacks it"
            record.unknown.pop((book, key))


def replay(record, keys):
    """Acknowledged keys posted again are answered with the first commit, and commit nothing."""
    for some in chunks(keys):
        for key, answer in zip(some, record.ledger.post_batch([sale(*key) for key in some])):
            assert answer.get("deduplicated"), f"{key}: acknowledged, posted again: {answer}"


def check_views(record, keys):
    for book, key in keys:
        tx_id, seq, at = record.ledger.acknowledged[(book, key)]
        view = record.ledger.get(f"/v1/transactions/{quote(tx_id)}")
        assert (view["book"], view["seq"], view["at"]) == (book, seq, at), f"{book} {key}: shown as {view}"


def check_events(record, book):
    """The events against all that was answered or streamed; (tx_id, seq, at) by key."""
    events = record.events[book]
    by_key = record.ledger.check_acknowledged(book, events)
    assert not any(key.startswith("refused-") for key in by_key), f"{book}: a refused draft is there"
    opened = {e["payload"]["def"]["id"]["path"] for e in events if e["kind"] == "account_opened"}
    missing = {path for b, path in record.accounts if b == book} - opened
    assert not missing, f"{book}: accounts were opened and are not there: {sorted(missing)}"
    for event in record.streamed[book]:
        there = events[event["seq"] - 1] if event["seq"] <= len(events) else None
        assert event == there, f"{book}: was streamed as {event}, is there as {there}"
    record.streamed[book].clear()
    return by_key


def check(record, rng, full=True, replays=200):
    """The cheap form reads what is new, and the sums; the full form every event and history from the beginning."""
    ledger = record.ledger
    record.crash_began = False
    markers = post_markers(record)
    until = dict(markers)
    for book in BOOKS:  # a stream may have shown what nobody was told of
        until[book] = max([until[book]] + [e["seq"] for e in record.streamed[book]])
    follow(record, until)
    by_key = {book: check_events(record, book) for book in BOOKS}
    known = list(ledger.acknowledged)
    settle_unknown(record, markers, by_key)
    replay(record, known if len(known) <= replays else rng.sample(known, replays))
    check_views(record, rng.sample(known, min(10, len(known))))
    markers = post_markers(record)
    follow(record, markers)
    for book in BOOKS:
        check_events(record, book)
        if full:
            again = read_events(ledger, book, 0, markers[book])
            assert again == record.events[book], f"{book}: events are not what they were"
        ledger.check_sums(book, record.events[book], histories=full)
    if full:
        ledger.verify()
    fault = SANITIZER.search(ledger.stderr_text())
    assert not fault, ledger.stderr_text()[max(0, fault.start() - 500):fault.start() + 4000]


# --- processes ---

def check_deaths(text, allowed=(9,)):
    """Nobody died but those who were killed."""
    died = [int(n) for n in re.findall(r"was killed by signal (\d+)", text)]
    strange = [n for n in died if n not in allowed]
    assert not strange, f"processes died by themselves, of signals {strange}"
    ended = re.search(r"^.*(?:arbiter|worker \d+) \d+ .*\(status \d+\);.*$", text, re.MULTILINE)
    assert not ended, f"a process ended by itself: {ended.group(0)}"


def process_state(pid):
    """A letter as in ps(1); X when it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "X"


def start_measured(ledger, since):
    """Starts and answers how long it took from `since` to the first answer of /health."""
    ledger.start()
    return time.monotonic() - since


# --- the program ---

def arguments(description, rounds, add=None):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="of the random choices; printed, so a run can be repeated")
    if add:
        add(parser)
    parsed = parser.parse_args()
    if parsed.seed is None:
        parsed.seed = random.SystemRandom().randrange(10**6)
    return parsed


def run(name, seed, prove, kept):
    """Exit status: 0, or 1 with what was found and where it lies."""
    try:
        print(prove(), flush=True)
        return 0
    except Exception as error:
        if not isinstance(error, AssertionError):
            traceback.print_exc()
        print(f"{name}: FOUND: {error}\nkept: {kept()}\nseed {seed}", flush=True)
        return 1
