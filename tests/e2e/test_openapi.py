"""The description of the interface: it is served as it is in the tree, and says what the server does."""

import http.client
import json
import os
import re
import signal
import subprocess
import threading
import urllib.parse

import jsonschema
import pytest

from harness import SOURCE, TALEAD, credit, debit, draft, sale, wait_until
from test_manual import ERRORS, read

DOCUMENT = json.loads(read("server", "openapi.json"))
LIMITS = DOCUMENT["info"]["x-talea-limits"]
TOKEN, SHOP_TOKEN = "all-books", "shop-alone"
# What is refused before any route is known; beyond the contract's own statuses of invalid_draft.
EDGE = {"417", "431", "501", "505"}


def resolve(thing):
    while "$ref" in thing:
        value = DOCUMENT
        for key in thing["$ref"][2:].split("/"):
            value = value[key]
        thing = value
    return thing


def operations():
    """(method, path, operation) of each."""
    return [
        (method.upper(), path, operation)
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
    ]


def answers(operation):
    """(status, answer) of each."""
    return [(status, resolve(answer)) for status, answer in operation["responses"].items()]


def fits(value, schema):
    """Complains with the place in the value."""
    jsonschema.Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


def documented(method, path, status):
    found = DOCUMENT["paths"][path][method.lower()]["responses"]
    return resolve(found.get(str(status)) or found[f"{status // 100}XX"])


def check(method, path, answer):
    """An answer of the server against the document: status, type, body, headers."""
    expected = documented(method, path, answer.status)
    media = answer.headers.get("content-type", "").split(";")[0]
    if method == "HEAD" or answer.status == 204:
        assert answer.bytes == b"" and "content" not in expected
    else:
        assert media in expected["content"], f"{answer.status}: {media}"
        if media == "application/json":
            fits(answer.json, expected["content"][media]["schema"])
    for name, header in expected["headers"].items():
        header = resolve(header)
        if header.get("required") or name == "x-request-id":
            value = answer.headers[name.lower()]
            fits(int(value) if header["schema"]["type"] == "integer" else value, header["schema"])
    return answer


# --- what is served ---


def test_the_document_is_served_byte_for_byte_and_needs_no_token(make_ledger):
    ledger = make_ledger(api_token=TOKEN)
    ledger.token = None
    answer = ledger.request("GET", "/openapi.json")
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    with open(os.path.join(SOURCE, "server", "openapi.json"), "rb") as f:
        assert answer.bytes == f.read()
    head = ledger.request("HEAD", "/openapi.json")
    assert head.bytes == b"" and head.headers["content-length"] == str(len(answer.bytes))


def test_the_version_is_that_of_talead():
    said = subprocess.run([TALEAD, "--version"], text=True, capture_output=True, timeout=60).stdout.split()
    assert said == ["talead", DOCUMENT["info"]["version"]]


def test_the_document_is_ordered_and_every_part_of_it_is_used():
    text = read("server", "openapi.json")
    assert text == json.dumps(DOCUMENT, indent=2, ensure_ascii=False) + "\n"
    for kind, entries in DOCUMENT["components"].items():
        for name in entries:
            assert kind == "securitySchemes" or f'"#/components/{kind}/{name}"' in text, f"{kind}/{name}"
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(ids)) == len(ids)
    assert {tag for _, _, o in operations() for tag in o["tags"]} == {tag["name"] for tag in DOCUMENT["tags"]}


# --- routes ---


def table():
    """Path -> (methods, needs a token) of the server's own table; /metrics is on another listener."""
    rows = re.findall(
        r'\[ROUTE_\w+\] = \{"(/[^"]*)", (READS|POSTS), (true|false), (true|false)', read("server", "routes.c")
    )
    allow = {"READS": {"GET", "HEAD"}, "POSTS": {"POST"}}
    return {path: (allow[methods], token == "true") for path, methods, token, metrics in rows if metrics == "false"}


