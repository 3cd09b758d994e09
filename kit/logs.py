"""Logs on standard output: one JSON object a line, or the text form `timestamp - service - level - where - message`.

Bodies, query strings, tokens and passwords are never logged, nor the rows that Postgres quotes in its errors.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any

import orjson
from flask import g, has_app_context

from kit import trace
from kit.config import ENV, one_of, setting

LOG_LEVEL = setting("LOG_LEVEL", "INFO", "Least severity that is logged.", one_of("DEBUG", "INFO", "WARNING", "ERROR"))
LOG_FORMAT = setting("LOG_FORMAT", "json", "Form of the logs.", one_of("json", "text"))

# What no form of ours shows need not be found out for each line.
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
if hasattr(logging, "logAsyncioTasks"):  # since Python 3.12
    logging.logAsyncioTasks = False

ROOT = "alicerce"
MAIN, API = "main", "API"  # the parts of a service that log: all of it, and its HTTP
# Where Postgres quotes the row that it refuses, up to what SQLAlchemy and Python write after it.
DETAIL = re.compile(r"DETAIL:.*?(?=\n+(?:\[SQL:|\(Background on|The above exception|During handling)|\Z)", re.DOTALL)
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def say(log: logging.Logger, fields: dict[str, Any]) -> None:
    """One line `request`. Where in the code that was said is not looked for: it takes longer than to write the line."""
    if log.isEnabledFor(logging.INFO):
        log.handle(log.makeRecord(log.name, logging.INFO, __file__, 0, "request", (), None, "say", {"fields": fields}))


def _origin(record: logging.LogRecord) -> tuple[str, str]:
    """The service and the logger of a record. What a library says while it serves one belongs to that service."""
    root, _, rest = record.name.partition(".")
    if root == ROOT and rest:
        service, _, component = rest.partition(".")
        return service, component or MAIN
    return (str(g.get("component", root)) if has_app_context() else root), record.name


def _thread(record: logging.LogRecord) -> dict[str, Any]:
    """What ties the record to its request: ids of the request, the trace and the span; then its own fields."""
    request_id, hop = trace.current_request_id(), trace.current_hop()
    ids = {"request_id": request_id} if request_id else {}
    return ids | (hop.fields() if hop else {}) | getattr(record, "fields", {})


def _withhold(text: str) -> str:
    return DETAIL.sub("DETAIL: withheld", text) if "DETAIL:" in text else text


class JsonFormatter(logging.Formatter):
    """One JSON object a record; `extra={"fields": {…}}` adds members."""

    def __init__(self) -> None:
        super().__init__()
        self.environment = ENV()

    def format(self, record: logging.LogRecord) -> str:
        service, name = _origin(record)
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "service": service,
            "environment": self.environment,
            "logger": name,
            "message": _withhold(record.getMessage()),
        }
        line.update(_thread(record))
        if record.exc_info:
            line["exception"] = _withhold(self.formatException(record.exc_info))
        try:
            return orjson.dumps(line, default=str).decode()
        except TypeError:  # half of a surrogate pair, or a very large number: the line is worth more than its speed
            return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """The form that people read: timestamp - service - level - function:line - message."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        where = f"{record.funcName}:{record.lineno}"
        fields = " ".join(f"{key}={value}" for key, value in _thread(record).items())
        message = UNPRINTABLE.sub(_escape, f"{_withhold(record.getMessage())} {fields}".strip())
        text = f"{moment} - {_origin(record)[0]} - {record.levelname} - {where} - {message}"
        return f"{text}\n{_withhold(self.formatException(record.exc_info))}" if record.exc_info else text


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def configure(service: str = "") -> None:
    """Send every log of this process to standard output in the configured form. May be called again.

    A service may have a level of its own, `<NOUN>_SERVICE_LOG_LEVEL`.
    """
    root = logging.getLogger()
    if not any(getattr(handler, "is_ours", False) for handler in root.handlers):
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(JsonFormatter() if LOG_FORMAT() == "json" else TextFormatter())
        handler.is_ours = True  # type: ignore[attr-defined]
        root.addHandler(handler)
        root.setLevel(LOG_LEVEL())
        for name in ("urllib3", "alembic.runtime.plugins"):  # the latter lists its own parts before each answer
            logging.getLogger(name).setLevel(logging.WARNING)
    if service and LOG_LEVEL.of(service) != LOG_LEVEL():
        logger(service).setLevel(LOG_LEVEL.of(service))


def logger(service: str, part: str = "") -> logging.Logger:
    """The logger of one service, or of one part of it."""
    return logging.getLogger(".".join(filter(None, (ROOT, service, part))))
