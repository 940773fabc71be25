#!/usr/bin/env python3
"""The table of what talea reaches, each figure beside the floor's of the same minute, and the curves.

A rate is a fact of a machine; what it is of the floor's, which does the same without a ledger on the same disk and
cores, says how much talea itself costs. Every target is started fresh for each run, talea and floor by turns, and
the load runs on the same cores. Nothing fails here for being slow: a row says whether its target was met.
"""
import argparse
import contextlib
import os
import platform
import subprocess
import sys
import tempfile

from curves import CURVES, draw
from rows import ROWS
from targets import NO_LIMITS, Bench, Failed, p50, p99, rate

HERE = os.path.dirname(os.path.abspath(__file__))
MARKS = ("<!-- bench: written by make bench -->", "<!-- end of bench -->")
BOOK = "bench-00000"  # the first book of talea-bench


def read_file(path):
    """Its text; empty when it is not there."""
    try:
        with open(path) as f:
            return f.read()
    except FileNotFoundError:
        return ""


class Ledgers(Bench):
    """With two deep ledgers, which are made once: `long` has few accounts with many postings, `wide` many accounts."""

    def __init__(self, arguments, folder):
        super().__init__(arguments.seconds, arguments.runs, arguments.workers, folder)
        self.book = BOOK
        self.long_events, self.wide_events = arguments.long_events, arguments.events
        self.wide_accounts = arguments.accounts
        self.deep_folder = arguments.ledger or os.path.join(folder, "deep")

    @contextlib.contextmanager
    def deep(self, name, events, accounts):
        directory = os.path.join(self.deep_folder, name)
        done = directory + ".filled"
        wanted = f"{events} {accounts}"
        holds = read_file(done)
        if holds and holds != wanted:
            raise Failed(f"{directory} holds other counts, {holds} and not {wanted}: remove it, or ask for these")
        os.makedirs(self.deep_folder, exist_ok=True)
        with self.talead(directory=directory, **NO_LIMITS) as ledger:
            if not holds:
                print(f"filling {directory}: {events} transactions, {accounts} accounts", file=sys.stderr, flush=True)
                self.load(ledger.url, "fill", "--no-verify", connections=32, batch=200, events=events,
                          accounts=accounts)
                # As one has that grew in its time: without it every run here would begin with making one.
                made = ledger.admin("snapshot", timeout=3600)
                if made.returncode != 0:
                    raise Failed(f"no snapshot of {directory}: {made.stderr}")
                with open(done, "w") as f:
                    f.write(wanted)
            yield ledger

    @contextlib.contextmanager
    def long_ledger(self):
        with self.deep("long", self.long_events, 2) as ledger:
            yield ledger, self.long_events

    @contextlib.contextmanager
    def wide_ledger(self):
        with self.deep("wide", self.wide_events, self.wide_accounts) as ledger:
            yield ledger, self.wide_events, self.wide_accounts


# --- what it ran on ---

def first_line(command):
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip().splitlines()[0] if done.returncode == 0 and done.stdout.strip() else "unknown"


def processor():
    with open("/proc/cpuinfo") as f:
        return next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), platform.machine())


def machine(bench):
    return (f"{os.cpu_count()} cores ({processor()}), Linux {platform.release()}, "
            f"{first_line(['stat', '-f', '-c', '%T', bench.folder])}; the load on the same cores.")


def version():
    return first_line(["git", "-C", HERE, "describe", "--always", "--dirty"])


def conditions(bench, disk):
    shares = sorted(bench.load_shares) or [0]
    return (f"{machine(bench)} The disk by itself: {rate(disk):,.0f} syncs of 4 KiB/s, p50 {p50(disk) / 1000:.2f} ms, "
            f"p99 {p99(disk) / 1000:.2f} ms. talea-bench took {shares[len(shares) // 2]:.0%} of a core in the middle "
            f"and {shares[-1]:.0%} at the most. {bench.words().capitalize()}; {bench.workers} workers; {version()}.")


# --- the table ---

def markdown(rows, words):
    lines = ["| what | target | measured | | figures |", "|---|---|---|---|---|"]
    lines += [f"| {r.what} | {r.target} | **{r.measured}** | {'met' if r.met else 'missed'} | {r.figures} |"
              for r in rows]
    return "\n".join([*lines, "", words, ""])


def put_between_marks(path, text):
    with open(path) as f:
        old = f.read()
    if any(old.count(mark) != 1 for mark in MARKS):
        raise Failed(f"{path} needs the lines {MARKS[0]} and {MARKS[1]}, once each")
    before, rest = old.split(MARKS[0])
    new = before + MARKS[0] + "\n" + text + MARKS[1] + rest.split(MARKS[1])[1]
    with open(path + ".new", "w") as f:
        f.write(new)
    os.replace(path + ".new", path)


def measure(bench, only):
    rows = []
    for name in only or ROWS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        for row in ROWS[name](bench):
            print(f"  {row.what}: {row.measured} ({'met' if row.met else 'MISSED'}: {row.target}); {row.figures}",
                  file=sys.stderr, flush=True)
            rows.append(row)
    return rows


def names(known):
    def read(text):
        chosen = [n for n in text.split(",") if n]
        unknown = [n for n in chosen if n not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: known are {', '.join(known)}")
        return chosen
    return read


def read_arguments():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=10, help="of each run")
    options.add_argument("--runs", type=int, default=5, help="of each figure")
    options.add_argument("--workers", type=int, default=os.cpu_count(), help="of talead and of the floor")
    options.add_argument("--only", type=names(ROWS), help=f"rows, with commas, of {', '.join(ROWS)}")
    options.add_argument("--events", type=int, default=25000000, help="transactions of the wide ledger")
    options.add_argument("--accounts", type=int, default=1000000, help="accounts of the wide ledger")
    options.add_argument("--long-events", type=int, default=10000000, help="transactions of the long ledger")
    options.add_argument("--ledger", help="folder where the deep ledgers are, or are made and left")
    options.add_argument("--dir", help="folder for all other files, on the disk to be measured (TMPDIR, or /tmp)")
    options.add_argument("--out", help="file for the table, instead of standard output")
    options.add_argument("--readme", help="file with two marks, between which the table is put")
    options.add_argument("--curves", help="folder for the curves; without it there are none")
    options.add_argument("--curve", type=names(CURVES), default=list(CURVES), help=f"of {', '.join(CURVES)}")
    options.add_argument("--no-table", action="store_true", help="the curves alone")
    return options.parse_args()


def run(arguments, folder):
    bench = Ledgers(arguments, folder)
    disk = bench.disk()
    if not arguments.no_table:
        table = markdown(measure(bench, arguments.only), conditions(bench, disk))
        if arguments.readme:
            put_between_marks(arguments.readme, table)
        with contextlib.ExitStack() as stack:
            print(table, file=stack.enter_context(open(arguments.out, "w")) if arguments.out else sys.stdout)
    if arguments.curves:
        os.makedirs(arguments.curves, exist_ok=True)
        for name in arguments.curve:
            print(f"curve: {name} ...", file=sys.stderr, flush=True)
            draw(bench, arguments.curves, name, f"{machine(bench)} talea {version()}.")


def main():
    arguments = read_arguments()
    if arguments.dir:
        tempfile.tempdir = os.path.abspath(arguments.dir)
    with tempfile.TemporaryDirectory(prefix="talea-bench-") as folder:
        try:
            run(arguments, folder)
        except Failed as failure:
            sys.exit(f"table: {failure}")


if __name__ == "__main__":
    main()
