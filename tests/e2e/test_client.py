"""talea, the client, against a real ledger; and against scripted answers where the network is to fail."""
import contextlib
import http.server
import json
import os
import signal
import subprocess
import threading
import time

import pytest

from harness import TALEA, clean_environment, sale, wait_until

A_POST = ["post", "--book", "b", "--idem", "k", "--debit", "a:USD:1", "--credit", "b:USD:1"]


def talea(*arguments, url="http://127.0.0.1:1", env=None, **more):
    environment = {**clean_environment(), "TALEA_URL": url, **(env or {})}
    more = {"text": True, "capture_output": True, "timeout": 60, **more}
    return subprocess.run([TALEA, *arguments], env=environment, **more)


@pytest.fixture
def shop(make_ledger):
    ledger = make_ledger(api_token="client-s3cret")
    registered = ledger.talea("asset", "register", "--id", "USD", "--class", "fiat", "--precision", "2",
                              "--name", "US Dollar")
    assert registered.returncode == 0 and registered.stdout == "", registered.stderr
    for path, side in (("cash:till 1/a", "debit"), ("..", "credit")):
        opened = ledger.talea("account", "open", "--book", "b/ook", "--path", path, "--asset", "USD",
                              "--kind", "asset", "--normal-side", side)
        assert opened.returncode == 0 and opened.stdout == "", opened.stderr
    return ledger


def posted(shop, *more, key="k1"):
    return shop.talea("post", "--book", "b/ook", "--idem", key, "--debit", "cash:till 1/a:USD:1000",
                      "--credit", "..:USD:1000", *more)


def test_every_command_reads_and_writes(shop):
    result = posted(shop, "--metadata", '{"n": 1.50}', "--occurred-at", "2020-01-01T00:00:00Z")
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert answer["seq"] == 3 and "\n  " in result.stdout
    assert json.loads(shop.talea("balance", "--book", "b/ook", "--path", "..").stdout)["balance"] == "10.00"
    past = shop.talea("balance", "--book", "b/ook", "--path", "..", "--as-of", "2000-01-01T00:00:00+00:00")
    assert json.loads(past.stdout)["balance"] == "0.00"
    page = shop.talea("history", "--book", "b/ook", "--path", "cash:till 1/a", "--limit", "1",
                      "--after-seq", "1")
    history = json.loads(page.stdout)
    assert history["items"][0]["tx_id"] == answer["tx_id"] and history["next"] == 3
    shown = shop.talea("tx", answer["tx_id"])
    assert '"n": 1.50' in shown.stdout
    trial = json.loads(shop.talea("trial-balance", "--book", "b/ook").stdout)
    assert trial["lines"] == [{"asset": "USD", "debits": 1000, "credits": 1000}]


def test_a_refusal_is_json_on_stderr_and_status_1(shop):
    result = shop.talea("balance", "--book", "b/ook", "--path", "none")
    assert result.returncode == 1 and result.stdout == ""
    assert json.loads(result.stderr)["error"] == "unknown_account"
    wrong = shop.talea("--token", "nope", "trial-balance", "--book", "b/ook")
    assert wrong.returncode == 1 and json.loads(wrong.stderr) == {"error": "unauthorized"}


@pytest.mark.parametrize("line", [
    "", "what", "asset", "asset what", "help what", "completions tcsh", "--book b balance",
    "--timeout-secs x tx a", "--url ftp://x tx a", "--url http:// tx a", "tx", "tx a b", "balance --book",
    "balance --book b", "balance --what x", "tail --book b --from x",
    "asset register --id A --class fiat --precision two --name A", "post --book b",
    "post --book b --debit a:USD:1 --credit b:USD:1", "post --book b --idem k",
    "post --idem k --debit a:USD:1", "post --book b --idem k --idem l --debit a:USD:1",
    "post --book b --idem k --debit a:USD:one", "post --book b --idem k --debit USD:1",
    "post --book b --idem k --debit a:USD:9223372036854775808",
    "post --book b --idem k --debit a:USD:1 --metadata {",
    "post --draft /nonexistent --idem k", "post --draft / --idem k", "post --draft /dev/null --idem k",
])
def test_a_wrong_command_line_is_status_2_and_reaches_nobody(line):
    result = talea(*line.split())
    assert result.returncode == 2 and result.stdout == "" and result.stderr


def test_an_error_names_the_flag_that_is_wrong():
    wrong = talea("post", "--book", "b", "--idem", "k", "--debit", "a:USD:1", "--credit", "b:USD:1.5")
    assert wrong.stderr.startswith("talea: --credit 'b:USD:1.5'") and wrong.stderr.count("\n") == 1
    wrong = talea(*"account open --book b --path p --asset USD --kind asset --min-balance none".split())
    assert wrong.stderr.startswith("talea: --min-balance 'none'")


