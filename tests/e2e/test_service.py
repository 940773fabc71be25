"""The systemd units in contrib/systemd: what systemd says of them, and talead at work in the service's sandbox.

Where no systemd runs, service_sandbox.py stands for it: it reads the unit and builds the same sandbox by the kernel's
means, with an unprivileged user, no capability, no_new_privs, a read-only root, private /tmp, /dev, IPC and users, and
the seccomp filters that the unit's SystemCallFilter= and its like come to. A call that the filter does not allow ends
the process there, where systemd's would let it fail: so what passes here needs no call that the service lacks.
"""
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from harness import PATIENCE_S, SOURCE, TALEAD, quote, sale, wait_until

UNITS = os.path.join(SOURCE, "contrib", "systemd")
EXPOSURE_MAX = 1.2
USER = 64123  # one that nobody has
STATE_PLACE = "/var/lib/talea"
SANDBOX = os.path.join(os.path.dirname(os.path.abspath(__file__)), "service_sandbox.py")


@pytest.fixture
def units(tmp_path):
    """The units as make would write them for the talead under test; the folder they are in."""
    for name in ("talead.service", "talead.socket"):
        with open(os.path.join(UNITS, name + ".in")) as f:
            text = f.read().replace("@sbindir@", os.path.dirname(TALEAD)).replace("@sysconfdir@", "/etc")
        assert "@" not in re.sub(r"[= ~]@[-a-z]+", "", text), "a name that make does not know"
        (tmp_path / name).write_text(text)
    return tmp_path


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", "--no-pager", *arguments], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=PATIENCE_S)


def test_systemd_has_no_complaint_about_the_units(units):
    done = analyze("verify", "--man=no", str(units / "talead.service"), str(units / "talead.socket"))
    ours = [line for line in done.stdout.splitlines() if "talead" in line]
    assert ours == [] and done.returncode == 0, done.stdout


def test_the_service_is_hardly_exposed(units):
    threshold = round(EXPOSURE_MAX * 10)
    done = analyze("security", "--offline=true", f"--threshold={threshold}", str(units / "talead.service"))
    level = float(re.search(r"Overall exposure level for talead.service: ([0-9.]+)", done.stdout).group(1))
    print(f"exposure {level}")
    assert level <= EXPOSURE_MAX and done.returncode == 0, done.stdout


def may_make_namespaces():
    tried = subprocess.run(["unshare", "-m", "-i", "-U", "true"], capture_output=True)
    return os.getuid() == 0 and tried.returncode == 0


in_sandbox = pytest.mark.skipif(not may_make_namespaces(), reason="needs root and namespaces")


def in_service(make_ledger, units, **settings):
    """A ledger whose talead runs in the sandbox; its directory stands where StateDirectory= puts it."""
    ledger = make_ledger(start=False, **settings)
    os.mkdir(ledger.dir, 0o700)
    os.chown(ledger.dir, USER, USER)
    ledger.env["TALEA_DB_URL"] = f"log://{STATE_PLACE}"
    # LeakSanitizer would trace its own process, which no service may.
    ledger.env["ASAN_OPTIONS"] = "detect_leaks=0"
    ledger.under = [sys.executable, SANDBOX, str(units / "talead.service"), str(USER), ledger.dir]
    return ledger


def run_in_service(make_ledger, units, *command):
    ledger = in_service(make_ledger, units)
    return subprocess.run(ledger.under + list(command), text=True, capture_output=True, timeout=PATIENCE_S)


@in_sandbox
@pytest.mark.parametrize("command, says", [
    (["/usr/bin/touch", "/etc/talea-was-here"], "Read-only file system"),
    (["/bin/ls", "/root"], "Permission denied"),
    (["/usr/bin/unshare", "-U", "true"], "Operation not permitted"),
    ([sys.executable, "-c", "import socket; socket.socket(socket.AF_NETLINK)"], "Address family not supported"),
    ([sys.executable, "-c", "import mmap; mmap.mmap(-1, 4096, prot=7)"], "not permitted"),
])
def test_the_sandbox_refuses_what_the_unit_forbids(make_ledger, units, command, says):
    done = run_in_service(make_ledger, units, *command)
    assert done.returncode != 0 and says in done.stderr, done


