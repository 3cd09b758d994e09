"""The first administrator of the platform cannot be made through the platform; it is made here."""

from kit.config import ConfigurationError
from kit.errors import Problem
from services.auth import create_app, domain


def promote(identifier: str) -> None:
    """Make a registered person a platform administrator. Raises ConfigurationError when there is none."""
    app = create_app()
    with app.app_context():
        try:
            domain.promote(identifier)
        except Problem as problem:
            raise ConfigurationError(f"{identifier}: {problem}") from problem
        app.db.session.commit()
    print(f"{identifier} administers the platform from the next login on.")