def test_a_token_is_in_no_error():
    for token, rest in (("s3cret", "tx a"), ("s3cret", "--what tx a"), ("s3cret", ""), ("s3cret\n", "tx a"),
                        ("s3cret", "tail --from x --book b")):
        result = talea("--token", token, *rest.split())
        assert result.returncode in (2, 3) and "s3cret" not in result.stderr
    assert "s3cret" not in talea("--url", "http://user:s3cret@127.0.0.1:1", "tx", "a").stderr


def test_a_key_is_never_made_up(shop):
    result = shop.talea("post", "--book", "b/ook", "--debit", "..:USD:1", "--credit", "..:USD:1")
    assert result.returncode == 2 and "--idem is required" in result.stderr
    result = shop.talea("post", "--draft", "-", input='{"book":"b/ook","postings":[]}')
    assert result.returncode == 2 and "--idem is required" in result.stderr and result.stderr.count("\n") == 1


def test_a_server_that_cannot_be_reached_is_status_3():
    result = talea("tx", "a")
    assert result.returncode == 3 and "cannot reach" in result.stderr and result.stdout == ""


def test_a_draft_passes_through_and_flags_override_it(shop):
    text = ('{"book":"other","postings":[{"account":"..","amount":{"minor":5,"asset":"USD"},"direction":"debit"},'
            '{"account":"..","amount":{"minor":5,"asset":"USD"},"direction":"credit"}],'
            '"metadata":  {"x":1.0, "y":[1e2]},"external_refs":[{"kind":"order","value":"7"}]}')
    result = shop.talea("post", "--draft", "-", "--book", "b/ook", "--idem", "d1", input=text)
    assert result.returncode == 0, result.stderr
    shown = json.loads(shop.talea("tx", json.loads(result.stdout)["tx_id"]).stdout)
    assert shown["book"] == "b/ook" and shown["external_refs"] == [{"kind": "order", "value": "7"}]
    raw = shop.request("GET", "/v1/transactions/" + shown["tx_id"]).text
    assert '"metadata":{"x":1.0, "y":[1e2]}' in raw


def test_options_go_before_or_after_the_command(shop):
    token = {"TALEA_TOKEN": shop.token}
    assert talea("--url", shop.url, "trial-balance", "--book", "x", env=token).returncode == 0
    assert talea("trial-balance", "--book=x", f"--url={shop.url}", "--timeout-secs", "9",
                 env=token).returncode == 0
    assert talea("trial-balance", f"--token={shop.token}", "--book=x", "--url", shop.url).returncode == 0


@pytest.mark.parametrize("token", [["--token", "client-s3cret"], ["--token=client-s3cret"]])
def test_the_token_does_not_stay_in_the_process_list(shop, token):
    tail = subprocess.Popen([TALEA, "--url", shop.url, *token, "tail", "--book", "b/ook"],
                            stdout=subprocess.PIPE, env=clean_environment(), text=True)
    try:
        assert json.loads(tail.stdout.readline())["seq"] == 1
        with open(f"/proc/{tail.pid}/cmdline") as f:
            assert "client-s3cret" not in f.read()
    finally:
        tail.send_signal(signal.SIGTERM)
        assert tail.wait(20) == 0


