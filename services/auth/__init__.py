"""Who you are: people, their passwords and their sessions.

Owns credentials and the signing of access tokens; nobody else can make one. Promises that no query can list people:
every row is fenced by the person it belongs to, and only the exact identifier leads to a person.
"""

from services.auth.app import create_app

__all__ = ["create_app"]
