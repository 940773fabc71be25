#!/usr/bin/env python3
"""Slow clients: what a normal request waits beside 200 of every kind, and what a connection costs in memory.

Prints figures; it fails only when a request beside them fails, a worker dies, or a limit that they must meet is not
met. Default settings but for shorter times, so that the limits are met within the run.
"""
import argparse
import contextlib
import os
import resource
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

from harness import Ledger, credit, debit, draft, wait_until  # noqa: E402

POST = b"POST /v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
PAGE = b"GET /v1/books/shop/accounts/cash/history HTTP/1.1\r\nHost: x\r\n\r\n"
# What each sends first, and then an octet at a time, if any.
KINDS = {
    "says nothing": (b"", b""),
    "stops in its head": (b"GET /health HTTP/1.1\r\nA: b", b""),
    "trickles its head": (b"GET /health HTTP/1.1\r\nA: ", b"x"),
    "stops in its body": (POST + b"Content-Length: 1000000\r\n\r\n{", b""),
    "trickles its body": (POST + b"Content-Length: 1000000\r\n\r\n", b" "),
    "trickles chunks": (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "never reads a page": (PAGE, b""),
    "pipelines and never reads": (PAGE + HEALTH * 400, b""),
    "never reads its events": (b"GET /v1/books/shop/events HTTP/1.1\r\nHost: x\r\n\r\n", b""),
}


def slow_client(ledger, first):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", ledger.port))
    s.setblocking(False)
    with contextlib.suppress(OSError):
        s.send(first)
    return s


def trickle(clients, octets, until):
    while octets and not until.wait(0.2):
        for s in clients:
            with contextlib.suppress(OSError):
                s.send(octets)


def anonymous_kb(ledger):
    """What the workers have in memory that is no file's."""
    total = 0
    for pid in ledger.worker_pids():
        with open(f"/proc/{pid}/status") as f:
            total += next(int(line.split()[1]) for line in f if line.startswith("RssAnon"))
    return total


def probe(ledger, seconds, tag):
    """Posts and reads, one after the other; milliseconds, sorted."""
    taken, end, n = [], time.monotonic() + seconds, 0
    while time.monotonic() < end:
        for method, path, body in (("GET", "/health", None),
                                   ("POST", "/v1/transactions", draft("probe", f"{tag}-{n}", debit("cash", 1),
                                                                      credit("sales", 1)))):
            begin = time.monotonic()
            answer = ledger.request(method, path, body)
            taken.append((time.monotonic() - begin) * 1000)
            assert answer.status == 200, f"{tag}: {answer.status} {answer.text[:200]}"
        n += 1
    return sorted(taken)


def tell(what, taken, grown_kb, clients):
    print(f"{what:32} {len(taken):6} requests: p50 {taken[len(taken) // 2]:6.2f} ms, "
          f"p99 {taken[len(taken) * 99 // 100]:6.2f} ms, most {taken[-1]:6.2f} ms"
          + (f"; {grown_kb / clients:6.1f} KiB for each of {clients}" if clients else ""), flush=True)


def beside(ledger, kind, count, seconds):
    first, octets = KINDS[kind]
    before, done = anonymous_kb(ledger), threading.Event()
    clients = [slow_client(ledger, first) for _ in range(count)]
    thread = threading.Thread(target=trickle, args=(clients, octets, done))
    thread.start()
    try:
        ledger.get("/v1/books/probe/trial-balance")  # what they asked for is answered as far as they let it
        ledger.get("/v1/books/probe/trial-balance")
        taken = probe(ledger, seconds, kind)
        tell(kind, taken, anonymous_kb(ledger) - before, count)
    finally:
        done.set()
        thread.join()
        for s in clients:
            s.close()


def rest(ledger, count, seconds):
    before = anonymous_kb(ledger)
    clients = [slow_client(ledger, HEALTH) for _ in range(count)]
    try:
        ledger.get("/v1/books/probe/trial-balance")
        tell("rest between two requests", probe(ledger, seconds, "rest"), anonymous_kb(ledger) - before, count)
    finally:
        for s in clients:
            s.close()


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--clients", type=int, default=40, help="slow ones of each kind")
    options.add_argument("--resting", type=int, default=500, help="connections that rest")
    options.add_argument("--seconds", type=float, default=0.5, help="of probing beside each kind")
    arguments = options.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    ledger = Ledger(workers=2)
    try:
        ledger.start()
        ledger.set_up("shop", "probe")
        for n in range(2):
            ledger.post(draft("shop", f"large-{n}", *[p for _ in range(1000) for p in (debit("cash", 1),
                                                                                       credit("cash", 1))]))
        pids = ledger.worker_pids()
        tell("nobody else", probe(ledger, arguments.seconds, "alone"), 0, 0)
        for kind in KINDS:
            beside(ledger, kind, arguments.clients, arguments.seconds)
        rest(ledger, arguments.resting, arguments.seconds)
        assert ledger.worker_pids() == pids, "a worker died"
        wait_until(lambda: ledger.request("GET", "/health").status == 200, "talead to answer")
    finally:
        ledger.close()


if __name__ == "__main__":
    main()
