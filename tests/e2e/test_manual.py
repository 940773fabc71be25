"""What the manual pages and the README say is what the programs say: commands, settings, routes, errors, metrics."""
import glob
import os
import re
import shutil
import subprocess

import pytest

from harness import SOURCE, TALEA, TALEAD, clean_environment

PAGES = sorted(glob.glob(os.path.join(SOURCE, "man", "*.[1-8]")))
MANDOC = os.environ.get("MANDOC") or shutil.which("mandoc")

# The wire contract's: statuses and fields of each word.
ERRORS = {
    "invalid_draft": ("400, 415", "field, reason"), "unbalanced": ("400", "asset, debit, credit"),
    "invalid_amount": ("400", "amount"), "asset_mismatch": ("400", "account, account_asset, asset"),
    "unauthorized": ("401", ""), "forbidden": ("403", "book"), "unknown_asset": ("404", "asset"),
    "unknown_account": ("404", "account"), "not_found": ("404", "what"), "method_not_allowed": ("405", ""),
    "timeout": ("408", ""), "already_exists": ("409", "what"),
    "constraint_violation": ("409", "account, min_balance, would_be"), "overloaded": ("429, 503", ""),
    "internal": ("500", "message"),
}


def read(*names):
    with open(os.path.join(SOURCE, *names)) as f:
        return f.read()


def run(*command):
    done = subprocess.run(command, env=clean_environment(), text=True, capture_output=True, timeout=60)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


# --- what the programs say ---

class Command:
    """One of the table, as `help` prints it: its flags, each with its metavar or None, and the operand."""

    def __init__(self, usage):
        self.name, self.rest = re.fullmatch(r"usage: talead? ([a-z-]+(?: [a-z]+)?)(.*)", usage).groups()
        self.flags = {}
        for optional, name, metavar in re.findall(r"(\[?)--([a-z-]+)(?: ([^\]\s-][^\]\s]*))?", self.rest):
            self.flags[name] = (metavar or None, not optional)
        operand = re.match(r" \[?([A-Z][A-Z_|+-]*)", self.rest)
        self.operand = operand and operand.group(1)


def commands_of(program):
    """By name, `help` left out, which is no row of the table."""
    names = re.findall(r"^  ([a-z][a-z-]*)[ \n]", run(program, "--help"), re.M)
    assert "help" in names and len(names) > 5
    found = {}
    for name in dict.fromkeys(names):
        if name != "help":
            for usage in re.findall(r"^usage: .*", run(program, "help", name), re.M):
                command = Command(usage)
                found[command.name] = command
    return found


# --- what the pages say ---

def section(page, name):
    return re.search(rf"^\.Sh {re.escape(name)}\n(.*?)(?=^\.Sh |\Z)", page, re.M | re.S).group(1)


def items(text):
    """(head, body) of each item of the outermost lists."""
    found, depth, in_head = [], 0, False
    for line in text.splitlines():
        if line.startswith(".Bl"):
            depth += 1
        elif line.startswith(".El"):
            depth -= 1
        elif line.startswith(".It") and depth == 1:
            in_head = line.startswith(".It Xo")
            found.append(["" if in_head else line[4:] + "\n", ""])
        elif line.startswith(".Xc") and depth == 1:
            in_head = False
        elif found:
            found[-1][0 if in_head else 1] += line.lstrip(".") + "\n" if in_head else line + "\n"
    return found


def flags_of(head):
    """Each flag of an item's head or a synopsis, with whether a value follows and whether it must be given."""
    found = {}
    for line in re.split(r"\n|(?=\bOp Fl)", head):
        for name, value in re.findall(r"Fl Fl ([a-z-]+)( Ar)?", line):
            found[name] = (bool(value), not line.lstrip(".").startswith("Op"))
    return found


def command_of(head, names):
    words = re.match(r"\.?(?:Cm )([a-z-]+(?: [a-z]+)?)", head)
    assert words, head
    return next((name for name in (words.group(1), words.group(1).split()[0]) if name in names), words.group(1))


def described(page, names):
    """Command -> the heads of its items together."""
    heads = {}
    for head, _ in items(section(page, "COMMANDS")):
        name = command_of(head, names)
        heads[name] = heads.get(name, "") + head
    return heads


