#!/usr/bin/env python3
"""check_api.py TOOLS [--examples N] [--seed N]: server/openapi.json by openapi-spec-validator, talead by schemathesis.

Both are installed into the virtual environment TOOLS, which needs a network once. talead is started on a port of its
own with a small ledger and a token; schemathesis then sends each operation what the document allows and what it
forbids, and compares every answer with it. What talead said is shown when anything fails.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import venv

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

from harness import SOURCE, Ledger, clean_environment, sale  # noqa: E402

TOKEN = "the-token-of-the-campaign"


def install(tools):
    """Once for each list of versions."""
    wanted, done = os.path.join(HERE, "requirements.txt"), os.path.join(tools, "requirements.txt")
    with open(wanted) as f:
        versions = f.read()
    if os.path.exists(done) and open(done).read() == versions:
        return
    print("installing", " ".join(versions.split()), flush=True)
    venv.create(tools, clear=True, with_pip=True)
    subprocess.run(
        [os.path.join(tools, "bin", "pip"), "install", "--quiet", "--disable-pip-version-check", "-r", wanted],
        check=True,
    )
    with open(done, "w") as f:
        f.write(versions)


def seed_ledger(ledger):
    """What the examples of the document name."""
    ledger.set_up("shop")
    for n in range(20):
        ledger.post(sale("shop", f"order-{n}", 100 + n, metadata={"order": n}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tools")
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    given = parser.parse_args()
    tools = os.path.abspath(given.tools)
    install(tools)
    document = os.path.join(SOURCE, "server", "openapi.json")
    subprocess.run([os.path.join(tools, "bin", "openapi-spec-validator"), document], check=True)
    ledger = Ledger(api_token=TOKEN, workers=2)
    try:
        ledger.start()
        seed_ledger(ledger)
        environment = {
            **clean_environment(),
            "SCHEMATHESIS_HOOKS": "hooks",
            "PYTHONPATH": HERE,
            "NO_PROXY": "127.0.0.1",
        }
        with tempfile.TemporaryDirectory(prefix="talea-api-") as home:
            command = [
                os.path.join(tools, "bin", "schemathesis"),
                "--config-file",
                os.path.join(HERE, "schemathesis.toml"),
                "run",
                document,
                "--url",
                ledger.url,
                "--checks",
                "all",
                "--header",
                f"Authorization: Bearer {TOKEN}",
                "--max-examples",
                str(given.examples),
                "--seed",
                str(given.seed),
                "--request-timeout",
                "60",
                "--continue-on-failure",
            ]
            status = subprocess.run(command, cwd=home, env=environment).returncode
        if status:
            print(ledger.stderr_text()[-4000:])
            return status
        ledger.check_invariants(["shop"])
        ledger.stop()
        ledger.verify()
        return 0
    finally:
        ledger.close()


if __name__ == "__main__":
    sys.exit(main())
