"""Logs on standard output: one JSON object a line, or the text form `time - service - level - where - message`.

Bodies, query strings, tokens and passwords are never logged.
"""

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import orjson

from kit import trace
from kit.config import ENV, one_of, setting

LOG_LEVEL = setting("LOG_LEVEL", "INFO", "Least severity that is logged.", one_of("DEBUG", "INFO", "WARNING", "ERROR"))
LOG_FORMAT = setting("LOG_FORMAT", "json", "Form of the logs.", one_of("json", "text"))

ROOT = "alicerce"


def _service(record: logging.LogRecord) -> str:
    parts = record.name.split(".")
    return parts[1] if parts[0] == ROOT and len(parts) > 1 else parts[0]


class JsonFormatter(logging.Formatter):
    """One JSON object a record; `extra={"fields": {…}}` adds members."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "service": _service(record),
            "environment": ENV(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := trace.current_request_id():
            line["request_id"] = request_id
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


class TextFormatter(logging.Formatter):
    """The form that people read: timestamp - service - level - function:line - message."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        where = f"{record.funcName}:{record.lineno}"
        fields = " ".join(f"{key}={value}" for key, value in getattr(record, "fields", {}).items())
        message = f"{record.getMessage()} {fields}".strip().replace("\n", "\\n")
        text = f"{moment} - {_service(record)} - {record.levelname} - {where} - {message}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def configure() -> None:
    """Send every log of this process to standard output in the configured form. May be called again."""
    root = logging.getLogger()
    if any(getattr(handler, "is_ours", False) for handler in root.handlers):
        return
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter() if LOG_FORMAT() == "json" else TextFormatter())
    handler.is_ours = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    root.setLevel(LOG_LEVEL())
    logging.getLogger("urllib3").setLevel(logging.WARNING)


def logger(service: str) -> logging.Logger:
    """The logger of one service or component."""
    return logging.getLogger(f"{ROOT}.{service}")
