"""The rows of the table: what is measured, what it is to be, and what it came to."""
import os
import subprocess
import time
from dataclasses import dataclass

from harness import TALEAD, clean_environment, wait_until
from packing import packed_bytes
from targets import NO_LIMITS, Failed, anonymous_mb, drafts, median, p50, p99, rate, ratio

MEMORY_MB = 512  # what the arbiter may keep for itself, however deep the ledger is
OVERLOAD_P99_MS = 50
BATCH_GROUP = 256  # drafts of one book in a group commit, as talea-tuning(7) advises for batches
OFFERED_PER_S = 1000  # posts, while subscribers follow
BUSY = 0.9  # of a core, or of the connections: more of it, and talea-bench itself holds the rate back


@dataclass
class Row:
    what: str
    target: str
    measured: str
    met: bool
    figures: str


def count(n):
    return f"{n:,.0f}"


def ms(us):
    return f"{us / 1000:.2f} ms"


def over(runs):
    """What the figures of a row begin with."""
    connections = runs[0]["connections"]
    return f"{count(connections)} connection{'s' * (connections != 1)}"


def latencies(runs):
    return f"p50 {ms(median(runs, p50))}, p99 {ms(median(runs, p99))}"


def share(runs):
    return f"talea-bench took {median(runs, lambda run: run['bench_cpu_share']):.0%} of a core"


def total(runs, pick):
    return sum(pick(run) for run in runs)


def unsent(runs):
    """Empty, or what makes the latencies of an open loop worth nothing."""
    left = total(runs, lambda run: run["unsent"])
    return f"; {count(left)} due and not sent" if left else ""


# --- posts ---

def posts(bench):
    rows = []
    for connections in (1, 16, 64, 256):
        ours, floor = bench.by_turns(lambda: bench.post_talead(connections=connections),
                                     lambda: bench.post_floor(connections=connections))
        part = ratio(ours, floor, rate)
        rows.append(Row(f"single posts, {connections} connection{'s' * (connections > 1)}", ">= 0.8 of the floor",
                        f"{part:.2f}", part >= 0.8,
                        f"{over(ours)}: {count(median(ours, rate))}/s, {latencies(ours)}; "
                        f"floor {count(median(floor, rate))}/s, {latencies(floor)}"))
    return rows


def lone(bench):
    def empty_round_trip():
        with bench.floor() as url:
            return bench.load(url, "empty", "--bare", connections=1)

    ours, empty, disk = bench.by_turns(lambda: bench.post_talead(connections=1), empty_round_trip, bench.disk)
    least = median(empty, p50) + median(disk, p50)
    part = median(ours, p50) / least
    return [Row("one lone post", "p50 <= 1.25 x (fdatasync of 4 KiB + empty round trip)", f"{part:.2f}", part <= 1.25,
                f"{over(ours)}: {ms(median(ours, p50))}; fdatasync {ms(median(disk, p50))}, "
                f"empty round trip {ms(median(empty, p50))}")]


def books(bench):
    many, one = bench.by_turns(lambda: bench.post_talead("books", books=64, connections=64),
                               lambda: bench.post_talead(connections=64))
    part = ratio(many, one, rate)
    return [Row("64 books against one book", ">= 0.95", f"{part:.2f}", part >= 0.95,
                f"{over(many)}: {count(median(many, rate))}/s; one book {count(median(one, rate))}/s")]


def batches(bench):
    def talead(**settings):
        return lambda: bench.post_talead("batch", {**NO_LIMITS, **settings}, connections=32, batch=50)

    ours, usual, floor = bench.by_turns(talead(write_batch_max=BATCH_GROUP), talead(),
                                        lambda: bench.post_floor("batch", connections=32, batch=50))
    part, most = ratio(ours, floor, drafts), median(ours, drafts)
    return [Row(f"batches of 50, 32 connections, TALEA_WRITE_BATCH_MAX={BATCH_GROUP}",
                ">= 150,000 drafts/s, or 0.8 of the floor", f"{count(most)}/s, {part:.2f}",
                most >= 150000 or part >= 0.8,
                f"{over(ours)}: {latencies(ours)}; with the default of 64 {count(median(usual, drafts))}/s, "
                f"{latencies(usual)}; floor, whose groups have no limit, {count(median(floor, drafts))} drafts/s")]


# --- reads ---

def balances(bench):
    def empty():
        with bench.floor() as url:
            return bench.load(url, "empty", "--bare", connections=64)

    ours, floor = bench.by_turns(lambda: bench.post_talead("balance", connections=64), empty)
    part = ratio(ours, floor, rate)
    return [Row("balance, 64 connections", ">= 0.8 of an empty handler of h2o", f"{part:.2f}", part >= 0.8,
                f"{over(ours)}: {count(median(ours, rate))}/s, p99 {ms(median(ours, p99))}; "
                f"empty {count(median(floor, rate))}/s")]


