"""Wrong tokens: each is counted, and an address that sends too many has to wait, whichever worker it reaches."""
import http.client
import time
import urllib.request

import pytest

from harness import PATIENCE_S, wait_until

PATH = "/v1/books/shop/trial-balance"
TOKENS = {name: {"token": f"token-of-{name}", "books": ["*"], "access": "rw"} for name in ("one", "two")}


def ask(ledger, token, source="127.0.0.1"):
    """On a connection of its own, so that any worker may get it."""
    connection = http.client.HTTPConnection("127.0.0.1", ledger.port, timeout=PATIENCE_S, source_address=(source, 0))
    connection.request("GET", PATH, headers={"Authorization": f"Bearer {token}"} if token else {})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.getheader("retry-after"), body


def fresh_minute():
    """Minutes are those of the monotonic clock. What a test counts must not fall into two of them."""
    wait_until(lambda: time.monotonic() % 60 < 45, "enough of a minute to be left")


def guess(ledger, count, **more):
    return [ask(ledger, f"wrong-{n}", **more)[0] for n in range(count)]


@pytest.fixture
def limited(make_ledger):
    ledger = make_ledger(tokens=TOKENS, workers=2, metrics=True, auth_failures_per_minute=10)
    assert ask(ledger, "token-of-one")[0] == 200
    fresh_minute()
    return ledger


def failures(ledger):
    with urllib.request.urlopen(f"http://127.0.0.1:{ledger.metrics_port}/metrics") as answer:
        text = answer.read().decode()
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("talea_auth_failures_total{"))


def test_too_many_wrong_tokens_over_all_workers_are_answered_429_until_the_minute_ends(limited):
    assert guess(limited, 30) == [401] * 10 + [429] * 20
    status, retry_after, body = ask(limited, "wrong")
    assert status == 429 and body == b'{"error":"overloaded"}'
    assert abs(60 - time.monotonic() % 60 - int(retry_after)) <= 2
    assert failures(limited) == 31


def test_over_the_limit_a_right_token_looks_like_a_wrong_one_unless_it_was_accepted_from_there(limited):
    guess(limited, 11)
    right, wrong = ask(limited, "token-of-two"), ask(limited, "wrong")
    assert right[0] == wrong[0] == 429 and right[2] == wrong[2]
    assert [ask(limited, "token-of-one")[0] for _ in range(8)] == [200] * 8
    assert ask(limited, "token-of-two")[0] == 429


def test_another_address_is_not_touched(limited):
    guess(limited, 11)
    assert ask(limited, "token-of-two", source="127.0.0.2")[0] == 200
    assert guess(limited, 10, source="127.0.0.3") == [401] * 10


def test_a_request_without_a_token_guesses_nothing(limited):
    before = failures(limited)
    assert [ask(limited, None)[0] for _ in range(20)] == [401] * 20
    assert failures(limited) == before + 20
    assert guess(limited, 11) == [401] * 10 + [429]
    assert ask(limited, None)[0] == 401


def test_one_line_tells_of_it_and_no_token(limited):
    guess(limited, 30)
    ask(limited, "token-of-two")
    lines = [line for line in limited.stderr_text().splitlines() if "wrong tokens" in line]
    assert len(lines) == 1 and " warning worker " in lines[0] and "10 wrong tokens from 127.0.0.1" in lines[0]
    assert "token-of" not in limited.stderr_text() and "wrong-" not in limited.stderr_text()


def test_with_0_any_number_may_be_tried_and_a_reload_changes_that(make_ledger):
    config = make_ledger(start=False).home + "/talea.yaml"

    def write(limit):
        with open(config, "w") as f:
            f.write(f"auth_failures_per_minute: {limit}\n")

    write(0)
    ledger = make_ledger(tokens=TOKENS, config=config)
    assert guess(ledger, 320) == [401] * 320
    assert ask(ledger, "token-of-one")[0] == 200
    write(5)
    workers = ledger.worker_pids()
    assert ledger.admin("reload").returncode == 0
    wait_until(lambda: not set(workers) & set(ledger.worker_pids()), "new workers")
    fresh_minute()
    assert guess(ledger, 6) == [401] * 5 + [429]
    assert ask(ledger, "token-of-one")[0] == 200 and ask(ledger, "token-of-two")[0] == 429


def test_in_open_mode_there_is_nothing_to_guess(make_ledger):
    ledger = make_ledger(auth_failures_per_minute=1)
    assert guess(ledger, 5) == [200] * 5
