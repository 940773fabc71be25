"""Signals to the master, and children that hang."""
import os
import signal
import socket
import subprocess
import threading

import pytest

from harness import TALEAD, posting_meanwhile, sale, wait_until


def notified(path):
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(path)
    notify.settimeout(60)
    return notify


def wait_for_word(notify, word):
    while True:
        message = notify.recv(4096).decode()
        if word in message.splitlines():
            return message


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
def test_each_stop_signal_ends_talead_with_status_0(make_ledger, number):
    ledger = make_ledger()
    ledger.set_up("shop")
    ledger.post(sale("shop", "k"))
    os.kill(ledger.pid, number)
    assert ledger.process.wait(60) == 0
    assert "stopped at log position" in ledger.stderr_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_was_acknowledged_when_a_stop_came_is_there(make_ledger, number):
    ledger = make_ledger()
    ledger.set_up("shop", "other")
    with posting_meanwhile(ledger, ["shop", "other"], drafts=5):
        for _ in range(3):
            wait_until(lambda seen=len(ledger.acknowledged): len(ledger.acknowledged) > seen + 20, "posts")
            os.kill(ledger.pid, number)
            assert ledger.process.wait(60) == 0
            ledger.start()
    ledger.check_invariants({"shop", "other"})


def post_meanwhile(ledger, key):
    """A post whose answer somebody waits for; the list gets the status, or the error."""
    answers = []

    def post():
        try:
            answers.append(ledger.request("POST", "/v1/transactions", sale("shop", key)).status)
        except OSError as error:
            answers.append(error)

    thread = threading.Thread(target=post)
    thread.start()
    return thread, answers


def in_flight(ledger):
    return sum(w["in_flight"] for w in ledger.status()["workers"])


def test_a_graceful_stop_waits_for_what_is_under_way(make_ledger):
    ledger = make_ledger(workers=1)
    ledger.set_up("shop")
    arbiter = ledger.arbiter_pid()
    os.kill(arbiter, signal.SIGSTOP)
    thread, answers = post_meanwhile(ledger, "k")
    wait_until(lambda: in_flight(ledger) == 1, "the post to be under way")
    os.kill(ledger.pid, signal.SIGTERM)
    wait_until(lambda: "stopping: Terminated" in ledger.stderr_text(), "the stop to begin")
    os.kill(arbiter, signal.SIGCONT)
    assert ledger.process.wait(60) == 0
    thread.join()
    assert answers == [200]


@pytest.mark.parametrize("number, timeout", [(signal.SIGTERM, 1), (signal.SIGINT, 3600)])
def test_workers_that_do_not_finish_in_time_are_killed_and_the_log_is_sealed(make_ledger, number, timeout):
    """SIGINT does not wait for the time of the setting."""
    ledger = make_ledger(workers=1, stop_timeout_secs=timeout)
    ledger.set_up("shop")
    arbiter = ledger.arbiter_pid()
    os.kill(arbiter, signal.SIGSTOP)
    thread, answers = post_meanwhile(ledger, "k")
    wait_until(lambda: in_flight(ledger) == 1, "the post to be under way")
    os.kill(ledger.pid, number)
    wait_until(lambda: "workers are killed" in ledger.stderr_text(), "them to be killed")
    os.kill(arbiter, signal.SIGCONT)
    assert ledger.process.wait(60) == 0
    thread.join()
    assert isinstance(answers[0], OSError), answers
    assert "stopped at log position" in ledger.stderr_text()


def test_ttin_and_ttou_are_one_worker_more_or_less(make_ledger):
    ledger = make_ledger(workers=2)
    for number, expected in [(signal.SIGTTIN, 3), (signal.SIGTTIN, 4), (signal.SIGTTOU, 3)]:
        os.kill(ledger.pid, number)
        wait_until(lambda: len(ledger.worker_pids()) == expected, f"{expected} workers")
    for expected in (2, 1):
        os.kill(ledger.pid, signal.SIGTTOU)
        wait_until(lambda: len(ledger.worker_pids()) == expected, f"{expected} workers")
    os.kill(ledger.pid, signal.SIGTTOU)
    wait_until(lambda: "1 stay" in ledger.stderr_text(), "the refusal")
    assert len(ledger.worker_pids()) == 1


