"""Real topologies, to be broken."""

from tests.running import solo, split

__all__ = ["solo", "split"]
