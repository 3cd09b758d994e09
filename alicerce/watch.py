"""What has changed in the source tree, for `make dev`.

A look at some hundred files twice a second costs next to nothing, works in every container, and needs no library.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

SHARED = ("kit", "contracts")
Look = dict[Path, tuple[int, int]]


class Watch:
    """The files of the gateway, the services and what they share; of one service alone if it is named."""

    def __init__(self, root: Path, service: str | None = None) -> None:
        own = [root / "services" / service] if service else [root / "gateway", root / "services"]
        self.root, self.folders = root, [*own, *(root / name for name in SHARED)]
        self._seen = self._look()

    def changed(self) -> list[Path]:
        """The files that were written, added or removed since the last question, relative to the tree."""
        before, self._seen = self._seen, self._look()
        return sorted(path for path in before.keys() | self._seen if before.get(path) != self._seen.get(path))

    def _look(self) -> Look:
        found: Look = {}
        for path in self._files():
            with suppress(OSError):  # an editor has just replaced it
                state = path.stat()
                found[path.relative_to(self.root)] = state.st_mtime_ns, state.st_size
        return found

    def _files(self) -> Iterator[Path]:
        for folder in self.folders:
            for path in folder.rglob("*"):
                hidden = path.name.startswith((".", "#")) or path.name.endswith("~")
                if "." in path.name and not hidden and path.suffix != ".pyc":
                    yield path


def affected(changed: Sequence[Path]) -> set[str] | None:
    """The components that these files belong to; None when it is all of them."""
    if any(path.parts[0] in SHARED for path in changed):
        return None
    return {path.parts[1] if path.parts[0] == "services" else path.parts[0] for path in changed}
