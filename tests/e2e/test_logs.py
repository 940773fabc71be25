"""What the operator's log says, in which form, and the ids by which it names requests."""
import contextlib
import json
import os
import re
import signal
import socket
import stat
import threading
import time

import pytest

from harness import PATIENCE_S, quote, sale, wait_until
from test_disk_faults import STRACE, may_trace

PROCESS = r"(master|arbiter|snapshot|worker \d+)\[\d+\]: "
TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warning|info|debug) " + PROCESS)
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
TOKENS = {"payments": {"token": "s3cret-payments", "books": ["shop"], "access": "rw"}}


@pytest.fixture(autouse=True)
def no_journal(monkeypatch):
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)


def log_lines(ledger):
    """Of its JSON log, each parsed: a line that does not parse fails the test that looks."""
    path = ledger.env.get("TALEA_LOG_FILE")
    if not path:
        return [json.loads(line) for line in ledger.stderr_text().splitlines()]
    with open(path) as f:
        return [json.loads(line) for line in f]


def line_of(ledger, request_id):
    """The one line of this request."""
    def find():
        return [line for line in log_lines(ledger) if line.get("request_id") == request_id]

    lines = wait_until(find, f"a line of {request_id}")
    assert len(lines) == 1, lines
    return lines[0]


def talk(port, data):
    """Raw bytes to the socket, and all that comes back until it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as s:
        s.sendall(data)
        got = b""
        while piece := s.recv(65536):
            got += piece
        return got


@contextlib.contextmanager
def arbiter_stopped(ledger, seconds):
    """Whatever the arbiter has to do in this block takes that long."""
    pid = ledger.arbiter_pid()
    os.kill(pid, signal.SIGSTOP)
    begin = time.monotonic()
    try:
        yield
        wait_until(lambda: time.monotonic() - begin > seconds, "the arbiter to be late")
    finally:
        os.kill(pid, signal.SIGCONT)


def post_late(ledger, request_id, seconds, path="/v1/transactions", body=None):
    """A post that takes that long, and its answer."""
    answers = []

    def post():
        headers = {"X-Request-Id": request_id}
        answers.append(ledger.request("POST", path, body or sale("shop", request_id), headers))

    thread = threading.Thread(target=post)
    with arbiter_stopped(ledger, seconds):
        thread.start()
    thread.join(PATIENCE_S)
    assert answers[0].status == 200, answers[0].text
    return answers[0]


# --- form ---

def test_text_lines_have_time_level_process_and_message(ledger):
    ledger.set_up("shop")
    ledger.stop()
    lines = ledger.stderr_text().splitlines()
    assert len(lines) >= 4
    for line in lines:
        assert TEXT.match(line), line


def test_json_lines_are_objects_with_time_level_process_pid_and_message(make_ledger):
    ledger = make_ledger(log_format="json", workers=1)
    ledger.set_up("shop")
    pids = {"master": ledger.pid, "arbiter": ledger.arbiter_pid()}
    ledger.stop()
    lines = log_lines(ledger)
    assert {line["process"] for line in lines} >= {"master", "arbiter"}
    for line in lines:
        assert list(line)[:5] == ["time", "level", "process", "pid", "message"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        assert line["level"] in ("error", "warning", "info", "debug")
        assert line["pid"] == pids.get(line["process"], line["pid"])
    assert any(line["message"].startswith("ready: serving") for line in lines)


def start_into_journal(ledger):
    """Standard error is what JOURNAL_STREAM names."""
    path = os.path.join(ledger.home, "stderr")
    with open(path, "a"):
        st = os.stat(path)
    ledger.env["JOURNAL_STREAM"] = f"{st.st_dev}:{st.st_ino}"
    return ledger.start()


def test_the_journal_gets_priorities_and_only_when_nothing_else_was_asked_for(make_ledger):
    ledger = start_into_journal(make_ledger(start=False))
    ledger.stop()
    lines = ledger.stderr_text().splitlines()
    assert len(lines) >= 4
    for line in lines:
        assert re.match("<[3467]>" + PROCESS, line), line
    assert any(line.startswith("<4>master") and "OPEN MODE" in line for line in lines)
    text = start_into_journal(make_ledger(start=False, log_format="text"))
    assert TEXT.match(text.stderr_text().splitlines()[0])
    assert log_lines(start_into_journal(make_ledger(start=False, log_format="json")))


@pytest.mark.parametrize("level, warns, informs", [("error", 0, 0), ("warning", 1, 0), ("info", 1, 1), ("debug", 1, 1)])
def test_lines_above_the_level_are_not_written(make_ledger, level, warns, informs):
    ledger = make_ledger(log_level=level)
    ledger.stop()
    said = ledger.stderr_text()
    assert said.count("OPEN MODE") == warns and said.count("ready: serving") == informs
    assert (said == "") == (level == "error")


@pytest.mark.parametrize("name, value, said", [
    ("log_level", "loud", 'must be error, warning, info or debug, got "loud"'),
    ("log_level", "INFO", 'must be error, warning, info or debug, got "INFO"'),
    ("log_format", "xml", 'must be auto, text or json, got "xml"'),
    ("access_log", "true", 'must be no or yes, got "true"'),
    ("access_log", "", "must not be empty"),
    ("slow_request_ms", "-1", 'must be a whole number, got "-1"'),
    ("slow_request_ms", "3600001", "3600001 is more than 3600000"),
    ("slow_commit_ms", "1s", 'must be a whole number, got "1s"'),
    ("log_file", "", "must not be empty"),
    ("log_file", "missing/log", "cannot open missing/log: No such file or directory"),
    ("log_file", ".", "cannot open .: Is a directory"),
])
def test_a_bad_value_stops_the_start_with_one_line(make_ledger, name, value, said):
    ledger = make_ledger(start=False)
    ledger.env["TALEA_" + name.upper()] = value
    assert ledger.start_refused() == 1
    assert ledger.stderr_text() == f"talead: invalid TALEA_{name.upper()}: {said}\n"


# --- request ids ---

def test_every_kind_of_answer_has_an_id_of_its_own(make_ledger):
    ledger = make_ledger(tokens=TOKENS, metrics=True)
    ledger.token = "s3cret-payments"
    answers = [
        (200, ledger.request("GET", "/health")),
        (200, ledger.request("HEAD", "/health")),
        (404, ledger.request("GET", "/nowhere")),
        (404, ledger.request("GET", "/v1/books/shop/accounts/cash/balance")),
        (400, ledger.request("GET", "/v1/books/shop/trial-balance?as_of=never")),
        (405, ledger.request("DELETE", "/v1/assets")),
        (415, ledger.request("POST", "/v1/assets", raw=b"{}", headers={"Content-Type": "text/plain"})),
        (403, ledger.request("POST", "/v1/assets", {"id": "USD", "class": "fiat", "precision": 2, "name": "USD"})),
        (401, ledger.request("GET", "/v1/books/shop/trial-balance", headers={"Authorization": "Bearer wrong"})),
    ]
    for status, answer in answers:
        assert answer.status == status, answer.text
        assert UUID.fullmatch(answer.headers["x-request-id"]), answer.headers
    ids = {answer.headers["x-request-id"] for _, answer in answers}
    assert len(ids) == len(answers)


def test_a_stream_and_the_metrics_have_one_too(make_ledger):
    ledger = make_ledger(metrics=True)
    ledger.set_up("shop")
    with ledger.stream("shop") as stream:
        assert UUID.fullmatch(stream.headers["x-request-id"])
    assert b"\r\nx-request-id: stream-1\r\n" in talk(
        ledger.port, b"HEAD /v1/books/shop/events HTTP/1.0\r\nX-Request-Id: stream-1\r\n\r\n")
    assert b"\r\nx-request-id: scrape-1\r\n" in talk(
        ledger.metrics_port, b"GET /metrics HTTP/1.0\r\nX-Request-Id: scrape-1\r\n\r\n")


@pytest.mark.parametrize("head", [
    b"Content-Length: 99999999\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
])
def test_what_http_refuses_before_it_is_a_whole_request_has_its_id(make_ledger, head):
    ledger = make_ledger(access_log="yes", log_format="json")
    for sent, got in ((b"X-Request-Id: odd-1\r\n", b"odd-1"), (b"X-Request-Id: a b\r\n", None), (b"", None)):
        answer = talk(ledger.port, b"POST /v1/books/shop/events?q=s3cret HTTP/1.1\r\nHost: x\r\n" + sent + head)
        assert answer.startswith(b"HTTP/1.1 400 ") and b'"invalid_draft"' in answer
        found = re.findall(rb"\r\nx-request-id: ([^\r]*)\r\n", answer)
        assert len(found) == 1 and (found[0] == got or got is None and UUID.fullmatch(found[0].decode()))
    line = line_of(ledger, "odd-1")
    assert line["message"].startswith("request refused") and line["level"] == "info"
    assert (line["method"], line["route"], line["book"]) == ("POST", "/v1/books/{book}/events", "shop")
    assert line["status"] == 400
    assert "s3cret" not in ledger.stderr_text()


@pytest.mark.parametrize("sent", [
    "a", "0", "order-9", "A-Za-z0-9._:/+=@-", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "x" * 128,
])
def test_a_sane_id_is_taken_over(ledger, sent):
    for path in ("/health", "/nowhere"):
        answer = ledger.request("GET", path, headers={"X-Request-ID": sent})
        assert answer.headers["x-request-id"] == sent


@pytest.mark.parametrize("sent", [
    b"", b"x" * 129, b"a b", b"a\tb", b"a,b", b'a"b', b"a;b", b"a<b>", b"a%0d%0aevil:1", b"a\\r\\nevil: 1", b"\xc3\xbc",
    b"\xff", b"\x1b[2J", b"a_b{c}", b"x" * 10000,
])
def test_another_id_is_replaced(ledger, sent):
    answer = talk(ledger.port, HEALTH + b"X-Request-Id: " + sent + b"\r\n\r\n")
    ids = re.findall(rb"\r\nx-request-id: ([^\r]*)\r\n", answer)
    # A byte that no field may hold is no HTTP at all.
    assert answer.startswith(b"HTTP/1.1 400 " if sent == b"\x1b[2J" else b"HTTP/1.1 200 ")
    assert len(ids) == 1 and UUID.fullmatch(ids[0].decode())
    assert b"evil" not in answer


def test_two_ids_are_replaced_by_one(ledger):
    answer = talk(ledger.port, HEALTH + b"X-Request-Id: one\r\nAccept: */*\r\nx-request-id: two\r\n\r\n")
    ids = re.findall(rb"\r\nx-request-id: ([^\r]*)\r\n", answer)
    assert len(ids) == 1 and UUID.fullmatch(ids[0].decode())


def test_a_bare_line_feed_forges_no_field_of_the_answer(ledger):
    answer = talk(ledger.port, HEALTH + b"X-Request-Id: one\nx-evil: 1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ") and b"evil" not in answer and b"one" not in answer


# --- lines of requests ---

def test_a_slow_request_has_a_line_with_its_id(make_ledger):
    ledger = make_ledger(log_format="json", slow_request_ms=300, log_level="warning", api_token="s3cret")
    ledger.set_up("shop")
    assert post_late(ledger, "slow-1", 0.6).headers["x-request-id"] == "slow-1"
    line = line_of(ledger, "slow-1")
    assert (line["level"], line["message"]) == ("warning", "slow request") and line["process"].startswith("worker ")
    assert (line["method"], line["route"], line["book"]) == ("POST", "/v1/transactions", "shop")
    assert (line["status"], line["token"]) == (200, "TALEA_API_TOKEN") and line["duration_ms"] > 300
    post_late(ledger, "slow-2", 0.6, "/v1/transactions/batch", [sale("shop", f"b{n}") for n in range(3)])
    line = line_of(ledger, "slow-2")
    assert line["route"] == "/v1/transactions/batch" and line["drafts"] == 3 and "book" not in line


def test_a_stream_is_never_slow_and_with_0_nothing_is(make_ledger):
    ledger = make_ledger(log_format="json", slow_request_ms=0)
    ledger.set_up("shop")
    post_late(ledger, "late", 1.2)
    strict = make_ledger(log_format="json", slow_request_ms=1, workers=1)
    strict.set_up("shop")
    with strict.stream("shop") as stream:
        post_late(strict, "slow", 0.1)
        while stream.next()["kind"] != "transaction_posted":
            pass
    line_of(strict, "slow")
    for served in (ledger, strict):
        served.stop()
    assert not [line for line in log_lines(ledger) if "request_id" in line]
    assert not [line for line in log_lines(strict) if line.get("route", "").endswith("/events")]


def test_there_is_no_access_log_unless_it_is_asked_for(make_ledger):
    ledger = make_ledger(log_format="json", log_level="debug", slow_request_ms=0)
    ledger.set_up("shop")
    ledger.request("GET", "/nowhere")
    ledger.stop()
    assert not [line for line in log_lines(ledger) if "request_id" in line]


def test_the_access_log_has_one_line_for_each_request(make_ledger):
    ledger = make_ledger(log_format="json", access_log="yes", slow_request_ms=0, tokens=TOKENS, api_token="s3cret-all")
    ledger.set_up("shop")
    ledger.token = "s3cret-payments"

    def ask(request_id, method, path, body=None, **more):
        answer = ledger.request(method, path, body, headers={"X-Request-Id": request_id, **more})
        return line_of(ledger, request_id), answer

    line, answer = ask("r1", "GET", "/v1/books/shop/accounts/cash/balance?as_of=2030-01-01T00:00:00Z&x=q-s3cret")
    assert line["message"] == "request" and line["level"] == "info"
    assert line["route"] == "/v1/books/{book}/accounts/{path}/balance" and line["book"] == "shop"
    assert (line["method"], line["status"], line["bytes"]) == ("GET", 200, len(answer.bytes))
    assert line["token"] == "payments" and 0 <= line["duration_ms"] < 60000
    line, answer = ask("r2", "POST", "/v1/transactions", sale("shop", "key-s3cret"))
    assert (line["method"], line["route"], line["book"], line["status"]) == ("POST", "/v1/transactions", "shop", 200)
    line, answer = ask("r3", "POST", "/v1/accounts", {"book": "a\nb=\"c", "path": "x", "asset": "USD", "kind": "asset"})
    assert (line["book"], line["status"], answer.status) == ("a\nb=\"c", 403, 403)
    line, answer = ask("r4", "GET", "/path-s3cret")
    assert (line["route"], line["status"]) == ("other", 404) and "token" not in line and "book" not in line
    line, answer = ask("r5", "GET", f"/v1/books/{quote('bü/ch')}/trial-balance", Authorization="Bearer wrong-s3cret")
    assert (line["status"], line["book"]) == (401, "bü/ch") and "token" not in line
    line, answer = ask("r6", "HEAD", "/health")
    assert (line["method"], line["status"], line["bytes"]) == ("HEAD", 200, 0)
    line, answer = ask("r7", "POST", "/v1/transactions/batch", [sale("shop", f"b{n}") for n in range(3)])
    assert line["drafts"] == 3 and line["bytes"] == len(answer.bytes)
    assert "s3cret" not in ledger.stderr_text()


def test_a_streams_line_comes_when_it_has_ended(make_ledger):
    ledger = make_ledger(log_format="json", access_log="yes", workers=1)
    ledger.set_up("shop")
    with ledger.stream("shop", "?from=0") as stream:
        first = stream.next()
        request_id = stream.headers["x-request-id"]
        assert ledger.request("GET", "/health", headers={"X-Request-Id": "after"}).status == 200
        line_of(ledger, "after")
        assert not [line for line in log_lines(ledger) if line.get("request_id") == request_id]
    ledger.post(sale("shop", "notices that its reader has gone"))
    ledger.stop()
    line = line_of(ledger, request_id)
    assert line["message"] == "event stream ended" and line["route"] == "/v1/books/{book}/events"
    assert line["book"] == "shop" and line["status"] == 200 and line["bytes"] > len(json.dumps(first["payload"]))


def test_a_read_that_fails_is_told_with_its_id(make_ledger):
    ledger = make_ledger(log_format="json")
    ledger.set_up("shop")
    tx_id = ledger.post(sale("shop", "damaged-key"))["tx_id"]
    ledger.check_at_end = False
    with open(ledger.segments()[-1], "r+b") as f:
        at = f.read().index(b"damaged-key")
        f.seek(at)
        f.write(b"X")
    answer = ledger.request("GET", f"/v1/transactions/{tx_id}", headers={"X-Request-Id": "failed-1"})
    assert answer.status == 500 and answer.headers["x-request-id"] == "failed-1"
    line = line_of(ledger, "failed-1")
    assert line["level"] == "error" and line["message"].startswith("a read failed: ")
    assert (line["method"], line["route"]) == ("GET", "/v1/transactions/{tx_id}")


@pytest.mark.parametrize("settings", [{"log_format": "text"}, {"log_format": "json"}, {"log_file": "log"}])
def test_no_token_is_in_any_log(make_ledger, settings):
    ledger = make_ledger(log_level="debug", access_log="yes", slow_request_ms=1, slow_commit_ms=1, workers=1,
                         tokens=TOKENS, api_token="s3cret-all", **settings)
    ledger.set_up("shop")
    for secret in ("s3cret-all", "s3cret-payments", "s3cret-wrong"):
        for path in ("/v1/books/shop/trial-balance", f"/v1/books/shop/trial-balance?token={secret}", f"/{secret}",
                     f"/v1/transactions/{secret}"):
            ledger.request("GET", path, headers={"Authorization": "Bearer " + secret, "X-Request-Id": "r"})
        ledger.request("GET", "/health", headers={"X-Request-Id": "Bearer " + secret})
        ledger.request("POST", "/v1/transactions", raw=secret.encode())
    post_late(ledger, "late", 0.1)
    ledger.stop()
    said = ledger.stderr_text()
    if "log_file" in settings:
        assert said == ""
        with open(os.path.join(ledger.home, "log")) as f:
            said = f.read()
    assert "slow request" in said and "payments" in said
    assert "s3cret" not in said


# --- group commits ---

@pytest.mark.skipif(not may_trace(), reason="strace may not trace here")
def test_slow_commits_are_told_once_a_second_with_their_share_of_fdatasync(make_ledger):
    ledger = make_ledger(start=False, log_format="json", slow_commit_ms=50, workers=1)
    ledger.env["ASAN_OPTIONS"] = "detect_leaks=0"
    ledger.under = STRACE + ["-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_enter=80000"]
    ledger.start()
    ledger.set_up("shop")

    def told():
        ledger.post(sale("shop", f"k{time.monotonic_ns()}"))
        return [line for line in log_lines(ledger) if line["message"] == "slow group commit"]

    lines = wait_until(lambda: len(found := told()) >= 3 and found, "three lines")
    for line in lines:
        assert (line["level"], line["process"]) == ("warning", "arbiter")
        assert line["duration_ms"] >= line["fdatasync_ms"] >= 80 and line["drafts"] == 1
    assert lines[0]["suppressed"] == 0 and lines[1]["suppressed"] > 0
    assert all(a["time"][:19] < b["time"][:19] for a, b in zip(lines, lines[1:]))


def test_quick_commits_are_not_told_of(make_ledger):
    ledger = make_ledger(slow_commit_ms=0)
    ledger.set_up("shop")
    for n in range(20):
        ledger.post(sale("shop", f"k{n}"))
    assert "slow group commit" not in ledger.stderr_text()


# --- the log file ---

def open_files(pid):
    found = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/{pid}/fd/{name}"))
    return found


def read_file(path):
    with open(path) as f:
        return f.read()


def test_lines_are_appended_to_the_log_file_and_stderr_is_silent(make_ledger):
    ledger = make_ledger(start=False, log_file="talead.log")
    path = os.path.join(ledger.home, "talead.log")
    mask = os.umask(0)
    try:
        ledger.start()
    finally:
        os.umask(mask)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
    ledger.stop()
    first = read_file(path)
    assert all(TEXT.match(line) for line in first.splitlines()) and "ready: serving" in first
    ledger.start()
    ledger.stop()
    assert read_file(path).startswith(first) and read_file(path).count("ready: serving") == 2
    assert ledger.stderr_text() == ""


def test_a_moved_log_file_is_left_by_who_gets_sigusr1(make_ledger):
    ledger = make_ledger(start=False, access_log="yes", workers=1)
    path, moved = os.path.join(ledger.home, "log"), os.path.join(ledger.home, "log.1")
    ledger.env["TALEA_LOG_FILE"] = path
    ledger.start()
    ledger.set_up("shop")
    os.rename(path, moved)
    [worker] = ledger.worker_pids()
    arbiter = ledger.arbiter_pid()
    for pid, process in ((worker, "worker 0"), (arbiter, "arbiter")):
        assert moved in open_files(pid)
        os.kill(pid, signal.SIGUSR1)
        # For a moment it has both open, and then it says so.
        wait_until(lambda: os.path.exists(path) and f"{process}[{pid}]: log file opened again\n" in read_file(path),
                   f"{process} to open the file again, though it has nothing to say")
        assert path in open_files(pid) and moved not in open_files(pid)
    before = read_file(moved)
    ledger.request("GET", "/health", headers={"X-Request-Id": "after-the-move"})
    wait_until(lambda: "after-the-move" in read_file(path), "a line in the new file")
    assert read_file(moved) == before
    ledger.post(sale("shop", "all go on"))
    assert [worker, arbiter] == [ledger.worker_pids()[0], ledger.arbiter_pid()]


def test_sigusr1_to_the_master_makes_all_processes_leave_a_moved_log_file(make_ledger):
    ledger = make_ledger(start=False, workers=3)
    path, moved = os.path.join(ledger.home, "log"), os.path.join(ledger.home, "log.1")
    ledger.env["TALEA_LOG_FILE"] = path
    ledger.start()
    ledger.set_up("shop")
    os.rename(path, moved)
    os.kill(ledger.pid, signal.SIGUSR1)
    pids = [ledger.pid, ledger.arbiter_pid(), *ledger.worker_pids()]
    wait_until(lambda: all(path in open_files(p) and moved not in open_files(p) for p in pids), "all to have left it")
    ledger.post(sale("shop", "all go on"))
    assert pids == [ledger.pid, ledger.arbiter_pid(), *ledger.worker_pids()]


def test_posts_go_on_while_log_files_are_moved(make_ledger):
    """A signal interrupts no system call that a commit, or a stream, cannot do without."""
    ledger = make_ledger(start=False, workers=1)
    path = os.path.join(ledger.home, "log")
    ledger.env["TALEA_LOG_FILE"] = path
    ledger.start()
    ledger.set_up("shop")
    pids = [ledger.arbiter_pid(), *ledger.worker_pids()]
    done = threading.Event()

    def signal_on():
        while not done.wait(0.001):
            for pid in pids:
                os.kill(pid, signal.SIGUSR1)

    thread = threading.Thread(target=signal_on)
    thread.start()
    try:
        for n in range(100):
            ledger.post(sale("shop", f"k{n}"))
    finally:
        done.set()
        thread.join(PATIENCE_S)
    assert [ledger.arbiter_pid(), *ledger.worker_pids()] == pids


def test_a_log_file_that_cannot_be_opened_again_goes_on_and_says_so(make_ledger):
    ledger = make_ledger(start=False, access_log="yes", workers=1)
    path, moved = os.path.join(ledger.home, "log"), os.path.join(ledger.home, "log.1")
    ledger.env["TALEA_LOG_FILE"] = path
    ledger.start()
    os.rename(path, moved)
    os.mkdir(path)
    os.kill(ledger.worker_pids()[0], signal.SIGUSR1)
    said = f"cannot open {path} again: Is a directory"
    wait_until(lambda: said in read_file(moved), "the failure in the old file")
    ledger.request("GET", "/health", headers={"X-Request-Id": "still-here"})
    wait_until(lambda: "still-here" in read_file(moved), "a line in the old file")


def test_a_snapshot_logs_to_the_file_and_into_no_other(make_ledger):
    """Its process closes what it inherited, the log file excepted, and opens files of its own."""
    ledger = make_ledger(start=False, log_snapshot_every=1, log_file="log", log_level="debug")
    path = os.path.join(ledger.home, "log")
    ledger.start()
    ledger.set_up("shop")
    folder = os.path.join(ledger.dir, "snapshots")
    os.makedirs(folder, exist_ok=True)
    os.rename(folder, folder + ".away")
    with open(folder, "w"):  # no snapshot can be put there
        pass

    def failed():
        ledger.post(sale("shop", f"k{time.monotonic_ns()}"))
        return re.search(r" warning snapshot\[\d+\]: snapshot failed: ", read_file(path))

    wait_until(failed, "a snapshot to fail and say so")
    os.unlink(folder)
    os.rename(folder + ".away", folder)
