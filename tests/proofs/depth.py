#!/usr/bin/env python3
"""A deep ledger: how fast it starts, what the arbiter keeps in memory, what a new key reads, whom a backup makes wait.

Fills a ledger with that many transactions and prints figures; it fails only when something is wrong, never for being
slow. Default settings but for the queue, so that the filling is quick. Wants about 1 KB of disk for a transaction.
"""
import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

from harness import TALEAD, Ledger, clean_environment, sale, wait_until  # noqa: E402
from page_cache import forget, page_counts  # noqa: E402

BOOKS = 64
CONNECTIONS = 8
BATCH = 200
PROBES = 2000
PAUSE_PROBE_S = 3
START_S = 1800
EVENTS_OF_A_SNAPSHOT = 200000  # more than TALEA_LOG_SNAPSHOT_EVERY, its default


# --- filling ---

def request_of(first, count):
    """A batch of new posts as it goes over the wire."""
    drafts = ",".join(
        f'{{"book":"b{n % BOOKS}","idempotency_key":"deep-{n}","postings":[{{"account":"cash","amount":{{"minor":100,'
        f'"asset":"USD"}},"direction":"debit"}},{{"account":"sales","amount":{{"minor":100,"asset":"USD"}},'
        f'"direction":"credit"}}]}}' for n in range(first, first + count))
    return (f"POST /v1/transactions/batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(drafts) + 2}\r\n\r\n[{drafts}]").encode()


def read_answer(file):
    status = int(file.readline().split()[1])
    length = 0
    for line in iter(file.readline, b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    body = file.read(length)
    assert status == 200 and body.count(b'"deduplicated":false') == BATCH, (status, body[:300])


def fill_some(port, firsts):
    """Every batch is acknowledged whole, or this fails."""
    with socket.create_connection(("127.0.0.1", port), timeout=300) as s, s.makefile("rb") as file:
        for first in firsts:
            s.sendall(request_of(first, BATCH))
            read_answer(file)


def fill(ledger, begin, end):
    """Posts begin..end-1, in processes of their own: seconds."""
    children, since = [], time.monotonic()
    for c in range(CONNECTIONS):
        pid = os.fork()
        if pid == 0:
            try:
                fill_some(ledger.port, range(begin + c * BATCH, end, CONNECTIONS * BATCH))
                os._exit(0)
            except BaseException as error:
                print(f"depth: a connection that fills: {error}", file=sys.stderr)
                os._exit(1)
        children.append(pid)
    assert all(os.waitpid(pid, 0)[1] == 0 for pid in children), "filling failed"
    return time.monotonic() - since


# --- looking ---

def anonymous_mb(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"RssAnon:\s*(\d+) kB", f.read()).group(1)) / 1000


def cached_pages(path):
    """Pages of a file that are in memory; None when this kernel does not tell."""
    with open(path, "rb") as f:
        counts = page_counts(f.fileno())
    return counts and counts[0]


def start_again(ledger):
    """After kill -9: seconds until it answers, the old process's end not counted."""
    ledger.kill9()
    since = time.monotonic()
    ledger.start()
    return time.monotonic() - since


def reads_of_keys(ledger):
    """Pages of the spilled keys that so many posts brought into memory: (new keys, keys from the beginning)."""
    path = os.path.join(ledger.dir, "idempotency", "data.mdb")
    if not os.path.exists(path) or cached_pages(path) is None:
        return None, None
    start_again(ledger)
    forget(path)
    counts = [cached_pages(path)]
    for n in range(PROBES):
        assert not ledger.post(sale("b0", f"new-{n}"))["deduplicated"]
    counts.append(cached_pages(path))
    for n in range(PROBES):
        assert ledger.post(sale(f"b{n % BOOKS}", f"deep-{n}"))["deduplicated"], f"deep-{n} was posted again"
    counts.append(cached_pages(path))
    return counts[1] - counts[0], counts[2] - counts[1]


class PostsMeanwhile:
    """One connection that posts without a pause and remembers the slowest."""

    def __init__(self, ledger, name):
        self.ledger, self.name, self.slowest, self.count = ledger, name, 0.0, 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopping.is_set():
            since = time.monotonic()
            self.ledger.post(sale("b1", f"{self.name}-{self.count}"))
            self.slowest = max(self.slowest, time.monotonic() - since)
            self.count += 1

    def stop(self):
        self.stopping.set()
        self.thread.join()
        return self.slowest * 1000


