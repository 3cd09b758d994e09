"""Files of customers: checked as a whole, then written; the same file twice changes nothing."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.customer.schemas.files import join_items, split_items
from tests.api import Api, Person, add_member
from tests.services.helpers import drain, raced, statuses
from tests.services.test_customer_create import FULL, PATH, created

IMPORT, IMPORTS = f"{PATH}import", f"{PATH}imports"
CSV = {"Content-Type": "text/csv"}
GOOD = "name;email;document;phone\nAna Souza;ana@example.com;529.982.247-25;(11) 98765-4321\nBia;;;\n"


def sent(person: Person, text: str | bytes, query: str = "") -> Any:
    data = text.encode() if isinstance(text, str) else text
    return person.request("POST", IMPORT + query, data=data, headers=CSV)


def imported(person: Person, text: str | bytes, query: str = "") -> Any:
    """Send a file, let the work be done, and show the import."""
    file = sent(person, text, query).ok(202)["import"]
    drain("customer")
    return person.get(f"{IMPORTS}/{file['id']}").ok()["import"]


def report(person: Person, file: Any, query: str = "") -> list[Any]:
    return person.get(f"{IMPORTS}/{file['id']}/rows{query}").ok()["rows"]  # type: ignore[no-any-return]


def total(person: Person) -> int:
    return int(person.get(f"{PATH}?active_only=false").ok()["total"])


class TestImporting:
    def test_a_file_becomes_customers(self, owner: Person) -> None:
        answer = sent(owner, GOOD).ok(202)
        assert set(answer) == {"message", "import"}
        assert (answer["import"]["status"], answer["import"]["rows"]) == ("checking", {"pending": 2})
        drain("customer")
        done = owner.get(f"{IMPORTS}/{answer['import']['id']}").ok()["import"]
        assert (done["status"], done["total"], done["rows"]) == ("done", 2, {"created": 2})
        assert done["finished_at"]
        ana = owner.get(f"{PATH}?search=ana").ok()["customers"][0]
        assert (ana["document_type"], ana["document"], ana["phone"]) == ("cpf", "52998224725", "+5511987654321")
        assert [(row["number"], row["outcome"]) for row in report(owner, done)] == [(2, "created"), (3, "created")]
        assert report(owner, done)[0]["customer_id"] == ana["id"]
        assert owner.get(IMPORTS).ok()["imports"][0]["id"] == done["id"]

    def test_the_same_file_twice_changes_nothing_the_second_time(self, owner: Person) -> None:
        imported(owner, GOOD)
        before = owner.get(PATH).ok()["customers"]
        again = imported(owner, GOOD)
        assert (again["status"], again["rows"]) == ("done", {"unchanged": 2})
        assert owner.get(PATH).ok()["customers"] == before

    def test_a_dry_run_tells_what_would_happen(self, owner: Person) -> None:
        created(owner, name="Ana", email="ana@example.com")
        text = GOOD + "Caio;not an address;;\n"
        dry = imported(owner, text, "?dry_run=true")
        assert (dry["status"], dry["rows"]) == ("checked", {"created": 1, "updated": 1, "faulty": 1})
        assert total(owner) == 1
        assert [(row["number"], list(row["errors"])) for row in report(owner, dry, "?outcome=faulty")] == [
            (4, ["email"])
        ]

    def test_a_faulty_row_keeps_the_whole_file_out_unless_it_may_be_skipped(self, owner: Person) -> None:
        text = GOOD + "Caio;not an address;;\n;;;+5511987654321\n"
        refused = imported(owner, text)
        assert (refused["status"], refused["rows"]) == ("refused", {"valid": 2, "faulty": 2})
        assert total(owner) == 0
        done = imported(owner, text, "?skip_faulty=true")
        assert (done["status"], done["rows"]) == ("done", {"created": 2, "faulty": 2})
        assert total(owner) == 2

    def test_a_fault_inside_a_cell_that_holds_a_list_ends_the_import_like_any_other(self, owner: Person) -> None:
        file = imported(owner, "name,emails\nAna,ana@example.com|no address\n")
        assert file["status"] == "refused"
        assert list(report(owner, file)[0]["errors"]["emails"]) == ["1"]

    def test_a_customer_who_stands_there_twice_is_a_fault(self, owner: Person) -> None:
        text = "name,email,external_id\nAna,a@example.com,1\nBia,A@example.com,2\nCaio,,1\nDu,,\nDu,,\n"
        file = imported(owner, text)
        assert file["status"] == "refused"
        assert [(row["number"], row["errors"]["row"]) for row in report(owner, file, "?outcome=faulty")] == [
            (3, ["This is the customer of row 2 again."]),
            (4, ["This is the customer of row 2 again."]),
            (6, ["This is the customer of row 5 again."]),
        ]

    def test_known_customers_are_updated_and_blank_cells_leave_what_there_is(self, owner: Person) -> None:
        known = created(owner, name="Ana", external_id="7", notes="Tea", tags=["vip"])
        file = imported(owner, "external_id,name,notes,tags,address_city\n7,Ana Lima,,fair|vip,Recife\n")
        assert file["rows"] == {"updated": 1}
        now = owner.get(f"{PATH}{known['id']}").ok()["customer"]
        assert (now["name"], now["notes"], now["tags"]) == ("Ana Lima", "Tea", ["fair", "vip"])
        assert now["addresses"][0]["city"] == "Recife"

    def test_what_clashes_while_writing_is_left_out_alone(self, owner: Person) -> None:
        created(owner, name="Old", email="ana@example.com")
        created(owner, name="Known", external_id="1")
        file = imported(owner, "external_id,name,email\n1,Known,ana@example.com\n2,New,new@example.com\n")
        assert (file["status"], file["rows"]) == ("done", {"created": 1, "faulty": 1})
        assert report(owner, file)[0]["errors"] == {"email": ["Is already in use."]}

    def test_more_rows_than_fit_one_step(self, owner: Person) -> None:
        text = "name,external_id\n" + "".join(f"Customer {n},{n}\n" for n in range(1201))
        assert imported(owner, text)["rows"] == {"created": 1201}
        assert imported(owner, text)["rows"] == {"unchanged": 1201}
        assert owner.get(f"{PATH}?search=1200").ok()["total"] == 1

    def test_a_form_with_a_file_does_as_well(self, owner: Person) -> None:
        answer = owner.request("POST", IMPORT, data={"file": (io.BytesIO(GOOD.encode()), "customers.csv")})
        assert answer.ok(202)["import"]["total"] == 2
        drain("customer")
        assert total(owner) == 2

    def test_an_empty_table_is_done_at_once(self, owner: Person) -> None:
        assert (imported(owner, "name\n")["status"], total(owner)) == ("done", 0)

    def test_two_files_at_once_make_no_twins(self, owner: Person) -> None:
        raced(lambda: sent(owner, GOOD), lambda: sent(owner, GOOD))
        raced(lambda: drain("customer"), lambda: drain("customer"))
        assert total(owner) == 2


class TestRefusing:
    @pytest.mark.parametrize(
        ("text", "row", "column"),
        [
            ("name;email\nJosé;\n".encode("cp1252"), 2, "name"),
            ("name,email\nAna,a@example.com,x\n", 2, None),
            ("name,document\nAna,1.11222E+13\n", 2, "document"),
            ("name,nickname\nAna,A\n", 1, "nickname"),
            ("", 1, None),
            ('name\n"Ana\n', 2, None),
        ],
    )
    def test_what_is_no_table_is_refused_with_row_and_column(
        self, owner: Person, text: str | bytes, row: int, column: str | None
    ) -> None:
        problem = sent(owner, text).problem(422, "unreadable_sheet")
        assert [(fault["row"], fault["column"]) for fault in problem["faults"]] == [(row, column)]
        assert owner.get(IMPORTS).ok()["total"] == 0

    def test_other_kinds_of_bodies(self, owner: Person) -> None:
        owner.post(IMPORT, {"name": "Ana"}).problem(415, "not_a_csv_file")
        owner.request("POST", IMPORT, data={"other": "x"}).problem(415, "not_a_csv_file")
        owner.request("POST", IMPORT).problem(415, "not_a_csv_file")
        sent(owner, GOOD, "?dry_run=maybe").problem(422, "validation_error")
        sent(owner, GOOD, "?id_property=name").problem(422, "validation_error")

    def test_only_who_may_write_and_only_in_the_own_tenant(self, api: Api, owner: Person, stranger: Person) -> None:
        api.request("POST", IMPORT, data=GOOD, headers=CSV).problem(401, "unauthenticated")
        add_member(owner, "viewer").request("POST", IMPORT, data=GOOD, headers=CSV).problem(403, "forbidden")
        file = imported(owner, GOOD)
        stranger.get(f"{IMPORTS}/{file['id']}").problem(404, "no_such_import")
        stranger.get(f"{IMPORTS}/{file['id']}/rows").problem(404, "no_such_import")
        assert (total(stranger), stranger.get(IMPORTS).ok()["total"]) == (0, 0)

    def test_a_repeated_upload_with_a_key_is_one_import(self, owner: Person) -> None:
        key = CSV | {"Idempotency-Key": "file-1"}
        answers = [owner.request("POST", IMPORT, data=GOOD, headers=key) for _ in range(2)]
        assert statuses(answers) == [202, 202]
        assert owner.get(IMPORTS).ok()["total"] == 1

    def test_a_repeated_form_with_a_key_is_one_import(self, owner: Person) -> None:
        def posted(text: str) -> Any:
            form = {"file": (io.BytesIO(text.encode()), "customers.csv")}
            return owner.request("POST", IMPORT, data=form, headers={"Idempotency-Key": "form-1"})

        first = posted(GOOD).ok(202)
        assert posted(GOOD).ok(202) == first
        posted("name\nAna\n").problem(422, "idempotency_key_reused")
        assert owner.get(IMPORTS).ok()["total"] == 1


class TestExporting:
    def test_what_is_exported_can_be_imported(self, owner: Person, stranger: Person) -> None:
        created(owner, **FULL)
        created(owner, name="=cmd|' /C calc'!A0", notes="-1+1", tags=["@home"])
        answer = owner.get(f"{PATH}export.csv")
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert "customers.csv" in answer.headers["Content-Disposition"]
        assert "'=cmd|' /C calc'!A0" in answer.json
        assert imported(owner, answer.json)["rows"] == {"unchanged": 2}
        assert imported(stranger, answer.json)["rows"] == {"created": 2}
        columns = ("name", "type", "email", "emails", "phones", "document", "birth_date", "tags", "addresses", "notes")
        ours, theirs = (
            [{c: one[c] for c in columns} for one in p.get(PATH).ok()["customers"]] for p in (owner, stranger)
        )
        assert ours == theirs

    def test_items_that_hold_what_divides_a_list_stay_whole(self, owner: Person, stranger: Person) -> None:
        tags, emails = ["a|b", "C:\\|", "\\\\", "x;=1+1"], ["ana|bia@example.com"]
        created(owner, name="Ana", external_id="1", tags=tags, emails=emails)
        file = owner.get(f"{PATH}export.csv").json
        assert imported(owner, file)["rows"] == {"unchanged": 1}
        assert imported(stranger, file)["rows"] == {"created": 1}
        theirs = stranger.get(PATH).ok()["customers"][0]
        assert (theirs["tags"], theirs["emails"]) == (tags, emails)

    @given(st.lists(st.text("a|\\ ", min_size=1).filter(str.strip)))
    def test_every_list_is_read_as_it_was_written(self, items: list[str]) -> None:
        assert split_items(join_items(items)) == items

    def test_addresses_for_which_a_file_has_no_room_stay(self, owner: Person) -> None:
        ana = created(owner, name="Ana", external_id="1", addresses=[{"city": "Recife"}, {"city": "Olinda"}])
        assert imported(owner, owner.get(f"{PATH}export.csv").json)["rows"] == {"unchanged": 1}
        imported(owner, "external_id,address_city\n1,Natal\n")
        now = owner.get(f"{PATH}{ana['id']}").ok()["customer"]
        assert [address["city"] for address in now["addresses"]] == ["Natal", "Olinda"]

    def test_it_is_narrowed_like_the_list(self, owner: Person) -> None:
        gone = created(owner, name="Gone", tags=["x"])
        created(owner, name="Here", tags=["x"])
        created(owner, name="Other")
        owner.delete(f"{PATH}{gone['id']}").ok()
        lines = owner.get(f"{PATH}export.csv?filter[tags][in]=x").json.splitlines()
        assert (len(lines), "Here" in lines[1]) == (2, True)
        assert len(owner.get(f"{PATH}export.csv?active_only=false").json.splitlines()) == 4
        owner.get(f"{PATH}export.csv?page=2").problem(422, "validation_error")

    def test_only_who_manages_takes_all_away(self, api: Api, owner: Person, stranger: Person) -> None:
        created(owner, name="Ana")
        api.get(f"{PATH}export.csv").problem(401, "unauthenticated")
        add_member(owner, "member").get(f"{PATH}export.csv").problem(403, "forbidden")
        assert len(stranger.get(f"{PATH}export.csv").json.splitlines()) == 1
