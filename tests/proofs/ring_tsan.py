#!/usr/bin/env python3
"""The ring's threads over one mapping, under ThreadSanitizer: clean, and a race that is planted in a copy is seen.

What this proves: payloads are handed over by tail and head alone, with no data race. ThreadSanitizer knows nothing of
standalone fences, so it neither needs nor judges the two in the bell: it emits them as real barriers and draws no
order from them, and nothing but the flag, which is atomic, rests on them. Whether they are there is seen by the
litmus test in tests/unit/test_ring.c, which runs here too, and by bell.py.
"""
import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.abspath(os.environ.get("TALEA_TEST_SOURCE") or os.path.join(HERE, "..", ".."))
COMPILER = shlex.split(os.environ.get("CC", "cc"))
RACE = re.compile(r"WARNING: ThreadSanitizer: data race")

# In ring.c: publishing without release, giving back without release, and taking what is published without acquire.
PLANTED = [
    ("the tail is published without release",
     "atomic_store_explicit(&ring->control->tail, ring->position, memory_order_release)"),
    ("room is given back without release",
     "atomic_store_explicit(&ring->control->head, ring->position, memory_order_release)"),
    ("the tail is looked at without acquire",
     "ring->seen = atomic_load_explicit(&ring->control->tail, memory_order_acquire)"),
]


def compile_with(folder, name, sources, libraries=()):
    """The program's path, or None. -w: gcc warns of every fence that ThreadSanitizer does not model."""
    program = os.path.join(folder, name)
    command = [*COMPILER, "-std=gnu11", "-g", "-O1", "-w", "-fsanitize=thread", "-I", SOURCE, *sources, "-o", program]
    done = subprocess.run([*command, *libraries], capture_output=True, text=True)
    return program if done.returncode == 0 else None


def can_run(folder):
    """Does this compiler have ThreadSanitizer, does its runtime start here, and is there cmocka?"""
    source = os.path.join(folder, "empty.c")
    with open(source, "w") as f:
        f.write("#include <setjmp.h>\n#include <stdarg.h>\n#include <stddef.h>\n#include <stdint.h>\n"
                "#include <cmocka.h>\nint main(void) { return 0; }\n")
    program = compile_with(folder, "empty", [source], ["-lcmocka"])
    return program is not None and subprocess.run([program], capture_output=True).returncode == 0


def build_test(folder, name, ring):
    sources = [os.path.join(SOURCE, path) for path in
               ("tests/unit/test_ring.c", "common/buffer.c", "common/report.c", "common/report_line.c", "common/rfc3339.c")]
    program = compile_with(folder, name, [*sources, ring],
                           ["-lcmocka", "-lpthread", "-lyajl", "-lunistring", "-lbsd"])
    assert program, "the ring's test does not compile"
    return program


def run(program, count):
    environment = dict(os.environ, TALEA_TEST_RING_COUNT=str(count), TSAN_OPTIONS="exitcode=66")
    done = subprocess.run([program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=3600)
    return done.returncode, done.stdout


def plant(folder, n, line):
    """A copy of ring.c with that one order relaxed."""
    with open(os.path.join(SOURCE, "common", "ring.c")) as f:
        text = f.read()
    assert line in text, f"common/ring.c has no longer: {line}"
    path = os.path.join(folder, f"ring_{n}.c")
    with open(path, "w") as f:
        f.write(text.replace(line, re.sub(r"memory_order_\w+", "memory_order_relaxed", line)))
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=100000, help="records, and meetings of the bell's two sides")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="talea-tsan-") as folder:
        if not can_run(folder):
            print("ring_tsan: skipped, no ThreadSanitizer with", *COMPILER, "here, or no cmocka")
            return 77
        status, text = run(build_test(folder, "good", os.path.join(SOURCE, "common", "ring.c")), arguments.records)
        if status != 0 or RACE.search(text):
            print(text)
            print("ring_tsan: the ring is not clean")
            return 1
        for n, (title, line) in enumerate(PLANTED):
            status, text = run(build_test(folder, f"bad_{n}", plant(folder, n, line)), arguments.records)
            if not RACE.search(text):
                print(text)
                print(f"ring_tsan: a planted race was not seen: {title}")
                return 1
            print(f"seen: {title}")
    print(f"ring_tsan: {arguments.records} records, 0 races, {len(PLANTED)} of {len(PLANTED)} planted races seen")
    return 0


if __name__ == "__main__":
    sys.exit(main())
