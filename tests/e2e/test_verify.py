"""talead verify: a verdict in one line, on good ledgers and on damaged ones, offline and served."""
import os
import re
import subprocess

import pytest

from harness import PATIENCE_S, TALEAD, clean_environment, credit, debit, draft, posting_meanwhile, sale
from log_forge import batches, crc32c, flip, forge, set_version

HEAD = re.compile(r"head ([0-9a-f]{64}) at position (\d+)")


def verify(directory, *arguments, boot_id=None):
    env = clean_environment()
    if boot_id:
        env["TALEA_TEST_BOOT_ID"] = boot_id
    done = subprocess.run([TALEAD, "verify", directory, *arguments], env=env, text=True, capture_output=True,
                          timeout=PATIENCE_S)
    return done.returncode, done.stdout


def assert_whole(directory, *arguments, **more):
    status, verdict = verify(directory, *arguments, **more)
    assert status == 0 and verdict.startswith(f"verify: {directory} is whole"), verdict
    assert verdict.count("\n") == 1
    return verdict


def assert_damaged(directory, *words, arguments=(), **more):
    status, verdict = verify(directory, *arguments, **more)
    assert status == 1 and verdict.count("\n") == 1 and "is whole" not in verdict, verdict
    for word in words:
        assert word in verdict, verdict
    return verdict


def filled(make_ledger, posts=60, **settings):
    ledger = make_ledger(**{"log_segment_max": 4096, "log_snapshot_every": 100, "log_idem_hot_cap": 20, **settings})
    ledger.set_up("a", "b")
    ledger.open("a", "x" * 400)  # a name that the index keeps by its hash
    for n in range(posts):
        ledger.post(sale("ab"[n % 2], f"k{n}", 1000 + n))
    ledger.post(draft("a", "long", debit("x" * 400, 5), credit("cash", 2), credit("sales", 3)))
    ledger.post_batch([sale("b", f"batch-{n}") for n in range(100)])
    return ledger


def replace_everywhere(path, old, new):
    with open(path, "rb") as f:
        data = f.read()
    assert old in data
    with open(path, "r+b") as f:
        f.write(data.replace(old, new))


# --- good ones ---

def test_a_ledger_is_whole_served_stopped_and_killed(make_ledger):
    ledger = filled(make_ledger)
    served = assert_whole(ledger.dir)
    assert "167 events, 3 books, 5 accounts" in served and "the index agrees" in served and "spilled keys agree" in served
    ledger.stop()
    assert "the index agrees" in assert_whole(ledger.dir)
    ledger.start()
    ledger.post(sale("a", "more"))
    ledger.kill9()
    assert "168 events" in assert_whole(ledger.dir)


def test_it_follows_a_server_that_goes_on_posting(make_ledger):
    ledger = filled(make_ledger)
    with posting_meanwhile(ledger, "ab", 20):
        for _ in range(8):
            assert "the index agrees" in assert_whole(ledger.dir)


def test_a_head_that_was_noted_is_found_again_or_missed(make_ledger):
    ledger = filled(make_ledger, posts=10)
    head, position = HEAD.search(assert_whole(ledger.dir)).groups()
    for n in range(30):
        ledger.post(sale("a", f"later-{n}"))
    ledger.stop()
    assert f"the expected head was met at position {position}" in assert_whole(ledger.dir, "--expect", head)
    assert_damaged(ledger.dir, "is nowhere in", arguments=("--expect=" + "0" * 64,))
    assert verify(ledger.dir, "--expect", "abc")[0] == 2


def test_it_begins_at_a_snapshot(make_ledger):
    ledger = filled(make_ledger)
    ledger.wait_for_snapshot()
    ledger.stop()
    folder = os.path.join(ledger.dir, "snapshots")
    name = sorted(os.listdir(folder))[-1]
    for snapshot in (name, os.path.join(folder, name)):
        verdict = assert_whole(ledger.dir, "--from", snapshot)
        assert f"from the snapshot at position {int(name[9:29])} on" in verdict and "167 events" in verdict
    flip(os.path.join(folder, name), 5000)
    assert_damaged(ledger.dir, name, "it is damaged", arguments=("--from", name))
    assert_damaged(ledger.dir, "cannot be used", arguments=("--from", "snapshot-00000000000000000001.mdb"))


def test_after_a_crash_of_the_machine_the_index_is_not_opened_and_the_rest_is_proved(make_ledger):
    ledger = filled(make_ledger)
    ledger.kill9()
    assert "the index was not looked at: the machine went down" in assert_whole(ledger.dir, boot_id="another")


