"""Full queues and too many requests: a clear answer, and nothing half taken."""
import threading

from harness import sale, wait_until
from test_metrics import scrape, total


def together(count, work):
    threads = [threading.Thread(target=work, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)


def test_a_full_write_queue_answers_429_and_takes_a_request_whole_or_not_at_all(make_ledger):
    ledger = make_ledger(workers=2, write_queue_depth=1, write_batch_max=1)
    ledger.set_up("a", "b")
    taken, refused, singles = [], [], []

    def work(worker):
        for n in range(25):
            drafts = [sale(book, f"{worker}-{n}-{book}-{i}") for i in range(10) for book in ("a", "b")]
            answer = ledger.request("POST", "/v1/transactions/batch", drafts)
            assert answer.status == 200, answer.text
            for book in ("a", "b"):
                slots = [(d, s) for d, s in zip(drafts, answer.json) if d["book"] == book]
                posted = ["tx_id" in s for _, s in slots]
                assert all(posted) or not any(posted), "half a batch was taken"
                (taken if all(posted) else refused).append((worker, n, book))
                for d, s in slots:
                    if "tx_id" in s:
                        ledger.acknowledge(book, d["idempotency_key"], s)
                    else:
                        assert s == {"error": "overloaded"}
            answer = ledger.request("POST", "/v1/transactions", sale("a", f"single-{worker}-{n}"))
            singles.append(answer.status)
            if answer.status == 200:
                ledger.acknowledge("a", f"single-{worker}-{n}", answer.json)
            else:
                assert answer.status == 429, answer.text
                assert answer.headers["retry-after"] == "1" and answer.json == {"error": "overloaded"}

    together(12, work)
    assert taken and refused
    expected = sum(10 for _, _, book in taken if book == "a") + singles.count(200)
    assert ledger.balance("a", "cash")["balance"] == f"{expected // 100}.{expected % 100:02}"


def test_requests_over_the_admission_limit_are_shed_with_503(make_ledger):
    ledger = make_ledger(workers=2, max_inflight=1)
    ledger.set_up("shop")
    statuses = []

    def work(worker):
        for n in range(40):
            answer = ledger.request("POST", "/v1/transactions", sale("shop", f"{worker}-{n}"))
            statuses.append(answer.status)
            if answer.status == 200:
                ledger.acknowledge("shop", f"{worker}-{n}", answer.json)
            else:
                assert answer.status == 503
                assert answer.headers["retry-after"] == "1" and answer.json == {"error": "overloaded"}

    together(16, work)
    assert 200 in statuses and 503 in statuses
    expected = statuses.count(200)
    assert ledger.balance("shop", "cash")["balance"] == f"{expected // 100}.{expected % 100:02}"


def test_a_batch_larger_than_a_group_is_committed_over_several(make_ledger):
    ledger = make_ledger(write_batch_max=7)
    ledger.set_up("shop")
    slots = ledger.post_batch([sale("shop", f"k{n}") for n in range(500)])
    assert [slot["seq"] for slot in slots] == list(range(3, 503))


def test_half_of_many_drafts_that_wait_is_left_to_be_decided_while_the_disk_has_the_rest(make_ledger):
    ledger = make_ledger(write_batch_max=1000, metrics=True)
    ledger.set_up("shop")

    def groups_and_drafts():
        metrics = scrape(ledger)
        return [total(metrics, f"talea_group_commit_drafts_{what}") for what in ("count", "sum")]

    before = groups_and_drafts()
    ledger.post_batch([sale("shop", f"k{n}") for n in range(400)])
    wait_until(lambda: groups_and_drafts()[1] == before[1] + 400, "all drafts to be counted")
    assert groups_and_drafts()[0] == before[0] + 3  # 200, 100, and a hundred is not halved
