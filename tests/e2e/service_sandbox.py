#!/usr/bin/env python3
"""service_sandbox.py UNIT UID STATE PROGRAM ARGUMENT...: runs a program in the sandbox that a unit file asks for.

For machines where systemd is not there to do it; run it as root. It reads the unit, so that what is tested is what is
installed, and builds with the kernel's own means what systemd would: the seccomp filters of SystemCallFilter= (the
groups as `systemd-analyze syscall-filter` lists them), RestrictAddressFamilies=, RestrictNamespaces=,
MemoryDenyWriteExecute= and RestrictSUIDSGID=; mount namespaces for ProtectSystem=strict, ProtectHome=, PrivateTmp=,
PrivateDevices=, ProtectProc= and StateDirectory= (the folder STATE, mounted there); PrivateIPC=, PrivateUsers=, User=
(UID), an empty CapabilityBoundingSet=, NoNewPrivileges= and UMask=.

One thing is harsher: a system call that is not allowed ends the process instead of failing, so that none goes unseen.
Not built: DevicePolicy= (a control group's), and what those above imply already (ProtectClock=, ProtectHostname=,
ProtectKernel*=, LockPersonality=, RestrictRealtime=).
"""
import ctypes
import errno
import os
import re
import subprocess
import sys

import seccomp

CLONE_NEW = {"mount": 0x00020000, "cgroup": 0x02000000, "uts": 0x04000000, "ipc": 0x08000000, "user": 0x10000000,
             "pid": 0x20000000, "net": 0x40000000}
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
MOUNT_SETATTR, MOUNT_ATTR_RDONLY, AT_FDCWD, AT_RECURSIVE = 442, 1, -100, 0x8000
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}
FAMILY_MAX = 45
PROT_WRITE, PROT_EXEC, SHM_EXEC = 2, 4, 0o100000
S_ISUID, S_ISGID = 0o4000, 0o2000
libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def read_unit(path):
    """Key -> its values, one for each line of the file."""
    found = {}
    with open(path) as f:
        for line in f:
            if "=" in line and line[0] not in "#;[":
                key, _, value = line.strip().partition("=")
                found.setdefault(key, []).append(value)
    return found


def calls_of(group):
    if not group.startswith("@"):
        return {group}
    listed = subprocess.run(["systemd-analyze", "syscall-filter", group], text=True, check=True, capture_output=True)
    members = re.findall(r"^ {4}([-@a-z0-9_]+)$", listed.stdout, re.M)
    return set().union(*map(calls_of, members))


def allowed_calls(unit):
    """Lines add or, with a tilde, take away. @default is always allowed (systemd.exec(5))."""
    allowed = calls_of("@default")
    for line in unit["SystemCallFilter"]:
        calls = set().union(*map(calls_of, line.lstrip("~").split()))
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    return allowed


def call_filter(unit):
    only = seccomp.SyscallFilter(seccomp.KILL_PROCESS)
    for name in sorted(allowed_calls(unit)):
        try:
            only.add_rule(seccomp.ALLOW, name)
        except (RuntimeError, OSError):
            pass  # one of another architecture, or newer than this libseccomp: it stays forbidden
    return only


def argument_filter(unit):
    """Calls that are allowed, but for some of their arguments."""
    but = seccomp.SyscallFilter(seccomp.ALLOW)

    def refuse(name, *conditions, code=errno.EPERM):
        but.add_rule(seccomp.ERRNO(code), name, *conditions)

    def refuse_bits(name, argument, bits):
        refuse(name, seccomp.Arg(argument, seccomp.MASKED_EQ, bits, bits))

    families = {FAMILIES[name] for name in unit["RestrictAddressFamilies"][0].split()}
    for family in set(range(FAMILY_MAX + 1)) - families:
        refuse("socket", seccomp.Arg(0, seccomp.EQ, family), code=errno.EAFNOSUPPORT)
    refuse("socket", seccomp.Arg(0, seccomp.GT, FAMILY_MAX), code=errno.EAFNOSUPPORT)
    assert unit["RestrictNamespaces"] == ["yes"]
    for flag in CLONE_NEW.values():
        refuse_bits("clone", 0, flag)
    refuse("clone3", code=errno.ENOSYS)
    refuse("unshare")
    refuse("setns")
    assert unit["MemoryDenyWriteExecute"] == ["yes"]
    refuse_bits("mmap", 2, PROT_WRITE | PROT_EXEC)
    refuse_bits("mprotect", 2, PROT_EXEC)
    refuse_bits("pkey_mprotect", 2, PROT_EXEC)
    refuse_bits("shmat", 2, SHM_EXEC)
    assert unit["RestrictSUIDSGID"] == ["yes"]
    for name, argument in (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("mkdir", 1), ("mkdirat", 2), ("mknod", 1),
                           ("mknodat", 2), ("creat", 1)):
        refuse_bits(name, argument, S_ISUID)
        refuse_bits(name, argument, S_ISGID)
    return but


