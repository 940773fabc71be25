#!/usr/bin/env python3
"""A client of a talea ledger, with nothing but the standard library of Python 3.9 or later.

    TALEA_URL=http://127.0.0.1:8080 TALEA_TOKEN=... python3 client.py [EVENTS]

It registers an asset, opens accounts, posts, reads, and follows the events of its book up to the one with the seq
EVENTS (5). Every step may be repeated: a second run changes nothing. What is worth copying: call() and events().
"""
import contextlib
import http.client
import itertools
import json
import os
import random
import sys
import time
import urllib.error
import urllib.request
from urllib.parse import quote

URL = os.environ.get("TALEA_URL", "http://127.0.0.1:8080").rstrip("/")
TOKEN = os.environ.get("TALEA_TOKEN")
TIMEOUT_S = 35  # the ledger answers 408 after 30
SILENCE_S = 45  # an idle stream carries a comment every 10 to 15 s: after 45 it is dead
TRIES = 8
TRY_AGAIN = {408, 429, 502, 503, 504}  # 502 and 504 are a proxy's that found no ledger
NO_ANSWER = (OSError, http.client.HTTPException)  # refused, reset, timed out, cut off

BOOK = "examples/python"


class Refused(Exception):
    """The ledger's verdict, which another try would not change; its envelope says why."""


def send(method, path, body=None, timeout_s=TIMEOUT_S, **headers):
    if TOKEN:
        headers["Authorization"] = "Bearer " + TOKEN
    if body is not None:
        headers["Content-Type"] = "application/json"
        body = json.dumps(body).encode()  # int is exact in Python, however large
    request = urllib.request.Request(URL + path, body, headers, method=method)
    return urllib.request.urlopen(request, timeout=timeout_s)


def pause_s(attempt, retry_after=None):
    """Doubles from 0.1 s to 5 s; random, so that clients that failed together do not return together."""
    backoff = min(5, 0.1 * 2 ** attempt) * random.uniform(0.5, 1)
    return max(backoff, min(60, int(retry_after))) if (retry_after or "").isdigit() else backoff


def call(method, path, body=None):
    """The answer. Whether a try without one has done something is not known; but all that is sent here may be sent
    twice: a post has its idempotency key, and an asset or account that is there already is no error."""
    for attempt in itertools.count():
        try:
            with send(method, path, body) as response:
                text = response.read()
            return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            if error.code not in TRY_AGAIN or attempt + 1 == TRIES:
                raise Refused(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from None
            reason, pause = error.code, pause_s(attempt, error.headers.get("Retry-After"))
        except NO_ANSWER as error:
            if attempt + 1 == TRIES:
                raise
            reason, pause = error, pause_s(attempt)
        say(f"{method} {path}: {reason}; again in {pause:.1f} s")
        time.sleep(pause)


def events(book, last):
    """The events behind the seq `last`, without end, each once. A stream ends whenever a process of the ledger is
    replaced; the next one begins behind the last event that was whole."""
    path = f"/v1/books/{segment(book)}/events"
    attempt, retry_s = 0, 0
    while True:
        data, retry_after = None, None
        try:
            with send("GET", path, timeout_s=SILENCE_S, **{"Last-Event-ID": str(last)}) as stream:
                for line in stream:
                    field, _, value = line.decode().rstrip("\r\n").partition(": ")
                    if field == "data":  # the ledger sends one such line for each event
                        data = value
                    elif field == "retry":
                        retry_s = int(value) / 1000
                    elif field == "" and value == "" and data:  # an empty line: the event is whole
                        event, data, attempt = json.loads(data), None, 0
                        last = event["seq"]
                        yield event
            reason = "the server ended it"
        except urllib.error.HTTPError as error:
            if error.code not in TRY_AGAIN:
                raise Refused(f"GET {path}: {error.code} {error.read().decode(errors='replace')}") from None
            reason, retry_after = error.code, error.headers.get("Retry-After")
        except NO_ANSWER as error:
            reason = error
        pause = max(retry_s, pause_s(attempt, retry_after))
        attempt += 1
        say(f"stream: {reason}; resuming behind event {last} in {pause:.1f} s")
        time.sleep(pause)


def segment(name):
    """A book or an account as a segment of a path: it may hold slashes, spaces, colons."""
    return quote(name, safe="")


def say(line):
    print(line, flush=True)


def post(key, minor):
    """The key names what happened in your business (an order, a payment), so that a retry, also after a crash, has
    the same one. Never draw a random key for each try."""
    posted = call("POST", "/v1/transactions", {
        "book": BOOK, "idempotency_key": key, "metadata": {"order": key},
        "postings": [{"account": "tills/1", "direction": "debit", "amount": {"minor": minor, "asset": "EUR"}},
                     {"account": "sales", "direction": "credit", "amount": {"minor": minor, "asset": "EUR"}}]})
    # True also when an earlier try of this call was committed and its answer was lost.
    say(f"posted {key}: seq {posted['seq']}, deduplicated {str(posted['deduplicated']).lower()}")


def read_account(path):
    account = f"/v1/books/{segment(BOOK)}/accounts/{segment(path)}"
    balance = call("GET", account + "/balance")
    # The balance is a string; decimal.Decimal() takes it, float() would round it.
    say(f"balance of {balance['account']}: {balance['balance']} {balance['asset']}")
    after = 0
    while after is not None:
        page = call("GET", f"{account}/history?limit=2&after_seq={after}")
        for item in page["items"]:
            say(f"history: seq {item['seq']} {item['direction']} {item['amount']['minor']} {item['amount']['asset']}")
        after = page["next"]


def show(event):
    payload = event["payload"]
    what = payload["idempotency_key"] if event["kind"] == "transaction_posted" else payload["def"]["id"]["path"]
    say(f"event {event['seq']}: {event['kind']} {what}")


def follow(until):
    """Twice, as a consumer that is restarted: it keeps the last seq beside what it made of the events, best in the
    same transaction of its own database."""
    last = 0
    for stop in (min(2, until), until):
        with contextlib.closing(events(BOOK, last)) as stream:
            while last < stop:
                event = next(stream)
                show(event)
                last = event["seq"]
        say(f"closed behind event {last}")


def main():
    until = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    call("POST", "/v1/assets", {"id": "EUR", "class": "fiat", "precision": 2, "name": "Euro"})
    call("POST", "/v1/accounts", {"book": BOOK, "path": "tills/1", "asset": "EUR", "kind": "asset",
                                  "normal_side": "debit", "min_balance": 0})
    call("POST", "/v1/accounts", {"book": BOOK, "path": "sales", "asset": "EUR", "kind": "income",
                                  "normal_side": "credit"})
    say("EUR is registered, tills/1 and sales are open")
    post("order-1", 1250)  # minor units: 12.50 EUR
    post("order-2", 399)
    post("order-3", 9007199254740993)  # 2^53 + 1
    post("order-1", 1250)
    read_account("tills/1")
    follow(until)


if __name__ == "__main__":
    try:
        main()
    except Refused as error:
        sys.exit(f"refused: {error}")
    except NO_ANSWER as error:
        sys.exit(f"no answer from {URL}: {error}")
