"""talead check-config: every fault of the settings at once, where it is, and never a secret."""
import json
import subprocess

import pytest

from harness import TALEAD, clean_environment

GOOD = {"TALEA_DB_URL": "log:///nowhere/ledger"}


@pytest.fixture
def home(tmp_path):
    return tmp_path


def check(home, *arguments, **env):
    return subprocess.run([TALEAD, "check-config", *arguments], cwd=home, env={**clean_environment(), **env}, text=True,
                          capture_output=True, timeout=60)


def faults(home, *arguments, **env):
    """The lines of a run that finds some."""
    done = check(home, *arguments, **env)
    assert done.returncode == 1 and "is good" not in done.stdout, done.stdout + done.stderr
    assert all(line.startswith("talead: ") for line in done.stderr.splitlines())
    return [line.removeprefix("talead: ") for line in done.stderr.splitlines()]


def test_good_settings_are_one_line_and_nothing_is_made(home):
    done = check(home, TALEA_API_TOKEN="s3cret", **GOOD)
    assert (done.returncode, done.stdout, done.stderr) == (0, "configuration is good\n", "")
    assert list(home.iterdir()) == []


def test_it_warns_of_open_mode(home):
    done = check(home, **GOOD)
    assert done.returncode == 0 and "OPEN MODE" in done.stderr


def test_every_fault_of_every_file_is_said_with_its_line(home):
    (home / ".env").write_text("TALEA_DB_URL=log://x\nno line\nTALEA_MAX_INFLIGHT=0\nTALEA_DB_URL=log://y\n"
                               "TALEA_TOKENS_FILE=tokens.yaml\n")
    (home / "talea.yaml").write_text("max_infligth: 1\nbind: nowhere\nworkers: 99\nwrite_batch_max: 3\nworkers: 2\n")
    (home / "tokens.yaml").write_text("tokens:\n  a: { token: s3cret, books: [], access: all }\n"
                                      "  b: { token: s3cret, books: [x], access: rw, what: 1 }\n  c: 5\n")
    found = faults(home, "--config", "talea.yaml", TALEA_HTTP_BATCH_MAX="many")
    assert sorted(found) == sorted([
        ".env:2: not a line of the form NAME=value",
        ".env:4: TALEA_DB_URL is given twice, first in line 1",
        'talea.yaml:1: unknown key "max_infligth", the nearest known one is "max_inflight"',
        'talea.yaml:5: key "workers" is given twice, first in line 3',
        'invalid TALEA_BIND: must be host:port or [v6]:port, got "nowhere" (talea.yaml:2)',
        "invalid TALEA_MAX_INFLIGHT: 0 is less than 1 (.env:3)",
        "invalid TALEA_WORKERS: 99 is more than 64 (talea.yaml:3)",
        'invalid TALEA_HTTP_BATCH_MAX: must be a whole number, got "many"',
        "tokens.yaml:2: token entry 'a': books must be a list of at least one name, or [\"*\"]",
        "tokens.yaml:2: token entry 'a': access must be 'ro' or 'rw'",
        "tokens.yaml:3: token entry 'b': knows only the keys token, books and access",
        "tokens.yaml:3: token entry 'b': the same token as 'a'",
        "tokens.yaml:4: token entry 'c': must be a mapping with token, books and access",
    ])
    assert "s3cret" not in "".join(found)


def test_the_first_fault_is_what_a_start_says(home):
    (home / "talea.yaml").write_text("nothing: 1\nworkers: 0\n")
    first = faults(home, "--config", "talea.yaml", **GOOD)[0]
    refused = subprocess.run([TALEAD, "serve", "--config", "talea.yaml"], cwd=home, env={**clean_environment(), **GOOD},
                             text=True, capture_output=True, timeout=60)
    assert refused.returncode == 1 and refused.stderr == f"talead: {first}\n"


@pytest.mark.parametrize("text, said", [
    ("workers: 2\nbind: [\n", "talea.yaml:3: "),
    ("a: &x 1\nb: &y 2\nc: *x\nbind: {", "talea.yaml:1: anchors"),
    ("- workers\n", "talea.yaml:1: must be lines of `key: value`"),
])
def test_a_file_with_wrong_syntax_is_said_with_its_line_and_nothing_is_missed_in_it(home, text, said):
    (home / "talea.yaml").write_text(text)
    found = faults(home, "--config", "talea.yaml", TALEA_WORKERS="0")
    assert any(line.startswith(said) for line in found), found
    assert "invalid TALEA_WORKERS: 0 is less than 1" in found, "other sources are looked at all the same"
    assert ("invalid TALEA_DB_URL: required, such as log:///var/lib/talea" in found) == ("- workers" in text)


