"""talead on sockets that whoever starts it listens on, as systemd's socket units do."""
import contextlib
import http.client
import os
import socket
import subprocess
import threading

import pytest

from harness import PATIENCE_S, TALEAD, sale, wait_until

RESTARTS = 20
FIRST_FD = 3
LAUNCH = """
import os, sys
fds = [int(n) for n in sys.argv[1].split(",") if n]
high = [os.dup2(fd, 100 + i) for i, fd in enumerate(fds)]
for fd in fds:
    os.close(fd)
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i, inheritable=True)
    os.close(fd)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture
def listening():
    with contextlib.ExitStack() as stack:
        def listen(family=socket.AF_INET, address=("127.0.0.1", 0), kind=socket.SOCK_STREAM, backlog=4096):
            s = stack.enter_context(socket.socket(family, kind))
            s.bind(address)
            if backlog is not None:
                s.listen(backlog)
            return s
        yield listen


def hand_in(ledger, *sockets, names=None):
    """Later starts of this ledger get the sockets as systemd hands them in: from descriptor 3 on."""
    fds = [s.fileno() for s in sockets]
    ledger.env["LISTEN_FDS"] = str(len(fds))
    if names is not None:
        ledger.env["LISTEN_FDNAMES"] = ":".join(names)

    def spawn():
        command = ["python3", "-c", LAUNCH, ",".join(map(str, fds)), TALEAD, "serve"]
        with open(os.path.join(ledger.home, "stderr"), "ab") as log:
            ledger.process = subprocess.Popen(command, cwd=ledger.home, env=ledger.env, pass_fds=fds,
                                              stderr=log, stdout=log)
        return ledger.process

    ledger.spawn = spawn
    return ledger


def on_loopback(make_ledger, listening, **settings):
    """A ledger that is to serve on an inherited socket; its own setting names a port where nobody must listen."""
    ledger = make_ledger(start=False, **settings)
    s = listening()
    ledger.unused_port, ledger.port = ledger.port, s.getsockname()[1]
    return hand_in(ledger, s, names=["talead"])


def refuses(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) != 0


def open_files(pid):
    return {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}


def test_the_api_is_served_on_the_inherited_socket_and_its_setting_is_not_bound(make_ledger, listening):
    ledger = on_loopback(make_ledger, listening).start()
    ledger.set_up("shop")
    ledger.post(sale("shop", "k"))
    assert refuses(ledger.unused_port)
    text = ledger.stderr_text()
    assert f"listening on the inherited socket 127.0.0.1:{ledger.port}: TALEA_BIND is not bound" in text
    assert f"on http://127.0.0.1:{ledger.port} with" in text


def test_the_arbiter_does_not_hold_the_socket_and_it_is_non_blocking_and_closed_on_exec(make_ledger, listening):
    ledger = make_ledger(start=False)
    api = listening()
    ledger.port = api.getsockname()[1]
    hand_in(ledger, api, names=["talead"]).start()
    link = os.readlink(f"/proc/self/fd/{api.fileno()}")
    assert link in open_files(ledger.pid)
    assert link not in open_files(ledger.arbiter_pid())
    with open(f"/proc/{ledger.pid}/fdinfo/{FIRST_FD}") as f:
        flags = int(next(line.split()[1] for line in f if line.startswith("flags:")), 8)
    assert flags & os.O_NONBLOCK and flags & os.O_CLOEXEC


@pytest.mark.parametrize("names", [None, ["talead"], ["talead.socket"], [""]])
def test_without_a_name_or_named_talead_it_is_the_api(make_ledger, listening, names):
    ledger = make_ledger(start=False)
    s = listening()
    ledger.port = s.getsockname()[1]
    hand_in(ledger, s, names=names).start()


def test_metrics_have_a_socket_of_their_own_name(make_ledger, listening):
    ledger = make_ledger(start=False, metrics=True)
    api, metrics = listening(), listening()
    ledger.port = api.getsockname()[1]
    hand_in(ledger, metrics, api, names=["talead-metrics", "talead"]).start()
    connection = http.client.HTTPConnection("127.0.0.1", metrics.getsockname()[1], timeout=PATIENCE_S)
    connection.request("GET", "/metrics")
    assert b"talea_" in connection.getresponse().read()
    connection.close()
    assert refuses(ledger.metrics_port)
    assert "TALEA_METRICS_BIND is not bound" in ledger.stderr_text()


def test_metrics_alone_may_be_inherited(make_ledger, listening):
    ledger = make_ledger(start=False)
    metrics = listening()
    hand_in(ledger, metrics, names=["talead-metrics"]).start()
    assert not refuses(ledger.port)
    assert "TALEA_BIND is not bound" not in ledger.stderr_text()


@pytest.mark.parametrize("abstract", [False, True])
def test_a_unix_socket_is_served(make_ledger, listening, abstract):
    ledger = make_ledger(start=False)
    path = os.path.join(ledger.home, "api.sock")
    s = listening(socket.AF_UNIX, "\0" + path if abstract else path)
    hand_in(ledger, s)

    def health():
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(s.getsockname())
            client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return client.makefile("rb").read()

    ledger.spawn()
    assert health().startswith(b"HTTP/1.1 200 ")
    assert f"on http://unix:{'@' if abstract else ''}{path} with" in ledger.stderr_text()
    ledger.stop()


def test_a_client_of_a_unix_socket_that_does_not_read_loses_its_connection(make_ledger, listening):
    """The kernel tells of it by other means than of a TCP connection, which the worker's filter must let through."""
    ledger = make_ledger(start=False, metrics=True, workers=1, write_timeout_secs=1, unsent_max_bytes=1 << 30)
    s = listening(socket.AF_UNIX, os.path.join(ledger.home, "api.sock"))
    hand_in(ledger, s).spawn()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE_S)
        client.connect(s.getsockname())
        client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
        wait_until(lambda: limited(ledger, "write_time") == 1, "the client to lose its connection")
    assert "system call" not in ledger.stderr_text()
    ledger.stop()


