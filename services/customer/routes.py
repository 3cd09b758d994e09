"""Customer over HTTP."""

from collections import Counter
from typing import Any
from uuid import UUID

from flask import Response, request

from kit import sheets
from kit.background import Queue
from kit.blueprint import Blueprint
from kit.errors import UnsupportedMediaType
from kit.identity import internal, requires
from kit.lanes import slow
from kit.pages import Page
from kit.schema import PageQuery, Removal
from services.customer import domain, models, schemas
from services.customer.models import Customer

customers = Blueprint("customers", __name__, url_prefix="/customers", description="The customers of a tenant.")
siblings = Blueprint("siblings", __name__, url_prefix="/internal")


UPLOAD = {
    "required": True,
    "content": {
        "text/csv": {"schema": {"type": "string"}},
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
        },
    },
}


class NotACsvFile(UnsupportedMediaType):
    """Send the file as text/csv, or as the part `file` of multipart/form-data."""


@customers.post("/")
@requires("customer:write")
@customers.accepts(schemas.Customer)
@customers.answers(201, schemas.Customer, message="Customer created.")
def create_customer(data: dict[str, Any]) -> Customer:
    """Create a customer."""
    return domain.create_customer(**data)


@customers.get("/")
@requires("customer:read")
@customers.filters(schemas.Filters)
@customers.answers(200, schemas.Customer)
def list_customers(filters: dict[str, Any]) -> Page:
    """List customers, filtered, searched and sorted."""
    return domain.list_customers(**filters)


@customers.get("/<uuid:customer_id>")
@requires("customer:read")
@customers.answers(200, schemas.Customer)
def get_customer(customer_id: UUID) -> Customer:
    """Show a customer."""
    return domain.get_customer(customer_id)


@customers.put("/<uuid:customer_id>")
@requires("customer:write")
@customers.accepts(schemas.Customer(partial=True))
@customers.answers(200, schemas.Customer, message="Customer updated.")
def update_customer(data: dict[str, Any], customer_id: UUID) -> Customer:
    """Change a customer, in part or whole."""
    return domain.update_customer(customer_id, **data)


@customers.delete("/<uuid:customer_id>")
@requires("customer:delete")
@customers.filters(Removal)
@customers.answers(200, message="Customer removed.")
def remove_customer(how: dict[str, Any], customer_id: UUID) -> None:
    """Deactivate a customer, or remove it for good with `hard_delete=true`."""
    verb = domain.remove_customer if how["hard_delete"] else domain.deactivate_customer
    verb(customer_id)


@customers.patch("/<uuid:customer_id>/activate")
@requires("customer:write")
@customers.answers(200, schemas.Customer, message="Customer reactivated.")
def activate_customer(customer_id: UUID) -> Customer:
    """Bring a deactivated customer back."""
    return domain.activate_customer(customer_id)


@customers.get("/<uuid:customer_id>/history")
@requires("customer:read")
@customers.filters(PageQuery)
@customers.answers(200, schemas.Change)
def list_changes(page: dict[str, Any], customer_id: UUID) -> Page:
    """List what was done to a customer, consents included."""
    return domain.list_changes(customer_id, **page)


@customers.get("/<uuid:customer_id>/overview")
@requires("customer:read")
@customers.answers(200, schemas.Overview)
def show_overview(customer_id: UUID) -> dict[str, Any]:
    """Show a customer with their latest interactions and their balances."""
    return domain.overview(customer_id)


@customers.get("/tags")
@requires("customer:read")
@customers.answers(200, schemas.Tally)
def count_tags() -> dict[str, Any]:
    """List the tags in use, the most used first."""
    return {"tags": domain.count_tags()}


# --- The same customer twice -----------------------------------------------------------------------------------------


@customers.get("/duplicates")
@requires("customer:read")
@slow
@customers.filters(schemas.ByQuery)
@customers.answers(200, schemas.Duplicate)
def list_duplicates(query: dict[str, Any]) -> Page:
    """List groups of customers that share an e-mail address, a document, or a name and phone."""
    return domain.list_duplicates(**query)


@customers.get("/<uuid:customer_id>/duplicates")
@requires("customer:read")
@customers.filters(schemas.ByQuery)
@customers.answers(200, schemas.Duplicate)
def list_duplicates_of(query: dict[str, Any], customer_id: UUID) -> Page:
    """List the groups that a customer belongs to."""
    return domain.list_duplicates(customer_id=customer_id, **query)


