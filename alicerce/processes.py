"""Which process is which: ids are reused, so a remembered process is an id and the moment at which it started."""

import ctypes
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
# linux/prctl.h, linux/securebits.h, linux/capability.h
PR_SET_PDEATHSIG, PR_SET_SECUREBITS, PR_SET_NO_NEW_PRIVS = 1, 28, 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 47, 2
NO_SETUID_FIXUP = 1 << 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522
KIB_PER_MIB = 1024


@dataclass(frozen=True)
class Process:
    """A process that lived once: its id, and its start (opaque text that no later process shares)."""

    pid: int
    started: str

    def alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        return identify(self.pid) == self

    def wait(self, seconds: float) -> bool:
        """Wait for its end; False when it still runs after so many seconds."""
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def end(self, *steps: tuple[signal.Signals, float], group: bool = False) -> bool:
        """Send each signal in turn and wait its seconds, until the process (and its group) has gone."""
        for number, seconds in steps:
            if not self.alive():
                return True
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number) if group else os.kill(self.pid, number)
            if self.wait(seconds):
                return True
        return not self.alive()


def identify(pid: int) -> Process | None:
    """The process of this id, or None when there is none or it is a zombie."""
    if not PROC.joinpath("self").exists():
        return _identify_by_ps(pid)
    fields = _stat(pid)
    if fields is None or fields[0] in "ZX":
        return None
    boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
    return Process(pid, f"{boot}/{fields[19]}")


def _identify_by_ps(pid: int) -> Process | None:
    listed = _ps(pid, "stat=,lstart=").split(maxsplit=1)
    if len(listed) < 2 or listed[0].startswith("Z"):
        return None
    return Process(pid, listed[1])


def command(pid: int) -> list[str]:
    """The words that the process was started with; empty when it has gone or may not be looked at."""
    if not PROC.joinpath("self").exists():
        return _ps(pid, "command=").split()
    try:
        return (PROC / str(pid) / "cmdline").read_text("utf-8", "replace").rstrip("\0").split("\0")
    except OSError:
        return []


def memory_mib(pid: int, *, family: bool = True) -> float | None:
    """Memory of a process in MiB, with its descendants, shared pages counted once; None where it is unknown."""
    offspring = _offspring() if family else {}
    members, total = [pid], 0
    for member in members:
        members.extend(offspring.get(member, ()))
        total += _proportional_kib(member)
    return total / KIB_PER_MIB if total else None


def die_with_parent(number: signal.Signals, become: int | None = None) -> Callable[[], None]:
    """Make a `preexec_fn`: the child gets this signal when its parent dies, however that happens (Linux only).

    `become` is the user id that a child of root takes first, because a change of identity clears the signal. The kernel
    ties the signal to the thread that starts the child, which must therefore be the main one.
    """
    parent = os.getpid()
    library = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def before_exec() -> None:
        if library is None:
            return
        if become is not None:
            _become(library, become)
        elif os.geteuid() != 0:
            _hold(library, 0)
        # A program file that grants privileges would clear the signal: with this, it grants none.
        _prctl(library, PR_SET_NO_NEW_PRIVS, 1)
        _prctl(library, PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:
            os._exit(1)

    return before_exec


def _become(library: ctypes.CDLL, user: int) -> None:
    """Turn a child of root into another user. Where root may grant it, that user keeps the one capability that lets it
    into folders which are closed to it; elsewhere it has none."""
    os.setgroups([])
    os.setresgid(user, user, user)
    # Otherwise access(2), which Postgres asks about its own programs, leaves out capabilities of all users but root.
    granted = _prctl(library, PR_SET_SECUREBITS, NO_SETUID_FIXUP)
    os.setresuid(user, user, user)
    if granted and _hold(library, 1 << CAP_DAC_OVERRIDE):
        _prctl(library, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE)


def _hold(library: ctypes.CDLL, capabilities: int) -> bool:
    """Give up every capability but these, a bit mask of the first 32; False when it has not all of these."""
    header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
    return bool(library.capset(header, struct.pack("=6I", *[capabilities] * 3, 0, 0, 0)) == 0)


def _prctl(library: ctypes.CDLL, option: int, *values: int) -> bool:
    """Ask the kernel; False when it refuses. It checks that the arguments which an option does not use are zero."""
    filled = (*values, 0, 0, 0)[:4]
    return bool(library.prctl(option, *(ctypes.c_ulong(value) for value in filled)) == 0)


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on: 0 state, 1 parent, 19 start time in clock ticks."""
    try:
        return (PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None


def _offspring() -> dict[int, list[int]]:
    """The children of every process."""
    found: dict[int, list[int]] = {}
    with suppress(OSError):
        for entry in PROC.iterdir():
            fields = _stat(int(entry.name)) if entry.name.isdigit() else None
            if fields:
                found.setdefault(int(fields[1]), []).append(int(entry.name))
    return found


def _proportional_kib(pid: int) -> int:
    with suppress(OSError):
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def _ps(pid: int, columns: str) -> str:
    with suppress(OSError):
        listed = subprocess.run(["ps", "-p", str(pid), "-o", columns], check=False, capture_output=True, text=True)
        return listed.stdout.strip()
    return ""
