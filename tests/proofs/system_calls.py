"""System calls as strace(1) sees them: told to fail by number, and read back with the paths they were made on."""
import os
import re
import signal
import subprocess

from harness import wait_until

# What changes files, and what makes the change durable.
FILE_CALLS = ("write", "pwrite64", "pwritev", "fallocate", "ftruncate", "openat", "/^mkdir", "/^rename", "/^unlink",
              "fsync", "fdatasync")
DETACH_S = 5
OPTIONS = ["-f", "-y", "-ttt", "-T", "-s", "300000", "-e", "signal=none"]  # a batch is printed to its last key

BEGUN = re.compile(r"(\d+) +([\d.]+) (\w+)\((.*)$", re.DOTALL)
RESUMED = re.compile(r"(\d+) +([\d.]+) <\.\.\. (\w+) resumed>(.*)$", re.DOTALL)
ENDED = re.compile(r"(\d+) +[\d.]+ \+\+\+ exited with (\d+) \+\+\+$")
RESULT = re.compile(r"(.*)\) += (-?\d+|0x[0-9a-f]+)(?:<([^<>]*)>)?"  # the value, and the path of a new descriptor
                    r"(?: (E\w+) \([^()]*\))?((?: \([A-Z]+\))*) <([\d.]+)>$", re.DOTALL)
DESCRIPTOR = re.compile(r"-?\d+<([^<>]*)>")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
MAPPED = re.compile(r"MAP_\w+(?:\|MAP_\w+)*, \d+<([^<>]*)>")


def why_not():
    """None when strace can trace, attach and make calls fail here."""
    try:
        done = subprocess.run(["strace", "-f", "-D", "-qq", "-o", "/dev/null", "-e", "inject=fsync:error=EIO", "true"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"strace: {error}"
    return done.stderr.strip()[-200:] or "strace cannot trace" if done.returncode else None


class Call:
    """One system call that has ended. `paths`: of its descriptor, or as named in it."""

    def __init__(self, pid, begin, name, arguments, result):
        self.pid, self.begin, self.name, self.arguments = pid, begin, name, arguments
        value, opened, self.error, notes, seconds = result
        self.value = int(value, 0)
        self.end = begin + float(seconds)
        self.injected = "(INJECTED)" in notes
        self.paths = self.find_paths(opened)
        self.path = self.paths[0] if self.paths else ""

    def find_paths(self, opened):
        if opened:  # openat
            return [opened]
        if self.name.startswith(("open", "mkdir", "rename", "unlink")):
            return QUOTED.findall(self.arguments)
        if self.name == "mmap":
            return MAPPED.findall(self.arguments)
        return DESCRIPTOR.findall(self.arguments[:1000])[:1]

    def asked(self):
        """Bytes that a write was to write."""
        if self.name == "pwritev":
            return sum(int(n) for n in re.findall(r"iov_len=(\d+)", self.arguments))
        return int(re.findall(r", (\d+)", self.arguments)[-2 if self.name == "pwrite64" else -1])

    @property
    def ok(self):
        return self.error is None

    @property
    def short(self):
        return self.ok and self.name in ("write", "pwrite64", "pwritev") and self.value < self.asked()

    def __str__(self):
        return f"{self.name}({', '.join(self.paths)}) = {self.value} {self.error or ''}".rstrip()


class Trace:
    """The calls in the order in which they ended, and the exit statuses by process."""

    def __init__(self, file):
        self.calls, self.statuses, self.open = [], {}, {}
        with open(file, errors="replace") as lines:
            for line in lines:
                self.take(line.rstrip("\n"))
        self.calls.sort(key=lambda call: call.end)

    def take(self, line):
        ended, resumed, begun = ENDED.match(line), RESUMED.match(line), BEGUN.match(line)
        if ended:
            self.statuses[int(ended[1])] = int(ended[2])
        elif resumed:
            started = self.open.pop(int(resumed[1]), None)
            if started:
                self.finish(int(resumed[1]), *started, resumed[4])
        elif begun and begun[4].endswith("<unfinished ...>"):
            self.open[int(begun[1])] = (float(begun[2]), begun[3], begun[4][:-len("<unfinished ...>")])
        elif begun:
            self.finish(int(begun[1]), float(begun[2]), begun[3], "", begun[4])

    def finish(self, pid, begin, name, before, after):
        result = RESULT.match(before + after)
        if result:  # else it never returned
            self.calls.append(Call(pid, begin, name, result[1], result.groups()[1:]))

    def injected(self):
        return [call for call in self.calls if call.injected]


class Injection:
    """What is to fail, and when: strace counts in each process and thread by itself."""

    def __init__(self, call, how, when, only=()):
        self.call, self.how, self.when, self.only = call, how, when, only

    def options(self, out):
        """Nothing is known of other files when paths are given."""
        traced = (self.call,) if self.only else FILE_CALLS + (self.call,)
        words = [*OPTIONS, "-o", out, "-e", "trace=" + ",".join(dict.fromkeys(traced)),
                 "-e", f"inject={self.call}:{self.how}:when={self.when}"]
        for path in self.only:
            words += ["-P", path]
        return words

    def __str__(self):
        return f"{self.call.strip('/^')} {self.how} when={self.when}"


def under(words):
    """A command in front of talead: strace beside it, so that talead stays the child that was started."""
    return ["strace", "-D", *words]


class Attached:
    """strace on running processes and on what they start, until it is detached."""

    def __init__(self, pids, words):
        command = ["strace", *words]
        for pid in pids:
            command += ["-p", str(pid)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: all(self.traces(pid) for pid in pids), "strace to attach", 20)
        except AssertionError:
            self.detach()
            raise

    def traces(self, pid):
        try:
            with open(f"/proc/{pid}/status") as f:
                return f"TracerPid:\t{self.process.pid}\n" in f.read()
        except OSError:
            return True  # it died of it

    def detach(self):
        """False when strace had to be killed: it can wait for ever for a process that died at that moment."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.communicate(timeout=DETACH_S)
            return True
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            return False


def has_fired(file):
    if not os.path.exists(file):
        return False
    with open(file, errors="replace") as f:
        return "(INJECTED)" in f.read()
