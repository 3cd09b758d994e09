"""The gateway in every form that a client may meet."""

from tests.running import solo, split

__all__ = ["solo", "split"]
