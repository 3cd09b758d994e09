"""Siblings that are slow, silent or lying: whoever needs them is told in time, whoever does not notices nothing."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from alicerce.services import services
from tests.api import new_person
from tests.faults import proxy
from tests.faults.books import Books
from tests.faults.load import Call, Load
from tests.faults.proxy import Fault, FaultProxy
from tests.tables import Tally
from tests.topologies import Running, eventually, free_ports, running

SLOWER = 1.5
FLOOR_S = 0.06  # a p99 below this is noise of a small machine, and so is a half more of it
TRIES = 3
MEASURED = 150
ONSET = 0.05  # the share of unrelated requests that may fail before the slowness is noticed
BUDGET_S = 10.0  # kit.deadline
MARGIN_S = 2.0
RECOVERY_S = 30.0
ASKED = 12

pytestmark = pytest.mark.long


@dataclass(frozen=True)
class Site:
    """A platform in split, with a proxy before each of two services."""

    platform: Running
    proxies: dict[str, FaultProxy]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    nouns = ("customer", "interaction")
    components = ("gateway", *services())
    ports = dict(zip(components, free_ports(len(components)), strict=True))
    with FaultProxy(ports[nouns[0]]) as first, FaultProxy(ports[nouns[1]]) as second:
        proxies = dict(zip(nouns, (first, second), strict=True))
        settings = {f"{noun.upper()}_SERVICE_URL": before.url for noun, before in proxies.items()}
        with running("split", tmp_path_factory.mktemp("site"), settings, ports) as platform:
            yield Site(platform, proxies)


@pytest.fixture(autouse=True)
def healed(site: Site) -> Iterator[None]:
    """A test that fails leaves nothing broken."""
    yield
    for between in site.proxies.values():
        between.set(proxy.nothing)


@dataclass(frozen=True)
class Comparison:
    """Unrelated requests before a service was slow and meanwhile: p99 in seconds, and the share that failed."""

    before_s: float
    during_s: float
    failed: float
    recovery_s: float
    tried: int

    @property
    def is_unmoved(self) -> bool:
        return self.during_s <= max(FLOOR_S, SLOWER * self.before_s) and self.failed <= ONSET


def compare(site: Site, slow: str, affected: Call, unrelated: Call) -> Comparison:
    url = site.platform.url
    with Load(url, [lambda: affected], clients=9, pause_s=0.3) as load, Load(url, [lambda: unrelated], 2) as unaware:
        load.go_on(9)
        began = time.monotonic()
        unaware.go_on(MEASURED)
        slowed = time.monotonic()
        site.proxies[slow].set(proxy.delay(3.0))
        unaware.go_on(MEASURED)
        load.slowed(slowed)
        over = time.monotonic()
        site.proxies[slow].set(proxy.nothing)
        recovery = load.recovered(time.monotonic())
    return Comparison(
        unaware.p99(began, slowed),
        unaware.p99(slowed, over),
        len(unaware.failed(since=slowed)) / MEASURED,
        recovery,
        len(load.attempts) + len(unaware.attempts),
    )


def stay_unmoved(site: Site, slow: str, affected: Call, unrelated: Call, tally: Tally, fault: str) -> None:
    """Compared a few times, because the machine may have been busy with something else."""
    for _ in range(TRIES):
        seen = compare(site, slow, affected, unrelated)
        if seen.is_unmoved:
            break
    note = (
        f"p99 of others {seen.before_s * 1000:.0f} -> {seen.during_s * 1000:.0f} ms, recovery {seen.recovery_s:.1f} s"
    )
    tally(fault, tried=seen.tried, bad=not seen.is_unmoved, note=note)
    assert seen.is_unmoved, seen
    assert seen.recovery_s < RECOVERY_S


def test_a_slow_service_does_not_slow_down_the_others(site: Site, tally: Tally) -> None:
    token = new_person(site.platform.url).token
    affected = Call("affected", "GET", "/api/customers?per_page=1", token)
    unrelated = Call("unrelated", "GET", "/api/products?per_page=1", token)
    stay_unmoved(site, "customer", affected, unrelated, tally, "slow service")


def test_a_slow_sibling_does_not_take_the_service_that_asks_it(site: Site, tally: Tally) -> None:
    books = Books(new_person(site.platform.url))
    path = f"/api/customers/{books.debtor}"
    affected = Call("affected", "GET", f"{path}/overview", books.owner.token)
    unrelated = Call("unrelated", "GET", path, books.owner.token)
    stay_unmoved(site, "interaction", affected, unrelated, tally, "slow sibling of a service")


LIES: dict[str, Fault] = {
    "half-close": proxy.half_close,
    "reset": proxy.reset,
    "truncated": proxy.truncate,
    "garbage": proxy.garbage,
    "silent": proxy.stop,
    "slow drip": proxy.drip(0.5),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_service_is_told_apart_in_time_and_nothing_is_written_twice(site: Site, lie: str, tally: Tally) -> None:
    """The proxy lies to the gateway, which asks for customers, and to interaction, which asks about the debtor."""
    books = Books(new_person(site.platform.url))
    note = {"ds_notes": "They called.", "id_interaction_type": "call"}
    recorded = Call("note", "POST", f"/api/customers/{books.debtor}/interactions", books.owner.token, note)
    with Load(site.platform.url, [books.customer, books.payment, lambda: recorded], clients=3) as load:
        load.go_on(ASKED)
        site.proxies["customer"].set(LIES[lie])
        lied = time.monotonic()
        eventually(lambda: len(load.failed("customer", since=lied)) >= 2, "customers cannot be reached")
        eventually(lambda: load.failed("note", since=lied), "nor by interaction")
        load.go_on(ASKED, "payment")
        over = time.monotonic()
        site.proxies["customer"].set(proxy.nothing)
        recovery = load.recovered(time.monotonic(), "customer")
        load.go_on(ASKED)
    found = books.check(load)
    late = [a for a in load.attempts if a.seconds > BUDGET_S + MARGIN_S]
    odd = [a for a in load.failed() if a.status not in (409, 502, 503, 504)]
    believed = [a for a in load.good("customer", since=lied) if a.ended < over]
    bad = found.bad + len(late) + len(odd) + len(believed)
    said = f"{found.acknowledged} acknowledged, {len(load.failed())} failed tries, recovery {recovery:.1f} s"
    tally(f"lying service: {lie}", tried=len(load.attempts), bad=bad, note=said)
    assert bad == 0, (found, late, odd, believed)
    assert recovery < RECOVERY_S
