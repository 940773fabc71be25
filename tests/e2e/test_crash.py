"""kill -9 of a worker, of the arbiter, of everything: what was acknowledged is there, once, and service goes on."""
import os
import signal
import threading

import pytest

from harness import ROUNDS, is_running, sale, wait_until


class Load:
    """Threads that post until told to stop, each retrying its key until it is acknowledged."""

    def __init__(self, ledger, books, threads=8):
        self.ledger, self.books, self.stopping = ledger, books, False
        self.count = 0
        self.errors = []
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True) for n in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self, worker):
        n = 0
        try:
            while not self.stopping:
                book = self.books[(worker + n) % len(self.books)]
                key = f"{os.getpid()}-{id(self)}-{worker}-{n}"
                if n % 5 == 4:
                    self.ledger.post_batch([sale(book, f"{key}-{i}") for i in range(10)])
                else:
                    self.ledger.post(sale(book, key))
                self.count += 1
                n += 1
        except Exception as error:  # whoever stops the load shows it
            self.errors.append(error)

    def wait_for(self, more):
        target = self.count + more
        wait_until(lambda: self.count >= target or self.errors, f"{more} more posts")
        assert not self.errors, self.errors

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(90)
        assert not any(thread.is_alive() for thread in self.threads), "a post was never answered"
        assert not self.errors, self.errors


BOOKS = ["a", "b", "c"]


@pytest.fixture
def busy(make_ledger):
    """Rotation, snapshots and spills made frequent."""
    ledger = make_ledger(workers=2, log_segment_max=65536, log_snapshot_every=300, log_idem_hot_cap=200)
    ledger.set_up(*BOOKS)
    return ledger


def test_a_killed_worker_is_replaced_and_nothing_is_lost(busy):
    load = Load(busy, BOOKS)
    for n in range(ROUNDS):
        load.wait_for(100)
        pids = busy.worker_pids()
        os.kill(pids[n % 2], signal.SIGKILL)
        wait_until(lambda: len(busy.worker_pids()) == 2 and busy.worker_pids() != pids, "another worker")
    load.wait_for(100)
    load.stop()
    assert busy.stderr_text().count("was killed by signal 9") == ROUNDS
    busy.check_invariants(BOOKS)


def test_a_killed_arbiter_is_replaced_and_nothing_is_lost(busy):
    load = Load(busy, BOOKS)
    workers = busy.worker_pids()
    for _ in range(ROUNDS):
        load.wait_for(100)
        pid = busy.arbiter_pid()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: busy.arbiter_pid() not in (None, pid), "another arbiter")
    load.wait_for(100)
    load.stop()
    assert busy.worker_pids() == workers, "the workers live on"
    busy.check_invariants(BOOKS)


def test_an_arbiter_that_dies_of_a_fault_leaves_nothing_that_is_believed(busy):
    """Its index is mapped for writing, and damage in what it reads may be why: the next one would die of it again."""
    for n in range(10):
        busy.post_batch([sale("a", f"{n}-{i}") for i in range(50)])
    pid = busy.arbiter_pid()
    os.kill(pid, signal.SIGABRT)  # as SIGSEGV, which a sanitizer takes for itself
    wait_until(lambda: busy.arbiter_pid() not in (None, pid), "another arbiter")
    assert all(slot["deduplicated"] for slot in busy.post_batch([sale("a", f"0-{i}") for i in range(50)]))
    assert "is thrown away (the arbiter before this one died of it)" in busy.stderr_text()
    busy.check_invariants(BOOKS)


def test_after_everything_was_killed_every_acknowledged_key_is_there_once(busy):
    for _ in range(ROUNDS):
        load = Load(busy, BOOKS)
        load.wait_for(150)
        load.stopping = True
        busy.kill9()
        busy.start()
        load.stop()  # each thread's last post was under way: its key must lead to the one true answer
        busy.check_invariants(BOOKS)


def test_requests_that_wait_for_a_dying_arbiter_get_503_and_retry_after(make_ledger):
    from test_metrics import scrape, total
    ledger = make_ledger(workers=1, metrics=True)
    ledger.set_up("shop")
    pid = ledger.arbiter_pid()
    os.kill(pid, signal.SIGSTOP)  # nothing is answered any more
    answers = []
    thread = threading.Thread(target=lambda: answers.append(ledger.request("POST", "/v1/transactions", sale("shop", "k"))))
    thread.start()
    wait_until(lambda: total(scrape(ledger), "talea_requests_in_flight") >= 1, "the post to wait for the arbiter")
    assert ledger.request("GET", "/health").status == 200, "reads go on"
    os.kill(pid, signal.SIGKILL)
    thread.join(30)
    assert answers[0].status == 503
    assert answers[0].headers["retry-after"] == "1"
    assert answers[0].json == {"error": "overloaded"}
    ledger.post(sale("shop", "k"))  # the same key leads to the one true answer, which the closing check looks for


def test_children_leave_when_the_master_is_killed(make_ledger):
    ledger = make_ledger(workers=2)
    pids = [p for p, _ in ledger.children()]
    assert len(pids) == 3
    os.kill(ledger.pid, signal.SIGKILL)
    ledger.process.wait()
    wait_until(lambda: not any(is_running(p) for p in pids), "the children to leave", 10)
    ledger.start()


def test_a_worker_killed_while_it_reads_stops_nobody(make_ledger):
    ledger = make_ledger(workers=2)
    ledger.set_up("shop")
    for n in range(ROUNDS * 3):
        os.kill(ledger.worker_pids()[0], signal.SIGKILL)
        for i in range(50):
            ledger.post(sale("shop", f"k-{n}-{i}"))
        wait_until(lambda: len(ledger.worker_pids()) == 2, "another worker")
