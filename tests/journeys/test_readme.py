"""The README's story, pasted as a newcomer would paste it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.topologies import Running

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_story_of_the_readme_ends_as_it_says(solo: Running) -> None:
    tell(solo.url)


def tell(address: str) -> None:
    """Run the story against a platform, and compare its answers with what it announces."""
    if shutil.which("curl") is None:
        assert os.environ.get("CI") != "true", "The story of the README needs curl: apt-get install curl."
        pytest.skip("the story of the README needs curl")
    story = re.findall(r"^```sh\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    assert len(story) == 1
    told = subprocess.run(
        ["bash", "-e", "-u", "-o", "pipefail", "-c", story[0]],
        env=os.environ | {"API": address},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert '"message":"Registered. You can log in now."' in told.stdout
    assert '"total":1' in told.stdout
    assert '"lifecycle_stage":"prospect"' in told.stdout
    assert '"message":"Customer reactivated."' in told.stdout
    assert '"price":"4.50"' in told.stdout
    assert '"message":"Interaction recorded."' in told.stdout
    assert '"balance":45000' in told.stdout
    assert '"code":"token_revoked"' in told.stdout.splitlines()[-1].rpartition('{"type"')[2]