@customers.post("/<uuid:customer_id>/merge")
@requires("customer:delete")
@slow
@customers.accepts(schemas.Merge)
@customers.answers(200, schemas.Customer, message="Customers merged.")
def merge_customers(data: dict[str, Any], customer_id: UUID) -> Any:
    """Take other customers into this one, with their history; or only show the outcome with `dry_run`."""
    return domain.merge_customers(customer_id, **data)


# --- A person's rights -----------------------------------------------------------------------------------------------


@customers.get("/<uuid:customer_id>/export")
@requires("customer:read")
@slow
@customers.answers(200, schemas.Export)
def export_customer(customer_id: UUID) -> dict[str, Any]:
    """Show everything that is kept about a customer, in all services."""
    return domain.export_customer(customer_id)


@customers.post("/<uuid:customer_id>/erase")
@requires("customer:delete")
@slow
@customers.answers(200, schemas.Customer, message="Personal data erased.")
def erase_customer(customer_id: UUID) -> Customer:
    """Erase the personal data of a customer, for good, in all services."""
    return domain.erase_customer(customer_id)


# --- Many at once ----------------------------------------------------------------------------------------------------


@customers.post("/batch/upsert")
@requires("customer:write")
@slow
@customers.accepts(schemas.BatchUpsert)
@customers.answers(200, schemas.BatchResults, message="Batch done; see the results.")
def upsert_batch(data: dict[str, Any]) -> dict[str, Any]:
    """Create or update many customers; each input has its own result."""
    rows = [domain.Row(index, *schemas.read_customer(one)) for index, one in enumerate(data.pop("inputs"))]
    domain.upsert(rows, **data)
    tally = Counter(row.outcome for row in rows)
    return {"results": rows} | {outcome: tally[outcome] for outcome in models.OUTCOMES}


@customers.get("/export.csv")
@requires("customer:manage")
@slow
@customers.filters(schemas.Selection)
@customers.answers(200)
def export_customers(selection: dict[str, Any]) -> Response:
    """All selected customers as a CSV file, which can be imported again."""
    rows = (schemas.csv_row(customer) for customer in domain.every_customer(**selection))
    file = sheets.write([*schemas.READ_ONLY, *schemas.COLUMNS], rows)
    return Response(file, content_type="text/csv; charset=utf-8", headers=sheets.attachment("customers.csv"))


@customers.post("/import")
@requires("customer:write")
@slow
@customers.doc(requestBody=UPLOAD)
@customers.filters(schemas.ImportOptions)
@customers.answers(202, schemas.Import, message="Import started; its progress is at /customers/imports/<id>.")
def start_import(options: dict[str, Any]) -> Any:
    r"""Import a CSV file. The file is checked as a whole first; `dry_run=true` ends there.

    A cell of `emails`, `phones` or `tags` holds several, with `|` between them: `atacado|vip`. Inside one of them, `|`
    is written as `\|`, and `\` as `\\`.
    """
    sheet = sheets.read(_file(), known=[*schemas.READ_ONLY, *schemas.COLUMNS], codes=schemas.CODES)
    return domain.start_import(sheet.rows, **options)


@customers.get("/imports")
@requires("customer:read")
@customers.filters(PageQuery)
@customers.answers(200, schemas.Import)
def list_imports(page: dict[str, Any]) -> Page:
    """List the imports of the last month."""
    return domain.list_imports(**page)


@customers.get("/imports/<uuid:import_id>")
@requires("customer:read")
@customers.answers(200, schemas.Import)
def get_import(import_id: UUID) -> Any:
    """Show how far an import is."""
    return domain.get_import(import_id)


@customers.get("/imports/<uuid:import_id>/rows")
@requires("customer:read")
@customers.filters(schemas.ImportRowFilters)
@customers.answers(200, schemas.ImportRow)
def list_import_rows(filters: dict[str, Any], import_id: UUID) -> Page:
    """List what came of each row of an import."""
    return domain.list_import_rows(import_id, **filters)


def _file() -> bytes:
    if request.mimetype == "text/csv":
        return request.get_data()
    if request.mimetype == "multipart/form-data" and "file" in request.files:
        return bytes(request.files["file"].read())
    raise NotACsvFile


@siblings.get("/customers/<uuid:customer_id>")
@internal("interaction")
@siblings.answers(200, schemas.KnownCustomer)
def find_customer(customer_id: UUID) -> Customer:
    """What siblings may know of a customer."""
    return domain.get_customer(customer_id)


blueprints = (customers, siblings)
queues = (Queue(models.Import, lambda file: domain.continue_import(file, schemas.read_cells)),)
