"""talead token: a token, or an entry that the tokens file takes whatever its names hold."""
import json
import re
import subprocess

import pytest

from harness import TALEAD, clean_environment


def token(*arguments, **more):
    return subprocess.run([TALEAD, "token", *arguments], env=clean_environment(), text=True, capture_output=True,
                          timeout=60, **more)


def test_it_is_64_hex_digits_and_never_the_same():
    made = [token().stdout for _ in range(5)]
    assert all(re.fullmatch("[0-9a-f]{64}\n", text) for text in made) and len(set(made)) == 5


def test_an_entry_names_its_books_and_access():
    made = token("--scope", "payments", "--books", "shop,web shop", "--access", "rw")
    assert made.returncode == 0 and made.stderr == ""
    assert re.fullmatch(r'  "payments": \{token: "[0-9a-f]{64}", books: \["shop", "web shop"\], access: rw\}\n',
                        made.stdout)
    least = token("--scope", "reporting").stdout
    assert 'books: ["*"]' in least and "access: ro" in least


def test_json_has_the_same():
    assert list(json.loads(token("--json").stdout)) == ["token"]
    made = json.loads(token("--json", "--scope", "a", "--books", "x,y", "--access", "rw").stdout)
    assert re.fullmatch("[0-9a-f]{64}", made.pop("token"))
    assert made == {"scope": "a", "books": ["x", "y"], "access": "rw"}


NAMES = ["plain", "null", "~", "1", "yes", "a: b", "#c", "- d", "'", '"', "\\", "{x}", "[", "&a", "*b", "!t", "%", "@",
         "`", " x ", "é", "日本", "\U0001f4b0", "a\nb", "\t", "\x7f", "x" * 300]


def test_a_server_takes_the_entries_as_they_are_whatever_they_are_called(make_ledger):
    ledger = make_ledger(start=False)
    tokens, text = {}, "tokens:\n"
    for name in NAMES:
        entry = token("--scope", name, "--books", name, "--access", "rw").stdout
        text += entry
        tokens[name] = re.search("[0-9a-f]{64}", entry).group()
    writer = token("--scope", "writer", "--access", "rw").stdout
    path = f"{ledger.home}/tokens.yaml"
    with open(path, "w") as f:
        f.write(text + writer)
    ledger.env["TALEA_TOKENS_FILE"] = path
    ledger.start()
    ledger.token = re.search("[0-9a-f]{64}", writer).group()
    ledger.set_up(*NAMES)
    for name in NAMES:
        ledger.token = tokens[name]
        ledger.get("/v1/books/" + "".join(f"%{byte:02x}" for byte in name.encode()) + "/trial-balance")
        assert ledger.request("GET", "/v1/books/other/trial-balance").status == 403


@pytest.mark.parametrize("arguments, said", [
    (["--books", "a"], "--scope"), (["--access", "rw"], "--scope"), (["--scope", ""], "--scope"),
    (["--scope", "a", "--books", ""], "empty name"), (["--scope", "a", "--books", "x,,y"], "empty name"),
    (["--scope", "a", "--books", "x,*"], "mixes"), (["--scope", "a", "--books", "*,x"], "mixes"),
    (["--scope", "a", "--access", "all"], "ro or rw"), (["--scope", b"\xff"], "UTF-8"),
    (["--scope", "a", "--books", b"x,\xff"], "UTF-8"), (["more"], "unexpected"), (["--scope"], "needs a value"),
    (["--scope", "a", "--books", ",".join(["x"] * 257)], "more than 256"),
])
def test_wrong_use_is_told_in_one_line_and_no_token_is_made(arguments, said):
    done = token(*arguments)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert said in done.stderr, done.stderr


def test_a_full_disk_is_no_success():
    with open("/dev/full", "w") as full:
        done = subprocess.run([TALEAD, "token"], env=clean_environment(), stdout=full, stderr=subprocess.PIPE,
                              timeout=60)
    assert done.returncode == 1
