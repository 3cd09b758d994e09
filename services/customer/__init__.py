"""The customers of a tenant: people and companies, found by any word of theirs, never two active with one e-mail.

Owns the record of who a customer is. Promises that a deactivated customer comes back whole, and that what another
tenant keeps can be neither seen nor guessed.
"""

from services.customer.app import create_app

__all__ = ["create_app"]
