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

from gateway.observed import MINUTES, Minute, Tally, observed
from kit import metrics, prometheus
from kit.metrics import METRICS_TOKEN, NotAnOperator

HEIGHT, SMALL_HEIGHT = 60, 24  # of the pictures of the last half hour: of all requests, and of a service's
STEP = 12  # from one bar to the next
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
        return prometheus.answer()


def _facts(states: dict[str, str]) -> dict[str, Any]:
    minutes = observed.minutes()
    slowest = observed.slowest()
    return {
        "services": [_service(name, state, minutes) for name, state in states.items()],
        "ailing": {name: state for name, state in states.items() if state != "healthy"},
        "all": _picture([minute.all for minute in minutes], HEIGHT),
        "slowest": slowest,
        "longest": max((row["p95"] for row in slowest), default=1.0) or 1.0,
        "errors": observed.errors(),
        "now": time.strftime("%H:%M:%S", time.gmtime()),
        "running": _duration(time.time() - observed.since),
        "pid": os.getpid(),
        "minutes": MINUTES,
        "step": STEP,
    }


def _service(name: str, state: str, minutes: list[Minute]) -> dict[str, Any]:
    tallies = [minute.services.get(name, Tally()) for minute in minutes]
    return {"name": name, "state": state, "picture": _picture(tallies, SMALL_HEIGHT)}


def _picture(tallies: list[Tally], height: int) -> dict[str, Any]:
    """A bar for each minute, and what they add up to."""
    highest = max(tally.requests for tally in tallies)
    return {
        "bars": [_bar(tally, index, height / (highest or 1)) for index, tally in enumerate(tallies) if tally.requests],
        "height": height,
        "highest": highest,
        "requests": sum(tally.requests for tally in tallies),
        "refused": sum(tally.refused for tally in tallies),
        "failed": sum(tally.failed for tally in tallies),
    }


def _bar(tally: Tally, index: int, scale: float) -> dict[str, float]:
    """A minute in a picture: failed requests below, refused ones above them, then the rest."""
    failed, refused, whole = tally.failed * scale, tally.refused * scale, tally.requests * scale
    return {"x": index * STEP, "failed": failed, "refused": refused, "rest": max(0.0, whole - failed - refused)}


def _duration(seconds: float) -> str:
    """As a person would say it: 40 s, 12 min, 3.5 h, 2 days."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"
