"""The JSON of a customer."""

import re
from typing import Any

import phonenumbers
from marshmallow import ValidationError, fields, post_load, validate, validates_schema
from validate_docbr import CNPJ, CPF
from webargs.fields import DelimitedList

from kit.schema import (
    MAX_ITEMS,
    Email,
    Flag,
    JsonObject,
    LanguageTag,
    Line,
    Moment,
    PageQuery,
    Prose,
    Query,
    Schema,
    Tags,
    TimeZone,
    Whole,
    naming,
    short,
)
from services.customer import models

REGION = "BR"
RECORDS = {"type": "array", "items": {"type": "object"}}  # of another service, as that one describes them
SOMEBODY = "0197a3c0-7f10-7c3e-9d55-3f6f2f6a1b2e"  # of examples only

_cpf, _cnpj = CPF(), CNPJ()


class Phone(Line):
    """A telephone number, kept as E.164; without a country code it is read as Brazilian."""

    documented = {"examples": ["+551134567890"]}

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        try:
            number = phonenumbers.parse(text, REGION)
        except phonenumbers.NumberParseException as error:
            raise ValidationError("Not a telephone number; write +55 11 98765-4321.") from error
        if not phonenumbers.is_possible_number(number):
            raise ValidationError("Not a telephone number; write +55 11 98765-4321.")
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


class KeptMoment(Moment):
    """A moment inside a JSON column: kept, and answered, as the text that a moment elsewhere is written as."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return Moment._serialize(self, super()._deserialize(value, *args, **kwargs), "", None)

    def _serialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return value


class Address(Schema):
    """A postal address; `postal_code` is a CEP of eight digits when the country is BR."""

    kind = Line(load_default="main", validate=validate.Length(1, 40))
    street = Line(validate=validate.Length(max=200))
    number = Line(validate=validate.Length(max=20))
    complement = Line(validate=validate.Length(max=100))
    district = Line(validate=validate.Length(max=100))
    city = Line(validate=validate.Length(max=100))
    state = Line(validate=validate.Length(max=100))
    postal_code = Line(validate=validate.Length(max=20))
    country = Line(load_default=REGION, validate=validate.Regexp(r"^[A-Z]{2}\Z", error="Use an ISO 3166 code: BR."))

    example = {
        "kind": "main",
        "street": "Avenida Paulista",
        "number": "1000",
        "district": "Bela Vista",
        "city": "São Paulo",
        "state": "SP",
        "postal_code": "01310-100",
        "country": "BR",
    }

    @post_load
    def format_cep(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Write a CEP as 01310-100, however it came."""
        code = data.get("postal_code")
        if code and data.get("country", REGION) == REGION:
            digits = re.sub(r"[\s.-]", "", code)
            if not re.fullmatch(r"\d{8}", digits, re.ASCII):
                raise ValidationError({"postal_code": ["A CEP has eight digits: 01310-100."]})
            data["postal_code"] = f"{digits[:5]}-{digits[5:]}"
        return data


class Consent(Schema):
    """Whether a channel may be used, and since when that was said."""

    granted = Flag(required=True)
    at = KeptMoment()

    example = {"granted": True, "at": "2026-07-02T14:05:00Z"}


class Consents(Schema):
    """Which channels a person agreed to (LGPD, article 8)."""

    email = Whole(Consent)
    sms = Whole(Consent)
    whatsapp = Whole(Consent)

    example = {"whatsapp": Consent.example}


