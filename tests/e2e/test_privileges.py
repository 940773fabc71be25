"""What talead's processes may do beyond their work: nothing that they can be kept from."""
import ctypes
import os
import signal
import subprocess

import pytest

from harness import PATIENCE_S, quote, sale, wait_until
from test_disk_faults import may_trace

STRANGER = 64124  # a user that nobody has
as_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root")


def status_of(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def capabilities(pid):
    status = status_of(pid)
    return {int(status["Cap" + kind], 16) for kind in ("Inh", "Prm", "Eff", "Amb")}


def sanitized(ledger):
    """A sanitizer traces its own process when it ends, so there memory is not hidden."""
    with open(f"/proc/{ledger.pid}/maps") as f:
        return "san.so" in f.read()


def as_stranger(make_ledger, **settings):
    ledger = make_ledger(start=False, **settings)
    os.chmod(ledger.home, 0o700)
    os.chown(ledger.home, STRANGER, STRANGER)
    ledger.under = ["setpriv", "--reuid", str(STRANGER), "--regid", str(STRANGER), "--clear-groups"]
    ledger.start()
    ledger.under = []
    wait_until(lambda: len(ledger.worker_pids()) == 2, "both workers")
    return ledger


def exercise(ledger):
    ledger.set_up("shop")
    for n in range(30):
        ledger.post(sale("shop", f"k{n}"))
    assert len(ledger.history("shop", "cash")) == 30


def test_no_child_has_a_capability_and_no_process_can_gain_one(make_ledger):
    ledger = make_ledger()
    ledger.set_up("shop")
    for pid, title in ledger.children():
        assert capabilities(pid) == {0}, title
    for pid in [ledger.pid] + [p for p, _ in ledger.children()]:
        assert status_of(pid)["NoNewPrivs"] == "1"


# --- memory ---


def owner_in_proc(pid):
    """Root, for a process that is not dumpable."""
    return os.stat(f"/proc/{pid}/environ").st_uid


@as_root
def test_the_memory_of_no_process_is_open_to_its_own_user(make_ledger):
    ledger = as_stranger(make_ledger, metrics=True)
    if sanitized(ledger):
        pytest.skip("a sanitizer keeps it open")
    exercise(ledger)
    for pid in [ledger.pid] + [p for p, _ in ledger.children()]:
        assert status_of(pid)["Uid"].split()[0] == str(STRANGER) and owner_in_proc(pid) == 0


@as_root
def test_all_that_talead_tells_of_its_processes_is_told_of_hidden_ones_too(make_ledger):
    ledger = as_stranger(make_ledger, metrics=True)
    exercise(ledger)
    text = subprocess.run(["curl", "-s", f"http://127.0.0.1:{ledger.metrics_port}/metrics"], capture_output=True,
                          text=True, timeout=PATIENCE_S).stdout
    for name in "cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds":
        told = [line for line in text.splitlines() if line.startswith(f"talea_process_{name}{{")]
        assert len(told) == 4, (name, told)
    for pid in ledger.worker_pids():
        with open(f"/proc/{pid}/oom_score_adj") as f:
            assert f.read().strip() == "300"


@as_root
def test_core_dumps_can_be_had(make_ledger):
    ledger = as_stranger(make_ledger, core_dumps="yes")
    for pid in [ledger.pid] + [p for p, _ in ledger.children()]:
        assert owner_in_proc(pid) == STRANGER


# --- system calls ---


def test_each_child_makes_the_system_calls_of_its_work_alone(make_ledger):
    ledger = make_ledger()
    exercise(ledger)
    for pid, title in ledger.children():
        assert status_of(pid)["Seccomp"] == "2", title
    assert status_of(ledger.pid)["Seccomp"] == status_of(os.getpid())["Seccomp"]


def test_a_setting_turns_the_filters_of_system_calls_off(make_ledger):
    ledger = make_ledger(seccomp="no")
    exercise(ledger)
    for pid, title in ledger.children():
        assert status_of(pid)["Seccomp"] == status_of(os.getpid())["Seccomp"], title


@pytest.mark.skipif(not may_trace(), reason="strace may not trace here")
@pytest.mark.parametrize("who", ["worker 0", "arbiter"])
def test_a_process_that_makes_another_call_is_replaced_and_one_line_names_the_call(make_ledger, who):
    """strace puts another call, harmless but in no list, in the place of the next one to be made."""
    ledger = make_ledger(workers=1)
    ledger.set_up("shop")
    victim = ledger.worker_pids()[0] if who == "worker 0" else ledger.arbiter_pid()
    strace = subprocess.Popen(["strace", "-qq", "-o", "/dev/null", "-p", str(victim), "-e", "trace=write,pwritev",
                               "-e", "inject=write,pwritev:error=EIO:syscall=getpgrp"])
    wait_until(lambda: status_of(victim)["TracerPid"].strip() != "0", "strace to hold the process")
    ledger.post(sale("shop", "k"))
    assert strace.wait(PATIENCE_S) is not None
    told = [line for line in ledger.stderr_text().splitlines() if f" {who} {victim} " in line]
    assert len(told) == 1, told
    assert "made the forbidden system call getpgrp (status 9; see TALEA_SECCOMP); another is started" in told[0]


# --- files ---


def open_files(pid):
    """Path -> may it be written to, of all that a process has open."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            path = os.readlink(f"/proc/{pid}/fd/{fd}")
            with open(f"/proc/{pid}/fdinfo/{fd}") as f:
                flags = next(int(line.split()[1], 8) for line in f if line.startswith("flags:"))
        except OSError:
            continue
        found[path] = found.get(path, False) or flags & os.O_ACCMODE != os.O_RDONLY
    return found


def test_no_worker_can_write_to_the_ledger(make_ledger):
    """LMDB's readers enter themselves in its lock file, which holds nothing of the ledger: that one has to be open."""
    ledger = make_ledger(log_segment_max=4096, log_idem_hot_cap=10)
    exercise(ledger)
    of_arbiter = {path for path, writable in open_files(ledger.arbiter_pid()).items() if writable}
    assert any("/log/segment-" in path for path in of_arbiter)
    os.kill(ledger.worker_pids()[0], signal.SIGKILL)  # one that is forked while the arbiter serves inherits no more
    exercise(ledger)
    for pid in ledger.worker_pids():
        mine = {os.path.relpath(path, ledger.dir): writable for path, writable in open_files(pid).items()
                if path.startswith(ledger.dir)}
        assert {path for path, writable in mine.items() if writable} <= {"index/lock.mdb"}
        assert not {"LOCK", "control"} & mine.keys()


def test_a_worker_holds_no_bell_but_its_own_and_the_arbiters(make_ledger):
    ledger = make_ledger()
    for pid in ledger.worker_pids():
        bells = [fd for fd in os.listdir(f"/proc/{pid}/fd")
                 if os.readlink(f"/proc/{pid}/fd/{fd}") == "anon_inode:[eventfd]"]
        assert len(bells) == 2


@as_root
def test_a_ledger_of_another_user_is_served_by_root_and_a_line_says_at_what_price(make_ledger):
    ledger = make_ledger(log_idem_hot_cap=10)
    exercise(ledger)
    assert "CAP_DAC_OVERRIDE" not in ledger.stderr_text()
    ledger.stop()
    for folder, _, files in os.walk(ledger.dir):
        for path in [folder] + [os.path.join(folder, name) for name in files]:
            os.chown(path, STRANGER, STRANGER)
    ledger.start()
    exercise(ledger)
    assert "CAP_DAC_OVERRIDE is kept" in ledger.stderr_text()
    for pid, title in ledger.children():
        assert capabilities(pid) == {0, 1 << 1}, title


@as_root
def test_a_ledger_below_a_closed_folder_of_another_user_is_served_by_root(make_ledger):
    ledger = make_ledger(start=False)
    os.chown(ledger.home, STRANGER, STRANGER)
    os.chmod(ledger.home, 0o700)
    ledger.start()
    exercise(ledger)
    ledger.restart()
    exercise(ledger)


def has_landlock():
    create_ruleset, version_flag = 444, 1
    return ctypes.CDLL(None).syscall(create_ruleset, None, 0, version_flag) > 0


def test_an_index_in_a_folder_that_is_not_the_one_of_the_start_is_read_by_new_workers(make_ledger):
    """A worker may write in the folder that it has found; it leaves when that is another one."""
    ledger = make_ledger()
    if not has_landlock():
        pytest.skip("the kernel has no Landlock")
    exercise(ledger)
    before = ledger.worker_pids()
    os.rename(os.path.join(ledger.dir, "index"), os.path.join(ledger.dir, "index-of-before"))
    os.kill(ledger.arbiter_pid(), signal.SIGKILL)


    def reads():
        ledger.drop_connection()  # the next one may be another worker's
        try:
            return ledger.request("GET", f"/v1/books/{quote('shop')}/trial-balance").status == 200
        except OSError:
            return False

    wait_until(lambda: reads() and not set(before) & set(ledger.worker_pids()), "every worker to be a new one")
    exercise(ledger)
