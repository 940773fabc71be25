"""Scripts of other origins: none may read an answer, unless a setting names its origin."""
import pytest

from harness import wait_until

APP, OTHER = "https://app.example.org", "https://evil.example"
PATH = "/v1/books/shop/trial-balance"


def preflight(ledger, path, origin=APP, method="GET"):
    return ledger.request("OPTIONS", path, headers={"Origin": origin, "Access-Control-Request-Method": method,
                                                    "Access-Control-Request-Headers": "authorization"})


def of_cors(answer):
    return {name for name in answer.headers if name.startswith("access-control-") or name == "vary"}


@pytest.fixture
def called(make_ledger):
    return make_ledger(api_token="s3cret", cors_origins=f"http://localhost:3000, {APP}")


def without_token(ledger):
    ledger.token = None
    ledger.drop_connection()
    return ledger


def test_without_the_setting_no_origin_is_answered(make_ledger):
    ledger = make_ledger(api_token="s3cret")
    assert preflight(ledger, PATH).status == 405
    assert of_cors(preflight(ledger, PATH)) == set()
    assert of_cors(ledger.request("GET", PATH, headers={"Origin": APP})) == set()
    assert preflight(without_token(ledger), PATH).status == 401


def test_a_browser_that_asks_first_is_told_what_it_may_send_and_needs_no_token(called):
    without_token(called)
    for path, methods in (PATH, "GET, HEAD"), ("/v1/transactions", "POST"), ("/health", "GET, HEAD"):
        answer = preflight(called, path)
        assert answer.status == 204 and answer.bytes == b""
        assert answer.headers["access-control-allow-origin"] == APP and answer.headers["vary"] == "Origin"
        assert answer.headers["access-control-allow-methods"] == methods
        assert answer.headers["access-control-max-age"] == "600"
        for name in "authorization", "content-type", "last-event-id", "x-request-id":
            assert name in answer.headers["access-control-allow-headers"].split(", ")
        assert "access-control-allow-credentials" not in answer.headers


def test_an_answer_can_be_read_by_the_origin_also_when_it_is_an_error(called):
    answers = [called.request("GET", PATH, headers={"Origin": APP}),
               called.request("GET", "/no", headers={"Origin": APP}),
               called.request("POST", "/v1/assets", {}, headers={"Origin": APP}),
               without_token(called).request("GET", PATH, headers={"Origin": APP})]
    assert [answer.status for answer in answers] == [200, 404, 400, 401]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == APP
        assert answer.headers["access-control-expose-headers"] == "retry-after, x-request-id"
        assert answer.headers["vary"] == "Origin"
    assert answers[3].headers["www-authenticate"] == "Bearer"


def test_an_event_stream_can_be_read_by_the_origin(called):
    called.register()
    answer = called.request("HEAD", "/v1/books/shop/events", headers={"Origin": APP})
    assert answer.headers["access-control-allow-origin"] == APP and answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("origin", [OTHER, "null", APP + ".evil.example", "https://app.example.or", APP + ":8443", ""])
def test_another_origin_is_not_answered(called, origin):
    answer = called.request("GET", PATH, headers={"Origin": origin})
    assert answer.status == 200 and of_cors(answer) == {"vary"}
    assert preflight(called, PATH, origin).status == 405


def test_what_is_no_preflight_is_a_method_like_others(called):
    answer = called.request("OPTIONS", PATH, headers={"Origin": APP})
    assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD"
    assert preflight(called, "/v1/no").status == 404


def test_any_origin_may_be_named(make_ledger):
    ledger = make_ledger(cors_origins="*")
    for origin in APP, OTHER:
        assert preflight(ledger, PATH, origin).headers["access-control-allow-origin"] == "*"
        answer = ledger.request("GET", PATH, headers={"Origin": origin})
        assert answer.headers["access-control-allow-origin"] == "*" and "vary" not in answer.headers
    assert of_cors(ledger.request("GET", PATH)) == set()


def test_a_reload_takes_another_list(make_ledger):
    config = make_ledger(start=False).home + "/talea.yaml"

    def write(origin):
        with open(config, "w") as f:
            f.write(f"cors_origins: {origin}\n")

    write(OTHER)
    ledger = make_ledger(config=config)
    assert preflight(ledger, PATH).status == 405
    write(APP)
    workers = ledger.worker_pids()
    assert ledger.admin("reload").returncode == 0
    wait_until(lambda: not set(workers) & set(ledger.worker_pids()), "new workers")
    ledger.drop_connection()
    assert preflight(ledger, PATH).status == 204


@pytest.mark.parametrize("origins", ["app.example.org", "https://app.example.org/", "https://", "*, " + APP, "null",
                                     ",", "https://a.example:99999", "https://a b", "https://u@a.example",
                                     "https://[::1"])
def test_what_is_no_origin_stops_the_start_with_one_line(make_ledger, origins):
    ledger = make_ledger(start=False, cors_origins=origins)
    assert ledger.start_refused() == 1
    lines = ledger.stderr_text().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("talead: invalid TALEA_CORS_ORIGINS: must be such as https://")


@pytest.mark.parametrize("origins", ["http://[::1]:3000", "https://a.example,https://b.example:8443 , app://x"])
def test_origins_have_many_forms(make_ledger, origins):
    ledger = make_ledger(cors_origins=origins)
    for origin in origins.replace(" ", "").split(","):
        assert preflight(ledger, PATH, origin).headers["access-control-allow-origin"] == origin
