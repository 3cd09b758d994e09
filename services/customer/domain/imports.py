"""Imports: a file is checked as a whole, then written in steps that a crash can neither lose nor double."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, String, Uuid, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import JSONB

from kit import background, clock
from kit.db import rows_of
from kit.errors import NotFound
from kit.identity import current
from kit.pages import Page, paginate
from services.customer.domain.upserts import Row, upsert
from services.customer.models import Import, ImportRow, db

CHUNK = 500
KEPT = timedelta(days=30)
IMPORT_ORDER = {"created_at": Import.created_at, "id": Import.id}
ROW_ORDER = {"number": ImportRow.number}

# Turns the cells of a row into checked fields, and what is wrong with them.
Reader = Callable[[dict[str, str]], tuple[dict[str, Any], dict[str, Any]]]


class NoSuchImport(NotFound):
    """This import does not exist, or ended more than a month ago."""


@dataclass(frozen=True, slots=True)
class Progress:
    """An import, and how many of its rows came to what."""

    file: Import
    rows: dict[str, int]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def start_import(
    rows: Iterable[tuple[int, dict[str, str]]], *, dry_run: bool, skip_faulty: bool, id_property: str | None
) -> Progress:
    """Take in the rows of a file, as (number in the file, cell by column). The work begins after the commit."""
    db.session.execute(delete(Import).where(Import.finished_at < clock.now() - KEPT))
    lines = [{"number": number, "cells": cells} for number, cells in rows]
    file = Import(is_dry_run=dry_run, skips_faulty=skip_faulty, id_property=id_property, total=len(lines))
    file.user_id = current.user_id
    db.session.add(file)
    db.session.flush()
    if lines:
        db.session.execute(insert(ImportRow), [line | {"import_id": file.id} for line in lines])
    db.after_commit(background.wake)
    return _progress(file)


def get_import(import_id: UUID) -> Progress:
    """An import and how far it is. Raises NoSuchImport."""
    return _progress(db.find(Import, import_id, NoSuchImport))


def list_imports(**page: Any) -> Page:
    """The imports of the last month."""
    return paginate(db, select(Import), IMPORT_ORDER, **page)


def list_import_rows(import_id: UUID, *, outcome: str | None = None, **page: Any) -> Page:
    """The report: what came of each row, and why not. Raises NoSuchImport."""
    query = select(ImportRow).where(ImportRow.import_id == db.find(Import, import_id, NoSuchImport).id)
    if outcome:
        query = query.where(ImportRow.outcome == outcome)
    return paginate(db, query, ROW_ORDER, **page)


def continue_import(file: Import, read: Reader) -> None:
    """The next step of a locked import: some rows, or the turn from checking to writing, or the end."""
    query = select(ImportRow).where(ImportRow.import_id == file.id, ImportRow.number > file.position)
    # Fewer rows after each failure, so that a step which took too long ends in time.
    chunk = list(db.session.scalars(query.order_by(ImportRow.number).limit(max(1, CHUNK >> file.attempts))))
    if chunk:
        settle = _check if file.status == "checking" else _write
        _save(file, settle(file, chunk, read))
        file.position, file.attempts = chunk[-1].number, 0
        file.due_at = clock.now()  # behind the files of others
    elif file.status == "checking":
        _decide(file)
    else:
        _end(file, "done")


def _progress(file: Import) -> Progress:
    counted = select(ImportRow.outcome, func.count()).where(ImportRow.import_id == file.id)
    found = {
        outcome or "pending": number for outcome, number in db.session.execute(counted.group_by(ImportRow.outcome))
    }
    return Progress(file, found)


def _check(file: Import, chunk: list[ImportRow], read: Reader) -> list[dict[str, Any]]:
    rows = [Row(line.number, *read(line.cells or {})) for line in chunk]
    upsert(rows, id_property=file.id_property, dry_run=True)
    for row in rows:
        if row.outcome != "faulty" and not file.is_dry_run:
            row.outcome, row.customer_id = "valid", None  # what would become of it now may change until it is written
    return [_settled(row, cells=row.fields, keys=row.marks) for row in rows]


def _write(file: Import, chunk: list[ImportRow], _read: Reader) -> list[dict[str, Any]]:
    rows = [Row(line.number, _fields(line.cells or {}), marks=line.keys) for line in chunk if line.outcome == "valid"]
    upsert(rows, id_property=file.id_property)
    return [_settled(row, cells=None, keys=[]) for row in rows]


def _fields(kept: dict[str, Any]) -> dict[str, Any]:
    """Checked fields as they come back from JSON."""
    born = kept.get("birth_date")
    return kept | {"birth_date": date.fromisoformat(born)} if born else kept


def _settled(row: Row, *, cells: Any, keys: list[str]) -> dict[str, Any]:
    return {
        "number": row.number,
        "cells": cells,
        "keys": keys,
        "outcome": row.outcome,
        "customer_id": row.customer_id,
        "errors": row.errors,
    }


COLUMNS: dict[str, Any] = {
    "number": Integer(),
    "cells": JSONB(none_as_null=True),
    "keys": JSONB(),
    "outcome": String(),
    "customer_id": Uuid(),
    "errors": JSONB(),
}


def _save(file: Import, settled: list[dict[str, Any]]) -> None:
    """Write down what came of many rows, in one statement."""
    if not settled:
        return
    new = rows_of(**{name: (kind, [row[name] for row in settled]) for name, kind in COLUMNS.items()})
    changes = {name: new.c[name] for name in COLUMNS if name != "number"}
    save = update(ImportRow).where(ImportRow.import_id == file.id, ImportRow.number == new.c.number).values(changes)
    db.session.execute(save, execution_options={"synchronize_session": False})


def _decide(file: Import) -> None:
    """After the last row is checked: nothing is written of a file in which a row is faulty, unless that was wished."""
    _refuse_repeated(file)
    faulty = select(ImportRow.number).where(ImportRow.import_id == file.id, ImportRow.outcome == "faulty").limit(1)
    if file.is_dry_run:
        _end(file, "checked")
    elif db.session.scalar(faulty) and not file.skips_faulty:
        _end(file, "refused")
    else:
        file.status, file.position = "writing", 0


def _refuse_repeated(file: Import) -> None:
    """A customer who stands in a file twice cannot be both: the later row is faulty."""
    query = select(ImportRow.number, ImportRow.keys).where(
        ImportRow.import_id == file.id, ImportRow.outcome != "faulty"
    )
    seen: dict[str, int] = {}
    repeated = []
    for number, keys in db.session.execute(query.order_by(ImportRow.number)):
        first = next((seen[key] for key in keys if key in seen), None)
        if first is None:
            seen |= dict.fromkeys(keys, number)
        else:
            row = Row(number, {})
            row.refuse(row=[f"This is the customer of row {first} again."])
            repeated.append(_settled(row, cells=None, keys=[]))
    for start in range(0, len(repeated), CHUNK):
        _save(file, repeated[start : start + CHUNK])


def _end(file: Import, status: str) -> None:
    file.status, file.due_at, file.finished_at = status, None, clock.now()
    left = update(ImportRow).where(ImportRow.import_id == file.id, ImportRow.cells.is_not(None))
    forgotten = left.values(cells=None, keys=[])
    db.session.execute(forgotten, execution_options={"synchronize_session": False})
