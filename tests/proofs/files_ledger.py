"""The small ledger whose files files.py damages: its files in memory, copies of them, and what each copy must show."""
import os
import re
import shutil
import subprocess
import tempfile

from crash_load import read_events
from harness import (Ledger, PATIENCE_S, SANITIZER, TALEAD, clean_environment, credit, debit, draft, quote, sale,
                     wait_until)
from log_forge import BATCH_HEADER, CHAIN, SEGMENT_HEADER, batches

BOOKS = ["a", "b"]
PATHS = ["cash", "sales"]
# A few dozen posts make a sealed segment, two snapshots and several runs of spilled keys.
SMALL = dict(workers=1, log_segment_max=4096, log_snapshot_every=15, log_idem_hot_cap=12)
WIDE = 1 << 20  # so that the last segment takes a batch of many sectors
WITNESSES = ("index", "snapshots", "idempotency")
LOG_AHEAD = 8192  # of the room written ahead in a segment so much is kept: it is read again and again
MEMORY_BYTES_LEAST = 1 << 29


def use_memory():
    """Thousands of copies are made: in memory, where there is some."""
    folder = "/dev/shm"
    if os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > MEMORY_BYTES_LEAST:
        tempfile.tempdir = folder


def talead(*arguments):
    done = subprocess.run([TALEAD, *arguments], env=clean_environment(), capture_output=True, text=True,
                          timeout=PATIENCE_S)
    fault = SANITIZER.search(done.stderr)
    assert not fault, done.stderr[max(0, fault.start() - 500):fault.start() + 4000]
    return done


# --- files ---

class Files:
    """A directory's files; the zeros at their ends are kept as a length only."""

    def __init__(self, folder):
        self.contents = {}
        for at, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(at, name)
                if not os.path.isfile(path):
                    continue  # the control socket of a master that was killed
                with open(path, "rb") as f:
                    data = f.read()
                told = data.rstrip(b"\0")
                length = min(len(data), len(told) + LOG_AHEAD) if name.endswith(".log") else len(data)
                self.contents[os.path.relpath(path, folder)] = (told, length)

    def lay(self, folder, only=("log", *WITNESSES)):
        for name in only:
            os.makedirs(os.path.join(folder, name), exist_ok=True)
            for path in self.under(name):
                self.lay_file(path, os.path.join(folder, path))

    def lay_file(self, name, path):
        data, length = self.contents[name]
        with open(path, "wb") as f:
            f.write(data)
            f.truncate(length)

    def under(self, folder):
        return sorted(name for name in self.contents if name.startswith(folder + "/"))

    def bytes(self, name):
        data, length = self.contents[name]
        return data + bytes(length - len(data))


def log_bytes(folder):
    found = {}
    for name in sorted(os.listdir(os.path.join(folder, "log"))):
        with open(os.path.join(folder, "log", name), "rb") as f:
            found[name] = f.read()
    return found


class Segment:
    def __init__(self, path, data):
        self.name, self.data = os.path.basename(path), data
        self.position = int(re.search(r"\d+", self.name)[0])
        self.batches = list(batches(data))
        self.end = sum(self.batches[-1][:2])

    def batch_at(self, offset):
        """Index of the batch that holds this byte; None: the header, or behind the last batch."""
        for n, (at, length, _, _) in enumerate(self.batches):
            if at <= offset < at + length:
                return n
        return None

    def told_until(self, at):
        """Where the batch's chain value ends; the zeros that round it up to 8 are part of nothing."""
        payload = int.from_bytes(self.data[at + 4:at + 8], "little")
        return at + BATCH_HEADER + payload + CHAIN

    def is_padding(self, offset):
        n = self.batch_at(offset)
        return n is not None and offset >= self.told_until(self.batches[n][0])


class Log:
    """The segments, and the lines that dump prints of them."""

    def __init__(self, files, lines):
        self.segments = [Segment(name, files.bytes(name)) for name in files.under("log") if name.endswith(".log")]
        self.lines = lines
        self.last = self.segments[-1]

    def events_before(self, segment, offset):
        """Number of events in the batches that end at or before this place."""
        count = 0
        for s in self.segments[:self.segments.index(segment) + 1]:
            count += sum(events for at, length, events, _ in s.batches if s is not segment or at + length <= offset)
        return count

    def judge(self, data):
        """Where a last segment's whole batches end, how many events stand before that, and whether bytes are torn."""
        border = SEGMENT_HEADER
        for at, length, _, _ in self.last.batches:
            told = slice(at, self.last.told_until(at))
            if len(data) < at + length or data[told] != self.last.data[told]:
                break
            border = at + length
        return border, self.events_before(self.last, border), any(data[border:])


# --- the ledger ---

class Original:
    """Made by a real talead; `older`, `killed` and `clean` are its files at three times."""

    def __init__(self, name="k"):
        self.name, self.bodies, self.answers = name, [], []
        ledger = Ledger(**SMALL)
        try:
            self.fill(ledger)
        finally:
            ledger.close()

    def fill(self, ledger):
        ledger.start()
        ledger.set_up(*BOOKS)
        self.post(ledger, [sale(BOOKS[n % 2], f"{self.name}{n}", 100 + n) for n in range(20)])
        self.await_snapshots(ledger, 1)
        ledger.stop()
        self.older = Files(ledger.dir)
        ledger.start()
        self.post(ledger, [sale(BOOKS[n % 2], f"{self.name}{n}", 100 + n) for n in range(20, 42)])
        self.await_snapshots(ledger, 2)
        ledger.stop()
        ledger.env["TALEA_LOG_SEGMENT_MAX"] = str(WIDE)
        ledger.start()
        self.post(ledger, [sale(BOOKS[n % 2], f"{self.name}{n}", 100 + n) for n in range(42, 45)])
        self.post_batch(ledger, [self.rich(n) for n in range(45, 51)])
        self.see(ledger)
        ledger.kill9()
        self.killed = Files(ledger.dir)
        ledger.start().stop()
        self.clean = Files(ledger.dir)
        self.log = Log(self.killed, talead("dump", ledger.dir).stdout.splitlines())

    def rich(self, n):
        return draft("a", f"{self.name}{n}", debit("cash", n), credit("sales", n), metadata={"pad": "x" * 150})

    def post(self, ledger, bodies):
        for body in bodies:
            self.answers.append(ledger.post(body))
            self.bodies.append(body)

    def post_batch(self, ledger, bodies):
        self.answers += ledger.post_batch(bodies)
        self.bodies += bodies

    @staticmethod
    def await_snapshots(ledger, count):
        folder = os.path.join(ledger.dir, "snapshots")
        wait_until(lambda: sum(name.endswith(".mdb") for name in os.listdir(folder)) == count, f"{count} snapshots")

    def see(self, ledger):
        self.counts = {book: 2 + sum(body["book"] == book for body in self.bodies) for book in BOOKS}
        self.picture = picture(ledger, self.counts, self.answers)
        self.replays = [{**answer, "deduplicated": True} for answer in self.answers]


def picture(ledger, counts, answers):
    """What readers are shown: events, balances, histories, trial balances, and some transactions."""
    shown = {}
    for book in BOOKS:
        shown[book, "events"] = read_events(ledger, book, 0, counts[book])
        shown[book, "trial balance"] = ledger.trial_balance(book)
        for path in PATHS:
            shown[book, path, "balance"] = ledger.balance(book, path)
            shown[book, path, "history"] = ledger.history(book, path)
    for answer in answers[::9]:
        shown[answer["tx_id"]] = ledger.get("/v1/transactions/" + quote(answer["tx_id"]))
    return shown