def test_the_paths_methods_and_tokens_are_the_servers():
    described = {}
    for method, path, operation in operations():
        methods, _ = described.setdefault(path, (set(), operation.get("security") != []))
        methods.add(method)
        assert (
            described[path][1]
            == (operation.get("security") != [])
            == ("401" in operation["responses"] or (method == "HEAD" and operation.get("security") != []))
        ), f"{method} {path}: its security"
    assert described == table() and len(described) > 10
    assert list(DOCUMENT["components"]["securitySchemes"]) == ["bearer"] and DOCUMENT["security"] == [{"bearer": []}]


def test_the_parameters_are_those_of_the_path_and_of_the_query():
    read_by = {"query_as_of": {"as_of"}, "query_limit": {"limit"}}
    in_code = set()
    for name in ("read_routes.c", "event_stream.c"):
        text = read("server", name)
        in_code |= set(re.findall(r'query_sequence\([^"]*"(\w+)"', text))
        in_code |= {p for call, names in read_by.items() if call in text for p in names}
    in_query = set()
    for method, path, operation in operations():
        parameters = [resolve(p) for p in operation["parameters"]]
        assert {p["name"] for p in parameters if p["in"] == "path"} == set(re.findall(r"\{(\w+)\}", path))
        assert all(p["required"] for p in parameters if p["in"] == "path")
        in_query |= {p["name"] for p in parameters if p["in"] == "query"}
        if method == "HEAD":
            assert operation["parameters"] == DOCUMENT["paths"][path]["get"]["parameters"]
    assert in_query == in_code == {"as_of", "after_seq", "limit", "from"}


def target(template, **values):
    """The template with values for what stands in braces."""
    values = {"book": "shop", "path": "cash", "file": "plain.html", **values}
    return re.sub(r"\{(\w+)\}", lambda m: urllib.parse.quote(values[m.group(1)], safe=""), template)


@pytest.fixture
def shop(make_ledger):
    ledger = make_ledger(
        api_token=TOKEN, tokens={"shop": {"token": SHOP_TOKEN, "books": ["shop"], "access": "rw"}}, http_batch_max=3
    )
    ledger.set_up("shop")
    ledger.register("EUR")
    ledger.open("shop", "euro", asset="EUR")
    ledger.open("shop", "till", min_balance=0, normal_side="debit")
    return ledger


def test_every_method_of_every_path_answers_as_documented(shop):
    posted = shop.post(sale("shop", "k"))
    for path, (methods, _) in table().items():
        where = target(path, tx_id=posted["tx_id"])
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "X"):
            if path.endswith("/events") and method == "GET":
                continue  # does not end: see the test of events
            answer = shop.request(
                method, where, body=[] if path.endswith("batch") else {} if method == "POST" else None
            )
            if method not in methods:
                assert answer.status == 405 and set(answer.headers["allow"].split(", ")) == methods, f"{method} {path}"
                answer_is = resolve(DOCUMENT["paths"][path][min(methods).lower()]["responses"]["405"])
                if method != "HEAD":
                    fits(answer.json, answer_is["content"]["application/json"]["schema"])
                fits(answer.headers["allow"], resolve(answer_is["headers"]["Allow"])["schema"])
            else:
                assert check(method, path, answer).status in (200, 400), f"{method} {path}"
                assert answer.status == 200 or method == "POST"
    assert shop.request("GET", "/nowhere").json == {"error": "not_found", "what": "path"}


# --- errors ---


def words_of(answer):
    """Word -> examples of it, of one answer in the document."""
    found = {}
    for body in answer.get("content", {}).values():
        for example in map(resolve, body.get("examples", {}).values()):
            if isinstance(example["value"], dict) and "error" in example["value"]:
                found.setdefault(example["value"]["error"], []).append(example["value"])
    return found


