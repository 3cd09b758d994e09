"""Server CPU per request and latency of several contestants under the same load, in interleaved rounds.

CPU time is compared rather than requests per second, because it hardly changes when something else wants the machine.
Servers share one core; wrk, and what stands behind the servers, have the other.
"""

import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SERVER_CORE, CLIENT_CORE = 0, 1
ROUNDS = 5
SECONDS = 2
WARM_S = 1
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
SCRIPT = Path(__file__).with_name("load.lua")


@dataclass(frozen=True)
class Load:
    """One request, repeated over so many kept connections."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    concurrency: int = 16


@dataclass(frozen=True)
class Contestant:
    """A server under its load. The CPU time of its processes and their descendants counts; Postgres's if asked for."""

    name: str
    load: Load
    pids: Sequence[int]
    with_postgres: bool = False


@dataclass(frozen=True)
class Run:
    """One round of one contestant."""

    per_s: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    foreign: float


@dataclass(frozen=True)
class Figures:
    """The medians of several rounds; spread is the largest CPU figure above the smallest, as a share of the median.

    `foreign` is the share of the server's core that went to neither contestant nor wrk: the machine's noise.
    """

    name: str
    per_s: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    spread: float
    foreign: float


def measure(
    contestants: Sequence[Contestant],
    *,
    rounds: int = ROUNDS,
    seconds: int = SECONDS,
    progress: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> dict[str, Figures]:
    """Each contestant once a round, so that a change of the machine meets all; the figures by name.

    Exits with a sentence when a contestant answers anything but success: a fast refusal is no result.
    """
    runs: dict[str, list[Run]] = {contestant.name: [] for contestant in contestants}
    for contestant in contestants:
        pin(contestant.pids, SERVER_CORE)
        _load(contestant, WARM_S)
    for turn in range(rounds):
        for contestant in contestants:
            run = _run(contestant, seconds)
            runs[contestant.name].append(run)
            progress(f"  round {turn + 1} of {rounds}   {contestant.name:<40} {run.cpu_us:8.0f} µs")
    return {name: _figures(name, each) for name, each in runs.items()}


def _figures(name: str, runs: Sequence[Run]) -> Figures:
    def median(of: Callable[[Run], float]) -> float:
        return statistics.median(map(of, runs))

    cpu_us = median(lambda run: run.cpu_us)
    costs = [run.cpu_us for run in runs]
    return Figures(
        name=name,
        per_s=median(lambda run: run.per_s),
        cpu_us=cpu_us,
        p50_ms=median(lambda run: run.p50_ms),
        p99_ms=median(lambda run: run.p99_ms),
        spread=(max(costs) - min(costs)) / cpu_us if cpu_us else 0.0,
        foreign=median(lambda run: run.foreign),
    )


def _run(contestant: Contestant, seconds: int) -> Run:
    own, core = _own_s(contestant), _busy_s(SERVER_CORE)
    requests, duration_s, p50_us, p99_us = _load(contestant, seconds)
    own, core = _own_s(contestant) - own, _busy_s(SERVER_CORE) - core
    return Run(
        per_s=requests / duration_s,
        cpu_us=own / requests * 1e6,
        p50_ms=p50_us / 1000,
        p99_ms=p99_us / 1000,
        foreign=max(0.0, core - own) / duration_s,
    )


def _own_s(contestant: Contestant) -> float:
    return cpu_s(contestant.pids, with_postgres=contestant.with_postgres)


def _load(contestant: Contestant, seconds: int) -> tuple[int, float, int, int]:
    load = contestant.load
    words = ["wrk", "-t1", f"-c{load.concurrency}", f"-d{seconds}s", "-s", str(SCRIPT), "--timeout", "10s"]
    for name, value in load.headers.items():
        words += ["-H", f"{name}: {value}"]
    environment = {**os.environ, "LOAD_METHOD": load.method, "LOAD_BODY": load.body}
    words = ["taskset", "-c", str(CLIENT_CORE), *words, load.url]
    text = subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout
    figures = next(line for line in text.splitlines() if line.startswith("FIGURES "))
    requests, duration_us, p50_us, p99_us, refused, broken = map(int, figures.split()[1:])
    if refused or broken or not requests:
        sys.exit(f"{contestant.name}: of {requests} requests {refused} were refused and {broken} broke off.")
    return requests, duration_us / 1e6, p50_us, p99_us


def need(*programs: str) -> None:
    """Exit with what to install when one of these programs is missing."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        sys.exit(f"Missing: {', '.join(missing)}. On Debian: apt-get install wrk nginx-light util-linux")


def family(pid: int, *, with_postgres: bool = False) -> list[int]:
    """A process and all its descendants that live; Postgres's only when they are asked for."""
    try:
        if not with_postgres and Path(f"/proc/{pid}/comm").read_text().strip() == "postgres":
            return []
        children = Path(f"/proc/{pid}/task").glob("*/children")
        born = [int(child) for path in children for child in path.read_text().split()]
    except OSError:
        return []
    return [pid, *(each for child in born for each in family(child, with_postgres=with_postgres))]


def pin(pids: Sequence[int], core: int) -> None:
    """Every thread of these processes and their descendants onto one core."""
    for pid in (each for root in pids for each in family(root)):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})


def cpu_s(pids: Sequence[int], *, with_postgres: bool = False) -> float:
    """Seconds of processor time that these processes and their living descendants have used."""
    members = (each for root in pids for each in family(root, with_postgres=with_postgres))
    return sum(map(_ticks, members)) / TICKS_PER_S


def _ticks(pid: int) -> int:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return 0
    return int(after_name[11]) + int(after_name[12])


def _busy_s(core: int) -> float:
    line = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith(f"cpu{core} "))
    user, nice, system, _, _, irq, softirq, *_ = map(int, line.split()[1:])
    return (user + nice + system + irq + softirq) / TICKS_PER_S
