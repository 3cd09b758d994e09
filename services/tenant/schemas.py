"""The JSON of tenant."""

from typing import Any

from marshmallow import ValidationError, fields, post_load, validate

from contracts.roles import TENANT_ROLES
from kit.schema import Email, LanguageTag, Line, Moment, Schema, TimeZone, naming
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
    """An e-mail address or user name, and the role to offer. An owner is made of a member, by a change of role."""

    email = Line(required=True, attribute="identifier", validate=validate.Length(1, 254))
    role = Line(load_default="member", validate=validate.OneOf(models.OFFERED_ROLES))

    example = {"email": "bruno@padaria.example", "role": "member"}

    @post_load
    def address(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Add the form in which auth keeps such an identifier."""
        identifier = data["identifier"]
        try:
            addressee = Email().deserialize(identifier) if "@" in identifier else identifier.lower()
        except ValidationError as error:
            raise ValidationError({"email": error.messages}) from error
        return data | {"addressee": addressee}


class Offer(Schema):
    """A membership that a tenant offers. It holds what its manager wrote and nothing about a person.

    It stays pending until it is accepted, withdrawn or expired; whether anybody can see it is not told.
    """

    class Meta(Schema.Meta):
        model = models.Offer

    id = fields.UUID(dump_only=True)
    email = fields.String(attribute="identifier", dump_only=True)
    role = fields.String(dump_only=True)
    state = fields.String(dump_only=True)
    offered_by = fields.UUID(dump_only=True, metadata=naming("user"))
    created_at = Moment(dump_only=True)
    expires_at = Moment(dump_only=True)

    example = {"email": "bruno@padaria.example", "role": "member", "state": "pending"}


class ReceivedOffer(Schema):
    """A membership that is offered to oneself, by whom and where."""

    singular = "offer"

    id = fields.UUID(metadata=naming("offer"))
    tenant_name = fields.String()
    role = fields.String()
    offered_by_name = fields.String()
    created_at = Moment()
    expires_at = Moment()

    example = {"tenant_name": "Padaria Conceição", "role": "member", "offered_by_name": "Ana Souza"}


class Membership(Schema):
    """A person's place in a tenant."""

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