def test_the_errors_are_the_contracts_with_their_statuses_and_fields():
    statuses, schemas = {}, {}
    for one in DOCUMENT["components"]["schemas"]["Error"]["oneOf"]:
        properties = resolve(one)["properties"]
        word = properties["error"]["const"]
        assert resolve(one)["required"] == list(properties)
        schemas[word] = ", ".join(name for name in properties if name != "error")
    for _, _, operation in operations():
        for status, answer in answers(operation):
            for word in words_of(answer):
                statuses.setdefault(word, set()).add(status)
    assert schemas == {word: fields for word, (_, fields) in ERRORS.items()}
    contract = {word: set(status.split(", ")) for word, (status, _) in ERRORS.items()}
    contract["invalid_draft"] |= EDGE
    assert statuses == contract


def test_every_status_of_every_operation_has_an_example_and_all_examples_fit_their_schemas():
    count = 0
    for method, path, operation in operations():
        bodies = [("body", operation["requestBody"]["content"])] if "requestBody" in operation else []
        bodies += [(status, answer.get("content", {})) for status, answer in answers(operation)]
        for what, content in bodies:
            if method != "HEAD" and what != "204":
                assert content, f"{method} {path} {what}"
            for media, body in content.items():
                examples = [resolve(e)["value"] for e in body.get("examples", {}).values()]
                assert examples or (what == "200" and path in ("/openapi.json", "/docs", "/docs/{file}"))
                for example in examples if media != "text/event-stream" else []:
                    fits(example, body["schema"])
                    count += 1
    assert count > 100


def test_the_envelopes_are_told_apart_by_their_words():
    """Each fits its own schema alone, so that a client may decide by the word."""
    schema = DOCUMENT["components"]["schemas"]["Error"]
    for word, one in schema["discriminator"]["mapping"].items():
        assert resolve({"$ref": one})["properties"]["error"]["const"] == word
    assert len(schema["oneOf"]) == len(schema["discriminator"]["mapping"]) == len(ERRORS)


BALANCE, HISTORY = "/v1/books/{book}/accounts/{path}/balance", "/v1/books/{book}/accounts/{path}/history"
BOOK_EVENTS, TRIAL, TRANSACTION = (
    "/v1/books/{book}/events",
    "/v1/books/{book}/trial-balance",
    "/v1/transactions/{tx_id}",
)
POST, BATCH, ASSETS, ACCOUNTS = "/v1/transactions", "/v1/transactions/batch", "/v1/assets", "/v1/accounts"
NO_TX = "01921a3e-5c4b-7d1f-9a2e-3b5c7d9f1a2b"
USD = {"id": "USD", "class": "fiat", "precision": 2, "name": "USD"}
CASH = {"book": "shop", "path": "cash", "asset": "USD", "kind": "asset", "normal_side": "debit"}

