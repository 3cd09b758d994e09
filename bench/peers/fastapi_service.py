"""The customers of a tenant on FastAPI, SQLAlchemy's asyncio ORM, asyncpg and pydantic: the peer of services/customer.

Like for like: the same tables, the same fields answered and checked, the same token, the tenant set in the transaction
under row-level security, a total that is counted up to 10,000, and the words and keys written with a customer. Tuned as
the projects advise: uvloop and httptools, one pool, a return type so that pydantic-core writes the JSON itself,
`expire_on_commit=False`, read-only transactions that are not flushed, orjson for JSON columns.

    DATABASE_URL=… KEYS=…/public.json uvicorn bench.peers.fastapi_service:app
"""

import base64
import json
import os
import re
import time
from collections.abc import AsyncIterator
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import jwt
import orjson
import phonenumbers
from fastapi import Depends, FastAPI, Header, HTTPException, Query, Response
from fastapi_tables import Customer, CustomerKey, CustomerWord, keys_of, words_of
from pydantic import AfterValidator, BaseModel, ConfigDict, EmailStr, Field, StringConstraints
from sqlalchemy import func, insert, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from validate_docbr import CNPJ, CPF

EXACT_TOTAL = 10_000
REMEMBERED = 4096
POOL_SIZE, POOL_OVERFLOW = 16, 0  # one for each request at once, so that none has to be made under load

# --- JSON ------------------------------------------------------------------------------------------------------------

CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def line(value: str) -> str:
    """A text without control characters."""
    if CONTROL.search(value):
        raise ValueError("Control characters are not allowed.")
    return value


