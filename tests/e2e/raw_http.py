"""HTTP by hand: octets to the socket, and what comes back, whatever a client library would make of either."""
import re
import socket
import threading

from harness import PATIENCE_S


def connect(ledger):
    return socket.create_connection(("127.0.0.1", ledger.port), timeout=PATIENCE_S)


def read_all(connection):
    got = b""
    while piece := connection.recv(65536):
        got += piece
    return got


def ask(ledger, data):
    """All that comes back until the server closes; this side stays open, so that nobody else ends it."""
    with connect(ledger) as s:
        sender = threading.Thread(target=lambda: s.sendall(data), daemon=True)
        sender.start()
        got = read_all(s)
        sender.join(PATIENCE_S)
        return got


def answers_in(got):
    """Each answer's status, fields and body, by its Content-Length."""
    answers = []
    while got:
        head, got = got.split(b"\r\n\r\n", 1)
        status = int(head[9:12])
        fields = dict(re.findall(r"\r\n([^:\r]*): ([^\r]*)", head.decode().lower()))
        length = int(fields.get("content-length", 0))
        answers.append((status, fields, got[:length]))
        got = got[length:]
    return answers
