#!/usr/bin/env python3
"""Each system call of the commit path fails, the first, the tenth and every n-th time, and a disk gets full.

strace(1) makes the calls fail, in a running arbiter and its successors, while talead starts, while it makes a ledger
and while it stops; what it saw of them is read back. Afterwards nothing that was acknowledged is lost, nothing was
acknowledged before the sync of its batch had returned, an arbiter whose log failed left with its own status and
touched the log no more, somebody said what was wrong, no request waited for long, and posting went on by itself.
"""
import os
import random
import re
import signal
import sys
import time

import full_disk
from crash_load import (BOOKS, FREQUENT, Ledger, Load, Record, arguments, check, run, start_measured)
from harness import PATIENCE_S, credit, debit, draft, is_running, sale, wait_until
from step_order import Steps, answered_too_early, final_failures, inside, log_file, went_on
from system_calls import Attached, Injection, Trace, has_fired, under, why_not

SKIPPED = 77
RUNS_OF_A_LEDGER = 12
FULL_ROUNDS_OF_A_DISK = 3
ANSWER_S = 20  # no request waits longer
GOES_ON_S = 20  # a fault that is over is over for the posts after this
STARTS_S = 1.5  # a start that met a fault has come up or given up by then, or tries again and again
COMMIT_FAILED = 5
MAP_BYTES = 16 << 20  # of an index that has not grown
SYNC_DELAY_US = 5000

ERRORS = ["error=EIO", "error=ENOSPC", "error=EINTR"]
CALLS = {
    "pwritev": ERRORS + ["retval=100"],  # a short write
    "pwrite64": ERRORS + ["retval=0"],
    "write": ERRORS[:2] + ["retval=0"],
    "fdatasync": ERRORS,
    "fsync": ERRORS,
    "fallocate": ERRORS,
    "/^rename": ERRORS,
    "openat": ERRORS,
    "ftruncate": ERRORS,
    "mmap": ERRORS,
}
STOPPING = ["pwritev", "pwrite64", "fdatasync", "fsync", "/^rename", "openat", "msync"]
TIMES = ["1", "10", "3+3"]
GROWING = ("fallocate", "ftruncate", "mmap")  # made when the index's file must grow
SELDOM = ("fallocate", "mmap", "write")  # the tenth is not met in a moment
# ENOSPC of a sync, or past a segment's seal, is no full disk that can be waited for, and is called what EIO is called.
SAYS = {"EIO": "Input/output error", "EINTR": "",
        "ENOSPC": "No space left on device|Input/output error|" + full_disk.NO_SPACE}
WORD_S = 0.2  # whoever is killed within this after an error may not have said it yet


class PatientLedger(Ledger):
    """Notes how long the answers took."""

    slowest = 0.0

    def request(self, *arguments, **more):
        begin = time.monotonic()
        try:
            return super().request(*arguments, **more)
        finally:
            self.slowest = max(self.slowest, time.monotonic() - begin)


class TimedRecord(Record):
    """Notes when each post of the newest load was acknowledged."""

    def __init__(self, ledger):
        super().__init__(ledger)
        self.answered = {}

    def note_posted(self, body, posted):
        self.answered.setdefault(body["idempotency_key"], time.time())
        super().note_posted(body, posted)


def some(found):
    return "; ".join(list(dict.fromkeys(found))[:3])


def wide_post(key, postings):
    half = postings // 2
    return draft(BOOKS[0], key, *[debit("cash", 1)] * half, *[credit("sales", 1)] * half)


