"""The command line of talead, whatever the command: how wrong use is told, and how a ledger is found."""
import subprocess

import pytest

from harness import TALEAD, clean_environment


def talead(*arguments, cwd=None, **env):
    return subprocess.run([TALEAD, *arguments], cwd=cwd, env={**clean_environment(), **env}, text=True,
                          capture_output=True, timeout=60)


@pytest.mark.parametrize("line, said", [
    ("what", "no command 'what'; talead --help lists them"), ("help what", "no command 'what'"),
    ("--what", "unknown option '--what' before a command"),
    ("serve --what", "unknown option '--what'; see talead help serve"),
    ("serve -x", "unknown option '-x'"), ("serve x", "unexpected 'x'; see talead help serve"),
    ("serve --config", "--config needs a value: FILE"), ("serve --config=a --config=b", "--config is given twice"),
    ("backup", "backup needs DIR; see talead help backup"), ("backup a b", "unexpected 'b'"),
    ("backup a --incremental=yes", "--incremental takes no value"),
    ("backup a --incremental --incremental", "given twice"),
    ("verify", "verify needs DIR"), ("verify a --expect 12", "--expect takes a head: 64 hex digits"),
    ("dump", "dump needs DIR"), ("dump a --from x", "--from takes a seq"), ("dump a --from=-1", "--from takes a seq"),
    ("reindex", "reindex needs DIR"), ("reindex a b", "unexpected 'b'"), ("init x", "unexpected 'x'"),
])
def test_wrong_use_is_told_in_one_line_and_does_nothing(tmp_path, line, said):
    done = talead(*line.split(), cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("talead: ") and said in done.stderr and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_help_and_version_go_to_stdout_and_no_command_is_wrong_use():
    overview = talead("--help").stdout
    for line in ("help", "-h", "help help"):
        assert talead(*line.split()).stdout == overview
    for line in ("help verify", "verify --help", "verify -h", "verify dir --help"):
        done = talead(*line.split())
        assert done.returncode == 0 and done.stderr == ""
        assert done.stdout.startswith("usage: talead verify DIR [--from ")
    assert talead("--version").stdout.startswith("talead ")
    nothing = talead()
    assert nothing.returncode == 2 and nothing.stdout == "" and nothing.stderr == overview


@pytest.fixture
def two_ledgers(tmp_path):
    for name in ("one", "two"):
        made = talead("init", "--db-url", f"log://{tmp_path}/{name}", "--env-out", f"{name}.env", cwd=tmp_path)
        assert made.returncode == 0, made.stderr
    return tmp_path


def copied(folder, *arguments, **env):
    """Which ledger a backup copies."""
    done = talead("backup", str(folder / "copy"), *arguments, cwd=folder, **env)
    assert done.returncode == 0, done.stderr
    subprocess.run(["rm", "-r", folder / "copy"], check=True)
    return done.stdout.split(" holds ")[1].split(":")[0].rsplit("/", 1)[1]


def test_a_ledger_is_found_by_option_environment_dotenv_and_file_in_this_order(two_ledgers):
    one, two = f"log://{two_ledgers}/one", f"log://{two_ledgers}/two"
    (two_ledgers / "talea.yaml").write_text(f"db_url: {one}\n")
    assert copied(two_ledgers, "--config", "talea.yaml") == "one"
    (two_ledgers / ".env").write_text(f"TALEA_DB_URL={two}\n")
    assert copied(two_ledgers, "--config", "talea.yaml") == "two"
    assert copied(two_ledgers, "--config=talea.yaml", TALEA_DB_URL=one) == "one"
    assert copied(two_ledgers, "--db-url", two, TALEA_DB_URL=one) == "two"
    (two_ledgers / ".env").write_text("no line\n")
    assert copied(two_ledgers, "--db-url", two, "--config", "none.yaml") == "two", "nothing else is looked at"


@pytest.mark.parametrize("arguments, said", [
    (["--db-url", "dir"], "invalid --db-url: must begin with log://"), ([], "invalid TALEA_DB_URL: required"),
    (["--config", "none.yaml"], "none.yaml: no such file"),
    (["--db-url", "log:///nowhere"], "there is no ledger in /nowhere"),
])
def test_a_ledger_that_is_not_found_is_told_in_one_line(tmp_path, arguments, said):
    done = talead("backup", "copy", *arguments, cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == "" and said in done.stderr and done.stderr.count("\n") == 1
