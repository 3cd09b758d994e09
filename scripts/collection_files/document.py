"""The gateway's OpenAPI document, built in this process. It takes no database: nothing connects before it queries."""

import os
import tempfile
from typing import Any

import orjson

from alicerce import keys, solo
from alicerce.services import services
from kit import transport

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


def merged() -> dict[str, Any]:
    """The document of everything public. Raises RuntimeError when a service is missing from it."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(ALICERCE_HOME=folder, ENV="test", LOG_LEVEL="WARNING")
        os.environ.update({f"{noun.upper()}_SERVICE_DATABASE_URL": NOWHERE for noun in services()})
        try:
            keys.ensure(keys.components())
            answer = solo.create_app().test_client().get("/openapi.json")
        finally:
            transport.unmount_all()
            os.environ.clear()
            os.environ.update(before)
    document: dict[str, Any] = orjson.loads(answer.data)
    if "x-unavailable" in document:
        raise RuntimeError(f"These services gave no document: {', '.join(document['x-unavailable'])}.")
    return document
