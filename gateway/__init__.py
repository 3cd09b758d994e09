"""The only public door: finds the service, proves who is asking, and forwards. It has no table and no business rule."""

from gateway.app import create_app

__all__ = ["create_app"]
