"""Settings: where they come from, and what is said of bad ones."""
import os

import pytest

from harness import free_port, wait_until


@pytest.mark.parametrize("name, value", [
    ("workers", "0"), ("workers", "many"), ("workers", "65"), ("max_inflight", "0"), ("write_queue_depth", "-1"),
    ("write_batch_max", "0"), ("http_batch_max", "1.5"), ("log_snapshot_every", "x"), ("log_idem_hot_cap", "0"),
    ("log_segment_max", ""), ("db_url", "postgres://x"), ("db_url", "log://"), ("bind", "nowhere"), ("metrics_bind", ":"),
])
def test_a_bad_value_stops_the_start_with_one_line(make_ledger, name, value):
    ledger = make_ledger(start=False)
    ledger.env["TALEA_" + name.upper()] = value
    assert ledger.start_refused() == 1
    lines = ledger.stderr_text().splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"talead: invalid TALEA_{name.upper()}: "), lines


def test_the_database_url_is_required(make_ledger):
    ledger = make_ledger(start=False)
    del ledger.env["TALEA_DB_URL"]
    assert ledger.start_refused() == 1
    assert ledger.stderr_text().startswith("talead: invalid TALEA_DB_URL: ")


def write(ledger, name, text):
    path = os.path.join(ledger.home, name)
    with open(path, "w") as f:
        f.write(text)
    return path


def workers_of(ledger):
    ledger.start()
    count = len(ledger.worker_pids())
    ledger.stop()
    return count


def test_environment_beats_dotenv_beats_yaml_beats_default(make_ledger):
    ledger = make_ledger(start=False, workers=1)
    ledger.config = write(ledger, "talea.yaml", "workers: 3\n")
    write(ledger, ".env", "TALEA_WORKERS=2\n")
    assert workers_of(ledger) == 1
    del ledger.env["TALEA_WORKERS"]
    assert workers_of(ledger) == 2
    os.unlink(os.path.join(ledger.home, ".env"))
    assert workers_of(ledger) == 3
    ledger.config = None
    assert workers_of(ledger) == len(os.sched_getaffinity(0))


def test_an_unknown_yaml_key_is_named_with_its_line(make_ledger):
    ledger = make_ledger(start=False)
    ledger.config = write(ledger, "talea.yaml", "max_inflight: 10\nmax_infligth: 20\n")
    assert ledger.start_refused() == 1
    assert "talea.yaml:2" in ledger.stderr_text() and "max_inflight" in ledger.stderr_text()


def test_an_address_in_use_is_said_in_one_line(make_ledger):
    first, second = make_ledger(), make_ledger(start=False)
    second.env["TALEA_BIND"] = first.env["TALEA_BIND"]
    assert second.start_refused() == 1
    assert "Address already in use (TALEA_BIND)" in second.stderr_text()


@pytest.mark.parametrize("text, said", [
    ("tokens: {}\n", "at least one entry"),
    ("tokens: [\n", ""),
    ("tokens:\n  a: { token: \"\", books: [x], access: ro }\n", "'a'"),
    ("tokens:\n  a: { token: s3cret, books: [], access: ro }\n", "'a'"),
    ("tokens:\n  a: { token: s3cret, books: [x, \"*\"], access: ro }\n", "'a'"),
    ("tokens:\n  a: { token: s3cret, books: [x], access: write }\n", "'a'"),
    ("tokens:\n  a: { token: s3cret, books: [x], access: ro }\n  b: { token: s3cret, books: [y], access: ro }\n", "'b'"),
    ("tokens:\n  a: { token: root-s3cret, books: [x], access: ro }\n", "'a'"),
])
def test_a_bad_tokens_file_is_refused_by_entry_and_without_the_secret(make_ledger, text, said):
    ledger = make_ledger(start=False, api_token="root-s3cret")
    ledger.env["TALEA_TOKENS_FILE"] = write(ledger, "tokens.yaml", text)
    assert ledger.start_refused() == 1
    assert said in ledger.stderr_text() and "s3cret" not in ledger.stderr_text()
    assert len(ledger.stderr_text().splitlines()) == 1


def test_a_toml_tokens_file_is_told_how_to_become_yaml(make_ledger):
    ledger = make_ledger(start=False)
    ledger.env["TALEA_TOKENS_FILE"] = write(ledger, "tokens.toml", "[tokens.a]\n")
    assert ledger.start_refused() == 1
    assert "contrib/toml-to-yaml" in ledger.stderr_text()


def test_no_token_is_warned_of_loudly_and_a_token_is_shown_nowhere(make_ledger):
    assert "OPEN MODE" in make_ledger().stderr_text()
    ledger = make_ledger(api_token="s3cret-token")
    assert "OPEN MODE" not in ledger.stderr_text()
    ledger.register()
    for pid in [ledger.pid] + [p for p, _ in ledger.children()]:
        for name in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{name}", "rb") as f:
                assert b"s3cret-token" not in f.read()
    assert "s3cret-token" not in ledger.stderr_text()


def test_metrics_bind_opens_a_second_listener(make_ledger):
    ledger = make_ledger(metrics_bind=f"127.0.0.1:{free_port()}")
    assert ledger.request("GET", "/metrics").status == 404
    wait_until(lambda: ledger.request("GET", "/health").status == 200, "health")


def with_credential(ledger, text):
    ledger.env["CREDENTIALS_DIRECTORY"] = ledger.home
    write(ledger, "talea-api-token", text)
    return ledger


def test_the_token_may_come_as_a_credential_of_the_service(make_ledger):
    ledger = with_credential(make_ledger(start=False), "s3cret-of-the-service\n")
    write(ledger, ".env", "TALEA_API_TOKEN=of-dotenv\n")
    ledger.token = "s3cret-of-the-service"
    ledger.start()
    ledger.register()
    assert "OPEN MODE" not in ledger.stderr_text()
    ledger.token = "of-dotenv"
    assert ledger.request("POST", "/v1/assets", {}).status == 401


def test_the_environment_beats_the_credential(make_ledger):
    ledger = with_credential(make_ledger(start=False, api_token="of-environment"), "of-credential")
    ledger.start().register()


@pytest.mark.parametrize("text", ["", "\n", "s3cret\n\n", "s3cret" * 1000])
def test_a_bad_credential_stops_the_start_with_one_line_and_is_not_shown(make_ledger, text):
    ledger = with_credential(make_ledger(start=False), text)
    assert ledger.start_refused() == 1
    lines = ledger.stderr_text().splitlines()
    assert len(lines) == 1 and lines[0].startswith("talead: invalid TALEA_API_TOKEN: "), lines
    assert lines[0].endswith("(credential talea-api-token)") and "s3cret" not in lines[0]
