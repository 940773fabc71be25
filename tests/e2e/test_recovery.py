"""What a start finds: index, snapshot and log tell the same story, and damage is named."""
import os
import random
import re
import shutil
import struct
import uuid

import pytest

from harness import credit, debit, draft, quote, sale
from log_forge import batches, set_version

BOOKS = ["a", "b:c", "d/e"]
PATHS = [path + asset for path in ("w", "x", "y:z") for asset in (":usd", ":jpy")]


def fill(ledger, seed, count):
    """Random transactions over several books, assets and accounts."""
    chance = random.Random(seed)
    ledger.register("USD", 2)
    ledger.register("JPY", 0)
    for book in BOOKS:
        for path, side in (("w", "debit"), ("x", "credit"), ("y:z", None)):
            ledger.open(book, path + ":usd", "USD", normal_side=side)
            ledger.open(book, path + ":jpy", "JPY")
    for n in range(0, count, 50):
        batch = []
        for i in range(50):
            asset, tail = chance.choice([("USD", ":usd"), ("JPY", ":jpy")])
            one, other = chance.sample(["w", "x", "y:z"], 2)
            minor = chance.randrange(1, 10**9)
            batch.append(draft(chance.choice(BOOKS), f"{seed}-{n + i}", debit(one + tail, minor, asset),
                               credit(other + tail, minor, asset), metadata={"n": n + i}))
        for slot in ledger.post_batch(batch):
            assert "tx_id" in slot, slot


