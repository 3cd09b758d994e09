"""A service whose requests connect to the test, say their path, and end when the test says so. It needs no database."""

import os
import socket

from flask import request

from kit.app import create_service
from kit.blueprint import Blueprint
from kit.db import Database
from kit.identity import public
from kit.lanes import slow

os.environ.setdefault("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")  # is never connected to

routes = Blueprint("called", __name__)


def _call() -> dict[str, str]:
    with socket.create_connection(("127.0.0.1", int(os.environ["CALLED"]))) as called:
        called.sendall(request.path.encode())
        return {"answer": called.recv(100).decode()}


@routes.get("/held/<int:number>")
@public
@routes.answers(200)
def hold(number: int) -> dict[str, str]:
    """Answer when the test says so."""
    return _call()


@routes.get("/slow/<int:number>")
@public
@slow
@routes.answers(200)
def hold_long(number: int) -> dict[str, str]:
    """Answer when the test says so, in the slow lane."""
    return _call()


app = create_service("called", port=1, db=Database(), blueprints=[routes])
