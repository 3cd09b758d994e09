"""Interaction over HTTP."""

from kit.blueprint import Blueprint

customers = Blueprint("customers", __name__, url_prefix="/customers", description="What happened with a customer.")

blueprints = (customers,)
