"""Search by the beginnings of words, without accents, over a table of normalised words.

Row-level security takes the index away from LIKE, full-text and trigram search, because their operators are not
leakproof; a range over (tenant, word) in C collation keeps it. A model says what can be found:

    class Customer(db.Model, TenantOwned, Record):
        def searchable(self): return (self.name, self.email)

    CustomerWord = word_table(db, Customer)
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    ForeignKeyConstraint,
    Index,
    Select,
    String,
    Uuid,
    and_,
    any_,
    cast,
    delete,
    event,
    func,
    select,
    true,
)
from sqlalchemy.orm import mapped_column

from kit.db import TenantOwned, rows_of
from kit.pages import ESTIMATED, EXACT_TOTAL

MAX_TERMS = 8
MAX_WORD = 64
MAX_KEY = 300
FEW = 2000  # records: what is looked up or sent back without a thought
SPELLINGS = 8  # different words: looked up among 10,000 records, each takes about 1 ms


@dataclass(frozen=True)
class Term:
    """What a word must begin with: as a range, and, where they are known and few, as the words in that range."""

    begun: ColumnElement[bool]
    spellings: Sequence[str] = ()


def normalise(text: str) -> str:
    """Lower case without accents: `Conceição` becomes `conceicao`."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character)).casefold()


def terms(text: str) -> list[str]:
    """The words of a text. A chunk of digits and punctuation is one word: `12.345-6` is found as `123456`."""
    found: list[str] = []
    for chunk in normalise(text).split():
        digits = re.sub(r"\D", "", chunk)
        if digits and not re.search(r"[^\W\d_]", chunk):
            found.append(digits)
        else:
            found.extend(word for word in re.split(r"[\W_]+", chunk) if word)
    return [word[:MAX_WORD] for word in found]


def words(texts: Iterable[str | None]) -> set[str]:
    """All words of several texts."""
    return {word for text in texts if text for word in terms(text)}


def word_table(db: Any, model: Any) -> Any:
    """The table of a model's words, kept up to date in the transaction that changes a row."""
    return _entries(db, model, "word", MAX_WORD, lambda row: words(row.searchable()))


def key_table(db: Any, model: Any) -> Any:
    """The table of what tells two rows for the same thing, such as `email:ana@example.com`; kept like the words.

    The model says what: `def identifying(self): return {…}`, each at most MAX_KEY characters long.
    """
    return _entries(db, model, "key", MAX_KEY, lambda row: row.identifying())


def _entries(db: Any, model: Any, name: str, length: int, entries_of: Callable[[Any], set[str]]) -> Any:
    """A table (tenant, entry, record), with the entries in a column called `name`."""
    table = model.__tablename__
    arguments = (
        ForeignKeyConstraint(["tenant_id", "record_id"], [f"{table}.tenant_id", f"{table}.id"], ondelete="CASCADE"),
        Index(f"ix_{table}_{name}_record", "tenant_id", "record_id"),
    )
    columns = {
        "__tablename__": f"{table}_{name}",
        "__table_args__": arguments,
        name: mapped_column(String(length, collation="C"), primary_key=True),
        "record_id": mapped_column(Uuid, primary_key=True),
    }
    entries: Any = type(f"{model.__name__}{name.capitalize()}", (db.Model, TenantOwned), columns)
    column, record_id = entries.__table__.c[name], entries.__table__.c.record_id

    def rewrite(session: Any, _context: Any) -> None:
        """Once per flush and for all its rows, so that a thousand new rows cost two statements."""
        new = [row for row in session.new if isinstance(row, model)]
        changed = [row for row in session.dirty if isinstance(row, model)]
        if not new and not changed:
            return
        connection, tenant_id = session.connection(), (new or changed)[0].tenant_id
        wanted = {(row.id, entry) for row in (*new, *changed) for entry in entries_of(row)}
        old = _present(connection, entries, column, tenant_id, changed) if changed else set()
        if gone := old - wanted:
            # Pairs in a list would be nested by Postgres one in the other, deeper than its stack at some thousands.
            past = _pairs(gone)
            same = (record_id == past.c.record_id) & (column == past.c.entry)
            own = entries.__table__.c.tenant_id == tenant_id
            connection.execute(delete(entries.__table__).where(own, same))
        if added := wanted - old:
            _add_later(connection.connection, f"{table}_{name}", name, tenant_id, added)

    event.listen(db.session, "after_flush", rewrite)
    entries.session = db.session
    return entries


def _present(connection: Any, entries: Any, column: Any, tenant_id: Any, rows: list[Any]) -> set[tuple[Any, str]]:
    record_id, own = entries.__table__.c.record_id, entries.__table__.c.tenant_id == tenant_id
    query = select(record_id, column).where(own, record_id.in_([row.id for row in rows]))
    return {(id, entry) for id, entry in connection.execute(query)}


def _add_later(raw: Any, table: str, name: str, tenant_id: Any, added: set[tuple[Any, str]]) -> None:
    # Nobody waits for these rows, and nothing but a defect of ours could refuse them: they travel with what comes next.
    ids, texts = zip(*added, strict=True)
    statement = (
        f"INSERT INTO {table} (tenant_id, record_id, {name}) SELECT %s::uuid, record_id, entry "  # noqa: S608
        "FROM unnest(%s::uuid[], %s::text[]) AS new_rows(record_id, entry)"
    )
    with raw.cursor() as cursor:
        raw.later(cursor.mogrify(statement, (str(tenant_id), [str(id) for id in ids], list(texts))))


