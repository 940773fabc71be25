"""Completions of both programs, in the shells themselves."""
import os
import pty
import re
import select
import shutil
import subprocess

import pytest

from harness import TALEA, TALEAD, clean_environment, wait_until

PROGRAMS = {"talea": TALEA, "talead": TALEAD}
CLIENT = ["account", "asset", "balance", "completions", "help", "history", "post", "tail", "trial-balance", "tx"]


def needs(shell):
    return pytest.mark.skipif(not shutil.which(shell), reason=f"{shell} is not installed")


def script(program, shell):
    done = subprocess.run([PROGRAMS[program], "completions", shell], env=clean_environment(), text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 0 and done.stderr == ""
    return done.stdout


def rows(program):
    """What --help lists, first words alone."""
    text = subprocess.run([PROGRAMS[program], "--help"], text=True, capture_output=True, timeout=60).stdout
    return sorted(set(re.findall(r"^  ([a-z][a-z-]*) ", text, re.M)))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a-folder").mkdir()
    (tmp_path / "a-file").write_text("")
    return tmp_path


# What is typed, up to the cursor, and what is offered; the same in every shell.
CASES = [
    ("talead se", ["serve"]), ("talead check-config --c", ["--config"]), ("talead backup --in", ["--incremental"]),
    ("talead completions z", ["zsh"]), ("talead token --access r", ["ro", "rw"]), ("talead backup a-", ["a-folder/"]),
    ("talead backup a-folder --db", ["--db-url"]), ("talead backup --incremental a-", ["a-folder/"]),
    ("talead serve --config a-", ["a-file", "a-folder/"]), ("talead help ver", ["verify"]),
    ("talea ba", ["balance"]), ("talea asset ", ["register"]), ("talea asset register --cl", ["--class"]),
    ("talea account open --kind e", ["equity", "expense"]), ("talea post --draft a-fi", ["a-file"]),
    ("talea help hi", ["history"]), ("talea --url http://x tai", ["tail"]), ("talea completions b", ["bash"]),
]


# --- bash ---

def bash_split(typed):
    """As bash splits words with its COMP_WORDBREAKS."""
    words = [part for word in typed.split(" ") for part in (re.findall(r"[=:]+|[^=:]+", word) or [""])]
    return " ".join(f"'{word}'" for word in words)


def bash_offers(typed, folder):
    program = typed.split()[0]
    probe = script(program, "bash") + f"""
complete -p {program} || exit 1
COMP_WORDS=({bash_split(typed)}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_{program}
for word in "${{COMPREPLY[@]}}"; do [[ -d $word ]] && word+=/; printf '%s\\n' "$word"; done
"""
    done = subprocess.run(["bash", "-c", probe], capture_output=True, text=True, cwd=folder, timeout=60)
    lines = done.stdout.splitlines()
    assert done.stderr == "" and lines.pop(0) == f"complete -F _{program} {program}"
    return sorted(lines)


@pytest.mark.parametrize("typed, offered", CASES)
def test_bash_completes(typed, offered, folder):
    assert bash_offers(typed, folder) == offered


@pytest.mark.parametrize("typed, offered", [
    ("talea asset register --class=f", ["fiat"]), ("talea --url http://x:80 tai", ["tail"]),
    ("talea --url=http://x:80 tai", ["tail"]), ("talea post --debit a:USD:5 --cr", ["--credit"]),
    ("talea post --idem ", []), ("talead token --scope=x --access=ro --j", ["--json"]),
])
def test_bash_completes_behind_what_it_splits_itself(typed, offered, folder):
    assert bash_offers(typed, folder) == offered


@pytest.mark.parametrize("program", PROGRAMS)
def test_bash_offers_every_command(program, folder):
    offered = bash_offers(program + " ", folder)
    assert [word for word in offered if word[0] != "-"] == rows(program)
    if program == "talea":
        assert rows(program) == CLIENT


# --- fish ---

def fish_offers(typed, folder):
    home = {**clean_environment(), "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / ".c"),
            "XDG_DATA_HOME": str(folder / ".d")}
    program = typed.split()[0]
    done = subprocess.run(["fish", "--no-config", "-c", script(program, "fish") + f'complete -C "{typed}"\n'], env=home,
                          capture_output=True, text=True, cwd=folder, timeout=60)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return sorted({line.split("\t")[0] for line in done.stdout.splitlines()})


@needs("fish")
@pytest.mark.parametrize("typed, offered", CASES)
def test_fish_completes(typed, offered, folder):
    assert fish_offers(typed, folder) == offered


@needs("fish")
@pytest.mark.parametrize("program", PROGRAMS)
def test_fish_offers_every_command(program, folder):
    assert fish_offers(program + " ", folder) == rows(program)


# --- zsh ---

# compadd is what every completion ends in: its matches are written down before it goes on as ever. Keys that come
# while it completes, or before the line editor is there, would disturb it, so both events leave a line too.
ZSH_BEGIN = r"""
fpath=($PWD/functions $fpath); autoload -Uz compinit; compinit -u -D; bindkey -e; LISTMAX=1000
compadd() {
    local -a hits
    [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]] || { builtin compadd -O hits "$@"; print -rl -- $hits >>offers; }
    builtin compadd "$@"
}
complete-and-tell() { zle expand-or-complete; print completed >>events }
zle-line-init() { print prompt >>events }
zle -N complete-and-tell; zle -N zle-line-init; bindkey '^I' complete-and-tell
"""


class Zsh:
    """An interactive one on a terminal of its own, with the scripts where it looks for functions."""

    def __init__(self, folder):
        self.folder, self.seen = folder, []
        (folder / "functions").mkdir()
        for program in PROGRAMS:
            (folder / "functions" / f"_{program}").write_text(script(program, "zsh"))
        (folder / "begin").write_text(ZSH_BEGIN)
        (folder / "events").write_text("")
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ["TERM"] = "dumb"
            os.execvp("zsh", ["zsh", "-f", "-i"])
        self.type(". ./begin\n", "prompt")

    def happened(self):
        """Reads what it shows, so that it never waits for that; its events, whole lines alone."""
        if select.select([self.fd], [], [], 0)[0]:
            os.read(self.fd, 65536)
        return (self.folder / "events").read_text().split("\n")[:-1]

    def type(self, keys, event):
        os.write(self.fd, keys.encode())
        self.seen.append(event)
        wait_until(lambda: self.happened() == self.seen, f"{event} behind {keys!r}")

    def offers(self, typed):
        (self.folder / "offers").write_text("")
        self.type(typed + "\t", "completed")
        words = {word.rstrip("= ") for word in (self.folder / "offers").read_text().splitlines() if word}
        self.type("\x15\n", "prompt")
        return sorted(word + "/" if (self.folder / word).is_dir() else word for word in words)

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


@pytest.fixture
def zsh(folder):
    shell = Zsh(folder)
    yield shell
    shell.close()


@needs("zsh")
def test_zsh_completes(zsh):
    for typed, offered in CASES:
        assert zsh.offers(typed) == offered, typed


@needs("zsh")
def test_zsh_offers_every_command(zsh):
    for program in PROGRAMS:
        assert zsh.offers(program + " ") == rows(program)


# --- all of them ---

@pytest.mark.parametrize("program", PROGRAMS)
def test_help_and_completions_know_the_same_flags(program):
    lines = script(program, "fish").splitlines()
    for command in rows(program):
        text = subprocess.run([PROGRAMS[program], "help", command], text=True, capture_output=True, timeout=60).stdout
        usage = "" if command == "help" else "".join(re.findall("^usage:.*", text, re.M))
        shown = set(re.findall(r"--([a-z-]+)", usage))
        own = [line for line in lines if re.search(rf"-n '__{program}_in {command}\b(?!-)", line)]
        assert {re.search(r" -l (\S+)", line).group(1) for line in own} == shown, command


@pytest.mark.parametrize("program", PROGRAMS)
def test_another_shell_is_refused(program):
    done = subprocess.run([PROGRAMS[program], "completions", "tcsh"], text=True, capture_output=True, timeout=60)
    assert done.returncode == 2 and done.stdout == "" and "bash, zsh or fish" in done.stderr
