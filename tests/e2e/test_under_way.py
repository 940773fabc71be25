"""Everything an operator may do while it serves, under load: no request fails."""
import http.client
import json
import os
import random
import threading

from harness import PATIENCE_S, sale, wait_until

CONNECTIONS = 64
WORKER_CHANGES = 30
RELOADS = 10
SNAPSHOTS = 5


class Client(threading.Thread):
    """Posts one after another on a kept connection; what is shed is tried again, anything else that fails is kept."""

    def __init__(self, ledger, name, stopping):
        super().__init__()
        self.ledger, self.name, self.stopping = ledger, name, stopping
        self.answered, self.shed, self.failed = 0, 0, []
        self.chance = random.Random(name)

    def ask(self, connection, body):
        connection.request("POST", "/v1/transactions", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def post(self, connection, key):
        body = json.dumps(sale("shop", key)).encode()
        status, text = self.ask(connection, body)
        while status in (429, 503):
            self.shed += 1
            status, text = self.ask(connection, body)
        if status != 200:
            raise ValueError(f"{status} {text}")
        self.ledger.acknowledge("shop", key, json.loads(text))

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.ledger.port, timeout=PATIENCE_S)
        while not self.stopping.is_set() and not self.failed:
            try:
                self.post(connection, f"{self.name}-{self.answered}")
                self.answered += 1
            except Exception as error:
                self.failed.append(f"{self.name} after {self.answered}: {type(error).__name__} {error}")
            if self.chance.random() < 0.3:
                self.stopping.wait(self.chance.random() / 50)  # a connection that rests
        connection.close()


def done(process):
    assert process.returncode == 0, process.stderr
    return process.stdout


def operate(ledger, folder, clients):
    """In turn, and between two of them some posts are answered."""
    chance = random.Random(1)
    orders = ["workers"] * WORKER_CHANGES + ["reload"] * RELOADS + ["snapshot"] * SNAPSHOTS + ["backup"]
    chance.shuffle(orders)
    for order in orders:
        seen = sum(c.answered for c in clients)
        if order == "workers":
            done(ledger.admin("workers", str(chance.randrange(1, 7))))
        elif order == "backup":
            done(ledger.admin("backup", folder))
        else:
            done(ledger.admin(order))
        wait_until(lambda: sum(c.answered for c in clients) >= seen + CONNECTIONS or any(c.failed for c in clients),
                   f"posts after {order}")


def test_worker_changes_reloads_snapshots_and_a_backup_fail_no_request(make_ledger, tmp_path):
    ledger = make_ledger(workers=2, max_inflight=1000)
    ledger.set_up("shop")
    stopping = threading.Event()
    clients = [Client(ledger, f"c{n}", stopping) for n in range(CONNECTIONS)]
    for client in clients:
        client.start()
    try:
        operate(ledger, os.path.join(tmp_path, "backup"), clients)
    finally:
        stopping.set()
        for client in clients:
            client.join()
    assert [failed for c in clients for failed in c.failed] == []
    assert min(c.answered for c in clients) > 0
    assert "is killed" not in ledger.stderr_text() and "signal" not in ledger.stderr_text()
    wait_until(lambda: len(ledger.worker_pids()) == ledger.status()["workers_wanted"], "the last to leave")
