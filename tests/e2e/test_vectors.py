"""The recorded requests and answers that pin the wire contract down, each file against a ledger of its own.

A file is JSON lines: first {"title", "server"}, then one step a line. A step is a
request ("method", "path", "headers", and "body" or "raw" or neither) or an event
stream ("sse", "events"), and the "answer". Names stand for what differs from run to
run: "<tx n>" is the n-th transaction id met, "<at>" a time of the server; a request
may use "{tx n}", "{at n}" and, in "raw", "{pad n}" for n times the letter x.
"body~" lists the fields to compare where the rest is free text.
"""
import http.client
import json
import os
import re
import time
import urllib.parse

import pytest

VECTORS = os.path.join(os.path.dirname(__file__), "vectors")
FILES = sorted(os.listdir(VECTORS))
TX_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


class Names:
    """Gives the n-th transaction id and its time their names, and back."""

    def __init__(self):
        self.ids, self.times = [], {}

    def of_id(self, match):
        if match[0] not in self.ids:
            self.ids.append(match[0])
        return f"<tx {self.ids.index(match[0]) + 1}>"

    def fill(self, text):
        text = re.sub(r"\{tx (\d+)\}", lambda m: self.ids[int(m[1]) - 1], text)
        return re.sub(r"\{at (\d+)\}", lambda m: urllib.parse.quote(self.times[self.ids[int(m[1]) - 1]]), text)

    def put(self, value, key=None, keep=()):
        if isinstance(value, dict):
            if isinstance(value.get("at"), str) and "tx_id" in value:
                self.times.setdefault(value["tx_id"], value["at"])
            return {k: self.put(v, k, keep) for k, v in value.items()}
        if isinstance(value, list):
            return [self.put(v, key, keep) for v in value]
        if not isinstance(value, str):
            return value
        if key == "as_of":
            for n, tx_id in enumerate(self.ids, 1):
                if self.times.get(tx_id) == value:
                    return f"<at {n}>"
        if key in ("at", "occurred_at") and TIME.fullmatch(value) and value not in keep:
            return "<at>"
        return TX_ID.sub(self.of_id, value)


def send(ledger, step, names):
    connection = http.client.HTTPConnection("127.0.0.1", ledger.port, timeout=20)
    body = None
    if "raw" in step:
        body = re.sub(r"\{pad (\d+)\}", lambda m: "x" * int(m[1]), step["raw"]).encode()
    elif "body" in step:
        body = names.fill(json.dumps(step["body"])).encode()
    headers = dict(step.get("headers", {}))
    if body is not None and not step.get("no_type"):
        if not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/json"
    connection.request(step.get("method", "GET"), names.fill(step.get("path") or step["sse"]), body, headers)
    return connection, connection.getresponse()


def read_events(response, count, names, keep):
    events, event = [], {}
    deadline = time.monotonic() + 15  # comments keep the socket from timing out
    while len(events) < count and time.monotonic() < deadline:
        line = response.readline().decode()
        if not line:
            break  # what is missing shows in the comparison
        line = line.rstrip("\n")
        if line.startswith("id: "):
            event["id"] = line[4:]
        elif line.startswith("data: "):
            event["data"] = names.put(json.loads(line[6:]), keep=keep)
        elif not line and event:
            events.append(event)
            event = {}
    return events


def play(ledger, step, names):
    """What the server answered, in the form of a step's "answer"."""
    connection, response = send(ledger, step, names)
    keep = tuple(step.get("keep", ()))
    try:
        got = {"status": response.status, "headers": {k.lower(): v for k, v in response.getheaders()}}
        if "sse" in step:
            got["stream"] = read_events(response, step["events"], names, keep)
            return got
        data = response.read()
        try:
            got["body"] = names.put(json.loads(data), keep=keep) if data else None
        except ValueError:
            got["text"] = data.decode()
        return got
    finally:
        connection.close()


def differences(want, got):
    found = []
    for name, value in want.items():
        if name == "headers":
            shown = {k: got["headers"].get(k) for k in value}
        elif name == "body" and "body~" in want:
            value = {k: value.get(k) for k in want["body~"]}
            shown = {k: (got.get("body") or {}).get(k) for k in want["body~"]}
        elif name == "body~":
            continue
        else:
            shown = got.get(name)
        if shown != value:
            found.append(f"{name}: want {json.dumps(value)}, got {json.dumps(shown)}")
    if "body" not in want and got.get("body") is not None:
        found.append(f"a body nobody expected: {got['body']}")
    return found


@pytest.mark.parametrize("name", FILES)
def test_recorded_answers_are_given(make_ledger, name):
    with open(os.path.join(VECTORS, name), encoding="utf-8") as file:
        head, *steps = [json.loads(line) for line in file]
    ledger = make_ledger(**{k.removeprefix("TALEA_").lower(): v for k, v in head["server"].items()})
    ledger.token = None  # the steps bring their own
    names, wrong = Names(), []
    for step in steps:
        wrong += [f"{step['name']}: {text}" for text in differences(step["answer"], play(ledger, step, names))]
    assert not wrong, "\n".join(wrong)


def test_all_nine_files_are_played():
    assert len(FILES) == 9
