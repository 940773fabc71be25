"""The page behind /docs, in a browser: it shows every operation, and a transaction is posted from it."""

import json
import os

import pytest

from browser import CHROMIUM, DRIVER, PATIENCE_S, Browser
from harness import SOURCE, TALEAD, wait_until

SWAGGER_UI = os.environ.get("TALEA_TEST_SWAGGER_UI") or os.path.join(os.path.dirname(TALEAD), "swagger-ui")
needs_browser = pytest.mark.skipif(not (DRIVER and CHROMIUM), reason="chromium and chromium-driver are not installed")
needs_swagger_ui = pytest.mark.skipif(
    not os.path.exists(os.path.join(SWAGGER_UI, "swagger-ui.css")),
    reason="this build has no swagger-ui: no npm, no network, or --with-swagger-ui=no",
)
TOKEN = "a-token-of-the-test"


def operations():
    """(id, method, path) of each."""
    with open(os.path.join(SOURCE, "server", "openapi.json")) as f:
        document = json.load(f)
    return [
        (operation["operationId"], method.upper(), path)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


@pytest.fixture
def browser():
    with Browser() as browser:
        yield browser


@needs_browser
@needs_swagger_ui
def test_a_transaction_is_posted_from_the_page_with_the_token_that_is_entered_there(make_ledger, browser):
    ledger = make_ledger(api_token=TOKEN, docs_dir=SWAGGER_UI)
    ledger.set_up("shop")
    browser.go(ledger.url + "/docs")
    browser.wait_for(".opblock")
    shown = browser.run(
        "return [...document.querySelectorAll('.opblock')].map(e => "
        "[e.id.split('-').pop(), e.querySelector('.opblock-summary-method').innerText, "
        "e.querySelector('.opblock-summary-path').dataset.path])"
    )
    assert sorted(map(tuple, shown)) == sorted(operations())

    browser.click("button.authorize")
    browser.type(".auth-container input", TOKEN)
    browser.click(".auth-container button.authorize")
    browser.click(".auth-container button.btn-done")

    browser.click("#operations-Transactions-postTransaction .opblock-summary-control")
    browser.click("#operations-Transactions-postTransaction .execute")
    answer = "#operations-Transactions-postTransaction .live-responses-table .response"
    browser.wait_for(answer)
    wait_until(lambda: "tx_id" in browser.texts(answer)[0], "the answer to be shown", PATIENCE_S)
    assert browser.texts(answer + " .response-col_status")[0].split()[0] == "200"
    (item,) = ledger.history("shop", "cash")
    assert f'"tx_id": "{item["tx_id"]}"' in browser.texts(answer)[0] and item["amount"] == {
        "minor": 1250,
        "asset": "USD",
    }
    assert browser.complaints() == []


@needs_browser
@needs_swagger_ui
def test_a_refusal_is_shown_with_its_envelope_and_without_a_token_it_is_401(make_ledger, browser):
    ledger = make_ledger(api_token=TOKEN, docs_dir=SWAGGER_UI)
    browser.go(ledger.url + "/docs#/Transactions/postTransaction")
    browser.click("#operations-Transactions-postTransaction .execute")
    answer = "#operations-Transactions-postTransaction .live-responses-table .response"
    browser.wait_for(answer)
    wait_until(lambda: "unauthorized" in browser.texts(answer)[0], "the answer to be shown", PATIENCE_S)
    assert browser.texts(answer + " .response-col_status")[0].split()[0] == "401"
    # The browser itself notes an answer that is an error; of the page nothing is to be heard.
    assert [c for c in browser.complaints() if "status of 401" not in c["message"]] == []


@needs_browser
def test_the_plain_page_shows_every_operation_and_fits_a_phone(make_ledger, tmp_path):
    ledger = make_ledger(docs_dir=str(tmp_path))
    with Browser(width=500, height=800) as browser:
        browser.go(ledger.url + "/docs")
        shown = browser.run(
            "return [...document.querySelectorAll('.operation')].map(e => "
            "[e.id, e.querySelector('.method').innerText, e.querySelector('h3 code').innerText])"
        )
        assert sorted(map(tuple, shown)) == sorted(operations())
        assert browser.run("return getComputedStyle(document.querySelector('.operation')).borderTopStyle") == "solid"
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
        assert browser.complaints() == []


@needs_browser
@needs_swagger_ui
def test_the_policy_stops_what_the_page_has_not_brought_along(make_ledger, browser):
    """So that an empty list of complaints above means something."""
    browser.go(make_ledger(docs_dir=SWAGGER_UI).url + "/docs")
    browser.wait_for(".opblock")
    browser.run(
        "const s = document.createElement('script'); s.text = 'window.injected = true'; document.body.append(s)"
    )
    assert browser.run("return window.injected === undefined")
    assert any("Content Security Policy" in c["message"] for c in browser.complaints())
