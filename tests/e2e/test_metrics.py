"""The metrics page: names that dashboards read, and sums that never fall."""
import http.client
import os
import re
import signal

from harness import sale, wait_until

LINE = re.compile(r'^([a-z_]+)(?:\{((?:[a-z_]+="[^"]*",?)*)\})? ([0-9.]+)$')


def scrape(ledger):
    """(name, labels, value) of every sample; the text must be well-formed."""
    connection = http.client.HTTPConnection("127.0.0.1", ledger.metrics_port, timeout=20)
    connection.request("GET", "/metrics")
    response = connection.getresponse()
    assert response.status == 200 and response.getheader("content-type").startswith("text/plain")
    text = response.read().decode()
    connection.close()
    samples, typed = [], {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in typed, f"{name} twice"
            typed[name] = kind
        elif not line.startswith("# HELP "):
            match = LINE.match(line)
            assert match, line
            base = re.sub(r"_(bucket|sum|count)$", "", match[1])
            assert match[1] in typed or typed.get(base) == "histogram", line
            labels = dict(re.findall(r'([a-z_]+)="([^"]*)"', match[2] or ""))
            samples.append((match[1], labels, float(match[3])))
    return samples


def total(samples, name, **labels):
    return sum(v for n, l, v in samples if n == name and all(l.get(k) == w for k, w in labels.items()))


def test_the_names_of_the_contract_are_there(make_ledger):
    ledger = make_ledger(metrics=True)
    ledger.set_up("shop")
    ledger.post(sale("shop", "k"))
    names = {name for name, _, _ in scrape(ledger)}
    assert {"talea_http_requests_total", "talea_http_request_duration_seconds_bucket", "talea_write_queue_depth",
            "talea_write_active_books", "talea_db_pool_connections", "talea_fdatasync_duration_seconds_count",
            "talea_group_commit_drafts_bucket", "talea_posts_total", "talea_log_durable_bytes"} <= names
    bounds = [l["le"] for n, l, _ in scrape(ledger) if n == "talea_http_request_duration_seconds_bucket"]
    assert bounds[:14] == "0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 +Inf".split()


def test_requests_are_counted_by_template_and_nothing_of_a_client_is_a_label(make_ledger):
    ledger = make_ledger(metrics=True)
    ledger.set_up("zebra-book")
    for n in range(3):
        ledger.balance("zebra-book", "cash")
    ledger.request("GET", "/zebra")
    ledger.request("ZEBRA", "/v1/transactions")
    ledger.post(sale("zebra-book", "zebra-key"))
    ledger.post(sale("zebra-book", "zebra-key"))
    samples = scrape(ledger)
    assert not any("zebra" in value.lower() for _, labels, _ in samples for value in labels.values())
    balance = "/v1/books/{book}/accounts/{path}/balance"
    assert total(samples, "talea_http_requests_total", route=balance, method="GET", status="200") == 3
    assert total(samples, "talea_http_request_duration_seconds_count", route=balance) == 3
    assert total(samples, "talea_http_requests_total", route="other", status="404") == 1
    assert total(samples, "talea_http_requests_total", method="other", status="405") == 1
    assert total(samples, "talea_posts_total", outcome="posted") == 1
    assert total(samples, "talea_posts_total", outcome="replayed") == 1
    assert total(samples, "talea_events") == 4


def test_no_counter_falls_when_workers_and_the_arbiter_die(make_ledger):
    ledger = make_ledger(metrics=True, workers=2)
    ledger.set_up("shop")
    for n in range(50):
        ledger.post(sale("shop", f"k{n}"))
    before = scrape(ledger)
    for pid in ledger.worker_pids() + [ledger.arbiter_pid()]:
        os.kill(pid, signal.SIGKILL)
    ledger.drop_connection()
    ledger.post(sale("shop", "more"))
    wait_until(lambda: len(ledger.children()) == 3, "all to be replaced")
    after = scrape(ledger)
    for name, labels, value in before:
        if name.endswith(("_total", "_count", "_bucket", "_sum")):
            now = [v for n, l, v in after if n == name and l == labels]
            assert now and now[0] >= value, (name, labels, value, now)
    assert total(after, "talea_arbiter_restarts_total") == 1
    assert total(after, "talea_arbiter_up") == 1