def deep_reads(bench):
    """On the long ledger: few accounts, each with millions of postings."""
    with bench.long_ledger() as (ledger, events):
        def read(scenario):
            return lambda: bench.load(ledger.url, scenario, connections=64, events=events)

        page, as_of, balance = bench.by_turns(read("history"), read("as-of"), read("balance"))
    part = ratio(as_of, balance, rate)
    return [Row("history, a page of 100", ">= 20,000/s", f"{count(median(page, rate))}/s", median(page, rate) >= 20000,
                f"{over(page)}: p99 {ms(median(page, p99))}; {count(events)} events in the book"),
            Row(f"balance as of {count(events)} events back", ">= 20,000/s and >= 0.7 of the current balance",
                f"{count(median(as_of, rate))}/s, {part:.2f}", median(as_of, rate) >= 20000 and part >= 0.7,
                f"{over(as_of)}: p99 {ms(median(as_of, p99))}; current balance {count(median(balance, rate))}/s")]


# --- load ---

def highest(bench, settings):
    with bench.talead(**settings) as ledger:
        return bench.load(ledger.url, "post", connections=256)


def tail(run):
    return p99(run) / p50(run)


def half_load(bench):
    """The floor shows what of the slow end is the machine's: the same posts come to it at the same times."""
    def at_half():
        offered = round(rate(highest(bench, NO_LIMITS)) / 2)
        return [measure(connections=256, rate=offered) for measure in (bench.post_talead, bench.post_floor)]

    ours, floor = zip(*bench.by_turns(at_half)[0])
    part = median(ours, tail)
    return [Row("p99 at half of the highest rate", "<= 3 x p50", f"{part:.1f} x", part <= 3 and not unsent(ours),
                f"{over(ours)}, {count(median(ours, lambda run: run['rate']))}/s offered: "
                f"{latencies(ours)}{unsent(ours)}; "
                f"floor {latencies(floor)}, {median(floor, tail):.1f} x{unsent(floor)}")]


def answered(run, status):
    return run["answers"].get(str(status), 0)


def good(run):
    return answered(run, 200) / run["seconds"]


def under_way(run):
    """Requests that were due and not answered, in the mean: their number times how long each was."""
    refused = answered(run, 429) + answered(run, 503)
    spent = [(run["requests"] - refused, run["latency_us"]), (refused, run["refused_latency_us"])]
    return sum(n * latency["mean"] for n, latency in spent if latency) / 1e6 / run["seconds"]


def bounds(runs):
    """What of talea-bench itself held the load back, if anything did: then latencies are its own, too."""
    busy = median(runs, lambda run: run["bench_cpu_share"] / run["threads"]) >= BUSY
    full = median(runs, lambda run: under_way(run) / run["connections"]) >= BUSY
    held = [what for what, is_held in (("CPU", busy), ("connections", full)) if is_held]
    return f", and was bound by its {' and '.join(held)}" if held else ""


def overload(bench):
    def twice():
        most = drafts(highest(bench, {}))  # what is refused at once is no part of it
        with bench.talead() as ledger:
            run = bench.load(ledger.url, "overload", rate=round(most))
        others = {status: n for status, n in run["answers"].items() if status not in ("200", "429", "503")}
        return {**run, "part": good(run) / most, "highest": most, "others": others,
                "refused": (run["refused_latency_us"] or {"p99": 0})["p99"]}

    [runs] = bench.by_turns(twice)
    part, refused = median(runs, lambda run: run["part"]), median(runs, lambda run: run["refused"])
    others = [run["others"] for run in runs if run["others"]]
    met = part >= 0.9 and refused <= 5000 and median(runs, p99) <= OVERLOAD_P99_MS * 1000 and not others
    counts = ", ".join(f"{status}: {count(total(runs, lambda run: answered(run, status)))}"
                       for status in (200, 429, 503))
    return [Row("twice the highest rate is offered",
                f"goodput >= 0.9 of the highest, p99 of the accepted <= {OVERLOAD_P99_MS} ms, the rest 429 or 503 "
                "within 5 ms", f"{part:.2f}", met and not unsent(runs),
                f"{over(runs)}, {count(median(runs, lambda run: run['rate']))}/s offered: "
                f"highest {count(median(runs, lambda run: run['highest']))}/s, accepted {count(median(runs, good))}/s "
                f"with p99 {ms(median(runs, p99))}; refused with p99 {ms(refused)}; answers {counts}{unsent(runs)}; "
                f"{share(runs)}{bounds(runs)}" + (f"; other answers: {others}" if others else ""))]


def delay(run):
    return run["event_delay_us"]["p99"]


