"""Admin commands of a running talead: what they say, what they change, who may ask."""
import fcntl
import json
import os
import re
import signal
import socket
import stat
import subprocess

import pytest

from harness import TALEAD, clean_environment, sale, wait_until

NOT_YET = 75


def control_path(ledger):
    return os.path.join(ledger.dir, "control")


def connect(ledger):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.settimeout(20)
    client.connect(control_path(ledger))
    return client


def snapshots(ledger):
    return sorted(n for n in os.listdir(os.path.join(ledger.dir, "snapshots")) if n.endswith(".mdb"))


def serving(status):
    return [w for w in status["workers"] if w["state"] == "serving"]


# --- status ---

def test_status_shows_the_ledger_its_arbiter_and_each_worker(make_ledger):
    ledger = make_ledger(workers=3)
    ledger.set_up("shop", "other")
    for n in range(20):
        ledger.post(sale("shop", f"k{n}"))
    status = ledger.status()
    assert status["state"] == "serving" and status["directory"] == ledger.dir
    assert (status["books"], status["accounts"]) == (3, 4), "books of its own, and _system"
    assert status["events"] == 1 + 4 + 20
    assert status["arbiter"]["pid"] == ledger.arbiter_pid() and status["arbiter"]["state"] == "serving"
    assert sorted(w["pid"] for w in status["workers"]) == ledger.worker_pids()
    assert sum(w["connections"] for w in status["workers"]) >= 1
    assert status["workers_wanted"] == 3
    shares = [status["arbiter"][f"{name}_share"] for name in ("fdatasync", "deciding", "idle")]
    assert abs(sum(shares) - 1) < 0.01, shares


def test_the_head_of_status_is_the_one_that_verify_and_backup_print(make_ledger):
    ledger = make_ledger()
    ledger.set_up("shop")
    ledger.post(sale("shop", "k"))
    chain = ledger.status()["chain"]
    assert re.fullmatch("[0-9a-f]{64}", chain)
    assert chain in ledger.verify()
    assert ledger.status()["ledger"] in ledger.admin("status").stdout
    assert chain in ledger.admin("status").stdout


def test_rates_and_shares_follow_the_load(make_ledger):
    ledger = make_ledger()
    ledger.set_up("shop")
    posted = 0

    def is_seen():
        nonlocal posted
        ledger.post_batch([sale("shop", f"k{posted + n}") for n in range(50)])
        posted += 50
        status = ledger.status()
        arbiter = status["arbiter"]
        return (status["requests_per_second"] > 0 and arbiter["commits_per_second"] > 0 and
                arbiter["drafts_per_commit"] > 1 and 0 < arbiter["fdatasync_p50_seconds"] <=
                arbiter["fdatasync_p99_seconds"] and status["limit"] != "idle" and
                any(w["requests_per_second"] > 0 for w in status["workers"]))
    wait_until(is_seen, "the rates to show the load")


def test_the_deepest_queue_is_named(make_ledger):
    ledger = make_ledger(write_queue_depth=10000, write_batch_max=1)
    ledger.set_up("naïve:book")

    def deepest():
        ledger.post_batch([sale("naïve:book", f"{deepest.posted}-{n}") for n in range(400)])
        deepest.posted += 1
        return ledger.status()["queue"]["deepest"]
    deepest.posted = 0
    found = wait_until(deepest, "a queue to be seen")
    assert found["book"] == "naïve:book" and found["drafts"] > 1


def test_a_child_that_keeps_dying_is_shown_with_what_it_died_of(make_ledger):
    ledger = make_ledger(workers=1)

    def killed_often():
        for pid, title in ledger.children():
            if title.startswith("talead: worker"):
                os.kill(pid, signal.SIGKILL)
        status = ledger.status()
        return status["workers"] and status["workers"][0]["deaths"] >= 3 and status
    worker = wait_until(killed_often, "three deaths")["workers"][0]
    assert "signal 9" in worker["last_death"]
    assert f"died {worker['deaths']}" in ledger.admin("status").stdout or "died" in ledger.admin("status").stdout


