"""`docker` for tests of deploy/upgrade.sh: it keeps containers in a file, and fails or stops where FAIL or HANG says.

A gateway has a port, which belongs to the one running container that is in the network of doors.
"""

import json
import os
import sys
import time
from pathlib import Path

FILE = Path(os.environ["FAKE_STATE"])
DOORS = "doors"  # what an override calls the network `outside`


class Refused(Exception):
    """Docker says no."""


class Engine:
    """The containers of one project, each with its service, its state and its networks."""

    def __init__(self) -> None:
        self.state = json.loads(FILE.read_text())
        self.containers: dict[str, dict[str, object]] = self.state["containers"]

    def save(self) -> None:
        FILE.write_text(json.dumps(self.state))

    def of(self, service: str, every: bool) -> list[str]:
        found = self.containers.items()
        return [one for one, it in found if it["service"] == service and (every or it["running"])]

    def add(self, service: str) -> None:
        self.state["made"] += 1
        networks = [DOORS] if service == "gateway" else []
        self.containers[f"new{self.state['made']}"] = {"service": service, "running": False, "networks": networks}

    def published(self, one: str) -> bool:
        return bool(self.containers[one]["running"]) and DOORS in self.containers[one]["networks"]  # type: ignore[operator]

    def run(self, one: str, **change: object) -> None:
        """Change a container, unless two would then have the port."""
        self.containers[one] |= change
        if sum(map(self.published, self.containers)) > 1:
            raise Refused("port is already allocated")


def compose(engine: Engine, words: list[str]) -> str:
    if words[0] == "ps":
        return "".join(f"{one}\n" for one in engine.of(words[2], "a" in words[1]))
    if words[:2] == ["up", "--no-start"]:
        sys.stderr.write("compose says what it does\n")
        service, _, count = words[words.index("--scale") + 1].partition("=")
        while len(engine.of(service, every=True)) < int(count):
            engine.add(service)
    elif words[0] not in ("run", "--profile"):
        raise Refused(f"unknown: {words}")
    return ""


def inspect(engine: Engine, template: str, one: str) -> str:
    it = engine.containers[one]
    if "Health" in template:
        health = "unhealthy" if it["service"] == os.environ.get("UNHEALTHY") and one.startswith("new") else "healthy"
        return f"running {health}\n" if it["running"] else f"exited {health}\n"
    if "PortBindings" in template:
        return "1\n"
    return "shop\n" if "project" in template else "".join(f"{name}\n" for name in it["networks"])  # type: ignore[attr-defined]


def network(engine: Engine, words: list[str]) -> str:
    if words[0] == "ls":
        return f"{DOORS}\n" if os.environ.get("NETWORKS", DOORS) else ""
    verb, name, one = words
    networks = [name] if verb == "connect" else []
    if engine.containers[one]["networks"] == networks:
        raise Refused(f"{verb}: nothing to do")
    engine.run(one, networks=networks)
    return ""


def obey(engine: Engine, words: list[str]) -> str:
    verb, *rest = words
    one = rest[-1]
    if verb == "compose":
        return compose(engine, rest)
    if verb == "network":
        return network(engine, rest)
    if verb == "inspect":
        return inspect(engine, rest[1], one)
    if verb == "port":
        return "8080/tcp -> 127.0.0.1:8080\n" if engine.published(one) else ""
    if verb == "rm":
        if engine.containers[one]["running"] and "-f" not in rest:
            raise Refused("it is running")
        del engine.containers[one]
    elif verb in ("start", "restart", "stop"):
        engine.run(one, running=verb != "stop")
    elif verb != "logs":
        raise Refused(f"unknown: {words}")
    return ""


def main() -> int:
    words = sys.argv[1:]
    said = " ".join(words)
    engine = Engine()
    fault = os.environ.get("FAIL", "")
    if fault and said.startswith(fault):
        sys.stderr.write("the engine refuses\n")
        return 1
    try:
        answer = obey(engine, words)
    except Refused as reason:
        sys.stderr.write(f"{reason}\n")
        return 1
    engine.save()
    if os.environ.get("HANG") and said.startswith(os.environ["HANG"]) and not FILE.with_suffix(".hangs").exists():
        FILE.with_suffix(".hangs").touch()
        time.sleep(600)
    sys.stdout.write(answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
