#!/usr/bin/env python3
"""Runs the fuzz targets that `make fuzz` has built, in the build tree, and says what they found.

    run.py [--seconds N] [--jobs N] [--out FOLDER] fuzz|merge TARGET...

Seeds are read from the source tree, nothing is written there but by merge. What is found goes to FOLDER:
found/<target>/ inputs that reach something new, crashes/<target>/ inputs that broke it, <target>.log what it said.
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CORPUS = os.path.join(HERE, "corpus")
CORPUS_FILES_MAX = 100
BROKE = "broke-"  # how the name of an input begins that once broke its target
NAMELESS = re.compile(r"[0-9a-f]{40}")  # as libFuzzer calls what it finds; what bears a name stays, whatever it covers
LENGTH_MAX = {"sse": 1024, "settings": 1024}  # each input is gone through many times; else 4096
STAT = re.compile(r"^stat::(\w+):\s*(\d+)$", re.M)


def files(folder):
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def read(folder, name):
    with open(os.path.join(folder, name), "rb") as f:
        return f.read()


class Target:
    def __init__(self, name, out):
        self.name = name
        self.program = os.path.abspath(os.path.join("fuzz", "fuzz_" + name))
        self.seeds = os.path.join(CORPUS, name)
        self.dictionary = os.path.join(HERE, "dictionaries", name + ".dict")
        self.log = os.path.join(out, name + ".log")
        self.found = os.path.join(out, "found", name)
        self.crashes = os.path.join(out, "crashes", name)
        for folder in (self.found, self.crashes):
            os.makedirs(folder, exist_ok=True)
        os.makedirs(self.seeds, exist_ok=True)

    def options(self):
        whole = self.name == "whole_server"
        yield "-timeout=120" if whole else "-timeout=30"
        yield "-rss_limit_mb=2048"
        yield f"-artifact_prefix={self.crashes}{os.sep}"
        if whole:
            yield "-detect_leaks=0"  # a server's memory is not an input's; leaks are looked for at its end
        if os.path.exists(self.dictionary):
            yield f"-dict={self.dictionary}"

    def command(self, *more):
        return [self.program, *self.options(), *more]


def environment(scratch):
    env = {k: v for k, v in os.environ.items() if not k.startswith("TALEA_") or k == "TALEA_TEST_TALEAD"}
    return dict(env, TMPDIR=scratch, TALEA_FUZZ_LEDGER=os.path.join(scratch, "ledger"),
                ASAN_OPTIONS="detect_stack_use_after_return=1:allocator_may_return_null=1",
                UBSAN_OPTIONS="print_stacktrace=1")


def scratch_folder():
    """In memory where that can be: the kernel must not wait for a disk on behalf of each input."""
    return tempfile.TemporaryDirectory(prefix="talea-fuzz-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


def verify_ledger(scratch, log):
    """What a whole server leaves behind must be a whole ledger; and every process that it started must have gone."""
    ledger = os.path.join(scratch, "ledger")
    talead = os.environ.get("TALEA_TEST_TALEAD", os.path.abspath("talead"))
    done = subprocess.run([talead, "verify", ledger], capture_output=True, text=True)
    log.write(f"\ntalead verify: {done.stdout}{done.stderr}")
    return done.returncode == 0


def fuzz(target, seconds):
    begin = time.monotonic()
    with scratch_folder() as scratch, open(target.log, "w") as log:
        command = target.command("-print_final_stats=1", f"-max_total_time={seconds}",
                                 f"-max_len={LENGTH_MAX.get(target.name, 4096)}", target.found, target.seeds)
        status = subprocess.run(command, stdout=log, stderr=log, env=environment(scratch), cwd=scratch).returncode
        whole = target.name != "whole_server" or verify_ledger(scratch, log)
    with open(target.log, errors="replace") as f:
        stats = {name: int(value) for name, value in STAT.findall(f.read())}
    return {"status": status, "whole": whole, "seconds": time.monotonic() - begin, "stats": stats,
            "crashes": files(target.crashes)}


def show(results):
    print(f"\n{'target':14}{'executions':>14}{'exec/s':>9}{'new corpus':>12}{'findings':>10}")
    for target, result in results:
        stats = result["stats"]
        print(f"{target.name:14}{stats.get('number_of_executed_units', 0):14}{stats.get('average_exec_per_sec', 0):9}"
              f"{stats.get('new_units_added', 0):12}{len(result['crashes']):10}")
    broken = 0
    for target, result in results:
        if not result["whole"]:
            print(f"\n{target.name}: the ledger that it left is not whole: the end of {target.log} says why")
        elif result["crashes"]:
            print(f"\n{target.name} broke; {target.log} says how. Once it is mended, the input stays as a test:")
            for name in result["crashes"]:
                path = os.path.join(target.crashes, name)
                print(f"    {target.program} {path}    # again\n"
                      f"    mv {path} {os.path.join(target.seeds, BROKE)}<what it was>")
        elif result["status"] != 0:
            print(f"\n{target.name} ended with {result['status']}: the end of {target.log} says why")
        else:
            continue
        broken = 1
    return broken


def merge_target(target):
    """Puts the fewest inputs that reach all that is reached in the place of those without a name."""
    with scratch_folder() as scratch:
        kept = os.path.join(scratch, "kept")
        os.mkdir(kept)
        subprocess.run(target.command("-set_cover_merge=1", "-use_counters=0", "-max_len=1024", kept, target.seeds,
                                      target.found),
                       check=True, capture_output=True, env=environment(scratch), cwd=scratch)
        named = [name for name in files(target.seeds) if not NAMELESS.fullmatch(name)]
        have = {read(target.seeds, name) for name in named}
        wanted = {name: read(kept, name) for name in files(kept) if read(kept, name) not in have}
        for name in set(files(target.seeds)) - set(named):
            os.unlink(os.path.join(target.seeds, name))
        room = max(0, CORPUS_FILES_MAX - len(named))
        for name in sorted(wanted, key=lambda name: len(wanted[name]))[:room]:
            with open(os.path.join(target.seeds, name), "wb") as f:
                f.write(wanted[name])
    print(f"{target.name}: {len(files(target.seeds))} files in {target.seeds}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=1800)
    parser.add_argument("--jobs", type=int, default=2, help="targets at a time")
    parser.add_argument("--out", default="fuzz/out")
    parser.add_argument("what", choices=("fuzz", "merge"))
    parser.add_argument("targets", nargs="+")
    arguments = parser.parse_args()
    targets = [Target(name, os.path.abspath(arguments.out)) for name in arguments.targets]
    if arguments.what == "merge":
        for target in targets:
            merge_target(target)
        return 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        results = list(pool.map(lambda target: fuzz(target, arguments.seconds), targets))
    return show(list(zip(targets, results)))


if __name__ == "__main__":
    sys.exit(main())
