from kit.app import Service, create_service
from services.tenant import models, routes


def create_app() -> Service:
    return create_service("tenant", port=8212, db=models.db, blueprints=[*routes.blueprints])
