"""Forged identity in every form we know: tokens that only look true, true tokens where they do not belong, and headers.

Each form exists for both kinds of token (what a person holds, what components show each other), and is shown to a door
in both ways that there are: as `Authorization: Bearer` and as `Txn-Token`.
"""

import base64
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from alicerce.services import services
from contracts.roles import permissions
from kit import clock, identity, tokens
from kit.identity import GATEWAY, Identity
from tests.api import Person

GATE, SERVICES = "gate", "services"
BOTH, NEITHER = (GATE, SERVICES), ()
OTHER = "0197a3c0-0000-7000-8000-0000000000ff"
FAR = 9_999_999_999
EVERYTHING = ["*:delete", "*:manage", "*:own", "*:read", "*:write", "platform:administer"]
Named = Iterator[tuple[str, str]]


@dataclass(frozen=True)
class Forgery:
    """Headers that claim to be somebody. `speaks_as` is a component whose own doors they do open; `aims_at` is where
    it has the best chance: GATE, SERVICES, or BOTH."""

    name: str
    headers: dict[str, str]
    statuses: tuple[int, ...] = (401,)
    query: str = ""
    speaks_as: str = ""
    aims_at: tuple[str, ...] = BOTH


@dataclass(frozen=True)
class Truth:
    """A true token, taken apart: what a forger starts from."""

    kind: str
    component: str
    claims: dict[str, Any]

    def head(self, **changes: Any) -> dict[str, Any]:
        kid, _ = tokens.keyring().signing_key(self.component)
        full = {"alg": tokens.ALGORITHM, "typ": self.kind, "kid": kid} | changes
        return {name: value for name, value in full.items() if value is not ...}

    def body(self, **changes: Any) -> dict[str, Any]:
        return {name: value for name, value in (self.claims | changes).items() if value is not ...}

    def sign(self, header: dict[str, Any] | None = None, by: str = "", **changes: Any) -> str:
        """Properly signed by a component's key, with anything changed; `...` leaves a member out."""
        kid, key = tokens.keyring().signing_key(by or self.component)
        return signed_by(key, self.head(**({"kid": kid} | (header or {}))), self.body(**changes))