def mount(source, target, kind=None, flags=0, options=None):
    arguments = [None if a is None else os.fsencode(a) for a in (source, target, kind)]
    check(libc.mount(*arguments, ctypes.c_ulong(flags), options and os.fsencode(options)), f"mount {target}")


def set_read_only(path, yes, flags=0):
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY if yes else 0, 0 if yes else MOUNT_ATTR_RDONLY, 0, 0)
    check(libc.syscall(MOUNT_SETATTR, AT_FDCWD, os.fsencode(path), flags, attributes, ctypes.sizeof(attributes)),
          f"mount_setattr {path}")


def private_dev():
    names = ("null", "zero", "full", "random", "urandom", "tty")
    keep = {name: os.open(f"/dev/{name}", os.O_PATH) for name in names}
    mount("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755")
    for name, fd in keep.items():
        open(f"/dev/{name}", "w").close()
        mount(f"/proc/self/fd/{fd}", f"/dev/{name}", flags=MS_BIND)
        os.close(fd)


def private_mounts(unit, state):
    assert unit["ProtectSystem"] == ["strict"] and unit["ProtectHome"] == ["yes"] and unit["PrivateTmp"] == ["yes"]
    place = "/var/lib/" + unit["StateDirectory"][0]
    state_fd = os.open(state, os.O_PATH)
    mount(None, "/", flags=MS_REC | MS_PRIVATE)
    modes = {"/tmp": "1777", "/var/tmp": "1777", "/home": "0000", "/root": "0000", "/var/lib": "0755"}
    for path, mode in modes.items():
        mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=" + mode)
    os.mkdir(place)
    mount(f"/proc/self/fd/{state_fd}", place, flags=MS_BIND)
    os.close(state_fd)
    private_dev()
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=" + unit["ProtectProc"][0])
    set_read_only("/", True, AT_RECURSIVE)
    for path in ("/tmp", "/var/tmp", place):
        set_read_only(path, False)


def users_helper(uid):
    """Only a process outside may say who is who inside. Returns what enters a namespace of only root and that user."""
    told, tell = os.pipe()
    helper = os.fork()
    if helper == 0:
        os.close(tell)
        os.read(told, 1)
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{os.getppid()}/{name}", "w") as f:
                f.write(f"0 0 1\n{uid} {uid} 1\n")
        os._exit(0)
    os.close(told)

    def enter():
        check(libc.unshare(CLONE_NEW["user"]), "unshare")
        os.close(tell)
        assert os.waitpid(helper, 0)[1] == 0, "cannot map the users"

    return enter


def become(uid):
    with open("/proc/sys/kernel/cap_last_cap") as f:
        last = int(f.read())
    for capability in range(last + 1):
        check(libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0), "prctl")
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def main():
    unit, uid, state, command = read_unit(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    only, but = call_filter(unit), argument_filter(unit)
    program = os.open(command[0], os.O_RDONLY)  # it may be in a folder that is hidden soon
    enter_private_users = users_helper(uid)
    check(libc.unshare(CLONE_NEW["mount"] | CLONE_NEW["ipc"]), "unshare")
    private_mounts(unit, state)
    enter_private_users()
    become(uid)
    os.umask(int(unit["UMask"][0], 8))
    os.chdir("/")
    but.load()
    only.load()
    os.execve(program, command, dict(os.environ))


main()
