"""Reads: never older than what was acknowledged, and the same at a time past however often they are asked."""
import contextlib
import http.client
import json
import os
import re
import signal

from harness import PATIENCE_S, credit, debit, draft, quote, sale, wait_until

BALANCE = "/v1/books/{}/accounts/cash/balance"


@contextlib.contextmanager
def many_connections(ledger, count=8):
    """So many that every worker has some of them."""
    made = [http.client.HTTPConnection("127.0.0.1", ledger.port, timeout=PATIENCE_S) for _ in range(count)]
    try:
        yield made
    finally:
        for connection in made:
            connection.close()


def ask(connection, path):
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 200, text
    return json.loads(text)


def test_whatever_worker_is_asked_after_an_acknowledgement_shows_the_post(make_ledger):
    ledger = make_ledger(workers=2)
    ledger.set_up("shop")
    with many_connections(ledger) as connections:
        for n in range(1, 101):
            posted = ledger.post(sale("shop", f"k{n}"))
            for connection in connections:
                now = ask(connection, BALANCE.format("shop"))
                assert (now["balance"], now["updated_seq"]) == (f"{n // 100}.{n % 100:02}", posted["seq"])
                then = ask(connection, BALANCE.format("shop") + "?as_of=" + quote(posted["at"]))
                # The echo has no more digits than it needs.
                assert then == {**now, "as_of": re.sub(r"(\.000)?000Z$", "Z", posted["at"])}


def check_times(connections, times):
    """times: for each `at`, the balance in cents with its last event."""
    for at, cents in times.items():
        for connection in connections:
            then = ask(connection, BALANCE.format("shop") + "?as_of=" + quote(at))
            assert then["balance"] == f"{cents // 100}.{cents % 100:02}", at


def test_times_past_have_the_same_balance_while_the_book_grows(make_ledger):
    ledger = make_ledger(workers=2)
    ledger.set_up("shop", "other")
    times, posted = {}, 0
    with many_connections(ledger, 4) as connections:
        for n in range(20):
            slots = ledger.post_batch([sale(book, f"k{n}-{i}") for i in range(30) for book in ("shop", "other")])
            for slot in slots[::2]:
                posted += 1
                times[slot["at"]] = posted
            check_times(connections, dict(list(times.items())[-40:]))
        check_times(connections, times)
        assert ask(connections[0], BALANCE.format("shop") + "?as_of=2000-01-01T00:00:00Z")["updated_seq"] == 0


def test_the_index_of_an_arbiter_that_made_it_anew_gives_the_same_reads(make_ledger):
    """Under workers that have read the old one."""
    ledger = make_ledger(workers=2)
    ledger.set_up("shop")
    times = {slot["at"]: n + 1 for n, slot in enumerate(ledger.post_batch([sale("shop", f"k{n}") for n in range(300)]))}
    with many_connections(ledger) as connections:
        check_times(connections, times)
        workers, old = ledger.worker_pids(), ledger.arbiter_pid()
        os.kill(old, signal.SIGABRT)
        wait_until(lambda: ledger.arbiter_pid() not in (None, old), "another arbiter")
        posted = ledger.post(sale("shop", "after"))
        assert "is thrown away (the arbiter before this one died of it)" in ledger.stderr_text()
        assert ledger.worker_pids() == workers
        times[posted["at"]] = 301
        check_times(connections, times)


def test_a_balance_names_the_account_as_it_was_asked_for(ledger):
    names = ["plain", "a:b", "a\\b", 'a"b', "tab\tnew\n", "nul\0", "/", "ü€😀", "\x7f", "x" * 300]
    ledger.register()
    for book in names:
        for path in names:
            ledger.open(book, path)
    ledger.post(draft(names[1], "k", debit(names[3], 5), credit(names[4], 5)))
    for book in names:
        for path in names:
            key = book.replace("\\", "\\\\").replace(":", "\\:") + ":" + path
            assert ledger.balance(book, path)["account"] == key
    assert ledger.balance(names[1], names[3])["balance"] == "0.05"
    assert ledger.balance(names[1], names[4])["balance"] == "-0.05"
