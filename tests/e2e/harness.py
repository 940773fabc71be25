"""A real talead in a directory of its own, and what tests ask of it."""
import contextlib
import glob
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse

SOURCE = os.environ.get("TALEA_TEST_SOURCE") or os.path.join(os.path.dirname(__file__), "..", "..")
TALEAD = os.path.abspath(os.environ.get("TALEA_TEST_TALEAD") or "talead")
TALEA = os.path.abspath(os.environ.get("TALEA_TEST_TALEA") or "talea")
ROUNDS = int(os.environ.get("TALEA_TEST_ROUNDS", "4"))
PATIENCE_S = 60
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|[Aa]ssertion.*failed")


def wait_until(condition, what, seconds=PATIENCE_S):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {seconds} s for: {what}")


def state_of(stat_file):
    try:
        with open(stat_file) as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "X"


def is_running(pid):
    """False also for a zombie, which is dead already and waits for its parent only; a thread in a sync may outlive it."""
    return any(state_of(path) not in ("Z", "X") for path in glob.glob(f"/proc/{pid}/task/*/stat"))


def processes():
    """(pid, parent, title) of all that run."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as f:
                parent = int(f.read().rsplit(")", 1)[1].split()[1])
            with open(f"/proc/{name}/cmdline", errors="replace") as f:
                title = f.read().split("\0")[0].strip()
        except (OSError, IndexError):
            continue
        found.append((int(name), parent, title))
    return found


def free_port():
    """Below the ports that the kernel gives to connections: else one could take it while a ledger is restarted."""
    while True:
        port = random.SystemRandom().randrange(10000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def clean_environment():
    return {k: v for k, v in os.environ.items() if not k.startswith("TALEA_")}


def debit(account, minor, asset="USD"):
    return {"account": account, "amount": {"minor": minor, "asset": asset}, "direction": "debit"}


def credit(account, minor, asset="USD"):
    return {"account": account, "amount": {"minor": minor, "asset": asset}, "direction": "credit"}


def draft(book, key, *postings, **more):
    return {"book": book, "idempotency_key": key, "postings": list(postings), **more}


def sale(book, key, minor=1, **more):
    return draft(book, key, debit("cash", minor), credit("sales", minor), **more)


def quote(segment):
    return urllib.parse.quote(segment, safe="")


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = {k.lower(): v for k, v in response.getheaders()}
        self.header_names = [k.lower() for k, _ in response.getheaders()]
        self.bytes = response.read()

    @property
    def text(self):
        return self.bytes.decode()

    @property
    def json(self):
        return json.loads(self.bytes)


class Ledger:
    """One directory, one port; started and stopped as often as a test likes."""

    def __init__(self, tokens=None, api_token=None, config=None, directory=None, **settings):
        self.home = tempfile.mkdtemp(prefix="talea-e2e-")
        self.dir = directory or os.path.join(self.home, "ledger")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = api_token
        self.config = config
        self.process = None
        self.under = []  # a command that runs talead, as strace does
        self.local = threading.local()
        self.acknowledged = {}  # (book, key) -> (tx_id, seq, at)
        self.check_at_end = True
        self.tolerated = re.compile(r"(?!)")  # what would be a fault elsewhere
        self.lock = threading.Lock()
        self.env = clean_environment()
        self.env.update(TALEA_DB_URL=f"log://{self.dir}", TALEA_BIND=f"127.0.0.1:{self.port}")
        settings.setdefault("workers", 2)
        if settings.pop("metrics", False):
            self.metrics_port = free_port()
            settings["metrics_bind"] = f"127.0.0.1:{self.metrics_port}"
        for name, value in settings.items():
            self.env["TALEA_" + name.upper()] = str(value)
        if api_token:
            self.env["TALEA_API_TOKEN"] = api_token
        if tokens:
            path = os.path.join(self.home, "tokens.yaml")
            with open(path, "w") as f:
                f.write("tokens:\n" + "".join(f"  {n}: {json.dumps(t)}\n" for n, t in tokens.items()))
            self.env["TALEA_TOKENS_FILE"] = path

    # --- the process ---

    def spawn(self):
        command = self.under + [TALEAD, "serve"] + (["--config", self.config] if self.config else [])
        with open(os.path.join(self.home, "stderr"), "ab") as log:
            self.process = subprocess.Popen(command, cwd=self.home, env=self.env, stderr=log, stdout=log)
        return self.process

    def start(self):
        self.spawn()
        wait_until(self.answers, "the server to answer")
        workers = int(self.env.get("TALEA_WORKERS", 1))
        if not self.under:  # then the process is another's child; one worker may answer before the others are there
            wait_until(lambda: len(self.worker_pids()) >= workers, "every worker")
        return self

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"talead ended with {self.process.returncode}:\n{self.stderr_text()[-2000:]}")
        try:
            return self.request("GET", "/health").status == 200
        except OSError:
            return False

    def start_refused(self):
        """Starts a server that must not come up; its exit status."""
        return self.spawn().wait(PATIENCE_S)

    def is_up(self):
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self):
        return self.process.pid

    def children(self):
        """(pid, title) of the master's children."""
        return [(pid, title) for pid, parent, title in processes() if parent == self.pid]

    def all_pids(self):
        """The master, its children, and theirs."""
        found, pids = processes(), [self.pid]
        for pid in pids:
            pids += [child for child, parent, _ in found if parent == pid]
        return pids

    def arbiter_pid(self):
        return next((p for p, title in self.children() if title.startswith("talead: arbiter")), None)

    def worker_pids(self):
        """Of all workers. A child that was just forked bears the master's name until it has taken its own."""
        wait_until(lambda: not any(title.startswith("talead: master") for _, title in self.children()),
                   "every child to have its own name")
        return sorted(p for p, title in self.children() if title.startswith("talead: worker"))

    def stop(self):
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_S) == 0, self.stderr_text()[-2000:]
        self.process = None
        return time.monotonic() - begin

    def kill9(self, pids=None):
        """SIGKILL for all, in this order, as a power cut would do to processes; when none was left."""
        pids = pids or self.all_pids()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        wait_until(lambda: not any(is_running(p) for p in pids), "all processes to be gone")
        self.process = None
        return time.monotonic()

    def wait_for_snapshot(self):
        folder = os.path.join(self.dir, "snapshots")
        wait_until(lambda: any(n.endswith(".mdb") for n in os.listdir(folder)), "a snapshot")

    def restart(self):
        self.stop()
        self.start()

    def stderr_text(self):
        """All that it said, over every start; nothing yet is fine."""
        try:
            with open(os.path.join(self.home, "stderr"), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def remove(self, *names):
        for name in names:
            shutil.rmtree(os.path.join(self.dir, name), ignore_errors=True)

    def segments(self):
        folder = os.path.join(self.dir, "log")
        return sorted(os.path.join(folder, n) for n in os.listdir(folder) if n.startswith("segment-") and n.endswith(".log"))

    def close(self):
        if self.is_up():
            self.kill9()
        text = self.tolerated.sub("", self.stderr_text())
        shutil.rmtree(self.home, ignore_errors=True)
        fault = SANITIZER.search(text)
        assert not fault, text[max(0, fault.start() - 500):fault.start() + 6000]

    # --- requests ---

    def connection(self):
        if getattr(self.local, "connection", None) is None:
            self.local.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        return self.local.connection

    def drop_connection(self):
        if getattr(self.local, "connection", None) is not None:
            self.local.connection.close()
        self.local.connection = None

    def request(self, method, path, body=None, headers=None, raw=None):
        """One try on this thread's connection; OSError or HTTPException as OSError when it breaks."""
        headers = dict(headers or {})
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
        if data is not None:
            headers.setdefault("Content-Type", "application/json")
        if self.token:
            headers.setdefault("Authorization", "Bearer " + self.token)
        try:
            self.connection().request(method, path, data, headers)
            answer = Answer(self.connection().getresponse())
        except (OSError, http.client.HTTPException) as error:
            self.drop_connection()
            raise ConnectionError(str(error)) from error
        if answer.headers.get("connection") == "close":
            self.drop_connection()
        return answer

    def insist(self, method, path, body=None):
        """Tries until an answer comes that is final, as a client with an idempotency key may."""
        def attempt():
            try:
                answer = self.request(method, path, body)
            except OSError:
                return None
            return answer if answer.status not in (503, 429, 408) else None
        return wait_until(attempt, f"{method} {path} to be answered")

    def get(self, path):
        """A read may be asked again: its worker may have died, or an answered request still be leaving."""
        answer = self.insist("GET", path)
        assert answer.status == 200, answer.text
        return answer.json

    def acknowledge(self, book, key, posted):
        new = (posted["tx_id"], posted["seq"], posted["at"])
        with self.lock:
            old = self.acknowledged.setdefault((book, key), new)
        assert old == new, f"{book} {key}: acknowledged as {old}, then as {new}"

    def post(self, body):
        """Posts until it is acknowledged, and remembers that it was."""
        answer = self.insist("POST", "/v1/transactions", body)
        assert answer.status == 200, answer.text
        self.acknowledge(body["book"], body["idempotency_key"], answer.json)
        return answer.json

    def post_batch(self, bodies):
        """Posts until no slot is shed, and remembers the acknowledged ones."""
        slots, todo = [None] * len(bodies), list(range(len(bodies)))

        def attempt():
            answer = self.insist("POST", "/v1/transactions/batch", [bodies[i] for i in todo])
            assert answer.status == 200, answer.text
            for i, slot in zip(todo, answer.json):
                slots[i] = slot
            todo[:] = [i for i in todo if slots[i].get("error") == "overloaded"]
            return not todo

        wait_until(attempt, "every slot of a batch to be answered")
        for body, slot in zip(bodies, slots):
            if "tx_id" in slot:
                self.acknowledge(body["book"], body["idempotency_key"], slot)
        return slots

    def register(self, asset="USD", precision=2):
        body = {"id": asset, "class": "fiat", "precision": precision, "name": asset}
        assert self.insist("POST", "/v1/assets", body).status == 204

    def open(self, book, path, asset="USD", kind="asset", **more):
        body = {"book": book, "path": path, "asset": asset, "kind": kind, **more}
        answer = self.insist("POST", "/v1/accounts", body)
        assert answer.status == 204, answer.text

    def set_up(self, *books):
        self.register()
        for book in books:
            self.open(book, "cash", normal_side="debit")
            self.open(book, "sales", kind="income", normal_side="credit")

    def balance(self, book, path, query=""):
        return self.get(f"/v1/books/{quote(book)}/accounts/{quote(path)}/balance{query}")

    def history(self, book, path):
        items, after = [], 0
        while after is not None:
            page = self.get(f"/v1/books/{quote(book)}/accounts/{quote(path)}/history?limit=1000&after_seq={after}")
            items += page["items"]
            after = page["next"]
        return items

    def trial_balance(self, book, query=""):
        return self.get(f"/v1/books/{quote(book)}/trial-balance{query}")

    def talea(self, *arguments, input=None, env=None, timeout=PATIENCE_S):
        environment = clean_environment()
        environment.update(TALEA_URL=self.url, **(env or {}))
        if self.token:
            environment.setdefault("TALEA_TOKEN", self.token)
        return subprocess.run([TALEA, *arguments], input=input, env=environment, text=True, capture_output=True,
                              timeout=timeout)

    def admin(self, *arguments, timeout=PATIENCE_S):
        """talead ARGUMENTS, which finds this ledger as its operator's shell would."""
        return subprocess.run([TALEAD, *arguments], cwd=self.home, env=self.env, text=True, capture_output=True,
                              timeout=timeout)

    def status(self):
        done = self.admin("status", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    # --- event streams ---

    def stream(self, book, query="", last_event_id=None):
        return Stream(self, book, query, last_event_id)

    def insist_on_stream(self, book):
        def attempt():
            stream = self.stream(book)
            if stream.status == 200:
                return stream
            stream.close()
            assert stream.status == 503, stream.status
            return None
        return wait_until(attempt, f"a stream of {book}")

    # --- what must always hold ---

    def verify(self):
        """talead verify, offline or beside the server; its verdict."""
        env = clean_environment()
        env.update({name: value for name, value in self.env.items() if name == "TALEA_TEST_BOOT_ID"})
        done = subprocess.run([TALEAD, "verify", self.dir], env=env, text=True, capture_output=True, timeout=PATIENCE_S)
        assert done.returncode == 0, f"verify ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def check_invariants(self, books):
        """Events against acknowledgements, and the index (balances, history, trial balance) against the events."""
        for book in books:
            events = self.all_events(book)
            assert [e["seq"] for e in events] == list(range(1, len(events) + 1)), f"{book}: seq has a gap"
            assert all(a["at"] <= b["at"] for a, b in zip(events, events[1:])), f"{book}: at went back"
            self.check_acknowledged(book, events)
            self.check_sums(book, events)

    def all_events(self, book):
        """Every event up to the last one that an account or an acknowledgement knows of."""
        with self.lock:
            known = max([seq for (b, _), (_, seq, _) in self.acknowledged.items() if b == book], default=0)
        events = []
        with self.insist_on_stream(book) as stream:
            while True:
                event = stream.next(wait_s=PATIENCE_S if len(events) < known else 0.3)
                if event is None:
                    break
                events.append(event)
        assert len(events) >= known, f"{book}: {known} acknowledged, {len(events)} streamed"
        return events

    def check_acknowledged(self, book, events):
        """(tx_id, seq, at) of the events by key."""
        by_key = {}
        for event in events:
            if event["kind"] == "transaction_posted":
                key = event["payload"]["idempotency_key"]
                assert key not in by_key, f"{book}: key {key} twice"
                by_key[key] = (event["payload"]["id"], event["seq"], event["at"])
        for (b, key), acknowledged in list(self.acknowledged.items()):
            if b == book:
                assert by_key.get(key) == acknowledged, f"{book} {key}: acknowledged {acknowledged}, found {by_key.get(key)}"
        return by_key

    def check_sums(self, book, events, histories=True):
        accounts, totals = {}, {}
        for event in events:
            payload = event["payload"]
            if event["kind"] == "account_opened":
                accounts[payload["def"]["id"]["path"]] = {"side": payload["cfg"]["normal_side"], "raw": 0, "items": []}
            if event["kind"] != "transaction_posted":
                continue
            per_asset = {}
            for p in payload["postings"]:
                sign = 1 if p["direction"] == "debit" else -1
                minor, asset = p["amount"]["minor"], p["amount"]["asset"]
                per_asset[asset] = per_asset.get(asset, 0) + sign * minor
                total = totals.setdefault(asset, [0, 0])
                total[0 if sign > 0 else 1] += minor
                account = accounts[p["account"]["path"]]
                account["raw"] += sign * minor
                account["items"].append((event["seq"], minor, p["direction"]))
            assert not any(per_asset.values()), f"{book} seq {event['seq']} does not balance"
        lines = self.trial_balance(book)["lines"]
        assert lines == [{"asset": a, "debits": d, "credits": c} for a, (d, c) in sorted(totals.items())], book
        for path, account in accounts.items():
            shown = self.balance(book, path)
            raw = -account["raw"] if account["side"] == "credit" else account["raw"]
            assert int(shown["balance"].replace(".", "")) == raw, f"{book}:{path}: {shown} is not {raw}"
            if histories:
                items = [(i["seq"], i["amount"]["minor"], i["direction"]) for i in self.history(book, path)]
                assert items == account["items"], f"{book}:{path}: history differs from the events"


@contextlib.contextmanager
def posting_meanwhile(ledger, books, drafts):
    """While the block runs, batches of so many drafts are posted to each book, one after another."""
    stopping = threading.Event()

    def post(book):
        n = 0
        while not stopping.is_set():
            ledger.post_batch([sale(book, f"meanwhile-{n}-{i}") for i in range(drafts)])
            n += 1

    threads = [threading.Thread(target=post, args=(book,)) for book in books]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join(PATIENCE_S)


class Stream:
    """Reads text/event-stream from a raw socket, so that a test may wait for a while and no longer."""

    def __init__(self, ledger, book, query="", last_event_id=None):
        self.socket = socket.create_connection(("127.0.0.1", ledger.port), timeout=PATIENCE_S)
        head = f"GET /v1/books/{quote(book)}/events{query} HTTP/1.1\r\nHost: x\r\n"
        if ledger.token:
            head += f"Authorization: Bearer {ledger.token}\r\n"
        if last_event_id is not None:
            head += f"Last-Event-ID: {last_event_id}\r\n"
        self.socket.sendall((head + "\r\n").encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        for line in iter(self.file.readline, b"\r\n"):
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()
        assert self.headers.get("transfer-encoding") == "chunked" or self.status != 200
        self.pending = b""
        self.comments = 0
        self.last_id = None
        self.last_data = None  # as it was sent

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def read_chunk(self, wait_s):
        """One HTTP chunk, or None when nothing came in time or the stream ended."""
        self.socket.settimeout(wait_s)
        try:
            first = self.file.read(1)
        except (TimeoutError, OSError):
            # A timed-out file refuses to be read again: make a new one over the same socket.
            self.file = self.socket.makefile("rb")
            return None
        if not first:
            raise EOFError("the stream ended")
        self.socket.settimeout(PATIENCE_S)
        size = int((first + self.file.readline()).split(b";")[0], 16)
        data = self.file.read(size)
        self.file.readline()
        if size == 0:
            raise EOFError("the stream ended")
        return data

    def next(self, wait_s=PATIENCE_S):
        """The next event's data, or None when none came within wait_s."""
        deadline = time.monotonic() + wait_s
        while b"\n\n" not in self.pending:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            data = self.read_chunk(left)
            if data is None:
                return None
            self.pending += data
        block, _, self.pending = self.pending.partition(b"\n\n")
        if block.startswith(b":"):
            self.comments += 1
            return self.next(max(0.001, deadline - time.monotonic()))
        fields = dict(line.split(b": ", 1) for line in block.split(b"\n"))
        assert set(fields) == {b"id", b"data"}, block
        self.last_id = int(fields[b"id"])
        self.last_data = fields[b"data"]
        event = json.loads(self.last_data)
        assert event["seq"] == self.last_id
        return event