@pytest.mark.parametrize("program, page", [(TALEAD, "talead.8"), (TALEA, "talea.1")])
def test_each_command_and_flag_is_in_its_page_and_no_other(program, page):
    commands, heads = commands_of(program), described(read("man", page), commands_of(program))
    assert heads.pop("help")
    assert set(heads) == set(commands)
    for name, command in commands.items():
        paged = flags_of(heads[name])
        assert set(paged) == set(command.flags), name
        for flag, (metavar, required) in command.flags.items():
            assert paged[flag][0] == (metavar is not None), f"{name} --{flag}: a value, or none"
            if name != "post":  # it has two forms, and what one requires the other has in its draft
                assert paged[flag][1] == required, f"{name} --{flag}: optional, or not"
        if command.operand:
            assert re.search(r"\bAr\b", re.sub(r"Fl Fl [a-z-]+ Ar", "", heads[name])), f"{name}: its operand"


def test_the_synopsis_of_talead_is_its_table_in_its_order():
    commands, page = commands_of(TALEAD), read("man", "talead.8")
    blocks = re.split(r"^\.Nm\n", section(page, "SYNOPSIS"), flags=re.M)[1:]
    assert blocks.pop().strip() == ".Fl Fl version" and blocks[-1].startswith(".Cm help\n")
    shown = {re.match(r"\.Cm ([a-z-]+)", block).group(1): block for block in blocks[:-1]}
    assert list(shown) == list(commands)
    for name, command in commands.items():
        assert flags_of(shown[name]) == {flag: (m is not None, r) for flag, (m, r) in command.flags.items()}, name


def test_each_flag_of_a_command_of_talead_is_explained():
    page = section(read("man", "talead.8"), "COMMANDS")
    running = page[page.index(".Ss Commands for a running talead"):page.index(".Ss Configuration and help")]
    shared = running[:running.index(".Bl")]  # says once what is the same for all of them
    for head, body in items(page):
        if "\n.Cm " + re.match(r"Cm ([a-z-]+)", head).group(1) in running:
            body += shared
        for flag in flags_of(head):
            if re.search(rf"Fl Fl {flag}\b", body):
                continue
            value = re.search(rf"Fl Fl {flag} Ar ([a-z]+)", head)
            assert value and re.search(rf"\bAr {value.group(1)}\b", body), f"--{flag} is not explained below {head}"


def test_the_options_of_the_client_are_in_its_page():
    flags = re.findall(r"^  --([a-z-]+)", run(TALEA, "--help"), re.M)
    heads = "".join(head for head, _ in items(section(read("man", "talea.1"), "OPTIONS")))
    assert flags and set(flags_of(heads)) == set(flags) | {"help", "version"}


# --- settings ---

def settings():
    """(name, default, meaning), in the program's order."""
    found = re.findall(r"^  (TALEA_\w+) +(.*) \(([^()]*)\)$", run(TALEAD, "help", "serve"), re.M)
    assert len(found) > 10
    return [(name, fallback, meaning) for name, meaning, fallback in found]


def test_the_settings_table_of_the_readme_is_the_programs():
    table = re.search(r"^<!-- settings.*?^<!-- end", read("README.md"), re.M | re.S).group()
    rows = re.findall(r"^\| `(TALEA_\w+)` \| (.*) \| (.*) \|$", table, re.M)
    assert [(n, d, m.replace("\\<", "<")) for n, d, m in rows] == settings()


def pages_settings():
    return items(section(read("man", "talea.yaml.5"), "SETTINGS"))


def test_the_settings_of_talea_yaml_are_the_programs():
    found = []
    for head, body in pages_settings():
        key, name = re.fullmatch(r"Cm (\w+) Pq Ev (TALEA_\w+)\n", head).groups()
        assert name == "TALEA_" + key.upper()
        found.append((name, re.search(r"^Default: (.*)", body, re.M).group(1), body.split("\n")[0]))
    assert found == settings()


def number(text):
    value, shift = re.fullmatch(r"(?:UINT64_C\()?(\d+)\)?(?: << (\d+))?", text).groups()
    return int(value) << int(shift or 0)