def test_files_that_are_not_there_are_faults(home):
    assert faults(home, "--config", "none.yaml", **GOOD) == ["none.yaml: no such file"]
    assert faults(home, TALEA_TOKENS_FILE="none.yaml", **GOOD) == ["none.yaml: no such file (TALEA_TOKENS_FILE)"]
    (home / "tokens.toml").write_text("")
    assert "contrib/toml-to-yaml tokens.toml" in faults(home, TALEA_TOKENS_FILE="tokens.yaml", **GOOD)[0]


def test_a_host_that_cannot_be_resolved_is_a_fault_and_an_address_in_use_is_none(home, make_ledger):
    (home / "talea.yaml").write_text("metrics_bind: host.invalid:80\n")
    found = faults(home, "--config", "talea.yaml", **GOOD)
    assert len(found) == 1 and found[0].startswith("cannot listen on host.invalid:80: ")
    assert found[0].endswith("(TALEA_METRICS_BIND, talea.yaml:1)")
    assert check(home, TALEA_BIND=make_ledger().env["TALEA_BIND"], **GOOD).returncode == 0


def test_verbose_says_where_each_value_stands_and_shows_no_secret(home):
    (home / ".env").write_text("# mine\nTALEA_API_TOKEN=s3cret\nTALEA_WORKERS=3\n")
    (home / "talea.yaml").write_text("db_url: log://x\nworkers: 5\nbind: 127.0.0.1:0\n")
    done = check(home, "--config", "talea.yaml", "--verbose", TALEA_BIND="127.0.0.1:1")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.splitlines() == [
        "TALEA_DB_URL = log://x (talea.yaml:1)", "TALEA_BIND = 127.0.0.1:1 (environment)",
        "TALEA_API_TOKEN = *** (.env:2)", "TALEA_WORKERS = 3 (.env:3)", "configuration is good"]


def test_json_says_the_same(home):
    (home / ".env").write_text("TALEA_API_TOKEN=s3cret\nTALEA_WORKERS=0\n")
    (home / "talea.yaml").write_bytes(b"bnid: 1\ntokens_file: \"x\\u00e9\"\n")
    done = check(home, "--config", "talea.yaml", "--json", **GOOD)
    assert done.returncode == 1 and done.stderr == "" and "s3cret" not in done.stdout
    shown = json.loads(done.stdout)
    assert shown["good"] is False and shown["tokens"] == 1
    assert [(f["setting"], f["file"], f["line"]) for f in shown["faults"]] == [
        (None, "talea.yaml", 1), ("TALEA_WORKERS", ".env", 2), ("TALEA_TOKENS_FILE", "x\u00e9", None)]
    assert all(f["message"] for f in shown["faults"])
    assert shown["settings"] == [
        {"setting": "TALEA_DB_URL", "value": GOOD["TALEA_DB_URL"], "file": None, "line": None},
        {"setting": "TALEA_API_TOKEN", "value": "***", "file": ".env", "line": 1},
        {"setting": "TALEA_TOKENS_FILE", "value": "x\u00e9", "file": "talea.yaml", "line": 2}]
    good = json.loads(check(home, "--json", TALEA_API_TOKEN="x", TALEA_DB_URL="log://x").stdout or "{}")
    assert good["good"] is False, ".env is still bad"
    (home / ".env").unlink()
    good = json.loads(check(home, "--json", TALEA_API_TOKEN="x", **GOOD).stdout)
    assert good["good"] is True and good["faults"] == []


def test_what_is_no_utf_8_is_still_json(home):
    environment = {k.encode(): v.encode() for k, v in {**clean_environment(), **GOOD}.items()}
    environment[b"TALEA_TOKENS_FILE"] = b"a\xffb"
    done = subprocess.run([TALEAD, "check-config", "--json"], cwd=home, env=environment, capture_output=True,
                          timeout=60)
    assert json.loads(done.stdout.decode())["faults"][0]["file"] == "a?b"


def test_wrong_use_is_told(home):
    for line in ("--what", "x", "--config", "--json=1"):
        done = check(home, *line.split())
        assert done.returncode == 2 and done.stderr.count("\n") == 1, line
