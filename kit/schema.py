"""JSON: schemas that check what comes in and choose what goes out. They never load model instances.

Importing `Schema` from here rather than from marshmallow gives three habits: unknown fields are refused by name,
a PUT may echo read-only fields, and texts come in without NUL and surrounding blanks.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Any, ClassVar
from zoneinfo import available_timezones

from email_validator import EmailNotValidError, validate_email
from flask import has_request_context
from flask_marshmallow import Marshmallow
from flask_marshmallow.sqla import SQLAlchemySchema
from marshmallow import INCLUDE, RAISE, ValidationError, fields, pre_load, validate
from marshmallow import Schema as MarshmallowSchema

from kit import preconditions
from kit.errors import snake_case
from kit.pages import MAX_PAGE, MAX_PER_PAGE, PER_PAGE
from kit.writing import Writer, as_they_are

MAX_ITEMS = 50  # of any list or object inside a record
MAX_DEPTH = 20
MAX_MEMBERS = 200  # of any object that is no JsonObject
CONTROL = re.compile(r"[\x00-\x1f\x7f]")

ma = Marshmallow()


class Schema(SQLAlchemySchema):
    """Base of every resource's schema. Its class name is its envelope's key, in snake case."""

    class Meta:
        unknown = RAISE
        load_instance = False

    singular: ClassVar[str] = ""
    plural: ClassVar[str] = ""
    bare: ClassVar[bool] = False  # its members stand in the answer by themselves, without an envelope
    body_is_optional: ClassVar[bool] = False  # a request without a body stands for one with an empty object
    example: ClassVar[dict[str, Any]] = {}  # how one looks, for the OpenAPI document

    @classmethod
    def key(cls) -> str:
        """The envelope's key for one: `customer`."""
        return cls.singular or snake_case(cls.__name__)

    @classmethod
    def keys(cls) -> str:
        """The envelope's key for many: `customers`."""
        return cls.plural or cls.key() + "s"

    def load(self, data: Any, **options: Any) -> Any:
        """Checked plain values. The base class would look up a library's version each time: half a millisecond."""
        return MarshmallowSchema.load(self, data, **options)

    @cached_property
    def writer(self) -> Writer:
        """What writes records as this schema would dump them, faster."""
        return Writer(self)

    @pre_load
    def refuse_crowds(self, data: Any, **_: Any) -> Any:
        """Refuse an object of more members than any of ours has, before each of them costs an error of its own."""
        if isinstance(data, Mapping) and len(data) > MAX_MEMBERS:
            raise ValidationError(f"An object has at most {MAX_MEMBERS} members here.")
        return data

    @pre_load
    def set_read_only_aside(self, data: Any, **_: Any) -> Any:
        """Take echoed read-only fields out of a change, so that the locked record can be compared with them."""
        if not (self.partial and isinstance(data, Mapping) and has_request_context()):
            return data
        names = {field.data_key or name for name, field in self.fields.items() if field.dump_only}
        seen = {name: value for name, value in data.items() if name in names}
        if seen:
            preconditions.expect(self, seen)
        return {name: value for name, value in data.items() if name not in names}


class Query(ma.Schema):
    """Base of what may stand in a query string; an unknown parameter is named, not ignored."""

    class Meta:
        unknown = RAISE


class Removal(Query):
    """How a record goes: out of use, or for good."""

    hard_delete = fields.Boolean(load_default=False)


class PageQuery(Query):
    """The parameters of every list: `page` and `per_page`, or `cursor` for deep lists; `sort=-created_at,name`."""

    page = fields.Integer(load_default=1, validate=validate.Range(1, MAX_PAGE))
    per_page = fields.Integer(load_default=PER_PAGE, validate=validate.Range(1, MAX_PER_PAGE))
    cursor = fields.String(load_default=None, validate=validate.Length(max=1024))
    sort = fields.String(load_default=None, validate=validate.Length(max=200))


class Line(fields.String):
    """A text without surrounding blanks and without control characters."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs).strip()
        if CONTROL.search(text):
            raise ValidationError("Control characters are not allowed.")
        return text


class Email(Line):
    """An address by the grammar of RFC 5321 and 6531, without asking the network; in lower case."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        try:
            return validate_email(text, check_deliverability=False).normalized.lower()
        except EmailNotValidError as error:
            raise ValidationError(f"Not an e-mail address: {error}") from error


def naming(kind: str) -> dict[str, str]:
    """The metadata of an id whose own name does not tell which table it is about, such as `user`.

    Whoever attacks the borders between tenants has to know (tests/security/twin/fields.py).
    """
    return {"x-tenant-resource": kind}


def short(maximum: int) -> Line:
    """A text that may be absent."""
    return Line(allow_none=True, validate=validate.Length(1, maximum))


class LanguageTag(Line):
    """A language, and a country where it matters: `pt`, `pt-BR` (the common part of BCP 47)."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        if not re.fullmatch(r"[a-z]{2,3}(-[A-Z]{2})?", text):
            raise ValidationError("Use a language tag: pt-BR.")
        return text


@lru_cache(maxsize=1)
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())  # which reads folders each time


class TimeZone(Line):
    """A time zone by its IANA name: `America/Sao_Paulo`."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        if text not in _time_zones():
            raise ValidationError("Not an IANA time zone; write America/Sao_Paulo.")
        return text


class Prose(fields.String):
    """A text of several lines."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        if "\x00" in text:
            raise ValidationError("The NUL character is not allowed.")
        return text


class Tags(fields.List[Any]):
    """Short labels, each once."""

    def __init__(self, **options: Any) -> None:
        super().__init__(Line(validate=validate.Length(1, 50)), validate=validate.Length(max=MAX_ITEMS), **options)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return list(dict.fromkeys(super()._deserialize(value, *args, **kwargs)))


class JsonObject(fields.Dict):
    """Members of a client's own choice, as far as a JSON column can hold them and somebody could read them."""

    def __init__(self, **options: Any) -> None:
        checks: list[Any] = [validate.Length(max=MAX_ITEMS), _check_storable]
        super().__init__(keys=Line(validate=validate.Length(1, 60)), validate=checks, **options)


def _check_storable(value: Any, depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise ValidationError(f"Nest at most {MAX_DEPTH} levels.")
    if isinstance(value, str) and "\x00" in value:
        raise ValidationError("The NUL character is not allowed.")
    if isinstance(value, dict | list):
        for item in [*value, *value.values()] if isinstance(value, dict) else value:
            _check_storable(item, depth + 1)


class Flag(fields.Boolean):
    """JSON's true or false, and neither 1, which Python takes for true, nor "yes"."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Whole(fields.Nested):
    """A part that is replaced as a whole: what it requires is required in a partial update too."""

    def _load(self, value: Any, partial: Any = None) -> Any:
        return super()._load(value, partial=False)


class Moment(fields.AwareDateTime):
    """A moment in UTC, written as RFC 3339; it may come with any offset, of which Postgres knows fewer than Python."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        moment = super()._deserialize(value, *args, **kwargs)
        try:
            return moment.astimezone(UTC)
        except OverflowError as error:
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE) from error

    def _serialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return None if value is None else value.isoformat().replace("+00:00", "Z")


as_they_are(Moment._serialize, datetime)


class Problem(ma.Schema):
    """An error, as RFC 9457 describes it, with our extra members; some errors have more (3.2), like `upstream`."""

    class Meta:
        unknown = INCLUDE

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    message = fields.String(required=True)
    code = fields.String(required=True)
    request_id = fields.String(required=True)
    errors = fields.Dict(keys=fields.String())
