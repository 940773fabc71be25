"""talead init: a ledger, a token, .env and the seed."""
import os
import re
import stat
import subprocess

import pytest

from harness import TALEAD, Ledger, clean_environment, SOURCE

SEED = """assets:
  - { id: USD, class: fiat, precision: 2, name: US Dollar }
  - { id: BTC, class: { crypto: { network: bitcoin } }, precision: 8, name: Bitcoin }
accounts:
  - { book: onramp, path: "treasury:usd", asset: USD, kind: asset, normal_side: debit, min_balance: 0 }
"""


@pytest.fixture
def home(tmp_path):
    return tmp_path


def init(home, *arguments, env=None):
    return subprocess.run([TALEAD, "init", *arguments], cwd=home, env={**clean_environment(), **(env or {})}, text=True,
                          capture_output=True, timeout=60)


def dotenv(home, name=".env"):
    return dict(line.split("=", 1) for line in (home / name).read_text().splitlines())


def test_init_makes_a_ledger_a_token_and_dotenv(home):
    made = init(home, "--db-url", f"log://{home}/ledger")
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines() == ["seed: no seed file found, skipped", "wrote .env", "ready. next: talead serve"]
    assert stat.S_IMODE((home / ".env").stat().st_mode) == 0o600
    values = dotenv(home)
    assert re.fullmatch("[0-9a-f]{64}", values["TALEA_API_TOKEN"])
    assert values["TALEA_DB_URL"] == f"log://{home}/ledger" and "TALEA_BIND" in values
    assert values["TALEA_API_TOKEN"] not in made.stdout + made.stderr
    assert (home / "ledger" / "log").is_dir()


def test_running_it_again_changes_nothing_and_force_makes_a_new_token(home):
    (home / "talea.seed.yaml").write_text(SEED)
    first = init(home)
    assert "seed: 2 assets created, 0 already present, 1 accounts ensured" in first.stdout
    text = (home / ".env").read_text()
    again = init(home)
    assert "seed: 0 assets created, 2 already present, 1 accounts ensured" in again.stdout
    assert ".env left untouched" in again.stdout and (home / ".env").read_text() == text
    with open(home / ".env", "a") as f:
        f.write("TALEA_WORKERS=3\n")
    old = dotenv(home)
    assert "wrote .env" in init(home, "--force").stdout
    new = dotenv(home)
    assert new.pop("TALEA_API_TOKEN") != old.pop("TALEA_API_TOKEN") and new == old


def test_force_replaces_our_lines_however_they_are_written_and_no_others(home):
    url = f"log://{home}/ledger"
    (home / ".env").write_text(f"# TALEA_API_TOKEN=no\n\t export  TALEA_API_TOKEN\t= 'old' # mine\n  TALEA_DB_URL={url}\n"
                               "OTHER='TALEA_BIND=x'\n")
    assert "wrote .env" in init(home, "--force").stdout
    lines = (home / ".env").read_text().splitlines()
    assert lines[:2] == [f"TALEA_DB_URL={url}", "TALEA_BIND=127.0.0.1:8080"]
    assert re.fullmatch("TALEA_API_TOKEN=[0-9a-f]{64}", lines[2])
    assert lines[3:] == ["# TALEA_API_TOKEN=no", "OTHER='TALEA_BIND=x'"]
    assert ".env left untouched" in init(home).stdout, "the file that was written can be read"


def test_a_server_takes_the_token_and_shows_the_seed(home):
    (home / "talea.seed.yaml").write_text(SEED)
    ledger = Ledger()
    try:
        assert init(home, "--db-url", ledger.env["TALEA_DB_URL"]).returncode == 0
        ledger.token = ledger.env["TALEA_API_TOKEN"] = dotenv(home)["TALEA_API_TOKEN"]
        ledger.start()
        shown = ledger.balance("onramp", "treasury:usd")
        assert shown["balance"] == "0.00" and shown["asset"] == "USD"
        assert ledger.request("GET", "/v1/books/onramp/trial-balance", headers={"Authorization": "Bearer x"}).status == 401
        assert "locked by another process" in init(home, "--db-url", ledger.env["TALEA_DB_URL"]).stderr
    finally:
        ledger.close()


@pytest.mark.parametrize("seed, said", [
    ("assets:\n  - { id: USD, class: fiat, precision: 2, name: x, colour: blue }\n", "talea.seed.yaml:2: asset 1: unknown key 'colour'"),
    ("assets:\n  - { id: ' ', class: fiat, precision: 2, name: x }\n", "'id' must not be blank"),
    ("assets:\n  - { id: USD, class: fiat, precision: 2, name: '' }\n", "asset USD: 'name' must not be blank"),
    ("assets:\n  - { id: USD, class: fiat, precision: 256, name: x }\n", "asset USD: precision"),
    ("assets:\n  - { id: USD, class: gold, precision: 2, name: x }\n", "asset USD: class"),
    ("assets:\n  - &a { id: USD, class: fiat, precision: 2, name: x }\n  - *a\n", "talea.seed.yaml"),
    ("assets:\n  - { id: U, class: fiat, precision: 2, name: x }\n  - { id: U, class: fiat, precision: 2, name: x }\n",
     "talea.seed.yaml:3: asset U: given twice, first in line 2"),
    ("accounts:\n  - { book: _x, path: p, asset: USD, kind: asset }\n", "reserved"),
    ("accounts:\n  - { book: b, path: p, asset: NONE, kind: asset }\n", "account b:p: asset 'NONE' is neither in this file nor registered"),
    ("accounts:\n  - { book: b, path: p, asset: USD, kind: thing }\n", "unknown account kind 'thing'"),
    ("assets: 5\n", "'assets' must be a list"),
    ("things: []\n", "unknown key 'things'"),
])
def test_a_bad_seed_is_refused_by_file_line_and_entry_and_nothing_is_written(home, seed, said):
    (home / "talea.seed.yaml").write_text(seed)
    refused = init(home)
    assert refused.returncode == 1
    assert said in refused.stderr and len(refused.stderr.splitlines()) == 1, refused.stderr
    assert not (home / ".env").exists()


def test_a_definition_that_conflicts_is_refused_and_named(home):
    (home / "talea.seed.yaml").write_text(SEED)
    assert init(home).returncode == 0
    (home / "talea.seed.yaml").write_text(SEED.replace("precision: 2", "precision: 3"))
    refused = init(home)
    assert refused.returncode == 1 and "asset USD: is registered with another definition" in refused.stderr


def test_a_toml_seed_is_told_how_to_become_yaml(home):
    (home / "talea.seed.toml").write_text('[[assets]]\nid = "USD"\nclass = "fiat"\nprecision = 2\nname = "US: Dollar"\n')
    refused = init(home)
    assert refused.returncode == 1 and "contrib/toml-to-yaml" in refused.stderr
    converted = subprocess.run([os.path.join(SOURCE, "contrib", "toml-to-yaml"), "talea.seed.toml"], cwd=home,
                               capture_output=True, text=True)
    assert converted.returncode == 0, converted.stderr
    (home / "talea.seed.yaml").write_text(converted.stdout)
    assert "seed: 1 assets created" in init(home).stdout


def test_a_seed_file_that_was_named_must_be_there(home):
    refused = init(home, "--seed", "nowhere.yaml")
    assert refused.returncode == 1 and "nowhere.yaml: no such file" in refused.stderr


def test_an_unknown_option_is_a_usage_error(home):
    assert init(home, "--what").returncode == 2
