"""What must hold between the system calls of a trace: each step durable before the next one builds on it.

A file is written and synced, then its folder, then it is used; a rename puts a synced file into place, and nothing else
is done until its folder is synced; an answer comes after the sync of its batch; and a write or sync of the log that
failed is the last one of its process.
"""
import os
import re

WRITES = ("write", "pwrite64", "pwritev", "fallocate", "ftruncate")
SYNCS = ("fsync", "fdatasync")
CHANGES = WRITES + ("mkdir", "mkdirat", "rename", "renameat", "renameat2", "unlink", "unlinkat")
# Not part of the ledger, or of no meaning to the next start: made anew, or looked at by nobody.
PASSING = re.compile(r"/LOCK$|/lock\.mdb$|\.new$|/segment\.next$")
CLOCKS_S = 0.0001  # strace rounds to microseconds, and adds two of them


def log_file(path):
    return re.search(r"/log/segment[^/]*$", path) is not None


def inside(path, folder):
    return path == folder or path.startswith(folder + "/")


class Steps:
    """Follows the calls on a ledger that did not exist before, and notes each step that came too early."""

    def __init__(self, folder):
        self.folder, self.found = folder, []
        self.known, self.dirty = set(), {}
        self.entries = {}  # path that was made or renamed into place -> when, until its folder is synced
        self.renamed = {}  # pid -> path that it renamed and whose folder it has to sync now

    def follow(self, calls):
        for call in calls:
            if call.ok and call.paths and (inside(call.paths[-1], self.folder) or call.name in SYNCS):
                self.step(call)
        for path in self.entries:
            if not PASSING.search(path):
                self.found.append(f"{path} was made, and its folder not synced after that")
        return self.found

    def step(self, call):
        if call.name in CHANGES and call.pid in self.renamed:
            name = self.renamed.pop(call.pid)
            self.found.append(f"{call} came between the rename to {name} and the sync of its folder")
        if call.name in SYNCS:
            self.sync(call)
        elif call.name in WRITES:
            self.write(call)
        elif call.name.startswith("rename"):
            self.rename(call, *call.paths)
        elif call.name.startswith("unlink"):
            self.forget(call.path)
        elif call.name.startswith("mkdir") or "O_CREAT" in call.arguments:
            self.make(call, call.path)

    def make(self, call, path):
        if path not in self.known:
            self.known.add(path)
            self.entries[path] = call.end

    def forget(self, path):
        self.known.discard(path)
        self.entries.pop(path, None)
        self.dirty.pop(path, None)

    def write(self, call):
        self.dirty[call.path] = call.end
        if call.name == "pwritev" and log_file(call.path):
            early = [path for path in self.entries if inside(call.path, path)]
            if early:
                self.found.append(f"a batch was written to {call.path} before the folder of {early[0]} was synced")

    def sync(self, call):
        if self.dirty.get(call.path, call.begin) < call.begin:
            del self.dirty[call.path]
        durable = [path for path, made in self.entries.items()
                   if os.path.dirname(path) == call.path and made < call.begin]
        for path in durable:
            del self.entries[path]
            self.renamed = {pid: name for pid, name in self.renamed.items() if name != path}

    def rename(self, call, old, new):
        if old in self.dirty:
            self.found.append(f"{old} was renamed to {new} before its bytes were synced")
        self.forget(old)
        self.make(call, new)
        self.entries[new] = call.end
        self.renamed[call.pid] = new


def durable_since(calls, keys):
    """When each key was on the disk: after the write of its batch, and a sync of that file behind the write."""
    token = re.compile(keys)
    waiting, durable = {}, {}
    for call in calls:
        if not log_file(call.path):
            continue
        if call.name in ("pwrite64", "pwritev") and call.ok and not call.short:
            for key in token.findall(call.arguments):
                waiting[key] = (call.path, call.end)
        elif call.name in SYNCS:
            for key, (path, written) in list(waiting.items()):
                if path == call.path and written <= call.begin:
                    del waiting[key]  # also when it failed: a later sync says nothing of these bytes
                    if call.ok:
                        durable.setdefault(key, call.end)
    return durable


def answered_too_early(calls, keys, answered):
    """`answered`: when the answer to each key was seen."""
    durable = durable_since(calls, keys)
    found = []
    for key, seen in answered.items():
        if key not in durable:
            found.append(f"{key} was acknowledged, and its batch never written and synced")
        elif seen + CLOCKS_S < durable[key]:
            early_ms = (durable[key] - seen) * 1000
            found.append(f"{key} was acknowledged {early_ms:.1f} ms before the sync of its batch returned")
    return found


def is_final(call):
    """A failure in the log that its process must not outlive: its own bytes may be gone, whatever it sees of them."""
    if not log_file(call.paths[-1] if call.paths else ""):
        return False
    if call.name == "pwrite64" and call.error in ("ENOSPC", "EINTR"):  # zeros written ahead: tried again
        return False
    return call.short or (not call.ok and call.name in SYNCS + ("pwrite64", "pwritev", "ftruncate"))


def final_failures(calls):
    """The first such failure of each process: pid -> call."""
    first = {}
    for call in calls:
        if is_final(call):
            first.setdefault(call.pid, call)
    return first


def went_on(calls):
    """Whoever touched the log again after such a failure."""
    first, found = final_failures(calls), []
    for call in calls:
        failed = first.get(call.pid)
        if failed and call.begin > failed.begin and call.name in WRITES + SYNCS and log_file(call.path):
            found.append(f"process {call.pid}: after {failed} it went on with {call}")
    return found