def limited(ledger, limit):
    """How often clients met the limit; None while nobody answers yet."""
    connection = http.client.HTTPConnection("127.0.0.1", ledger.metrics_port, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    except OSError:
        return None
    finally:
        connection.close()
    return int(text.split(f'talea_http_limited_total{{limit="{limit}"}} ')[1].split("\n")[0])


def test_an_ipv6_socket_is_served(make_ledger, listening):
    ledger = make_ledger(start=False)
    s = listening(socket.AF_INET6, ("::1", 0))
    hand_in(ledger, s).spawn()
    port = s.getsockname()[1]
    connection = http.client.HTTPConnection("::1", port, timeout=PATIENCE_S)
    connection.request("GET", "/health")
    assert connection.getresponse().status == 200
    connection.close()
    # A worker may answer before the master has said that all are ready.
    wait_until(lambda: f"on http://[::1]:{port} with" in ledger.stderr_text(), "the line that says where it serves")
    ledger.stop()


def datagram(listening):
    return listening(kind=socket.SOCK_DGRAM, backlog=None)


def not_listening(listening):
    return listening(backlog=None)


@pytest.mark.parametrize("make", [datagram, not_listening])
def test_what_is_no_listening_stream_socket_is_refused_with_one_line(make_ledger, listening, make):
    ledger = hand_in(make_ledger(start=False), make(listening), names=["talead"])
    assert ledger.start_refused() == 1
    lines = ledger.stderr_text().splitlines()
    assert len(lines) == 1 and "inherited socket 3 (talead): must be a listening stream socket" in lines[0], lines


def test_a_plain_file_is_refused_with_one_line(make_ledger):
    ledger = make_ledger(start=False)
    with open(os.path.join(ledger.home, "file"), "w") as file:
        hand_in(ledger, file)
        assert ledger.start_refused() == 1
    lines = ledger.stderr_text().splitlines()
    assert len(lines) == 1 and "must be a listening stream socket" in lines[0], lines


@pytest.mark.parametrize("names, why", [
    (["http"], "name it talead or talead-metrics"), (["talead", "talead"], "there is one of that name already"),
])
def test_a_name_that_is_unknown_or_there_twice_is_refused_with_one_line(make_ledger, listening, names, why):
    ledger = hand_in(make_ledger(start=False), *[listening() for _ in names], names=names)
    assert ledger.start_refused() == 1
    lines = ledger.stderr_text().splitlines()
    assert len(lines) == 1 and why in lines[0], lines


def test_sockets_meant_for_another_process_are_left_alone(make_ledger):
    ledger = make_ledger(start=False)
    ledger.env.update(LISTEN_FDS="1", LISTEN_PID="1")
    ledger.start()
    assert not refuses(ledger.port)


class NewConnections:
    """Threads that ask again and again, each time on a new connection, and count what went wrong."""

    def __init__(self, ledger, threads):
        self.ledger = ledger
        self.answered = 0
        self.refused, self.unanswered, self.statuses = [], [], []
        self.ending = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in range(threads)]

    def run(self, number):
        count = 0
        while not self.ending.is_set():
            count += 1
            self.ask(sale("shop", f"{number}-{count}") if count % 2 else None)

    def ask(self, body):
        """The harness's own request would hide what is looked for; it keeps connections, too."""
        self.ledger.drop_connection()
        try:
            answer = (self.ledger.request("POST", "/v1/transactions", body) if body
                      else self.ledger.request("GET", "/health"))
        except ConnectionError as error:
            with self.lock:
                refused = isinstance(error.__cause__, ConnectionRefusedError)
                (self.refused if refused else self.unanswered).append(repr(error.__cause__))
            return
        finally:
            self.ledger.drop_connection()
        with self.lock:
            self.answered += 1
            if answer.status != 200:
                self.statuses.append(answer.status)
            elif body:
                posted = answer.json
                self.ledger.acknowledged[(body["book"], body["idempotency_key"])] = (
                    posted["tx_id"], posted["seq"], posted["at"])

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join(PATIENCE_S)


