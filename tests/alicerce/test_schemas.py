"""Tables in a schema of their own: every transaction finds them, also those that are apart from a session's."""

from pathlib import Path

from alicerce.postgres import EmbeddedPostgres
from tests.alicerce import external
from tests.api import PASSWORD, new_person
from tests.topologies import running


def test_people_log_in_and_change_their_password_in_a_schema_of_its_own(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    given = {"DB_SCHEMA": "sales", "DATABASE_SERVER_URL": server.url}
    external.prepare(tmp_path, given)
    with running("solo", tmp_path, given) as platform:
        person = new_person(platform.url)
        body = {"current_password": PASSWORD, "new_password": "another horse entirely"}
        person.post("/auth/password/change", body | {"current_password": "wrong"}).problem(401, "invalid_credentials")
        person.post("/auth/password/change", body).ok()
        person.post("/auth/login", {"email": person.email, "password": body["new_password"]}).ok()
        person.post("/api/customers/", {"name": "Ana"}).ok(201)
