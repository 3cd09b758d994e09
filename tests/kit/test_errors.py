import json
from typing import Any

import pytest
from flask import Flask, Response
from sqlalchemy.orm import DeclarativeBase

from kit import errors, preconditions
from kit.errors import Conflict, NotFound, PreconditionFailed, Problem, Unavailable, ValidationError
from kit.schema import Schema, fields


class NoSuchThing(NotFound):
    """This thing
    does not exist."""


class TestProblems:
    def test_a_class_says_everything(self) -> None:
        document = json.loads(errors.render(NoSuchThing(), "r1"))
        assert document == {
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "detail": "This thing does not exist.",
            "message": "This thing does not exist.",
            "code": "no_such_thing",
            "request_id": "r1",
        }

    def test_more_can_be_said(self) -> None:
        problem = Unavailable("Gone.", code="gone", errors={"a": ["b"]}, retry_after_s=3, upstream="auth", none=None)
        document = problem.document("r1")
        assert (document["detail"], document["code"], document["errors"]) == ("Gone.", "gone", {"a": ["b"]})
        assert (document["upstream"], "none" in document, "retry_after_s" in document) == ("auth", False, False)
        assert problem.headers == {"Retry-After": "3"}
        assert NoSuchThing().headers == {}

    @pytest.mark.parametrize("status", [400, 404, 405, 413, 415, 418, 500])
    def test_a_bare_status_becomes_a_problem(self, status: int) -> None:
        document = errors.from_status(status).document("r1")
        assert document["status"] == status
        assert document["code"].replace("_", "").isalpha() and document["code"].islower()

    def test_an_item_of_a_list_can_be_named(self) -> None:
        problem = ValidationError(errors={"tags": {0: ["Wrong."]}})
        assert json.loads(errors.render(problem, ""))["errors"] == {"tags": {"0": ["Wrong."]}}

    def test_a_code_is_snake_case_around_short_words(self) -> None:
        class NotAMember(Conflict):
            """No."""

        assert NotAMember().code == "not_a_member"

    def test_only_a_durable_one_keeps_what_was_done(self) -> None:
        from services.auth.domain.sessions import RefreshTokenReused

        assert (Problem.durable, Conflict.durable, RefreshTokenReused.durable) == (False, False, True)


class Base(DeclarativeBase):
    pass


class Thing(Schema):
    name = fields.String()
    code = fields.String(dump_only=True)
    version = fields.Integer(dump_only=True)
    updated_at = fields.String(dump_only=True)


class TestPreconditions:
    RECORD = type("Record", (), {"name": "a", "code": "c", "version": 3, "updated_at": "now"})()

    def checked(self, headers: dict[str, str] | None = None, **seen: Any) -> dict[str, Any]:
        with Flask("x").test_request_context("/", method="PUT", headers=headers or {}):
            loaded: dict[str, Any] = Thing(partial=True).load(seen)
            preconditions.check(self.RECORD)
            return loaded

    def test_an_echo_is_taken_for_what_it_is(self) -> None:
        assert self.checked(name="b", code="c", version=3, updated_at="now") == {"name": "b"}
        assert self.checked(name="b") == {"name": "b"}

    @pytest.mark.parametrize("seen", [{"version": 2}, {"updated_at": "then"}, {"version": 2, "code": "x"}])
    def test_a_stale_echo_is_refused(self, seen: dict[str, Any]) -> None:
        with pytest.raises(PreconditionFailed):
            self.checked(**seen)

    def test_a_changed_read_only_field_is_named(self) -> None:
        with pytest.raises(ValidationError) as raised:
            self.checked(code="x", version=3)
        assert raised.value.errors == {"code": ["This field is read-only."]}

    @pytest.mark.parametrize("tag", ['"3"', "*", '"1", "3"'])
    def test_a_tag_that_matches_lets_through(self, tag: str) -> None:
        assert self.checked({"If-Match": tag}, name="b") == {"name": "b"}

    @pytest.mark.parametrize("tag", ['"2"', 'W/"3"', '"1", "2"', '"33"'])
    def test_a_tag_that_does_not_match_stops(self, tag: str) -> None:
        with pytest.raises(PreconditionFailed):
            self.checked({"If-Match": tag}, name="b")

    def test_outside_of_a_request_nothing_is_checked(self) -> None:
        preconditions.check(self.RECORD)
        assert preconditions.etag(self.RECORD) == '"3"'
        assert preconditions.etag(Response()) is None
