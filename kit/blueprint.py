"""Views as sentences: decorators that are the contract, and one call.

@customers.put("/<uuid:customer_id>")
@requires("customer:write")
@customers.accepts(schemas.Customer(partial=True))
@customers.answers(200, schemas.Customer, message="Customer updated.")
def update_customer(data, customer_id):
    '''Change a customer.'''
    return domain.update_customer(customer_id, **data)
"""

import json
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, NoReturn

import orjson
from flask import Response, request
from flask_smorest import Blueprint as SmorestBlueprint
from marshmallow import Schema as MarshmallowSchema
from marshmallow import fields
from webargs.flaskparser import FlaskParser
from webargs.multidictproxy import MultiDictProxy

from kit import documents, preconditions
from kit.errors import BadRequest, UnsupportedMediaType, ValidationError
from kit.pages import Page
from kit.schema import Query

View = Callable[..., Any]

MOST_ERRORS = 100  # that one answer names
LONGEST_NAME = 100  # of a field, in characters, as an answer repeats it


class RepeatedParameter(BadRequest):
    """A query parameter is given more than once."""


class MalformedJson(BadRequest):
    """The body is not valid JSON."""


class BodyMissing(ValidationError):
    """The body is missing. Send a JSON object."""


class Parser(FlaskParser):
    """Strict reading: UTF-8 JSON objects only, no NaN, no lone surrogates, no repeated members or query parameters."""

    DEFAULT_UNKNOWN_BY_LOCATION = {"json": None, "query": None}  # noqa: RUF012 - as the base class declares it

    def load_json(self, req: Any, schema: Any) -> Any:
        body = req.get_data()
        if not body and not (schema.body_is_optional or _has_required(schema)):
            raise BodyMissing
        if not body:  # the schema names the fields that are missing
            return {}
        if req.mimetype and not req.is_json:  # without a type it is taken for what it has to be
            raise UnsupportedMediaType
        try:
            data = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise MalformedJson(f"The body is not valid JSON: {error}.") from error
        _check_members(body)
        if not isinstance(data, dict) and not schema.many:
            raise BadRequest("The body must be a JSON object.", code="malformed_json")
        return data

    def load_querystring(self, req: Any, schema: Any) -> Any:
        repeated = [name for name, values in req.args.lists() if len(values) > 1]
        if repeated:
            raise RepeatedParameter(errors={name: ["Give this once."] for name in repeated})
        if any("\x00" in name + value for name, value in req.args.items()):
            raise BadRequest("The NUL character is not allowed in a query.")
        return MultiDictProxy(req.args, schema)

    def handle_error(self, error: Any, *args: Any, **kwargs: Any) -> NoReturn:
        (errors,) = error.messages.values()
        raise ValidationError(errors=first_of(errors, iter(range(MOST_ERRORS)))) from error


def _members(pairs: list[tuple[str, Any]]) -> None:
    """Refuse an object that names a member twice: what reads the first sees another request than we do."""
    names: set[str] = set()
    for name, _ in pairs:
        if name in names:
            shown = name[:LONGEST_NAME]
            raise MalformedJson(f"The body names {shown!r} twice in one object.", errors={shown: ["Give this once."]})
        names.add(name)


# orjson keeps the last of repeated members and does not say so; a second reading costs 6 us for a usual body.
MEMBERS = json.JSONDecoder(object_pairs_hook=_members)


def _check_members(body: bytes) -> None:
    """Read valid JSON a second time, for its members alone. Raises MalformedJson."""
    try:
        MEMBERS.decode(body.decode())
    except RecursionError as error:
        raise MalformedJson("The body is nested too deeply.") from error


def _has_required(schema: Any) -> bool:
    return not schema.partial and any(field.required for field in schema.load_fields.values())


def _instance(schema: Any) -> Any:
    """An instance: a class would be made into one at each request, which copies all its fields."""
    return schema() if isinstance(schema, type) else schema


def first_of(errors: Any, room: Iterator[int]) -> Any:
    """As many errors as there is room for, by field: an answer must not grow with the names that a body makes up."""
    if not isinstance(errors, dict):
        return errors
    kept = {}
    for name, inner in errors.items():
        if not isinstance(inner, dict) and next(room, None) is None:
            break
        kept[name[:LONGEST_NAME] if isinstance(name, str) else name] = first_of(inner, room)
    return kept


def dumps(body: Any) -> bytes:
    """JSON bytes of plain values, dates, ids, and moments (in UTC they end in Z)."""
    return orjson.dumps(body, default=str, option=orjson.OPT_UTC_Z)