@in_sandbox
def test_a_system_call_outside_the_filter_ends_the_process(make_ledger, units):
    done = run_in_service(make_ledger, units, "/bin/chown", "0", STATE_PLACE)
    assert done.returncode == -signal.SIGSYS, done


def status_of(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def check_confined(pid):
    status = status_of(pid)
    assert set(status["Uid"].split()) == {str(USER)} and status["Groups"].strip() == ""
    assert all(int(status["Cap" + kind], 16) == 0 for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb"))
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"


def exercise(ledger):
    """Every kind of request, in every process; more events than a snapshot takes, more keys than memory may hold."""
    ledger.set_up("shop", "a/b")
    for n in range(30):
        ledger.post(sale("shop", f"k{n}"))
    ledger.post_batch([sale("a/b", f"k{n}") for n in range(100)])
    posted = ledger.post(sale("shop", "k0"))
    assert ledger.get("/v1/transactions/" + posted["tx_id"])["tx_id"] == posted["tx_id"]
    assert len(ledger.history("shop", "cash")) == 30
    assert ledger.get(f"/v1/books/{quote('a/b')}/accounts/cash/balance")["updated_seq"] > 0
    ledger.trial_balance("shop")
    with ledger.stream("shop") as stream:
        ledger.post(sale("shop", "streamed"))
        wait_until(lambda: stream.next() and stream.last_id == 33, "the event of the post")


def complaints(ledger):
    return [line for line in ledger.stderr_text().splitlines()
            if re.search(r"not permitted|Permission denied|Bad system call|Read-only|not supported", line)]


@in_sandbox
def test_talead_does_all_its_work_in_the_sandbox(make_ledger, units):
    ledger = in_service(make_ledger, units, log_snapshot_every=20, log_idem_hot_cap=10, log_segment_max=16384,
                        metrics=True)
    ledger.env["TALEA_BIND"] = f"0.0.0.0:{ledger.port}"
    ledger.start()
    exercise(ledger)
    wait_until(lambda: os.listdir(os.path.join(ledger.dir, "snapshots")), "a snapshot")
    for pid in [ledger.pid] + [p for p, _ in ledger.children()]:
        check_confined(pid)
    ledger.process.send_signal(signal.SIGHUP)
    arbiter, worker = ledger.arbiter_pid(), ledger.worker_pids()[0]
    os.kill(arbiter, signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: ledger.arbiter_pid() not in (None, arbiter), "another arbiter")
    ledger.drop_connection()
    ledger.post(sale("shop", "after the kill"))
    ledger.restart()
    ledger.post(sale("shop", "after the restart"))
    ledger.kill9()
    ledger.start()
    ledger.post(sale("shop", "after the crash"))
    assert ledger.stop() < PATIENCE_S
    assert complaints(ledger) == []
    ledger.verify()


@in_sandbox
def test_a_ledger_that_went_down_with_the_machine_is_recovered_in_the_sandbox(make_ledger, units):
    ledger = in_service(make_ledger, units, log_idem_hot_cap=10).start()
    exercise(ledger)
    ledger.kill9()
    ledger.remove("index", "idempotency")
    ledger.start()
    assert complaints(ledger) == []


@in_sandbox
def test_readiness_is_told_from_within_the_sandbox(make_ledger, units):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        name = f"talea-test-{os.getpid()}"
        manager.bind("\0" + name)
        manager.settimeout(PATIENCE_S)
        ledger = in_service(make_ledger, units)
        ledger.env["NOTIFY_SOCKET"] = "@" + name
        ledger.start()
        wait_until(lambda: b"READY=1" in manager.recv(4096), "READY=1")