class Customer(Schema):
    """A person or a company that a tenant does business with."""

    class Meta(Schema.Meta):
        model = models.Customer

    id = fields.UUID(dump_only=True)
    type = Line(validate=validate.OneOf(models.TYPES))
    name = Line(required=True, validate=validate.Length(1, 200))
    legal_name = short(200)
    email = Email(allow_none=True, validate=validate.Length(max=254))
    emails = fields.List(Email(), validate=validate.Length(max=MAX_ITEMS))
    phone = Phone(allow_none=True)
    phones = fields.List(Phone(), validate=validate.Length(max=MAX_ITEMS))
    document_type = Line(allow_none=True, validate=validate.OneOf(models.DOCUMENT_TYPES))
    document = short(40)
    document_formatted = fields.Function(
        lambda customer: format_document(customer), dump_only=True, metadata={"type": ["string", "null"]}
    )
    birth_date = fields.Date(allow_none=True)
    addresses = fields.List(Whole(Address), validate=validate.Length(max=MAX_ITEMS))
    owner_id = fields.UUID(allow_none=True, metadata=naming("user"))
    lifecycle_stage = Line(validate=validate.OneOf(models.STAGES))
    source = short(100)
    tags = Tags()
    external_id = short(100)
    preferred_language = LanguageTag(allow_none=True)
    timezone = TimeZone(allow_none=True)
    consents = Whole(Consents)
    custom = JsonObject()
    notes = Prose(allow_none=True, validate=validate.Length(max=10_000))
    merged_into_id = fields.UUID(dump_only=True)
    is_active = fields.Boolean(dump_only=True)
    erased_at = Moment(dump_only=True)
    deactivated_at = Moment(dump_only=True)
    created_at = Moment(dump_only=True)
    updated_at = Moment(dump_only=True)
    version = fields.Integer(dump_only=True)

    example = {
        "type": "company",
        "name": "Mercado São João",
        "legal_name": "Mercado São João Comércio de Alimentos Ltda.",
        "email": "compras@saojoao.example",
        "emails": ["financeiro@saojoao.example"],
        "phone": "+551134567890",
        "document_type": "cnpj",
        "document": "12ABC34501DE35",
        "document_formatted": "12.ABC.345/01DE-35",
        "addresses": [Address.example],
        "lifecycle_stage": "customer",
        "source": "feira",
        "tags": ["atacado", "vip"],
        "external_id": "ERP-1042",
        "preferred_language": "pt-BR",
        "timezone": "America/Sao_Paulo",
        "consents": Consents.example,
        "custom": {"dia_de_entrega": "terça-feira"},
        "notes": "Recebe até as 6h, pela porta lateral.",
    }

    @validates_schema
    def check_document(self, data: dict[str, Any], *, partial: Any, **_: Any) -> None:
        """Check digits of CPF and CNPJ, the alphanumeric one included (Receita Federal, IN RFB 2.229/2024)."""
        kind, document = data.get("document_type"), data.get("document")
        if document and not kind:
            raise ValidationError({"document_type": ["Say what kind of document this is: cpf, cnpj or other."]})
        if kind and "document" in data and not document:
            raise ValidationError({"document": ["A document is missing for this type."]})
        if "document" not in data and (kind or (partial and "document_type" in data)):
            raise ValidationError({"document": ["Send the document together with its type."]})
        checks = {"cpf": _cpf.validate, "cnpj": _cnpj.validate}
        if document and kind in checks and not checks[kind](normalise_document(document)):
            raise ValidationError({"document": [f"Not a valid {kind.upper()}: its check digits do not match."]})

    @post_load
    def normalise(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Keep a document without its punctuation, in upper case."""
        if data.get("document_type") in ("cpf", "cnpj") and data.get("document"):
            data["document"] = normalise_document(data["document"])
        if "document" in data and data["document"] is None:
            data["document_type"] = None
        return data


def format_document(customer: Any) -> str | None:
    """A CPF as 529.982.247-25 and a CNPJ as 12.ABC.345/01DE-35."""
    value = customer.document
    if not value or customer.document_type == "other":
        return value  # type: ignore[no-any-return]
    if customer.document_type == "cpf":
        return f"{value[:3]}.{value[3:6]}.{value[6:9]}-{value[9:]}"
    return f"{value[:2]}.{value[2:5]}.{value[5:8]}/{value[8:12]}-{value[12:]}"


class KnownCustomer(Schema):
    """What siblings may know of a customer."""

    singular = "customer"

    id = fields.UUID()
    name = fields.String()
    is_active = fields.Boolean()
    merged_into_id = fields.UUID(allow_none=True)

    example = {"name": "Mercado São João"}


def normalise_document(document: str) -> str:
    """A document number without dots, dashes and slashes, in upper case."""
    return re.sub(r"[\s./-]", "", document).upper()


class Selection(Query):
    """Which customers."""

    active_only = fields.Boolean(load_default=True)
    search = Line(validate=validate.Length(max=200))
    document = Line()
    email = Email()
    external_id = Line()
    created_from = Moment()
    created_to = Moment()
    updated_since = Moment()
    tags = DelimitedList(Line(), data_key="filter[tags][in]")
    owner_id = fields.UUID(data_key="filter[owner_id]", metadata=naming("user"))
    lifecycle_stage = Line(data_key="filter[lifecycle_stage]", validate=validate.OneOf(models.STAGES))
    type = Line(data_key="filter[type]", validate=validate.OneOf(models.TYPES))
    consent = Line(data_key="filter[consent]", validate=validate.OneOf(tuple(Consents().fields)))

    @post_load
    def normalise(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """A formatted document finds the plain one, and one of another type as it was written."""
        if "document" in data:
            document = data.pop("document")
            data["documents"] = [document, normalise_document(document)]
        return data


class Filters(Selection, PageQuery):
    """What the list of customers can be narrowed by."""


class Change(Schema):
    """A line of a customer's history: `changes` holds, for each field, its value before and after."""

    id = fields.UUID()
    customer_id = fields.UUID()
    action = fields.String()
    changes = fields.Dict()
    created_at = Moment()
    created_by = fields.UUID(allow_none=True, metadata=naming("user"))

    example = {"action": "updated", "changes": {"lifecycle_stage": ["prospect", "customer"]}, "created_by": SOMEBODY}


class TagCount(Schema):
    """A tag, and how many customers have it."""

    tag = fields.String()
    count = fields.Integer()

    example = {"tag": "atacado", "count": 12}


class Tally(Schema):
    """Every tag in use and how often."""

    bare = True

    tags = fields.List(fields.Nested(TagCount))


class ByQuery(PageQuery):
    """Which likenesses make a duplicate."""

    by = DelimitedList(Line())

    @post_load
    def check_by(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """`name+phone` also as a query string decodes it."""
        if "by" in data:
            data["by"] = [kind.replace(" ", "+") for kind in data["by"]]
            if not data["by"] or not set(data["by"]) <= set(models.LIKENESSES):
                raise ValidationError({"by": [f"Choose from {', '.join(models.LIKENESSES)}."]})
        return data


class Duplicate(Schema):
    """Active customers that share a value, the oldest first; of `count` at most as many as one merge takes."""

    by = fields.String()
    value = fields.String()
    count = fields.Integer()
    customers = fields.List(fields.Nested(Customer))

    example = {"by": "email", "value": "compras@saojoao.example"}


MERGEABLE = (
    *("name", "type", "legal_name", "email", "phone", "document", "birth_date", "owner_id", "lifecycle_stage"),
    *("source", "external_id", "preferred_language", "timezone"),
)


class Merge(Schema):
    """Whom to take in. `field_rules` names, for a field, the customer whose value wins."""

    source_ids = fields.List(fields.UUID(metadata=naming("customer")), required=True, validate=validate.Length(1, 20))
    field_rules = fields.Dict(
        keys=Line(validate=validate.OneOf(MERGEABLE)),
        values=fields.UUID(metadata=naming("customer")),
        load_default=dict,
    )
    dry_run = Flag(load_default=False)

    example = {"source_ids": [SOMEBODY], "field_rules": {"phone": SOMEBODY}, "dry_run": True}


class Overview(Schema):
    """A customer at a glance; `unavailable` names services whose part is missing."""

    customer = fields.Nested(Customer)
    interaction_count = fields.Integer(attribute="history.interaction_count")
    last_interaction_at = Moment(attribute="history.last_interaction_at", allow_none=True)
    interactions = fields.Raw(attribute="history.interactions", metadata=RECORDS)
    transaction_count = fields.Integer(attribute="history.transaction_count")
    balances = fields.Raw(attribute="history.balances", metadata=RECORDS)
    unavailable = fields.List(fields.String())


class Export(Schema):
    """Everything that is kept about a customer."""

    exported_at = Moment()
    customer = fields.Nested(Customer)
    merged = fields.List(fields.Nested(Customer))
    history = fields.List(fields.Nested(Change))
    interactions = fields.Raw(metadata=RECORDS)
    transactions = fields.Raw(metadata=RECORDS)
