"""A small file system that is filled and freed under load: posts wait for space, and nothing else does."""
import os
import time

from crash_load import BOOKS, FREQUENT, Ledger, Load, Record, check
from crashable_disk import Disk, command, why_not
from harness import sale, wait_until

TMPFS_BYTES = 160 << 20
NO_SPACE = "no space for log and index"
SPACE_AGAIN = "there is space again"


class Tmpfs(Disk):
    def __init__(self):
        super().__init__("tmpfs")

    def make(self):
        command("mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "talea", self.point)
        self.mounted = True

    def unmount(self):
        wait_until(self.try_to_unmount, f"{self.point} to be unmounted", 20)
        self.mounted = False

    def try_to_unmount(self):
        try:
            command("umount", self.point)
            return True
        except OSError:
            return False


def reason_against(kind):
    if kind != "tmpfs":
        return why_not(kind)
    disk = Tmpfs()
    try:
        disk.make()
        return None
    except OSError as error:
        return str(error)
    finally:
        disk.close()


class FullDisk:
    def __init__(self, kind, rng, name):
        self.rng, self.name = rng, name
        self.disk = Tmpfs() if kind == "tmpfs" else Disk(kind)
        self.disk.make()
        self.filler = os.path.join(self.disk.point, "filler")
        self.ledger = Ledger(directory=os.path.join(self.disk.point, "ledger"), **FREQUENT)
        self.record = Record(self.ledger)

    # --- filling ---

    def fill(self):
        """All that is left, and what is given back meanwhile."""
        with open(self.filler, "ab", buffering=0) as f:
            size = 1 << 20
            while size >= 512:
                try:
                    f.write(bytes(size))
                except OSError:
                    size //= 2

    def free(self):
        os.unlink(self.filler)

    # --- what is asked of it ---

    def refused(self):
        """A post meets the full disk. None: it was answered still, so what was left is filled again."""
        probe = sale("a", f"{self.name}-probe-{time.monotonic_ns()}", metadata={"pad": "x" * 5000})
        answer = self.ledger.request("POST", "/v1/transactions", probe)
        if answer.status != 503:
            self.fill()
            return None
        assert answer.headers.get("retry-after") == "1", f"a full disk, and no Retry-After: {answer.headers}"
        return answer

    def check_reads(self):
        balance = self.ledger.request("GET", "/v1/books/a/accounts/cash/balance")
        assert balance.status == 200, f"the disk is full, and a balance was answered {balance.status}"
        with self.ledger.stream("a") as stream:
            assert stream.status == 200, f"the disk is full, and events were answered {stream.status}"
            assert stream.next(), "the disk is full, and no event came"

    def round(self, n):
        said, arbiter = len(self.ledger.stderr_text()), self.ledger.arbiter_pid()
        begin = time.monotonic()
        load = Load(self.record, f"{self.name}-{n}", n)
        time.sleep(self.rng.random() * 0.2)
        self.fill()
        wait_until(self.refused, "a post to meet the full disk", 30)
        self.check_reads()
        time.sleep(self.rng.random() * 0.3)
        self.check_lines(self.ledger.stderr_text()[said:], time.monotonic() - begin)
        self.free()
        self.ledger.post(sale("b", f"{self.name}-free-{n}"))
        wait_until(lambda: SPACE_AGAIN in self.ledger.stderr_text()[said:], "the line that there is space again", 10)
        load.stop()
        assert self.ledger.arbiter_pid() == arbiter, "the disk was full, and the arbiter is another one now"

    def check_lines(self, text, seconds):
        """One line; another only when all fitted for a second, as when the copy that filled the disk was given up."""
        count = text.count(NO_SPACE)
        assert 1 <= count <= 1 + int(seconds), f"in {seconds:.1f} s of a full disk this was said of it:\n{text}"

    def check(self):
        """Also a stop and a start, the stop on a disk that is full."""
        check(self.record, self.rng)
        self.fill()
        self.ledger.stop()
        self.free()
        self.ledger.start()
        check(self.record, self.rng)

    def run(self, rounds):
        self.ledger.start()
        self.ledger.set_up(*BOOKS)
        for n in range(rounds):
            self.round(n)
        self.check()
        self.ledger.stop()
        return len(self.ledger.acknowledged)

    def close(self, keep=False):
        if self.ledger.is_up():
            self.ledger.kill9()
        if not keep:
            self.disk.close()
            self.ledger.close()

    def where(self):
        return f"{self.ledger.dir}, {self.ledger.home}"
