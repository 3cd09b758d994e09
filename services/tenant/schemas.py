"""The JSON of tenant."""

from marshmallow import fields, validate

from contracts.roles import TENANT_ROLES
from kit.schema import Email, LanguageTag, Line, Moment, Schema, TimeZone
from services.tenant import models


class Tenant(Schema):
    """A company that people work in; whatever it keeps, nobody else sees."""

    class Meta(Schema.Meta):
        model = models.Tenant

    id = fields.UUID(dump_only=True)
    name = Line(required=True, validate=validate.Length(1, 200))
    is_active = fields.Boolean(dump_only=True)
    created_at = Moment(dump_only=True)
    updated_at = Moment(dump_only=True)
    version = fields.Integer(dump_only=True)

    example = {"name": "Padaria Conceição"}


class Member(Schema):
    """A person in a tenant, and as what."""

    class Meta(Schema.Meta):
        model = models.Membership

    user_id = fields.UUID(dump_only=True)
    role = Line(required=True, validate=validate.OneOf(TENANT_ROLES))
    name = fields.String(dump_only=True)
    email = fields.String(dump_only=True)
    created_at = Moment(dump_only=True)
    updated_at = Moment(dump_only=True)
    version = fields.Integer(dump_only=True)

    example = {"role": "member", "name": "Bruno Lima", "email": "bruno@padaria.example"}


class NewMember(Schema):
    """Whom to let in, by e-mail address or user name, and as what."""

    email = Line(required=True, attribute="identifier", validate=validate.Length(1, 254))
    role = Line(load_default="member", validate=validate.OneOf(TENANT_ROLES))

    example = {"email": "bruno@padaria.example", "role": "member"}


class Membership(Schema):
    """What siblings read about a person's place in a tenant."""

    tenant_id = fields.UUID()
    tenant_name = fields.String()
    role = fields.String()

    example = {"tenant_name": "Padaria Conceição", "role": "owner"}


class Memberships(Schema):
    """Where a person may work."""

    bare = True

    memberships = fields.List(fields.Nested(Membership))


class Provision(Schema):
    """A tenant's name, and its first owner."""

    user_id = fields.UUID(required=True)
    tenant_name = Line(required=True)
    name = Line(required=True)
    email = Line(required=True)

    example = {"tenant_name": "Padaria Conceição", "name": "Ana Souza", "email": "ana@padaria.example"}


class Settings(Schema):
    """How a tenant likes things. Null puts a setting back to its default."""

    locale = LanguageTag(allow_none=True)
    timezone = TimeZone(allow_none=True)
    currency = Line(allow_none=True, validate=validate.Regexp(r"^[A-Z]{3}\Z", error="Use an ISO 4217 code: BRL."))
    week_starts_on = Line(allow_none=True, validate=validate.OneOf(("monday", "saturday", "sunday")))
    support_email = Email(allow_none=True)

    example = {
        "locale": "pt-BR",
        "timezone": "America/Sao_Paulo",
        "currency": "BRL",
        "week_starts_on": "monday",
        "support_email": "ajuda@padaria.example",
    }
