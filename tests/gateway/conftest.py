"""An echoing service that tests of the gateway share."""

from tests.gateway.stack import echo

__all__ = ["echo"]