def telephone(value: str) -> str:
    """A number as E.164."""
    number = phonenumbers.parse(value, "BR")
    if not phonenumbers.is_possible_number(number):
        raise ValueError("Not a telephone number.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def cep(value: str) -> str:
    """A CEP as 01310-100."""
    digits = re.sub(r"[\s.-]", "", value)
    if not re.fullmatch(r"\d{8}", digits, re.ASCII):
        raise ValueError("A CEP has eight digits.")
    return f"{digits[:5]}-{digits[5:]}"


def bounded(longest: int, shortest: int = 0) -> Any:
    """A line of at most so many characters."""
    size = StringConstraints(strip_whitespace=True, min_length=shortest, max_length=longest)
    return Annotated[str, size, AfterValidator(line)]


Email = Annotated[EmailStr, AfterValidator(str.lower)]
Phone = Annotated[str, AfterValidator(line), AfterValidator(telephone)]
Short = bounded(200, 1)


class Strict(BaseModel):
    """Unknown members are refused."""

    model_config = ConfigDict(extra="forbid")


class Address(Strict):
    """A postal address in Brazil."""

    kind: bounded(40, 1) = "main"
    street: bounded(200) | None = None
    number: bounded(20) | None = None
    complement: bounded(100) | None = None
    district: bounded(100) | None = None
    city: bounded(100) | None = None
    state: bounded(100) | None = None
    postal_code: Annotated[bounded(20), AfterValidator(cep)] | None = None
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = "BR"


class CustomerIn(Strict):
    """What may come in."""

    type: Literal["person", "company"] = "person"
    name: Short
    legal_name: Short | None = None
    email: Email | None = None
    emails: Annotated[list[Email], Field(max_length=50)] = []
    phone: Phone | None = None
    phones: Annotated[list[Phone], Field(max_length=50)] = []
    document_type: Literal["cpf", "cnpj", "other"] | None = None
    document: bounded(40, 1) | None = None
    birth_date: date | None = None
    addresses: Annotated[list[Address], Field(max_length=50)] = []
    owner_id: UUID | None = None
    lifecycle_stage: Literal["lead", "prospect", "customer", "former"] = "lead"
    source: bounded(100, 1) | None = None
    tags: Annotated[list[bounded(50, 1)], Field(max_length=50)] = []
    external_id: bounded(100, 1) | None = None
    preferred_language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$")] | None = None
    timezone: str | None = None
    consents: dict[str, Any] = {}
    custom: Annotated[dict[bounded(60, 1), Any], Field(max_length=50)] = {}
    notes: Annotated[str, StringConstraints(max_length=10_000)] | None = None

    def model_post_init(self, context: Any) -> None:
        """Check digits of CPF and CNPJ."""
        if bool(self.document) != bool(self.document_type):
            raise ValueError("Send the document together with its type.")
        check = {"cpf": CPF, "cnpj": CNPJ}.get(self.document_type or "")
        if check and not check().validate(self.document):
            raise ValueError("Its check digits do not match.")


class CustomerOut(BaseModel):
    """What goes out."""

    model_config = ConfigDict(from_attributes=True)
    id: UUID
    type: str
    name: str
    legal_name: str | None
    email: str | None
    emails: list[str]
    phone: str | None
    phones: list[str]
    document_type: str | None
    document: str | None
    document_formatted: str | None
    birth_date: date | None
    addresses: list[dict[str, Any]]
    owner_id: UUID | None
    lifecycle_stage: str
    source: str | None
    tags: list[str]
    external_id: str | None
    preferred_language: str | None
    timezone: str | None
    consents: dict[str, Any]
    custom: dict[str, Any]
    notes: str | None
    merged_into_id: UUID | None
    is_active: bool
    erased_at: datetime | None
    deactivated_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int


class One(BaseModel):
    """A customer in its envelope."""

    customer: CustomerOut


class Created(One):
    """A new customer in its envelope."""

    message: str = "Customer created."


class Many(BaseModel):
    """A page of customers."""

    customers: list[CustomerOut]
    total: int
    total_exact: bool
    pages: int
    page: int
    per_page: int
    next_cursor: str | None


# --- Who asks --------------------------------------------------------------------------------------------------------

KEYS = {
    key["kid"]: (key["component"], jwt.PyJWK(key).key)
    for key in json.loads(Path(os.environ["KEYS"]).read_bytes())["keys"]
}
_verified: dict[str, dict[str, Any]] = {}


def verify(token: str) -> dict[str, Any]:
    """The claims of a valid internal token."""
    claims = _verified.get(token)
    if claims is None:
        header = jwt.get_unverified_header(token)
        component, key = KEYS[header["kid"]]
        if header["typ"] != "txntoken+jwt":
            raise jwt.InvalidTokenError
        claims = jwt.decode(token, key, ["EdDSA"], audience="alicerce", issuer=component)
        if len(_verified) >= REMEMBERED:
            _verified.clear()
        _verified[token] = claims
    if claims["exp"] < time.time():
        raise jwt.ExpiredSignatureError
    return claims


class Needs:
    """Who holds this permission; the claims."""

    def __init__(self, permission: str) -> None:
        self.permission = permission

    async def __call__(self, txn_token: Annotated[str, Header()]) -> dict[str, Any]:
        try:
            claims = verify(txn_token)
        except (jwt.PyJWTError, KeyError) as error:
            raise HTTPException(401) from error
        if claims["iss"] != "gateway" or claims["wl"] or not claims["uid"]:
            raise HTTPException(401)
        if self.permission not in claims["perms"]:
            raise HTTPException(403)
        return claims


Reader = Annotated[dict[str, Any], Depends(Needs("customer:read"))]
Writer = Annotated[dict[str, Any], Depends(Needs("customer:write"))]

# --- Verbs -----------------------------------------------------------------------------------------------------------

engine = create_async_engine(
    os.environ["DATABASE_URL"],
    pool_size=POOL_SIZE,
    max_overflow=POOL_OVERFLOW,
    json_serializer=lambda value: orjson.dumps(value).decode(),
    json_deserializer=orjson.loads,
)
sessions = async_sessionmaker(engine, expire_on_commit=False, autoflush=False)
SETTINGS = text("SELECT set_config('app.tenant_id', :tenant, true), set_config('transaction_read_only', :only, true)")


async def reading(claims: Reader) -> AsyncIterator[AsyncSession]:
    """A read-only transaction of the reader's tenant."""
    async with sessions.begin() as session:
        await session.execute(SETTINGS, {"tenant": claims["tid"], "only": "on"})
        yield session


async def writing(claims: Writer) -> AsyncIterator[AsyncSession]:
    """A transaction of the writer's tenant, which ends before the answer leaves."""
    async with sessions.begin() as session:
        await session.execute(SETTINGS, {"tenant": claims["tid"], "only": "off"})
        yield session


Reading = Annotated[AsyncSession, Depends(reading, scope="function")]
Writing = Annotated[AsyncSession, Depends(writing, scope="function")]


class Filters(Strict):
    """The query string."""

    page: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    per_page: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Annotated[str, Field(max_length=1024)] | None = None
    active_only: bool = True


app = FastAPI(title="customer")


@app.get("/customers/{customer_id}")
async def get_customer(customer_id: UUID, session: Reading, response: Response) -> One:
    """One customer."""
    customer = await session.scalar(select(Customer).where(Customer.id == customer_id))
    if customer is None:
        raise HTTPException(404)
    response.headers["ETag"] = f'"{customer.version}"'
    return One(customer=CustomerOut.model_validate(customer))


@app.get("/customers")
async def list_customers(filters: Annotated[Filters, Query()], session: Reading) -> Many:
    """A page of customers, by number or by cursor."""
    query = select(Customer)
    if filters.active_only:
        query = query.where(Customer.is_active)
    bare = query.with_only_columns(text("1"), maintain_column_froms=True).limit(EXACT_TOTAL + 1)
    total = await session.scalar(select(func.count()).select_from(bare.subquery())) or 0
    if filters.cursor:
        moment, last = json.loads(base64.urlsafe_b64decode(filters.cursor))
        after = (datetime.fromisoformat(moment), UUID(last))
        query = query.where(tuple_(Customer.created_at, Customer.id) > after)
    elif filters.page > 1:
        query = query.offset((filters.page - 1) * filters.per_page)
    query = query.order_by(Customer.created_at, Customer.id).limit(filters.per_page + 1)
    found = (await session.scalars(query)).all()
    rows = found[: filters.per_page]
    more = len(found) > filters.per_page
    return Many(
        customers=[CustomerOut.model_validate(row) for row in rows],
        total=total,
        total_exact=total <= EXACT_TOTAL,
        pages=-(-total // filters.per_page),
        page=filters.page,
        per_page=filters.per_page,
        next_cursor=cursor_of(rows[-1]) if more else None,
    )


def cursor_of(customer: Customer) -> str:
    """Where the next page begins."""
    words = [customer.created_at.isoformat(), str(customer.id)]
    return base64.urlsafe_b64encode(json.dumps(words).encode()).decode()


@app.post("/customers", status_code=201)
async def create_customer(data: CustomerIn, session: Writing, claims: Writer, response: Response) -> Created:
    """Keep a new customer, with the words that find it and the keys that identify it."""
    tenant_id = UUID(claims["tid"])
    fields = data.model_dump(exclude={"addresses"})
    addresses = [address.model_dump(exclude_none=True) for address in data.addresses]
    customer = Customer(tenant_id=tenant_id, addresses=addresses, **fields)
    session.add(customer)
    await session.flush()
    common = {"tenant_id": tenant_id, "record_id": customer.id}
    await session.execute(insert(CustomerWord), [{**common, "word": word} for word in words_of(customer)])
    await session.execute(insert(CustomerKey), [{**common, "key": key} for key in keys_of(customer)])
    response.headers["ETag"] = f'"{customer.version}"'
    return Created(customer=CustomerOut.model_validate(customer))