class Faults:
    def __init__(self, args):
        self.rounds, self.seed, self.full = args.rounds, args.seed, args.matrix == "full"
        self.rng = random.Random(args.seed)
        self.ledger = self.record = self.disk = None
        self.said = self.count = self.runs_of_ledger = 0
        self.acknowledged = self.filled = 0
        self.fired = {}  # call and error -> calls that were made to fail
        self.longest = 0.0
        self.doing = "nothing yet"
        self.killed_at = 0.0
        self.serving = None  # pid of the arbiter that was serving when its calls began to fail

    # --- ledgers ---

    def new_ledger(self):
        self.ledger = PatientLedger(**FREQUENT)
        self.ledger.env["ASAN_OPTIONS"] = "detect_leaks=0"  # a traced process cannot look for leaks
        self.record = TimedRecord(self.ledger)
        self.runs_of_ledger = 0

    def begin_ledger(self):
        if self.ledger is None:
            self.new_ledger()
            self.ledger.start()
            self.ledger.set_up(*BOOKS)

    def end_ledger(self):
        if self.ledger is None:
            return
        self.acknowledged += len(self.ledger.acknowledged)
        self.ledger.stop()
        self.ledger.verify()
        self.ledger.close()
        self.ledger = None

    def kill_everything(self):
        self.killed_at = time.time()
        self.ledger.kill9()

    # --- what was seen ---

    @property
    def trace_file(self):
        return os.path.join(self.ledger.home, "trace")

    def text(self):
        """What talead said in this run."""
        return self.ledger.stderr_text()[self.said:]

    def judge(self, fault, load=None, traced_until=float("inf")):
        trace = Trace(self.trace_file)
        injected = trace.injected()
        kind = (fault.call, fault.how)
        self.fired[kind] = self.fired.get(kind, 0) + len(injected)
        found = went_on(trace.calls)
        if load and not fault.only:
            answered = {key: at for key, at in self.record.answered.items()
                        if key.startswith(load.name + "-") and at < traced_until}
            found += answered_too_early(trace.calls, re.escape(load.name) + r"-\d+-\d+(?:-\d+)?", answered)
        assert not found, some(found)
        self.judge_words(injected)
        self.judge_deaths(trace)
        assert self.ledger.slowest < ANSWER_S, f"a request waited {self.ledger.slowest:.1f} s"
        os.unlink(self.trace_file)

    def judge_words(self, injected):
        """Whoever met an error said which."""
        met = {}
        for call in injected:
            if self.must_be_said(call):
                met.setdefault(SAYS[call.error or "ENOSPC"], call)  # a short write is called either
        for words, call in met.items():
            try:
                wait_until(lambda: self.is_said(words), f"a line with {words}", 5)
            except AssertionError as error:
                raise AssertionError(f"{call}, and nobody said so:\n{self.text()}") from error

    def must_be_said(self, call):
        """An unreadable STATE has words of its own, and a spill that fails tells the next commit, if there is one.

        Nothing is said when there is no space to write ahead: a post that needs it will be refused, and then it is.
        """
        if not call.paths or not inside(call.paths[-1], self.ledger.dir) or call.path.endswith("/STATE"):
            return False
        if call.error == "ENOSPC" and call.name in ("pwrite64", "openat") and log_file(call.path):
            return False
        return self.ledger.is_up() or (call.end < self.killed_at - WORD_S and "/idempotency/" not in call.path)

    def is_said(self, words):
        if self.ledger.is_up():
            self.ledger.post(sale(BOOKS[0], f"over-{self.count}"))
        return re.search(words, self.text()) is not None

    def judge_deaths(self, trace):
        text = self.text()
        killed = re.findall(r"^.* was killed by signal .*$", text, re.MULTILINE)
        assert not killed, f"processes died of it: {killed}"
        for pid, call in final_failures(trace.calls).items():
            status = re.search(rf"arbiter {pid} .*\(status (\d+)\)", text)
            recovered = re.search(rf"arbiter\[{pid}\]: recovered", text) or pid == self.serving
            if status and recovered:
                assert int(status[1]) == COMMIT_FAILED, f"{call}, and arbiter {pid} left with status {status[1]}"
            assert status or pid != self.serving, f"{call}, and the serving arbiter {pid} did not leave:\n{text}"

    def start_and_check(self):
        """The fault is over."""
        self.ledger.under = []
        self.longest = max(self.longest, start_measured(self.ledger, time.monotonic()))
        check(self.record, self.rng, full=self.runs_of_ledger % RUNS_OF_A_LEDGER == 0)

    # --- one fault ---

    def serving_run(self, fault):
        """In the arbiter that serves, and in those that follow it."""
        self.begin_ledger()
        self.serving = self.ledger.arbiter_pid()
        strace = Attached([self.ledger.pid, self.serving], fault.options(self.trace_file))
        load = Load(self.record, f"f{self.count}", self.seed)
        try:
            if fault.call in GROWING:
                self.grow_index(load)
            deadline = time.monotonic() + 0.6
            wait_until(lambda: has_fired(self.trace_file) or time.monotonic() > deadline, "the fault")
            time.sleep(0.05 + self.rng.random() * 0.2)
            traced_until = time.time()
        finally:
            self.detach(strace)
        self.await_posting()
        load.stop()
        self.judge(fault, load, traced_until)
        self.kill_everything()
        if os.path.getsize(os.path.join(self.ledger.dir, "index", "data.mdb")) > MAP_BYTES:
            self.ledger.remove("index")  # the next one can grow again
        self.start_and_check()

    def detach(self, strace):
        """The fault is over. A strace that is killed leaves those stopped that it was about to let go."""
        if strace.detach():
            return
        for pid in self.ledger.all_pids():
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass

    def grow_index(self, load):
        """A post of so many rows that the index's file must grow for it."""
        size = os.path.getsize(os.path.join(self.ledger.dir, "index", "data.mdb"))
        load.post(wide_post(f"{load.name}-0-0", size // 20000), self.rng)

    def await_posting(self):
        begin = time.monotonic()
        assert self.ledger.is_up(), f"talead ended:\n{self.text()}"
        self.ledger.post(sale(BOOKS[0], f"over-{self.count}"))
        took = time.monotonic() - begin
        assert took < GOES_ON_S, f"the fault was over, and posting went on after {took:.1f} s only"

    def start_under(self, fault):
        """talead started with the fault; what came of it, and all is killed."""
        self.serving = None
        self.ledger.under = under(fault.options(self.trace_file))
        self.ledger.spawn()
        tracer = self.find_tracer()
        deadline = time.monotonic() + STARTS_S
        wait_until(lambda: self.is_decided() or time.monotonic() > deadline, "the start")
        time.sleep(self.rng.random() * 0.2)
        process = self.ledger.process
        self.kill_everything()
        wait_until(lambda: not is_running(tracer), "strace to leave")
        ended = process.returncode
        assert ended in (-9, 1, 127), f"a start that met {fault} ended with {ended}:\n{self.text()}"
        assert ended == -9 or self.text().strip(), f"a start that met {fault} ended without a word"

    def find_tracer(self):
        def look():
            try:
                with open(f"/proc/{self.ledger.pid}/status") as f:
                    return int(re.search(r"TracerPid:\t(\d+)", f.read())[1]) or not is_running(self.ledger.pid)
            except OSError:
                return True
        pid = wait_until(look, "strace to trace")
        return pid if pid is not True else 0

    def is_decided(self):
        if self.ledger.process.poll() is not None:
            return True
        try:
            return self.ledger.request("GET", "/health").status == 200
        except OSError:
            return False

    def starting_run(self, fault):
        self.begin_ledger()
        self.kill_everything()
        load = Load(self.record, f"f{self.count}", self.seed)
        try:
            self.start_under(fault)
        finally:
            load.stopping.set()
        load.stop()
        self.judge(fault, load)
        self.start_and_check()

    def creating_run(self, fault):
        """While the ledger is made: whatever is there of it, the next start goes on from there."""
        self.start_under(fault)
        self.judge(fault)
        self.ledger.under = []
        self.ledger.start()
        self.ledger.set_up(*BOOKS)
        check(self.record, self.rng)

    def stopping_run(self, fault):
        self.begin_ledger()
        self.serving = None
        strace = Attached([self.ledger.pid, self.ledger.arbiter_pid()], fault.options(self.trace_file))
        try:
            self.ledger.process.send_signal(signal.SIGTERM)
            status = self.ledger.process.wait(PATIENCE_S)
            self.killed_at = float("inf")  # it ended by itself, so it had the time to say what it met
        finally:
            self.detach(strace)
        assert status in (0, 1), f"a stop that met {fault} ended with {status}:\n{self.text()}"
        self.judge(fault)
        self.start_and_check()

    def paths(self, *names):
        """Paths that strace is to look at alone: one name serves every process there."""
        return [os.path.join(self.ledger.dir if self.ledger else "", name) for name in names]

    def narrow(self, call, mode):
        """Calls that also others make, on other files: the loader, the allocator, whoever writes lines."""
        if call == "write":
            return self.paths("snapshots/snapshot.new")
        if call == "mmap":
            return self.paths("index/data.mdb", "idempotency/data.mdb")
        if call == "openat" and mode in ("start", "create"):
            return self.paths("", "LOCK", "log", "log/segment.next", "index", "index/STATE.new", "index/data.mdb",
                              "index/lock.mdb", "idempotency/data.mdb", "idempotency/lock.mdb", "snapshots")
        return ()

    def one(self, mode, call, how, when):
        self.count += 1
        self.runs_of_ledger += 1
        if mode == "create":
            self.end_ledger()
            self.new_ledger()
        else:
            self.begin_ledger()
        fault = Injection(call, how, when, self.narrow(call, mode))
        self.doing = f"{mode}, {fault}"
        self.said = len(self.ledger.stderr_text())
        self.ledger.slowest = 0.0
        self.record.answered.clear()
        {"serve": self.serving_run, "start": self.starting_run, "create": self.creating_run,
         "stop": self.stopping_run}[mode](fault)
        if self.runs_of_ledger >= RUNS_OF_A_LEDGER:
            self.end_ledger()

    # --- which ---

    def matrix(self):
        """(mode, call, error, when); the short form draws one of each, and those that no batch can slip by."""
        if self.full:
            runs = [("serve", call, how, when) for call in CALLS for how in CALLS[call] for when in TIMES]
            runs += [(mode, call, how, str(self.rng.randrange(1, 8))) for mode in ("start", "create")
                     for call in CALLS for how in CALLS[call]]
            runs += [("stop", call, how, when) for call in STOPPING for how in ERRORS[:2] for when in ("1", "2")]
            return runs
        runs = [("serve", call, self.rng.choice(CALLS[call]), "1" if call in SELDOM else self.rng.choice(TIMES))
                for call in CALLS]
        runs += [("serve", call, self.rng.choice(CALLS[call]), TIMES[-1]) for call in ("pwritev", "fdatasync")]
        for mode in ("start", "start", "create"):
            call = self.rng.choice(list(CALLS))
            runs.append((mode, call, self.rng.choice(CALLS[call]), str(self.rng.randrange(1, 8))))
        return runs + [("stop", self.rng.choice(STOPPING), self.rng.choice(ERRORS[:2]), "1")]

    def random_run(self):
        mode = self.rng.choice(["serve"] * 4 + ["start"] * 3 + ["create", "stop"])
        call = self.rng.choice(STOPPING if mode == "stop" else list(CALLS))
        first = self.rng.randrange(1, 30)
        when = self.rng.choice([f"{first}", f"{first}+{self.rng.randrange(2, 9)}"])
        return mode, call, self.rng.choice(CALLS.get(call, ERRORS)), when

    # --- the order of steps ---

    def order(self):
        """A ledger from its first folder to its clean stop, with rotation, snapshots, spills, and slow syncs."""
        self.end_ledger()
        self.new_ledger()
        self.doing = "the order of steps"
        slow = Injection("fdatasync", f"delay_enter={SYNC_DELAY_US}", "1+1")
        self.ledger.under = under(slow.options(self.trace_file))
        self.ledger.start()
        tracer = self.find_tracer()
        self.ledger.set_up(*BOOKS)
        load = Load(self.record, "order", self.seed)
        wait_until(self.has_seen_all, "new segments, a snapshot and a spill")
        load.stop()
        self.ledger.stop()
        wait_until(lambda: not is_running(tracer), "strace to leave")
        calls = Trace(self.trace_file).calls
        found = Steps(self.ledger.dir).follow(calls)
        found += answered_too_early(calls, r"order-\d+-\d+(?:-\d+)?", self.record.answered)
        assert not found, some(found)
        self.judge_coverage(calls)
        os.unlink(self.trace_file)
        self.start_and_check()

    def has_seen_all(self):
        folders = {name: os.listdir(os.path.join(self.ledger.dir, name)) for name in ("log", "snapshots")}
        spilled = os.path.getsize(os.path.join(self.ledger.dir, "idempotency", "data.mdb")) > 1 << 16
        return len(self.ledger.segments()) > 3 and spilled and any(n.endswith(".mdb") for n in folders["snapshots"])

    def judge_coverage(self, calls):
        placed = [call.paths[1] for call in calls if call.name.startswith("rename") and call.ok]
        for what in (r"/log/segment-\d+\.log$", r"/snapshots/snapshot-\d+\.mdb$", r"/index/STATE$"):
            seen = any(re.search(what, path) for path in placed)
            assert seen, f"nothing was renamed to {what}: the trace is not whole"

    # --- full disks ---

    def full_disk(self, kind, n):
        """A new one every few rounds: the ledger's own files grow, and must not be what fills it."""
        self.disk = full_disk.FullDisk(kind, self.rng, f"d{kind}{n}")
        self.acknowledged += self.disk.run(FULL_ROUNDS_OF_A_DISK)
        self.disk.close()
        self.disk = None
        self.filled += FULL_ROUNDS_OF_A_DISK + 1

    def full_disks(self):
        kinds = ["tmpfs", "ext4", "xfs"] if self.full else ["tmpfs"]
        for kind in kinds:
            reason = full_disk.reason_against(kind)
            if reason:
                print(f"faults: no full disk of {kind} here: {reason}")
                continue
            self.doing = f"a full disk, {kind}"
            for n in range(3 if self.full else 1):
                self.full_disk(kind, n)

    # --- all of it ---

    def prove(self):
        runs = self.matrix() + [self.random_run() for _ in range(self.rounds)]  # drawn by the seed alone
        self.order()
        for n in runs:
            self.one(*n)
        self.end_ledger()
        self.full_disks()
        idle = [call for call in CALLS if not any(n for (c, _), n in self.fired.items() if c == call)]
        assert not idle or not self.full, f"these calls were never made to fail: {idle}"
        kinds = sum(1 for n in self.fired.values() if n)
        return (f"faults: {self.count} runs ({kinds} calls and errors, {sum(self.fired.values())} calls failed), "
                f"{self.filled} full disks, {self.acknowledged} acknowledged, 0 lost, "
                f"longest restart {self.longest:.2f} s, seed {self.seed}")

    def prove_or_say_where(self):
        try:
            return self.prove()
        except AssertionError as error:
            raise AssertionError(f"{self.doing}: {error}") from error

    def kept(self):
        return self.disk.where() if self.disk else self.ledger and self.ledger.home


def add_options(parser):
    parser.add_argument("--matrix", choices=["short", "full"], default="short", help="(%(default)s)")


def main():
    args = arguments(__doc__.splitlines()[0], rounds=0, add=add_options)
    reason = why_not()
    if reason:
        print(f"faults: skipped: {reason}")
        return SKIPPED
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    faults = Faults(args)
    status = None
    try:
        status = run("faults", args.seed, faults.prove_or_say_where, faults.kept)
    finally:
        if faults.disk:
            faults.disk.close(keep=status == 1)
        elif faults.ledger and faults.ledger.is_up():
            faults.ledger.kill9()
    return status


if __name__ == "__main__":
    sys.exit(main())
