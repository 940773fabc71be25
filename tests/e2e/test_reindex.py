"""talead reindex: index and spilled keys from the log alone; and what a service manager is told."""
import os
import re
import socket
import subprocess

from harness import PATIENCE_S, TALEAD, clean_environment, sale


def reindex(directory):
    return subprocess.run([TALEAD, "reindex", directory], env=clean_environment(), text=True, capture_output=True,
                          timeout=PATIENCE_S)


def filled(make_ledger, **settings):
    ledger = make_ledger(log_idem_hot_cap=20, log_segment_max=8192, **settings)
    ledger.set_up("a", "b")
    for n in range(40):
        ledger.post_batch([sale(book, f"k{n}-{i}") for i in range(5) for book in ("a", "b")])
    return ledger


def test_reindex_rebuilds_index_and_keys_from_the_log(make_ledger):
    ledger = filled(make_ledger)
    ledger.stop()
    of_before = [os.path.join(ledger.dir, name, "of-before") for name in ("index", "idempotency")]
    for path in of_before:
        open(path, "w").close()
    done = reindex(ledger.dir)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(rf"reindex: {ledger.dir}: 405 events, head [0-9a-f]{{64}} at position \d+, \d+\.\d s\n", done.stdout)
    assert not any(os.path.exists(path) for path in of_before), "both folders are new"
    ledger.start()
    assert "thrown away" not in ledger.stderr_text(), "the new index is taken as it is"
    for n in (0, 20, 39):
        assert ledger.post(sale("a", f"k{n}-0"))["deduplicated"]


def test_reindex_mends_an_index_that_is_wrong_in_itself(make_ledger):
    ledger = filled(make_ledger)
    ledger.kill9()
    path = os.path.join(ledger.dir, "index", "data.mdb")
    with open(path, "r+b") as f:
        f.seek(4096 * 2)
        f.write(os.urandom(4096 * 20))
    done = reindex(ledger.dir)
    assert done.returncode == 0, done.stderr
    ledger.start()  # the closing check compares all that it shows with the events


def test_reindex_refuses_a_ledger_that_is_served(make_ledger):
    ledger = filled(make_ledger)
    done = reindex(ledger.dir)
    assert done.returncode == 1 and f"data dir already locked by another process: {ledger.dir}" in done.stderr
    ledger.post(sale("a", "still-served"))


def test_reindex_makes_no_ledger_where_there_is_none(tmp_path):
    done = reindex(str(tmp_path))
    assert done.returncode == 1 and f"there is no ledger in {tmp_path}" in done.stderr
    assert os.listdir(tmp_path) == []
    assert reindex("--help-me").returncode == 2


def test_the_service_manager_is_told_of_readiness_and_of_the_stop(make_ledger, tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(PATIENCE_S)
        ledger = make_ledger(start=False)
        ledger.env["NOTIFY_SOCKET"] = path
        ledger.start()
        assert manager.recv(4096).decode().splitlines()[0] == "READY=1"
        ledger.stop()
        assert manager.recv(4096).decode().splitlines()[0] == "STOPPING=1"
