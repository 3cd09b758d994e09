"""A process is killed in the middle of long work: nothing is lost, nothing doubled."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.api import Person, new_person
from tests.topologies import eventually, running

ROWS = 3000
IMPORTS = "/api/customers/imports"


def workers(home: Path) -> list[int]:
    """The web processes of every component."""
    masters = [
        child["pid"] for child in json.loads((home / "children.json").read_text()) if child["name"] != "postgres"
    ]
    children = (Path(f"/proc/{pid}/task/{pid}/children").read_text().split() for pid in masters)
    return [int(pid) for found in children for pid in found]


def imported(person: Person) -> Any:
    lines = "".join(f"Customer {n},{n},c{n}@example.com\n" for n in range(ROWS))
    data = f"name,external_id,email\n{lines}".encode()
    answer = person.request("POST", "/api/customers/import", data=data, headers={"Content-Type": "text/csv"})
    return answer.ok(202)["import"]


def test_an_import_goes_on_after_kill_9(tmp_path: Path) -> None:
    with running("solo", tmp_path) as platform:
        owner = new_person(platform.url)

        def shown(file: Any) -> Any:
            answer = owner.get(f"{IMPORTS}/{file['id']}")
            return answer.json["import"] if answer.status == 200 else {"rows": {}}

        first = imported(owner)
        eventually(lambda: 0 < shown(first)["rows"].get("created", 0) < ROWS, "the import is in its middle")
        for pid in workers(platform.home):
            os.kill(pid, signal.SIGKILL)
        done = eventually(lambda: shown(first).get("finished_at") and shown(first), "the import is done")
        assert (done["status"], done["rows"]) == ("done", {"created": ROWS})
        assert owner.get("/api/customers?search=customer&per_page=1").ok()["total"] == ROWS

        again = imported(owner)
        done = eventually(lambda: shown(again).get("finished_at") and shown(again), "the second import is done")
        assert done["rows"] == {"unchanged": ROWS}