class Scripted(http.server.BaseHTTPRequestHandler):
    """Stands for a network that fails: gives a list's answers, the last one for ever, and keeps the requests."""

    def answer(self):
        length = self.headers.get("Content-Length")
        body = self.rfile.read(int(length)) if length else None
        self.server.asked.append((self.path, self.headers, body))
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is None:
            return  # the connection is closed without a word
        status, body, headers = (*answer, {})[:3]
        self.send_response(status)
        headers = {"Content-Type": "application/json", **headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


@pytest.fixture
def scripted():
    servers = []

    def start(*answers):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
        server.answers, server.asked, server.url = list(answers), [], f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


OVERLOADED = (503, b'{"error":"overloaded"}', {"Retry-After": "1"})
POSTED = (200, b'{"tx_id":"x"}')


@pytest.mark.parametrize("answers, status, tries", [
    ([OVERLOADED, OVERLOADED, POSTED], 0, 3), ([OVERLOADED], 1, 3),
    ([(429, b'{"error":"overloaded"}'), POSTED], 0, 2), ([(408, b'{"error":"timeout"}'), POSTED], 0, 2),
    ([None, None, POSTED], 0, 3), ([None], 3, 3),
    ([(500, b'{"error":"internal","message":"m"}')], 1, 1), ([(400, b'{"error":"unbalanced"}')], 1, 1),
    ([(503, b"<html>no JSON</html>")], 3, 3),
])
def test_what_may_pass_is_tried_three_times_in_all_with_the_same_body(scripted, answers, status, tries):
    server = scripted(*answers)
    result = talea(*A_POST, url=server.url)
    assert result.returncode == status and len(server.asked) == tries
    assert len({asked[2] for asked in server.asked}) == 1
    if status == 1:
        assert json.loads(result.stderr) == json.loads(answers[-1][1]) and result.stdout == ""


def test_retry_after_is_waited_for_and_five_seconds_are_the_most(scripted):
    begin = time.monotonic()
    assert talea(*A_POST, url=scripted(OVERLOADED, OVERLOADED, POSTED).url).returncode == 0
    assert 2 <= time.monotonic() - begin < 10
    begin = time.monotonic()
    for_ever = (503, b"{}", {"Retry-After": "9223372036854775807"})
    assert talea(*A_POST, url=scripted(for_ever, POSTED).url).returncode == 0
    assert 5 <= time.monotonic() - begin < 20


@pytest.mark.parametrize("answer", [
    (200, b"<html>"), (200, b""), (404, b"not here"), (302, b"", {"Location": "/"}), (200, b'{"a":1'),
    (200, b"[" * 100000), (200, b" " * (65 << 20))])
def test_an_answer_that_is_not_the_ledgers_is_status_3(scripted, answer):
    server = scripted(answer)
    result = talea("balance", "--book", "b", "--path", "p", url=server.url)
    assert result.returncode == 3 and result.stdout == "" and result.stderr.count("\n") == 1
    assert len(server.asked) == 1


def test_numbers_in_an_answer_keep_their_text(scripted):
    body = b'{"a":1.50,"b":99999999999999999999999,"c":-0.0,"d":1E5,"e":"\\u0000\\u001b"}'
    result = talea("tx", "x", url=scripted((200, body)).url)
    assert result.stdout == ('{\n  "a": 1.50,\n  "b": 99999999999999999999999,\n  "c": -0.0,\n  "d": 1E5,\n'
                             '  "e": "\\u0000\\u001B"\n}\n')


def test_names_are_escaped_strictly_and_dots_are_not_resolved(scripted):
    server = scripted((200, b"{}"))
    balance = "balance --book .. --path . --as-of 2020-01-01T00:00:00+01:00".split()
    assert talea(*balance, url=server.url).returncode == 0
    assert talea("tx", "a/b?c#d é%+", url=server.url + "/prefix/").returncode == 0
    assert [asked[0] for asked in server.asked] == [
        "/v1/books/../accounts/./balance?as_of=2020-01-01T00%3A00%3A00%2B01%3A00",
        "/prefix/v1/transactions/a%2Fb%3Fc%23d%20%C3%A9%25%2B"]


def test_a_draft_is_sent_byte_for_byte_but_for_what_the_flags_override(scripted):
    server = scripted(POSTED)
    draft = (' {"x\\u0000" : [1.50,1E2] ,"b\\u006fok":"a", "postings" : [ ],\n"idempotency_key":"k",'
             '"metadata":{ "book":1 }}\n')
    assert talea("post", "--draft", "-", url=server.url, input=draft).returncode == 0
    assert talea("post", "--draft", "-", "--book", "b", "--idem", "l", "--occurred-at", "t",
                 "--metadata", "[1.0 ]", "--credit", "a:U:+5", "--debit", "b:c:U:05", "--credit", "d:U:1",
                 url=server.url, input=draft).returncode == 0
    assert server.asked[0][2].decode() == draft
    postings = ('[{"account":"a","amount":{"minor":5,"asset":"U"},"direction":"credit"},'
                '{"account":"b:c","amount":{"minor":5,"asset":"U"},"direction":"debit"},'
                '{"account":"d","amount":{"minor":1,"asset":"U"},"direction":"credit"}]')
    assert server.asked[1][2].decode() == (
        ' {"x\\u0000" : [1.50,1E2] ,"b\\u006fok":"b", "postings" : ' + postings +
        ',\n"idempotency_key":"l","metadata":[1.0 ],"occurred_at":"t"}\n')
    assert server.asked[0][1]["Content-Type"] == "application/json"


def test_output_that_cannot_be_written_is_no_success(scripted):
    url = scripted((200, b"{}")).url
    with open("/dev/full", "w") as full:
        result = talea("tx", "a", url=url, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert result.returncode == 3 and "No space left" in result.stderr


def test_tail_resumes_over_a_restart_without_gap_or_repetition(shop):
    environment = {**clean_environment(), "TALEA_URL": shop.url, "TALEA_TOKEN": shop.token}
    path = os.path.join(shop.home, "events")
    with open(path, "w") as out:
        tail = subprocess.Popen([TALEA, "tail", "--book", "b/ook", "--from", "2"], stdout=out, env=environment,
                                stderr=subprocess.DEVNULL)
    seqs = lambda: [json.loads(line)["seq"] for line in open(path) if line.endswith("\n")]
    try:
        for n in range(3):
            assert posted(shop, key=f"a{n}").returncode == 0
        wait_until(lambda: seqs() == [2, 3, 4, 5], "the first events")
        shop.drop_connection()
        shop.restart()
        for n in range(3):
            assert posted(shop, key=f"b{n}").returncode == 0
        wait_until(lambda: seqs() == [2, 3, 4, 5, 6, 7, 8], "the events after the restart")
    finally:
        tail.send_signal(signal.SIGINT)
        assert tail.wait(20) == 0


def test_tail_ends_when_the_ledger_refuses(shop):
    result = shop.talea("tail", "--book", "b/ook", env={"TALEA_TOKEN": "nope"})
    assert result.returncode == 1 and json.loads(result.stderr) == {"error": "unauthorized"}


STREAM = {"Content-Type": "text/event-stream"}


@contextlib.contextmanager
def tailing(*arguments, url, **env):
    environment = {**clean_environment(), "TALEA_URL": url, **env}
    process = subprocess.Popen([TALEA, "tail", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=environment, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_tail_asks_from_before_the_first_and_resumes_behind_the_last_without_repeating(scripted):
    first = b'id: 5\r\ndata: {"seq":\r\ndata: 5}\r\n\r\n:\n\nid: 6\ndata: {"seq":6}\n\nid: 7\ndata: {"seq":'
    again = b'id: 6\ndata: {"seq":6}\n\nid: 7\ndata: {"seq":7}\n\n'
    server = scripted((200, first, STREAM), None, OVERLOADED, (200, again, STREAM))
    with tailing("--book", "b", "--from", "5", url=server.url) as tail:
        assert [json.loads(tail.stdout.readline()) for _ in range(3)] == [{"seq": 5}, {"seq": 6}, {"seq": 7}]
        tail.send_signal(signal.SIGTERM)
        assert tail.stdout.read() == "" and tail.wait(20) == 0
        assert tail.stderr.read().count("trying again") == 1
    assert [asked[0] for asked in server.asked[:4]] == ["/v1/books/b/events?from=4"] * 4
    assert [asked[1]["Last-Event-ID"] for asked in server.asked[:4]] == [None, "6", "6", "6"]


@pytest.mark.parametrize("answer, status", [
    ((403, b'{"error":"forbidden","book":"b"}'), 1), ((404, b"no JSON"), 3),
    ((200, b"<html>", {"Content-Type": "text/html"}), 3),
    ((200, (b"data: " + b"x" * 1000 + b"\n") * (70 << 10), STREAM), 3)])
def test_tail_ends_when_another_try_would_end_in_the_same_way(scripted, answer, status):
    server = scripted(answer)
    result = talea("tail", "--book", "b", url=server.url)
    assert result.returncode == status and result.stdout == "" and result.stderr and len(server.asked) == 1


def test_tail_waits_for_a_ledger_that_is_not_there_yet_and_says_so_once(make_ledger):
    ledger = make_ledger(start=False)
    with tailing("--book", "b", url=ledger.url) as tail:
        assert "trying again" in tail.stderr.readline()
        ledger.start()
        ledger.set_up("b")
        assert [json.loads(tail.stdout.readline())["seq"] for _ in range(2)] == [1, 2]
        tail.send_signal(signal.SIGINT)
        assert tail.wait(20) == 0 and tail.stderr.read() == ""


def test_tail_ends_quietly_when_nobody_reads_it_any_more_though_nothing_comes(shop):
    with tailing("--book", "b/ook", url=shop.url, TALEA_TOKEN=shop.token) as tail:
        assert json.loads(tail.stdout.readline())["seq"] == 1
        tail.stdout.close()
        tail.stdout = None
        assert tail.wait(20) == 0 and tail.stderr.read() == ""


def test_help_and_version_are_given_on_stdout():
    for line in ("--help", "help", "help post", "post --help", "asset --help", "help asset register", "--version"):
        result = talea(*line.split())
        assert result.returncode == 0 and result.stdout.startswith(("talea", "usage: talea"))
        assert result.stderr == ""


def test_posts_made_by_the_client_are_in_the_ledger(shop):
    assert posted(shop).returncode == 0
    shop.post(sale("b/ook", "k1") | {"postings": [
        {"account": "..", "amount": {"minor": 1, "asset": "USD"}, "direction": d} for d in ("debit", "credit")]})
    assert shop.acknowledged["b/ook", "k1"][1] == 3
