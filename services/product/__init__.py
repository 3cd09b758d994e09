"""The catalogue of a tenant: goods, services, bundles and subscriptions, their prices and their tax fields.

Owns what is sold and for how much, now and before. Promises that no two active products have one SKU or GTIN, and that
nobody outside the tenant sees a product unless the tenant has published its catalogue.
"""

from services.product.app import create_app

__all__ = ["create_app"]