def test_ctrl_c_in_a_terminal_stops_cleanly(make_ledger):
    """It reaches the whole process group."""
    ledger = make_ledger(start=False)
    with open(os.path.join(ledger.home, "stderr"), "ab") as log:
        ledger.process = subprocess.Popen([TALEAD, "serve"], cwd=ledger.home, env=ledger.env, stderr=log, process_group=0)
    wait_until(ledger.answers, "the server to answer")
    ledger.set_up("shop")
    ledger.post(sale("shop", "k"))
    os.killpg(ledger.pid, signal.SIGINT)
    assert ledger.process.wait(60) == 0
    assert "stopped at log position" in ledger.stderr_text()


@pytest.mark.parametrize("who", ["worker", "arbiter"])
def test_a_child_that_hangs_is_killed_and_replaced(make_ledger, who):
    ledger = make_ledger(workers=2, hang_timeout_secs=3)
    ledger.set_up("shop")
    pid = ledger.arbiter_pid() if who == "arbiter" else ledger.worker_pids()[0]
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: f"{pid} is killed: it has made no progress for 3 s" in ledger.stderr_text(), "it to be killed")
    ledger.drop_connection()
    ledger.post(sale("shop", "k"))
    assert pid not in [p for p, _ in ledger.children()]


def test_a_pause_of_all_of_talead_kills_nobody(make_ledger):
    ledger = make_ledger(workers=2, hang_timeout_secs=3)
    pids = [ledger.pid] + [p for p, _ in ledger.children()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    threading.Event().wait(8)  # nothing can be seen of a pause but that it passes
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    ledger.set_up("shop")
    ledger.post(sale("shop", "k"))
    assert "is killed" not in ledger.stderr_text()


def test_the_arbiter_is_the_last_that_the_kernel_kills_for_memory(make_ledger):
    ledger = make_ledger()

    def score(pid):
        with open(f"/proc/{pid}/oom_score_adj") as f:
            return int(f.read())
    assert all(score(p) > score(ledger.arbiter_pid()) for p in ledger.worker_pids())


# --- the service manager ---

def test_ready_reloading_and_stopping_are_told(make_ledger, tmp_path):
    ledger = make_ledger(start=False)
    path = os.path.join(tmp_path, "notify")
    with notified(path) as notify:
        ledger.env["NOTIFY_SOCKET"] = path
        ledger.start()
        assert "STATUS=serving" in wait_for_word(notify, "READY=1")
        os.kill(ledger.pid, signal.SIGHUP)
        assert "MONOTONIC_USEC=" in wait_for_word(notify, "RELOADING=1")
        wait_for_word(notify, "READY=1")
        ledger.stop()
        wait_for_word(notify, "STOPPING=1")


def test_the_watchdog_is_fed_while_all_make_progress_and_not_while_one_hangs(make_ledger, tmp_path):
    ledger = make_ledger(start=False, hang_timeout_secs=0)
    path = os.path.join(tmp_path, "notify")
    with notified(path) as notify:
        ledger.env.update(NOTIFY_SOCKET=path, WATCHDOG_USEC="6000000")
        ledger.start()
        for _ in range(2):
            wait_for_word(notify, "WATCHDOG=1")
        worker = ledger.worker_pids()[0]
        os.kill(worker, signal.SIGSTOP)
        notify.settimeout(6)
        with pytest.raises(TimeoutError):
            while True:
                notify.recv(4096)
        os.kill(worker, signal.SIGCONT)
        notify.settimeout(60)
        wait_for_word(notify, "WATCHDOG=1")
