"""The JSON of auth. Older clients' names are accepted and answered beside ours: `ds_user`, `ds_user_email`."""

from typing import Any

from marshmallow import ValidationError, fields, post_load, validate

from kit.schema import Email, Line, Moment, Query, Schema
from services.auth import models

MAX_PASSWORD = 1024

# Of examples only; nobody's.
PASSWORD = "correct horse battery staple"  # noqa: S105
ACCESS_TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIwMTk3YTNjMCJ9.c2lnbmF0dXJl"  # noqa: S105
REFRESH_TOKEN = "rt_0197a3c07f107c3e9d553f6f2f6a1b2d_Yk3wq8sT1vZ"  # noqa: S105
DEVICE_TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJkaWQiOiIwMTk3YTNjMCJ9.c2lnbmF0dXJl"  # noqa: S105


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

    example = {
        "name": "Ana Souza",
        "email": "ana@padaria.example",
        "username": "ana.souza",
        "is_platform_admin": False,
        "ds_user": "Ana Souza",
        "ds_user_email": "ana@padaria.example",
    }


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

    example = {
        "email": "ana@padaria.example",
        "password": PASSWORD,
        "name": "Ana Souza",
        "organization_name": "Padaria Conceição",
    }

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
    device_token = Line(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=8192),
        metadata={
            "description": "What the last log-in on this device answered. While strangers guess at this account, a "
            "device that shows it need not wait (429). One that is not valid is ignored."
        },
    )

    example = {"email": "ana@padaria.example", "password": PASSWORD}

    @post_load
    def unify(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """One name for the identifier."""
        identifier = _first(data, "email", "username", "ds_user_email")
        if identifier is None:
            raise ValidationError({"email": ["Send an email, username or ds_user_email."]})
        return {"identifier": identifier, **data}


class Grant(Schema):
    """What a login hands out; its members stand in the answer by themselves.

    Where `refresh_token` or `device_token` is null, the client keeps the one that it has; who belongs to no tenant has
    no `tenant_id`.
    """

    bare = True

    access_token = fields.String()
    token_type = fields.String()
    expires_in = fields.Integer()
    refresh_token = fields.String(allow_none=True)
    device_token = fields.String(
        allow_none=True,
        metadata={"description": "Keep it on this device, also after logging out, and send it with the next log-in."},
    )
    tenant_id = fields.UUID(allow_none=True)
    user = fields.Nested(User)

    example = {
        "access_token": ACCESS_TOKEN,
        "token_type": "bearer",
        "expires_in": 1800,
        "refresh_token": REFRESH_TOKEN,
        "device_token": DEVICE_TOKEN,
    }


class Tenancy(Schema):
    """A tenant that one belongs to, and as what."""

    tenant_id = fields.UUID()
    tenant_name = fields.String()
    role = fields.String()

    example = {"tenant_name": "Padaria Conceição", "role": "owner"}


class Me(Schema):
    """Who one is, where one works now, and where else one could."""

    bare = True

    user = fields.Nested(User)
    tenant_id = fields.UUID(allow_none=True)
    tenants = fields.List(fields.Nested(Tenancy))


class Refresh(Schema):
    """A refresh token, which is spent by this."""

    refresh_token = Line(required=True, validate=validate.Length(1, 200))

    example = {"refresh_token": REFRESH_TOKEN}


class PasswordChange(Schema):
    """The password so far, and the one from now on."""

    current_password = fields.String(required=True, validate=validate.Length(max=MAX_PASSWORD), load_only=True)
    new_password = fields.String(required=True, validate=validate.Length(max=MAX_PASSWORD), load_only=True)

    example = {"current_password": PASSWORD, "new_password": "seven loaves before sunrise"}


class Logout(Schema):
    """Which sessions end: this one, all others, or all."""

    scope = Line(load_default="local", validate=validate.OneOf(("local", "others", "global")))

    body_is_optional = True
    example = {"scope": "local"}


class Switch(Schema):
    """Where to work from now on."""

    tenant_id = fields.UUID(required=True)


class TokenToCheck(Schema):
    """An access token; without it, the one in the Authorization header."""

    token = Line(validate=validate.Length(1, 8192))

    body_is_optional = True
    example = {"token": ACCESS_TOKEN}


class Verdict(Schema):
    """Whether a token holds; `reason` says why not."""

    bare = True

    valid = fields.Boolean()
    reason = fields.String()
    sub = fields.String()
    user_id = fields.UUID()
    sid = fields.String()
    tenant_id = fields.String(allow_none=True)
    roles = fields.List(fields.String())
    permissions = fields.List(fields.String())
    exp = fields.Integer()

    example = {
        "valid": True,
        "sub": "0197a3c0-7f10-7c3e-9d55-3f6f2f6a1b2d",
        "sid": "0197a3c0-7f10-7c3e-9d55-3f6f2f6a1b2e",
        "tenant_id": "0197a3c0-7f10-7c3e-9d55-3f6f2f6a1b2f",
        "roles": ["owner"],
        "permissions": ["customer:read", "customer:write"],
        "exp": 1790000000,
    }


class Identifier(Query):
    """The question of tenant of the version before."""

    identifier = Line(required=True, validate=validate.Length(1, 254))


class Person(Schema):
    """What siblings may know about a person."""

    id = fields.UUID()
    name = fields.String()
    email = fields.String()
    identifiers = fields.List(fields.String())
