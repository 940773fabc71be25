"""The metrics page: names that dashboards read, sums that never fall, and the manual page that explains them."""
import contextlib
import http.client
import os
import re
import resource
import shutil
import signal
import subprocess
import threading
import time

import pytest

from harness import ROUNDS, SOURCE, is_running, posting_meanwhile, sale, wait_until

LINE = re.compile(r'^([a-z_]+)(?:\{((?:[a-z_]+="[^"]*",?)*)\})? ([0-9.]+)$')
PAGE = os.path.join(SOURCE, "man/talea-metrics.7")
STAGES = {"talea_stage_submissions_total", "talea_stage_seconds_total"}


def fetch(ledger):
    """The page as text. It may be asked for again: the worker that was about to answer may have been killed."""
    def attempt():
        connection = http.client.HTTPConnection("127.0.0.1", ledger.metrics_port, timeout=20)
        try:
            connection.request("GET", "/metrics")
            response = connection.getresponse()
            assert response.status == 200 and response.getheader("content-type").startswith("text/plain")
            return response.read().decode()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
    return wait_until(attempt, "/metrics to answer")


def parse(text):
    """(name, labels, value) of every sample, and the type of every family; the text must be well-formed."""
    samples, typed = [], {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in typed, f"{name} twice"
            typed[name] = kind
        elif not line.startswith("# HELP "):
            match = LINE.match(line)
            assert match, line
            assert family(match[1], typed) in typed, line
            labels = dict(re.findall(r'([a-z_]+)="([^"]*)"', match[2] or ""))
            samples.append((match[1], labels, float(match[3])))
    return samples, typed


def family(name, typed):
    """Of a sample, or of a name in an expression."""
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    return base if typed.get(base) == "histogram" else name


def scrape(ledger):
    return parse(fetch(ledger))[0]


def counters(samples):
    """All that must never fall. A process's own figures begin anew with the next process."""
    return {(name, tuple(sorted(labels.items()))): value for name, labels, value in samples
            if name.endswith(("_total", "_count", "_bucket", "_sum")) and not name.startswith("talea_process_")}


def assert_none_fell(before, after):
    before, after = counters(before), counters(after)
    fallen = {key: (value, after.get(key)) for key, value in before.items() if after.get(key, -1) < value}
    assert before and not fallen


def promtool(*arguments, text=None):
    tool = shutil.which("promtool")
    assert tool, "promtool is missing: contrib/install-packages --tests brings it"
    done = subprocess.run([tool, *arguments], input=text, text=True, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


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


def exercise(ledger):
    """A little of everything that is counted."""
    ledger.set_up("shop")
    ledger.post_batch([sale("shop", f"k{n}") for n in range(20)])
    ledger.post(sale("shop", "k0"))
    ledger.history("shop", "cash")
    with ledger.stream("shop") as stream:
        assert stream.next()
    assert ledger.request("POST", "/v1/transactions", raw=b"no json").status == 400
    assert ledger.request("GET", "/nowhere").status == 404
    assert ledger.request("GET", "/v1/books/shop/accounts/none/balance").status == 404


# --- the page ---


def test_promtool_has_nothing_to_say_about_the_page(make_ledger):
    ledger = make_ledger(metrics=True)
    exercise(ledger)
    assert promtool("check", "metrics", text=fetch(ledger)) == ""


def test_what_alerts_look_at_is_there_with_0_from_the_start(make_ledger):
    samples = scrape(make_ledger(metrics=True))
    first = {(name, *sorted(labels.items())) for name, labels, value in samples if value == 0}
    for name in ("talea_arbiter_restarts_total", "talea_http_shed_total", "talea_http_timeouts_total",
                 "talea_snapshots_total", "talea_snapshot_failures_total"):
        assert (name,) in first
    for worker in "01":
        assert ("talea_worker_restarts_total", ("worker", worker)) in first
    for outcome in "posted", "replayed", "overloaded", "unavailable", "internal":
        assert ("talea_posts_total", ("outcome", outcome)) in first
    posts, reads = "/v1/transactions", "/v1/books/{book}/trial-balance"
    for method, route, statuses in (("POST", posts, (200, 408, 429, 500, 503)), ("GET", reads, (200, 500, 503))):
        for status in statuses:
            labels = ("method", method), ("route", route), ("status", str(status))
            assert ("talea_http_requests_total", *labels) in first


def test_settings_that_alerts_compare_with_are_told(make_ledger):
    ledger = make_ledger(metrics=True, max_inflight=7, write_queue_depth=8, log_snapshot_every=9)
    samples = scrape(ledger)
    assert total(samples, "talea_requests_in_flight_max") == 7
    assert total(samples, "talea_write_queue_depth_max") == 8
    assert total(samples, "talea_snapshot_every_events") == 9


# --- sums ---


@contextlib.contextmanager
def stopped(pids):
    """Until the block ends these processes do nothing."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def scrape_of(ledger, pid):
    """As this worker answers, and no other one."""
    with stopped(set(ledger.worker_pids()) - {pid}):
        return scrape(ledger)


def test_whichever_worker_is_asked_the_sums_are_those_of_all(make_ledger):
    ledger = make_ledger(metrics=True, workers=3)
    pids = ledger.worker_pids()
    for pid in pids:
        scrape_of(ledger, pid)  # so that each has answered something
    exercise(ledger)
    scrapes = [scrape_of(ledger, pid) for pid in pids]
    of_scrapes = ("route", "/metrics")
    sums = [{key: value for key, value in counters(s).items()
             if of_scrapes not in key[1] and key[0] not in ("talea_worker_requests_total", "talea_events_sent_total")}
            for s in scrapes]
    assert sums[0] == sums[1] == sums[2]
    assert total(scrapes[0], "talea_http_requests_total", route="/v1/transactions/batch") == 1
    for samples in scrapes:
        by_worker = {l["worker"]: v for n, l, v in samples if n == "talea_worker_requests_total"}
        assert sorted(by_worker) == ["0", "1", "2"] and all(by_worker.values())
        assert sum(by_worker.values()) == total(samples, "talea_http_requests_total")
        assert all("worker" not in labels for name, labels, _ in samples if name == "talea_http_requests_total")


@contextlib.contextmanager
def replaying_meanwhile(ledger, book):
    """The same key again and again."""
    stopping = threading.Event()

    def replay():
        while not stopping.is_set():
            ledger.post(sale(book, "again"))

    thread = threading.Thread(target=replay)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def watch_a_death(ledger, pid, before):
    """Kills a worker, and looks at every moment until another one has been in its slot for a while; the last scrape."""
    os.kill(pid, signal.SIGKILL)
    seen = [before]

    def look():
        seen.append(scrape(ledger))
        assert_none_fell(*seen[-2:])
        return not is_running(pid) and len(ledger.worker_pids()) == 2

    wait_until(look, "another worker in its slot")
    for _ in range(10):
        look()
    return seen[-1]


def test_no_counter_falls_while_workers_are_killed_under_load(make_ledger):
    ledger = make_ledger(metrics=True, workers=2)
    ledger.set_up("shop", "office")
    for pid in ledger.worker_pids():
        scrape_of(ledger, pid)  # so that each slot has counted something
    before = scrape(ledger)
    assert all(value for name, _, value in before if name == "talea_worker_requests_total")
    with posting_meanwhile(ledger, ["shop"], 5), replaying_meanwhile(ledger, "office"):
        for _ in range(ROUNDS):
            for pid in ledger.worker_pids():
                before = watch_a_death(ledger, pid, before)
    for worker in "01":
        assert total(before, "talea_worker_restarts_total", worker=worker) == ROUNDS


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
    assert_none_fell(before, after)
    assert total(after, "talea_arbiter_restarts_total") == 1
    assert total(after, "talea_arbiter_up") == 1


def test_a_worker_that_leaves_as_it_was_told_counts_as_no_death(make_ledger):
    ledger = make_ledger(metrics=True, workers=1)
    before = scrape(ledger)
    pid, = ledger.worker_pids()
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not is_running(pid) and ledger.worker_pids(), "another worker in its slot")
    after = scrape(ledger)
    assert_none_fell(before, after)
    assert total(after, "talea_worker_restarts_total") == 0
    assert total(after, "talea_workers") == 1


def test_drafts_that_a_full_queue_refuses_are_counted_each(make_ledger):
    ledger = make_ledger(metrics=True, workers=1, write_queue_depth=1)
    ledger.set_up("shop")
    answers = []

    def send(n):
        answers.append(ledger.request("POST", "/v1/transactions/batch", [sale("shop", f"{n}-{i}") for i in range(3)]))

    threads = [threading.Thread(target=send, args=(n,)) for n in range(4)]
    with stopped([ledger.arbiter_pid()]):  # so that all are in the ring when it goes on
        for thread in threads:
            thread.start()
        wait_until(lambda: total(scrape(ledger), "talea_requests_in_flight") == 5, "four batches to wait")
    for thread in threads:
        thread.join()
    slots = [slot for answer in answers for slot in answer.json]
    refused = sum(slot.get("error") == "overloaded" for slot in slots)
    assert refused >= 3
    samples = scrape(ledger)
    assert total(samples, "talea_posts_total", outcome="overloaded") == refused
    assert total(samples, "talea_posts_total", outcome="posted") == len(slots) - refused


def test_snapshots_that_fail_are_counted(make_ledger):
    ledger = make_ledger(metrics=True, log_snapshot_every=10)
    os.mkdir(os.path.join(ledger.dir, "snapshots", "snapshot.new"))  # where the copy is to be written
    ledger.set_up("shop")
    ledger.post_batch([sale("shop", f"k{n}") for n in range(20)])

    def failed():
        ledger.post(sale("shop", "again"))  # the arbiter sees to its snapshots after a commit
        return total(scrape(ledger), "talea_snapshot_failures_total")

    wait_until(failed, "the failed snapshot to be counted")
    assert total(scrape(ledger), "talea_snapshots_total") == 0


# --- processes ---


def processes_of(ledger):
    """Labels of each process, with its pid."""
    ledger.worker_pids()  # waits until each child has its name
    found = {(("process", "master"),): ledger.pid}
    for pid, title in ledger.children():
        words = title.split()
        number = (("worker", words[2]),) if words[1] == "worker" else ()
        found[(("process", words[1]), *number)] = pid
    return found


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        user, system = f.read().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def by_process(samples, name):
    return {tuple(sorted(labels.items())): value for n, labels, value in samples if n == "talea_process_" + name}


def test_each_process_has_the_kernels_figures(make_ledger):
    begin = time.time()
    ledger = make_ledger(metrics=True, workers=3)
    exercise(ledger)
    pids = processes_of(ledger)
    used_before = {labels: cpu_seconds(pid) for labels, pid in pids.items()}
    samples = scrape(ledger)
    for name in "cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds":
        assert by_process(samples, name).keys() == pids.keys()
    for labels, pid in pids.items():
        assert used_before[labels] <= by_process(samples, "cpu_seconds_total")[labels] <= cpu_seconds(pid)
        assert by_process(samples, "max_fds")[labels] == resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
        assert begin - 1 <= by_process(samples, "start_time_seconds")[labels] <= time.time()
        with open(f"/proc/{pid}/statm") as f:
            resident = int(f.read().split()[1]) * resource.getpagesize()
        assert 0.5 <= by_process(samples, "resident_memory_bytes")[labels] / resident <= 2
        come_and_go = 0 if labels[0][1] == "master" else 3  # connections, a segment that is made
        assert abs(by_process(samples, "open_fds")[labels] - len(os.listdir(f"/proc/{pid}/fd"))) <= come_and_go


def test_a_process_that_was_replaced_has_a_new_start_time_and_the_others_keep_theirs(make_ledger):
    ledger = make_ledger(metrics=True, workers=2)
    before = by_process(scrape(ledger), "start_time_seconds")
    pids = processes_of(ledger)
    for labels in (("process", "arbiter"),), (("process", "worker"), ("worker", "1")):
        os.kill(pids[labels], signal.SIGKILL)

    def changed():
        after = by_process(scrape(ledger), "start_time_seconds")
        assert all(after[labels] >= before[labels] for labels in after)
        return {labels[-1] for labels in before if after.get(labels, before[labels]) != before[labels]}

    wait_until(lambda: len(changed()) >= 2, "both to be replaced")
    assert changed() == {("process", "arbiter"), ("worker", "1")}


def test_the_stages_of_posts_add_up_to_less_than_their_requests_in_builds_that_measure_them(make_ledger):
    ledger = make_ledger(metrics=True)
    ledger.set_up("shop")
    samples, typed = parse(fetch(ledger))
    if not STAGES & set(typed):
        pytest.skip("configure --enable-stage-times was not asked for")
    before = total(samples, "talea_stage_submissions_total")
    for n in range(20):
        ledger.post(sale("shop", f"k{n}"))
    samples, _ = parse(fetch(ledger))
    assert total(samples, "talea_stage_submissions_total") == before + 20
    stages = {labels["stage"]: value for name, labels, value in samples if name == "talea_stage_seconds_total"}
    assert set(stages) == {"pack", "queued", "decide", "sync", "show", "deliver"}
    assert all(value > 0 for value in stages.values())
    assert sum(stages.values()) < total(samples, "talea_http_request_duration_seconds_sum", method="POST") + total(
        samples, "talea_http_request_duration_seconds_sum", method="PUT")


# --- the manual page ---


def test_the_manual_page_tells_every_metric_with_its_type_and_labels_and_no_other(make_ledger):
    ledger = make_ledger(metrics=True)
    exercise(ledger)
    samples, typed = parse(fetch(ledger))
    found = {name: (kind, set()) for name, kind in typed.items()}
    for name, labels, _ in samples:
        found[family(name, typed)][1].update(labels.keys() - {"le"})
    with open(PAGE) as f:
        told = re.findall(r"^\.It Cm (talea_\w+) Pq (\w+)(?: by (.*))?$", f.read(), re.M)
    assert len(told) == len({name for name, _, _ in told}), "a metric twice"
    if not STAGES & set(found):  # they are in builds for measuring alone
        told = [metric for metric in told if metric[0] not in STAGES]
    assert {name: (kind, set(labels.split(", ")) - {""}) for name, kind, labels in told} == found
