"""Who asks too much is told so, and how long to wait; nobody else notices."""

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.limits import RATE_LIMIT_ADDRESS, REMEMBERED, SECOND_NS, Limit, Limits, network
from kit.config import ConfigurationError
from tests.api import Answer, Api, Person, add_member
from tests.gateway.fronts import Build, Front, building

LIMITS = ("ADDRESS", "LOGIN", "USER", "TENANT", "TENANT_SECONDS", "KEY")
DEFAULTS = [f"RATE_LIMIT_{whose}" for whose in LIMITS]


@dataclass
class Clock:
    """Time as a test wants it."""

    now: int = 5 * SECOND_NS

    def __call__(self) -> int:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += round(seconds * SECOND_NS)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def build(platform: Any, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Iterator[Build]:
    with building(platform, monkeypatch) as build:

        def timed(**settings: str) -> Front:
            front = build(**settings)
            front.proxy.limits = Limits(clock)
            return front

        yield timed


def statuses(ask: Callable[[], Answer], times: int) -> list[int]:
    return [ask().status for _ in range(times)]


# --- The bucket ------------------------------------------------------------------------------------------------------


def test_a_bucket_gives_its_quota_at_once_and_then_one_at_a_time(clock: Clock) -> None:
    limit = Limit("test", 6, clock)
    assert [limit.take("a").left for _ in range(6)] == [5, 4, 3, 2, 1, 0]
    assert limit.take("a").wait_s == 10
    clock.forward(9.9)
    assert limit.take("a").wait_s == 1
    clock.forward(0.1)
    assert limit.take("a").wait_s == 0
    assert limit.take("a").wait_s == 10


@pytest.mark.parametrize("quota", [1, 7, 30, 59, 12_000, 999_983])
def test_no_quota_loses_or_gains_a_request_by_rounding(clock: Clock, quota: int) -> None:
    limit = Limit("test", quota, clock)
    limit._full_at["a"] = clock.now + limit.step * (quota - 1)
    assert limit.take("a").wait_s == 0
    assert limit.take("a").wait_s > 0


def test_a_refused_request_takes_nothing_so_that_waiting_helps(clock: Clock) -> None:
    limit = Limit("test", 60, clock)
    for _ in range(60):
        limit.take("a")
    assert all(limit.take("a").wait_s == 1 for _ in range(1000))
    clock.forward(1)
    assert limit.take("a").wait_s == 0


def test_what_was_used_is_charged_be_it_more_than_was_left(clock: Clock) -> None:
    limit = Limit("test", 60, clock)
    limit.charge("a", 59.5)
    assert limit.take("a", 0).wait_s == 0
    limit.charge("a", 40)
    assert [limit.take("a", 0).wait_s for _ in range(3)] == [40] * 3
    clock.forward(40)
    assert limit.take("a", 0).wait_s == 0
    assert limit.take("b").left == 59


def test_a_bucket_never_holds_more_than_its_quota(clock: Clock) -> None:
    limit = Limit("test", 3, clock)
    limit.take("a")
    clock.forward(100_000)
    assert [limit.take("a").wait_s > 0 for _ in range(4)] == [False, False, False, True]


def test_one_key_does_not_use_up_anothers(clock: Clock) -> None:
    limit = Limit("test", 1, clock)
    assert [limit.take(key).wait_s > 0 for key in "aabb"] == [False, True, False, True]


def test_the_number_of_buckets_is_bounded_and_the_least_used_goes_first(clock: Clock) -> None:
    limit = Limit("test", 1, clock, remembered=3)
    for key in ("kept", 1, 2, "kept", 3, "kept", 4):
        limit.take(key)
    assert len(limit._full_at) == 3
    assert limit.take("kept").wait_s > 0
    assert limit.take(1).wait_s == 0
    assert REMEMBERED >= 10_000


def test_threads_that_race_for_a_bucket_get_its_quota_and_no_more(clock: Clock) -> None:
    limit = Limit("test", 5000, clock)
    taken: list[int] = []
    start = threading.Barrier(8)

    def take() -> None:
        start.wait()
        taken.append(sum(limit.take("a").wait_s == 0 for _ in range(1000)))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert sum(taken) == 5000


@pytest.mark.parametrize(
    ("address", "whose"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ("fe80::1%eth0", "fe80::"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("nonsense:", "nonsense:"),
        ("", ""),
    ],
)
def test_a_network_of_ipv6_is_one_address(address: str, whose: str) -> None:
    assert network(address) == whose


# --- At the gateway --------------------------------------------------------------------------------------------------


def test_an_address_is_limited_whatever_it_asks_for(build: Build, clock: Clock) -> None:
    front = build(RATE_LIMIT_ADDRESS="3")
    api = Api(front)
    for path in ("/api/open", "/api/nothing", "/api/%2e"):
        assert api.get(path).status in (200, 404, 400)
    refused = api.get("/api/open")
    assert refused.problem(429, "too_many_requests")["limit"] == "address"
    assert refused.headers["Retry-After"] == "20"
    assert front.service.asked == 1
    clock.forward(20)
    assert api.get("/api/open").status == 200


def test_addresses_are_counted_apart(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(build(RATE_LIMIT_ADDRESS="1"))
    monkeypatch.setenv("TRUSTED_PROXIES", "127.0.0.0/8")
    asked = ["1.1.1.1", "1.1.1.1", "2.2.2.2", "2001:db8::1", "2001:db8::2"]
    found = [api.get("/api/open", headers={"X-Forwarded-For": address}).status for address in asked]
    assert found == [200, 429, 200, 200, 429]


def test_a_client_cannot_choose_its_address_by_a_header(build: Build) -> None:
    api = Api(build(RATE_LIMIT_ADDRESS="1"))
    headers = [{"X-Forwarded-For": "1.1.1.1"}, {"X-Forwarded-For": "2.2.2.2"}, {"X-Real-IP": "3.3.3.3"}]
    assert [api.get("/api/open", headers=sent).status for sent in headers] == [200, 429, 429]


def test_whoever_watches_the_gateway_is_never_refused(build: Build) -> None:
    api = Api(build(RATE_LIMIT_ADDRESS="1"))
    assert statuses(lambda: api.get("/api/open"), 2) == [200, 429]
    assert statuses(lambda: api.get("/live"), 5) == [200] * 5
    assert api.get("/metrics").status == 429  # a token could be guessed there


def test_logging_in_is_limited_more_strictly_across_its_four_doors(build: Build) -> None:
    front = build(RATE_LIMIT_LOGIN="4", RATE_LIMIT_ADDRESS="1000")
    api = Api(front)
    doors = ("/auth/login", "/auth/register", "/auth/refresh", "/auth/validate-token")
    assert [api.post(path, {}).status for path in doors] == [200] * 4
    for path in doors:
        assert api.post(path, {}).problem(429, "too_many_requests")["limit"] == "login"
    assert front.service.asked == 4
    assert api.get("/api/open").status == 200
    assert api.post("/api/open", {}).status == 200


def test_a_person_is_limited_wherever_they_come_from_and_nobody_else_is(
    build: Build, owner: Person, stranger: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = build(RATE_LIMIT_USER="2")
    monkeypatch.setenv("TRUSTED_PROXIES", "127.0.0.0/8")
    tokens = [owner.token, owner.login().token, owner.token]
    found = [
        Api(front, token).get("/api/things", headers={"X-Forwarded-For": f"1.1.1.{number}"})
        for number, token in enumerate(tokens)
    ]
    assert [answer.status for answer in found] == [200, 200, 429]
    assert found[2].problem(429, "too_many_requests")["limit"] == "user"
    assert Api(front, stranger.token).get("/api/things").status == 200


def test_a_tenant_is_limited_and_a_person_who_is_refused_does_not_use_it_up(build: Build, owner: Person) -> None:
    member = add_member(owner, "member")
    front = build(RATE_LIMIT_TENANT="3", RATE_LIMIT_USER="2")
    mine, theirs = Api(front, owner.token), Api(front, member.token)
    assert statuses(lambda: mine.get("/api/things"), 9) == [200, 200, *[429] * 7]
    assert theirs.get("/api/things").status == 200
    assert theirs.get("/api/things").problem(429, "too_many_requests")["limit"] == "tenant"


def test_a_tenant_is_limited_by_the_seconds_that_services_work_for_it(
    build: Build, clock: Clock, owner: Person, stranger: Person
) -> None:
    member = add_member(owner, "member")
    front = build(RATE_LIMIT_TENANT_SECONDS="60")
    mine, theirs, others = (Api(front, person.token) for person in (owner, member, stranger))
    front.service.headers.append(("X-Internal-Held-Ms", "40000"))
    assert [one.get("/api/things").status for one in (mine, theirs, mine)] == [200, 200, 429]  # charged with 80 of 60 s
    refused = theirs.get("/api/things")
    assert refused.problem(429, "too_many_requests")["limit"] == "work"
    assert refused.headers["Retry-After"] == "20"
    assert others.get("/api/things").status == 200
    clock.forward(20)
    assert mine.get("/api/things").status == 200


def test_the_time_that_a_request_took_is_not_told_to_clients(build: Build, owner: Person) -> None:
    front = build()
    front.service.headers.append(("X-Internal-Held-Ms", "40000"))
    assert not any("held" in name.lower() for name, _ in Api(front, owner.token).get("/api/things").headers)


def test_visitors_with_one_publishable_key_share_its_quota_and_who_is_logged_in_does_not_use_it(
    build: Build, owner: Person
) -> None:
    front = build(RATE_LIMIT_KEY="2")
    visitor, shop = Api(front), {"X-Publishable-Key": "pk_one"}
    assert statuses(lambda: Api(front, owner.token).get("/api/shop", headers=shop), 3) == [200] * 3
    assert statuses(lambda: visitor.get("/api/shop", headers=shop), 3) == [200, 200, 429]
    assert visitor.get("/api/shop", headers=shop).problem(429, "too_many_requests")["limit"] == "key"
    assert visitor.get("/api/shop", headers={"X-Publishable-Key": "pk_two"}).status == 200
    assert statuses(lambda: visitor.get("/api/shop"), 3) == [200] * 3
    assert statuses(lambda: visitor.get("/api/open", headers=shop), 3) == [200] * 3


def test_only_a_checked_token_says_whose_bucket_it_is(build: Build, owner: Person) -> None:
    front = build(RATE_LIMIT_USER="1", RATE_LIMIT_TENANT="1")
    forged = {"X-User-Id": owner.user_id, "X-Tenant-Id": owner.tenant_id}
    assert statuses(lambda: Api(front, "forged").get("/api/things", headers=forged), 3) == [401] * 3
    assert statuses(lambda: Api(front).get("/api/open", headers=forged), 3) == [200] * 3
    assert Api(front, owner.token).get("/api/things").status == 200


# --- What answers say ------------------------------------------------------------------------------------------------


def test_every_answer_says_how_one_stands_with_the_tightest_limit(build: Build, clock: Clock, owner: Person) -> None:
    front = build(RATE_LIMIT_ADDRESS="100", RATE_LIMIT_LOGIN="30", RATE_LIMIT_USER="60")
    headers = Api(front).get("/api/open").headers
    assert (headers["RateLimit-Policy"], headers["RateLimit"]) == ('"address";q=100;w=60', '"address";r=99;t=1')
    headers = Api(front).post("/auth/login", {}).headers
    assert (headers["RateLimit-Policy"], headers["RateLimit"]) == ('"login";q=30;w=60', '"login";r=29;t=2')
    headers = Api(front, owner.token).get("/api/things").headers
    assert (headers["RateLimit-Policy"], headers["RateLimit"]) == ('"user";q=60;w=60', '"user";r=59;t=1')


@pytest.mark.parametrize("path", ["/api/nothing", "/api/%2e", "/page", "/api/things"])
def test_refusals_and_the_gateways_own_pages_say_it_too(build: Build, path: str) -> None:
    assert Api(build(RATE_LIMIT_ADDRESS="10")).get(path).headers["RateLimit"] == '"address";r=9;t=6'


def test_a_refusal_says_which_limit_refused(build: Build) -> None:
    front = build(RATE_LIMIT_ADDRESS="1", RATE_LIMIT_LOGIN="5")
    api = Api(front)
    api.get("/api/open")
    headers = api.post("/auth/login", {}).headers
    assert (headers["RateLimit"], headers["Retry-After"]) == ('"address";r=0;t=60', "60")


def test_a_service_cannot_say_it_in_the_gateways_place(build: Build) -> None:
    front = build(RATE_LIMIT_ADDRESS="10")
    front.service.headers += [("RateLimit", '"mine";r=1'), ("ratelimit-policy", '"mine";q=1')]
    headers = Api(front).get("/api/open").headers
    assert headers.getlist("RateLimit") == ['"address";r=9;t=6']
    assert headers.getlist("RateLimit-Policy") == ['"address";q=10;w=60']


def test_limits_that_are_off_are_not_mentioned(build: Build) -> None:
    assert not {"RateLimit", "RateLimit-Policy"} & set(Api(build()).get("/api/open").headers.keys())


# --- Settings --------------------------------------------------------------------------------------------------------


def test_several_processes_share_a_limit(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    front = build(RATE_LIMIT_ADDRESS="30", RATE_LIMIT_LOGIN="1")
    assert front.proxy.limits.address and front.proxy.limits.login
    assert (front.proxy.limits.address.quota, front.proxy.limits.login.quota) == (7, 1)


@pytest.mark.parametrize("text", ["-1", "many", "1.5", "1000001", "²"])
def test_a_limit_that_is_no_number_stops_the_start(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("RATE_LIMIT_ADDRESS", text)
    with pytest.raises(ConfigurationError, match="use a whole number from 0"):
        RATE_LIMIT_ADDRESS()


def test_by_default_guessing_passwords_is_limited_and_an_office_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in DEFAULTS:
        monkeypatch.delenv(name, raising=False)
    limits = Limits()
    assert limits.login and limits.login.quota <= 60
    assert limits.address and limits.address.quota >= 100 * 60  # a hundred people, one request a second each
    assert limits.user and limits.tenant and limits.user.quota <= limits.tenant.quota
