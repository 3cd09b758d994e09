"""The verbs of customer. Plain functions: no HTTP, no JSON, no commit."""

from services.customer.domain.customers import (
    activate_customer,
    count_tags,
    create_customer,
    deactivate_customer,
    every_customer,
    get_customer,
    list_changes,
    list_customers,
    remove_customer,
    update_customer,
)
from services.customer.domain.duplicates import list_duplicates
from services.customer.domain.imports import (
    continue_import,
    get_import,
    list_import_rows,
    list_imports,
    start_import,
)
from services.customer.domain.merging import merge_customers
from services.customer.domain.privacy import erase_customer, export_customer, overview
from services.customer.domain.upserts import Row, upsert

__all__ = [
    "Row",
    "activate_customer",
    "continue_import",
    "count_tags",
    "create_customer",
    "deactivate_customer",
    "erase_customer",
    "every_customer",
    "export_customer",
    "get_customer",
    "get_import",
    "list_changes",
    "list_customers",
    "list_duplicates",
    "list_import_rows",
    "list_imports",
    "merge_customers",
    "overview",
    "remove_customer",
    "start_import",
    "update_customer",
    "upsert",
]
