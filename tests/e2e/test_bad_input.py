"""Hostile input: a clear error, nothing lost, nobody dies."""
import json
import os
import random
import socket

import pytest

from harness import sale, draft, debit, credit

USD_POST = ('{"book":"shop","idempotency_key":"%s","postings":[{"account":"cash","amount":{"minor":1,"asset":"USD"},'
            '"direction":"debit"},{"account":"sales","amount":{"minor":1,"asset":"USD"},"direction":"credit"}],"metadata":%s}')


def refused(shop, raw, status=400):
    answer = shop.request("POST", "/v1/transactions", raw=raw)
    assert answer.status == status, answer.text
    assert answer.json["error"] == "invalid_draft"
    return answer.json


def talk(shop, data, wait_s=5):
    """Raw bytes to the socket, and whatever comes back until it closes or falls silent."""
    with socket.create_connection(("127.0.0.1", shop.port), timeout=wait_s) as s:
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        got = b""
        try:
            while piece := s.recv(65536):
                got += piece
        except OSError:
            pass
        return got


def test_every_cut_of_a_good_body_is_refused(shop):
    whole = (USD_POST % ("k", '{"a":[1,2.5e3,"\\u00e9"]}')).encode()
    for n in range(len(whole)):
        refused(shop, whole[:n])
    assert shop.request("POST", "/v1/transactions", raw=whole).status == 200


@pytest.mark.parametrize("bad", [
    b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\\ud800", b"\\udc00", b"\\ud800\\u0041",
    b"\\x", b"\n", b"\x00", b"\\u12",
])
def test_text_that_is_no_strict_json_is_refused_wherever_it_stands(shop, bad):
    refused(shop, (USD_POST % ("KEY", "null")).encode().replace(b"KEY", b"k" + bad))
    refused(shop, (USD_POST % ("k", '["META"]')).encode().replace(b"META", bad))


def test_nesting_is_bounded_at_127(shop):
    def nested(depth):
        return (USD_POST % (f"deep-{depth}", "[" * depth + "]" * depth)).encode()
    assert shop.request("POST", "/v1/transactions", raw=nested(126)).status == 200
    refused(shop, nested(127))
    refused(shop, nested(100_000))
    refused(shop, b'{"unknown":' + b'{"a":' * 127 + b"1" + b"}" * 127 + b"}")


@pytest.mark.parametrize("field", ["book", "idempotency_key", "postings", "metadata", "occurred_at", "external_refs"])
def test_a_field_given_twice_is_refused(shop, field):
    value = json.dumps({"postings": [], "external_refs": []}.get(field, None if field == "occurred_at" else "x"))
    refused(shop, ('{"%s":%s,' % (field, value)).encode() + b'"%s":%s}' % (field.encode(), value.encode()))


def test_metadata_comes_back_byte_for_byte_whatever_it_is(shop):
    values = ['""', "0", "-0.0", "1E400", "123456789012345678901234567890", "true", "null", "[]", "{}", "[[],{}]",
              '{ "b" : 1 , "a":[ 1.50, 1e2 ] }', '"\\u0000\\ud83d\\ude00 é \\/"', '{"a":1,"a":2}', '  [1]  ']
    for n, value in enumerate(values):
        raw = (USD_POST % (f"meta-{n}", value)).encode()
        posted = shop.request("POST", "/v1/transactions", raw=raw)
        assert posted.status == 200, posted.text
        shown = shop.request("GET", "/v1/transactions/" + posted.json["tx_id"]).text
        assert shown.endswith('"metadata":' + value.strip() + "}"), (value, shown)


def test_a_body_at_the_limit_is_taken_and_one_byte_more_refused(ledger):
    shop = ledger
    shop.set_up("shop")
    frame = len(USD_POST % ("large", '""'))
    limit = 2 * 1024 * 1024
    raw = (USD_POST % ("large", '"' + "x" * (limit - frame) + '"')).encode()
    assert len(raw) == limit
    posted = shop.request("POST", "/v1/transactions", raw=raw)
    assert posted.status == 200, posted.text[:300]
    shown = shop.get("/v1/transactions/" + posted.json["tx_id"])
    assert shown["metadata"] == "x" * (limit - frame)
    assert refused(shop, raw + b" ")["field"] == "body"
    with shop.stream("shop", "?from=2") as stream:
        assert len(stream.next()["payload"]["metadata"]) == limit - frame
    shop.restart()
    assert shop.get("/v1/transactions/" + posted.json["tx_id"]) == shown


def test_ten_thousand_postings_in_one_draft_are_one_transaction(ledger):
    ledger.register()
    for n in range(20):
        ledger.open("many", f"a{n}")
    postings = [p for n in range(5000) for p in (debit(f"a{n % 20}", n + 1), credit(f"a{(n * 7 + 1) % 20}", n + 1))]
    posted = ledger.post(draft("many", "k", *postings))
    assert len(ledger.get("/v1/transactions/" + posted["tx_id"])["postings"]) == 10_000
    page = ledger.get("/v1/books/many/accounts/a1/history?limit=1")
    assert len(page["items"]) > 400 and page["next"] == posted["seq"]


