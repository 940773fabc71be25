"""talead dump: the events as the streams send them, from the log alone."""
import json
import subprocess

from harness import PATIENCE_S, TALEAD, clean_environment, draft, debit, credit, sale
from log_forge import batches, flip


def dump(directory, *arguments):
    return subprocess.run([TALEAD, "dump", directory, *arguments], env=clean_environment(), text=True,
                          capture_output=True, timeout=PATIENCE_S)


def dumped(directory, *arguments):
    done = dump(directory, *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def filled(make_ledger):
    ledger = make_ledger(log_segment_max=4096)
    ledger.set_up("a", "b")
    for n in range(30):
        ledger.post(sale("ab"[n % 2], f"k{n}"))
    ledger.post(draft("a", "rich", debit("cash", 7), credit("sales", 7), metadata={"note": "line\nbreak", "n": 1.50},
                      external_refs=[{"kind": "order", "value": "ü"}], occurred_at="2026-01-02T03:04:05.006Z"))
    return ledger


def test_it_prints_what_the_streams_send(make_ledger):
    ledger = filled(make_ledger)
    streamed = {book: ledger.all_events(book) for book in ("a", "b")}
    for state in ("served", "stopped"):
        for book in ("a", "b"):
            assert dumped(ledger.dir, "--book", book) == streamed[book], state
            assert dumped(ledger.dir, f"--book={book}", "--from", "7") == streamed[book][6:]
        everything = dumped(ledger.dir)
        assert len(everything) == 1 + sum(map(len, streamed.values())), "and the asset"
        assert [e for e in everything if e in streamed["a"]] == streamed["a"], "in the log's order"
        if state == "served":
            ledger.stop()
    assert dumped(ledger.dir, "--book", "none") == []


def test_damage_ends_it_with_the_place(make_ledger):
    ledger = filled(make_ledger)
    ledger.stop()
    path = ledger.segments()[1]
    at = list(batches(open(path, "rb").read()))[2][0]
    flip(path, at + 60)
    done = dump(ledger.dir)
    assert done.returncode == 1 and f"damaged: {path} at offset {at}: the batch's CRC does not match" in done.stderr
    assert all(json.loads(line) for line in done.stdout.splitlines()), "what was whole before it was printed"
    flip(path, at + 60)


def test_wrong_use_and_full_outputs_are_errors(make_ledger, tmp_path):
    ledger = filled(make_ledger)
    assert dump(ledger.dir, "--from", "seven").returncode == 2
    assert dump(ledger.dir, "--bogus").returncode == 2
    assert "there is no ledger in" in dump(str(tmp_path)).stderr
    with open("/dev/full", "w") as full:
        done = subprocess.run([TALEAD, "dump", ledger.dir], stdout=full, stderr=subprocess.PIPE, text=True,
                              env=clean_environment(), timeout=PATIENCE_S)
    assert done.returncode == 1 and "cannot write" in done.stderr
