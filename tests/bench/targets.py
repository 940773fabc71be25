"""What is measured side by side: a talead, the floor and the disk; and talea-bench, which loads them."""
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

from harness import Ledger  # noqa: E402

BUILD = os.environ.get("TALEA_TEST_BUILD") or "."
# Neither may stop what is measured: clients wait in the queue instead of being refused.
NO_LIMITS = {"max_inflight": 65536, "write_queue_depth": 65536}


class Failed(Exception):
    pass


class Bench:
    """How long, how often and where; and what was learned on the way."""

    def __init__(self, seconds, runs, workers, folder):
        self.seconds, self.runs, self.workers, self.folder = seconds, runs, workers, folder
        self.load_shares = []  # of a core, that talea-bench took
        self.program = os.environ.get("TALEA_TEST_BENCH") or os.path.join(BUILD, "talea-bench")

    # --- targets, each started fresh ---

    @contextlib.contextmanager
    def talead(self, directory=None, workers=None, **settings):
        ledger = Ledger(directory=directory, workers=workers or self.workers, **settings)
        try:
            ledger.start()
            yield ledger
            ledger.stop()
        finally:
            ledger.close()

    @contextlib.contextmanager
    def floor(self, workers=None):
        command = [os.path.join(BUILD, "tests", "bench", "floor"), "--workers", str(workers or self.workers),
                   "--dir", self.folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                words = process.stdout.readline().split()
                if not words:
                    raise Failed("the floor did not start")
                yield f"http://127.0.0.1:{words[-1]}"
            finally:
                process.terminate()

    # --- measuring ---

    def load(self, url, scenario, *flags, seconds=None, **options):
        """One run of talea-bench: its JSON. A run that proved the ledger wrong, or could not be made, is Failed."""
        command = [self.program, scenario, "--url", url, "--json", *flags]
        if scenario != "fill":
            command += ["--seconds", str(seconds or self.seconds)]
        for name, value in options.items():
            command += ["--" + name, str(value)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")
        run = json.loads(done.stdout)
        self.load_shares.append(run["bench_cpu_share"])
        return run

    def post_floor(self, scenario="post", **options):
        with self.floor(options.pop("workers", None)) as url:
            return self.load(url, scenario, "--bare", **options)

    def post_talead(self, scenario="post", settings=NO_LIMITS, **options):
        with self.talead(workers=options.pop("workers", None), **settings) as ledger:
            return self.load(ledger.url, scenario, **options)

    def words(self):
        """What a figure is."""
        return f"median of {self.runs} run{'s' * (self.runs != 1)} x {self.seconds:g} s"

    def disk(self, seconds=2):
        command = [os.path.join(BUILD, "tests", "bench", "disk_probe"), "--dir", self.folder, "--seconds", str(seconds)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    def by_turns(self, *measures):
        """Every measure `runs` times, by turns and each second round backwards: the machine's moods meet all alike."""
        results = [[] for _ in measures]
        for n in range(self.runs):
            order = list(zip(measures, results))
            for measure, into in order if n % 2 == 0 else reversed(order):
                into.append(measure())
        return results


def median(runs, pick):
    return statistics.median(pick(run) for run in runs)


def ratio(ours, others, pick):
    """The median of what each run is of its neighbour, which met the same minute of the same machine."""
    return statistics.median(pick(a) / pick(b) for a, b in zip(ours, others))


def rate(run):
    return run["per_s"]


def drafts(run):
    return run["drafts_per_s"]


def p50(run):
    return run["latency_us"]["p50"]


def p99(run):
    return run["latency_us"]["p99"]


def anonymous_mb(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("RssAnon")) / 1024


def room_mb(folder):
    return shutil.disk_usage(folder).free >> 20
