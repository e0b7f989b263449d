"""Linux namespaces where the vendors' names resolve to this machine, and no other host is reachable."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
IFREQ = struct.Struct("16sH14s")

APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
USERNS_CLONE = Path("/proc/sys/kernel/unprivileged_userns_clone")
MAX_NAMESPACES = Path("/proc/sys/user/max_user_namespaces")


class SealRefused(Exception):
    """The system does not allow the namespaces; the message says what to change."""


def seal(names: Collection[str]) -> None:
    """Move this process into new namespaces, where ``names`` resolve to 127.0.0.1.

    The process and its children can reach only each other, and can listen on all ports. The process must have
    only one thread. Its user stays the same.

    Raises
    ------
    SealRefused
        If the system does not allow the namespaces.
    """
    if sys.platform != "linux":
        raise SealRefused("--sealed needs Linux; on this system, environment variables redirect most clients")
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET):
        raise SealRefused(f"{os.strerror(ctypes.get_errno())}: {_remedy()}")
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        _mount(libc, "none", "/", MS_REC | MS_PRIVATE)
        _replace_hosts(libc, names)
        _bring_up_loopback()
    except OSError as error:
        raise SealRefused(f"{error.strerror}: {_remedy()}") from error


def _replace_hosts(libc: ctypes.CDLL, names: Collection[str]) -> None:
    lines = ["127.0.0.1 localhost", "::1 localhost", f"127.0.0.1 {socket.gethostname()}"]
    lines += [f"127.0.0.1 {name}" for name in sorted(names)]
    with tempfile.NamedTemporaryFile("w", prefix="face-emulator-hosts-") as hosts:
        hosts.write("\n".join(lines) + "\n")
        hosts.flush()
        os.chmod(hosts.name, 0o644)  # noqa: PTH101 - the open file's name
        _mount(libc, hosts.name, "/etc/hosts", MS_BIND)  # the mount keeps the file after its deletion


def _bring_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        _, flags, _ = IFREQ.unpack(fcntl.ioctl(control, SIOCGIFFLAGS, IFREQ.pack(b"lo", 0, b"")))
        fcntl.ioctl(control, SIOCSIFFLAGS, IFREQ.pack(b"lo", flags | IFF_UP, b""))


def _mount(libc: ctypes.CDLL, source: str, target: str, flags: int) -> None:
    if libc.mount(source.encode(), target.encode(), None, flags, None):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _remedy() -> str:
    """Return advice on how to allow user namespaces on this system."""
    if _says(APPARMOR, "1"):
        return "run `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, or omit --sealed"
    if _says(USERNS_CLONE, "0"):
        return "run `sudo sysctl -w kernel.unprivileged_userns_clone=1`, or omit --sealed"
    if _says(MAX_NAMESPACES, "0"):
        return "run `sudo sysctl -w user.max_user_namespaces=10000`, or omit --sealed"
    return (
        "this system does not allow user namespaces; in a container, add the options `--cap-add SYS_ADMIN "
        "--security-opt seccomp=unconfined --security-opt apparmor=unconfined`, or omit --sealed"
    )


def _says(file: Path, value: str) -> bool:
    try:
        return file.read_text().strip() == value
    except OSError:
        return False