def picture(ledger):
    """Everything a reader can ask, now and at times past."""
    shown = {}
    times = sorted(at for _, _, at in ledger.acknowledged.values())
    for book in BOOKS:
        for query in [""] + ["?as_of=" + quote(times[len(times) * n // 7]) for n in range(7)]:
            shown[book, query] = ledger.trial_balance(book, query)
            for path in PATHS:
                shown[book, path, query] = ledger.balance(book, path, query)
        for path in PATHS:
            shown[book, path] = ledger.history(book, path)
    for tx_id, _, _ in random.Random(1).sample(sorted(ledger.acknowledged.values()), 20):
        shown[tx_id] = ledger.get("/v1/transactions/" + tx_id)
    return shown


def test_index_snapshot_and_log_alone_all_give_the_same_ledger(make_ledger):
    ledger = make_ledger(log_snapshot_every=500, log_segment_max=200_000, log_idem_hot_cap=300)
    fill(ledger, 1, 3000)
    before = picture(ledger)
    ledger.wait_for_snapshot()
    ledger.restart()
    assert picture(ledger) == before, "with the index as it was"
    ledger.kill9()
    ledger.start()
    assert picture(ledger) == before, "after kill -9"
    ledger.stop()
    ledger.remove("index")
    ledger.start()
    assert "index restored from" in ledger.stderr_text()
    assert picture(ledger) == before, "from snapshot and tail"
    ledger.stop()
    ledger.remove("index", "snapshots", "idempotency")
    os.mkdir(os.path.join(ledger.dir, "snapshots"))
    ledger.start()
    assert picture(ledger) == before, "from genesis"
    fill(ledger, 2, 200)


def test_a_snapshot_that_lost_its_end_does_no_harm_beside_a_usable_index(make_ledger):
    ledger = make_ledger()
    ledger.set_up("shop")
    ledger.post(sale("shop", "k1"))
    assert ledger.admin("snapshot").returncode == 0
    ledger.kill9()
    folder = os.path.join(ledger.dir, "snapshots")
    newest = os.path.join(folder, sorted(n for n in os.listdir(folder) if n.endswith(".mdb"))[-1])
    os.truncate(newest, os.path.getsize(newest) // 2)
    ledger.start()
    assert ledger.post(sale("shop", "k2"))["seq"] == 4
    assert "killed by signal" not in ledger.stderr_text()


def killed_shop(make_ledger, posts):
    """Without a snapshot; its index is not closed."""
    ledger = make_ledger(log_snapshot_every=0)
    ledger.set_up("shop")
    for n in range(posts):
        ledger.post(sale("shop", f"k{n}"))
    ledger.kill9()
    return ledger


def test_a_long_tail_behind_the_newest_snapshot_gets_one_soon_after_the_start(make_ledger):
    ledger = killed_shop(make_ledger, 20)
    ledger.env["TALEA_LOG_SNAPSHOT_EVERY"] = "10"
    ledger.start()
    ledger.wait_for_snapshot()


def test_an_index_of_another_boot_that_was_not_closed_is_thrown_away(make_ledger):
    ledger = make_ledger(log_snapshot_every=0)
    ledger.set_up("shop")
    ledger.post(sale("shop", "k1"))
    ledger.kill9()
    state = os.path.join(ledger.dir, "index", "STATE")
    with open(state) as f:
        text = f.read()
    assert "clean no" in text
    with open(state, "w") as f:
        f.write(re.sub("boot .*", "boot 00000000-0000-0000-0000-000000000000", text))
    # What such an index holds must not matter: garbage would kill who opens it.
    with open(os.path.join(ledger.dir, "index", "data.mdb"), "r+b") as f:
        f.write(os.urandom(65536))
    ledger.start()
    assert "the machine went down while it was written" in ledger.stderr_text()
    assert ledger.balance("shop", "cash")["balance"] == "0.01"
    assert ledger.post(sale("shop", "k1"))["deduplicated"]


def test_an_index_that_lost_its_end_is_thrown_away(make_ledger):
    """Of this boot, so there is no CRC to tell; LMDB would take the zeros of a lengthened file for pages."""
    ledger = killed_shop(make_ledger, 100)
    path = os.path.join(ledger.dir, "index", "data.mdb")
    with open(path, "rb") as f:
        used = len(f.read().rstrip(b"\0"))
    os.truncate(path, used // 2)
    ledger.start()
    assert "is thrown away" in ledger.stderr_text() and "died of it" not in ledger.stderr_text()
    assert "is thrown away (it is damaged)" in ledger.stderr_text()


def make_index_old(ledger):
    """Every meta row of it: version 4, ..., ledger uuid at 80."""
    with open(os.path.join(ledger.dir, "index", "STATE")) as f:
        identity = uuid.UUID(re.search("ledger (.*)", f.read())[1]).bytes
    path = os.path.join(ledger.dir, "index", "data.mdb")
    with open(path, "r+b") as f:
        data = bytearray(f.read())
        rows = [found.start() - 80 for found in re.finditer(re.escape(identity), data)]
        for row in rows:
            assert struct.unpack_from("<I", data, row) == (2,)
            struct.pack_into("<I", data, row, 1)
        f.seek(0)
        f.write(data)
    assert rows


def test_an_index_of_another_version_is_made_anew(make_ledger):
    ledger = killed_shop(make_ledger, 20)
    make_index_old(ledger)
    assert "the index was not looked at: another version of talead made it" in ledger.verify()
    ledger.start()
    assert "is thrown away (another version of talead made it) and rebuilt from the log" in ledger.stderr_text()
    assert ledger.balance("shop", "cash")["balance"] == "0.20"
    ledger.stop()
    assert "; the index agrees" in ledger.verify()


def test_a_clean_stop_at_a_position_that_its_index_does_not_have_is_no_witness(make_ledger):
    ledger = make_ledger()
    ledger.set_up("shop")
    ledger.post(sale("shop", "k1"))
    ledger.stop()
    state = os.path.join(ledger.dir, "index", "STATE")
    with open(state) as f:
        text = f.read()
    with open(state, "w") as f:
        f.write(re.sub("position .", "position 9", text))
    ledger.start()
    assert ledger.stderr_text().count("thrown away") == 1
    assert "its STATE tells of another position than it holds" in ledger.stderr_text()


def make_segments(make_ledger, **settings):
    ledger = make_ledger(log_segment_max=65536, log_snapshot_every=0, **settings)
    ledger.set_up("shop")
    for n in range(100):
        ledger.post_batch([sale("shop", f"k{n}-{i}") for i in range(50)])
    assert len(ledger.segments()) > 3
    return ledger


def test_full_segments_are_sealed_and_all_stays_readable(make_ledger):
    ledger = make_segments(make_ledger)
    ledger.check_invariants(["shop"])
    ledger.restart()
    ledger.check_invariants(["shop"])


def flip_byte(path, offset):
    with open(path, "r+b") as f:
        f.seek(offset)
        byte = f.read(1)
        f.seek(offset)
        f.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize("keep_index", [True, False])
def test_a_damaged_sealed_segment_is_refused_by_name_and_offset(make_ledger, keep_index):
    ledger = make_segments(make_ledger)
    ledger.stop()
    if not keep_index:
        ledger.remove("index", "idempotency")
    segment = ledger.segments()[1]
    flip_byte(segment, os.path.getsize(segment) // 2)
    assert ledger.start_refused() == 1
    assert re.search(rf"corrupt frame in sealed segment \S*{os.path.basename(segment)} at offset \d+", ledger.stderr_text())
    flip_byte(segment, os.path.getsize(segment) // 2)
    ledger.start()


def test_a_missing_segment_is_named(make_ledger):
    ledger = make_segments(make_ledger)
    ledger.stop()
    segment = ledger.segments()[1]
    os.rename(segment, segment + ".away")
    assert ledger.start_refused() == 1
    assert f"{os.path.basename(segment)} is missing" in ledger.stderr_text()
    os.rename(segment + ".away", segment)
    ledger.start()


def test_a_segment_that_goes_missing_while_serving_is_an_error_and_not_404(make_ledger):
    ledger = make_segments(make_ledger, workers=1)
    tx_id = ledger.acknowledged["shop", "k20-0"][0]
    ledger.restart()  # nobody has it open
    away = [(path, path + ".away") for path in ledger.segments()[:-1]]
    for path, aside in away:
        os.rename(path, aside)
    answer = ledger.request("GET", "/v1/transactions/" + tx_id)
    assert answer.status == 500, answer.text
    assert re.search(r"the segment that holds log position \d+ is missing", ledger.stderr_text())
    for path, aside in away:
        os.rename(aside, path)
    assert ledger.get("/v1/transactions/" + tx_id)["tx_id"] == tx_id


def test_segments_of_two_ledgers_do_not_mix(make_ledger):
    one, two = make_segments(make_ledger), make_segments(make_ledger)
    one.stop()
    two.stop()
    one.check_at_end = two.check_at_end = False
    path = one.segments()[1]
    names = [os.path.basename(p) for p in two.segments()]
    if os.path.basename(path) not in names:  # positions may differ: take its name
        os.rename(two.segments()[1], os.path.join(two.dir, "log", os.path.basename(path)))
    os.replace(os.path.join(two.dir, "log", os.path.basename(path)), path)
    one.remove("index", "idempotency")
    assert one.start_refused() == 1
    assert "mixed" in one.stderr_text() or "renamed or swapped" in one.stderr_text()


def log_end(ledger):
    """Position and file of the last byte that is not zero."""
    path = ledger.segments()[-1]
    with open(path, "rb") as f:
        return path, len(f.read().rstrip(b"\0"))


def make_killed(make_ledger):
    """Twenty posts in one segment, and then no clean stop."""
    ledger = killed_shop(make_ledger, 20)
    return ledger


def test_a_torn_tail_is_cut_with_one_warning(make_ledger):
    ledger = make_killed(make_ledger)
    path, end = log_end(ledger)
    with open(path, "r+b") as f:
        f.seek((end + 7) // 8 * 8)
        f.write(b"TLBT" + b"\x55" * 300)
    ledger.start()
    assert ledger.stderr_text().count("torn tail") == 1
    ledger.check_invariants(["shop"])
    ledger.post(sale("shop", "more"))
    ledger.restart()
    assert ledger.stderr_text().count("torn tail") == 1


def test_a_bad_batch_before_a_good_one_is_refused(make_ledger):
    ledger = make_killed(make_ledger)
    ledger.remove("index", "idempotency")
    path, end = log_end(ledger)
    flip_byte(path, end // 2)
    assert ledger.start_refused() == 1
    assert "corrupt frame in sealed segment" in ledger.stderr_text()
    flip_byte(path, end // 2)
    ledger.start()


def test_a_log_that_ends_before_what_the_index_has_seen_is_refused(make_ledger):
    ledger = make_killed(make_ledger)
    path, end = log_end(ledger)
    with open(path, "rb") as f:
        whole = f.read()
    with open(path, "r+b") as f:
        f.truncate(end - 100)
    assert ledger.start_refused() == 1
    assert "has witnessed" in ledger.stderr_text()
    with open(path, "wb") as f:
        f.write(whole)
    ledger.start()


def make_spilled(make_ledger):
    """The index and the spilled keys have seen all of the log but its end: a start begins in the last segment."""
    ledger = make_ledger(log_snapshot_every=0, log_idem_hot_cap=20)
    ledger.set_up("shop")
    for n in range(60):
        ledger.post(sale("shop", f"k{n}"))
    ledger.stop()
    ledger.check_at_end = False
    return ledger


def test_a_log_that_ends_before_the_place_to_begin_at_is_not_called_corrupt(make_ledger):
    ledger = make_spilled(make_ledger)
    path, end = log_end(ledger)
    os.truncate(path, end // 2)
    assert ledger.start_refused() == 1
    assert re.search(rf"the log ends at position \d+ \({path} offset \d+\), but the index has witnessed \d+ ",
                     ledger.stderr_text())


def test_a_bad_last_batch_that_was_witnessed_is_not_called_missing(make_ledger):
    ledger = make_killed(make_ledger)  # no keys were spilled, so a start begins at the first batch
    ledger.check_at_end = False
    path, _ = log_end(ledger)
    with open(path, "rb") as f:
        at = [at for at, _, events, _ in batches(f.read()) if events][-1]
    flip_byte(path, at + 60)
    assert ledger.start_refused() == 1
    assert f"corrupt frame in sealed segment {path} at offset {at};" in ledger.stderr_text()


@pytest.mark.parametrize("witness", ["index", "idempotency"])
def test_a_last_segment_that_is_missing_is_named(make_ledger, witness):
    ledger = make_segments(make_ledger, log_idem_hot_cap=20)
    ledger.stop()
    ledger.check_at_end = False
    segment = ledger.segments()[-1]
    os.unlink(segment)
    ledger.remove(*{"index", "idempotency"} - {witness})
    assert ledger.start_refused() == 1
    assert f"{segment} is missing: restore it from a backup" in ledger.stderr_text()


def test_a_last_segment_that_is_missing_is_named_when_the_place_to_begin_at_lay_in_it(make_ledger):
    ledger = make_segments(make_ledger, log_idem_hot_cap=20)
    ledger.stop()
    ledger.check_at_end = False
    segment = ledger.segments()[-1]
    os.unlink(segment)
    assert ledger.start_refused() == 1
    assert f"{segment} is missing: restore it from a backup" in ledger.stderr_text()


def test_a_newer_format_version_asks_for_a_newer_talead(make_ledger):
    ledger = make_segments(make_ledger)
    ledger.stop()
    segment = ledger.segments()[1]
    set_version(segment, 257)
    assert ledger.start_refused() == 1
    assert f"{segment} has format version 257, this talead knows 1: start a newer talead" in ledger.stderr_text()
    set_version(segment, 1)
    ledger.start()


def test_swapped_segments_are_told_apart(make_ledger):
    ledger = make_segments(make_ledger)
    ledger.stop()
    one, other = ledger.segments()[:2]

    def swap():
        os.rename(one, one + ".away")
        os.rename(other, one)
        os.rename(one + ".away", other)

    swap()
    assert ledger.start_refused() == 1
    assert "the file was renamed or swapped; put every segment back under its own name" in ledger.stderr_text()
    swap()
    ledger.start()


def test_a_second_server_on_the_same_directory_is_refused(make_ledger):
    first = make_ledger()
    first.set_up("shop")
    second = make_ledger(start=False)
    second.env["TALEA_DB_URL"] = first.env["TALEA_DB_URL"]
    assert second.start_refused() == 1
    lines = [line for line in second.stderr_text().splitlines() if "OPEN MODE" not in line]
    assert lines == [f"talead: data dir already locked by another process: {first.dir}"]
    first.post(sale("shop", "still serving"))


def test_spilled_keys_that_are_damaged_are_read_from_the_log_again(make_ledger):
    ledger = make_ledger(log_idem_hot_cap=100)
    ledger.set_up("shop")
    for n in range(10):
        ledger.post_batch([sale("shop", f"k{n}-{i}") for i in range(50)])
    ledger.stop()
    with open(os.path.join(ledger.dir, "idempotency", "data.mdb"), "r+b") as f:
        f.write(b"\xff" * 16384)
    ledger.start()
    assert "thrown away, its keys are read from the log" in ledger.stderr_text()
    for n in range(10):
        slots = ledger.post_batch([sale("shop", f"k{n}-{i}") for i in range(50)])
        assert all(slot["deduplicated"] for slot in slots)


@pytest.mark.parametrize("name", [b"state", b"keys", b"runs"])
def test_a_lost_row_or_table_of_the_spilled_keys_is_seen_at_the_start(make_ledger, name):
    """Their names stand in LMDB's pages: under another one what was there is not found."""
    ledger = make_ledger(log_idem_hot_cap=20, log_snapshot_every=0)
    ledger.set_up("shop")
    for n in range(60):
        ledger.post(sale("shop", f"k{n}"))
    ledger.stop()
    path = os.path.join(ledger.dir, "idempotency", "data.mdb")
    with open(path, "rb") as f:
        data = f.read()
    with open(path, "wb") as f:
        f.write(data.replace(name, name[:-1] + bytes([name[-1] + 1])))
    ledger.start()
    assert "is damaged or another ledger's: thrown away" in ledger.stderr_text()
    for n in range(60):
        assert ledger.post(sale("shop", f"k{n}"))["deduplicated"]


def test_another_ledgers_snapshot_is_named_and_is_no_witness(make_ledger):
    """Even when its position is beyond the end of the log."""
    ledger, other = (make_ledger(log_snapshot_every=10) for _ in range(2))
    for one, posts in ((ledger, 15), (other, 60)):
        one.set_up("shop")
        for n in range(posts):
            one.post(sale("shop", f"k{n}"))
        assert one.admin("snapshot").returncode == 0
        one.stop()
    newest = sorted(os.listdir(os.path.join(other.dir, "snapshots")))[-1]
    foreign = os.path.join(ledger.dir, "snapshots", newest)
    shutil.copy(os.path.join(other.dir, "snapshots", newest), foreign)
    assert "is another ledger's: remove it" in ledger.verify()
    ledger.start()
    assert f"{foreign} is another ledger's snapshot: it is not believed; remove it" in ledger.stderr_text()
    ledger.stop()
    os.unlink(foreign)


def test_a_stop_comes_to_its_end_beside_snapshots_and_spills(make_ledger):
    """A copy is made by a forked process, which must not inherit what a spilling thread holds."""
    ledger = make_ledger(log_snapshot_every=500, log_idem_hot_cap=300)
    for n in range(12):
        fill(ledger, n, 1500)
        ledger.restart()
    assert "is killed" not in ledger.stderr_text()
