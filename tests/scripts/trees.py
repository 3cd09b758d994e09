"""A copy of the source tree in which tests may write."""

import shutil
from pathlib import Path

from tests.topologies import ROOT

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".tools", ".alicerce", ".env", ".*_cache", "__pycache__", ".hypothesis"
)


def copy_of_the_tree(folder: Path) -> Path:
    """Everything that is source, in `folder / "tree"`."""
    return Path(shutil.copytree(ROOT, folder / "tree", ignore=LEFT_OUT))