def test_a_torn_tail_is_no_damage(make_ledger):
    ledger = filled(make_ledger, log_segment_max=1 << 20)
    ledger.kill9()
    path = ledger.segments()[-1]
    end = sum(list(batches(open(path, "rb").read()))[-1][:2])
    with open(path, "r+b") as f:
        f.seek(end)
        f.write(b"TLBT and then nothing")
    assert "torn tail of" in assert_whole(ledger.dir)


def paddings(path):
    """Of each batch the offsets at which its padding begins and ends."""
    with open(path, "rb") as f:
        data = f.read()
    return [(at + 80 + int.from_bytes(data[at + 4:at + 8], "little"), at + length) for at, length, _, _ in batches(data)]


def test_what_pads_the_last_batch_is_zero_again_after_a_start(make_ledger):
    """The CRC and the chain prove the batch without its padding, so a start takes it, and writes it anew."""
    ledger = filled(make_ledger, log_segment_max=1 << 20)
    path = ledger.segments()[-1]
    for n in range(1, 9):
        ledger.post(sale("a", "y" * n))
        begin, end = paddings(path)[-1]
        if begin < end:
            break
    ledger.kill9()
    flip(path, end - 1)
    assert_damaged(ledger.dir, f"damaged: {path} at offset {end - 1}: ")
    ledger.start()
    ledger.post(sale("a", "behind it"))
    assert_whole(ledger.dir)


# --- damaged ones: the log ---

def test_every_kind_of_byte_in_the_log_is_watched(make_ledger):
    ledger = filled(make_ledger)
    ledger.stop()
    segments = ledger.segments()
    assert len(segments) >= 3
    for path in (segments[0], segments[1]):
        at, length, _, _ = list(batches(open(path, "rb").read()))[3]
        for offset, where in ((20, 0), (at + 8, at), (at + 60, at), (at + length - 12, at)):
            flip(path, offset)
            assert_damaged(ledger.dir, f"damaged: {path} at offset {where}:")
            flip(path, offset)
    assert_whole(ledger.dir)


def test_every_byte_that_pads_a_batch_is_watched(make_ledger):
    """No CRC and no chain value covers it; the format says that it is zero. All the rest is whole, and dumped."""
    ledger = filled(make_ledger)
    ledger.stop()
    padded = [(path, offset) for path in ledger.segments() for at in paddings(path) for offset in range(*at)]
    assert len(padded) > 20
    events = ledger.admin("dump", ledger.dir).stdout
    for path, offset in padded[:10] + padded[-10:]:
        flip(path, offset)
        assert_damaged(ledger.dir, f"damaged: {path} at offset {offset}: the batch is padded with other than zeros")
        assert ledger.admin("dump", ledger.dir).stdout == events
        flip(path, offset)
    assert_whole(ledger.dir)


def test_missing_swapped_and_foreign_segments_are_named(make_ledger):
    ledger, other = filled(make_ledger), filled(make_ledger)
    ledger.stop()
    other.stop()
    first, second, third = ledger.segments()[:3]
    aside = ledger.home + "/aside"
    for path in (first, second, ledger.segments()[-1]):
        os.rename(path, aside)
        assert_damaged(ledger.dir, f"missing: {path}")
        os.rename(aside, path)
    os.rename(first, aside)
    os.rename(second, first)
    os.rename(aside, second)
    assert_damaged(ledger.dir, "the file was renamed or swapped")
    os.rename(second, aside)
    os.rename(first, second)
    os.rename(aside, first)
    assert_whole(ledger.dir)
    last = ledger.segments()[-1]
    os.rename(last, aside)
    with open(other.segments()[0], "rb") as f:
        header = bytearray(f.read(128))
    header[32:40] = int(last[-24:-4]).to_bytes(8, "little")  # where it would stand, were it this ledger's
    header[124:128] = crc32c(header[:124]).to_bytes(4, "little")
    with open(last, "wb") as f:
        f.write(header)
    assert_damaged(ledger.dir, f"foreign: {last} is another ledger's")
    os.rename(aside, last)
    assert_whole(ledger.dir)
    set_version(third, 2)
    assert_damaged(ledger.dir, third, "has format version 2")
    set_version(third, 1)
    flip(third, 8)
    assert_damaged(ledger.dir, third, "its segment header is damaged")
    flip(third, 8)


def test_a_log_that_ends_before_what_was_witnessed_is_damaged(make_ledger):
    ledger = filled(make_ledger, log_segment_max=1 << 20)
    ledger.stop()
    path = ledger.segments()[-1]
    at = list(batches(open(path, "rb").read()))[-3][0]
    os.truncate(path, at)
    assert_damaged(ledger.dir, "the file ends")  # the index is ahead
    ledger.remove("index")
    assert_damaged(ledger.dir, "has witnessed", "a part of the log is missing")
    ledger.remove("snapshots", "idempotency")
    assert_whole(ledger.dir)  # nothing is left that knew of more
    ledger.check_at_end = False


