"""A token is nowhere but where it has to be: not in lines, arguments or environments, and in memory as its digest."""
import os

import pytest

from harness import quote, wait_until

TOKEN = "s3cret-0123456789abcdef0123456789abcdef-token"
PART = TOKEN[:24]  # of a copy that was overwritten in part
LARGEST_MAPPING = 64 << 20  # what is larger is the rings, and the index


def in_environment(make_ledger):
    return make_ledger(start=False, api_token=TOKEN)


def in_dotenv(make_ledger):
    ledger = make_ledger(start=False)
    with open(os.path.join(ledger.home, ".env"), "w") as f:
        f.write(f"TALEA_API_TOKEN={TOKEN}\n")
    return ledger


def in_yaml(make_ledger):
    ledger = make_ledger(start=False)
    ledger.config = os.path.join(ledger.home, "talea.yaml")
    with open(ledger.config, "w") as f:
        f.write(f"# a file\napi_token: {TOKEN}\nlog_level: debug\n")
    return ledger


def in_credential(make_ledger):
    ledger = make_ledger(start=False)
    ledger.env["CREDENTIALS_DIRECTORY"] = ledger.home
    with open(os.path.join(ledger.home, "talea-api-token"), "w") as f:
        f.write(TOKEN + "\n")
    return ledger


def in_tokens_file(make_ledger):
    return make_ledger(start=False, tokens={"all": {"token": TOKEN, "books": ["*"], "access": "rw"}})


SOURCES = [in_environment, in_dotenv, in_yaml, in_credential, in_tokens_file]


def copies_in_memory(pid):
    """How many pieces of memory show it. What is read here is what a core dump would hold."""
    count = 0
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            place, access = line.split()[:2]
            begin, end = (int(part, 16) for part in place.split("-"))
            if "w" not in access or end - begin > LARGEST_MAPPING:
                continue
            memory.seek(begin)
            count += memory.read(end - begin).count(PART.encode())
    return count


def sanitized(ledger):
    """It keeps freed memory as it was, to find who uses it."""
    with open(f"/proc/{ledger.pid}/maps") as f:
        return "san.so" in f.read()


def replace_workers(ledger):
    workers = ledger.worker_pids()
    assert ledger.admin("reload").returncode == 0
    wait_until(lambda: ledger.worker_pids() and not set(workers) & {pid for pid, _ in ledger.children()},
               "the new workers alone")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
@pytest.mark.parametrize("source", SOURCES)
def test_no_process_has_the_token_in_memory_but_the_master_that_of_its_environment(make_ledger, source):
    ledger = source(make_ledger)
    ledger.token = None
    ledger.start()
    if sanitized(ledger):
        pytest.skip("a sanitizer keeps what was freed")
    for _ in range(2):
        assert copies_in_memory(ledger.pid) == (1 if source is in_environment else 0)
        for pid, title in ledger.children():
            assert copies_in_memory(pid) == 0, title
        replace_workers(ledger)


@pytest.mark.parametrize("source", SOURCES)
def test_nothing_that_talead_says_shows_the_token(make_ledger, source):
    ledger = source(make_ledger)
    ledger.env.update(TALEA_LOG_LEVEL="debug", TALEA_ACCESS_LOG="yes")
    ledger.token = TOKEN
    ledger.start()
    ledger.set_up("shop")
    for path in "/v1/books/shop/trial-balance", f"/v1/books/shop/trial-balance?as_of={TOKEN}", "/v1/no":
        ledger.request("GET", path)
    ledger.token = TOKEN + "-wrong"
    ledger.drop_connection()
    assert ledger.request("GET", f"/v1/books/{quote('shop')}/trial-balance").status == 401
    for pid in [ledger.pid] + [p for p, _ in ledger.children()]:
        for name in "cmdline", "environ":
            with open(f"/proc/{pid}/{name}", "rb") as f:
                assert PART.encode() not in f.read()
    said = [ledger.admin(*words) for words in (["status"], ["status", "--json"], ["workers"], ["reload"])]
    for done in said:
        assert PART not in done.stdout + done.stderr
    ledger.stop()
    assert PART not in ledger.stderr_text() and "request_id=" in ledger.stderr_text()
