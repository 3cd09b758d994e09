"""What of a client's request is believed: which headers pass, how much body, and from which address it came."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from kit.config import setting, words
from kit.errors import BadRequest, Problem, TooLarge
from kit.transport import MAX_BODY_BYTES

Network = IPv4Network | IPv6Network


def networks(text: str) -> tuple[Network, ...]:
    """Read a comma-separated list of networks, as in 10.0.0.0/8. Raises ValueError."""
    return tuple(ip_network(word) for word in words(text))


NO_NETWORKS: tuple[Network, ...] = ()
TRUSTED_PROXIES = setting(
    "TRUSTED_PROXIES",
    NO_NETWORKS,
    "Networks (CIDR) of proxies before the gateway, whose X-Forwarded-For is believed.",
    networks,
)

# What of a client's request reaches a service. Everything else stays outside: identity headers, forwarding headers,
# cookies, hop-by-hop headers and whatever the next proxy bug will be about.
FORWARDED = (
    "ACCEPT",
    "ACCEPT_LANGUAGE",
    "IDEMPOTENCY_KEY",
    "IF_MATCH",
    "IF_MODIFIED_SINCE",
    "IF_NONE_MATCH",
    "IF_UNMODIFIED_SINCE",
    "PREFER",
    "RANGE",
    "USER_AGENT",
    "X_PUBLISHABLE_KEY",
)
PASSED = {f"HTTP_{name}": name.replace("_", "-").title() for name in FORWARDED}
ONCE = ("HTTP_AUTHORIZATION", "HTTP_HOST", "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_IDEMPOTENCY_KEY")
PROTECTED = ("authorization", "cookie", "txn-token", "x-user-", "x-tenant-", "x-internal-", "x-forwarded-", "host")
BODILESS = frozenset({"GET", "HEAD", "DELETE"})


class MalformedHeaders(BadRequest):
    """The headers contradict each other or try to remove one of ours."""


class TruncatedBody(BadRequest):
    """The body ends before its declared end."""


class RequestTimeout(Problem):
    """The body did not arrive in time."""

    status = 408


def client_address(environ: dict[str, Any]) -> str:
    """Who is asking: the peer; or, behind trusted proxies, the last address of X-Forwarded-For that is not one."""
    address = str(environ.get("REMOTE_ADDR", ""))
    if "HTTP_X_FORWARDED_FOR" not in environ:
        return address
    trusted = TRUSTED_PROXIES()
    hops = environ["HTTP_X_FORWARDED_FOR"].split(",")
    while hops and is_within(address, trusted):
        hop = hops.pop().strip()
        if not _is_address(hop):
            break
        address = hop
    return address


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


def is_within(address: str, networks: tuple[Network, ...]) -> bool:
    """Whether an address, as the peer or a proxy names it, lies in one of the networks."""
    return _is_address(address) and any(ip_address(address) in network for network in networks)


def check_headers(environ: dict[str, Any]) -> None:
    """Refuse headers that are repeated, or that ask the next hop to remove ours. Raises MalformedHeaders."""
    # In an environ a repeated header has been joined by commas. None of these may hold one of its own.
    for name in ONCE:
        if "," in environ.get(name, ""):
            raise MalformedHeaders
    if not environ.get("HTTP_HOST") and environ.get("SERVER_PROTOCOL") == "HTTP/1.1":
        raise MalformedHeaders("Say which Host is meant (RFC 9112, 3.2).")
    named = environ.get("HTTP_CONNECTION")
    if named and any(name.strip().startswith(PROTECTED) for name in named.lower().split(",")):
        raise MalformedHeaders


def passed_on(environ: dict[str, Any]) -> list[tuple[str, str]]:
    """The client's headers that a service may see."""
    headers = [(name, environ[key]) for key, name in PASSED.items() if key in environ]
    if environ.get("CONTENT_TYPE"):
        headers.append(("Content-Type", environ["CONTENT_TYPE"]))
    return headers


def read_body(method: str, environ: dict[str, Any]) -> bytes:
    """The whole body, within the limit.

    Raises TooLarge, MalformedHeaders, RequestTimeout, TruncatedBody, BadRequest; and what gunicorn says of bad chunks.
    """
    coding = environ.get("HTTP_TRANSFER_ENCODING")
    chunked = coding is not None
    if coding is not None and coding.strip().lower() != "chunked":
        raise MalformedHeaders  # `gzip, chunked`: we would pass on what we cannot read
    length = environ.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()) or (chunked and length != "0"):
        raise MalformedHeaders
    declared = int(length[:12])
    if not chunked and not declared:
        return b""
    if declared > MAX_BODY_BYTES:
        raise TooLarge
    try:
        body = bytes(environ["wsgi.input"].read(MAX_BODY_BYTES + 1 if chunked else declared))
    except ConnectionError as error:  # what a patient socket (kit.gunicorn) says of a client that is too slow
        raise RequestTimeout from error
    except OSError as error:
        raise TruncatedBody from error
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge
    if body and method in BODILESS:
        raise BadRequest(f"A {method} has no body here.", code="body_not_allowed")
    if len(body) < declared:
        raise TruncatedBody
    return body
