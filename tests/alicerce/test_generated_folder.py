"""The generated folder is private, whole after any cut, and its secrets are drawn once."""

import os
import stat
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from alicerce import home
from kit.config import ConfigurationError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_its_owner_may_enter(generated: Path) -> None:
    old = os.umask(0)
    try:
        home.secret("auth_app")
    finally:
        os.umask(old)
    assert mode(generated) == 0o700
    assert mode(generated / "secrets.json") == 0o600


def test_only_its_owner_may_enter_whatever_is_made_first(generated: Path) -> None:
    home.private_folder(generated / "keys" / "private")
    assert [mode(path) for path in (generated, generated / "keys")] == [0o700, 0o700]


def test_a_secret_is_drawn_once(generated: Path) -> None:
    first = home.secret("auth_app")
    assert len(first) >= 32
    assert home.secret("auth_app") == first
    assert home.secret("tenant_app") != first


def _draw(folder: str) -> list[str]:
    return [home.secret(f"role_{number}", Path(folder)) for number in range(20)]


def test_processes_that_draw_at_once_agree(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4) as pool:
        drawn = list(pool.map(_draw, [str(tmp_path)] * 4))
    assert all(one == drawn[0] for one in drawn)


def test_a_damaged_file_is_one_sentence(generated: Path) -> None:
    home.folder().joinpath("secrets.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"secrets.json is damaged: restore it"):
        home.secret("auth_app")


def test_a_write_that_fails_leaves_the_old_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "environment"
    home.write(path, "old\n")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        home.write(path, "new\n")
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]
