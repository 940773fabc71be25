#!/usr/bin/env python3
"""bell.pml in every order that there is: no wake-up is lost, and spin sees each thing that is broken on purpose."""
import argparse
import collections
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.environ.get("TALEA_TEST_SOURCE") or os.path.join(HERE, "..", "..")
MODEL = os.path.join(HERE, "bell.pml")
SAFETY = ["-O2", "-DSAFETY", "-DCOLLAPSE"]
FAR = SAFETY + ["-DREVERSE"]  # reaches what is broken sooner
NEAR = ["-O0", *FAR[1:]]      # reaches it so soon that compiling takes longer
CYCLES = ["-O2", "-DNP", "-DCOLLAPSE"]
GOOD, STALL, WRONG_RECORD = "errors: 0", "invalid end state", "assertion violated"

Variant = collections.namedtuple("Variant", "title defines checks result")
WEAK = ["-DOVERTAKING"]  # what holds there holds on x86 too
DEATH = [*WEAK, "-DDEATH", "-DPOSTS_0=1"]
SHORT = [
    Variant("two workers, a ring that is full and wraps", WEAK, SAFETY, GOOD),
    Variant("nothing goes round for ever", [*WEAK, "-DPOSTS_0=1"], CYCLES, GOOD),
    Variant("a worker is killed anywhere", DEATH, SAFETY, GOOD),
    Variant("broken: no fence of the sleeper", ["-DNO_FENCE_SLEEPER"], NEAR, STALL),
    Variant("broken: no fence of the ringer", ["-DNO_FENCE_RINGER"], NEAR, STALL),
    Variant("broken: no look before sleep", ["-DNO_LOOK_AGAIN"], NEAR, STALL),
    Variant("broken: tail before the record", [*WEAK, "-DNO_RELEASE"], NEAR, WRONG_RECORD),
    Variant("broken: nobody rings for the dead", ["-DNO_RING_ANYWAY", *DEATH], FAR, STALL),
]
LONG = SHORT + [
    Variant("a larger ring", [*WEAK, "-DCAPACITY=2"], SAFETY, GOOD),
    Variant("two posts of each worker", [*WEAK, "-DPOSTS_1=2"], SAFETY, GOOD),
    Variant("two posts of each worker, a larger ring", [*WEAK, "-DPOSTS_1=2", "-DCAPACITY=2"], SAFETY, GOOD),
    Variant("nothing goes round for ever, more posts", WEAK, CYCLES, GOOD),
]


def quotes_that_are_gone():
    """Lines of common/ring.c that the model says it stands for, and that are not there."""
    with open(MODEL) as f:
        quotes = re.findall(r"/\* ring\.c: (.*?) \*/", f.read())
    with open(os.path.join(SOURCE, "common", "ring.c")) as f:
        lines = {line.split("/*")[0].strip() for line in f}
    assert quotes, "the model quotes nothing"
    return sorted({quote for quote in quotes if quote not in lines})


def build(folder, variant):
    subprocess.run(["spin", "-a", *variant.defines, MODEL], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL)
    # No warnings: the C is spin's own.
    compiler = shlex.split(os.environ.get("CC", "cc"))
    subprocess.run([*compiler, "-w", *variant.checks, f"-DMEMLIM={arguments.memory_mb}", "-o", "pan", "pan.c"],
                   cwd=folder, check=True)


def explore(folder, variant):
    command = ["./pan", "-m100000"] + (["-l"] if variant.checks is CYCLES else [])
    text = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    states = re.search(r"(\d+) states, stored", text)
    return text, int(states[1]) if states else 0


def is_as_expected(variant, text):
    if variant.result != GOOD:
        return variant.result in text and "errors: 1" in text
    whole = not re.search(r"not completed|MEMLIM|max search depth too small|out of memory", text)
    return GOOD in text and whole


def check(variant):
    """Its states, and whether spin said what it must say."""
    folder = tempfile.mkdtemp(prefix="talea-bell-")
    begun = time.monotonic()
    build(folder, variant)
    text, states = explore(folder, variant)
    good = is_as_expected(variant, text)
    found = "no fault" if variant.result == GOOD else variant.result
    print(f"{variant.title}: {states} states, {time.monotonic() - begun:.1f} s, "
          f"{found if good else 'NOT AS EXPECTED (' + found + ')'}", flush=True)
    if good:
        shutil.rmtree(folder)
    else:
        print(text[:2000])
        print(f"kept in {folder}; spin -t -p {' '.join(variant.defines)} {MODEL} there tells the way to it")
    return states, good


def main():
    if not shutil.which("spin"):
        print("bell: skipped, there is no spin (Debian: spin)")
        return 77
    gone = quotes_that_are_gone()
    for quote in gone:
        print(f"bell.pml quotes a line that common/ring.c does not have: {quote}")
    results = [check(variant) for variant in (LONG if arguments.long else SHORT)]
    bad = sum(not good for _, good in results) + len(gone)
    print(f"bell: {len(results)} variants, {sum(states for states, _ in results)} states, {bad} not as expected")
    return 1 if bad else 0


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--long", action="store_true", help="more posts: some minutes, 4 GB")
parser.add_argument("--memory-mb", type=int, help="bound for one search; default 1000, or 4000 with --long")
arguments = parser.parse_args()
arguments.memory_mb = arguments.memory_mb or (4000 if arguments.long else 1000)

if __name__ == "__main__":
    sys.exit(main())
