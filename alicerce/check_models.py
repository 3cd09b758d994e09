"""Do the models say what the migrations made? `make check` asks this of databases made for the question."""

import os
import sys
import tempfile

from alicerce import databases
from alicerce.migrate import differences, migrate
from alicerce.postgres import EmbeddedPostgres
from alicerce.services import services
from kit.config import home


def main() -> int:
    """Migrate an empty database per service, compare, and print what differs. Exit status 1 when anything does."""
    found = 0
    postgres = EmbeddedPostgres(home(), durable=False)
    try:
        os.environ.update(databases.prepare(postgres.start(), services()))
        migrate(services())
        for service in services():
            for difference in differences(service):
                print(f"{service}: no revision has {difference}. Write it: flask --app services.{service} db migrate")
                found += 1
    finally:
        postgres.stop()
    print("Models and migrations differ." if found else "Models and migrations agree.")
    return 1 if found else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(ALICERCE_HOME=folder, LOG_LEVEL="WARNING")
        sys.exit(main())
