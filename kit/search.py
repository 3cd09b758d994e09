"""Search by the beginnings of words, without accents, over a table of normalised words.

Row-level security takes the index away from LIKE, full-text and trigram search, because their operators are not
leakproof; a range over (tenant, word) in C collation keeps it. A model says what can be found:

    class Customer(db.Model, TenantOwned, Record):
        def searchable(self): return (self.name, self.email)

    CustomerWord = word_table(db, Customer)
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, Select, String, delete, event, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from kit.db import TenantOwned

MAX_TERMS = 8
MAX_WORD = 64


def normalise(text: str) -> str:
    """Lower case without accents: `Conceição` becomes `conceicao`."""
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
    table = model.__tablename__

    class Word(db.Model, TenantOwned):
        __tablename__ = f"{table}_word"
        __table_args__ = (
            ForeignKeyConstraint(["tenant_id", "record_id"], [f"{table}.tenant_id", f"{table}.id"], ondelete="CASCADE"),
            Index(f"ix_{table}_word_record", "tenant_id", "record_id"),
        )
        word: Mapped[str] = mapped_column(String(MAX_WORD, collation="C"), primary_key=True)
        record_id: Mapped[UUID] = mapped_column(primary_key=True)

    Word.__name__ = f"{model.__name__}Word"

    def rewrite(_mapper: Any, connection: Any, row: Any) -> None:
        new = words(row.searchable())
        own = (Word.__table__.c.tenant_id == row.tenant_id) & (Word.__table__.c.record_id == row.id)
        old = set(connection.scalars(select(Word.__table__.c.word).where(own)))
        if gone := old - new:
            connection.execute(delete(Word.__table__).where(own, Word.__table__.c.word.in_(gone)))
        if added := new - old:
            rows = [{"tenant_id": row.tenant_id, "record_id": row.id, "word": word} for word in sorted(added)]
            connection.execute(insert(Word.__table__), rows)

    event.listen(model, "after_insert", rewrite)
    event.listen(model, "after_update", rewrite)
    return Word


def matching(query: Select[Any], model: Any, word: Any, text: str | None) -> Select[Any]:
    """Narrow a query to rows in which each term of `text` begins some word. A blank text narrows nothing."""
    for term in terms(text or "")[:MAX_TERMS]:
        # The last character's successor closes the range: [term, term + 1) holds exactly what starts with term.
        end = term[:-1] + chr(ord(term[-1]) + 1)
        begins = select(word.record_id).where(word.word >= term, word.word < end)
        query = query.where(model.id.in_(begins))
    return query
