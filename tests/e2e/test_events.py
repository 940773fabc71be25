"""The event stream: everything once, in order, however often its readers come and go."""
import socket
import threading
import time

from harness import sale, wait_until


class Subscriber(threading.Thread):
    """Reads a book to its end, leaving and resuming again and again."""

    def __init__(self, ledger, book, until, leave_after):
        super().__init__(daemon=True)
        self.ledger, self.book, self.until, self.leave_after = ledger, book, until, leave_after
        self.seen, self.error, self.visits = [], None, 0

    def run(self):
        try:
            while not self.seen or self.seen[-1] < self.until:
                self.visit()
        except Exception as error:  # shown by the test
            self.error = error

    def visit(self):
        self.visits += 1
        last = self.seen[-1] if self.seen else None
        with self.ledger.stream(self.book, "?from=0", last) as stream:
            for _ in range(self.leave_after):
                event = stream.next()
                if event is None:
                    return
                self.seen.append(event["seq"])
                if event["seq"] == self.until:
                    return


def test_ten_thousand_posts_reach_three_subscribers_that_come_and_go_once_each(ledger):
    ledger.set_up("shop")
    last = 2 + 10_000
    subscribers = [Subscriber(ledger, "shop", last, n) for n in (137, 501, 100_000)]
    for subscriber in subscribers:
        subscriber.start()

    def post(worker):
        for n in range(20):
            ledger.post_batch([sale("shop", f"b-{worker}-{n}-{i}") for i in range(100)])
        for n in range(500):
            ledger.post(sale("shop", f"s-{worker}-{n}"))

    posters = [threading.Thread(target=post, args=(n,)) for n in range(4)]
    for poster in posters:
        poster.start()
    for thread in posters + subscribers:
        thread.join(120)
    for subscriber in subscribers:
        assert subscriber.error is None, subscriber.error
        assert subscriber.seen == list(range(1, last + 1))
    assert subscribers[0].visits > 10


def test_an_event_is_sent_as_soon_as_it_is_durable(ledger):
    ledger.set_up("shop")
    with ledger.stream("shop", "?from=2") as stream:
        for n in range(20):
            begin = time.monotonic()
            posted = ledger.post(sale("shop", f"k{n}"))
            event = stream.next()
            assert event["seq"] == posted["seq"] and event["at"] == posted["at"]
            assert time.monotonic() - begin < 0.9  # far below any polling or tick


def test_the_head_of_a_stream_with_nothing_to_tell_comes_at_once(ledger):
    begin = time.monotonic()
    with ledger.stream("later") as stream:
        assert stream.status == 200
    assert time.monotonic() - begin < 5  # far below the time between two comments


def test_a_book_nobody_has_used_is_a_stream_that_waits(ledger):
    with ledger.stream("later") as stream:
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream"
        assert stream.next(wait_s=0.2) is None
        ledger.register()
        ledger.open("later", "cash")
        assert stream.next()["kind"] == "account_opened"


def test_an_idle_stream_gets_a_comment_within_15_seconds(ledger):
    ledger.register()
    with ledger.stream("idle") as stream:
        assert stream.next(wait_s=15) is None
        assert stream.comments >= 2  # the one that brings the response's head, and one after


def test_line_breaks_in_metadata_do_not_break_the_framing(ledger):
    ledger.set_up("shop")
    raw = (b'{"book":"shop","idempotency_key":"k","metadata":{"a":\r\n [1,\n2],\t"b":"x\\ny"},"postings":['
           b'{"account":"cash","amount":{"minor":1,"asset":"USD"},"direction":"debit"},'
           b'{"account":"sales","amount":{"minor":1,"asset":"USD"},"direction":"credit"}]}')
    assert ledger.request("POST", "/v1/transactions", raw=raw).status == 200
    with ledger.stream("shop", "?from=2") as stream:
        assert stream.next()["payload"]["metadata"] == {"a": [1, 2], "b": "x\ny"}


def test_a_hundred_subscribers_of_one_book_all_get_every_event(ledger):
    ledger.set_up("shop")
    streams = [ledger.stream("shop", "?from=2") for _ in range(100)]
    for n in range(50):
        ledger.post(sale("shop", f"k{n}"))
    for stream in streams:
        assert [stream.next()["seq"] for _ in range(50)] == list(range(3, 53))
        stream.close()


def test_a_reader_that_never_reads_holds_up_nobody(ledger):
    ledger.set_up("shop")
    with ledger.stream("shop") as lazy:
        for n in range(40):
            ledger.post_batch([sale("shop", f"k{n}-{i}", metadata="x" * 500) for i in range(100)])
        with ledger.stream("shop") as eager:
            assert [eager.next()["seq"] for _ in range(4002)] == list(range(1, 4003))
        assert [lazy.next()["seq"] for _ in range(4002)] == list(range(1, 4003))


def test_streams_end_when_the_server_stops_and_resume_after(ledger):
    ledger.set_up("shop")
    ledger.post(sale("shop", "k1"))
    stream = ledger.stream("shop")
    assert [stream.next()["seq"] for _ in range(3)] == [1, 2, 3]
    assert ledger.stop() < 20
    try:
        assert stream.next(wait_s=5) is None
    except EOFError:
        pass
    ledger.start()
    ledger.drop_connection()
    ledger.post(sale("shop", "k2"))
    with ledger.stream("shop", "", 3) as again:
        assert again.next()["seq"] == 4


def test_a_reader_that_never_reads_does_not_hold_up_a_stop(ledger):
    ledger.set_up("shop")
    for n in range(60):
        ledger.post_batch([sale("shop", f"k{n}-{i}", metadata="x" * 2000) for i in range(100)])
    with ledger.stream("shop"):
        assert ledger.stop() < 20


def test_an_http_1_0_stream_ends_with_its_connection(ledger):
    ledger.set_up("shop")
    with socket.create_connection(("127.0.0.1", ledger.port), timeout=20) as raw:
        raw.sendall(b"GET /v1/books/shop/events HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        head = raw.makefile("rb").readline() + raw.recv(4096)
        assert head.startswith(b"HTTP/1.1 200")
        ledger.stop()
        while raw.recv(65536):
            pass  # ends: nothing waits for a next request that cannot be told from the stream


def test_open_streams_are_counted_and_released(make_ledger):
    ledger = make_ledger(metrics=True)
    ledger.register()
    streams = [ledger.stream("b") for _ in range(5)]
    from test_metrics import scrape, total
    assert total(scrape(ledger), "talea_event_streams") == 5
    wait_until(lambda: total(scrape(ledger), "talea_requests_in_flight") <= 1, "streams alone to be open")
    for stream in streams:
        stream.close()
    ledger.open("b", "cash")  # a write finds the closed peers
    ledger.open("b", "sales")
    wait_until(lambda: total(scrape(ledger), "talea_event_streams") == 0, "the streams to be released", 30)
