"""contrib/nginx.conf: TLS in front of talead, with the real nginx and a certificate of its own making."""
import http.client
import json
import os
import socket
import ssl
import subprocess
import time

import pytest

from harness import PATIENCE_S, SOURCE, Answer, free_port, quote, sale, wait_until
from test_socket_activation import hand_in

NAME = "ledger.example.com"
MAIN = """daemon off;
{user}
pid {home}/nginx.pid;
error_log {home}/nginx-error.log warn;
events {{ worker_connections 512; }}
http {{
    access_log {home}/nginx-access.log;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    include {home}/talea.conf;
}}
"""


class Nginx:
    """A ledger's proxy, which speaks TLS on loopback."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.home = ledger.home
        self.port = free_port()
        self.make_certificate()
        self.write_configuration()
        user = "user root;" if os.getuid() == 0 else ""
        self.write("nginx.conf", MAIN.format(home=self.home, user=user))
        self.process = subprocess.Popen(["/usr/sbin/nginx", "-p", self.home, "-c", f"{self.home}/nginx.conf",
                                         "-e", f"{self.home}/nginx-error.log"])
        wait_until(self.listens, "nginx to listen")

    def write(self, name, text):
        with open(os.path.join(self.home, name), "w") as f:
            f.write(text)

    def make_certificate(self):
        self.certificate = f"{self.home}/certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
                        "-keyout", f"{self.home}/key.pem", "-out", self.certificate],
                       check=True, capture_output=True)

    def write_configuration(self):
        """The file as it is, but for places; what it would not find it complains of."""
        with open(os.path.join(SOURCE, "contrib", "nginx.conf")) as f:
            text = f.read()
        for old, new in ((" 443 ssl http2;", f" 127.0.0.1:{self.port} ssl http2;"),
                         ("127.0.0.1:8080", f"127.0.0.1:{self.ledger.port}"),
                         (f"/etc/ssl/certs/{NAME}.pem", self.certificate),
                         (f"/etc/ssl/private/{NAME}.key", f"{self.home}/key.pem")):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        self.write("talea.conf", text)

    def listens(self):
        assert self.process.poll() is None, open(f"{self.home}/nginx-error.log").read()
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def socket(self):
        context = ssl.create_default_context(cafile=self.certificate)
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), PATIENCE_S), server_hostname=NAME)

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(NAME)
        connection.sock = self.socket()
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        head = {"Content-Type": "application/json"} if data is not None else {}
        if self.ledger.token:
            head["Authorization"] = "Bearer " + self.ledger.token
        connection.request(method, path, data, {**head, **(headers or {})})
        answer = Answer(connection.getresponse())
        connection.close()
        return answer

    def access_log(self):
        with open(f"{self.home}/nginx-access.log") as f:
            return f.read()

    def close(self):
        self.process.terminate()
        self.process.wait(PATIENCE_S)


@pytest.fixture
def behind_nginx(make_ledger):
    made = []

    def start(ledger):
        made.append(Nginx(ledger))
        return made[-1]

    yield start
    for nginx in made:
        nginx.close()


@pytest.fixture
def nginx(make_ledger, behind_nginx):
    ledger = make_ledger(api_token="s3cret", http_batch_max=3)
    ledger.set_up("shop")
    return behind_nginx(ledger)


def test_a_post_and_a_read_pass_with_the_token(nginx):
    answer = nginx.request("POST", "/v1/transactions", sale("shop", "k"))
    assert answer.status == 200, answer.text
    nginx.ledger.acknowledge("shop", "k", answer.json)
    again = nginx.request("POST", "/v1/transactions", sale("shop", "k"))
    assert again.json["deduplicated"] is True and again.json["tx_id"] == answer.json["tx_id"]
    assert nginx.request("GET", "/v1/books/shop/accounts/cash/balance").json["balance"] == "0.01"
    assert nginx.request("GET", "/v1/books/shop/trial-balance", headers={"Authorization": "Bearer x"}).status == 401


def test_health_passes_and_is_in_no_log(nginx):
    assert nginx.request("GET", "/health").status == 200
    nginx.request("GET", "/v1/assets")
    wait_until(lambda: "/v1/assets" in nginx.access_log(), "the log of requests")
    assert "/health" not in nginx.access_log()


def test_a_batch_over_the_cap_is_refused_by_talea(nginx):
    answer = nginx.request("POST", "/v1/transactions/batch", [sale("shop", f"k{n}") for n in range(4)])
    assert answer.status == 400
    assert answer.json["reason"] == "batch length 4 exceeds cap 3 (TALEA_HTTP_BATCH_MAX)"


def padded(size):
    body = json.dumps(sale("shop", "k")).encode()
    return body + b" " * (size - len(body))


def test_a_body_of_2_mib_passes_and_a_larger_one_is_refused_in_the_same_words_as_by_talea(nginx):
    posted = nginx.request("POST", "/v1/transactions", padded(2 << 20))
    assert posted.status == 200
    nginx.ledger.acknowledge("shop", "k", posted.json)
    refused = nginx.request("POST", "/v1/transactions", padded((2 << 20) + 1))
    by_talea = nginx.ledger.request("POST", "/v1/transactions", raw=padded((2 << 20) + 1))
    assert (refused.status, refused.bytes) == (by_talea.status, by_talea.bytes) and refused.status == 400
    assert refused.headers["content-type"] == by_talea.headers["content-type"]


@pytest.mark.parametrize("book", ["a/b", "..", ".", "a b", "50%", "%2F", "a//b", "é", "?", "a/../b", "x/events", ";"])
def test_names_of_books_pass_as_they_were_encoded(nginx, book):
    ledger = nginx.ledger
    ledger.open(book, "cash", normal_side="debit")
    ledger.open(book, "sales", kind="income", normal_side="credit")
    ledger.post(sale(book, "k", 7))
    for encoded in (quote(book), "".join(f"%{byte:02X}" for byte in book.encode())):
        answer = nginx.request("GET", f"/v1/books/{encoded}/accounts/cash/balance")
        assert (answer.status, answer.json.get("balance")) == (200, "0.07"), answer.text


class SecureStream:
    """An event stream through nginx: what came of it within a time."""

    def __init__(self, nginx, book):
        self.socket = nginx.socket()
        self.socket.sendall(f"GET /v1/books/{quote(book)}/events HTTP/1.1\r\nHost: {NAME}\r\n"
                            f"Authorization: Bearer {nginx.ledger.token}\r\n\r\n".encode())
        self.text = b""

    def wait_for(self, words, seconds):
        deadline = time.monotonic() + seconds
        while words not in self.text:
            self.socket.settimeout(max(0.001, deadline - time.monotonic()))
            data = self.socket.recv(65536)
            assert data, "the stream ended"
            self.text += data

    def close(self):
        self.socket.close()


@pytest.mark.parametrize("book", ["shop", "a/b", "..", "x/events"])
def test_an_event_arrives_within_a_second_while_the_stream_is_open(nginx, book):
    ledger = nginx.ledger
    if book != "shop":
        ledger.open(book, "cash", normal_side="debit")
        ledger.open(book, "sales", kind="income", normal_side="credit")
    stream = SecureStream(nginx, book)
    stream.wait_for(b"\nid: 2\n", PATIENCE_S)
    assert stream.text.startswith(b"HTTP/1.1 200 ") and b"text/event-stream" in stream.text
    ledger.post(sale(book, "k"))
    stream.wait_for(b"\nid: 3\n", 1)
    stream.close()


def test_a_request_id_is_passed_on_or_made(nginx):
    answer = nginx.request("GET", "/health", headers={"X-Request-Id": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1" and answer.header_names.count("x-request-id") == 1
    made = {nginx.request("GET", "/health").headers["x-request-id"] for _ in range(2)}
    assert len(made) == 2 and all(len(name) == 32 for name in made)


def test_while_talead_is_away_clients_are_told_to_come_again(nginx):
    nginx.ledger.stop()
    answer = nginx.request("POST", "/v1/transactions", sale("shop", "k"))
    assert (answer.status, answer.json, answer.headers["retry-after"]) == (503, {"error": "overloaded"}, "1")


def test_who_asks_too_much_gets_429_and_health_is_still_answered(nginx):
    requests = f"GET /v1/assets HTTP/1.1\r\nHost: {NAME}\r\n\r\n" * 900
    with nginx.socket() as s:
        s.sendall(requests.encode())
        text = b""
        while b'\r\n\r\n{"error":"overloaded"}' not in text:
            data = s.recv(65536)
            assert data, text[-300:]
            text += data
    refusal = text[text.index(b"HTTP/1.1 429 "):]
    assert b"\r\nRetry-After: 1\r\n" in refusal and b"\r\nContent-Type: application/json\r\n" in refusal
    assert nginx.request("GET", "/health").status == 200


def test_posts_through_nginx_survive_restarts_on_an_inherited_socket(make_ledger, behind_nginx):
    """nginx keeps connections to talead, and one of them may end just when a post is sent on it."""
    ledger = make_ledger(start=False, api_token="s3cret")
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as s:
        ledger.port = s.getsockname()[1]
        hand_in(ledger, s, names=["talead"]).start()
        ledger.set_up("shop")
        nginx = behind_nginx(ledger)
        for n in range(10):
            for m in range(5):
                answer = nginx.request("POST", "/v1/transactions", sale("shop", f"{n}-{m}"))
                assert answer.status == 200, answer.text
                ledger.acknowledge("shop", f"{n}-{m}", answer.json)
            ledger.stop()
            ledger.spawn()
        wait_until(ledger.answers, "the server to answer")
