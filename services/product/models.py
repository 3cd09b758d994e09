"""The nouns of product."""

from kit.db import Database
from kit.idempotency import replay_table

db = Database()

Replay = replay_table(db)