def subscribers(bench):
    def followed(**load):
        return lambda: bench.post_talead("tail", subscribers=100, connections=64, **load)

    with_them, without, calm = bench.by_turns(followed(), lambda: bench.post_talead(connections=64),
                                              followed(rate=OFFERED_PER_S))
    part, late = ratio(with_them, without, rate), median(with_them, delay)
    taken, calm_late = total(calm, lambda run: answered(run, 200)), median(calm, delay)
    due = total(calm, lambda run: run["requests"] + run["lost"] + run["unsent"])
    return [Row("100 subscribers on one book", "posts >= 0.8 of without; event delay p99 <= 10 ms",
                f"{part:.2f}, {ms(late)}", part >= 0.8 and late <= 10000,
                f"{over(with_them)}: {count(median(with_them, rate))}/s with, "
                f"{count(median(without, rate))}/s without; " + share(with_them)),
            Row(f"100 subscribers, {count(OFFERED_PER_S)} posts/s offered",
                "all of them taken; event delay p99 <= 10 ms",
                f"{'all' if taken == due else f'{count(taken)} of {count(due)}'}, {ms(calm_late)}",
                taken == due and calm_late <= 10000,
                f"{over(calm)}: {count(taken)} posts with {latencies(calm)}; "
                + share(calm))]


# --- a deep ledger ---

def deep_posts(bench):
    memory = []

    def deep():
        with bench.wide_ledger() as (ledger, _, accounts):
            run = bench.load(ledger.url, "post", connections=64, accounts=accounts)
            memory.append(anonymous_mb(ledger.arbiter_pid()))
            return run

    ours, empty = bench.by_turns(deep, lambda: bench.post_talead(connections=64))
    part = ratio(ours, empty, rate)
    return [Row(f"{count(2 * bench.wide_events)} postings over {count(bench.wide_accounts)} accounts in the ledger",
                f">= 0.8 of the empty ledger; memory of the arbiter <= {MEMORY_MB} MiB",
                f"{part:.2f}, {max(memory):.0f} MiB", part >= 0.8 and max(memory) <= MEMORY_MB,
                f"{over(ours)}: {count(median(ours, rate))}/s over all accounts, "
                f"p99 {ms(median(ours, p99))}; "
                f"empty, two accounts: {count(median(empty, rate))}/s")]


def started_after_kill(ledger):
    """Seconds from its start to its first answer, after everything was killed at once."""
    ledger.kill9()
    since = time.monotonic()
    ledger.spawn()
    wait_until(ledger.answers, "the ledger to answer", 600)
    return time.monotonic() - since


def starts(bench):
    with bench.long_ledger() as (ledger, _):
        times, loads = [], []
        for _ in range(bench.runs):
            # Something is under way since the snapshot.
            loads.append(bench.load(ledger.url, "post", seconds=1, connections=64))
            times.append(started_after_kill(ledger))
        directory, events = ledger.dir, ledger.status()["events"]
    slowest = max(times)
    since = time.monotonic()
    done = subprocess.run([TALEAD, "reindex", directory], env=clean_environment(), capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"talead reindex: {done.stderr[-500:]}")
    speed = events / (time.monotonic() - since)
    return [Row(f"start after kill -9 with {count(events)} events", "< 1 s", f"{slowest:.2f} s", slowest < 1,
                f"until the first answer, slowest of {bench.runs}; {over(loads)} posted before"),
            Row("rebuild of the index from the log", ">= 1 million events/s", f"{speed / 1e6:.2f} million/s",
                speed >= 1e6, f"no connections: not served meanwhile; {count(events)} events in "
                f"{events / speed:.1f} s")]


# --- bytes ---

def file_bytes(folder):
    return sum(os.stat(os.path.join(folder, n)).st_blocks * 512 for n in os.listdir(folder))


def content_of(payload):
    """What a transaction says, without the names of its fields and with its book once."""
    postings = [[p["account"]["path"], p["amount"]["minor"], p["amount"]["asset"], p["direction"]]
                for p in payload["postings"]]
    return [payload[k] for k in ("id", "book", "idempotency_key", "external_refs", "metadata", "occurred_at")] + postings


def size(bench):
    events = min(bench.long_events, 200000)
    with bench.talead(**NO_LIMITS) as ledger:
        before, index_before = ledger.status()["position"], file_bytes(os.path.join(ledger.dir, "index"))
        filled = bench.load(ledger.url, "fill", "--no-verify", connections=64, batch=50, events=events)
        log = (ledger.status()["position"] - before) / events
        index = (file_bytes(os.path.join(ledger.dir, "index")) - index_before) / events
        stream = ledger.stream(bench.book)
        payload = next(e["payload"] for e in iter(stream.next, None) if e["kind"] == "transaction_posted")
        stream.close()
    least = packed_bytes(content_of(payload))
    return [Row("bytes on disk for a transaction of two postings",
                "log <= 1.3 x the MessagePack of its values, field names left out",
                f"{log / least:.2f}", log <= 1.3 * least,
                f"{over([filled])}: log {log:.0f}, index {index:.0f}, MessagePack {least}; "
                f"{count(events)} transactions in batches of 50")]


ROWS = {"posts": posts, "lone": lone, "books": books, "batches": batches, "balances": balances,
        "half": half_load, "overload": overload, "subscribers": subscribers, "size": size,
        "reads": deep_reads, "starts": starts, "deep": deep_posts}
