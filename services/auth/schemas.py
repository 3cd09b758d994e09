"""The JSON of auth. Older clients' names are accepted and answered beside ours: `ds_user`, `ds_user_email`."""

from typing import Any

from marshmallow import ValidationError, fields, post_load, validate

from kit.schema import Email, Line, Moment, Query, Schema
from services.auth import models

MAX_PASSWORD = 1024


def _first(data: dict[str, Any], *names: str) -> Any:
    """The value of the one name that was used. Raises ValidationError when two names disagree."""
    given = {name: data.pop(name) for name in names if name in data}
    if len(set(given.values())) > 1:
        raise ValidationError({name: ["These names mean the same; send one."] for name in given})
    return next(iter(given.values()), None)


class User(Schema):
    """A person, under our names and the older ones."""

    class Meta(Schema.Meta):
        model = models.User

    id = fields.UUID()
    name = fields.String()
    email = fields.String()
    username = fields.String()
    tenant_id = fields.UUID()
    is_platform_admin = fields.Boolean()
    created_at = Moment()
    ds_user = fields.String(attribute="name", dump_only=True)
    ds_user_email = fields.String(attribute="email", dump_only=True)


class Registration(Schema):
    """`email` or `ds_user_email`, and a password; a name under `name` or `ds_user`."""

    email = Email(validate=validate.Length(max=254))
    ds_user_email = Email(validate=validate.Length(max=254))
    name = Line(validate=validate.Length(1, 200))
    ds_user = Line(validate=validate.Length(1, 200))
    username = Line(
        validate=validate.Regexp(r"^[A-Za-z0-9][A-Za-z0-9._-]{2,63}\Z", error="Use 3 to 64 letters, digits, . _ -")
    )
    password = fields.String(required=True, validate=validate.Length(max=MAX_PASSWORD), load_only=True)
    organization_name = Line(validate=validate.Length(1, 200))

    @post_load
    def unify(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """One name for each fact."""
        email = _first(data, "email", "ds_user_email")
        if email is None:
            raise ValidationError({"email": ["Missing data for required field."]})
        username = data.pop("username", None)
        return {
            "email": email,
            "name": _first(data, "name", "ds_user"),
            "username": username.lower() if username else None,
            "password": data["password"],
            "organization_name": data.get("organization_name"),
        }


class Credentials(Schema):
    """Who one is, under any of three names, and the proof."""

    email = Line(validate=validate.Length(1, 254))
    username = Line(validate=validate.Length(1, 254))
    ds_user_email = Line(validate=validate.Length(1, 254))
    password = fields.String(required=True, validate=validate.Length(max=MAX_PASSWORD), load_only=True)
    tenant_id = fields.UUID(load_default=None)

    @post_load
    def unify(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """One name for the identifier."""
        identifier = _first(data, "email", "username", "ds_user_email")
        if identifier is None:
            raise ValidationError({"email": ["Send an email, username or ds_user_email."]})
        return {"identifier": identifier, **data}


class Grant(Schema):
    """What a login hands out; its members stand in the answer by themselves."""

    bare = True

    access_token = fields.String()
    token_type = fields.String()
    expires_in = fields.Integer()
    refresh_token = fields.String()
    tenant_id = fields.UUID()
    user = fields.Nested(User)


class Tenancy(Schema):
    tenant_id = fields.UUID()
    tenant_name = fields.String()
    role = fields.String()


class Me(Schema):
    bare = True

    user = fields.Nested(User)
    tenant_id = fields.UUID()
    tenants = fields.List(fields.Nested(Tenancy))


class Refresh(Schema):
    refresh_token = Line(required=True, validate=validate.Length(1, 200))


class PasswordChange(Schema):
    current_password = fields.String(required=True, validate=validate.Length(max=MAX_PASSWORD))
    new_password = fields.String(required=True, validate=validate.Length(max=MAX_PASSWORD))


class Logout(Schema):
    scope = Line(load_default="local", validate=validate.OneOf(("local", "others", "global")))


class Switch(Schema):
    tenant_id = fields.UUID(required=True)


class TokenToCheck(Schema):
    token = Line(validate=validate.Length(1, 8192))


class Verdict(Schema):
    """Whether a token holds; `reason` says why not."""

    bare = True

    valid = fields.Boolean()
    reason = fields.String()
    sub = fields.String()
    user_id = fields.UUID()
    sid = fields.String()
    tenant_id = fields.String()
    roles = fields.List(fields.String())
    permissions = fields.List(fields.String())
    exp = fields.Integer()


class Identifier(Query):
    identifier = Line(required=True, validate=validate.Length(1, 254))


class Person(Schema):
    """What siblings may know about a person."""

    id = fields.UUID()
    name = fields.String()
    email = fields.String()
