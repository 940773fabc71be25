"""A headless Chromium, driven by chromedriver over the WebDriver protocol; once closed, all that it started is gone."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

from harness import clean_environment, is_running, wait_until

DRIVER, CHROMIUM = shutil.which("chromedriver"), shutil.which("chromium")
PATIENCE_S = 120  # a browser's start on a machine that is busy with other tests
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
]


def descendants(pid):
    """Of a process, by what the kernel says of its threads' children."""
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as f:
                for child in map(int, f.read().split()):
                    found += [child] + descendants(child)
    except OSError:
        pass  # it has gone meanwhile
    return found


class Browser:
    def __init__(self, width=1200, height=1000):
        self.home = tempfile.mkdtemp(prefix="talea-browser-")
        self.process, self.session = None, None
        try:
            self.start_driver()
            self.start_session(width, height)
        except BaseException:
            self.close()
            raise

    def start_driver(self):
        """It looks for a port of its own, and may find one that another takes first."""
        self.port = wait_until(self.try_driver, "chromedriver to listen", PATIENCE_S)

    def try_driver(self):
        environment = {**clean_environment(), "HOME": self.home, "TMPDIR": self.home}
        self.said = os.path.join(self.home, "driver.out")
        with open(self.said, "wb") as out:
            self.process = subprocess.Popen(
                [DRIVER, "--port=0"], cwd=self.home, env=environment, stdout=out, stderr=out
            )
        said = wait_until(self.said_of_driver, "chromedriver to say where it listens", PATIENCE_S)
        return None if "port not available" in said else int(re.search(r"on port (\d+)\.?$", said, re.M).group(1))

    def said_of_driver(self):
        with open(self.said) as f:
            text = f.read()
        if "port not available" in text:
            self.process.wait(PATIENCE_S)
            return text
        assert self.process.poll() is None, f"chromedriver ended: {text}"
        match = re.search(r"started successfully on port (\d+)", text)
        return match and match.group(0)

    def start_session(self, width, height):
        options = {
            "binary": CHROMIUM,
            "args": ARGUMENTS + [f"--user-data-dir={self.home}/profile", f"--window-size={width},{height}"],
        }
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
            "timeouts": {"pageLoad": PATIENCE_S * 1000, "script": PATIENCE_S * 1000},
        }
        self.session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def close(self):
        pids = [self.process.pid] + descendants(self.process.pid) if self.process else []
        try:
            if self.session:
                self.call("DELETE", f"/session/{self.session}")
        except (OSError, AssertionError, http.client.HTTPException):
            pass  # what is left is killed below
        for pid in reversed(pids):
            if is_running(pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        if self.process:
            self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- the protocol ---

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2 * PATIENCE_S)
        try:
            data = json.dumps(body or {}).encode() if method == "POST" else None
            connection.request(method, path, data, {"Content-Type": "application/json"})
            response = connection.getresponse()
            value = json.loads(response.read())["value"]
        finally:
            connection.close()
        assert response.status == 200, f"{method} {path}: {value}"
        return value

    def ask(self, path, **body):
        return self.call("POST", f"/session/{self.session}{path}", body)

    def go(self, url):
        self.ask("/url", url=url)

    def run(self, script, *arguments):
        return self.ask("/execute/sync", script=script, args=list(arguments))

    def find(self, selector):
        """All that are there now."""
        return [e[ELEMENT] for e in self.ask("/elements", using="css selector", value=selector)]

    def texts(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])].map(e => e.innerText)", selector)

    def wait_for(self, selector):
        """The first, once it is there."""
        return wait_until(lambda: self.find(selector), selector, PATIENCE_S)[0]

    def click(self, selector):
        """Waits until it is there, in view and under no other."""
        self.wait_for(selector)

        def attempt():
            try:
                self.run("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector)
                self.ask(f"/element/{self.find(selector)[0]}/click")
            except (AssertionError, IndexError):
                return False  # it moves still, or was drawn anew
            return True

        wait_until(attempt, f"a click on {selector}", PATIENCE_S)

    def type(self, selector, text):
        self.ask(f"/element/{self.wait_for(selector)}/value", text=text)

    def screenshot(self):
        """PNG, in Base64."""
        return self.call("GET", f"/session/{self.session}/screenshot")

    def complaints(self):
        """What it wrote to its console since it was asked last: errors, and what the policy of the page has stopped."""
        return [entry for entry in self.ask("/se/log", type="browser") if entry["level"] in ("SEVERE", "WARNING")]