def newest_snapshot(ledger):
    names = os.listdir(os.path.join(ledger.dir, "snapshots"))
    return max([int(n[9:29]) for n in names if n.endswith(".mdb")], default=0), "snapshot.new" in names


def settle(ledger):
    """The snapshot that is due is made, and what the filling left to the kernel is on the disk: seconds."""
    since = time.monotonic()
    end = int(re.search(r"log position (\d+)", ledger.stderr_text().split("recovered")[-1]).group(1))
    wait_until(lambda: newest_snapshot(ledger)[0] > 0.89 * end and not newest_snapshot(ledger)[1],
               "a snapshot of nearly all", START_S)
    os.sync()
    return time.monotonic() - since


def backup_pause(ledger, to):
    """(slowest post without one, during one, seconds it took), in ms, ms, s."""
    quiet = PostsMeanwhile(ledger, "quiet")
    time.sleep(PAUSE_PROBE_S)
    without = quiet.stop()
    busy = PostsMeanwhile(ledger, "busy")
    since = time.monotonic()
    try:
        done = subprocess.run([TALEAD, "backup", to, "--db-url", f"log://{ledger.dir}"], env=clean_environment(),
                              text=True, capture_output=True)
    finally:
        took = time.monotonic() - since
        during = busy.stop()
    assert done.returncode == 0, done.stderr
    return without, during, took


# --- all of it ---

def starts(ledger):
    """Seconds: with the index as it is, from snapshot and tail, from the log alone."""
    usable = start_again(ledger)
    ledger.kill9()
    ledger.remove("index")
    from_snapshot = start_again_after_kill(ledger)
    ledger.kill9()
    ledger.remove("index", "snapshots", "idempotency")
    os.mkdir(os.path.join(ledger.dir, "snapshots"))
    return usable, from_snapshot, start_again_after_kill(ledger)


def start_again_after_kill(ledger):
    """However long it takes: it is measured, not judged."""
    since = time.monotonic()
    ledger.spawn()
    wait_until(ledger.answers, "the server to answer", START_S)
    return time.monotonic() - since


def say(text):
    print(f"depth: {text}", flush=True)


def prove(ledger, events, scratch):
    ledger.start()
    ledger.register()
    for n in range(BOOKS):
        for path, side in (("cash", "debit"), ("sales", "credit")):
            ledger.open(f"b{n}", path, normal_side=side)
    seconds = fill(ledger, 0, events)
    say(f"{events} transactions over {BOOKS} books at {events / seconds:.0f}/s, {os.cpu_count()} cores, "
        f"{CONNECTIONS} connections, batches of {BATCH}; arbiter RssAnon {anonymous_mb(ledger.arbiter_pid()):.0f} MB")
    new, old = reads_of_keys(ledger)
    say(f"{PROBES} new keys read {new} pages of spilled keys, {PROBES} of the oldest {old}")
    if events >= EVENTS_OF_A_SNAPSHOT:
        say("the snapshot that was due was there, and all written, after %.1f s" % settle(ledger))
    say("slowest post %.1f ms, while a backup was made %.1f ms (it took %.1f s)" %
        backup_pause(ledger, os.path.join(scratch, "backup")))
    say("start after kill -9 %.2f s, from snapshot and tail %.2f s, from the log alone %.2f s" % starts(ledger))
    trial = ledger.trial_balance("b0")["lines"]
    assert trial[0]["debits"] == trial[0]["credits"], trial


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20000, help="transactions, rounded up to 1600 (%(default)s)")
    parser.add_argument("--folder", help="where the ledger is made; there must be room (the temporary folder)")
    args = parser.parse_args()
    scratch = tempfile.mkdtemp(prefix="talea-depth-", dir=args.folder)
    whole = CONNECTIONS * BATCH
    ledger = Ledger(directory=os.path.join(scratch, "ledger"), max_inflight=1000, write_queue_depth=100000,
                    write_batch_max=1000)
    try:
        prove(ledger, (args.events + whole - 1) // whole * whole, scratch)
        return 0
    except AssertionError as error:
        print(f"depth: FOUND: {error}", flush=True)
        return 1
    finally:
        ledger.close()
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