def test_a_page_of_history_ends_before_it_is_too_large_to_carry(ledger):
    """Nothing is left out or shown twice, and the last page says that it is."""
    ledger.register()
    book = "b" * 8000  # with some 1900 postings a transaction, five fill a page
    ledger.open(book, "p")
    seqs = [ledger.post(draft(book, f"k{n}", *[p for _ in range(950) for p in (debit("p", 1), credit("p", 1))]))["seq"]
            for n in range(10)]
    pages, after = [], 0
    while after is not None:
        page = ledger.get(f"/v1/books/{book}/accounts/p/history?limit=10&after_seq={after}")
        pages.append([item["seq"] for item in page["items"]])
        after = page["next"]
    assert [seq for page in pages for seq in page] == [seq for seq in seqs for _ in range(1900)]
    assert [len(page) for page in pages] == [5 * 1900, 5 * 1900]


def test_no_transaction_is_taken_that_repeats_a_long_book_name_without_end(ledger):
    ledger.register()
    book = "b" * 8000
    ledger.open(book, "p")

    def body(key, count):
        return draft(book, key, *[p for _ in range(count // 2) for p in (debit("p", 1), credit("p", 1))])
    refused_one = ledger.request("POST", "/v1/transactions", body("many", 2098))
    assert refused_one.status == 400 and refused_one.json["field"] == "postings", refused_one.text[:300]
    posted = ledger.post(body("fewer", 2096))
    shown = ledger.get("/v1/transactions/" + posted["tx_id"])
    assert [p["account"] for p in shown["postings"]] == [book + ":p"] * 2096
    with ledger.stream(book, "?from=1") as stream:
        assert len(stream.next()["payload"]["postings"]) == 2096


def test_names_of_any_length_and_character_are_kept_apart(ledger):
    ledger.register()
    long = "n" * 3000
    paths = [long, long + "x", "\0", "a\0b", "é" * 200, "🙂" * 100, " ", "a" * 254, "a" * 255, "a" * 256]
    for n, path in enumerate(paths):
        ledger.open("büch\0er" + long, path)
        ledger.post(draft("büch\0er" + long, f"k{n}" + long, debit(path, n + 1), credit(paths[0], n + 1)))
    for n, path in enumerate(paths[1:], 1):
        assert ledger.balance("büch\0er" + long, path)["balance"] == f"0.{n + 1:02}"


def test_a_megabyte_asset_id_is_named_in_errors_without_harm(ledger):
    huge = "A" * 1_000_000
    ledger.register(huge)
    ledger.register("USD")
    ledger.open("b", "p", huge)
    answer = ledger.request("POST", "/v1/transactions", draft("b", "k", debit("p", 1), credit("p", 1)))
    assert answer.status == 400 and answer.json["account_asset"] == huge


def test_garbage_on_the_socket_kills_nobody(shop):
    chance = random.Random(3)
    good = b"POST /v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n{bad}"
    for n in range(300):
        data = bytearray(good)
        for _ in range(chance.randrange(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        talk(shop, bytes(data) if n % 3 else os.urandom(chance.randrange(1, 400)), wait_s=2)


def test_large_batches_of_refused_drafts_are_answered_slot_by_slot(shop):
    drafts = [sale("shop", f"k{n}", 0) if n % 2 else sale("shop", f"k{n}") for n in range(500)]
    slots = shop.post_batch(drafts)
    assert [("tx_id" in s) for s in slots] == [n % 2 == 0 for n in range(500)]


def test_the_largest_batch_that_can_be_set_is_answered(make_ledger):
    ledger = make_ledger(http_batch_max=10_000, write_queue_depth=10_000, workers=1)
    ledger.register("U")
    ledger.open("s", "a", "U")
    ledger.open("s", "b", "U")
    worker = ledger.worker_pids()
    drafts = [draft("s", str(n), debit("a", 1, "U"), credit("b", 1, "U")) for n in range(10_000)]
    raw = json.dumps(drafts, separators=(",", ":")).encode()
    answer = ledger.request("POST", "/v1/transactions/batch", raw=raw)
    assert [slot.get("seq") for slot in answer.json] == list(range(3, 10_003))
    assert ledger.worker_pids() == worker


def test_a_target_in_absolute_form_is_routed_by_its_path(shop):
    with socket.create_connection(("127.0.0.1", shop.port), timeout=20) as raw:
        raw.sendall(b"GET http://ledger.example/v1/books/shop/trial-balance HTTP/1.1\r\nHost: ledger.example\r\n\r\n")
        assert raw.recv(4096).startswith(b"HTTP/1.1 200")
