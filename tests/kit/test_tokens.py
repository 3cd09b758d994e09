import os
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from alicerce import keys
from kit import clock, tokens
from kit.config import ConfigurationError
from kit.tokens import ACCESS, INTERNAL, InvalidToken, Keyring

NOBODY = {"sub": "svc:gateway", "wl": False, "uid": None, "tid": None, "sid": None, "perms": []}
ID = "0197a3c0-7f10-7c3e-9d55-3f6f2f6a1b2d"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of fresh keys."""
    monkeypatch.setenv("ALICERCE_HOME", str(tmp_path))
    monkeypatch.delenv("KEYS_DIRECTORY", raising=False)
    keys.ensure(keys.components())
    return tmp_path / "keys"


def later(path: Path) -> None:
    """Make sure that a rewritten file is seen as one, however coarse the file system's clock is."""
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000_000))


def test_what_was_signed_is_verified_by_another_process(folder: Path) -> None:
    token = Keyring(folder).sign("gateway", INTERNAL, 60, NOBODY | {"sub": "x", "n": 1})
    claims = Keyring(folder).verify(token, INTERNAL)
    assert (claims["iss"], claims["aud"], claims["sub"], claims["n"]) == ("gateway", tokens.AUDIENCE, "x", 1)
    assert claims["exp"] - claims["iat"] == 60


def test_a_token_of_one_kind_is_none_of_the_other(folder: Path) -> None:
    ring = Keyring(folder)
    person = {"sub": ID, "sid": ID, "jti": ID, "tenant_id": None, "roles": [], "type": "access", "iat_ms": 1_000}
    internal, access = ring.sign("gateway", INTERNAL, 60, NOBODY), ring.sign("access", ACCESS, 60, person)
    ring.verify(internal, INTERNAL)
    ring.verify(access, ACCESS)
    for token, kind in ((internal, ACCESS), (access, INTERNAL)):
        with pytest.raises(InvalidToken):
            ring.verify(token, kind)
    for component, kind in (("gateway", ACCESS), ("access", INTERNAL)):
        with pytest.raises(InvalidToken, match="another purpose"):
            ring.verify(ring.sign(component, kind, 60, person if kind == ACCESS else NOBODY), kind)
    for kind, component, full in ((ACCESS, "access", person), (INTERNAL, "gateway", NOBODY)):
        for name in full:
            for claims in (full | {name: 1.5}, {other: full[other] for other in full if other != name}):
                with pytest.raises(InvalidToken, match=f"{name} is missing or has another shape"):
                    ring.verify(ring.sign(component, kind, 60, claims), kind)


def test_a_remembered_token_expires_too(folder: Path) -> None:
    ring = Keyring(folder)
    token = ring.sign("gateway", INTERNAL, 60, NOBODY)
    ring.verify(token, INTERNAL)
    with clock.shifted(timedelta(seconds=60 + tokens.LEEWAY_S - 2)):
        ring.verify(token, INTERNAL)
    with clock.shifted(timedelta(seconds=60 + tokens.LEEWAY_S + 2)), pytest.raises(InvalidToken, match="expired"):
        ring.verify(token, INTERNAL)


def test_a_rotation_is_seen_without_a_restart(folder: Path) -> None:
    signer, verifier = Keyring(folder), Keyring(folder)
    before = signer.sign("gateway", INTERNAL, 600, NOBODY)
    verifier.verify(before, INTERNAL)
    keys.rotate("gateway")
    later(folder / "public.json")
    later(folder / "private" / "gateway.pem")
    after = signer.sign("gateway", INTERNAL, 600, NOBODY)
    assert before.split(".")[0] != after.split(".")[0]
    assert verifier.verify(after, INTERNAL)["iss"] == "gateway"
    assert verifier.verify(before, INTERNAL)["iss"] == "gateway"


def test_a_withdrawn_key_is_believed_no_longer_than_a_look_counts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = SimpleNamespace(s=100.0)
    monkeypatch.setattr(tokens, "time", SimpleNamespace(monotonic=lambda: now.s))
    ring = Keyring(folder)
    token = ring.sign("gateway", INTERNAL, 60, NOBODY)
    ring.verify(token, INTERNAL)
    (folder / "public.json").write_text('{"keys": []}')
    later(folder / "public.json")
    now.s += tokens.LOOK_S
    with pytest.raises(InvalidToken, match="unknown key"):
        ring.verify(token, INTERNAL)


def test_a_token_is_used_again_for_a_third_of_its_life_and_by_nobody_else(folder: Path) -> None:
    ring = Keyring(folder)

    def signed(**claims: object) -> str:
        return ring.sign_again("gateway", INTERNAL, 60, NOBODY | claims)

    first = signed(sub="ana")
    assert Keyring(folder).verify(first, INTERNAL)["sub"] == "ana"
    with clock.shifted(timedelta(seconds=19)):
        assert signed(sub="ana") == first
    for seconds in (-5, 21):
        with clock.shifted(timedelta(seconds=seconds)):
            assert signed(sub="ana") != first
    assert Keyring(folder).verify(signed(sub="bia"), INTERNAL)["sub"] == "bia"
    assert ring.sign_again("access", INTERNAL, 60, NOBODY | {"sub": "ana"}).split(".")[0] != first.split(".")[0]


def test_a_token_is_not_used_again_once_the_keys_have_changed(folder: Path) -> None:
    ring = Keyring(folder)
    before = ring.sign_again("gateway", INTERNAL, 60, NOBODY)
    keys.rotate("gateway")
    later(folder / "public.json")
    later(folder / "private" / "gateway.pem")
    ring.refresh(afresh=True)
    assert ring.sign_again("gateway", INTERNAL, 60, NOBODY).split(".")[0] != before.split(".")[0]


def test_an_unknown_key_makes_the_set_be_read_once_a_change(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Keyring(folder)
    reads = []
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: reads.append(path) or real(path))
    for _ in range(5):
        with pytest.raises(InvalidToken, match="unknown key"):
            ring.find("nobody")
    assert len(reads) == 1
    later(folder / "public.json")
    with pytest.raises(InvalidToken):
        ring.find("nobody")
    assert len(reads) == 2


@pytest.mark.parametrize("kid", [None, 5, [], {}, "", "../private/gateway.pem"])
def test_a_key_is_found_by_a_name_only(folder: Path, kid: object) -> None:
    with pytest.raises(InvalidToken):
        Keyring(folder).find(kid)


def test_a_missing_key_says_how_to_make_it(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="make keys"):
        Keyring(folder).sign("nobody", INTERNAL, 60, NOBODY)
    with pytest.raises(ConfigurationError, match="make keys"):
        Keyring(tmp_path / "empty").find("x")


def test_only_one_components_public_parts_are_published(folder: Path) -> None:
    published = Keyring(folder).published("access")["keys"]
    assert published
    for key in published:
        assert set(key) == {"kty", "crv", "x", "kid", "use", "alg"}
        assert Keyring(folder).find(key["kid"]).component == "access"
