"""Search terms, ids, pages, traces, budgets: what needs no database."""

import uuid
from datetime import UTC, timedelta

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, DateTime, Integer, Text, Uuid, column

from kit import clock, deadline, trace
from kit.errors import DeadlineExceeded, ValidationError
from kit.pages import Order, Page, _decode, _encode, parse_sort
from kit.search import MAX_WORD, normalise, terms, words

QUICK = settings(max_examples=100, deadline=None, derandomize=True, database=None)
ANY = st.text(st.characters(codec="utf-8"), max_size=40)


class TestTerms:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", []),
            ("  -- ", []),
            ("Conceição", ["conceicao"]),
            ("STRASSE straße", ["strasse", "strasse"]),
            ("maria.silva@acme.com", ["maria", "silva", "acme", "com"]),
            ("529.982.247-25", ["52998224725"]),
            ("+55 (11) 98765-4321", ["55", "11", "987654321"]),
            ("12.ABC/34", ["12", "abc", "34"]),
            ("snake_case d'Arc", ["snake", "case", "d", "arc"]),
            ("ﬁm ² ١", ["fim", "2", "١"]),
            ("東京 タワー", ["東京", "タワー"]),
        ],
    )
    def test_a_text_is_taken_apart(self, text: str, expected: list[str]) -> None:
        assert terms(text) == expected

    @QUICK
    @given(ANY)
    def test_a_term_is_a_short_word_without_blanks(self, text: str) -> None:
        for term in terms(text):
            assert 0 < len(term) <= MAX_WORD
            assert not any(character.isspace() or character == "\x00" for character in term)
            assert chr(ord(term[-1]) + 1).encode()

    @QUICK
    @given(ANY, ANY)
    def test_the_terms_of_a_text_are_among_its_words(self, one: str, two: str) -> None:
        assert set(terms(one)) <= words((one, two, None))
        assert terms(f"{one} {two}") == terms(one) + terms(two)

    @QUICK
    @given(st.text(st.characters(codec="latin-1"), max_size=40))
    def test_normalising_twice_changes_nothing(self, text: str) -> None:
        assert normalise(normalise(text)) == normalise(text) == normalise(text.upper())


class TestIds:
    def test_an_id_is_a_uuid_of_version_seven(self) -> None:
        moment = int(clock.timestamp() * 1000)
        id = clock.new_id()
        assert (id.version, id.variant) == (7, uuid.RFC_4122)
        assert 0 <= (id.int >> 80) - moment < 60_000

    def test_a_later_id_sorts_later_and_none_comes_twice(self) -> None:
        ids = [clock.new_id() for _ in range(2000)]
        assert len(set(ids)) == 2000
        with clock.shifted(timedelta(milliseconds=2)):
            assert clock.new_id() > max(ids)
        with clock.shifted(timedelta(days=-1)):
            assert clock.new_id() < min(ids)

    def test_a_shift_ends_with_its_block_even_by_an_error(self) -> None:
        before = clock.now()
        with pytest.raises(RuntimeError), clock.shifted(timedelta(days=400)):
            assert clock.now() - before > timedelta(days=399)
            raise RuntimeError
        assert clock.now() - before < timedelta(days=1)


SORTABLE = {
    "at": Column("at", DateTime(timezone=True)),
    "name": Column("name", Text()),
    "count": Column("count", Integer()),
    "id": Column("id", Uuid()),
}


class TestPages:
    @QUICK
    @given(
        at=st.datetimes(timezones=st.just(UTC)),
        name=st.text(st.characters(codec="utf-8", exclude_characters="\x00")),
        count=st.integers(-(2**31), 2**31),
        id=st.uuids(),
        sort=st.permutations(["at", "-name", "count"]),
    )
    def test_a_cursor_holds_exactly_what_it_was_made_of(self, sort: list[str], **values: object) -> None:
        orders = parse_sort(",".join(sort), SORTABLE)
        row = type("Row", (), values)()
        assert _decode(_encode(row, orders), orders) == [values[order.name] for order in orders]

    @QUICK
    @given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.hex()))
    def test_any_other_text_is_refused_as_a_cursor(self, cursor: str) -> None:
        with pytest.raises(ValidationError):
            _decode(cursor, parse_sort(None, SORTABLE))

    @pytest.mark.parametrize(
        ("sort", "expected"),
        [
            (None, [("at", False), ("id", False)]),
            ("", [("at", False), ("id", False)]),
            ("-name", [("name", True), ("id", True)]),
            ("id", [("id", False)]),
            ("-id,name", [("id", True), ("name", False)]),
            (" name , -at ", [("name", False), ("at", True), ("id", True)]),
        ],
    )
    def test_every_order_is_total(self, sort: str | None, expected: list[tuple[str, bool]]) -> None:
        assert [(order.name, order.descending) for order in parse_sort(sort, SORTABLE)] == expected

    def test_an_unknown_order_is_named_with_the_known_ones(self) -> None:
        with pytest.raises(ValidationError) as raised:
            parse_sort("name,colour", SORTABLE)
        assert raised.value.errors == {"sort": ["Cannot sort by colour; choose from at, name, count, id."]}

    @pytest.mark.parametrize(("total", "pages"), [(0, 0), (1, 1), (20, 1), (21, 2)])
    def test_pages_are_counted(self, total: int, pages: int) -> None:
        assert Page([], total, True, 1, 20, None).pages == pages

    def test_a_column_is_compared_by_its_own_type(self) -> None:
        orders = [Order("count", column("count", Integer()), False)]
        for wrong in ("1", True, 1.5, None):
            forged = _encode(type("Row", (), {"count": wrong})(), orders)
            with pytest.raises(ValidationError):
                _decode(forged, orders)


class TestRequestId:
    @pytest.mark.parametrize("offered", ["abcd-1234", "A.b_c-d.e", "x" * 64])
    def test_a_harmless_id_is_kept(self, offered: str) -> None:
        assert trace.request_id(offered) == offered

    @pytest.mark.parametrize(
        "offered", [None, "", "short", "x" * 65, "with blank", "abcd-1234\n", "ção-ção-ção", "<b>12345"]
    )
    def test_any_other_is_replaced(self, offered: str | None) -> None:
        made = {trace.request_id(offered) for _ in range(3)}
        assert len(made) == 3 and offered not in made


class TestDeadline:
    @pytest.mark.parametrize(
        ("header", "most"),
        [
            (None, 10_000),
            ("500", 500),
            ("999999", 10_000),
            ("-5", 10_000),
            ("x", 10_000),
            ("٣", 10_000),
            ("9" * 400, 10_000),
        ],
    )
    def test_a_budget_only_shrinks(self, header: str | None, most: int) -> None:
        with Flask("x").app_context():
            deadline.start(header)
            assert most - 200 < deadline.remaining_ms() <= most

    @pytest.mark.parametrize("header", ["0", "10"])
    def test_what_is_too_little_is_not_begun(self, header: str) -> None:
        with Flask("x").app_context():
            deadline.start(header)
            assert deadline.remaining_ms() >= 1
            with pytest.raises(DeadlineExceeded):
                deadline.spend()

    def test_outside_of_a_request_the_budget_is_whole(self) -> None:
        assert deadline.remaining_ms() == deadline.spend() == deadline.BUDGET_MS