REFUSED = [
    (400, "invalid_draft", "POST", POST, b"{", {}),
    (400, "invalid_draft", "POST", POST, draft("shop", ""), {}),
    (400, "invalid_draft", "POST", POST, sale("_system", "k"), {}),
    (400, "invalid_draft", "POST", BATCH, [sale("shop", "k")] * 4, {}),
    (400, "invalid_draft", "POST", POST, b" " * (LIMITS["body_bytes_max"] + 1), {}),
    (400, "invalid_draft", "POST", ASSETS, {**USD, "class": "token"}, {}),
    (400, "invalid_draft", "POST", ACCOUNTS, {**CASH, "kind": "thing"}, {}),
    (400, "invalid_draft", "GET", TRANSACTION, None, {"tx_id": "x"}),
    (400, "invalid_draft", "GET", BALANCE, None, {"query": "?as_of=x"}),
    (400, "invalid_draft", "GET", HISTORY, None, {"query": "?limit=x"}),
    (400, "invalid_draft", "GET", TRIAL, None, {"book": ""}),
    (400, "invalid_draft", "GET", BOOK_EVENTS, None, {"query": "?from=x"}),
    (400, "invalid_draft", "GET", BOOK_EVENTS, None, {"headers": {"Last-Event-ID": "x"}}),
    (400, "unbalanced", "POST", POST, draft("shop", "k", debit("cash", 5), credit("sales", 6)), {}),
    (400, "invalid_amount", "POST", POST, sale("shop", "k", -1), {}),
    (400, "asset_mismatch", "POST", POST, draft("shop", "k", debit("euro", 1), credit("sales", 1)), {}),
    (401, "unauthorized", "GET", BALANCE, None, {"token": "wrong"}),
    (401, "unauthorized", "POST", BATCH, [], {"token": "wrong"}),
    (403, "forbidden", "GET", TRIAL, None, {"token": SHOP_TOKEN, "book": "other"}),
    (403, "forbidden", "POST", ASSETS, USD, {"token": SHOP_TOKEN}),
    (403, "forbidden", "POST", ACCOUNTS, {**CASH, "book": "other"}, {"token": SHOP_TOKEN}),
    (403, "forbidden", "POST", POST, sale("other", "k"), {"token": SHOP_TOKEN}),
    (404, "unknown_asset", "POST", ACCOUNTS, {**CASH, "path": "x", "asset": "X"}, {}),
    (404, "unknown_account", "POST", POST, sale("other", "k"), {}),
    (404, "unknown_account", "GET", BALANCE, None, {"path": "x"}),
    (404, "unknown_account", "GET", HISTORY, None, {"path": "x"}),
    (404, "not_found", "GET", TRANSACTION, None, {"tx_id": NO_TX}),
    (404, "not_found", "GET", "/docs/{file}", None, {"file": "../swagger.html"}),
    (409, "already_exists", "POST", ASSETS, {**USD, "precision": 3}, {}),
    (409, "already_exists", "POST", ACCOUNTS, {**CASH, "kind": "expense"}, {}),
    (409, "constraint_violation", "POST", POST, draft("shop", "k", credit("till", 1), debit("cash", 1)), {}),
    (415, "invalid_draft", "POST", ACCOUNTS, CASH, {"headers": {"Content-Type": "text/plain"}}),
]


def test_refusals_of_the_server_are_as_documented(shop):
    seen = set()
    for status, word, method, path, body, how in REFUSED:
        how = dict(how)
        headers = {"Authorization": "Bearer " + how.pop("token", TOKEN), **how.pop("headers", {})}
        query = how.pop("query", "")
        raw = body if isinstance(body, bytes) else None
        answer = shop.request(method, target(path, **how) + query, None if raw else body, headers, raw)
        assert (answer.status, answer.json["error"]) == (status, word), f"{method} {path}: {answer.text}"
        check(method, path, answer)
        seen.add((word, str(status)))
    elsewhere = {
        ("method_not_allowed", "405"),
        ("timeout", "408"),
        ("overloaded", "429"),
        ("overloaded", "503"),
        ("internal", "500"),
    }
    assert seen | elsewhere == {
        (word, status) for word, (statuses, _) in ERRORS.items() for status in statuses.split(", ")
    }


def test_a_server_without_its_files_answers_500_as_documented(make_ledger):
    ledger = make_ledger(workers=1)
    ledger.set_up("shop")
    posted = ledger.post(sale("shop", "k"))
    ledger.restart()  # with workers that have opened no segment yet
    (segment,) = ledger.segments()
    os.rename(segment, segment + ".away")
    answer = ledger.request("GET", target(TRANSACTION, tx_id=posted["tx_id"]))
    os.rename(segment + ".away", segment)
    assert check("GET", TRANSACTION, answer).status == 500 and answer.json["error"] == "internal"


