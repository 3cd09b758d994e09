"""Migrations: one Alembic environment for all services, configured in code.

`flask --app services.customer db upgrade|migrate|history` works for every service; a service's folder holds its
revisions and nothing else.
"""

from importlib.resources import files
from pathlib import Path
from typing import Any

from flask import Flask
from flask_migrate import Migrate

HERE = Path(__file__).parent


def attach(app: Flask, db: Any) -> None:
    """Give a service the `flask db` commands."""
    revisions = Path(str(files(f"services.{app.name}"))) / "migrations"
    migrate = Migrate(app, db, directory=str(HERE), compare_type=True)

    @migrate.configure
    def configure(config: Any) -> Any:
        config.set_main_option("script_location", str(HERE))
        config.set_main_option("version_locations", str(revisions))
        config.set_main_option("path_separator", "newline")
        config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
        config.attributes["service"] = app.name
        return config