class Blueprint(SmorestBlueprint):
    """A blueprint whose decorators know our envelopes, our errors and entity tags."""

    ARGUMENTS_PARSER = Parser()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prepare_doc_cbks.append(self._complete)

    def add_url_rule(self, rule: str, endpoint: Any = None, view_func: Any = None, *args: Any, **options: Any) -> None:
        # With and without a trailing slash, and never a redirect: a 308 loses bodies in some clients.
        super().add_url_rule(rule, endpoint, view_func, *args, strict_slashes=False, **options)
        for method, info in self._docs[self._endpoints[-1]].items():
            if method != "parameters":
                info["call"] = documents.Call(view_func, rule)

    def register_views_in_doc(self, api: Any, *args: Any, **options: Any) -> None:
        documents.know_fields(api.ma_plugin.converter)
        super().register_views_in_doc(api, *args, **options)

    def accepts(self, schema: Any) -> Callable[[View], View]:
        """The JSON body, checked, as the view's first argument. Absent it is refused, unless its schema says
        `body_is_optional`."""
        instance = _instance(schema)
        return self.arguments(instance, required=not instance.body_is_optional)  # type: ignore[no-any-return]

    def filters(self, schema: type[Query]) -> Callable[[View], View]:
        """The query string, checked, as the view's first argument."""
        return self.arguments(_instance(schema), location="query")  # type: ignore[no-any-return]

    def answers(self, status: int, schema: Any = None, message: str | None = None) -> Callable[[View], View]:
        """The answer: what the view returns, in its envelope.

        A record becomes `{"customer": …}` with its ETag, and a Page becomes `{"customers": […], "total": …}`; a bare
        schema has no envelope; without a schema a dict stands for itself. `message` is added to answers of writes.
        """
        instance = None if schema is None else _instance(schema)

        def decorate(view: View) -> View:
            @wraps(view)
            def answer(*args: Any, **kwargs: Any) -> Response:
                return respond(view(*args, **kwargs), status, instance, message)

            envelope = _envelope(view, instance, message)
            return self.response(status, envelope)(answer)  # type: ignore[no-any-return]

        return decorate

    def _complete(self, doc: Any, info: Any, *, app: Any, spec: Any, method: str, **_: Any) -> Any:
        return documents.complete(doc, info["call"], app=app, spec=spec, method=method)


def respond(result: Any, status: int, schema: Any, message: str | None) -> Response:
    """An HTTP answer: the result in its envelope, with its ETag, or 304 when the client has this version."""
    if isinstance(result, Response):
        return result
    body = {"message": message} if message else {}
    if isinstance(result, Page):
        body |= _page(result, schema)
    elif schema is None:
        body |= result or {}
    elif schema.bare:
        body |= schema.writer.one(result)
    else:
        body[schema.key()] = schema.writer.one(result)
    response = Response(dumps(body), status, content_type="application/json")
    tag = preconditions.etag(result) if schema is not None else None
    if tag:
        response.headers["ETag"] = tag
        if request.method in ("GET", "HEAD") and request.if_none_match.contains_weak(tag.strip('"')):
            return Response(status=304, headers={"ETag": tag})
    return response


def _page(page: Page, schema: Any) -> dict[str, Any]:
    return {
        schema.keys(): schema.writer.many(page.items),
        "total": page.total,
        "total_exact": page.total_exact,
        "pages": page.pages,
        "page": page.page,
        "per_page": page.per_page,
        "next_cursor": page.next_cursor,
    }


def _envelope(view: View, schema: Any, message: str | None) -> Any:
    """The schema of the whole answer, for the OpenAPI document only."""
    members: dict[str, Any] = {"message": fields.String(metadata={"examples": [message]})} if message else {}
    if schema is not None and not schema.bare:
        if getattr(view, "__annotations__", {}).get("return") is Page:
            whole, text = fields.Integer(), fields.String(allow_none=True)
            members |= {schema.keys(): fields.List(fields.Nested(schema)), "total": whole, "pages": whole}
            members |= {
                "page": whole,
                "per_page": whole,
                "total_exact": fields.Boolean(),
                "next_cursor": text,
            }
        else:
            members[schema.key()] = fields.Nested(schema)
    elif schema is not None:
        members |= dict(schema.dump_fields)
    name = "".join(word.capitalize() for word in view.__name__.split("_")) + "Answer"
    answer = MarshmallowSchema.from_dict(members, name=name)
    answer.__module__ = view.__module__
    return answer
