"""Keys are made once, published before they sign, and rotated without refusing a token that is on its way."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from alicerce import home, keys
from kit import config, tokens
from kit.config import ConfigurationError

COMPONENTS = ("gateway", "access", "customer")


@pytest.fixture
def directory(generated: Path) -> Path:
    keys.ensure(COMPONENTS)
    return generated / "keys"


def published(directory: Path) -> list[dict[str, Any]]:
    return list(json.loads((directory / "public.json").read_text())["keys"])


def test_every_component_has_a_key_and_all_read_one_set(directory: Path) -> None:
    entries = published(directory)
    assert [entry["component"] for entry in entries] == list(COMPONENTS)
    for entry in entries:
        assert {k: entry[k] for k in ("kty", "crv", "use", "alg")} == {
            "kty": "OKP",
            "crv": "Ed25519",
            "use": "sig",
            "alg": "EdDSA",
        }
        assert entry["kid"].startswith(f"{entry['component']}-")
        assert datetime.fromisoformat(entry["created_at"]).tzinfo is not None
        assert "d" not in entry


def test_private_keys_are_for_their_owner_alone(directory: Path) -> None:
    for folder in (directory, directory / "private"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for component in COMPONENTS:
        path = directory / "private" / f"{component}.pem"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert load_pem_private_key(path.read_bytes(), None)


def test_only_what_is_missing_is_made(directory: Path) -> None:
    before = (directory / "public.json").read_text()
    gateway = (directory / "private" / "gateway.pem").read_text()
    keys.ensure((*COMPONENTS, "tenant"))
    assert published(directory)[:3] == json.loads(before)["keys"]
    assert (directory / "private" / "gateway.pem").read_text() == gateway
    assert published(directory)[3]["component"] == "tenant"


def test_a_lost_public_set_is_written_again_from_the_private_keys(directory: Path) -> None:
    kids = [entry["kid"] for entry in published(directory)]
    (directory / "public.json").unlink()
    keys.ensure(COMPONENTS)
    assert [entry["kid"] for entry in published(directory)] == kids


def test_a_lost_private_key_retires_its_public_one(directory: Path) -> None:
    (directory / "private" / "access.pem").unlink()
    keys.ensure(COMPONENTS)
    old, new = (entry for entry in published(directory) if entry["component"] == "access")
    assert "retired_at" in old
    assert "retired_at" not in new


def test_a_key_is_published_before_it_can_sign(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = home.write

    def only_the_set(path: Path, text: str, mode: int = 0o600) -> None:
        if path.suffix == ".pem":
            raise OSError(28, "No space left on device")
        write(path, text, mode)

    old = (directory / "private" / "access.pem").read_text()
    monkeypatch.setattr(home, "write", only_the_set)
    with pytest.raises(OSError, match="No space"):
        keys.rotate("access")
    assert len(published(directory)) == 4
    assert (directory / "private" / "access.pem").read_text() == old
    monkeypatch.setattr(home, "write", write)
    keys.ensure(COMPONENTS)
    current = [entry for entry in published(directory) if "retired_at" not in entry]
    assert sorted(entry["component"] for entry in current) == sorted(COMPONENTS)


def test_rotation_keeps_the_old_public_key_for_a_day(directory: Path) -> None:
    old = next(entry["kid"] for entry in published(directory) if entry["component"] == "access")
    keys.rotate("access")
    access = [entry for entry in published(directory) if entry["component"] == "access"]
    assert [entry["kid"] == old for entry in access] == [True, False]
    assert "retired_at" in access[0]
    assert sum("retired_at" in entry for entry in published(directory)) == 1

    entries = published(directory)
    for entry in entries:
        if entry["kid"] == old:
            entry["retired_at"] = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    (directory / "public.json").write_text(json.dumps({"keys": entries}))
    keys.rotate("gateway")
    assert old not in [entry["kid"] for entry in published(directory)]


def test_rotating_all_gives_everybody_a_new_key(directory: Path) -> None:
    keys.rotate("all")
    current = {entry["component"] for entry in published(directory) if "retired_at" not in entry}
    assert current >= {"gateway", "access"}


def test_an_unknown_component_is_one_sentence(directory: Path) -> None:
    with pytest.raises(ConfigurationError, match="no component 'nobody': use all, or one of gateway, access"):
        keys.rotate("nobody")


def test_a_file_that_is_no_key_is_one_sentence(directory: Path) -> None:
    (directory / "private" / "gateway.pem").write_text("nonsense")
    with pytest.raises(ConfigurationError, match=r"gateway\.pem cannot be used"):
        keys.ensure(COMPONENTS)


def test_with_a_secret_key_the_private_keys_are_encrypted(generated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "a long random text")
    keys.ensure(["gateway"])
    path = generated / "keys" / "private" / "gateway.pem"
    assert "ENCRYPTED" in path.read_text()
    assert tokens.load_private_key(path)
    monkeypatch.setenv("SECRET_KEY", "another text")
    with pytest.raises(ConfigurationError, match="SECRET_KEY"):
        tokens.load_private_key(path)


def test_a_placeholder_secret_is_refused_outside_of_development(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET_KEY", "change-me-please")
    monkeypatch.setenv("ENV", "development")
    assert config.passphrase() is None
    monkeypatch.setenv("ENV", "production")
    with pytest.raises(ConfigurationError, match="example"):
        config.passphrase()
