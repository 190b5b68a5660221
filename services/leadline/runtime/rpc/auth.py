"""Authorisation of calls: short-lived signed tokens, and the roles that the table of services gives each method."""

import contextvars
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import jwt
import structlog

from leadline.model.counted import counted
from leadline.model.durations import NS_PER_SECOND
from leadline.model.errors import InvalidInput, LeadlineError
from leadline.model.ids import AccountId
from leadline.model.services import Role, method_roles, planned, roles
from leadline.runtime.clock import monotonic_s, wall_ns
from leadline.runtime.settings import read_secret

TOKEN_SECONDS: Final = 300
# Nobody needs a longer one, and a stolen one should not last.
LONGEST_TOKEN_SECONDS: Final = 3600
MIN_KEY_BYTES: Final = 32
# More than a cluster takes to bring a changed Secret to every Pod that has it mounted.
OVERLAP_SECONDS: Final = 180

# The namespace of the services that belong to no trader, when their keys are derived.
PLATFORM_NAMESPACE: Final = "platform"

Keys = Callable[[], tuple[str, ...]]
"""The keys in force: the first one signs, and what any of them has signed is accepted."""

_ALGORITHM: Final = "HS256"
_ISSUER: Final = "leadline"
_ROLES: Final = roles()
_OF_AN_ACCOUNT: Final = tuple(each.name for each in planned("account"))
# Clocks of machines differ.
_LEEWAY_SECONDS: Final = 30
_LONGEST_SUBJECT: Final = 253
_log = structlog.get_logger(__name__)
_REQUIRED_CLAIMS: Final = ["iss", "aud", "sub", "role", "iat", "exp"]

METHOD_ROLES: Final[dict[str, tuple[Role, ...]]] = {
    **method_roles(),
    # Describes the contracts, which are public, but to nobody who has no token.
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": roles(),
}
"""Which roles may call a method. What is not in it is denied."""
# Probes carry no token, and learn only whether the service serves.
OPEN_METHODS: Final = frozenset({"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"})


class NotAuthenticated(LeadlineError):
    """There is no token, or not one that was signed here and still holds."""

    grpc_status: ClassVar[str] = "UNAUTHENTICATED"


