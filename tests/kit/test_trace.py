"""W3C Trace Context, Level 1: what is taken over from a caller, and what is told to the next hop."""

import pytest

from kit import trace

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def test_a_trace_goes_on_below_its_caller() -> None:
    hop = trace.below(trace.received(PARENT, "vendor=opaque"))
    assert (hop.trace_id, hop.parent_id, hop.state) == (TRACE, SPAN, "vendor=opaque")
    assert hop.span_id != SPAN and len(hop.span_id) == 16
    assert hop.headers() == {"traceparent": f"00-{TRACE}-{hop.span_id}-01", "tracestate": "vendor=opaque"}


@pytest.mark.parametrize(("flags", "told"), [("00", "00"), ("01", "01"), ("03", "01"), ("fe", "00"), ("ff", "01")])
def test_the_sampled_flag_is_kept_and_flags_of_other_versions_are_not(flags: str, told: str) -> None:
    hop = trace.below(trace.received(f"00-{TRACE}-{SPAN}-{flags}", None))
    assert hop.headers()["traceparent"].endswith(f"-{told}")


@pytest.mark.parametrize("offered", [f"01-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what-comes-later"])
def test_a_later_version_is_read_as_far_as_we_know_it(offered: str) -> None:
    told = trace.below(trace.received(offered, None)).headers()["traceparent"]
    assert told.startswith(f"00-{TRACE}-") and told.endswith("-01")


@pytest.mark.parametrize(
    "offered",
    [
        None,
        "",
        "x",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-x",
        f"01-{TRACE}-{SPAN}-01x",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN.upper()}-01",
        f"00-{TRACE}-{SPAN}-0A",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"{PARENT}\n",
        f" {PARENT}",
        f"{PARENT},{PARENT}",
    ],
)
def test_a_malformed_parent_starts_a_new_trace_without_its_state(offered: str | None) -> None:
    assert trace.received(offered, "vendor=opaque") is None
    first, second = (trace.below(trace.received(offered, "vendor=opaque")) for _ in range(2))
    assert len({first.trace_id, second.trace_id, TRACE}) == 3
    assert (first.parent_id, first.state) == ("", "")
    assert trace.received(first.headers()["traceparent"], None)


@pytest.mark.parametrize(
    ("offered", "told"),
    [
        ("a=1", "a=1"),
        ("a=1,b=2", "a=1,b=2"),
        ("a=1 , ,\tb=2,", "a=1,b=2"),
        ("fw529a3039@dt=FfAAADQ,rojo=00f067aa0ba902b7", "fw529a3039@dt=FfAAADQ,rojo=00f067aa0ba902b7"),
        ("0a@b=1", "0a@b=1"),
        (",".join(f"k{number}=1" for number in range(32)), ",".join(f"k{number}=1" for number in range(32))),
        (",".join(f"k{number}=1" for number in range(33)), ""),
        ("a=1,a=2", ""),
        ("A=1", ""),
        ("0a=1", ""),
        ("a", ""),
        ("a=", ""),
        ("a=b=c", ""),
        ("a=1\n", ""),
        ("a=é", ""),
        ("a@b@c=1", ""),
        (f"a={'x' * 256}", f"a={'x' * 256}"),
        (f"a={'x' * 257}", ""),
        (f"a={'x' * 256},b={'x' * 256}", ""),
    ],
)
def test_a_list_of_vendors_is_passed_on_whole_or_not_at_all(offered: str, told: str) -> None:
    hop = trace.received(PARENT, offered)
    assert hop is not None and hop.state == told
