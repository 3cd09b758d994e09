"""What is attacked: the platform in every form that a client may meet."""

from typing import Any

import argon2
import pytest

from tests.gateway.stack import echo
from tests.running import solo, split

__all__ = ["echo", "solo", "split"]


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each computation of Argon2, as it happens."""
    done: list[str] = []
    # Beneath the hasher, which does no work at all for a hash that is none.
    for name in ("hash_secret", "verify_secret"):
        original = getattr(argon2._password_hasher, name)

        def counted(*args: Any, original: Any = original, name: str = name, **options: Any) -> Any:
            cost = args[0].split(b"$")[1:4] if name == "verify_secret" else ""
            done.append(f"{name} {cost}")
            return original(*args, **options)

        monkeypatch.setattr(argon2._password_hasher, name, counted)
    return done
