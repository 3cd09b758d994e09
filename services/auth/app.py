from kit.app import Service, create_service
from services.auth import models, routes


def create_app() -> Service:
    return create_service("auth", port=8202, db=models.db, blueprints=[*routes.blueprints])
