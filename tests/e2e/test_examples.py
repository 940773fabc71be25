"""contrib/examples: each program posts, reads and follows through kills, restarts, lost answers and a cut stream."""
import fcntl
import http.client
import http.server
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.parse

import pytest

from harness import PATIENCE_S, SOURCE, clean_environment, sale, wait_until

EXAMPLES = os.path.join(SOURCE, "contrib", "examples")
TOKEN = "s3cret \\ \" 'of the examples'"  # as a shell or curl's config file would misread it
BIG = 9007199254740993  # 2^53 + 1
TILL = [(3, 1250), (4, 399), (5, BIG)]
STREAM_END = re.compile(r"^stream: .*resuming behind event (\d+)", re.M)


# --- the programs ---

def command_of(script, interpreter):
    return [needed(interpreter), os.path.join(EXAMPLES, script)]


def needed(program):
    path = shutil.which(program) or shutil.which(program, path="/usr/local/go/bin")
    if not path:
        pytest.skip(f"{program} is not installed")
    return path


@pytest.fixture(scope="module")
def go_program():
    """Built without the network. The standard library is compiled once, which takes half a minute, and kept in Go's
    cache, for which a second process that wants it waits; who has no home has it in a folder that goes away."""
    go = needed("go")
    source = os.path.join(EXAMPLES, "go")
    folder = tempfile.mkdtemp(prefix="talea-go-")
    program = os.path.join(folder, "client")
    env = {**clean_environment(), "GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    if not os.access(os.environ.get("HOME") or "/nowhere", os.W_OK):
        env.update(HOME=folder, GOCACHE=os.path.join(folder, "cache"), GOPATH=os.path.join(folder, "path"))
    try:
        with open(os.path.join(source, "main.go")) as lock:  # go.mod go locks itself
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = subprocess.run([go, "build", "-o", program, "."], cwd=source, env=env, text=True,
                                  capture_output=True, timeout=200)
        assert done.returncode == 0, done.stderr
        yield program
    finally:
        shutil.rmtree(folder)


@pytest.fixture(params=["curl", "python", "node", "go"])
def example(request):
    """(command, book)"""
    name = request.param
    if name == "curl":
        needed("curl")
        return command_of("client.sh", "bash"), "examples/curl"
    if name == "go":
        return [request.getfixturevalue("go_program")], "examples/go"
    if name == "node":
        return command_of("client.mjs", "node"), "examples/node"
    return command_of("client.py", "python3"), "examples/python"


class Run:
    """A program that runs, and what it has printed."""

    def __init__(self, command, url, token, *arguments):
        env = {**clean_environment(), "TALEA_URL": url, "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}
        if token is not None:
            env["TALEA_TOKEN"] = token
        self.output = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([*command, *arguments], env=env, stdout=self.output, stderr=self.output,
                                        stdin=subprocess.DEVNULL)

    @property
    def text(self):
        size = os.fstat(self.output.fileno()).st_size
        return os.pread(self.output.fileno(), size, 0).decode()

    def wait_for(self, pattern):
        def look():
            found = re.search(pattern, self.text, re.M)
            assert found or self.process.poll() is None, f"it ended before {pattern}:\n{self.text}"
            return found
        return wait_until(look, f"{pattern} in:\n{self.text}")

    def end(self):
        status = self.process.wait(PATIENCE_S)
        return status, self.text

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.output.close()


@pytest.fixture
def run(example):
    runs = []

    def begin(url, token, *arguments):
        runs.append(Run(example[0], url, token, *arguments))
        return runs[-1]

    yield begin
    for one in runs:
        one.close()


# --- what they print ---

def check_events(text, count):
    """Every event once, in order, and no more than were asked for."""
    assert [int(seq) for seq in re.findall(r"^event (\d+):", text, re.M)] == list(range(1, count + 1)), text


def check_tour(text):
    """What was posted and read; whether each post was told to be a repetition."""
    posted = re.findall(r'^posted (order-\d):.*\bseq\W+(\d+)\b.*\bdeduplicated\W+(true|false)\b', text, re.M)
    assert [" ".join(one[:2]) for one in posted] == ["order-1 3", "order-2 4", "order-3 5", "order-1 3"], text
    assert "90071992547426.42" in text, text  # 12.50 + 3.99 + 90071992547409.93
    history = "".join(line for line in text.splitlines() if line.startswith("history:"))
    for _, minor in TILL:
        assert str(minor) in history, text
    assert "closed behind event 2\n" in text, text
    return [deduplicated for _, _, deduplicated in posted]


def check_ledger(ledger, book):
    """Each order once, the amount exact, and what the harness asks of every ledger."""
    assert [(i["seq"], i["amount"]["minor"]) for i in ledger.history(book, "tills/1")][:3] == TILL
    ledger.check_invariants([book])


def kill_workers(ledger):
    pids = ledger.worker_pids()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(set(ledger.worker_pids()) - set(pids)) == len(pids), "new workers")


def post_from_elsewhere(ledger, book, key):
    body = sale(book, key)
    for posting, account in zip(body["postings"], ("tills/1", "sales")):
        posting.update(account=account, amount={"minor": 7, "asset": "EUR"})
    return ledger.post(body)["seq"]


def test_an_example_follows_the_stream_over_a_kill_and_a_restart(make_ledger, example, run):
    """The first ends the connection in the middle, the second with the server's goodbye and then with none to ask."""
    _, book = example
    ledger = make_ledger(api_token=TOKEN)
    program = run(ledger.url, TOKEN, "8")
    program.wait_for(r"^event 5:")
    kill_workers(ledger)
    assert post_from_elsewhere(ledger, book, "elsewhere-1") == 6
    program.wait_for(r"^event 6:")
    ledger.restart()
    assert [post_from_elsewhere(ledger, book, f"elsewhere-{n}") for n in (2, 3)] == [7, 8]
    status, text = program.end()
    assert status == 0, text
    check_events(text, 8)
    ends = [int(seq) for seq in STREAM_END.findall(text)]
    assert ends == sorted(ends) and set(ends) == {5, 6}, text
    assert check_tour(text) == ["false", "false", "false", "true"], text
    check_ledger(ledger, book)


def test_an_example_run_again_changes_nothing(make_ledger, example, run):
    _, book = example
    ledger = make_ledger(api_token=TOKEN)
    for outcomes in (["false", "false", "false", "true"], ["true"] * 4):
        status, text = run(ledger.url, TOKEN).end()
        assert status == 0, text
        assert check_tour(text) == outcomes
        check_events(text, 5)
        assert not STREAM_END.search(text), text  # it closed the stream itself, and no one else
    check_ledger(ledger, book)


def test_an_example_shows_the_envelope_of_what_it_is_refused(make_ledger, run):
    ledger = make_ledger(api_token=TOKEN)
    status, text = run(ledger.url, "another token").end()
    assert (status, text.count("\n")) == (1, 1), text
    assert text.startswith("refused: ") and '401 {"error":"unauthorized"}' in text, text
    ledger.register("EUR", precision=3)
    status, text = run(ledger.url, TOKEN).end()
    assert (status, text.count("\n")) == (1, 1), text
    assert '409 {"error":"already_exists","what":"asset EUR"}' in text, text


# --- a way to the ledger on which things go wrong ---

class Front(http.server.ThreadingHTTPServer):
    """Hands requests on to the ledger, but first plays the faults of their path, each once:

    busy   503 without asking the ledger, with Retry-After: 1
    lost   the ledger does as it is told, and its answer is lost
    cut    a stream that ends amid its second event
    """
    daemon_threads = True

    def __init__(self, ledger, faults):
        super().__init__(("127.0.0.1", 0), Handler)
        self.ledger = ledger
        self.faults = faults
        self.seen = []  # (path, body, Last-Event-ID, when, fault)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def handle_error(self, request, client_address):
        """A client that closes its stream breaks the pipe; that is no news."""

    def close(self):
        self.shutdown()
        self.thread.join()
        self.server_close()

    def requests(self, path):
        return [one for one in self.seen if one[0] == path]


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.pass_on(None)

    def do_POST(self):
        self.pass_on(self.rfile.read(int(self.headers["Content-Length"])))

    def pass_on(self, body):
        path = urllib.parse.unquote(self.path)
        faults = self.server.faults.get(path)
        fault = faults.pop(0) if faults else None
        self.server.seen.append((path, body, self.headers.get("Last-Event-ID"), time.monotonic(), fault))
        self.close_connection = True
        if fault == "busy":
            return self.answer(503, {"Content-Type": "application/json", "Retry-After": "1"}, b'{"error":"overloaded"}')
        connection = http.client.HTTPConnection("127.0.0.1", self.server.ledger.port, timeout=PATIENCE_S)
        passed = {n: self.headers[n] for n in ("Authorization", "Content-Type", "Last-Event-ID") if n in self.headers}
        connection.request(self.command, self.path, body, passed)
        response = connection.getresponse()
        try:
            if response.getheader("Content-Type") == "text/event-stream":
                return self.relay(response, fault)
            content = response.read()
            if fault != "lost":
                content_type = response.getheader("Content-Type") or "text/plain"
                self.answer(response.status, {"Content-Type": content_type}, content)
        finally:
            connection.close()

    def answer(self, status, headers, content):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def relay(self, response, fault):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for line in response:
            if fault == "cut" and line.startswith(b'data: {"seq":2,'):
                self.wfile.write(line[:40])
                return
            self.wfile.write(line)


def test_an_example_asks_again_under_the_same_key(make_ledger, example, run):
    """After 503 as late as Retry-After says, after a lost answer, and behind the last event that came whole."""
    _, book = example
    ledger = make_ledger(api_token=TOKEN)
    stream = f"/v1/books/{book}/events"
    front = Front(ledger, {"/v1/transactions": ["busy", "lost"], stream: ["busy", "cut"], "/v1/accounts": ["lost"]})
    try:
        status, text = run(front.url, TOKEN).end()
    finally:
        front.close()
    assert status == 0, text
    assert not any(front.faults.values()), front.faults
    posts = front.requests("/v1/transactions")
    assert posts[0][1] == posts[1][1] == posts[2][1], "another draft than at first"
    assert posts[1][3] - posts[0][3] >= 0.99, "it did not wait as long as Retry-After says"
    assert len(posts) == 6 and len(front.requests("/v1/accounts")) == 3
    streams = front.requests(stream)
    assert [last for _, _, last, _, _ in streams] == ["0", "0", "1", "2"], streams
    assert streams[1][3] - streams[0][3] >= 0.99
    check_events(text, 5)
    assert check_tour(text) == ["true", "false", "false", "true"], text
    check_ledger(ledger, book)
