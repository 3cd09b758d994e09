from kit.app import Service, create_service
from services.product import models, routes


def create_app() -> Service:
    return create_service("product", port=8241, db=models.db, blueprints=routes.blueprints)
