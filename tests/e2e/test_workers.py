"""Several workers over one ledger."""
import http.client
import json
import os
import signal
import subprocess
import threading

import pytest

from harness import debit, credit, draft, sale, wait_until
from test_disk_faults import may_trace


def fresh_read(ledger, path):
    connection = http.client.HTTPConnection("127.0.0.1", ledger.port, timeout=20)
    connection.request("GET", path)
    body = connection.getresponse().read()
    connection.close()
    return body


def test_every_worker_shows_a_write_the_moment_it_is_answered(make_ledger):
    ledger = make_ledger(workers=4)
    ledger.set_up("shop")
    for n in range(1, 101):
        posted = ledger.post(sale("shop", f"k{n}"))
        for _ in range(8):
            body = fresh_read(ledger, "/v1/books/shop/accounts/cash/balance")
            assert b'"updated_seq":%d}' % posted["seq"] in body, body
        assert posted["tx_id"].encode() in fresh_read(ledger, "/v1/transactions/" + posted["tx_id"])


def test_the_first_post_of_a_worker_is_not_refused(make_ledger):
    """A worker takes connections once its rings are open."""
    ledger = make_ledger(workers=8)
    ledger.set_up("shop")
    body = json.dumps(sale("shop", "k")).encode()
    for _ in range(8):
        ledger.restart()
        for _ in range(16):
            connection = http.client.HTTPConnection("127.0.0.1", ledger.port, timeout=20)
            connection.request("POST", "/v1/transactions", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            connection.close()


def test_processes_say_who_they_are(make_ledger):
    ledger = make_ledger(workers=3)
    titles = sorted(title for _, title in ledger.children())
    assert titles == [f"talead: arbiter {ledger.dir}"] + [f"talead: worker {n} {ledger.dir}" for n in range(3)]
    with open(f"/proc/{ledger.pid}/cmdline") as f:
        assert f.read().split("\0")[0] == f"talead: master {ledger.dir}"


def test_concurrent_posts_of_one_key_commit_once(make_ledger):
    ledger = make_ledger(workers=4)
    ledger.set_up("shop")
    answers = []

    def post():
        for n in range(30):
            answers.append((n, ledger.post(sale("shop", f"same-{n}"))))

    threads = [threading.Thread(target=post) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(30):
        same = [a for m, a in answers if m == n]
        assert len({a["tx_id"] for a in same}) == 1
        assert sum(not a["deduplicated"] for a in same) == 1
    assert ledger.balance("shop", "cash")["balance"] == "0.30"


def test_an_overdraft_is_refused_however_many_try_at_once(make_ledger):
    ledger = make_ledger(workers=4)
    ledger.register()
    ledger.open("bank", "till", normal_side="debit", min_balance=0)
    ledger.open("bank", "out")
    ledger.post(draft("bank", "fill", debit("till", 100), credit("out", 100)))
    statuses = []

    def spend(worker):
        for n in range(20):
            body = draft("bank", f"s-{worker}-{n}", debit("out", 3), credit("till", 3))
            statuses.append(ledger.insist("POST", "/v1/transactions", body).status)

    threads = [threading.Thread(target=spend, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses.count(200) == 33 and statuses.count(409) == 160 - 33
    assert ledger.balance("bank", "till")["balance"] == "0.01"


def test_a_graceful_stop_answers_what_is_under_way(make_ledger):
    ledger = make_ledger(workers=2)
    ledger.set_up("shop")
    outcomes = []

    def post(worker):
        n = 0
        while True:
            try:
                answer = ledger.request("POST", "/v1/transactions", sale("shop", f"g-{worker}-{n}"))
            except OSError:
                return
            if answer.status == 200:
                ledger.acknowledge("shop", f"g-{worker}-{n}", answer.json)
                outcomes.append(1)
            n += 1

    threads = [threading.Thread(target=post, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(outcomes) >= 300, "some load")
    assert ledger.stop() < 10
    for thread in threads:
        thread.join(20)
    ledger.start()
    ledger.check_invariants(["shop"])


def is_traced(pid):
    with open(f"/proc/{pid}/status") as f:
        return "TracerPid:\t0\n" not in f.read()


@pytest.mark.skipif(not may_trace(), reason="strace may not trace here")
def test_a_worker_that_dies_as_it_rings_does_not_leave_the_arbiter_asleep(make_ledger):
    """The worst microsecond: the arbiter's sleep flag is taken, so no other worker rings, and nobody has rung."""
    ledger = make_ledger(workers=2)
    ledger.set_up("shop")
    victim, other = ledger.worker_pids()
    strace = subprocess.Popen(["strace", "-qq", "-o", "/dev/null", "-p", str(victim), "-e", "trace=write",
                               "-e", "inject=write:error=EIO:signal=KILL:when=1"])
    wait_until(lambda: is_traced(victim), "strace to hold the worker")
    ledger.drop_connection()
    os.kill(other, signal.SIGSTOP)  # it would accept faster than one that is traced
    try:
        with pytest.raises(OSError):
            ledger.request("POST", "/v1/transactions", sale("shop", "k"))
    finally:
        os.kill(other, signal.SIGCONT)
    assert strace.wait(20) is not None and victim not in ledger.worker_pids()
    answer = ledger.request("POST", "/v1/transactions", sale("shop", "after"))
    assert answer.status == 200, answer.text
    assert other in ledger.worker_pids()