def in_background(ledger, count, work):
    threads = [threading.Thread(target=work, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    return threads


def test_shedding_and_timeouts_are_as_documented(make_ledger):
    """Nobody decides while the arbiter stands still: one post waits until its time is over, the next find no place."""
    ledger = make_ledger(workers=1, max_inflight=1)
    ledger.set_up("shop")
    ledger.request("GET", "/health")
    late = []
    arbiter = ledger.arbiter_pid()
    os.kill(arbiter, signal.SIGSTOP)
    try:
        (thread,) = in_background(ledger, 1, lambda _: late.append(ledger.request("POST", POST, sale("shop", "k"))))
        shed = wait_until(lambda: (a := ledger.request("GET", "/health")).status == 503 and a, "a request to be shed")
        check("GET", "/health", shed)
        thread.join(LIMITS["answer_seconds_max"] + 30)
    finally:
        os.kill(arbiter, signal.SIGCONT)
    assert check("POST", POST, late[0]).status == 408 and late[0].json == {"error": "timeout"}


def test_a_full_queue_is_as_documented(make_ledger):
    ledger = make_ledger(workers=1, write_queue_depth=1, write_batch_max=1)
    ledger.set_up("shop")
    arbiter, found = ledger.arbiter_pid(), []

    def attempt():
        os.kill(arbiter, signal.SIGSTOP)
        try:
            threads = in_background(
                ledger, 8, lambda n: found.append(ledger.request("POST", POST, sale("shop", f"{len(found)}-{n}")))
            )
            wait_until(lambda: ledger.status()["workers"][0]["in_flight"] == 8, "all to wait in the ring")
        finally:
            os.kill(arbiter, signal.SIGCONT)
        for thread in threads:
            thread.join(60)
        return [a for a in found if a.status == 429]

    for answer in wait_until(attempt, "a queue to be full"):
        check("POST", POST, answer)


# --- answers ---


def test_the_first_steps_of_the_document_work_on_an_empty_ledger(ledger):
    """Every example of a request, in the order of the document."""
    for path in (ASSETS, ACCOUNTS, POST, BATCH):
        operation = DOCUMENT["paths"][path]["post"]
        for name, example in operation["requestBody"]["content"]["application/json"]["examples"].items():
            answer = check("POST", path, ledger.request("POST", path, example["value"]))
            assert answer.status in (200, 204), f"{path} {name}: {answer.text}"
            if path == POST:
                again = check("POST", path, ledger.request("POST", path, example["value"]))
                assert again.json == {**answer.json, "deduplicated": True}
    for path in (BALANCE, HISTORY, TRIAL):
        check("GET", path, ledger.request("GET", target(path)))
    item = ledger.history("shop", "cash")[0]
    for query in ("?as_of=" + item["at"], "?limit=1", "?after_seq=1"):
        check("GET", BALANCE, ledger.request("GET", target(BALANCE) + query))
        check("GET", HISTORY, ledger.request("GET", target(HISTORY) + query))
        check("GET", TRIAL, ledger.request("GET", target(TRIAL) + query))
    check("GET", TRANSACTION, ledger.request("GET", target(TRANSACTION, tx_id=item["tx_id"])))


def test_events_are_as_documented(ledger):
    ledger.set_up("shop")
    ledger.open("shop", "till", min_balance=0)
    ledger.insist(
        "POST", ASSETS, {"id": "BTC", "class": "crypto", "network": "bitcoin", "precision": 8, "name": "Bitcoin"}
    )
    ledger.post(sale("shop", "k", metadata={"a": [1]}, external_refs=[{"kind": "a", "value": "b"}]))
    kinds = set()
    for book, count in (("shop", 4), ("_system", 2)):
        with ledger.stream(book) as stream:
            assert (
                stream.headers["content-type"] == "text/event-stream" in documented("GET", BOOK_EVENTS, 200)["content"]
            )
            for _ in range(count):
                event = stream.next()
                fits(event, {"$ref": "#/components/schemas/Event"})
                kinds.add(event["kind"])
    assert kinds == set(DOCUMENT["components"]["schemas"]["Event"]["properties"]["kind"]["enum"])


def test_the_example_of_a_stream_is_one():
    content = documented("GET", BOOK_EVENTS, 200)["content"]["text/event-stream"]
    blocks = content["examples"]["events"]["value"].split("\n\n")
    assert blocks.pop() == "" and blocks.pop() == ":"
    for block in blocks:
        seq, data = re.fullmatch(r"id: (\d+)\ndata: (.*)", block).groups()
        fits({"id": seq, "data": data}, content["schema"])
        fits(json.loads(data), {"$ref": "#/components/schemas/Event"})
        assert json.loads(data)["seq"] == int(seq)


# --- limits ---


def default_of(setting):
    row = next(r for r in read("common", "settings_table.c").split("{.env = ")[1:] if r.startswith(f'"{setting}"'))
    return int(re.search(r'\.fallback = "(\d+)"', row).group(1))


def test_the_limits_are_the_programs():
    schemas, parameters = DOCUMENT["components"]["schemas"], DOCUMENT["components"]["parameters"]
    for what in ("batch_drafts_max", "requests_in_flight", "write_queue_drafts"):
        assert LIMITS[f"{what}_default"] == default_of(LIMITS[f"{what}_setting"])
    assert schemas["TransactionBatch"]["maxItems"] == LIMITS["batch_drafts_max_default"]
    assert LIMITS["body_bytes_max"] == default_of("TALEA_BODY_MAX_BYTES")
    assert LIMITS["answer_seconds_max"] == default_of("TALEA_REQUEST_TIMEOUT_SECS")
    query = dict(re.findall(r"#define (LIMIT_\w+) (\d+)", read("server", "query.c")))
    assert LIMITS["history_limit_default"] == int(query["LIMIT_DEFAULT"]) == parameters["Limit"]["schema"]["default"]
    assert LIMITS["history_limit_max"] == int(query["LIMIT_MAX"])
    assert f"1..{query['LIMIT_MAX']}" in parameters["Limit"]["description"]
    text = read("server", "openapi.json")
    assert str(LIMITS["body_bytes_max"]) in text and f"{LIMITS['answer_seconds_max']} s" in text


def test_the_depth_of_json_is_what_is_taken(ledger):
    ledger.set_up("shop")
    deepest = LIMITS["json_depth_max"] - 1  # the draft itself is one
    for depth, status in ((deepest, 200), (deepest + 1, 400)):
        metadata = json.loads("[" * depth + "]" * depth)
        assert ledger.request("POST", POST, sale("shop", f"deep-{depth}", metadata=metadata)).status == status


# --- the page's files; the page itself is test_docs_page.py's ---

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
FOREIGN = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
    "swagger-ui-bundle.js.LICENSE.txt": "text/plain",
    "LICENSE": "text/plain",
    "NOTICE": "text/plain",
}
OWN = {"plain.html": "text/html", "plain.css": "text/css", "swagger.js": "text/javascript"}


@pytest.fixture
def folder(tmp_path):
    """What stands for swagger-ui."""
    for name in FOREIGN:
        (tmp_path / name).write_text(f"the file {name}")
    return tmp_path


def files(ledger):
    """Name -> answer, of all that there may be."""
    return {name: ledger.request("GET", "/docs/" + name) for name in (*FOREIGN, *OWN)}


def test_the_files_of_the_page_are_served_with_their_types_under_a_strict_policy(make_ledger, folder):
    ledger = make_ledger(docs_dir=str(folder), api_token=TOKEN)
    ledger.token = None
    for name, answer in {**files(ledger), "": ledger.request("GET", "/docs")}.items():
        assert answer.status == 200, name
        assert answer.headers["content-type"].split(";")[0] == {**FOREIGN, **OWN, "": "text/html"}[name]
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert name not in FOREIGN or answer.text == f"the file {name}"
        head = ledger.request("HEAD", "/docs" + (name and "/" + name))
        assert head.bytes == b"" and head.headers["content-length"] == str(len(answer.bytes))


def test_no_page_has_anything_inline_and_each_asks_for_files_that_are_there(make_ledger, folder):
    ledger = make_ledger(docs_dir=str(folder))
    for path in ("/docs", "/docs/plain.html"):
        page = ledger.request("GET", path).text
        assert not re.search(
            r"<style|<script(?![^>]*\bsrc=)|\bstyle=|\bon\w+=|javascript:",
            re.sub(r"<pre>.*?</pre>", "", page, flags=re.S),
        )
        asked = re.findall(r'(?:href|src)="(/[^"#]*)"', page)
        assert asked and all(ledger.request("GET", where).status == 200 for where in asked)
        assert not re.search(r'(?:href|src)="(?!/|#|data:,")', page), "it names another host"


@pytest.mark.parametrize(
    "name",
    [
        "../talead",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/secret",
        "secret",
        "plain.html%00",
        "plain.html/",
        "",
        "/",
        ".",
        "PLAIN.HTML",
        "LICENSE/../secret",
    ],
)
def test_no_other_file_can_be_had(make_ledger, folder, name):
    (folder / "secret").write_text("a secret")
    ledger = make_ledger(docs_dir=str(folder))
    answer = ledger.request("GET", "/docs/" + name)
    assert answer.status == 404 and answer.json["error"] == "not_found"


@pytest.mark.parametrize(
    "harm",
    [
        lambda f: f.unlink(),
        lambda f: f.write_text(""),
        lambda f: (f.unlink(), f.mkdir()),
        lambda f: (f.unlink(), os.mkfifo(f)),
        lambda f: os.truncate(f, (8 << 20) + 1),
    ],
    ids=["missing", "empty", "a folder", "a pipe", "too large"],
)
def test_without_all_of_its_files_the_page_is_the_plain_one_and_the_log_says_why(make_ledger, folder, harm):
    harm(folder / "swagger-ui.css")
    ledger = make_ledger(docs_dir=str(folder))
    found = files(ledger)
    assert {name for name, answer in found.items() if answer.status == 200} == set(OWN)
    assert ledger.request("GET", "/docs").bytes == found["plain.html"].bytes
    assert f"TALEA_DOCS_DIR: cannot read {folder}/swagger-ui.css" in ledger.stderr_text()


def test_a_reload_takes_another_folder(make_ledger, folder, tmp_path_factory):
    config = tmp_path_factory.mktemp("config") / "talea.yaml"
    config.write_text("workers: 1\n")
    ledger = make_ledger(config=str(config), docs_dir=str(folder), start=False)
    del ledger.env["TALEA_DOCS_DIR"]
    config.write_text(f"docs_dir: {tmp_path_factory.mktemp('empty')}\n")
    ledger.start()
    assert ledger.request("GET", "/docs/NOTICE").status == 404
    config.write_text(f"docs_dir: {folder}\n")
    assert ledger.admin("reload").returncode == 0
    wait_until(lambda: ledger.insist("GET", "/docs/NOTICE").status == 200, "the files of the new folder")


def test_the_plain_page_says_all_that_the_document_says(make_ledger, tmp_path):
    page = make_ledger(docs_dir=str(tmp_path)).request("GET", "/docs").text
    for method, path, operation in operations():
        assert f'id="{operation["operationId"]}"' in page
    for name in DOCUMENT["components"]["schemas"]:
        assert f'id="schema-{name}"' in page
    for parameter in DOCUMENT["components"]["parameters"].values():
        assert f"<code>{parameter['name']}</code> in {parameter['in']}" in page
    errors = page[page.index('id="errors"') : page.index('id="limits"')]
    for word, (statuses, fields) in ERRORS.items():
        row = re.search(rf">{word}</a></td><td>(.*?)</td><td>(.*?)</td>", errors)
        assert set(statuses.split(", ")) <= set(row.group(1).split(", ")) and row.group(2) == fields


def test_a_slow_reader_of_the_largest_file_gets_all_of_it(make_ledger, folder):
    body = os.urandom(4 << 20)
    (folder / "swagger-ui-bundle.js").write_bytes(body)
    ledger = make_ledger(docs_dir=str(folder))
    connection = http.client.HTTPConnection("127.0.0.1", ledger.port, timeout=60)
    connection.request("GET", "/docs/swagger-ui-bundle.js")
    response = connection.getresponse()
    assert b"".join(iter(lambda: response.read(10000), b"")) == body
    connection.close()
