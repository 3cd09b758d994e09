"""`make doctor`: what is wrong with this installation, and how to mend it. It reads, and changes nothing.

It works before anything was ever started, beside a running platform, and after a crash.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

from alicerce.doctor import databases, external, machine, settings
from alicerce.doctor.findings import Finding, problem
from kit import config
from kit.config import ConfigurationError

Check = Callable[[Path], Iterable[Finding]]

CHECKS: tuple[Check, ...] = (
    machine.python,
    machine.tools,
    machine.disk,
    machine.memory,
    machine.folder,
    settings.names,
    settings.values,
    settings.secrets,
    settings.keys,
    machine.ports,
    machine.processes,
    machine.leftovers,
    databases.servers,
    external.roles,
    databases.migrations,
    external.connections,
    external.backups,
)


def examine() -> list[Finding]:
    """Every check on the generated folder, which need not exist. A check that cannot be made is itself a problem."""
    found: list[Finding] = []
    for check in CHECKS:
        try:
            found += check(config.home())
        except (ConfigurationError, OSError) as error:
            found.append(problem(check.__name__, str(error), "mend this, and run `make doctor` again"))
    return found


def doctor(*, as_json: bool) -> bool:
    """Print a line per finding, or one JSON document; whether there was no problem."""
    found = examine()
    if as_json:
        print(json.dumps({"findings": [asdict(finding) for finding in found]}, indent=1))
    else:
        for finding in found:
            print(f"{finding.state:<8} {finding.name:<12} {finding.message}")
            if finding.advice:
                first, *more = finding.advice.splitlines()
                print(f"{'':<21} → {first}", *(f"{'':<23} {line}" for line in more), sep="\n")
    return all(finding.state != "problem" for finding in found)
