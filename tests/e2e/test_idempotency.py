"""A key is for ever."""
from harness import sale

KEYS = 10_000


def batches():
    for n in range(0, KEYS, 500):
        yield [sale("shop", f"key-{i}") for i in range(n, n + 500)]


def replay_all(ledger):
    """Every key again, with another body: the first answer, nothing new."""
    for batch in batches():
        for body in batch:
            body["postings"][0]["amount"]["minor"] = body["postings"][1]["amount"]["minor"] = 77
        assert all(slot["deduplicated"] for slot in ledger.post_batch(batch))


def test_ten_thousand_keys_with_room_for_a_hundred_in_memory_are_all_known(make_ledger):
    ledger = make_ledger(log_idem_hot_cap=100, metrics=True)
    ledger.set_up("shop")
    for batch in batches():
        assert not any(slot["deduplicated"] for slot in ledger.post_batch(batch))
    replay_all(ledger)
    from test_metrics import scrape
    keys = {labels["where"]: value for name, labels, value in scrape(ledger) if name == "talea_idempotency_keys"}
    assert keys["disk"] > KEYS - 500 and keys["memory"] < 1000
    ledger.restart()
    replay_all(ledger)
    ledger.kill9()
    ledger.start()
    replay_all(ledger)
    assert ledger.balance("shop", "cash")["balance"] == f"{KEYS // 100}.00"
    assert ledger.post(sale("shop", "new"))["seq"] == 2 + KEYS + 1


def test_the_same_key_in_another_book_is_another_key(ledger):
    ledger.set_up("a", "b")
    one, other = ledger.post(sale("a", "k")), ledger.post(sale("b", "k"))
    assert one["tx_id"] != other["tx_id"] and not other["deduplicated"]


def test_a_refused_draft_uses_up_neither_key_nor_seq(ledger):
    ledger.set_up("shop")
    refused = ledger.request("POST", "/v1/transactions", sale("shop", "k", 0))
    assert refused.status == 400
    assert ledger.post(sale("shop", "k"))["seq"] == 3
