"""`make collections-test`: both collections against a real platform, in solo and in split."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scripts.collection_files.__main__ import FOLDER
from scripts.collection_files.plan import REFERENCE
from tests.collections.runner import Outcome, Run
from tests.topologies import running

NEWMAN = FOLDER.parent / ".tools/newman/node_modules/.bin/newman"
POSTMAN = FOLDER / "alicerce.postman_collection.json"
ENVIRONMENT = FOLDER / "alicerce.postman_environment.json"
INSOMNIA = FOLDER / "alicerce.insomnia.json"
REQUEST_TIMEOUT_MS = 15_000


def insomnia(url: str) -> Iterator[Outcome]:
    """The Insomnia file, by the runner beside this."""
    yield from Run(json.loads(INSOMNIA.read_text("utf-8")), url)


def postman(url: str) -> Iterator[Outcome]:
    """The Postman file, by newman, without the reference folder."""
    folders = [one["name"] for one in json.loads(POSTMAN.read_text("utf-8"))["item"] if one["name"] != REFERENCE]
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        command = [str(NEWMAN), "run", str(POSTMAN), "--environment", str(ENVIRONMENT), "--env-var", f"baseUrl={url}"]
        command += [f"--folder={name}" for name in folders]
        command += ["--timeout-request", str(REQUEST_TIMEOUT_MS), "--reporters", "json"]
        command += ["--reporter-json-export", str(report)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if not report.exists():
            sys.exit(f"newman made no report: {ended.stdout}{ended.stderr}")
        told = json.loads(report.read_text("utf-8"))["run"]
    yield from (_outcome(execution) for execution in told["executions"])
    # What newman calls a failure and no request shows, such as a collection that cannot be read.
    if ended.returncode and not told["failures"]:
        sys.exit(f"newman ended with {ended.returncode}: {ended.stdout}{ended.stderr}")


def _outcome(execution: Any) -> Outcome:
    request, assertions = execution["request"], execution.get("assertions", ())
    failures = [f"{one['assertion']}: {one['error']['message']}" for one in assertions if one.get("error")]
    broken = [execution["requestError"]] if "requestError" in execution else []
    broken += [script["error"] for script in execution.get("testScript", ()) if "error" in script]
    failures += [str(error.get("message", error)) for error in broken]
    path = "/" + "/".join(request["url"]["path"])
    status = execution.get("response", {}).get("code", 0)
    return Outcome(execution["item"]["name"], request["method"], path, status, tuple(failures))


def tell(title: str, outcomes: Iterator[Outcome]) -> None:
    """Print each request. Ends this process when any of them failed, or when there was none."""
    print(f"\n{title}")
    told = []
    for outcome in outcomes:
        print(outcome, flush=True)
        told.append(outcome)
    failed = sum(bool(outcome.failures) for outcome in told)
    print(f"{len(told)} requests, {failed} failed")
    if failed or not told:
        sys.exit(f"{title}: the story does not hold.")


def main() -> None:
    """Tell the story with each tool to each topology; the second tool finds the data of the first."""
    tools: dict[str, Callable[[str], Iterator[Outcome]]] = {"Insomnia": insomnia, "Postman": postman}
    for topology in ("solo", "split"):
        with tempfile.TemporaryDirectory() as folder, running(topology, Path(folder)) as platform:
            for tool, outcomes_of in tools.items():
                tell(f"{tool}, {topology}", outcomes_of(platform.url))


if __name__ == "__main__":
    main()