def test_follow_prints_the_status_until_talead_ends(make_ledger):
    ledger = make_ledger()
    follower = subprocess.Popen([TALEAD, "status", "--follow"], cwd=ledger.home, env=ledger.env, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    seen = [follower.stdout.readline()]
    while sum(line.startswith("talead ") for line in seen) < 2:
        seen.append(follower.stdout.readline())
        assert seen[-1], seen
    ledger.stop()
    _, error = follower.communicate(timeout=60)
    assert follower.returncode == 1 and "went away" in error


# --- workers ---

@pytest.mark.parametrize("change,expected", [("5", 5), ("1", 1), ("+2", 4), ("-1", 1)])
def test_the_number_of_workers_is_changed_live(make_ledger, change, expected):
    ledger = make_ledger(workers=2)
    done = ledger.admin("workers", change)
    assert done.returncode == 0, done.stderr
    assert f"{expected} workers serve" in done.stdout
    wait_until(lambda: len(ledger.worker_pids()) == expected, f"{expected} workers")
    assert len(serving(ledger.status())) == expected
    ledger.set_up("shop")
    ledger.post(sale("shop", "k"))


@pytest.mark.parametrize("change", ["0", "65", "-2", "+63", "many", "1.5", "", "99999999999999999999"])
def test_a_number_of_workers_that_cannot_be_is_refused_and_changes_nothing(make_ledger, change):
    ledger = make_ledger(workers=2)
    done = ledger.admin("workers", change)
    assert done.returncode in (1, 2) and done.stderr.count("\n") == 1 and "workers:" in done.stderr
    assert len(serving(ledger.status())) == 2


def test_a_leaving_worker_answers_what_it_has_and_tells_its_streams_to_come_again(make_ledger):
    ledger = make_ledger(workers=8)
    ledger.set_up("shop")
    streams = [ledger.stream("shop") for _ in range(16)]
    for stream in streams:
        assert [stream.next()["seq"] for _ in range(2)] == [1, 2]
    assert ledger.admin("workers", "1").returncode == 0
    ended = 0
    posted = ledger.post(sale("shop", "k"))
    for stream in streams:
        try:
            while True:
                event = stream.next(wait_s=1)
                if event:
                    assert event["seq"] == posted["seq"]
                elif len(ledger.worker_pids()) == 1:
                    break
        except EOFError:
            ended += 1
            assert stream.comments >= 1, "the last thing said is a comment"
            with ledger.stream("shop", last_event_id=stream.last_id or 0) as again:
                assert again.next() if (stream.last_id or 0) < posted["seq"] else True
        stream.close()
    assert ended >= 1
    wait_until(lambda: len(ledger.worker_pids()) == 1, "one worker")


def test_a_connection_that_rests_is_served_by_its_leaving_worker_and_told_to_close(make_ledger):
    ledger = make_ledger(workers=1)
    with socket.create_connection(("127.0.0.1", ledger.port), timeout=20) as client:
        request = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
        client.sendall(request)
        assert b"200 OK" in client.recv(4096)
        assert ledger.admin("reload").returncode == 0
        client.sendall(request)
        answer = client.recv(4096)
        assert b"200 OK" in answer and b"connection: close" in answer.lower()
        assert client.recv(4096) == b""


def test_advice_says_whether_another_worker_would_help_and_why(make_ledger):
    ledger = make_ledger()
    done = ledger.admin("workers", "--advise")
    assert done.returncode == 0 and re.match("(more|one more) .*help", done.stdout)
    assert ledger.admin("workers", "--advise", "3").returncode == 2
    assert len(serving(ledger.status())) == 2


# --- snapshot, books, stop ---

def test_a_snapshot_is_there_when_the_command_returns(make_ledger):
    ledger = make_ledger(log_snapshot_every=0)
    ledger.set_up("shop")
    for n in range(3):
        ledger.post(sale("shop", f"k{n}"))
        before = snapshots(ledger)
        done = ledger.admin("snapshot")
        assert done.returncode == 0 and done.stdout == "snapshot made\n", done.stderr
        assert snapshots(ledger)[-1] not in before
        assert len(snapshots(ledger)) <= 2


def test_an_old_snapshot_is_given_up_but_not_under_who_reads_it(make_ledger):
    """Its blocks go before its last reader closes it, unless he holds a lock: what verify and backup read is whole."""
    ledger = make_ledger()
    ledger.set_up("shop")
    files = []
    for n in range(2):
        ledger.post(sale("shop", f"k{n}"))
        assert ledger.admin("snapshot").returncode == 0
        files.append(open(os.path.join(ledger.dir, "snapshots", snapshots(ledger)[-1]), "rb"))
    fcntl.flock(files[1], fcntl.LOCK_SH)
    content = files[1].read()
    for n in range(2, 4):
        ledger.post(sale("shop", f"k{n}"))
        assert ledger.admin("snapshot").returncode == 0
    assert [os.fstat(f.fileno()).st_nlink for f in files] == [0, 0]
    assert os.fstat(files[0].fileno()).st_size == 0
    files[1].seek(0)
    assert content and files[1].read() == content
    for f in files:
        f.close()


def test_a_snapshot_that_fails_says_so(make_ledger):
    ledger = make_ledger(log_snapshot_every=0)
    done = ledger.admin("snapshot")
    assert done.returncode == 1 and "empty" in done.stderr
    ledger.set_up("shop")
    folder = os.path.join(ledger.dir, "snapshots")
    os.rename(folder, folder + ".away")
    done = ledger.admin("snapshot")
    assert done.returncode == 1 and "the log says why" in done.stderr
    assert "snapshot failed: No such file or directory" in ledger.stderr_text()
    os.rename(folder + ".away", folder)
    assert ledger.admin("snapshot").returncode == 0


def test_what_was_to_be_done_is_told_to_programs_as_json(make_ledger):
    ledger = make_ledger(log_snapshot_every=0)

    def told(*arguments):
        done = ledger.admin(*arguments, "--json")
        answer = json.loads(done.stdout)
        assert (done.returncode == 0) == answer["done"] and done.stderr == ""
        return answer["done"], answer["messages"]
    assert told("snapshot") == (False, ["snapshot: the ledger is empty, there is nothing to copy"])
    ledger.set_up("shop")
    assert told("snapshot") == (True, ["snapshot made"])
    assert told("reload") == (True, ["reloaded: 2 workers with the new settings take over"])
    changed = json.loads(ledger.admin("workers", "3", "--json").stdout)
    assert changed["workers_wanted"] == 3 and len(serving(changed)) == 3
    to = os.path.join(ledger.home, "copy")
    copied = json.loads(ledger.admin("backup", to, "--json").stdout)
    assert copied["head"] == ledger.status()["chain"] and copied["batches"] > 0
    assert told("stop") == (True, ["stopped"])
    assert ledger.process.wait(20) == 0


def test_books_lists_each_book_with_its_events(make_ledger):
    ledger = make_ledger()
    assert ledger.admin("books").returncode == 0
    ledger.set_up("shop", "a b/c")
    posted = ledger.post(sale("a b/c", "k"))
    lines = [json.loads(line) for line in ledger.admin("books", "--json").stdout.splitlines()]
    assert [(b["book"], b["events"]) for b in lines] == [("_system", 1), ("shop", 2), ("a b/c", 3)]
    assert lines[2]["last_at"] == posted["at"]
    assert re.search(r"^ +3  \S+Z  a b/c$", ledger.admin("books").stdout, re.MULTILINE)


@pytest.mark.parametrize("fast", [False, True])
def test_stop_returns_when_talead_has_ended(make_ledger, fast):
    ledger = make_ledger()
    ledger.set_up("shop")
    ledger.post(sale("shop", "k"))
    done = ledger.admin("stop", *(["--fast"] if fast else []))
    assert (done.returncode, done.stdout) == (0, "stopped\n"), done.stderr
    assert ledger.process.wait(20) == 0
    assert not os.path.exists(control_path(ledger))


# --- the socket ---

@pytest.mark.parametrize("command", ["status", "workers", "reload", "stop", "snapshot", "books"])
def test_a_ledger_that_is_not_served_is_said_to_be_so_in_one_line(make_ledger, command):
    ledger = make_ledger(start=False)
    expected = f"talead: the ledger in {ledger.dir} is not served: talead serve starts it\n"
    assert ledger.admin(command).stderr == expected, "never started"
    ledger.start()
    ledger.kill9()
    assert os.path.exists(control_path(ledger)), "a socket that nobody serves is left"
    done = ledger.admin(command)
    assert (done.returncode, done.stderr) == (1, expected)
    ledger.start()
    assert ledger.status()["state"] == "serving"


def test_a_ledger_is_found_by_url_dotenv_and_config(make_ledger):
    ledger = make_ledger()
    environment = clean_environment()

    def ask(*arguments, cwd="/"):
        done = subprocess.run([TALEAD, "status", "--json", *arguments], cwd=cwd, env=environment, text=True,
                              capture_output=True, timeout=60)
        return done.returncode == 0 and json.loads(done.stdout)["directory"] == ledger.dir
    assert not ask()
    assert ask("--db-url", f"log://{ledger.dir}")
    config = os.path.join(ledger.home, "talea.yaml")
    with open(config, "w") as f:
        f.write(f"db_url: log://{ledger.dir}\n")
    assert ask(f"--config={config}")
    with open(os.path.join(ledger.home, ".env"), "w") as f:
        f.write(f"TALEA_DB_URL=log://{ledger.dir}\n")
    assert ask(cwd=ledger.home)


def test_the_socket_is_its_owners_alone(make_ledger):
    ledger = make_ledger()
    assert stat.S_IMODE(os.stat(control_path(ledger)).st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_is_not_answered_even_when_the_socket_lets_it_in(make_ledger):
    ledger = make_ledger()
    for path in (ledger.home, ledger.dir):
        os.chmod(path, 0o755)
    os.chmod(control_path(ledger), 0o666)
    done = subprocess.run([TALEAD, "stop"], cwd="/", env=ledger.env, text=True, capture_output=True, timeout=60,
                          user=65534)
    assert done.returncode == 1 and "only root and the user that talead runs as" in done.stderr
    assert ledger.status()["state"] == "serving"


def test_nonsense_on_the_socket_ends_that_connection_alone(make_ledger):
    ledger = make_ledger()
    for message in (b"\x00", b"status", b"\x93\x01\x00\x90", b"\x93\x01\x00\x91", os.urandom(3000), b"\x93\x01\x00\xdd\xff\xff\xff\xff",
                    b"\x93\x01\x00\x99" + 9 * b"\xa1x"):
        with connect(ledger) as client:
            client.send(message)
            assert client.recv(100) == b"", message
    with connect(ledger) as client:
        client.send(b"\x93\x02\x00\x91\xa4ping")
        assert b"of another version" in client.recv(1000)
        client.send(b"\x93\x01\x00\x91\xa4what")
        assert b"knows no such command" in client.recv(1000)
    assert ledger.status()["state"] == "serving"


def test_clients_that_ask_and_never_read_hold_nobody_up(make_ledger):
    ledger = make_ledger()
    idle = []
    for _ in range(10):
        client = connect(ledger)
        client.setblocking(False)
        try:
            for _ in range(2000):
                client.send(b"\x93\x01\x01\x91\xa6status")
        except OSError:
            pass
        idle.append(client)
    assert ledger.status()["state"] == "serving"
    for client in idle:
        client.close()


def test_a_directory_with_a_long_name_has_a_control_socket_too(make_ledger, tmp_path):
    folder = os.path.join(tmp_path, *["a" * 100 for _ in range(3)], "ledger")
    os.makedirs(os.path.dirname(folder))
    ledger = make_ledger(directory=folder)
    assert ledger.status()["directory"] == folder
    assert ledger.admin("stop").returncode == 0