def test_no_new_connection_is_refused_or_left_unanswered_over_restarts(make_ledger, listening):
    """The queue of the socket outlives each talead, and whoever accepted a connection answers it before it leaves."""
    ledger = on_loopback(make_ledger, listening).start()
    ledger.set_up("shop")
    with NewConnections(ledger, threads=8) as load:
        for _ in range(RESTARTS):
            before = load.answered
            wait_until(lambda: load.answered > before + 20, "requests to be answered")
            ledger.stop()
            ledger.spawn()
        before = load.answered
        wait_until(lambda: load.answered > before + 20, "requests to be answered")
    print(f"{RESTARTS} restarts, {load.answered} new connections answered, {len(load.refused)} refused, "
          f"{len(load.unanswered)} without an answer")
    assert load.answered > 20 * RESTARTS
    assert load.refused == [] and load.unanswered == []
    assert load.statuses == []


@pytest.mark.parametrize("part", [b"", b"GET /health HTT"])
def test_a_connection_that_was_accepted_is_answered_though_its_request_comes_after_the_stop(make_ledger, part):
    ledger = make_ledger(workers=1)
    with socket.create_connection(("127.0.0.1", ledger.port), timeout=PATIENCE_S) as s:
        s.sendall(part)
        ledger.request("GET", "/health")  # another one on the same worker: the first was accepted before it
        ledger.drop_connection()
        ledger.process.terminate()
        wait_until(lambda: "stopping: " in ledger.stderr_text(), "talead to stop")
        wait_until(lambda: refuses(ledger.port), "the worker to stop listening")
        s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"[len(part):])
        assert s.makefile("rb").read().startswith(b"HTTP/1.1 200 ")
    assert ledger.process.wait(PATIENCE_S) == 0


def test_a_connection_that_never_asks_delays_the_stop_by_little(make_ledger):
    ledger = make_ledger(workers=1)
    with socket.create_connection(("127.0.0.1", ledger.port), timeout=PATIENCE_S):
        ledger.request("GET", "/health")
        assert ledger.stop() < 10


