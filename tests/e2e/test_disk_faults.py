"""A disk that refuses: nothing of that batch is acknowledged, and the same key leads to the one true answer."""
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import credit, debit, draft, sale

STRACE = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "signal=none"]


def may_trace():
    try:
        return subprocess.run([*STRACE[:-4], "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@pytest.mark.skipif(not may_trace(), reason="strace may not trace here")
@pytest.mark.parametrize("call", ["fdatasync", "pwritev"])
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_a_commit_that_fails_acknowledges_nothing(make_ledger, call, error):
    ledger = make_ledger(workers=1)
    ledger.set_up("shop")
    ledger.stop()
    # Counted in each process by itself: the arbiter fails in the middle of the posts below, and so does its successor.
    ledger.env["ASAN_OPTIONS"] = "detect_leaks=0"  # a traced process cannot look for leaks; the next start can
    ledger.under = STRACE + ["-e", f"trace={call}", "-e", f"inject={call}:error={error}:when=6"]
    ledger.start()
    statuses = []
    for n in range(12):
        body = sale("shop", f"k{n}")
        answer = ledger.request("POST", "/v1/transactions", body)
        statuses.append(answer.status)
        if answer.status == 200:
            ledger.acknowledge("shop", f"k{n}", answer.json)
        else:
            assert answer.status == 503 and answer.headers["retry-after"] == "1", answer.text
            ledger.post(body)
    assert 503 in statuses, "the fault was met"
    assert "nothing of this group is acknowledged" in ledger.stderr_text()
    ledger.stop()
    ledger.under = []
    del ledger.env["ASAN_OPTIONS"]
    ledger.start()
    ledger.check_invariants(["shop"])


def post_until_taken(ledger, client, statuses):
    for n in range(12):
        key, status = f"{client}-{n}", None
        while status != 200:
            answer = ledger.request("POST", "/v1/transactions", sale("shop", key))
            status = answer.status
            statuses.append(status)
            assert status == 200 or (status == 503 and answer.headers["retry-after"] == "1"), answer.text
        ledger.acknowledge("shop", key, answer.json)


@pytest.mark.skipif(not may_trace(), reason="strace may not trace here")
@pytest.mark.parametrize("call", ["fdatasync", "pwritev"])
def test_what_was_decided_while_a_batch_failed_is_not_acknowledged_either(make_ledger, call):
    ledger = make_ledger(workers=1, write_batch_max=1)  # so that others wait, and are decided meanwhile
    ledger.set_up("shop")
    ledger.stop()
    trace = ledger.home + "/trace"
    ledger.env["ASAN_OPTIONS"] = "detect_leaks=0"
    ledger.under = ["strace", "-D", "-f", "-qq", "-o", trace, "-e", "signal=none", "-e", f"trace={call}",
                    "-e", f"inject={call}:error=EIO:when=25"]
    ledger.start()
    statuses = []
    with ThreadPoolExecutor(8) as clients:
        for done in [clients.submit(post_until_taken, ledger, n, statuses) for n in range(8)]:
            done.result()
    ledger.stop()
    assert 503 in statuses, "the fault was met"
    assert "writing the log failed" in ledger.stderr_text()
    with open(trace) as f:
        callers = {line.split()[0] for line in f if call in line}
    assert len(callers) > 1, "a thread wrote while others were decided"
    ledger.under = []
    del ledger.env["ASAN_OPTIONS"]
    ledger.start()
    ledger.check_invariants(["shop"])


@pytest.mark.skipif(not may_trace(), reason="strace may not trace here")
def test_a_start_writes_and_syncs_the_last_batch_anew(make_ledger):
    """After a failed fdatasync the page cache shows what the disk may not have: only a new write makes sure."""
    ledger = make_ledger(workers=1)
    ledger.set_up("shop")
    ledger.post(sale("shop", "last"))
    ledger.kill9()
    trace = ledger.home + "/trace"
    ledger.env["ASAN_OPTIONS"] = "detect_leaks=0"
    ledger.under = ["strace", "-D", "-f", "-qq", "-y", "-o", trace, "-e", "signal=none",
                    "-e", "trace=pwrite64,pwritev,fdatasync"]
    ledger.start()
    calls = [line for line in open(trace) if "/log/segment-" in line]
    # A batch begins with the magic TLBT; behind it the zeros up to the file's end.
    again = next(n for n, call in enumerate(calls) if "pwrite64" in call and '"TLBT' in call)
    synced = next(n for n, call in enumerate(calls) if "fdatasync" in call)
    assert again < synced, calls
    ledger.stop()
    ledger.under = []
    ledger.start()


@pytest.mark.skipif(not may_trace(), reason="strace may not trace here")
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_an_index_that_cannot_grow_ends_the_arbiter_in_order(make_ledger, error):
    """LMDB has no map at all when it could not make the greater one, so there is nothing to go on with."""
    ledger = make_ledger(workers=1)
    ledger.set_up("shop")
    ledger.stop()
    ledger.env["ASAN_OPTIONS"] = "detect_leaks=0"
    # The first one makes the map of the start, the second one the greater map that the wide post needs.
    ledger.under = STRACE + ["-e", "trace=ftruncate", "-e", f"inject=ftruncate:error={error}:when=2"]
    ledger.start()
    wide = draft("shop", "wide", *[debit("cash", 1)] * 400, *[credit("sales", 1)] * 400)
    assert ledger.request("POST", "/v1/transactions", wide).status == 503
    ledger.post(wide)
    text = ledger.stderr_text()
    assert "could not make a batch durable (status 5)" in text and "was killed by signal" not in text, text
    ledger.stop()
    ledger.under = []
    ledger.start()
    ledger.check_invariants(["shop"])
