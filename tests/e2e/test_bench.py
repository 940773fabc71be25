"""talea-bench measures a talead of its own or any other, proves what was answered, and leaves nothing behind."""
import contextlib
import importlib
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from harness import PATIENCE_S, SOURCE, TALEAD, clean_environment, is_running, processes, wait_until

BENCH = os.path.abspath(os.environ.get("TALEA_TEST_BENCH") or os.path.join(os.path.dirname(TALEAD), "talea-bench"))
SHORT = ["--seconds", "0.3", "--warmup", "0.1", "--connections", "4", "--json"]
TOKEN = "bench-t0ken"
POSTING = ["post", "books", "batch", "mixed", "replay", "tail", "overload"]
READING = ["balance", "as-of", "history", "read"]


def run(*arguments, **options):
    return subprocess.run([BENCH, *arguments], env=clean_environment(), text=True, capture_output=True,
                          timeout=PATIENCE_S, **options)


def measured(*arguments, **options):
    done = run(*arguments, **options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def served(make_ledger, tmp_path):
    """A ledger with a token, and the options that lead to it."""
    ledger = make_ledger(api_token=TOKEN)
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    return ledger, ["--url", ledger.url, "--token-file", str(file)]


def own(tmp_path):
    return ["--talead", TALEAD, "--dir", str(tmp_path), "--set", "TALEA_WORKERS=1"]


def check_figures(result, scenario):
    assert result["scenario"] == scenario and result["connections"] == 4
    assert result["requests"] == sum(result["answers"].values()) > 0
    assert 0.3 <= result["seconds"] < 30 and result["per_s"] > 0
    latency = result["latency_us"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p99_9"] <= latency["max"]
    assert result["bench_cpu_s"] > 0 and result["lost"] == 0


@pytest.mark.parametrize("scenario", POSTING + READING)
def test_each_scenario_runs_on_a_talead_of_its_own_and_leaves_nothing_of_it(scenario, tmp_path):
    result = measured(scenario, *SHORT, "--events", "500", *own(tmp_path))
    check_figures(result, scenario)
    assert (result["drafts"] > 0) == (scenario in POSTING)
    assert result["verified"]["keys"] >= (500 if scenario in READING + ["mixed", "replay"] else result["drafts"])
    assert os.listdir(tmp_path) == []
    assert (result["event_delay_us"] is not None) == (scenario == "tail")


@pytest.mark.parametrize("scenario", ["post", "read", "tail", "replay"])
def test_a_served_ledger_with_a_token_is_measured_and_stays_sound(scenario, served):
    ledger, options = served
    ledger.set_up("shop")
    for _ in range(2):  # the second finds the first one's accounts and events
        result = measured(scenario, *SHORT, "--events", "300", *options)
        check_figures(result, scenario)
        assert result["url"] == ledger.url and result["verified"]["events"] > 0
    assert ledger.trial_balance("bench-00000")["lines"][0]["debits"] > 0
    ledger.verify()


def test_the_token_is_nowhere_to_be_seen(served):
    ledger, options = served
    bench = subprocess.Popen([BENCH, "post", "--seconds", "20", *options], env=clean_environment(),
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_until(lambda: ledger.get("/v1/books/bench-00000/trial-balance")["lines"], "a post")
    with open(f"/proc/{bench.pid}/cmdline") as command, open(f"/proc/{bench.pid}/environ") as environment:
        assert TOKEN not in command.read() + environment.read()
    bench.send_signal(signal.SIGTERM)
    assert TOKEN not in bench.communicate(timeout=PATIENCE_S)[0]


def test_without_its_token_a_ledger_is_not_measured(served):
    ledger, _ = served
    done = run("post", *SHORT, "--url", ledger.url)
    assert done.returncode == 3 and done.stdout == ""
    assert re.fullmatch(r"talea-bench: POST \S+/v1/assets was answered 401: .*unauthorized.*\n", done.stderr)


def test_fill_loads_so_many_transactions_over_all_accounts_and_can_be_kept(tmp_path):
    done = run("fill", "--events", "2000", "--accounts", "1000", "--books", "2", "--threads", "2", "--keep", "--json",
               *own(tmp_path))
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["drafts"] == result["verified"]["keys"] == 2000
    home = re.search(r"the ledger is in (.*)/ledger\n", done.stderr).group(1)
    assert os.path.dirname(home) == str(tmp_path)
    proof = subprocess.run([TALEAD, "verify", f"{home}/ledger"], env=clean_environment(), text=True,
                           capture_output=True, timeout=PATIENCE_S)
    assert proof.returncode == 0 and str(2 * 1000 + 2000 + 4 + 1) in proof.stdout, proof.stdout  # marks, the asset


def test_an_open_loop_keeps_its_rate(tmp_path):
    result = measured("post", "--rate", "200", "--seconds", "1", "--warmup", "0", "--json", *own(tmp_path))
    assert result["rate"] == 200 and result["requests"] + result["unsent"] + result["lost"] == 200


def test_a_server_that_stands_still_delays_all_that_was_due_meanwhile(served):
    ledger, options = served
    bench = subprocess.Popen([BENCH, "empty", "--rate", "500", "--seconds", "2", "--warmup", "0", "--connections", "2",
                              "--json", *options], env=clean_environment(), stdout=subprocess.PIPE, text=True)
    wait_until(lambda: any(t.startswith("talead: worker") for _, t in ledger.children()), "workers")
    workers = ledger.worker_pids()
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    with pytest.raises(subprocess.TimeoutExpired):
        bench.wait(1)
    for pid in workers:
        os.kill(pid, signal.SIGCONT)
    result = json.loads(bench.communicate(timeout=PATIENCE_S)[0])
    # Two requests alone were on their way: a client that waits for its answers would have told of two slow ones.
    assert result["requests"] == 1000
    assert result["latency_us"]["p90"] > 200000


def test_overload_tells_refusals_apart(tmp_path):
    result = measured("overload", "--rate", "4000", "--seconds", "0.5", "--warmup", "0.1", "--connections", "64",
                      "--json", "--set", "TALEA_MAX_INFLIGHT=2", *own(tmp_path))
    assert result["rate"] == 8000 and result["answers"]["503"] > 0 and result["answers"]["200"] > 0
    assert result["refused_latency_us"]["p50"] > 0 and result["verified"]["keys"] > 0


def test_bare_knows_one_route_and_needs_no_set_up(served):
    ledger, options = served
    done = run("post", "--bare", *SHORT, *options)
    # This ledger has no such book, and says so: that is what must be told.
    assert done.returncode == 1 and json.loads(done.stdout)["verified"] is None
    assert re.fullmatch(r"talea-bench: wrong: a post was answered 404: .*unknown_account.*\n", done.stderr)
    result = measured("empty", "--bare", *SHORT, *options)
    assert result["answers"].keys() == {"200"}


def test_a_ledger_that_lost_what_it_acknowledged_is_found_wrong(make_ledger):
    """An older copy of the ledger is put in its place while posts are under way."""
    ledger = make_ledger()
    bench = subprocess.Popen([BENCH, "post", "--seconds", "6", "--connections", "4", "--url", ledger.url],
                             env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def posted(minor):
        lines = ledger.get("/v1/books/bench-00000/trial-balance")["lines"]
        return lines and lines[0]["debits"] > minor and lines[0]["debits"]

    debits = wait_until(lambda: posted(10000), "posts")
    older = os.path.join(ledger.home, "older")
    assert ledger.admin("backup", older).returncode == 0
    wait_until(lambda: posted(debits + 100000), "more posts")
    ledger.kill9()
    os.rename(ledger.dir, ledger.dir + ".newer")
    os.rename(older, ledger.dir)
    ledger.start()
    out, err = bench.communicate(timeout=PATIENCE_S)
    assert bench.returncode == 1, out + err
    assert re.search(r"^talea-bench: wrong: book bench-00000\b.*acknowledged as seq", err, re.M), err


def test_posts_of_others_are_let_be(served):
    ledger, options = served
    measured("post", *SHORT, "--no-verify", *options)
    bench = subprocess.Popen([BENCH, "post", *SHORT, *options], env=clean_environment(), stdout=subprocess.PIPE,
                             text=True)
    count = 0
    while bench.poll() is None:
        count += 1
        ledger.request("POST", "/v1/transactions", {
            "book": "bench-00000", "idempotency_key": f"beside-{count}", "postings": [
                {"account": "a0000000", "amount": {"minor": 1, "asset": "USD"}, "direction": "debit"},
                {"account": "a0000001", "amount": {"minor": 1, "asset": "USD"}, "direction": "credit"}]})
    result = json.loads(bench.communicate()[0])
    assert bench.returncode == 0 and result["verified"]["events"] > result["verified"]["keys"] + 1


# --- what is left behind ---

@contextlib.contextmanager
def under_way(tmp_path, *arguments):
    """talea-bench while it measures a talead of its own; with the pid of that."""
    bench = subprocess.Popen([BENCH, "post", "--seconds", "50", *own(tmp_path), *arguments], env=clean_environment(),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        def own_pids():
            found = processes()
            masters = [pid for pid, parent, title in found if parent == bench.pid and title.startswith("talead")]
            return masters + [pid for pid, parent, _ in found if parent in masters]
        pids = wait_until(lambda: len(own_pids()) >= 3 and own_pids(), "master, arbiter and worker")
        yield bench, pids
    finally:
        bench.kill()
        bench.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_run_and_its_talead_and_removes_the_ledger(number, tmp_path):
    with under_way(tmp_path) as (bench, pids):
        assert os.getpgid(pids[0]) == pids[0]  # Ctrl-C in a terminal is for talea-bench alone
        bench.send_signal(number)
        out, _ = bench.communicate(timeout=PATIENCE_S)
        assert bench.returncode == -number and out == ""
        assert not any(is_running(pid) for pid in pids)
    assert os.listdir(tmp_path) == []


def test_its_talead_ends_with_it_even_when_it_is_killed(tmp_path):
    with under_way(tmp_path) as (bench, pids):
        bench.kill()
        wait_until(lambda: not any(is_running(pid) for pid in pids), "its talead to end")


def test_a_talead_that_does_not_start_is_said_why(tmp_path):
    done = run("post", *SHORT, *own(tmp_path), "--set", "TALEA_WORKERS=none")
    assert done.returncode == 3 and done.stdout == ""
    assert re.search(r"^talea-bench: talead does not serve; it said: .*TALEA_WORKERS", done.stderr, re.M), done.stderr
    assert run("post", "--url", "http://127.0.0.1:1", *SHORT).returncode == 3


# --- the command line ---

@pytest.mark.parametrize("arguments, words", [
    (["--connections", "0"], "--connections '0'"), (["--rate", "fast"], "--rate 'fast'"),
    (["--books", "1.5"], "--books '1.5'"), (["--token-file", "x"], "--token-file needs --url"),
    (["--set", "WORKERS=1"], "--set 'WORKERS=1'"), (["--url", "http://h/x"], "--url must be like"),
    (["--url", "http://127.0.0.1:1", "--keep"], "not with --url"),
    (["--threads", "17"], "--threads '17'"), (["--nonsense"], "unknown option"),
])
def test_a_wrong_command_line_is_refused_with_one_line(arguments, words):
    done = run("post", *arguments)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and words in done.stderr


def test_a_token_is_not_taken_from_the_command_line():
    done = run("post", "--set", "TALEA_API_TOKEN=s3cret")
    assert done.returncode == 2 and "s3cret" not in done.stderr


def page_and_plot():
    """The manual page in two parts: what is of the scenarios, and what is of plot."""
    with open(os.path.join(SOURCE, "man", "talea-bench.1")) as f:
        page = f.read()
    plot = re.search(r"^\.Sh PLOT\n.*?(?=^\.Sh )", page, re.M | re.S)
    return page[:plot.start()] + page[plot.end():], plot.group()


def options_said(said):
    return {name: bool(value) for name, value in re.findall(r"^  --([a-z-]+)( [A-Z][A-Z=,.]+| [A-Z]\b)?", said, re.M)}


def options_paged(page):
    return {name: bool(value) for name, value in re.findall(r"^\.It (?:Fl h , )?Fl Fl ([a-z-]+)( Ar)?", page, re.M)}


def test_scenarios_and_options_are_in_the_page():
    page, _ = page_and_plot()
    said = run("--help").stdout
    scenarios = set(re.findall(r"^  ([a-z][a-z-]*) ", said, re.M)) - {"help", "plot"}
    assert scenarios == set(POSTING + READING + ["empty", "fill"])
    assert scenarios == set(re.findall(r"^\.It Cm ([a-z-]+)$", page, re.M))
    paged = options_paged(page)
    assert paged.pop("help") is paged.pop("version") is False
    assert options_said(said) == paged


def test_plot_is_listed_and_its_options_are_in_the_page():
    page, plot = page_and_plot()
    assert re.search(r"^  plot +\w+", run("help").stdout, re.M)
    said = run("help", "plot")
    assert said.returncode == 0 and said.stdout == run("plot", "--help").stdout
    options = options_said(said.stdout)
    assert options and options == options_paged(plot)
    synopsis = re.search(r"^\.Cm plot\n(.*?)^\.Nm", page, re.M | re.S).group(1)
    assert set(re.findall(r"Fl Fl ([a-z-]+)", synopsis)) == set(options)


@pytest.mark.parametrize("option", ["accounts", "batch", "books", "connections", "events", "rate", "seconds",
                                    "subscribers", "threads", "warmup"])
def test_what_a_number_may_be_is_in_the_page_as_it_is_said(option):
    page, _ = page_and_plot()
    done = run("post", f"--{option}", "-1")
    bounds = re.fullmatch(rf"talea-bench: --{option} '-1': .* number from (\S+ to \d+)\n", done.stderr)
    assert done.returncode == 2 and bounds, done.stderr
    item = re.search(rf"^\.It Fl Fl {option} Ar N\n(.*?)^\.(?:It|El)", page, re.M | re.S).group(1)
    assert re.search(rf"\b{re.escape(bounds.group(1))}\b", item.replace("\n", " ")), (bounds.group(1), item)


def test_a_curve_has_all_runs_beside_it_and_says_what_its_points_are(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(os.path.join(SOURCE, "tests", "bench"))
    monkeypatch.setenv("TALEA_TEST_BENCH", BENCH)
    curves, targets = importlib.import_module("curves"), importlib.import_module("targets")

    class Measured(targets.Bench):  # as if, and at once
        def post_talead(self, scenario, **options):
            offered = options.get("rate", 0)
            self.made = getattr(self, "made", 0) + 1
            return {"per_s": offered or 1000 * self.made, "rate": offered, "unsent": int(offered > 1800),
                    "latency_us": {"p50": 100 * self.made, "p99": 900000}}

        post_floor = post_talead

    bench = Measured(7, 3, 2, str(tmp_path))
    curves.draw(bench, str(tmp_path), "load", "A machine.")
    runs = [json.loads(line) for line in open(tmp_path / "load.jsonl")]
    chart = (tmp_path / "load.svg").read_text()
    assert len(runs) == 8 * 2 * 3
    # talea's highest rates are 1000, 4000 and 5000, the floor's 2000, 3000 and 6000.
    assert {run["rate"] for run in runs if run["label"] == "talea"} == {round(4000 * part) for part in curves.LOADS}
    assert {run["rate"] for run in runs if run["label"] == "floor"} == {round(3000 * part) for part in curves.LOADS}
    assert all((run["latency_us"] is None) == (run["rate"] > 1800) for run in runs)
    trusted = {(run["label"], run["rate"]) for run in runs if run["rate"] <= 1800}
    assert chart.count("<circle") == 2 * len(trusted)  # p50 and p99
    caption = " ".join(re.findall(r'class="caption"[^>]*>([^<]*)', chart))
    assert "256 connections, 2 workers, one book. Each point is the median of 3 runs x 7 s." in caption
    assert caption.endswith("A machine.")


def test_plot_draws_what_json_printed(tmp_path):
    runs, chart = tmp_path / "runs.jsonl", tmp_path / "chart.svg"
    with open(runs, "w") as f:
        for connections in ("2", "4"):
            f.write(run("empty", *SHORT, "--connections", connections, *own(tmp_path)).stdout)
    done = run("plot", str(runs), f"--out={chart}", "--x", "connections", "--y", "per_s", "--title", "Empty <1>")
    assert done.returncode == 0 and done.stdout == done.stderr == ""
    assert chart.read_text().count("<circle") == 2 and "Empty &lt;1&gt;" in chart.read_text()


@pytest.mark.parametrize("status, arguments, words", [
    (2, [], "plot needs FILE"), (2, ["runs"], "--out is required"), (2, ["runs", "--out", "o", "--no"], "unknown"),
    (2, ["runs", "--out", "o", "--y", "per_s,p50"], "--y 'per_s,p50'"), (2, ["a", "b", "--out", "o"], "unexpected 'b'"),
    (3, ["/nowhere/runs", "--out", "o"], "/nowhere/runs: No such file"),
])
def test_plot_says_in_one_line_what_is_wrong(status, arguments, words, tmp_path):
    done = run("plot", *arguments, cwd=tmp_path)
    assert done.returncode == status and done.stderr.count("\n") == 1 and words in done.stderr
    assert os.listdir(tmp_path) == []


def test_plot_takes_no_options_of_a_scenario():
    assert run("plot", "runs", "--out", "o", "--seconds", "1").returncode == 2
    assert run("--seconds", "1", "plot").stderr == (
        "talea-bench: plot comes first, and has options of its own; see talea-bench help plot\n")


def test_the_members_of_its_json_are_in_the_page(tmp_path):
    with open(os.path.join(SOURCE, "man", "talea-bench.1")) as f:
        section = re.search(r"^\.Sh JSON\n(.*?)^\.Sh ", f.read(), re.M | re.S).group(1)
    paged = re.findall(r"[a-z_]+", " ".join(re.findall(r"^\.It Li (.*)", section, re.M)))
    assert sorted(measured("post", *SHORT, *own(tmp_path))) == sorted(paged)


def test_it_starts_the_talead_of_its_own_folder_or_that_of_path(tmp_path):
    for name in ("beside", "alone"):
        (tmp_path / name).mkdir()
        shutil.copy(BENCH, tmp_path / name)
    os.symlink(TALEAD, tmp_path / "beside" / "talead")
    for name, path in (("beside", "/nowhere"), ("alone", f"{tmp_path}/beside")):
        done = subprocess.run([tmp_path / name / "talea-bench", "empty", *SHORT], text=True, capture_output=True,
                              env={**clean_environment(), "PATH": path}, timeout=PATIENCE_S)
        assert done.returncode == 0, done.stderr
