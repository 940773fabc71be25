"""The curves: rates over workers, connections and batch sizes, and latency against load, of talea and of the floor."""
import json
import os
import subprocess

from targets import Failed, median, rate

LOADS = (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
CONNECTIONS = 64
BATCH_CONNECTIONS = 32
LOAD_CONNECTIONS = 256


def both(bench, scenario, options, **labels):
    """As many runs of each as a figure of the table has, by turns; their chart shows the median."""
    talea, floor = bench.by_turns(lambda: bench.post_talead(scenario, **options),
                                  lambda: bench.post_floor(scenario, **options))
    for label, runs in (("talea", talea), ("floor", floor)):
        for run in runs:
            yield {"label": label, **labels, **run}


def over_workers(bench):
    for workers in (1, 2, 4):
        yield from both(bench, "post", {"connections": CONNECTIONS, "workers": workers}, workers=workers)


def over_connections(bench):
    for connections in (1, 4, 16, 64, 256):
        yield from both(bench, "post", {"connections": connections})


def over_batches(bench):
    for batch in (1, 5, 20, 50, 100, 500):
        yield from both(bench, "batch", {"connections": BATCH_CONNECTIONS, "batch": batch})


def trusted(run):
    """What was due and not sent would have been the slowest: without it there are no latencies."""
    return {**run, "latency_us": None} if run["unsent"] else run


def against_load(bench):
    """To each its own loads: parts of the highest rate that it reached."""
    def post(measure, **options):
        return lambda: measure("post", connections=LOAD_CONNECTIONS, **options)

    measures = (bench.post_talead, bench.post_floor)
    highest = [median(runs, rate) for runs in bench.by_turns(*(post(measure) for measure in measures))]
    for part in LOADS:
        offered = [post(measure, rate=round(part * most)) for measure, most in zip(measures, highest)]
        for label, runs in zip(("talea", "floor"), bench.by_turns(*offered)):
            for run in runs:
                yield {"label": label, **trusted(run)}


def workers(bench):
    return f"{bench.workers} worker{'s' * (bench.workers != 1)}"


# Name of the files: what is measured, how it is drawn, and under which conditions.
CURVES = {
    "workers": (over_workers, "Single posts over workers", "workers", "per_s",
                lambda bench: f"{CONNECTIONS} connections"),
    "connections": (over_connections, "Single posts over connections", "connections", "per_s", workers),
    "batches": (over_batches, "Drafts in batches over their size", "batch", "drafts_per_s",
                lambda bench: f"{BATCH_CONNECTIONS} connections, {workers(bench)}"),
    "load": (against_load, "Latency of single posts against load", "rate", "p50,p99",
             lambda bench: f"Offered by a schedule over {LOAD_CONNECTIONS} connections, {workers(bench)}"),
}


def draw(bench, folder, name, machine):
    measure, title, x, y, conditions = CURVES[name]
    lines = os.path.join(folder, name + ".jsonl")
    with open(lines, "w") as f:
        for run in measure(bench):
            f.write(json.dumps(run) + "\n")
            f.flush()
    caption = (f"{conditions(bench)}, one book. Each point is the {bench.words()}. The floor makes a post durable, and "
               f"keeps no ledger. {machine}")
    command = [bench.program, "plot", lines, "--out", os.path.join(folder, name + ".svg"), "--title", title,
               "--caption", caption, "--x", x, "--y", y, "--by", "label"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: {done.stderr.strip()}")
