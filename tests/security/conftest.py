"""What is attacked: the platform in every form that a client may meet."""

from tests.gateway.stack import echo
from tests.running import solo, split

__all__ = ["echo", "solo", "split"]