def _pairs(found: set[tuple[Any, str]]) -> Any:
    """Ids and entries as a table inside a statement."""
    ids, texts = zip(*found, strict=True)
    return rows_of(record_id=(Uuid(), ids), entry=(String(), texts))


def matching(query: Select[Any], model: Any, word: Any, text: str | None) -> Select[Any]:
    """Narrow a query to rows in which each term of `text` begins some word. A blank text narrows nothing."""
    found = [Term(_begun(word, term)) for term in terms(text or "")[:MAX_TERMS]]
    if len(found) > 1:
        return _matching_each(query, model, word, found)
    return _matching_one(query, model, word, found[0]) if found else query


def _matching_one(query: Select[Any], model: Any, word: Any, term: Term) -> Select[Any]:
    if _rarest_first(word, [term], EXACT_TOTAL):
        return query.where(_in_each(model, word, [term]))
    # Of so many the planner finds the first ones soon by itself, and nobody counts them.
    return query.where(model.id.in_(_records(word, [term])[0])).execution_options(**{ESTIMATED: True})


def _matching_each(query: Select[Any], model: Any, word: Any, found: list[Term]) -> Select[Any]:
    # Mostly one of several terms is rare, and it costs more to count the others further than to look it up in them.
    if rarest_first := _rarest_first(word, found, FEW):
        return query.where(_in_each(model, word, rarest_first))
    found = _spelt_out(word, found)
    ranges, spelt_out = [term for term in found if not term.spellings], [term for term in found if term.spellings]
    for starts in (ranges, spelt_out):  # what takes long to look up in is what to begin with
        if rarest_first := _rarest_first(word, starts, 2 * EXACT_TOTAL):
            rest = (term for term in (*spelt_out, *ranges) if term is not rarest_first[0])
            return query.where(_in_each(model, word, [rarest_first[0], *rest]))
    first, *others = _records(word, ranges + spelt_out)
    both = list(word.session.scalars(first.where(*(word.record_id.in_(other) for other in others)).limit(FEW + 1)))
    if len(both) <= FEW:
        return query.where(model.id == any_(cast(both, ARRAY(Uuid()))))
    return query.where(*(model.id.in_(records) for records in (first, *others)))


def _rarest_first(word: Any, found: list[Term], bound: int) -> list[Term]:
    """Terms by how many entries begin with them, counted up to `bound`; none if each has more than that."""
    if not found:
        return []
    each = (records.limit(bound + 1).subquery() for records in _records(word, found))
    counts = (select(func.count()).select_from(some).scalar_subquery() for some in each)
    entries = word.session.execute(select(*counts)).one()
    by_entries = sorted(range(len(found)), key=entries.__getitem__)
    return [found[index] for index in by_entries] if min(entries) <= bound else []


def _spelt_out(word: Any, found: list[Term]) -> list[Term]:
    """The terms, with the words that they begin where these are few."""
    spellings = word.session.execute(select(*(_spellings(word, term.begun) for term in found))).one()
    known = zip(found, spellings, strict=True)
    return [Term(term.begun, few if len(few) <= SPELLINGS else []) for term, few in known]


def _spellings(word: Any, begun: ColumnElement[bool]) -> Any:
    """The different words in a range, up to one more than SPELLINGS: each is looked up behind the one before."""
    known = select(func.min(word.word).label("word")).where(begun).cte(recursive=True)
    further = select(func.min(word.word)).where(begun, word.word > known.c.word).correlate(known).scalar_subquery()
    known = known.union_all(select(further).where(known.c.word.is_not(None)))
    some = select(known.c.word).where(known.c.word.is_not(None)).limit(SPELLINGS + 1)
    return func.array(some.scalar_subquery(), type_=ARRAY(String()))


def _in_each(model: Any, word: Any, found: list[Term]) -> ColumnElement[bool]:
    # An array keeps the planner from guessing how many there are: it looks up one term's records among those of the
    # term before, by their ids, and that costs what the first one has, however many rows there are.
    ids = _array(_records(word, found[:1])[0])
    for term in found[1:]:
        ids = _array(_among(word, ids, term))
    named = select(func.unnest(ids).label("id")).cte("named")
    found_ids: ColumnElement[bool] = model.id == any_(_array(select(named.c.id)))
    return found_ids


def _among(word: Any, ids: Any, term: Term) -> Select[Any]:
    """Which records have the term, of some."""
    if not term.spellings:
        return select(word.record_id).where(word.record_id == any_(ids), term.begun)
    # Within one word the primary key is sorted by record, so that looking up many is nearly a merge. By itself the
    # planner would fetch all words of these records; OFFSET 0 makes it go word by word.
    spelt = rows_of(word=(String(), term.spellings))
    own = select(word.record_id).where(word.word == spelt.c.word, word.record_id == any_(ids)).offset(0).lateral()
    return select(own.c.record_id).select_from(spelt.join(own, true()))


def _array(query: Select[Any]) -> Any:
    return func.array(query.scalar_subquery(), type_=ARRAY(Uuid()))


def _begun(word: Any, term: str) -> ColumnElement[bool]:
    # The last character's successor closes the range: [term, term + 1) holds exactly what starts with term.
    return and_(word.word >= term, word.word < term[:-1] + chr(ord(term[-1]) + 1))


def _records(word: Any, found: list[Term]) -> list[Select[Any]]:
    """For each term the records of its entries."""
    conditions = (word.word.in_(term.spellings) if term.spellings else term.begun for term in found)
    return [select(word.record_id).where(condition) for condition in conditions]
