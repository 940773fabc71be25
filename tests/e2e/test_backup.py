"""talead backup: a copy that can be served as it is, made while posting goes on."""
import os
import re
import shutil
import subprocess

import pytest

from harness import PATIENCE_S, TALEAD, clean_environment, posting_meanwhile, sale
from log_forge import batches, flip

CHUNK_BYTES = 256 << 10
TRACE = ["strace", "-f", "-qq", "-y", "-e", "signal=none"]
RESULT = re.compile(r"backup: (\S+) holds (\S+): (\d+) new batches, (\d+) bytes, in \d+\.\d s; "
                    r"head ([0-9a-f]{64}) at position (\d+)\n")


def may_trace():
    try:
        return subprocess.run([*TRACE, "-o", "/dev/null", "true"], stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def backup(ledger, to, *arguments, env=None):
    environment = clean_environment()
    environment.update(env or {"TALEA_DB_URL": ledger.env["TALEA_DB_URL"]})
    return subprocess.run([TALEAD, "backup", to, *arguments], env=environment, cwd=ledger.home, text=True,
                          capture_output=True, timeout=PATIENCE_S)


def backed_up(ledger, to, *arguments, **more):
    """(new batches, head, position) of one that succeeds."""
    done = backup(ledger, to, *arguments, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    found = RESULT.fullmatch(done.stdout)
    assert found and found.group(1) == to and found.group(2) == ledger.dir, done.stdout
    return int(found.group(3)), found.group(5), int(found.group(6))


def refused(ledger, to, *arguments):
    done = backup(ledger, to, *arguments)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def filled(make_ledger, posts=60, **settings):
    ledger = make_ledger(**{"log_segment_max": 4096, "log_snapshot_every": 50, "log_idem_hot_cap": 20, **settings})
    ledger.set_up("a", "b")
    post_more(ledger, "k", posts)
    return ledger


def post_more(ledger, name, count):
    for n in range(count):
        ledger.post(sale("ab"[n % 2], f"{name}{n}", 100 + n))


def serve_copy(make_ledger, path, acknowledged):
    """A server on the backup, which must know all that was acknowledged before it was made."""
    copy = make_ledger(start=False, directory=path)
    copy.acknowledged = dict(acknowledged)
    copy.start()
    copy.verify()
    copy.check_invariants(["a", "b"])
    (book, key), (tx_id, _, _) = next(iter(acknowledged.items()))
    again = copy.post(sale(book, key))
    assert again["deduplicated"] and again["tx_id"] == tx_id
    return copy


def verified_head(path):
    done = subprocess.run([TALEAD, "verify", path], env=clean_environment(), text=True, capture_output=True)
    assert done.returncode == 0, done.stdout
    return re.search(r"head ([0-9a-f]{64}) at position (\d+)", done.stdout).groups()


def tree(path):
    """Every file's content by its name."""
    found = {}
    for root, _, names in os.walk(path):
        for name in names:
            with open(os.path.join(root, name), "rb") as f:
                found[os.path.relpath(os.path.join(root, name), path)] = f.read()
    return found


def test_a_copy_of_a_served_ledger_is_served_as_it_is(make_ledger):
    ledger = filled(make_ledger)
    ledger.wait_for_snapshot()
    acknowledged = dict(ledger.acknowledged)
    to = ledger.home + "/copy"
    _, head, position = backed_up(ledger, to)
    assert verified_head(to) == (head, str(position))
    post_more(ledger, "after", 5)
    assert any(n.endswith(".mdb") for n in os.listdir(to + "/snapshots"))
    copy = serve_copy(make_ledger, to, acknowledged)
    assert "index restored from" in copy.stderr_text()
    post_more(copy, "own-", 5)


def test_a_copy_of_a_stopped_ledger_reaches_its_end(make_ledger):
    ledger = filled(make_ledger)
    ledger.stop()
    to = ledger.home + "/copy"
    _, head, _ = backed_up(ledger, to, "--db-url", ledger.env["TALEA_DB_URL"], env={"X": "y"})
    assert verified_head(ledger.dir)[0] == head
    serve_copy(make_ledger, to, ledger.acknowledged)


def test_an_empty_ledger_can_be_copied_and_added_to(make_ledger):
    ledger = make_ledger()
    to = ledger.home + "/copy"
    os.mkdir(to)
    assert backed_up(ledger, to)[0] == 0
    assert backed_up(ledger, to, "--incremental")[0] == 0
    ledger.set_up("a", "b")
    post_more(ledger, "k", 5)
    assert backed_up(ledger, to, "--incremental")[0] > 0
    serve_copy(make_ledger, to, ledger.acknowledged)


def test_incremental_ones_add_what_is_new_and_equal_a_full_one(make_ledger):
    ledger = filled(make_ledger)
    to = ledger.home + "/copy"
    backed_up(ledger, to)
    for n in range(6):
        post_more(ledger, f"more{n}-", 7 * n)
        if n == 3:
            ledger.restart()  # seals in between
        new, head, position = backed_up(ledger, to, "--incremental")
        assert (new > 0) == (n > 0)
        assert verified_head(to) == (head, str(position))
        assert backed_up(ledger, to, "--incremental")[0] == 0, "nothing is new"
    backed_up(ledger, ledger.home + "/full")
    segments = {name: data for name, data in tree(ledger.home + "/full").items() if name.startswith("log/")}
    assert {name: data for name, data in tree(to).items() if name.startswith("log/")} == segments
    assert len(segments) > 3
    assert len(os.listdir(to + "/snapshots")) == 1
    serve_copy(make_ledger, to, ledger.acknowledged)


def test_posts_go_on_and_what_was_acknowledged_before_it_began_is_in_it(make_ledger):
    ledger = filled(make_ledger)
    copies = []
    with posting_meanwhile(ledger, "ab", 10):
        for n in range(4):
            with ledger.lock:
                acknowledged = dict(ledger.acknowledged)
            backed_up(ledger, f"{ledger.home}/copy{n}")
            copies.append((f"{ledger.home}/copy{n}", acknowledged))
            backed_up(ledger, f"{ledger.home}/copy0", "--incremental")
    for path, acknowledged in copies:
        serve_copy(make_ledger, path, acknowledged)


@pytest.mark.skipif(not may_trace(), reason="strace may not trace here")
def test_it_waits_for_the_disk_after_each_chunk_and_syncs_a_file_before_it_has_its_name(make_ledger):
    ledger = filled(make_ledger, log_segment_max=1 << 20)
    ledger.post(sale("a", "big", metadata={"text": "x" * 10000}))
    assert ledger.admin("snapshot").returncode == 0
    trace, environment = ledger.home + "/trace", clean_environment()
    environment["ASAN_OPTIONS"] = "detect_leaks=0"
    subprocess.run([*TRACE, "-o", trace, "-e", "trace=pwrite64,sync_file_range,fdatasync,fsync,rename,ftruncate",
                    TALEAD, "backup", ledger.home + "/copy", "--db-url", ledger.env["TALEA_DB_URL"]], check=True,
                   env=environment, cwd=ledger.home, timeout=PATIENCE_S)
    ended = {}  # temporary name -> its last call
    renamed = set()
    for line in open(trace):
        name, on = re.search(r"(\w+)\((?:\d+<|\")([^>\"]+)", line).groups()
        if not on.endswith(("/segment.next", ".mdb.new")):
            continue
        if name == "pwrite64":
            assert int(re.search(r"= (\d+)", line).group(1)) <= CHUNK_BYTES, line
            assert ended.get(on) != "pwrite64" or ".mdb" in on and "TALEASNP" in line, line
        if name == "rename":
            assert ended.pop(on) == "fsync", line
            renamed.add(os.path.basename(on)[-5:])
        else:
            ended[on] = name
    assert renamed == {".next", "b.new"} and not ended, (renamed, ended)


def test_an_interrupted_one_is_continued(make_ledger):
    """Whatever stands under the temporary name of a first backup that was killed is a prefix, and no finished backup."""
    ledger = filled(make_ledger)
    to = ledger.home + "/copy"
    backed_up(ledger, to)
    os.rename(to, to + ".partial")
    last = sorted(n for n in os.listdir(to + ".partial/log"))[-1]
    os.unlink(f"{to}.partial/log/{last}")
    with open(to + ".partial/log/segment.next", "wb") as f:
        f.write(b"half a segment")
    assert backed_up(ledger, to)[0] > 0
    assert not os.path.exists(to + ".partial") and verified_head(to)
    serve_copy(make_ledger, to, ledger.acknowledged)


def test_a_backup_is_never_written_over_or_mixed(make_ledger):
    ledger, other = filled(make_ledger), filled(make_ledger)
    to = ledger.home + "/copy"
    assert "there is no backup" in refused(ledger, to, "--incremental")
    backed_up(ledger, to)
    before = tree(to)
    assert "is there already" in refused(ledger, to)
    assert "is a backup of another ledger" in refused(other, to, "--incremental")
    assert "is in use" in refused(ledger, ledger.dir, "--incremental"), "the ledger itself"
    assert tree(to) == before
    with_own = make_ledger(start=False, directory=shutil.copytree(to, ledger.home + "/served"))
    with_own.start()
    assert "is in use" in refused(ledger, with_own.dir, "--incremental")
    with_own.post(sale("a", "its own"))
    with_own.stop()
    post_more(ledger, "more", 3)
    assert "is no longer a part of" in refused(ledger, with_own.dir, "--incremental")
    with_own.start()


def test_a_ledger_that_was_set_back_does_not_continue_a_later_backup(make_ledger):
    ledger = filled(make_ledger)
    early = shutil.copytree(ledger.dir, ledger.home + "/early", ignore=shutil.ignore_patterns("LOCK", "control", "index", "idempotency"))
    to = ledger.home + "/copy"
    post_more(ledger, "later", 5)
    ledger.stop()
    backed_up(ledger, to)
    older = make_ledger(start=False, directory=early)
    assert "is no longer a part of" in refused(older, to, "--incremental")
    older.start()
    post_more(older, "other", 30)
    assert "is no longer a part of" in refused(older, to, "--incremental")


def test_damage_is_not_copied_in_silence(make_ledger):
    ledger = filled(make_ledger)
    ledger.wait_for_snapshot()
    ledger.stop()
    path = ledger.segments()[1]
    at = list(batches(open(path, "rb").read()))[2][0]
    flip(path, at + 60)
    to = ledger.home + "/copy"
    assert f"damaged: {path} at offset {at}" in refused(ledger, to)
    assert not os.path.exists(to)
    flip(path, at + 60)
    for name in os.listdir(ledger.dir + "/snapshots"):
        flip(f"{ledger.dir}/snapshots/{name}", 5000)
    done = backup(ledger, to)
    assert done.returncode == 0 and "cannot be copied (it is damaged)" in done.stderr
    assert os.listdir(to + "/snapshots") == []
    serve_copy(make_ledger, to, ledger.acknowledged)
    for name in os.listdir(ledger.dir + "/snapshots"):
        flip(f"{ledger.dir}/snapshots/{name}", 5000)


def test_wrong_use_is_told(make_ledger, tmp_path):
    ledger = make_ledger(start=False)
    assert backup(ledger, "--bogus").returncode == 2
    assert "there is no ledger in" in refused(ledger, str(tmp_path / "copy"))
    assert "invalid TALEA_DB_URL" in backup(ledger, str(tmp_path / "copy"), env={"X": "y"}).stderr
    assert not os.path.exists(tmp_path / "copy") and not os.path.exists(ledger.dir)
