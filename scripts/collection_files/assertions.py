"""What is expected of an answer, and kept of it, as the script that Postman and Insomnia run after it, line by line.

Both tools know Chai's `expect`; they differ in the name of their object, `pm` and `insomnia`.
"""

import json
from typing import Any

from scripts.collection_files.plan import Expectation


def lines(tool: str, expected: Expectation) -> list[str]:
    """The script's lines: the status first, so that it is judged even when the body is not JSON."""
    script = [_test(tool, f"status {expected.status}", f"{tool}.response.code", f"eql({expected.status})")]
    if expected.members or expected.shows or expected.keeps:
        script.append(f"const json = {tool}.response.json();")
    script += [_test(tool, f"has {name}", "json", f"have.property({_js(name)})") for name in expected.members]
    script += [
        _test(tool, f"{path} is {_js(value)}", f"json.{path}", f"eql({_js(value)})")
        for path, value in expected.shows.items()
    ]
    for name, path in expected.keeps.items():
        script.append(_test(tool, f"{path} is there", f"json.{path}", "be.ok"))
        script.append(f"{tool}.environment.set({_js(name)}, json.{path});")
    return script


def _test(tool: str, title: str, subject: str, claim: str) -> str:
    return f"{tool}.test({_js(title)}, () => {tool}.expect({subject}).to.{claim});"


def _js(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
