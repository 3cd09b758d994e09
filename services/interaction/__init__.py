"""What happened with a customer: calls, visits and notes on one timeline, and the money that was earned and owed.

Owns the history. Promises that nothing is recorded about a customer who does not exist or is inactive, that a
transaction is never changed but reversed, and that a statement is the sum of its rows.
"""

from services.interaction.app import create_app

__all__ = ["create_app"]
