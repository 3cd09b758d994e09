"""The log: one JSON object a line, turned by size and age alone, and bounded."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from alicerce import journal
from alicerce.journal import Journal

DAY_S = 24 * 3600.0
LONG_S = 120.0
WRITE_MUCH = """
import sys
from pathlib import Path
from alicerce.journal import Journal
log = Journal(Path(sys.argv[1]))
for number in range(3000):
    log.write(f"{number} " + "x" * (number % 300))
"""
FILL_A_DISK = """
import json, resource, sys
from pathlib import Path
from alicerce.journal import Journal
path = Path(sys.argv[1])
log = Journal(path)
log.write("whole")
log.write("cut")
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 50, resource.RLIM_INFINITY))
log.write("cut as well")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.write("after")
"""


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 27, tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.now


def write(path: Path, line: str, clock: Clock | None = None) -> None:
    """Write one line as a supervisor that is started for it and then ends."""
    with closing(Journal(path, clock or Clock())) as log:
        log.write(line)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "alicerce.log"


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def files(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir())


def test_every_line_of_the_file_is_json_and_a_prefix_is_for_the_terminal(
    path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    said = [
        '{"service":"customer","message":"é"}',
        "Traceback (most recent call last):",
        '{"cut',
        "[1]",
        "{}",
        "\ud800 ",
    ]
    with closing(Journal(path)) as log:
        for line in said:
            log.write(line, "customer", prefix="customer | ")
        log.write("Alicerce is stopping.")
    first, *others, last = records(path)
    assert first == {"process": "customer", "service": "customer", "message": "é"}
    assert [record["message"] for record in others] == [*said[1:-1], "? "]
    for record in others:
        assert (record["process"], record["service"], record["level"]) == ("customer", "customer", "INFO")
        assert datetime.fromisoformat(record["time"]).tzinfo == UTC
    assert (last["service"], last["message"]) == ("supervisor", "Alicerce is stopping.")
    shown = capfdbinary.readouterr().out.decode().splitlines()
    assert shown == [*(f"customer | {line}" for line in said[:-1]), "customer | ? ", "Alicerce is stopping."]


def test_no_start_turns_the_log_and_what_a_crash_cut_spoils_no_other_line(path: Path) -> None:
    for number in range(5):
        write(path, f"start {number}")
    with path.open("a") as file:
        file.write('{"message":"cut in the mi')
    write(path, "after the crash")
    *lines, cut, last = path.read_text().splitlines()
    assert [json.loads(line)["message"] for line in lines] == [f"start {number}" for number in range(5)]
    assert cut == '{"message":"cut in the mi'
    assert json.loads(last)["message"] == "after the crash"
    assert files(path) == ["alicerce.log"]


def test_a_large_file_is_turned_and_the_oldest_goes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LIMIT_BYTES", 1)
    with closing(Journal(path)) as log:
        for number in range(20):
            log.write(f"line {number}")
    names = ["alicerce.log", *(f"alicerce.log.{number}" for number in range(1, journal.KEPT + 1))]
    assert files(path) == names
    kept = [records(path.with_name(name))[0]["message"] for name in names]
    assert kept == [f"line {number}" for number in range(19, 19 - len(names), -1)]


def test_a_file_is_turned_when_it_is_a_day_old_however_often_it_was_opened(path: Path) -> None:
    clock = Clock()
    write(path, "yesterday", clock)
    clock.now += 0.9 * DAY_S
    write(path, "still yesterday", clock)
    assert files(path) == ["alicerce.log"]
    clock.now += 0.2 * DAY_S
    write(path, "today", clock)
    assert [record["message"] for record in records(path)] == ["today"]
    turned = path.with_name("alicerce.log.1")
    assert [record["message"] for record in records(turned)] == ["yesterday", "still yesterday"]


def test_a_file_that_its_writer_holds_open_is_emptied_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "LIMIT_BYTES", 10)
    path = tmp_path / "postgres.log"
    with path.open("a") as writer:
        for line in ("small\n", "more than ten bytes\n", "small again\n"):
            writer.write(line)
            writer.flush()
            journal.turn_open(path)
        writer.write("last\n")
    assert path.read_text() == "last\n"
    assert (tmp_path / "postgres.log.1").read_text() == "small again\n"


@pytest.mark.parametrize("ends", [os.pipe, pty.openpty], ids=["pipe", "terminal"])
def test_a_terminal_that_nobody_reads_loses_lines_and_holds_nothing_up(
    path: Path, ends: Callable[[], tuple[int, int]]
) -> None:
    unread, shown = ends()
    try:
        subprocess.run([sys.executable, "-c", WRITE_MUCH, str(path)], stdout=shown, check=True, timeout=LONG_S)
        part = os.read(unread, 1024)
    finally:
        os.close(unread)
        os.close(shown)
    assert len(records(path)) == 3000
    assert part.startswith(b"0 ")


def test_a_line_that_a_full_disk_cut_spoils_no_other(path: Path) -> None:
    subprocess.run([sys.executable, "-c", FILL_A_DISK, str(path)], check=True, capture_output=True, timeout=LONG_S)
    *_, cut, last = path.read_text().splitlines()
    assert len(cut) == 50
    assert json.loads(last)["message"] == "after"


def test_a_file_that_could_not_be_opened_is_tried_again_once_a_second(tmp_path: Path) -> None:
    path, clock = tmp_path / "logs" / "alicerce.log", Clock()
    with closing(Journal(path, clock)) as log:
        log.write("lost")
        path.parent.mkdir()
        clock.now += 0.5
        log.write("lost too")
        clock.now += 0.6
        log.write("kept")
    log.write("closed")
    assert [record["message"] for record in records(path)] == ["kept"]


def test_a_log_is_for_its_owner_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        write(path, "a secret")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_line_that_names_a_process_gets_the_right_one_once() -> None:
    line = journal.as_json('{"process":"forged","message":"x"}', "customer", 0.0)
    assert json.loads(line, object_pairs_hook=tuple) == (("process", "customer"), ("message", "x"))


def test_following_goes_on_through_a_turn_and_shows_all_of_the_new_file(path: Path) -> None:
    many = [f"{number} {'x' * 100}" for number in range(10 * journal.SHOWN_BYTES // 100)]
    steps = iter(["begun", "turned", "made", "ended"])

    def running() -> bool:
        step = next(steps, "ended")
        if step == "turned":
            path.rename(path.with_name("alicerce.log.1"))
        elif step == "made":
            path.write_text("".join(f"{line}\n" for line in many))
        return step != "ended"

    path.write_text("before\n")
    assert list(journal.follow(path, running)) == ["before", *many]
