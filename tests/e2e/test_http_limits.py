"""Who asks for too much, or takes too long, meets a limit; everybody else notices nothing."""
import contextlib
import json
import re
import resource
import signal
import socket
import os

import pytest

from harness import PATIENCE_S, credit, debit, draft, sale, wait_until
from raw_http import answers_in, ask, connect, read_all

POST = b"POST /v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


def met(ledger, limit):
    """How often clients met it."""
    with socket.create_connection(("127.0.0.1", ledger.metrics_port), timeout=PATIENCE_S) as s:
        s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        text = read_all(s).decode()
    return int(re.search(rf'talea_http_limited_total{{limit="{limit}"}} (\d+)', text)[1])


def shop_with(make_ledger, **settings):
    ledger = make_ledger(metrics=True, **settings)
    ledger.set_up("shop")
    ledger.drop_connection()
    return ledger


# --- times ---

@pytest.mark.parametrize("limit, sent", [
    ("head_time", b"GET /health HTTP/1.1\r\nHo"),
    ("head_time", b"G"),
    ("body_time", POST + b"Content-Length: 100\r\n\r\n{"),
    ("body_time", POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"),
    ("request_time", POST + b"Content-Length: 100\r\n\r\n{"),
])
def test_a_request_that_does_not_come_whole_is_answered_408(make_ledger, limit, sent):
    ledger = shop_with(make_ledger, **{"head_timeout_secs": 60, "body_timeout_secs": 60, "request_timeout_secs": 60,
                                       limit.replace("time", "timeout_secs"): 1})
    with connect(ledger) as s:
        s.sendall(HEALTH + sent)
        (first, _, _), (status, fields, body) = answers_in(read_all(s))
    assert (first, status) == (200, 408) and json.loads(body) == {"error": "timeout"}
    assert fields["connection"] == "close" and re.fullmatch("[0-9a-f-]{36}", fields["x-request-id"])
    assert met(ledger, limit) == 1


def test_a_client_that_trickles_is_not_kept_for_ever(make_ledger):
    ledger = shop_with(make_ledger, head_timeout_secs=1, body_timeout_secs=1)
    for start, drop in ((b"GET /health HTTP/1.1\r\nA: ", b"x"), (POST + b"Content-Length: 99999\r\n\r\n", b" ")):
        with connect(ledger) as s:
            s.sendall(start)

            def is_answered():
                try:
                    s.sendall(drop)
                    s.settimeout(0.05)
                    return s.recv(4096)
                except TimeoutError:
                    return None
            assert wait_until(is_answered, "the answer").startswith(b"HTTP/1.1 408 ")


def test_a_connection_that_rests_is_closed_without_a_word(make_ledger):
    ledger = shop_with(make_ledger, idle_timeout_secs=1)
    with connect(ledger) as fresh, connect(ledger) as used:
        used.sendall(HEALTH)
        assert [a[0] for a in answers_in(read_all(used))] == [200]
        assert read_all(fresh) == b""
    assert met(ledger, "idle_time") >= 2


def test_a_post_that_is_not_decided_in_time_is_answered_408_and_its_key_tells(make_ledger):
    ledger = shop_with(make_ledger, request_timeout_secs=1, hang_timeout_secs=0)
    os.kill(ledger.arbiter_pid(), signal.SIGSTOP)
    try:
        assert ledger.request("POST", "/v1/transactions", sale("shop", "late")).status == 408
    finally:
        os.kill(ledger.arbiter_pid(), signal.SIGCONT)
    wait_until(lambda: ledger.post(sale("shop", "late"))["deduplicated"], "the post to have been made")


def large_history(ledger):
    """A page of history of some megabytes."""
    for n in range(4):
        ledger.post(draft("shop", f"large-{n}", *[p for _ in range(4000) for p in (debit("cash", 1), credit("cash", 1))]))
    return b"GET /v1/books/shop/accounts/cash/history HTTP/1.1\r\nHost: x\r\n\r\n"


def silent_reader(ledger, request):
    """Asks and reads nothing; its kernel takes only little."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    s.settimeout(PATIENCE_S)
    s.connect(("127.0.0.1", ledger.port))
    s.sendall(request)
    return s


@pytest.mark.parametrize("limit, settings", [
    ("write_time", {"write_timeout_secs": 1, "unsent_max_bytes": 1 << 30}),
    ("unsent", {"write_timeout_secs": 3600, "unsent_max_bytes": 4096}),
])
def test_a_client_that_does_not_read_loses_its_connection(make_ledger, limit, settings):
    ledger = shop_with(make_ledger, **settings)
    with silent_reader(ledger, large_history(ledger)) as s:
        wait_until(lambda: met(ledger, limit) == 1, "the client to meet the limit")
        got = b""
        # Reset, or ended when it was quick to read what had been sent: never whole.
        with contextlib.suppress(ConnectionResetError):
            while part := s.recv(65536):
                got += part
    head, _, body = got.partition(b"\r\n\r\n")
    assert len(body) < int(re.search(rb"(?i)\r\ncontent-length: (\d+)", head)[1])


def test_a_client_that_reads_slowly_gets_all_of_its_answer(make_ledger):
    """It takes longer than the limit, but takes something all the time."""
    ledger = shop_with(make_ledger, write_timeout_secs=1)
    request = large_history(ledger)
    whole = ask(ledger, request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    with silent_reader(ledger, request) as s:
        got = b""
        for part in range(1, 31):
            while len(got) < min(part * len(whole) // 30, len(whole) - 200):
                got += s.recv(65536)
            wait_until(lambda at=os.times().elapsed: os.times().elapsed - at > 0.1, "a while")
    assert got[-1000:-200] in whole and met(ledger, "write_time") == 0


# --- numbers ---

def test_connections_beyond_those_of_a_worker_are_answered_503(make_ledger):
    ledger = shop_with(make_ledger, workers=1, max_connections=5)
    with contextlib.ExitStack() as stack:
        held = []

        def hold():
            s = stack.enter_context(connect(ledger))
            s.sendall(HEALTH)
            held.append((s, s.recv(4096)))
            return held[-1][1].startswith(b"HTTP/1.1 503 ")
        wait_until(hold, "a connection to be turned away")
        assert len(held) == 6 and all(got.startswith(b"HTTP/1.1 200 ") for _, got in held[:5])
        (status, fields, body), = answers_in(held[5][1])
        assert fields["retry-after"] == "1" and json.loads(body) == {"error": "overloaded"}
        for s, _ in held[:5]:
            s.sendall(HEALTH)
            assert s.recv(4096).startswith(b"HTTP/1.1 200 "), "who was there before is served on"
    wait_until(lambda: ask(ledger, HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")).endswith(b"ok"),
               "a connection to be taken again")
    assert met(ledger, "connections") >= 1


def test_connections_of_an_address_beyond_its_number_are_answered_503_over_all_workers(make_ledger):
    ledger = shop_with(make_ledger, workers=2, max_connections_per_address=4)

    def ask_from(address, held):
        """The status of one more connection, which stays."""
        try:
            s = held.enter_context(socket.create_connection(("127.0.0.1", ledger.port), PATIENCE_S, (address, 0)))
            s.sendall(HEALTH)
            return int(s.recv(4096)[9:12])
        except (OSError, ValueError):
            return None  # no worker is there
    with contextlib.ExitStack() as held:
        assert [ask_from("127.0.0.2", held) for _ in range(7)] == [200] * 4 + [503] * 3
        assert ask_from("127.0.0.3", held) == 200, "another address has its own"
        assert met(ledger, "address") == 3
        for pid in ledger.worker_pids():
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: ask_from("127.0.0.2", held) == 200, "what dead workers held to be free")


def test_streams_beyond_those_of_a_worker_are_answered_503(make_ledger):
    ledger = shop_with(make_ledger, workers=1, max_event_streams=2)
    with ledger.stream("shop"), ledger.stream("shop"):
        answer = ledger.request("GET", "/v1/books/shop/events")
        assert answer.status == 503 and answer.json == {"error": "overloaded"} and answer.headers["retry-after"] == "1"
    assert met(ledger, "event_streams") == 1
    wait_until(lambda: ledger.request("HEAD", "/v1/books/shop/events").status == 200, "a stream to be taken again")


def test_a_stream_that_falls_behind_ends_and_is_resumed_without_a_gap(make_ledger):
    ledger = shop_with(make_ledger, workers=1, events_behind_max_bytes=100_000, write_timeout_secs=3600,
                       unsent_max_bytes=1 << 30)
    request = b"GET /v1/books/shop/events?from=2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with silent_reader(ledger, request) as s:
        assert b"text/event-stream" in s.recv(2048)
        for n in range(60):
            ledger.post(sale("shop", f"k{n}", 1, metadata="x" * 200_000))
        wait_until(lambda: met(ledger, "events_behind") == 1, "the stream to fall behind")
        seqs = [int(n) for n in re.findall(rb"\nid: (\d+)\n", b"\n" + read_all(s))]
    assert seqs == list(range(3, 3 + len(seqs))) and len(seqs) < 60
    last = seqs[-1] if seqs else 2
    with ledger.stream("shop", f"?from={last}") as stream:
        assert [stream.next()["seq"] for _ in range(62 - last)] == list(range(last + 1, 63))


def test_a_worker_without_descriptors_answers_503_and_recovers(make_ledger):
    ledger = shop_with(make_ledger, workers=1)
    worker, = ledger.worker_pids()
    used = len(os.listdir(f"/proc/{worker}/fd"))
    limits = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (used + 3, limits[1]))
    with contextlib.ExitStack() as stack:
        def turned_away():
            s = stack.enter_context(connect(ledger))
            s.sendall(HEALTH)
            return s.recv(4096).startswith(b"HTTP/1.1 503 ")
        wait_until(turned_away, "a connection to be turned away")
        ticks = os.times

        def cpu():
            with open(f"/proc/{worker}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            return int(fields[11]) + int(fields[12])
        before, begun = cpu(), ticks().elapsed
        wait_until(lambda: ticks().elapsed - begun > 1, "a second")
        assert cpu() - before < 50, "it spins"
    resource.prlimit(worker, resource.RLIMIT_NOFILE, limits)
    wait_until(lambda: ask(ledger, HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")).endswith(b"ok"),
               "a connection to be taken again")
    assert met(ledger, "descriptors") >= 1 and ledger.worker_pids() == [worker]


def test_a_smaller_body_can_be_the_limit(make_ledger):
    ledger = shop_with(make_ledger, body_max_bytes=1024)
    answer = ledger.request("POST", "/v1/transactions", sale("shop", "k", metadata="x" * 1000))
    assert answer.status == 400 and "TALEA_BODY_MAX_BYTES" in answer.json["reason"]
    assert ledger.request("POST", "/v1/transactions", sale("shop", "k", metadata="x" * 500)).status == 200


def test_a_limit_of_open_files_that_is_too_low_is_said_at_the_start(make_ledger):
    ledger = make_ledger(max_connections=1_000_000)
    limit = resource.prlimit(ledger.pid, resource.RLIMIT_NOFILE)
    assert limit[0] == limit[1], "the soft limit is raised to the hard one"
    said = "of TALEA_MAX_CONNECTIONS; raise the limit" in ledger.stderr_text()
    assert said == (limit[0] < 1_000_064)


def test_slow_clients_of_every_kind_hold_nobody_up(make_ledger):
    ledger = shop_with(make_ledger)
    page = large_history(ledger)
    kinds = [b"", b"G", b"GET /health HTTP/1.1\r\nA: b", POST + b"Content-Length: 100\r\n\r\n{",
             POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", page, HEALTH * 200,
             b"GET /v1/books/shop/events HTTP/1.1\r\nHost: x\r\n\r\n"]
    with contextlib.ExitStack() as stack:
        for n in range(200):
            stack.enter_context(silent_reader(ledger, kinds[n % len(kinds)]))
        for n in range(50):
            ledger.post(sale("shop", f"beside-{n}"))
