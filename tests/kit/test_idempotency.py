"""A POST with an Idempotency-Key happens once, whoever repeats it and however often."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from kit import clock
from tests.api import Answer, Person, add_member

PATH = "/api/customers/"
KEY = {"Idempotency-Key": "7b6c0b6e-1"}
BODY = {"name": "Ana"}


def total(person: Person) -> int:
    return int(person.get(PATH).ok()["total"])


def test_a_repeated_post_gives_the_first_answer_again(owner: Person) -> None:
    first = owner.post(PATH, BODY, headers=KEY)
    again = owner.post(PATH.rstrip("/"), BODY, headers=KEY)
    assert again.ok(201) == first.ok(201)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["ETag"] == first.headers["ETag"]
    assert total(owner) == 1


def test_without_a_key_two_posts_are_two(owner: Person) -> None:
    owner.post(PATH, BODY).ok(201)
    owner.post(PATH, BODY).ok(201)
    assert total(owner) == 2


def test_a_key_is_refused_for_another_body(owner: Person) -> None:
    owner.post(PATH, BODY, headers=KEY).ok(201)
    owner.post(PATH, {"name": "Bia"}, headers=KEY).problem(422, "idempotency_key_reused")
    assert total(owner) == 1


def test_a_key_of_a_colleague_is_refused(owner: Person) -> None:
    owner.post(PATH, BODY, headers=KEY).ok(201)
    add_member(owner, "member").post(PATH, BODY, headers=KEY).problem(422, "idempotency_key_reused")


def test_another_tenants_key_is_nothing_to_us(owner: Person, stranger: Person) -> None:
    first = owner.post(PATH, BODY, headers=KEY).ok(201)
    assert stranger.post(PATH, BODY, headers=KEY).ok(201)["customer"]["id"] != first["customer"]["id"]


def test_a_refusal_is_not_kept(owner: Person) -> None:
    owner.post(PATH, {"name": ""}, headers=KEY).problem(422, "validation_error")
    owner.post(PATH, BODY, headers=KEY).ok(201)


def test_a_key_is_forgotten_after_a_day(owner: Person) -> None:
    with clock.shifted(timedelta(days=-1, seconds=-1)):
        first = owner.login().post(PATH, BODY, headers=KEY).ok(201)
    assert owner.post(PATH, BODY, headers=KEY).ok(201)["customer"]["id"] != first["customer"]["id"]


@pytest.mark.parametrize("key", ["x" * 256, "a b", "é"])
def test_a_malformed_key_is_a_clear_400(owner: Person, key: str) -> None:
    answer = owner.post(PATH, BODY, headers={"Idempotency-Key": key})
    answer.problem(400, "malformed_idempotency_key")


def test_racing_repeats_create_one(owner: Person) -> None:
    barrier = Barrier(10)

    def post(_: int) -> Answer:
        barrier.wait()
        return owner.post(PATH, BODY, headers=KEY)

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(post, range(10)))
    made = {answer.json["customer"]["id"] for answer in answers if answer.status == 201}
    refused = {answer.json["code"] for answer in answers if answer.status != 201}
    assert len(made) == 1
    assert refused <= {"idempotency_key_busy", "upstream_busy"}  # ten at once are more than one service is given
    assert total(owner) == 1


def test_auth_keeps_no_answers(register: Callable[..., Person], api: Any) -> None:
    body = {"email": "once@example.com", "password": "correct horse battery"}
    api.post("/auth/register", body, headers=KEY).ok(201)
    api.post("/auth/register", body, headers=KEY).problem(409, "email_taken")
