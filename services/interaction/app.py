from kit.app import Service, create_service
from services.interaction import models, routes


def create_app() -> Service:
    return create_service("interaction", port=8242, db=models.db, blueprints=routes.blueprints)