def test_the_ranges_of_talea_yaml_are_the_tables():
    macros = dict(re.findall(r"^#define (\w+) (\d+)$", read("common", "settings.h"), re.M))
    table = {}
    for row in read("common", "settings_table.c").split("{.env = ")[1:]:
        if "SETTING_COUNT" in row:
            least, most = re.search(r"\.min = (.*?),\s+\.max = (.*?),\n", row).groups()
            table[row.split('"')[1]] = (number(least), number(macros.get(most, most)))
    paged = {}
    for head, body in pages_settings():
        shown = re.search(r"^\.Pq .*?(?:(\d+) to|up to) (\d+)", body, re.M)
        if shown:
            paged[head.split()[-1]] = (int(shown.group(1) or 0), int(shown.group(2)))
    assert table and paged == table


# --- HTTP ---

def test_the_routes_of_talea_api_are_the_servers():
    source = read("server", "routes.c")
    served = re.findall(r'\[ROUTE_\w+\] = \{"(/[^"]*)", (READS|POSTS)', source)
    page = re.findall(r"^\.It Cm (GET|POST) (.*)", section(read("man", "talea-api.7"), "ROUTES"), re.M)
    paged = {(re.sub(r" Ns Ar ([a-z_]*)", r"{\1}", path).replace(" Ns Cm ", ""), method) for method, path in page}
    assert len(served) > 5
    assert {(path, "GET" if allow == "READS" else "POST") for path, allow in served} == paged
    assert len(page) == len(served)


def test_the_errors_of_talea_api_are_the_contracts_and_the_servers():
    table = section(read("man", "talea-api.7"), "ERROR ENVELOPES")
    paged = re.findall(r"^\.It ([a-z_]+) Ta (.*?) Ta ?(.*)$", table, re.M)
    assert {word: (status, fields) for word, status, fields in paged} == ERRORS and len(paged) == len(ERRORS)
    assert set(re.findall(r'open_error\(j, "([a-z_]+)"\)', read("server", "answers.c"))) == set(ERRORS)


def test_every_metric_that_a_page_names_is_there():
    sources = read("server", "metrics.c") + read("server", "process_metrics.c")
    known = set(re.findall(r'"(talea_[a-z_]+)[" {]', sources))
    assert "talea_events" in known
    for path in PAGES + [os.path.join(SOURCE, "README.md")]:
        for name in re.findall(r"\btalea_[a-z_]+\b", read(path)):
            assert re.sub("_(bucket|sum|count)$", "", name) in known, f"{path}: {name}"


# --- the pages themselves ---

def name_of(path):
    return os.path.basename(path).rsplit(".", 1)


def test_every_page_is_installed_and_the_readme_names_it():
    listed = re.findall(r"man/(\S+)", read("man", "man.am"))
    assert sorted(listed) == [os.path.basename(path) for path in PAGES]
    for name, part in map(name_of, PAGES):
        assert f"{name}({part})" in read("README.md")


@pytest.mark.parametrize("path", PAGES, ids=os.path.basename)
def test_what_a_page_refers_to_exists_and_its_title_is_its_name(path):
    page, (name, part) = read(path), name_of(path)
    assert f"\n.Dt {name.upper()} {part}\n" in page and f"\n.Nm {name}\n" in page
    ours = {tuple(name_of(p)) for p in PAGES}
    referred = set(re.findall(r"^\.(?:Pq )?Xr (talea\S*) (\d)", page, re.M))
    assert referred and referred <= ours
    also = re.findall(r"Xr (\S+) (\d)", section(page, "SEE ALSO"))
    assert also == sorted(also, key=lambda entry: (entry[1], entry[0])), "by section, then by name"
    for title in re.findall(r"^\.Sx (.*?)(?: [.,;])?$", page, re.M):
        assert re.search(rf"^\.S[hs] {re.escape(title)}$", page, re.M), f"there is no {title}"


@pytest.mark.skipif(not MANDOC, reason="mandoc is not installed")
@pytest.mark.parametrize("path", PAGES, ids=os.path.basename)
def test_mandoc_has_nothing_to_say_about_the_page(path):
    done = subprocess.run([MANDOC, "-T", "lint", "-W", "style", path], text=True, capture_output=True, timeout=60)
    # What is installed on this machine is no fault of the page.
    said = [line for line in done.stdout.splitlines() if "referenced manual not found" not in line]
    assert said == []