@pytest.mark.parametrize("find,put,words", [
    (b"\xa3k-7", b"\xa3k-6", "has the idempotency key of an earlier one"),
    (b"\xa4cash\x07", b"\xa4cash\x08", "does not balance"),
    (b"\xa5sales\x07", b"\xa5salex\x07", "is one that the ledger would have refused"),
    (b"\xa1a\x09", b"\xa1a\x0a", "does not follow the one before it in its book"),
], ids=["key twice", "unbalanced", "unknown account", "gap in seq"])
def test_whole_batches_that_break_the_rules_are_damage(make_ledger, find, put, words):
    ledger = make_ledger()
    ledger.set_up("a")
    for n in range(1, 10):
        ledger.post(sale("a", f"k-{n}", n))
    ledger.stop()
    path, = ledger.segments()
    forge(path, lambda payload: payload)
    assert_whole(ledger.dir)
    forge(path, lambda payload: payload.replace(find, put))
    ledger.remove("index")
    assert_damaged(ledger.dir, "the log breaks the ledger's rules", path, words)
    assert ledger.start_refused() == 1, "and talead does not serve it"
    assert "the log breaks the ledger's rules" in ledger.stderr_text()
    ledger.check_at_end = False


# --- damaged ones: what is derived ---

def test_a_wrong_sum_in_the_index_is_found(make_ledger):
    ledger = filled(make_ledger)
    ledger.post(sale("a", "odd", 0x11223344556))
    ledger.kill9()  # unsealed: the index is taken as it is
    path = os.path.join(ledger.dir, "index", "data.mdb")
    debits = 0x11223344556 + sum(1000 + n for n in range(0, 60, 2))
    replace_everywhere(path, debits.to_bytes(16, "little"), (debits + 1).to_bytes(16, "little"))
    assert_damaged(ledger.dir, "the index differs from the log", "talead reindex")
    assert subprocess.run([TALEAD, "reindex", ledger.dir], env=clean_environment(), capture_output=True).returncode == 0
    assert_whole(ledger.dir)
    ledger.start()


def test_wrecked_pages_of_the_index_are_a_verdict_and_no_crash(make_ledger):
    ledger = filled(make_ledger)
    ledger.kill9()
    path = os.path.join(ledger.dir, "index", "data.mdb")
    with open(path, "r+b") as f:
        f.seek(2 * 4096)
        f.write(os.urandom(40 * 4096))
    assert_damaged(ledger.dir, "talead reindex")
    ledger.check_at_end = False


def test_a_sealed_index_with_another_byte_is_not_believed(make_ledger):
    ledger = filled(make_ledger)
    ledger.stop()
    flip(os.path.join(ledger.dir, "index", "data.mdb"), 3 * 4096 + 100)
    assert "the index was not looked at: its bytes are not those of its clean stop" in assert_whole(ledger.dir)


def flipped_one_by_one(path, old):
    """Yields once for each place in the file where the octets stand, while their last bit there is another."""
    with open(path, "r+b") as f:
        data = f.read()
        for match in re.finditer(re.escape(old), data):
            last = match.end() - 1
            for octet in (data[last] ^ 1, data[last]):
                f.seek(last)
                f.write(bytes([octet]))
                f.flush()
                if octet != data[last]:
                    yield


def test_a_flipped_byte_in_the_spilled_keys_is_found(make_ledger):
    ledger = filled(make_ledger, posts=400)
    ledger.stop()
    path = os.path.join(ledger.dir, "idempotency", "data.mdb")
    tx_id = bytes.fromhex(ledger.acknowledged[("a", "k0")][0].replace("-", ""))
    # LMDB leaves octets of older pages in the gaps of newer ones: one place is the key's, and others may be nobody's.
    verdicts = [verify(ledger.dir) for _ in flipped_one_by_one(path, tx_id)]
    found = [verdict for status, verdict in verdicts if status == 1]
    assert any("spilled idempotency keys differ from the log" in v and "talead reindex" in v for v in found), verdicts
    assert all(verdict.count("\n") == 1 for verdict in found)
    assert_whole(ledger.dir)


def test_no_ledger_and_no_arguments_are_told_apart(make_ledger, tmp_path):
    assert_damaged(str(tmp_path), "there is no ledger in")
    assert verify(str(tmp_path), "--bogus")[0] == 2
    assert subprocess.run([TALEAD, "verify"], capture_output=True).returncode == 2
