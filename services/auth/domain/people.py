"""People: how they register, prove who they are, and change their password."""

from dataclasses import replace
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from contracts import roles, tenant
from kit import clock, guessing, tokens
from kit.config import one_of, setting
from kit.errors import Conflict, Forbidden, NotFound, Unauthenticated, ValidationError
from kit.identity import current
from services.auth.domain import devices, identifiers, passwords, sessions
from services.auth.domain.sessions import Grant, NotAMember, SessionEnded
from services.auth.models import Guess, Login, User, db

REGISTRATION = setting(
    "REGISTRATION",
    "own_tenant",
    "What registering gives: a tenant of one's own, a place in the one shared tenant, or nothing (closed).",
    one_of("own_tenant", "shared_tenant", "closed"),
)

NOBODY = UUID(int=0)
SHARED_TENANT = uuid5(NAMESPACE_URL, "alicerce:shared-tenant")


class RegistrationClosed(Forbidden):
    """Nobody can register here by themselves. Ask an administrator."""


class EmailTaken(Conflict):
    """Somebody has registered with this address already, or with one that looks like it."""


class UsernameTaken(Conflict):
    """Somebody has taken this user name already."""


class InvalidCredentials(Unauthenticated):
    """Identifier or password is wrong."""


class SamePassword(ValidationError):
    """Choose a password that differs from the present one."""


class NoSuchUser(NotFound):
    """There is no such person, or it may not log in any more."""


def register(
    *, email: str, password: str, name: str | None, username: str | None, organization_name: str | None
) -> User:
    """Keep a new person, with the id of a tenant that is made right after this is committed.

    Raises RegistrationClosed, WeakPassword, EmailTaken, UsernameTaken.
    """
    if REGISTRATION() == "closed":
        raise RegistrationClosed
    with passwords.slot():
        passwords.check(password, "password", (email, name, username, organization_name))
        encoded = passwords.hash_password(password)
    name = name or email.partition("@")[0]
    user = User(
        user_id=clock.new_id(),
        email=email,
        username=username,
        name=name,
        password_hash=encoded,
        tenant_id=SHARED_TENANT if REGISTRATION() == "shared_tenant" else clock.new_id(),
        tenant_name=organization_name or name,
    )
    _claim(email, user.user_id, EmailTaken, "email")
    if username:
        _claim(username, user.user_id, UsernameTaken, "username")
    db.act_for(user.user_id)
    db.session.add(user)
    db.session.flush()
    user_id = user.user_id
    db.after_commit(lambda: _provision(db.session.get_one(User, user_id)))
    return user


def login(*, identifier: str, password: str, tenant_id: UUID | None, device_token: str | None) -> Grant:
    """Open a session in a tenant: the one asked for, else the first of one's own.

    Raises InvalidCredentials (the same for an unknown person, and after the same time), TooManyGuesses, NotAMember.
    """
    user, device_id = _prove(identifier, password, device_token)
    memberships = _memberships(user)
    membership = sessions.choose(memberships, tenant_id or user.tenant_id)
    if tenant_id and membership is None:
        raise NotAMember
    granted = sessions.open_session(user, membership or next(iter(memberships), None))
    return replace(granted, device_token=devices.issue(user, device_id))


def _prove(identifier: str, password: str, device_token: str | None) -> tuple[User, UUID | None]:
    """The person who has this identifier and password, and the device, if they have logged in on it before."""
    device = devices.read(device_token)
    if device is None:
        guessing.check(db, Guess, _subject("identifier", identifiers.key(identifier)))
    user = find(identifier)
    user_id, encoded = (user.user_id, user.password_hash) if user and user.is_active else (None, None)
    device_id = devices.recognise(device, user)
    name, behind = _counts(identifier, user, device_id)
    db.pause()
    with guessing.counted(db, Guess, name, behind) as attempt, passwords.slot():
        is_right = passwords.matches(encoded if attempt.is_open else None, password)
        if not is_right or encoded is None or user_id is None:
            raise InvalidCredentials
        renewed = passwords.renewed(encoded, password)
    db.act_for(user_id)
    if renewed:
        unchanged = (User.user_id == user_id, User.password_hash == encoded)
        db.session.execute(update(User).where(*unchanged).values(password_hash=renewed))
    return db.session.get_one(User, user_id), device_id


def _counts(identifier: str, user: User | None, device_id: UUID | None) -> tuple[bytes, bytes]:
    """Return what a log-in is counted under: a device by itself; else what was typed, and whom it stands for."""
    if device_id:
        device = _subject("device", device_id)
        return device, device
    key = identifiers.key(identifier)
    return _subject("identifier", key), _subject("person", user.user_id if user else key)


def _subject(kind: str, name: object) -> bytes:
    return guessing.subject(tokens.keyring().derive("auth", "guesses"), kind, name)


def find(identifier: str) -> User | None:
    """The person behind an identifier, made visible to this transaction; or None."""
    # The written form comes first: look-alikes that registered before there were keys have only that.
    written, key = identifiers.written(identifier), identifiers.key(identifier)
    ways = db.session.scalars(select(Login).where(Login.identifier.in_({written, key}))).all()
    user_id = next((way.user_id for name in (written, key) for way in ways if way.identifier == name), NOBODY)
    db.act_for(user_id)  # of nobody too: it takes as long
    return db.session.get(User, user_id)


