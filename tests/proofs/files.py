#!/usr/bin/env python3
"""Files that are cut, torn, flipped, lost, swapped or old: nothing but the true history is ever served from them.

Every prefix of the last segment recovers to the batches it holds; a flipped byte of durable history is refused by its
place; a damaged index, snapshot or spill file is rebuilt. All on copies of one small ledger; --stride 1 takes every
byte in turn.
"""
import argparse
import contextlib
import os
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from crash_load import check_deaths, read_events, run
from files_ledger import (BOOKS, SEGMENT_HEADER, SMALL, WITNESSES, Original, log_bytes, picture, talead, use_memory)
from harness import Ledger, quote, sale
from log_forge import flip

TORN_ROOM = 5000  # bytes that were written ahead of the torn batch, in the copies
WITNESS_NAMES = {"index": "index", "snapshots": "newest snapshot", "idempotency": "idempotency index"}
ALL = "all of them"
WITNESS_NAMES[ALL] = "(?:clean stop|index)"
DEATHS = re.compile(r"arbiter \d+ .*another is started")
OWN_DEATHS = (4, 6, 7, 8, 11)
# LMDB does not check its pages, so damaged ones may kill who reads them: by such a signal, and not by a sanitizer's report.
LMDB_ASSERTION = re.compile(r"^mdb\.c:\d+: Assertion .* failed in \w+\(\)$", re.MULTILINE)
UNHANDLED = "handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0"


class Finding(AssertionError):
    pass


