"""Settings and tokens read again while talead serves."""
import json
import os
import re
import signal

import pytest

from harness import sale, wait_until


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def configured(make_ledger, tmp_path, text="", **settings):
    config = os.path.join(tmp_path, "talea.yaml")
    write(config, text or "{}\n")
    ledger = make_ledger(config=config, **settings)
    return ledger, config


def write_tokens(ledger, **tokens):
    write(ledger.env["TALEA_TOKENS_FILE"], "tokens:\n" + "".join(
        f"  {name}: {json.dumps(entry)}\n" for name, entry in tokens.items()))


def test_a_reload_takes_new_values(make_ledger, tmp_path):
    ledger, config = configured(make_ledger, tmp_path, "http_batch_max: 3\n")
    ledger.set_up("shop")
    batch = [sale("shop", f"k{n}") for n in range(4)]
    assert ledger.request("POST", "/v1/transactions/batch", batch).status == 400
    write(config, "http_batch_max: 4\n")
    done = ledger.admin("reload", "--config", config)
    assert done.returncode == 0 and "reloaded" in done.stdout
    wait_until(lambda: ledger.request("POST", "/v1/transactions/batch", batch).status == 200, "the new limit")


@pytest.mark.parametrize("how", ["command", "signal"])
def test_a_bad_file_changes_nothing_and_says_why(make_ledger, tmp_path, how):
    ledger, config = configured(make_ledger, tmp_path, "http_batch_max: 3\n")
    workers = ledger.worker_pids()
    write(config, "http_batch_max: 4\nworkerz: 3\n")
    if how == "command":
        done = ledger.admin("reload", "--db-url", f"log://{ledger.dir}")
        assert done.returncode == 1
        assert re.search(r'talea.yaml:2: unknown key "workerz", the nearest known one is "workers"', done.stderr)
        assert "nothing is changed" in done.stderr
    else:
        os.kill(ledger.pid, signal.SIGHUP)
    wait_until(lambda: "reload:" in ledger.stderr_text(), "the fault to be logged")
    assert ledger.worker_pids() == workers


def test_what_takes_a_restart_is_named_and_keeps_its_value(make_ledger, tmp_path):
    ledger, config = configured(make_ledger, tmp_path, "write_queue_depth: 100\n")
    write(config, "write_queue_depth: 200\nlog_segment_max: 1000000\nworkers: 3\n")
    done = ledger.admin("reload", "--db-url", f"log://{ledger.dir}")
    assert done.returncode == 0
    assert "TALEA_WRITE_QUEUE_DEPTH is changed, which takes a restart" in done.stdout
    assert "TALEA_LOG_SEGMENT_MAX is changed, which takes a restart" in done.stdout
    assert "TALEA_WORKERS" not in done.stdout
    again = ledger.admin("reload", "--db-url", f"log://{ledger.dir}")
    assert "TALEA_WRITE_QUEUE_DEPTH" in again.stdout, "it is still not what the file says"


def test_a_reload_brings_a_new_number_of_workers_and_else_leaves_the_operators(make_ledger, tmp_path):
    config = os.path.join(tmp_path, "talea.yaml")
    write(config, "workers: 2\n")
    ledger = make_ledger(config=config, start=False)
    del ledger.env["TALEA_WORKERS"]
    ledger.start()
    url = ("--db-url", f"log://{ledger.dir}")
    assert ledger.admin("workers", "4", *url).returncode == 0
    assert ledger.admin("reload", *url).returncode == 0
    wait_until(lambda: len(ledger.worker_pids()) == 4, "four workers")
    write(config, "workers: 3\n")
    assert ledger.admin("reload", *url).returncode == 0
    wait_until(lambda: len(ledger.worker_pids()) == 3, "three workers")


def test_a_removed_token_opens_nothing_any_more_and_its_streams_end(make_ledger):
    entry = {"books": ["*"], "access": "rw"}
    ledger = make_ledger(tokens={"old": {**entry, "token": "old-secret"}, "new": {**entry, "token": "new-secret"}},
                         start=False)
    ledger.token = "old-secret"
    ledger.start()
    ledger.set_up("shop")
    with ledger.stream("shop") as stream:
        assert stream.next()["seq"] == 1
        write_tokens(ledger, new={**entry, "token": "new-secret"})
        os.kill(ledger.pid, signal.SIGHUP)
        with pytest.raises(EOFError):
            while True:
                stream.next()
    wait_until(lambda: ledger.request("GET", "/v1/books/shop/trial-balance").status == 401, "the token to be refused")
    ledger.token = "new-secret"
    assert ledger.request("GET", "/v1/books/shop/trial-balance").status == 200
    assert "secret" not in ledger.stderr_text()


def test_a_tokens_file_with_a_fault_leaves_the_old_tokens(make_ledger):
    entry = {"token": "old-secret", "books": ["*"], "access": "rw"}
    ledger = make_ledger(tokens={"one": entry}, start=False)
    ledger.token = "old-secret"
    ledger.start()
    write_tokens(ledger, one={**entry, "access": "all"})
    done = ledger.admin("reload")
    assert done.returncode == 1 and "one" in done.stderr and "secret" not in done.stderr
    assert ledger.request("GET", "/v1/books/shop/trial-balance").status == 200


def test_the_token_of_the_environment_outlives_a_reload(make_ledger):
    ledger = make_ledger(api_token="of-the-environment")
    workers = ledger.worker_pids()
    assert ledger.admin("reload").returncode == 0
    wait_until(lambda: not set(workers) & set(ledger.worker_pids()), "new workers")
    ledger.drop_connection()
    assert ledger.request("GET", "/v1/books/shop/trial-balance").status == 200
    ledger.token = None
    ledger.drop_connection()
    assert ledger.request("GET", "/v1/books/shop/trial-balance").status == 401
    for pid in [ledger.pid] + [p for p, _ in ledger.children()]:
        with open(f"/proc/{pid}/environ", "rb") as f:
            assert b"of-the-environment" not in f.read()


def test_many_reloads_in_a_row_end_with_as_many_workers_as_wanted(make_ledger):
    ledger = make_ledger(workers=3)
    with ledger.stream("shop"):
        for _ in range(30):
            assert ledger.admin("reload").returncode == 0
    wait_until(lambda: len(ledger.worker_pids()) == 3, "three workers")
    ledger.set_up("shop")
    ledger.post(sale("shop", "k"))
    assert "is killed" not in ledger.stderr_text()
