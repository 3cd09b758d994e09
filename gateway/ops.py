"""`/ops`: how the platform is, on one page without scripts, for whoever runs it."""

import base64
import hashlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask, Response, render_template

from gateway.observed import Minute, observed
from kit import metrics
from kit.metrics import METRICS_TOKEN, NotAnOperator

HEIGHT = 60  # of the picture of the last half hour
TEMPLATE = Path(__file__).parent / "templates" / "ops.html"


def _style_source() -> str:
    style = re.search(r"<style>(.*?)</style>", TEMPLATE.read_text("utf-8"), re.DOTALL)
    digest = hashlib.sha256(style.group(1).encode() if style else b"").digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def attach(app: Flask, health: Callable[[], dict[str, str]]) -> None:
    """Give the gateway its page, and its figures for Prometheus."""
    policy = f"default-src 'none'; style-src {_style_source()}; frame-ancestors 'none'"

    @app.get("/ops", endpoint="/ops")
    def show() -> Response:
        try:
            metrics.check_operator()
        except NotAnOperator:
            if not METRICS_TOKEN():
                raise
            # A browser then asks for it: any name, and the token as password.
            ask = {"WWW-Authenticate": 'Basic realm="Alicerce", charset="UTF-8"'}
            return Response("The METRICS_TOKEN is needed.", 401, ask, content_type="text/plain")
        page = render_template("ops.html", **_facts(health()))
        return Response(page, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": policy})

    @app.get("/metrics", endpoint="/metrics")
    def figures() -> Response:
        return metrics.answer()


def _facts(services: dict[str, str]) -> dict[str, Any]:
    minutes = observed.minutes()
    highest = max(minute.requests for minute in minutes) or 1
    return {
        "services": services,
        "bars": [_bar(minute, index, highest) for index, minute in enumerate(minutes)],
        "highest": highest,
        "last": minutes[-1],
        "before": minutes[-2],
        "slowest": observed.slowest(),
        "errors": observed.errors(),
        "hours": (time.time() - observed.since) / 3600,
        "pid": os.getpid(),
        "height": HEIGHT,
    }


def _bar(minute: Minute, index: int, highest: int) -> dict[str, float]:
    """A minute in the picture: failed requests below, refused ones above them, then the rest."""
    scale = HEIGHT / highest
    failed, refused, whole = minute.failed * scale, minute.refused * scale, minute.requests * scale
    return {"x": index * 12, "failed": failed, "refused": refused, "rest": max(0.0, whole - failed - refused)}
