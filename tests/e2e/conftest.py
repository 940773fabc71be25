"""Fixtures: every ledger that a test leaves behind is checked against the invariants before it goes."""
import os
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from harness import Ledger, sale  # noqa: E402

LIMIT_S = int(os.environ.get("TALEA_TEST_LIMIT", "300"))


@pytest.fixture
def make_ledger():
    made = []

    def make(start=True, **settings):
        ledger = Ledger(**settings)
        made.append(ledger)
        return ledger.start() if start else ledger

    make.made = made
    yield make
    try:
        for ledger in made:
            check_what_was_acknowledged(ledger)
    finally:
        close_all(made)


def check_what_was_acknowledged(ledger):
    """A ledger that was stopped is started for it, unless its test has ruined it and says so."""
    if not ledger.acknowledged or not ledger.check_at_end:
        return
    if not ledger.is_up():
        ledger.start()
    ledger.check_invariants({book for book, _ in ledger.acknowledged})


def close_all(ledgers):
    """All are closed, also when one of them has to complain."""
    faults = []
    for ledger in ledgers:
        try:
            ledger.close()
        except AssertionError as fault:
            faults.append(str(fault))
    assert not faults, "\n".join(faults)


@pytest.fixture
def ledger(make_ledger):
    return make_ledger()


@pytest.fixture
def shop(ledger):
    """After the test the very same processes still serve."""
    ledger.set_up("shop")
    pids = sorted(p for p, _ in ledger.children())
    yield ledger
    ledger.drop_connection()
    ledger.post(sale("shop", "still here"))
    assert sorted(p for p, _ in ledger.children()) == pids


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the end of what its servers said."""
    outcome = yield
    report = outcome.get_result()
    make = getattr(item, "funcargs", {}).get("make_ledger")
    if report.failed and make:
        for ledger in make.made:
            report.sections.append((f"talead stderr, {ledger.dir}", ledger.stderr_text()[-4000:]))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """A test that hangs fails, says where it stood, and the others go on."""
    def give_up(*_):
        raise AssertionError(f"{item.name} took more than {LIMIT_S} s")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LIMIT_S)
    yield
    signal.alarm(0)