def encode(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def signed_by(key: Ed25519PrivateKey, header: Any, claims: Any) -> str:
    """Signed by hand, because a library would refuse to write some of these."""
    text = f"{encode(header)}.{encode(claims)}"
    return f"{text}.{encode(key.sign(text.encode()))}"


def truths(victim: Person) -> tuple[Truth, Truth]:
    """The victim's access token, and the internal token that the gateway would mint for it."""
    access = jwt.decode(victim.token, options={"verify_signature": False})
    who = Identity(
        GATEWAY,
        UUID(victim.user_id),
        UUID(victim.tenant_id),
        UUID(access["sid"]),
        permissions(["owner"]),
    )
    internal = jwt.decode(identity.mint(GATEWAY, who), options={"verify_signature": False})
    return Truth(tokens.ACCESS, tokens.ACCESS_COMPONENT, access), Truth(tokens.INTERNAL, GATEWAY, internal)


def public_key(truth: Truth) -> Any:
    return tokens.keyring().signing_key(truth.component)[1].public_key()


def algorithms(truth: Truth) -> Named:
    """The algorithm is what the key says, never what the token says (RFC 8725, 3.1)."""
    body = encode(truth.body())
    for name in ("none", "None", "NONE", "nOnE", "", tokens.ALGORITHM):
        yield f"no signature, alg {name!r}", f"{encode(truth.head(alg=name))}.{body}."
    yield "no alg at all", f"{encode(truth.head(alg=...))}.{body}."
    yield "a list for alg", f"{encode(truth.head(alg=['EdDSA', 'none']))}.{body}."
    public = public_key(truth)
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secrets = {"raw": raw, "PEM": pem, "JWK": encode(raw).encode(), "nothing": b"", "zeros": bytes(32)}
    for size in ("256", "384", "512"):
        for name, secret in secrets.items():
            text = f"{encode(truth.head(alg=f'HS{size}'))}.{body}"
            yield f"HS{size} keyed by {name}", f"{text}.{encode(hmac.digest(secret, text.encode(), f'sha{size}'))}"
    own = {
        "RS256": rsa.generate_private_key(65537, 2048),
        "PS256": rsa.generate_private_key(65537, 2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": Ed448PrivateKey.generate(),
    }
    for name, key in own.items():
        yield f"{name} by a key of one's own", jwt.encode(truth.body(), key, name, truth.head(alg=name))


def headers(truth: Truth) -> Named:
    """Keys come from our own set by `kid`; whatever else a header names is not looked at (RFC 8725, 3.10)."""
    kinds = {tokens.ACCESS, tokens.INTERNAL, "JWT", "at+JWT ", "refresh+jwt", "", None, 1, ...} - {truth.kind}
    for typ in sorted(kinds, key=str):
        yield f"typ {typ!r}", truth.sign({"typ": typ})
    private = f"../private/{truth.component}.pem"
    for kid in (..., "", "nobody", "../../../../dev/null", private, "' OR 1=1 --", "a\0b", None, 1, [], {}, "é" * 99):
        yield f"kid {kid!r}", truth.sign({"kid": kid})
    yield "crit", truth.sign({"crit": ["exp"], "exp": FAR})
    yield "crit of an extension", truth.sign({"crit": ["b64"], "b64": True})
    yield "crit that is empty", truth.sign({"crit": []})
    yield "zip", truth.sign({"zip": "DEF"})
    yield "b64", truth.sign({"b64": True})
    own = Ed25519PrivateKey.generate()
    public = {"kty": "OKP", "crv": "Ed25519", "x": encode(own.public_key().public_bytes_raw()), "kid": "own"}
    for kid in ("own", truth.head()["kid"]):
        for name, value in (
            ("jwk", public),
            ("jku", "http://127.0.0.1:9/keys.json"),
            ("x5u", "http://127.0.0.1:9/chain.pem"),
            ("x5c", [encode(own.public_key().public_bytes_raw())]),
        ):
            yield (
                f"{name} of one's own under kid {kid}",
                signed_by(own, truth.head(kid=kid, **{name: value}), truth.body()),
            )


def claims(truth: Truth) -> Named:
    """What the right key signed is still judged: for whom, by whom, until when, about whom (RFC 8725, 3.8 and 3.9)."""
    now = int(clock.timestamp())
    person = ("sub", "sid", "jti", "type", "tenant_id", "roles", "iat_ms") if truth.kind == tokens.ACCESS else ()
    person = person or ("uid", "tid", "sid", "perms", "wl")
    for name in ("iss", "aud", "exp", "iat", *person):
        yield f"without {name}", truth.sign(**{name: ...})
    for aud in ("elsewhere", "", None, [], ["elsewhere"], ["alicerce"], ["alicerce", "elsewhere"], "ALICERCE", 1):
        yield f"aud {aud!r}", truth.sign(aud=aud)
    for iss in ("somebody", "", None, ["access", "gateway"], truth.component.upper(), *services()):
        yield f"iss {iss!r}", truth.sign(iss=iss)
    moments = (now + 0.5, float("inf"), 10**16, 2**63, 10**4000, 10**4300 - 1)
    for exp in (now - 120, 0, -1, "never", None, True, [], {"a": 1}, float("nan"), str(FAR), FAR, *moments):
        yield f"exp {exp!r}"[:40], truth.sign(exp=exp)
    yield "longer than any life", truth.sign(exp=now + 2 * 86_400)
    yield "a life that ended before it began", truth.sign(iat=now, exp=now - 1)
    yield "not yet valid", truth.sign(nbf=now + 600)
    for nbf in ("now", None, True, now + 0.5, 10**4000, [now]):
        yield f"nbf {nbf!r}"[:40], truth.sign(nbf=nbf)
    for iat in (now + 600, "now", None, [], True, -(10**4000), *moments):
        yield f"iat {iat!r}"[:40], truth.sign(iat=iat)
    subject = person[0]
    for value in ("", "1 OR 1=1", 1, True, [truth.claims[subject]], {"id": truth.claims[subject]}):
        yield f"{subject} {value!r}", truth.sign(**{subject: value})
    for name in ("sub", "sid", "jti", "tenant_id") if truth.kind == tokens.ACCESS else ("uid", "tid", "sid"):
        plain = truth.claims[name]
        for value in ("", f"{{{plain}}}", plain.upper(), plain.replace("-", ""), f"urn:uuid:{plain}", f" {plain}", 7):
            if value != plain:
                yield f"{name} written as {value!r}", truth.sign(**{name: value})
    rights = "roles" if truth.kind == tokens.ACCESS else "perms"
    for value in (None, 1, True, [["*:read"]], [{"a": 1}]):
        yield f"{rights} {value!r}", truth.sign(**{rights: value})
    if truth.kind == tokens.ACCESS:
        yield from ((f"type {value!r}", truth.sign(type=value)) for value in ("refresh", "", None, ["access"]))
        for value in (None, True, -1, 0.5, 10**4000, "1"):
            yield f"iat_ms {value!r}"[:40], truth.sign(iat_ms=value)


def shapes(truth: Truth) -> Named:
    """Bytes that are not quite the token that was signed."""
    token = truth.sign()
    head, body, signature = token.split(".")
    richer = encode(truth.body(roles=["platform_admin"], perms=EVERYTHING))
    yield "another body under the signature", f"{head}.{richer}.{signature}"
    yield "another head under the signature", f"{encode(truth.head(extra=1))}.{body}.{signature}"
    twice = json.dumps(truth.body())[:-1] + ', "aud": "alicerce", "sub": "' + OTHER + '"}'
    yield "claims that stand twice, not signed", f"{head}.{encode(twice.encode())}.{signature}"
    yield "the signature of another token", f"{head}.{body}.{truth.sign(jti='other').split('.')[2]}"
    yield "a signature of zeros", f"{head}.{body}.{encode(bytes(64))}"
    yield "half a signature", f"{head}.{body}.{signature[:43]}"
    yield "a signature and more", f"{token}AAAA"
    yield "cut", token[:-10]
    yield "without signature", f"{head}.{body}."
    yield "two parts", f"{head}.{body}"
    yield "four parts", f"{token}.{signature}"
    yield "five parts, as if encrypted", f"{head}..{body}.{signature}.{signature}"
    yield "empty parts", ".."
    yield "a comma and another", f"{token},{token}"
    yield "a blank and another", f"{token} {token}"
    yield "quoted", f'"{token}"'
    yield "in brackets", f"[{token}]"
    yield "as JSON", json.dumps({"protected": head, "payload": body, "signature": signature})
    yield "with a byte before it", f"\xa0{token}"
    yield "in letters that look alike", "".join(chr(ord(letter) ^ 0x80) for letter in token[:99])
    yield "too long", token + "A" * 9000
    yield "too long, and signed", truth.sign(pad="x" * 9000)
    yield "claims that are no object", signed_by(tokens.keyring().signing_key(truth.component)[1], truth.head(), [1])
    yield "claims nested deep", f"{head}.{encode(b'[' * 3000)}.{signature}"
    yield "a head nested deep", f"{encode(b'[' * 3000)}.{body}.{signature}"
    yield "a head that is no JSON", f"{encode(b'{alg')}.{body}.{signature}"
    yield "a head that is a list", f"{encode([1])}.{body}.{signature}"
    for word in ("null", "undefined", "true", "0", "x", "é.é.é".encode().decode("latin-1"), "%00", "' OR '1'='1"):
        yield f"the word {word!r}", word


def spellings(truth: Truth) -> Named:
    """Return tokens that one reader takes for the signed one, and another reader for another token or for none."""
    _, key = tokens.keyring().signing_key(truth.component)
    head, body = json.dumps(truth.head()), json.dumps(truth.body())
    token = truth.sign()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # 64 bytes leave four bits of the last character unused.
    last = alphabet.index(token[-1])
    yield from ((f"a stray bit {bit}", token[:-1] + alphabet[last ^ bit]) for bit in (1, 2, 4, 8))
    yield from ((f"{padding!r} after it", token + padding) for padding in ("=", "==", "\n", "\r\n", " ", "\0"))
    for name, value in (("exp", str(FAR)), ("tenant_id", f'"{OTHER}"'), ("tid", f'"{OTHER}"'), ("sub", f'"{OTHER}"')):
        twice = f"{body[:-1]}, {json.dumps(name)}: {value}, {json.dumps(name)}: {value}}}"
        yield f"{name} stands twice", signed_by(key, truth.head(), twice.encode())
    again = f"{body[:-1]}, {body[1:]}"
    yield "everything stands twice", signed_by(key, truth.head(), again.encode())
    yield "alg stands twice", signed_by(key, f'{{"alg": "none", {head[1:]}'.encode(), truth.body())
    yield "kid stands twice", signed_by(key, f'{{"kid": "x", {head[1:]}'.encode(), truth.body())
    for coding in ("utf-8-sig", "utf-16", "utf-16-le", "utf-32"):
        yield f"claims in {coding}", signed_by(key, truth.head(), body.encode(coding))
        yield f"a head in {coding}", signed_by(key, head.encode(coding), truth.body())
    yield "claims with a broken letter", signed_by(key, truth.head(), body.encode()[:-1] + b', "a": "\xff"}')
    yield "NaN beside the claims", signed_by(key, truth.head(), f'{body[:-1]}, "a": NaN}}'.encode())


def keys(truth: Truth) -> Named:
    """A key speaks for its component alone, and an access token is signed by the key for that alone."""
    for by in sorted({GATEWAY, tokens.ACCESS_COMPONENT, *services()} - {truth.component}):
        _, key = tokens.keyring().signing_key(by)
        yield f"signed by {by} in the name of {truth.component}", truth.sign(by=by)
        yield f"signed by {by} under the kid of {truth.component}", signed_by(key, truth.head(), truth.body())
        yield f"signed by {by} in its own name", truth.sign(by=by, iss=by)
        yield f"signed by {by} with every right", truth.sign(by=by, iss=by, perms=EVERYTHING, roles=["platform_admin"])
    yield "the key of another installation", signed_by(Ed25519PrivateKey.generate(), truth.head(), truth.body())


def forged_tokens(victim: Person) -> Iterator[Forgery]:
    """Every forged token, in both ways that a door could be shown one."""
    groups = (algorithms, headers, claims, shapes, spellings, keys)
    for truth in truths(victim):
        for name, token in ((name, token) for group in groups for name, token in group(truth)):
            yield from shown(f"{truth.kind}: {name}", token, truth.kind)
    for name, token in (("refresh token", victim.refresh_token), ("password", victim.password), ("id", victim.user_id)):
        yield from shown(name, token)


def shown(name: str, token: str, kind: str = "") -> Iterator[Forgery]:
    """A token as bearer, which the gateway takes, and as internal token, which services take."""
    # A comma makes it two values of a header that may stand once: the gateway calls that a request that errs.
    statuses = (400, 401) if "," in token else (401,)
    aim = NEITHER if kind == tokens.INTERNAL else (GATE,)
    yield Forgery(f"{name}, as bearer", {"Authorization": f"Bearer {token}"}, statuses, aims_at=aim)
    aim = NEITHER if kind == tokens.ACCESS else (SERVICES,)
    yield Forgery(f"{name}, as internal token", {identity.HEADER: token}, aims_at=aim)


def misplaced(victim: Person) -> Iterator[Forgery]:
    """True tokens where none belongs, and claims without any token."""
    access, internal = (truth.sign() for truth in truths(victim))
    yield Forgery("nothing", {})
    names = ("X-User-Id", "X-Tenant-Id", "X-Session-Id", "X-Roles", "X-Permissions", "X-Internal-Caller", "Remote-User")
    said = (victim.user_id, victim.tenant_id, OTHER, "owner", "*:read *:write", GATEWAY, victim.email)
    yield Forgery("headers only", dict(zip(names, said, strict=True)))
    yield Forgery("headers of a proxy", {"X-Forwarded-User": victim.user_id, "Forwarded": f"for={GATEWAY}"})
    for name in (
        "X-Access-Token",
        "X-Api-Key",
        "Proxy-Authorization",
        "X-Txn-Token",
        "Token",
        "X-Original-Authorization",
    ):
        yield Forgery(f"a true token as {name}", {name: f"Bearer {access}"})
        yield Forgery(f"a true internal token as {name}", {name: internal})
    yield Forgery(
        "a true token in cookies", {"Cookie": f"access_token_cookie={access}; token={access}; session={access}"}
    )
    yield Forgery("a true token in the query", {}, query=f"?access_token={access}&jwt={access}&token={access}")
    for scheme in ("Basic", "Token", "JWT", "Digest", "Bearer:", "Bearer\t", ""):
        yield Forgery(f"a true token by the scheme {scheme!r}", {"Authorization": f"{scheme} {access}".lstrip()})
    yield Forgery("a true token after two blanks", {"Authorization": f"Bearer  {access}x"})
    yield Forgery(
        "a name and a password", {"Authorization": f"Basic {encode(f'{victim.email}:{victim.password}'.encode())}"}
    )
    yield Forgery("an access token as internal token", {identity.HEADER: access})
    yield Forgery("an internal token as access token", {"Authorization": f"Bearer {internal}"})
    yield Forgery("an internal token with its scheme", {identity.HEADER: f"Bearer {internal}"})


def workloads(victim: Person) -> Iterator[Forgery]:
    """A service's own key, in whatever it may sign: it opens the routes that name it, and nothing of people's."""
    who = Identity(user_id=UUID(victim.user_id), tenant_id=UUID(victim.tenant_id), permissions=frozenset(EVERYTHING))
    for name in services():
        plain = identity.mint(name, who, workload=True)
        rich = truths(victim)[1].sign(by=name, iss=name, wl=True, perms=EVERYTHING)
        truthy = truths(victim)[1].sign(by=name, iss=name, wl="false", perms=EVERYTHING)
        for kind, token in (("", plain), (" with rights", rich), (" that is hardly one", truthy)):
            for form in shown(f"a workload token of {name}{kind}", token):
                yield replace(form, speaks_as=name)
        person = identity.mint(name, who)
        yield Forgery(f"a person minted by {name}", {identity.HEADER: person})


def contradictions(victim: Person) -> Iterator[Forgery]:
    """A true internal token beside headers that say something else. They are refused as a request that errs: 400."""
    true = truths(victim)[1].sign()
    for name in ("X-User-Id", "X-Tenant-Id"):
        for value in (OTHER, "", victim.tenant_id.upper() + " ", f"{victim.tenant_id},{victim.tenant_id}"):
            yield Forgery(f"{name} {value!r} beside a true token", {identity.HEADER: true, name: value}, (400,))


def forgeries(victim: Person) -> list[Forgery]:
    """All forms that do not depend on what happened to a token since."""
    return [*forged_tokens(victim), *misplaced(victim), *workloads(victim)]
