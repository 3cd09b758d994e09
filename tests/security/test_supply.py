"""A second reader of the code finds nothing grave in it."""

import json
import subprocess
import sys

from tests.tables import Tally
from tests.test_architecture import ROOT

PACKAGES = ("alicerce", "contracts", "gateway", "kit", "services", "scripts")
GRAVE = ("HIGH", "UNDEFINED")


def test_bandit_finds_nothing_grave(tally: Tally) -> None:
    """Its lesser remarks (subprocess, assert) are ruff's S rules too, which `make check` reads."""
    words = [sys.executable, "-m", "bandit", "--quiet", "--recursive", "--format", "json", *PACKAGES]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    assert report["errors"] == []
    grave = [
        f"{i['filename']}:{i['line_number']} {i['test_id']}" for i in report["results"] if i["issue_severity"] in GRAVE
    ]
    tally("files read by bandit", tried=len(report["metrics"]) - 1, bad=len(grave))
    assert len(report["metrics"]) > 100
    assert grave == []
