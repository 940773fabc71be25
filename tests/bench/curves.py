"""The curves: rates over workers, connections and batch sizes, and latency against load, of talea and of the floor."""
import json
import os
import subprocess

from targets import Failed, rate

LOADS = (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
CONNECTIONS = 64


def both(bench, scenario, options, **labels):
    """A run of each, in turn."""
    for label, measure in (("talea", bench.post_talead), ("floor", bench.post_floor)):
        yield {"label": label, **labels, **measure(scenario, **options)}


def over_workers(bench):
    for workers in (1, 2, 4):
        yield from both(bench, "post", {"connections": CONNECTIONS, "workers": workers}, workers=workers)


def over_connections(bench):
    for connections in (1, 4, 16, 64, 256):
        yield from both(bench, "post", {"connections": connections})


def over_batches(bench):
    for batch in (1, 5, 20, 50, 100, 500):
        yield from both(bench, "batch", {"connections": 32, "batch": batch})


def against_load(bench):
    for label, measure in (("talea", bench.post_talead), ("floor", bench.post_floor)):
        highest = rate(measure("post", connections=256))
        for part in LOADS:
            yield {"label": label, **measure("post", connections=256, rate=round(part * highest))}


# Name of the files: what is measured, and how it is drawn.
CURVES = {
    "workers": (over_workers, "Single posts, 64 connections", "workers", "per_s"),
    "connections": (over_connections, "Single posts", "connections", "per_s"),
    "batches": (over_batches, "Batches, 32 connections", "batch", "drafts_per_s"),
    "load": (against_load, "Latency of single posts against load", "per_s", "p50,p99"),
}


def draw(bench, folder, name):
    measure, title, x, y = CURVES[name]
    lines = os.path.join(folder, name + ".jsonl")
    with open(lines, "w") as f:
        for run in measure(bench):
            f.write(json.dumps(run) + "\n")
            f.flush()
    command = [bench.program, "plot", lines, "--out", os.path.join(folder, name + ".svg"), "--title", title,
               "--x", x, "--y", y, "--by", "label"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: {done.stderr.strip()}")
