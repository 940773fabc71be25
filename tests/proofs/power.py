#!/usr/bin/env python3
"""The plug is pulled under load: ext4 and xfs on a loop device, shut down by ioctl, unmounted, mounted, served again.

The boot id does not change here, so talead is given another one each time; with --keep-boot-id it is not, and then this
must find something: an index that is trusted after a crash.
"""
import os
import random
import signal
import sys
import threading
import time
import uuid

from crash_load import (BOOKS, FREQUENT, Ledger, Load, Record, arguments, check, check_deaths, process_state, run,
                        start_measured)
from crashable_disk import Disk, has_dirty_pages, why_not, write_back_some
from harness import wait_until

SHUTDOWNS_OF_A_DISK = 8
FREEZE_TRIES = 150
SKIPPED = 77


class WriteBack:
    """Writes dirty pages back here and there while it lives."""

    def __init__(self, folder, rng):
        self.folder, self.rng = folder, random.Random(rng.random())
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping.wait(self.rng.random() * 0.1):
            write_back_some(self.folder, self.rng)

    def stop(self):
        self.stopping.set()
        self.thread.join()


class Power:
    def __init__(self, args, kinds):
        self.rounds, self.seed, self.keep_boot_id, self.kinds = args.rounds, args.seed, args.keep_boot_id, kinds
        self.rng = random.Random(args.seed)
        self.disk = self.ledger = self.record = None
        self.disks = 0
        self.begun = 0  # what talead said before this offset it said before the last start
        self.acknowledged = self.torn = self.rebuilt = 0
        self.longest = 0.0

    # --- disks and machines ---

    def new_boot(self):
        if not self.keep_boot_id:
            self.ledger.env["TALEA_TEST_BOOT_ID"] = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def begin_disk(self):
        self.disk = Disk(self.kinds[self.disks % len(self.kinds)])
        self.disks += 1
        self.disk.make()
        self.ledger = Ledger(directory=os.path.join(self.disk.point, "ledger"), **FREQUENT)
        # A mapped page of a file system that was shut down is a SIGBUS: no finding, whatever a sanitizer thinks of it.
        self.ledger.env["ASAN_OPTIONS"] = "handle_sigbus=0"
        self.record = Record(self.ledger)
        self.new_boot()

    def end_disk(self):
        self.kill()
        self.acknowledged += len(self.ledger.acknowledged)
        text = self.ledger.stderr_text()
        self.torn += text.count("torn tail in")
        self.rebuilt += text.count("is thrown away")
        self.disk.close()
        self.ledger.close()
        self.disk = self.ledger = None

    def kill(self):
        if not self.ledger.is_up():
            return
        self.ledger.kill9()

    def signal(self, pids, number):
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        if number == signal.SIGSTOP:
            wait_until(lambda: all(process_state(pid) in "TZX" for pid in pids), "all processes to stand still")

    def freeze(self):
        """All stand still, if it can be had between a write and its sync; then the kernel writes some of it."""
        folder = os.path.join(self.ledger.dir, self.rng.choice(["log", "log", "log", "idempotency", "snapshots"]))
        arbiter = [pid for pid in [self.ledger.arbiter_pid()] if pid]
        for _ in range(FREEZE_TRIES if arbiter else 0):
            self.signal(arbiter, signal.SIGSTOP)
            if has_dirty_pages(folder) is not False:
                break
            self.signal(arbiter, signal.SIGCONT)
            time.sleep(self.rng.random() * 0.002)
        self.signal(self.ledger.all_pids(), signal.SIGSTOP)
        if self.rng.random() < 0.8:
            write_back_some(self.ledger.dir, self.rng)

    def crash(self):
        """The file system forgets, talead dies, the machine comes up again."""
        if self.rng.random() < 0.5:
            self.freeze()
        self.said = self.ledger.stderr_text()[self.begun:]
        self.record.begin_crash()
        self.disk.pull_plug()
        time.sleep(self.rng.random() * 0.02)
        self.kill()

    def come_up(self):
        self.disk.unmount()
        self.disk.mount()
        self.new_boot()
        self.begun = len(self.ledger.stderr_text())

    # --- rounds ---

    def start(self):
        """Some starts are crashed too, wherever they happen to be."""
        while self.rng.random() < 0.3:
            self.ledger.spawn()
            time.sleep(self.rng.random() * 0.1)
            self.crash()
            self.come_up()
        self.longest = max(self.longest, start_measured(self.ledger, time.monotonic()))

    def round(self, n):
        load = Load(self.record, f"p{n}", self.seed)
        write_back = WriteBack(self.ledger.dir, self.rng)
        time.sleep(0.05 + self.rng.random() * 0.6)
        write_back.stop()
        self.crash()
        load.stop()
        check_deaths(self.said, allowed=())
        self.come_up()
        self.start()
        check(self.record, self.rng, replays=2000)

    def prove(self):
        shutdowns = max(1, min(SHUTDOWNS_OF_A_DISK, self.rounds // len(self.kinds)))
        for n in range(1, self.rounds + 1):
            if self.disk is None:
                self.begin_disk()
                self.start()
                self.ledger.set_up(*BOOKS)
            self.round(n)
            if n % shutdowns == 0:
                self.end_disk()
        if self.disk:
            self.end_disk()
        return (f"power: {self.rounds} rounds on {' and '.join(self.kinds)}, {self.acknowledged} acknowledged, 0 lost, "
                f"{self.torn} torn tails cut, {self.rebuilt} indexes rebuilt, longest restart {self.longest:.2f} s, "
                f"seed {self.seed}")

    def kept(self):
        return f"{self.disk.image} ({self.disk.kind}), {self.ledger.home}" if self.disk else None


def add_options(parser):
    parser.add_argument("--keep-boot-id", action="store_true", help="pretend that the machine did not go down; must fail")
    parser.add_argument("--filesystem", choices=["ext4", "xfs"], help="this one only (all that are possible)")


def main():
    args = arguments(__doc__, rounds=6, add=add_options)
    wanted = [args.filesystem] if args.filesystem else ["ext4", "xfs"]
    reasons = {kind: why_not(kind) for kind in wanted}
    kinds = [kind for kind in wanted if not reasons[kind]]
    if not kinds:
        print("power: skipped: " + "; ".join(reasons.values()))
        return SKIPPED
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    power = Power(args, kinds)
    status = None
    try:
        status = run("power", args.seed, power.prove, power.kept)
    finally:
        if power.disk:
            power.kill()
            power.disk.close(keep=status == 1)
    return status


if __name__ == "__main__":
    sys.exit(main())
