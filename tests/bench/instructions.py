#!/usr/bin/env python3
"""How many instructions a post, a draft of a batch and a balance cost, in the worker and in the arbiter.

Time on a shared machine says little about a change of some percent; counted work does. talead runs under callgrind
with one worker and one client; what more requests cost, over a run with fewer, is the cost of a request. Nothing
shares a wake-up or a group commit here, so these are the costs of a lone request and no measure of throughput.

The figures are compared with those in instructions.txt for this compiler and C library, and more than ten percent
over them is a failure. `--record` writes what was measured into that file instead, on purpose. Ends with 77, as
skipped, where counting says nothing: no valgrind, a build for debugging or with sanitizers, an unknown compiler.
"""
import argparse
import glob
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

from harness import Ledger, sale  # noqa: E402

RECORD = os.path.join(HERE, "instructions.txt")
SMALL_MAPS = os.path.join(os.environ.get("TALEA_TEST_BUILD") or ".", "tests", "bench", "small_maps.so")
SKIPPED = 77
ALLOWED = 1.10
BATCH = 50
WARM = 40  # requests of each kind in every run: caches filled, buffers grown
HOW_TO_RECORD = "make check-instructions INSTRUCTIONS=--record"
TOO_MANY = f"more than +10 %; if that is meant: {HOW_TO_RECORD}, and the commit says why"


def skip(why):
    print(f"instructions: skipped: {why}")
    sys.exit(SKIPPED)


# --- one run ---

def key(n):
    return f"key-{n:08}"  # of one length, so that every request has one


def post(ledger, n):
    return ledger.request("POST", "/v1/transactions", sale("shop", "post-" + key(n)))


def post_batch(ledger, n):
    return ledger.request("POST", "/v1/transactions/batch",
                          [sale("shop", "batch-" + key(n * BATCH + i)) for i in range(BATCH)])


def read_balance(ledger, n):
    return ledger.request("GET", "/v1/books/shop/accounts/cash/balance")


# What is counted: how one is asked for, how often, for how many units one answer stands, and who works for it.
BOTH = ("worker", "arbiter")
REQUESTS = {
    "post": (post, 400, 1, BOTH),
    "draft of 50": (post_batch, 40, BATCH, BOTH),
    "balance": (read_balance, 400, 1, ("worker",)),
}


def count_of(file):
    """(process, instructions) of what callgrind wrote; a process is known by the function that it never leaves."""
    with open(file, errors="replace") as f:
        text = f.read()
    total = re.search(r"^(?:totals|summary): (\d+)", text, re.M)
    for process in BOTH:
        if total and re.search(rf"^c?fn=\(\d+\) {process}_run\b", text, re.M):
            return process, int(total.group(1))
    return None, 0


def instructions(more=None):
    """What worker and arbiter executed over a whole life, with `more` requests of one kind behind the usual ones."""
    out = tempfile.mkdtemp(prefix="talea-callgrind-")
    ledger = Ledger(workers=1, seccomp="no", hang_timeout_secs=0, log_snapshot_every=0, slow_request_ms=0,
                    slow_commit_ms=0)
    ledger.under = ["valgrind", "--tool=callgrind", "--trace-children=yes", f"--callgrind-out-file={out}/%p"]
    ledger.env["LD_PRELOAD"] = os.path.abspath(SMALL_MAPS)
    try:
        ledger.start()
        ledger.set_up("shop")
        for kind, (ask, count, *_) in REQUESTS.items():
            for n in range(WARM + (count if kind == more else 0)):
                answer = ask(ledger, n)
                assert answer.status == 200 and b'"error"' not in answer.bytes, f"{kind}: {answer.text[:300]}"
        ledger.stop()
        found = dict(count_of(f) for f in glob.glob(out + "/*"))
        assert all(process in found for process in BOTH), f"callgrind tells of {sorted(map(str, found))} alone"
        return found
    finally:
        ledger.close()
        shutil.rmtree(out, ignore_errors=True)


def measure():
    """{(what, process): instructions for one}"""
    base, figures = instructions(), {}
    for kind, (_, count, units, who) in REQUESTS.items():
        found = instructions(more=kind)
        for process in who:
            figures[kind, process] = round((found[process] - base[process]) / (count * units))
    return figures


# --- the record ---

def compiler():
    """Name and major version, and the C library's version: with others the same source is other instructions."""
    command = shlex.split(os.environ.get("TALEA_TEST_CC") or "cc")
    said = subprocess.run(command + ["--version"], capture_output=True, text=True).stdout
    version = re.search(r"\b(\d+)\.\d+", said)
    if not version:
        skip(f"{command[0]} --version tells no version")
    name = "clang" if "clang" in said else "gcc"
    return f"{name}-{version.group(1)}_{'-'.join(platform.libc_ver())}_{platform.machine()}"


def refuse_other_builds():
    flags = (os.environ.get("TALEA_TEST_CFLAGS") or "-O2").split()
    levels = [f for f in flags if f.startswith("-O")]
    if any(f.startswith("-fsanitize") for f in flags):
        skip("this build has sanitizers")
    if levels[-1:] != ["-O2"] or "--coverage" in flags:
        skip(f"this build is not one with -O2: {' '.join(levels) or 'no -O at all'}")
    if os.environ.get("TALEA_TEST_HARDENING", "yes") != "yes":
        skip("this build is without hardening")
    if not shutil.which("valgrind"):
        skip("no valgrind: apt-get install valgrind")


def read_record():
    """{compiler: {(what, process): instructions}}, and the comment on top."""
    with open(RECORD) as f:
        lines = f.read().splitlines()
    record = {}
    for line in lines:
        if line and not line.startswith("#"):
            name, process, count, what = line.split(None, 3)
            record.setdefault(name, {})[what, process] = int(count)
    return record, [line for line in lines if line.startswith("#")]


def write_record(record, comment):
    with open(RECORD, "w") as f:
        f.write("\n".join(comment) + "\n")
        for name in sorted(record):
            for (what, process), count in record[name].items():
                f.write(f"{name} {process:<8} {count:>8} {what}\n")


def compare(figures, recorded):
    """True: nothing costs much more than it did."""
    good = True
    for (what, process), count in figures.items():
        before = recorded.get((what, process))
        worse = before is None or count > ALLOWED * before
        change = "none recorded" if before is None else f"recorded {before:>7}, {100 * (count / before - 1):+.1f} %"
        print(f"{what + ', ' + process:20} {count:>7} instructions, {change}" + (f": {TOO_MANY}" if worse else ""))
        good = good and not worse
    return good


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--record", action="store_true", help="write what is measured into instructions.txt")
    arguments = options.parse_args()
    refuse_other_builds()
    name = compiler()
    record, comment = read_record()
    if name not in record and not arguments.record:
        skip(f"nothing is recorded for {name}; {HOW_TO_RECORD} would do so")
    figures = measure()
    if arguments.record:
        record[name] = figures
        write_record(record, comment)
        print(f"recorded for {name}: " + ", ".join(f"{w}, {p}: {n}" for (w, p), n in figures.items()))
    elif not compare(figures, record[name]):
        sys.exit(1)


if __name__ == "__main__":
    main()
