"""Customer over HTTP."""

from typing import Any
from uuid import UUID

from kit.blueprint import Blueprint
from kit.identity import requires
from kit.pages import Page
from kit.schema import Removal
from services.customer import domain, schemas
from services.customer.models import Customer

customers = Blueprint("customers", __name__, url_prefix="/customers", description="The customers of a tenant.")


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
