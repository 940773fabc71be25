#!/usr/bin/env python3
"""SIGKILL of everything, of the arbiter, of a worker, of the master, at random times under load.

Afterwards what was acknowledged is there once and identical, what was not known is there once or not at all, and the
index says what the log says.
"""
import os
import random
import signal
import sys
import time

from crash_load import (BOOKS, FREQUENT, Ledger, Load, Record, arguments, check, check_deaths, run, start_measured)
from harness import is_running, wait_until

ROUNDS_OF_A_LEDGER = 25
FULL_CHECK_EVERY = 10
VICTIMS = ["everything"] * 7 + ["arbiter"] * 6 + ["worker"] * 3 + ["master"] * 4


class Kill:
    def __init__(self, rounds, seed):
        self.rounds, self.seed = rounds, seed
        self.rng = random.Random(seed)
        self.ledger = self.record = None
        self.acknowledged = 0
        self.longest = 0.0
        self.kills = {victim: 0 for victim in VICTIMS}

    # --- the ledgers ---

    def begin_ledger(self):
        """Now and then a ledger is killed while it is being made."""
        self.ledger = Ledger(**FREQUENT)
        self.record = Record(self.ledger)
        if self.rng.random() < 0.5:
            self.ledger.spawn()
            time.sleep(self.rng.random() * 0.03)
            self.kill_everything()
        self.ledger.start()
        self.ledger.set_up(*BOOKS)

    def end_ledger(self):
        self.kill_everything()
        self.ledger.start()
        check(self.record, self.rng, replays=10**9)
        self.acknowledged += len(self.ledger.acknowledged)
        self.ledger.stop()
        self.ledger.verify()
        self.ledger.close()
        self.ledger = None

    # --- killing ---

    def kill_everything(self):
        """One after another, in any order, as fast as it goes."""
        pids = self.ledger.all_pids()
        self.rng.shuffle(pids)
        return self.ledger.kill9(pids)

    def kill_master(self):
        pids = self.ledger.all_pids()
        begin = time.monotonic()
        os.kill(self.ledger.pid, signal.SIGKILL)
        self.ledger.process.wait()
        wait_until(lambda: not any(is_running(p) for p in pids), "the children to leave", 10)
        return begin

    def start_again(self, since):
        """Some starts are killed too, wherever they happen to be."""
        while self.rng.random() < 0.3:
            self.ledger.spawn()
            time.sleep(self.rng.random() * 0.06)
            since = self.kill_everything()
        self.longest = max(self.longest, start_measured(self.ledger, since))

    def kill_one(self, pids_of):
        pid = self.rng.choice(wait_until(pids_of, "somebody to kill"))
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_running(pid), "the victim to be gone")

    def strike(self, victim):
        self.kills[victim] += 1
        if victim == "everything":
            self.start_again(self.kill_everything())
        elif victim == "master":
            self.start_again(self.kill_master())
        elif victim == "arbiter":
            self.kill_one(lambda: [p for p in [self.ledger.arbiter_pid()] if p])
        else:
            self.kill_one(self.ledger.worker_pids)

    # --- rounds ---

    def round(self, n):
        load = Load(self.record, f"k{n}", self.seed)
        time.sleep(0.03 + self.rng.random() * 0.2)
        self.strike(self.rng.choice(VICTIMS))
        time.sleep(self.rng.random() * 0.1)
        load.stop()
        check(self.record, self.rng, full=n % FULL_CHECK_EVERY == 0)
        check_deaths(self.ledger.stderr_text())

    def prove(self):
        for n in range(1, self.rounds + 1):
            if self.ledger is None:
                self.begin_ledger()
            self.round(n)
            if n % ROUNDS_OF_A_LEDGER == 0:
                self.end_ledger()
        if self.ledger:
            self.end_ledger()
        kills = ", ".join(f"{n} of {victim}" for victim, n in self.kills.items())
        return (f"kill: {self.rounds} rounds ({kills}), {self.acknowledged} acknowledged, 0 lost, "
                f"longest restart {self.longest:.2f} s, seed {self.seed}")


def main():
    args = arguments(__doc__, rounds=8)
    kill = Kill(args.rounds, args.seed)
    try:
        return run("kill", args.seed, kill.prove, lambda: kill.ledger and kill.ledger.home)
    finally:
        if kill.ledger and kill.ledger.is_up():
            kill.ledger.kill9()


if __name__ == "__main__":
    sys.exit(main())