class NotAllowed(LeadlineError):
    """The token is good, but its role may not do this."""

    grpc_status: ClassVar[str] = "PERMISSION_DENIED"


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller: a person's or a service's name, its role, and the one account that it is bound to, if it is."""

    subject: str
    role: Role
    account: AccountId | None = None


_caller: contextvars.ContextVar[Caller] = contextvars.ContextVar("caller")


def caller() -> Caller:
    """The caller of the call that is being answered. LookupError outside of one."""
    return _caller.get()


def set_caller(found: Caller) -> None:
    """Say who made the call that is being answered; the server does before it calls the servicer."""
    _caller.set(found)


def read_key(path: Path) -> str:
    """The key that signs and checks tokens. Raises InvalidInput when it is too short to be one."""
    key = read_secret(path)
    if len(key.encode()) < MIN_KEY_BYTES:
        raise InvalidInput(str(path), counted(len(key.encode()), "byte"), f"a key of at least {MIN_KEY_BYTES} bytes")
    return key


def one_key(key: str) -> Keys:
    """A key that never changes."""
    return lambda: (key,)


def key_file(path: Path, clock: Callable[[], int] = wall_ns) -> Keys:
    """The key of a file, which may be changed at any time.

    For three minutes from its writing the former one signs on, so that everybody else has time to see the new one; what
    it has signed is accepted until the last such token has expired. A file that cannot be read changes nothing. Raises
    as `read_key`, for the first reading only. clock: nanoseconds UTC.
    """
    return _KeyFile(path, clock)


def derive_key(master: str, namespace: str, service: str) -> str:
    """The key of a service in a namespace, which follows from the platform's master key.

    Whoever holds it can speak to that service alone, and learns nothing about another's key (SHA-256 of
    `master/namespace/service`, in hexadecimal: a chart's template can compute it too).
    """
    return hashlib.sha256(f"{master}/{namespace}/{service}".encode()).hexdigest()


def audience(service: str, account: AccountId | None = None) -> str:
    """The audience of a token: a service of the platform, or one of an account, as in `execution/default/paper`."""
    return f"{service}/{account}" if account and service in _OF_AN_ACCOUNT else service


def mint_token(
    key: str, role: Role, subject: str, to: str, *, account: AccountId | None = None, lifetime_s: int = TOKEN_SECONDS
) -> str:
    """A signed token for calls to the audience `to`. Raises InvalidInput when it would live longer than any may."""
    if not 0 < lifetime_s <= LONGEST_TOKEN_SECONDS:
        raise InvalidInput("lifetime_s", lifetime_s, f"1 to {LONGEST_TOKEN_SECONDS} seconds")
    now = wall_ns() // NS_PER_SECOND
    claims: dict[str, object] = {
        "iss": _ISSUER,
        "aud": to,
        "sub": subject,
        "role": role,
        "iat": now,
        "exp": now + lifetime_s,
    }
    if account is not None:
        claims["account"] = account
    return jwt.encode(claims, key, _ALGORITHM)


def token_source(keys: Keys, role: Role, subject: str, to: str, account: AccountId | None = None) -> Callable[[], str]:
    """A function that gives a token for an audience with at least half of its life left, made anew when it must be."""
    held: list[tuple[float, str]] = []

    def current() -> str:
        if not held or monotonic_s() >= held[0][0]:
            held[:] = [(monotonic_s() + TOKEN_SECONDS / 2, mint_token(keys()[0], role, subject, to, account=account))]
        return held[0][1]

    return current


def read_token(keys: tuple[str, ...], token: str, to: str) -> Caller:
    """The caller that a token names; it must be for this audience and signed by one of the keys.

    Raises NotAuthenticated when it does not hold.
    """
    claims = _claims(keys, token, to)
    subject, role, account = claims["sub"], claims["role"], claims.get("account")
    begins, ends = claims["iat"], claims["exp"]
    if not all(isinstance(time, int | float) and not isinstance(time, bool) for time in (begins, ends)):
        raise NotAuthenticated("the token's times are no numbers")
    named = isinstance(subject, str) and 0 < len(subject) <= _LONGEST_SUBJECT and subject.isprintable()
    bound = account is None or (isinstance(account, str) and bool(account))
    if ends - begins > LONGEST_TOKEN_SECONDS or role not in _ROLES or not named or not bound:
        raise NotAuthenticated("the token is not one of this platform's")
    return Caller(subject, role, account)


def authorise(method: str, found: Caller, account: AccountId | None) -> None:
    """Raises NotAllowed unless the role may call the method, and the token's account, if any, is the service's own."""
    if found.role not in METHOD_ROLES.get(method, ()):
        raise NotAllowed(f"{found.subject} has the role {found.role}, which may not call {method}")
    if found.account is not None and account is not None and found.account != account:
        raise NotAllowed(f"{found.subject} may act for {found.account} only, this is {account}")


def _claims(keys: tuple[str, ...], token: str, to: str) -> dict[str, Any]:
    for key in keys:
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                issuer=_ISSUER,
                audience=to,
                leeway=_LEEWAY_SECONDS,
                options={"require": _REQUIRED_CLAIMS, "strict_aud": True},
            )
        except jwt.InvalidSignatureError:
            continue
        except jwt.ExpiredSignatureError:
            raise NotAuthenticated("the token has expired") from None
        except jwt.ImmatureSignatureError:
            expected = f"more than {_LEEWAY_SECONDS} s"
            reason = f"the token is from the future: its maker's clock and this one differ by {expected}"
            raise NotAuthenticated(reason) from None
        except jwt.InvalidAudienceError:
            raise NotAuthenticated(f"the token is for another service than {to}") from None
        except (jwt.InvalidTokenError, TypeError, ValueError, OverflowError):
            raise NotAuthenticated("the token is not one of this platform's") from None
    raise NotAuthenticated("the token was not signed with this platform's key")


class _KeyFile:
    def __init__(self, path: Path, clock: Callable[[], int]) -> None:
        self._path = path
        self._clock = clock
        self._mark = _mark_of(path)
        self._key = read_key(path)
        self._former: str | None = None
        self._changed_ns = 0
        self._problem = ""

    def __call__(self) -> tuple[str, ...]:
        self._look()
        # By the file's own time: whoever looks late is not late with what follows.
        age_s = (self._clock() - self._changed_ns) / NS_PER_SECOND
        if self._former is None or age_s >= OVERLAP_SECONDS + TOKEN_SECONDS:
            self._former = None
            return (self._key,)
        return (self._former, self._key) if age_s < OVERLAP_SECONDS else (self._key, self._former)

    def _look(self) -> None:
        try:
            mark = _mark_of(self._path)
            if mark == self._mark:
                return
            found = read_key(self._path)
        except (OSError, InvalidInput) as error:
            if str(error) != self._problem:
                self._problem = str(error)
                _log.warning("key.unreadable", reason=self._problem)
            return
        self._mark = mark
        if found != self._key:
            # A file that is dated in the future has been written by now all the same.
            self._former, self._key, self._changed_ns = self._key, found, min(mark[0], self._clock())
            _log.info("key.changed", file=str(self._path), signs_after_seconds=OVERLAP_SECONDS)


def _mark_of(path: Path) -> tuple[int, int, int]:
    """A mark that changes with the content of a file: when it was written (ns UTC), its inode, its size."""
    status = path.stat()
    return status.st_mtime_ns, status.st_ino, status.st_size