def get_person(user_id: UUID) -> User:
    """Return an active person by id, for siblings. Raises NoSuchUser."""
    db.act_for(user_id)
    user = db.session.get(User, user_id)
    if user is None or not user.is_active:
        raise NoSuchUser
    return user


def person_of_id(identifier: str) -> User:
    """Return an active person by the text of its id, for siblings of the version before. Raises NoSuchUser."""
    user = _by_id(identifier)
    if user is None or not user.is_active:
        raise NoSuchUser
    return user


def find_person(identifier: str) -> User:
    """An active person by id, e-mail address or user name, for the command line. Raises NoSuchUser.

    An id comes first: somebody may have chosen another person's id as a user name.
    """
    user = _by_id(identifier) or find(identifier)
    if user is None or not user.is_active:
        raise NoSuchUser
    return user


def _by_id(text: str) -> User | None:
    try:
        user_id = UUID(text)
    except ValueError:
        return None
    db.act_for(user_id)
    return db.session.get(User, user_id)


def me() -> dict[str, Any]:
    """Oneself: person, present tenant and all memberships. Raises SessionEnded."""
    user_id = current.user_id
    if user_id is None:
        raise SessionEnded
    sessions.live_session(user_id, current.session_id)
    user = db.session.get_one(User, user_id)
    return {"user": user, "tenant_id": current.tenant_id, "tenants": tenant.memberships_of(user_id)}


def change_password(*, current_password: str, new_password: str) -> None:
    """Replace one's password, end all other sessions, and forget the devices.

    Raises InvalidCredentials, TooManyGuesses, WeakPassword, SamePassword.
    """
    user = db.session.get(User, current.user_id) if current.user_id else None
    if user is None:
        raise SessionEnded
    user_id, encoded = user.user_id, user.password_hash
    personal = (user.email, user.name, user.username, user.tenant_name)
    db.pause()
    # Not the count of log-ins, so that a stolen access token locks nobody out.
    with guessing.counted(db, Guess, _subject("present password", user_id)), passwords.slot():
        if not passwords.matches(encoded, current_password):
            raise InvalidCredentials("The present password is wrong.")
    if passwords.prepare(new_password) == passwords.prepare(current_password):
        raise SamePassword(errors={"new_password": ["Is the present one."]})
    with passwords.slot():
        passwords.check(new_password, "new_password", personal)
        replacement = passwords.hash_password(new_password)
    unchanged = update(User).where(User.user_id == user_id, User.password_hash == encoded)
    if not db.session.execute(unchanged.values(password_hash=replacement).returning(User.user_id)).first():
        raise InvalidCredentials("The present password is wrong.")  # of two changes at once, one wins
    sessions.end_other_sessions(user_id, kept=current.session_id)


def logout(scope: str) -> None:
    """End one's sessions: this one (`local`), all others (`others`), or all (`global`)."""
    if current.user_id is None or current.session_id is None:
        raise SessionEnded
    if scope == "local":
        sessions.end_session(current.user_id, current.session_id)
    else:
        sessions.end_other_sessions(current.user_id, kept=current.session_id if scope == "others" else None)


def validate_token(token: str) -> dict[str, Any]:
    """Check whether an access token holds this moment, its session included; and tell what it says."""
    try:
        claims = tokens.keyring().verify(token, tokens.ACCESS)
        user_id = UUID(claims["sub"])
        db.act_for(user_id)
        sessions.live_session(user_id, UUID(claims["sid"]))
        if not db.session.get_one(User, user_id).is_active:
            raise SessionEnded
        sessions.check_membership(user_id, claims)
    except (tokens.InvalidToken, ValueError) as error:
        return {"valid": False, "reason": str(error)}
    except SessionEnded:
        return {"valid": False, "reason": "session ended"}
    except NotAMember:
        return {"valid": False, "reason": "membership ended"}
    shown = ("sub", "sid", "tenant_id", "roles", "exp")
    granted = {"permissions": sorted(roles.permissions(claims["roles"]))}
    return {"valid": True, "user_id": user_id} | {name: claims[name] for name in shown} | granted


def promote(identifier: str) -> User:
    """Make a person an administrator of the platform, from the next token on. Raises NoSuchUser."""
    user = find_person(identifier)
    user.is_platform_admin = True
    db.session.flush()
    return user


def _claim(identifier: str, user_id: UUID, taken: type[Conflict], field: str) -> None:
    claim = insert(Login).values(identifier=identifiers.key(identifier), user_id=user_id).on_conflict_do_nothing()
    if db.session.execute(claim.returning(Login.identifier)).first() is None:
        raise taken(errors={field: ["Is already in use."]})


def _memberships(user: User) -> list[tenant.Membership]:
    # The tenant of a person may still be missing: registering commits the person first and tells tenant after.
    # The command is idempotent by an id that is already committed, so it may come before this session's own rows.
    if not user.is_provisioned:
        _provision(user)
    return tenant.memberships_of(user.user_id)


def _provision(user: User) -> None:
    tenant.provision(
        user.tenant_id, user_id=user.user_id, tenant_name=user.tenant_name, name=user.name, email=user.email
    )
    # A statement, like the one below, so that of two logins at once neither fails on the other's row version.
    db.session.execute(update(User).where(User.user_id == user.user_id).values(is_provisioned=True))