class Files:
    def __init__(self, arguments):
        self.stride, self.servers, self.seed = arguments.stride, arguments.servers, arguments.seed
        self.only = arguments.only
        self.counts, self.lock = Counter(), threading.Lock()
        self.kept = None
        self.original = Original()
        self.foreign = Original("f")
        self.log = self.original.log

    # --- cases ---

    def count(self, name):
        with self.lock:
            self.counts[name] += 1

    def rng(self, *names):
        return random.Random("-".join(map(str, (self.seed, *names))))

    def strided(self, begin, end, name):
        """Every stride-th number, from a random one on."""
        return range(begin + self.rng("offset", name).randrange(self.stride), end, self.stride)

    def sample(self, items, name, count=None):
        items, count = list(items), count or self.servers
        return items if len(items) <= count else self.rng("sample", name).sample(items, count)

    @contextlib.contextmanager
    def case(self, what):
        """A folder for a copy; it stays when something is found."""
        home = tempfile.mkdtemp(prefix="talea-files-")
        try:
            yield os.path.join(home, "ledger")
        except Exception as error:
            self.kept = self.kept or home  # of two at a time the first
            raise Finding(f"{what}: {str(error) or type(error).__name__}") from error
        shutil.rmtree(home)

    def each(self, work, items):
        """Two at a time; the first finding ends all."""
        with ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 2)) as pool:
            pending = [pool.submit(work, *item) for item in items]
            try:
                for future in pending:
                    future.result()
            finally:
                pool.shutdown(cancel_futures=True)

    @contextlib.contextmanager
    def serving(self, folder):
        """A server on the copy, which ends with it; its figures are in the caller's hands."""
        ledger = Ledger(directory=folder, **SMALL)
        ledger.tolerated = LMDB_ASSERTION
        ledger.env["ASAN_OPTIONS"] = UNHANDLED
        try:
            yield ledger
        except Exception as error:
            raise AssertionError(f"{error}\n{ledger.stderr_text()[-3000:]}") from error
        finally:
            ledger.close()

    def refused(self, folder, words):
        """A start ends with one of these messages and has changed nothing in the log."""
        before = log_bytes(folder)
        with self.serving(folder) as ledger:
            assert ledger.start_refused() == 1, "was not refused"
            assert re.search(words, ledger.stderr_text()), f"refused, but not with {words!r}"
        assert log_bytes(folder) == before, "refused, and changed the log"

    # --- every prefix of the last segment ---

    def torn(self, kind, length):
        """A last segment of which so much was written, and behind it what a crash may leave."""
        data, rng = self.log.last.data[:self.log.last.end], self.rng(kind, length)
        head, room = data[:length], len(data) + TORN_ROOM - length
        if kind == "cut":
            return head
        if kind == "zeros":
            return head + bytes(room)
        if kind == "garbage":
            return head + rng.randbytes(room)
        if kind == "remains":  # whole batches, at places that are not theirs
            old = self.log.segments[0].data[SEGMENT_HEADER:]
            return head + bytes(-length % 8) + (old * 3)[:room]
        return self.with_holes(data, length, int(kind.split()[1]), rng) + bytes(TORN_ROOM)

    def with_holes(self, data, length, sector, rng):
        """Of the batch that holds this byte some sectors were not written."""
        at, size = next((at, size) for at, size, _, _ in self.log.last.batches if length < at + size)
        torn = bytearray(data[:at + size])
        for begin in range(at // sector * sector, at + size, sector):
            if rng.random() < 0.5:
                first, end = max(begin, at), min(begin + sector, at + size)
                torn[first:end] = bytes(end - first)
        return bytes(torn)

    def lay_torn(self, folder, data, only):
        self.original.killed.lay(folder, only)
        with open(os.path.join(folder, "log", self.log.last.name), "wb") as f:
            f.write(data)

    def prefix(self, kind, length):
        with self.case(f"{self.log.last.name} up to {length}, then {kind}") as folder:
            data = self.torn(kind, length)
            self.lay_torn(folder, data, ("log",))
            if length < SEGMENT_HEADER and data[:SEGMENT_HEADER] != self.log.last.data[:SEGMENT_HEADER]:
                self.check_headless(folder)
            else:
                self.check_prefix(folder, data)
        self.count("prefixes" if kind == "cut" else "torn tails")

    def check_headless(self, folder):
        """A segment gets its name when its header is synced."""
        done = talead("dump", folder)
        place = re.escape(self.log.last.name) + " at offset 0"
        lines = self.log.lines[:self.log.events_before(self.log.last, 0)]
        assert (done.returncode, done.stdout.splitlines()) == (1, lines), f"dump said {done.stderr}"
        assert re.search(f"damaged: .*{place}: it.* segment header", done.stderr), done.stderr
        before = log_bytes(folder)
        done = talead("reindex", folder)
        assert done.returncode == 1, "a segment without its header was taken"
        assert re.search(f"corrupt frame in sealed segment .*{place}", done.stderr), done.stderr
        assert log_bytes(folder) == before, "refused, and changed the log"

    def check_dump(self, folder, events):
        done = talead("dump", folder)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == self.log.lines[:events], f"{events} events are whole, dump shows others"

    def check_prefix(self, folder, data):
        border, events, torn = self.log.judge(data)
        self.check_dump(folder, events)
        done = talead("reindex", folder)
        assert done.returncode == 0, done.stderr
        assert f": {events} events," in done.stdout, done.stdout
        warnings = re.findall(r"torn tail in \S*segment-\d+.log at offset (\d+)", done.stderr)
        assert warnings == ([str(border)] if torn else []), f"batches end at {border}: {done.stderr}"
        # As they were written, also where the crash left something else than zeros as the padding of the last one.
        assert log_bytes(folder)[self.log.last.name][:border] == self.log.last.data[:border], "whole batches were changed"
        self.check_dump(folder, events)

    def served_prefix(self, kind, length):
        """A server goes on from there, and what it posts is kept."""
        with self.case(f"served: {self.log.last.name} up to {length}, then {kind}") as folder:
            self.lay_torn(folder, self.torn(kind, length), ("log",))
            counts = {book: len(talead("dump", folder, "--book", book).stdout.splitlines()) for book in BOOKS}
            with self.serving(folder) as ledger:
                ledger.start()
                for book, count in counts.items():
                    events = read_events(ledger, book, 0, count)
                    assert events == self.original.picture[book, "events"][:count], f"{book}: other events"
                    ledger.check_sums(book, events)
                    assert ledger.post(sale(book, "one-more"))["seq"] == count + 1, "it does not go on where it ended"
                ledger.stop()
                ledger.verify()
        self.count("served")

    def prefixes(self):
        end = self.log.last.end
        self.each(self.prefix, [("cut", length) for length in self.strided(0, end + 1, "cut")])
        kinds = ["zeros", "garbage", "remains", "holes 512", "holes 4096"]
        lengths = self.strided(0, end, "torn")
        self.each(self.prefix, [(kinds[n % len(kinds)], length) for n, length in enumerate(lengths)])
        borders = [SEGMENT_HEADER] + [at + length for at, length, _, _ in self.log.last.batches]
        self.each(self.prefix, [("cut", border) for border in self.sample(borders, "borders", 2 * self.servers)])
        items = [(kinds[n % len(kinds)], n) for n in self.sample(range(SEGMENT_HEADER, end), "served")]
        self.each(self.served_prefix, items)

    # --- prefixes that end before what was witnessed ---

    @staticmethod
    def witnesses_of(witness):
        return WITNESSES if witness == ALL else (witness,)

    def witness_position(self, witness):
        """Asked of talead: with a log of no batches it must say so."""
        with self.case(f"nothing behind the header, and {witness}") as folder:
            self.lay_torn(folder, self.log.last.data[:SEGMENT_HEADER], ("log", *self.witnesses_of(witness)))
            with self.serving(folder) as ledger:
                assert ledger.start_refused() == 1, "was not refused"
                found = re.search(rf"but the {WITNESS_NAMES[witness]} has witnessed (\d+)", ledger.stderr_text())
                assert found, "refused, but not for what was witnessed"
        return int(found[1])

    def witnessed(self, witness, position, length):
        with self.case(f"{self.log.last.name} up to {length}, and {witness} that saw {position}") as folder:
            data = self.log.last.data[:length]
            self.lay_torn(folder, data, ("log", *self.witnesses_of(witness)))
            border, events, _ = self.log.judge(data)
            if self.log.last.position + border < position:
                place = rf"position {self.log.last.position + border} \(\S*{self.log.last.name} offset {border}\)"
                seen = rf"the {WITNESS_NAMES[witness]} has witnessed {position} "
                self.refused(folder, f"the log ends at {place}, but {seen}")
                self.count("refused prefixes")
                return
            with self.serving(folder) as ledger:
                ledger.start().stop()
            self.check_dump(folder, events)

    def clean_stop(self, length):
        """The index is gone; that there was a clean stop is still known."""
        with self.case(f"{self.log.last.name} up to {length}, and the STATE of a clean stop") as folder:
            self.lay_torn(folder, self.log.last.data[:length], ("log",))
            os.mkdir(os.path.join(folder, "index"))
            self.original.clean.lay_file("index/STATE", os.path.join(folder, "index", "STATE"))
            self.refused(folder, "but the clean stop has witnessed")
        self.count("refused prefixes")

    def witnesses(self):
        for witness in (*WITNESSES, ALL):
            position = self.witness_position(witness)
            lengths = self.strided(SEGMENT_HEADER, self.log.last.end, witness)
            lengths = self.sample(lengths, witness, 5 * self.servers)
            self.each(self.witnessed, [(witness, position, length) for length in lengths])
        lengths = self.strided(SEGMENT_HEADER, self.log.last.end, "clean stop")
        self.each(self.clean_stop, [(n,) for n in self.sample(lengths, "clean stop", 2 * self.servers)])

    # --- flipped bytes of the log ---

    def flipped(self, segment, offset, mask):
        with self.case(f"{segment.name} offset {offset} ^ {mask:#04x}") as folder:
            path = os.path.join(folder, "log", segment.name)
            self.original.killed.lay(folder)
            flip(path, offset, mask)
            if segment.is_padding(offset):
                self.check_padding(folder, segment, offset)
                return
            self.check_verify(folder, segment, offset)
            self.refused(folder, self.refusal("corrupt frame in sealed segment ", segment, offset))
            for name in WITNESSES:
                shutil.rmtree(os.path.join(folder, name))
            self.check_without_witness(folder, segment, offset)
        self.count("flips of the log")

    def check_padding(self, folder, segment, offset):
        """What the chain proves is there, and only the verdict is another."""
        self.check_dump(folder, len(self.log.lines))
        done = talead("verify", folder)
        assert done.returncode == 1, f"verify says {done.stdout}"
        assert re.search(rf"damaged: \S*{segment.name} at offset {offset}: ", done.stdout), f"verify says {done.stdout}"
        self.count("flips of padding")

    @staticmethod
    def place(segment, offset):
        """Where the damaged thing begins."""
        n = segment.batch_at(offset)
        return 0 if n is None else segment.batches[n][0]

    def refusal(self, words, segment, offset):
        """What a message must say."""
        return rf"{words}\S*{segment.name} at offset {self.place(segment, offset)}\b"

    def check_verify(self, folder, segment, offset):
        done = talead("verify", folder)
        assert done.returncode == 1, f"verify says {done.stdout}"
        assert re.search(self.refusal("damaged: ", segment, offset), done.stdout), f"verify says {done.stdout}"

    def check_without_witness(self, folder, segment, offset):
        """The very last batch cannot be told from one that was torn; all else can."""
        events = self.log.events_before(segment, self.place(segment, offset))
        if segment is self.log.last and segment.batch_at(offset) == len(segment.batches) - 1:
            with open(os.path.join(folder, "log", segment.name), "rb") as f:
                self.check_prefix(folder, f.read())
            self.count("cut")
            return
        done = talead("dump", folder)
        assert done.returncode == 1 and re.search(self.refusal("damaged: ", segment, offset), done.stderr), done.stderr
        assert done.stdout.splitlines() == self.log.lines[:events], "dump shows other events than those before"
        before = log_bytes(folder)
        done = talead("reindex", folder)
        words = self.refusal("corrupt frame in sealed segment ", segment, offset)
        assert done.returncode == 1 and re.search(words, done.stderr), done.stderr
        assert log_bytes(folder) == before, "refused, and changed the log"
        self.count("refused")

    def flips(self):
        items = []
        for segment in self.log.segments:
            for offset in self.strided(0, segment.end, segment.name):
                items.append((segment, offset, 1 << self.rng(segment.name, offset).randrange(8)))
        self.each(self.flipped, items)
        self.flips_while_served()

    # --- flipped bytes of the log while it is served ---

    def flips_while_served(self):
        with self.case("flips while it is served") as folder:
            self.original.killed.lay(folder)
            with self.serving(folder) as ledger:
                ledger.start()
                for n in self.sample(range(len(self.original.answers)), "served flips", 4 * self.servers):
                    self.flip_while_served(ledger, self.original.answers[n]["tx_id"], n)
                assert picture(ledger, self.original.counts, self.original.answers) == self.original.picture

    def flip_while_served(self, ledger, tx_id, n):
        octets = bytes.fromhex(tx_id.replace("-", ""))
        segment = next(s for s in self.log.segments if octets in s.data)
        at = segment.data.index(octets)
        offset = at + self.rng("served", n).randrange(-12, 60)
        path = os.path.join(ledger.dir, "log", segment.name)
        mask = 1 << n % 8
        flip(path, offset, mask)
        body = self.original.bodies[n]
        answer = ledger.request("GET", "/v1/transactions/" + quote(tx_id))
        truth = self.true_view(ledger, path, offset, mask, tx_id)
        assert answer.status == 500 or (answer.status == 200 and answer.json == truth), \
            f"{segment.name} offset {offset}: {body['idempotency_key']} is shown as {answer.text}"
        self.check_stream(ledger, body["book"], self.original.answers[n]["seq"], path, offset, mask)
        self.count("served flips")
        self.count(f"answered {answer.status}")

    def true_view(self, ledger, path, offset, mask, tx_id):
        """The byte is as it was for this one read."""
        flip(path, offset, mask)
        truth = ledger.get("/v1/transactions/" + quote(tx_id))
        flip(path, offset, mask)
        return truth

    def check_stream(self, ledger, book, seq, path, offset, mask):
        """Event or none: never a changed one."""
        try:
            with ledger.stream(book, f"?from={seq - 1}") as stream:
                event = stream.next(wait_s=0.05) if stream.status == 200 else None
        except (OSError, EOFError):
            event = None
        flip(path, offset, mask)
        assert event in (None, self.original.picture[book, "events"][seq - 1]), f"offset {offset}: streamed as {event}"

    # --- index, snapshots, spilled keys ---

    def rebuilt(self, what, state, damage, only=("log", *WITNESSES)):
        """On damaged derived files all is shown as it was, every key is known, and the arbiter dies once at the most."""
        with self.case(what) as folder:
            state.lay(folder, only)
            damage(folder)
            with self.serving(folder) as ledger:
                ledger.start()
                self.check_served(ledger)
                deaths = len(DEATHS.findall(ledger.stderr_text()))
                assert deaths <= 1, f"the arbiter died {deaths} times"
                check_deaths(DEATHS.sub("", ledger.stderr_text()), OWN_DEATHS)
                ledger.stop()
                ledger.verify()
                if "thrown away" in ledger.stderr_text() or "passed over" in ledger.stderr_text():
                    self.count("thrown away")
                self.counts["arbiters that died of it"] += deaths
        self.count("derived files")

    def check_served(self, ledger):
        o = self.original
        assert picture(ledger, o.counts, o.answers) == o.picture, "other events or sums than before"
        more = [sale(BOOKS[n % 2], f"more{n}") for n in range(10)]
        assert ledger.post_batch(o.bodies) == o.replays, "a key is answered otherwise than before"
        new = ledger.post_batch(more)
        died = DEATHS.search(ledger.stderr_text())  # perhaps before it answered these, which were posted again then
        assert died or not any(slot["deduplicated"] for slot in new), "a new key is taken for a known one"
        for book in BOOKS:
            count = o.counts[book] + 5
            ledger.check_sums(book, read_events(ledger, book, 0, count))
        again = ledger.post_batch(o.bodies + more)
        assert again == o.replays + [{**slot, "deduplicated": True} for slot in new], "a key is answered otherwise later"

    def flip_derived(self, n, state_name, name, only):
        state = getattr(self.original, state_name)
        rng = self.rng("derived", state_name, name, n)
        data = state.bytes(name)
        offset = self.telling_offset(data, rng)
        mask = 1 << rng.randrange(8)
        self.rebuilt(f"{name} ({state_name}) offset {offset} ^ {mask:#04x}", state,
                     lambda folder: flip(os.path.join(folder, name), offset, mask), only)

    @staticmethod
    def telling_offset(data, rng):
        """Most of these files is empty room: mostly bytes that say something."""
        used = len(data.rstrip(b"\0"))
        for _ in range(200 if rng.random() < 0.9 else 1):
            offset = rng.randrange(used)
            if data[offset]:
                break
        return offset

    def flip_state(self, state_name, offset):
        """It is text without a CRC."""
        mask = 1 << self.rng("STATE", state_name, offset).randrange(8)
        self.rebuilt(f"index/STATE ({state_name}) offset {offset} ^ {mask:#04x}", getattr(self.original, state_name),
                     lambda folder: flip(os.path.join(folder, "index/STATE"), offset, mask))

    def derived_flips(self):
        everything = ("log", *WITNESSES)
        killed, clean = ([name for name in state.under("snapshots") if name.endswith(".mdb")]
                         for state in (self.original.killed, self.original.clean))
        targets = [("clean", "index/data.mdb", everything), ("killed", "idempotency/data.mdb", everything),
                   ("clean", "idempotency/data.mdb", ("log", "idempotency")),
                   ("clean", "idempotency/STATE", everything),
                   ("killed", killed[-1], ("log", "snapshots")), ("clean", clean[0], ("log", "snapshots"))]
        weight = {"idempotency/data.mdb": 3}
        self.each(self.flip_derived, [(n, *target) for target in targets
                                      for n in range(self.servers * weight.get(target[1], 1))])
        for state_name in ("clean", "killed"):
            size = len(getattr(self.original, state_name).contents["index/STATE"][0])
            offsets = self.sample(range(size), state_name, 2 * self.servers)
            self.each(self.flip_state, [(state_name, offset) for offset in offsets])

    def noticed(self, name, offset, words, arguments):
        """verify looks at the same bytes, and takes less time than a server."""
        with self.case(f"{name} offset {offset}, verified") as folder:
            self.original.clean.lay(folder)
            flip(os.path.join(folder, name), offset, 1 << self.rng(name, offset).randrange(8))
            done = talead("verify", folder, *arguments(folder))
            assert re.search(words, done.stdout), f"verify says {done.stdout}"
        self.count("verified flips")

    def noticed_flips(self):
        """Each byte that says something, and now and then one of the room between them."""
        newest = self.original.clean.under("snapshots")[-1]
        sealed = "the index was not looked at: its bytes are not those of its clean stop"
        items = [("index/data.mdb", sealed, lambda folder: ()),
                 (newest, "damaged|cannot be used", lambda folder: ("--from", os.path.join(folder, newest)))]
        for name, words, arguments in items:
            data = self.original.clean.bytes(name)[:len(self.original.clean.contents[name][0])]
            telling = [n for n, octet in enumerate(data) if octet or n % 16 == 0]
            first = self.rng(name).randrange(2 * self.stride)
            self.each(self.noticed, [(name, n, words, arguments) for n in telling[first::2 * self.stride]])

    # --- files that are gone, cut, foreign or old ---

    def replacements(self, name, state):
        """(what, damage) for one file."""
        size = len(state.contents[name][0])

        def cut(length):
            return lambda folder: os.truncate(os.path.join(folder, name), length)

        def put(files):
            source = name if name in files.contents else files.under(name.split("/")[0])[0]
            return lambda folder: files.lay_file(source, os.path.join(folder, name))

        def garbage(folder):
            with open(os.path.join(folder, name), "wb") as f:
                f.write(self.rng("garbage", name).randbytes(size))

        return [("missing", lambda folder: os.unlink(os.path.join(folder, name))),
                ("empty", cut(0)), ("half", cut(size // 2)), ("a page only", cut(4096)), ("garbage", garbage), ("another ledger's", put(self.foreign.clean)),
                ("another ledger's, killed", put(self.foreign.killed)), ("of before", put(self.original.older))]

    def replaced_folder(self, name, files):
        def replace(folder):
            shutil.rmtree(os.path.join(folder, name))
            files.lay(folder, (name,))
        return replace

    def replaced_files(self, state_name):
        """Each file in each way; a snapshot also where it is needed."""
        state = getattr(self.original, state_name)
        for name in (name for name in state.contents if name.split("/")[0] in WITNESSES):
            needed = [("log", *WITNESSES)] + [("log", "snapshots", "idempotency")] * name.startswith("snapshots/")
            for only in needed:
                for what, damage in self.replacements(name, state):
                    yield f"{name} ({state_name}) {what}, of {' '.join(only)}", state, damage, only

    def replaced_folders(self, state_name):
        state = getattr(self.original, state_name)
        for name in WITNESSES:
            for what, files in (("of before", self.original.older), ("another ledger's", self.foreign.clean)):
                yield f"{name}/ ({state_name}) {what}", state, self.replaced_folder(name, files)

    def replaced(self):
        items = []
        for state_name in ("clean", "killed"):
            items += [*self.replaced_files(state_name), *self.replaced_folders(state_name)]
        self.each(self.rebuilt, self.sample(items, "replaced", 6 * self.servers))

    def newer_than_log(self, name):
        """The log of a backup, and beside it what saw more."""
        with self.case(f"{name} newer than the log") as folder:
            self.original.older.lay(folder, ("log",))
            self.original.clean.lay(folder, (name,))
            self.refused(folder, f"but the (clean stop|{WITNESS_NAMES[name]}) has witnessed")
        self.count("derived files")

    def derived(self):
        self.derived_flips()
        self.noticed_flips()
        self.replaced()
        self.each(self.newer_than_log, [(name,) for name in WITNESSES])

    # --- all of it ---

    def prove(self):
        begun = time.monotonic()
        for part in self.only or ("prefixes", "witnesses", "flips", "derived"):
            getattr(self, part)()
        return f"files: {self.figures()}, 0 served wrong, {time.monotonic() - begun:.0f} s, seed {self.seed}"

    def figures(self):
        c = self.counts
        return (f"{c['prefixes']:,} prefixes, {c['torn tails']:,} torn tails, {c['refused prefixes']:,} prefixes refused by "
                f"a witness, {c['flips of the log']:,} flips of the log ({c['refused']:,} refused, {c['cut']:,} cut), "
                f"{c['flips of padding']:,} of padding, {c['served flips']:,} while served ({c['answered 500']:,} answered "
                f"500), {c['derived files']:,} damaged derived files ({c['thrown away']:,} thrown away, "
                f"{c['arbiters that died of it']:,} arbiters died of it), {c['verified flips']:,} more flips noticed")


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stride", type=int, default=211, help="of the bytes one in so many (%(default)s); 1: each")
    parser.add_argument("--servers", type=int, default=4, help="that are started for each kind of damage (%(default)s)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="printed at the end")
    parser.add_argument("--only", action="append", choices=["prefixes", "witnesses", "flips", "derived"],
                        help="this part; may be given again (all)")
    return parser.parse_args()


def main():
    use_memory()
    files = Files(read_arguments())
    return run("files", files.seed, files.prove, lambda: files.kept)


if __name__ == "__main__":
    sys.exit(main())
