"""Product over HTTP."""

from kit.blueprint import Blueprint

products = Blueprint("products", __name__, url_prefix="/products", description="The catalogue of a tenant.")

blueprints = (products,)
