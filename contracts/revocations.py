"""How the gateway reads what was revoked, from each service that can revoke."""

from dataclasses import dataclass
from datetime import datetime

from kit.client import Sibling

SOURCES = ("auth", "tenant")


@dataclass(frozen=True, slots=True)
class Revocation:
    """Tokens about `subject` that were issued before `at` are void."""

    kind: str
    subject: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Revocations:
    revocations: list[Revocation]


def since(source: str, moment: datetime) -> list[Revocation]:
    """What one source has revoked since a moment; repeats do no harm."""
    answer = Sibling(source).get(Revocations, "internal", "revocations", since=moment.isoformat())
    return answer.revocations
