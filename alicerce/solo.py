"""Solo: gateway and every service as WSGI apps of one process, with the same client, tokens and checks as over HTTP."""

from importlib import import_module

from alicerce.services import services
from gateway import create_app as create_gateway
from gateway.app import Gateway
from kit import transport


def create_app() -> Gateway:
    """Mount every service of `services/` in this process, and put the gateway before them."""
    for noun in services():
        transport.mount(noun, import_module(f"services.{noun}").create_app().wsgi_app)
    return create_gateway()
