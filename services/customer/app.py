from kit.app import Service, create_service
from services.customer import models, routes


def create_app() -> Service:
    return create_service("customer", port=8240, db=models.db, blueprints=routes.blueprints, queues=routes.queues)
