"""A talead that nobody asks anything of lets the machine sleep.

Wake-ups are counted, so a slow machine makes no odds; who never sleeps has none, and is found by the CPU time it takes.
"""
import contextlib
import os
import threading
import time

from harness import sale, wait_until
from raw_http import connect

WINDOW_S = 5
A_SECOND = 5  # over a master, an arbiter and two workers, of which each looks around once a second
ODD_ONES = 5  # in a window: what a page fault or a lock of the kernel's adds
CPU_SHARE = 0.03  # of a core: some thirty times what it takes


def tasks(pids):
    return [f"/proc/{pid}/task/{task}" for pid in pids for task in os.listdir(f"/proc/{pid}/task")]


def wakeups(pids):
    """How often they have slept so far, over all their threads."""
    count = 0
    for task in tasks(pids):
        with open(f"{task}/status") as f:
            count += next(int(line.split()[1]) for line in f if line.startswith("voluntary_ctxt_switches"))
    return count


def cpu_s(pids):
    total_ns = 0
    for task in tasks(pids):
        with open(f"{task}/schedstat") as f:
            total_ns += int(f.read().split()[0])
    return total_ns / 1e9


def sleeps(ledger):
    """For one window; what is done after a load, as filling the log ahead, may make one that is not the first."""
    pids = ledger.all_pids()
    began, woken, busy_s = time.monotonic(), wakeups(pids), cpu_s(pids)
    threading.Event().wait(WINDOW_S)  # nothing can be seen of sleep but that it passes
    woken, busy_s, took_s = wakeups(pids) - woken, cpu_s(pids) - busy_s, time.monotonic() - began
    print(f"{woken} wake-ups in {took_s:.1f} s, {busy_s / took_s:.2%} of a core")
    return woken <= A_SECOND * took_s + ODD_ONES and busy_s <= CPU_SHARE * took_s


def rest_between_requests(ledger):
    connection = connect(ledger)
    connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    return connection


def test_a_new_ledger_sleeps(make_ledger):
    ledger = make_ledger(workers=2, metrics=True)
    wait_until(lambda: sleeps(ledger), "a window of sleep")


def test_clients_that_rest_wait_or_do_not_read_wake_nobody(make_ledger):
    ledger = make_ledger(workers=2, body_timeout_secs=600, request_timeout_secs=600, write_timeout_secs=600)
    ledger.set_up("shop")
    for n in range(40):
        ledger.post_batch([sale("shop", f"{n}-{i}", metadata={"note": "n" * 400}) for i in range(100)])
    with contextlib.ExitStack() as clients:
        for _ in range(64):
            clients.enter_context(rest_between_requests(ledger))
        half = clients.enter_context(connect(ledger))
        half.sendall(b"POST /v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        clients.enter_context(ledger.stream("shop"))  # takes its head, and leaves the rest to the kernel's buffers
        follower = clients.enter_context(ledger.stream("shop", last_event_id=4000))
        wait_until(lambda: follower.next(0.1) is None, "the follower to have all")
        wait_until(lambda: sleeps(ledger), "a window of sleep")
        ledger.post(sale("shop", "wakes them"))
        assert follower.next()["payload"]["idempotency_key"] == "wakes them"
