"""The venues at which an account can be, each declared by one class of an installed package.

An entry point of the group `leadline.venues` names it: its name is the venue's, its value the class. Leadline's own
package names the paper venue so. The section of an account's manifest, the checks of manifests, the plan of workloads,
execution's connection and `leadline venues` follow from what is declared. How a venue is added:
docs/how-to/add-a-venue.md.
"""

import re
from abc import ABC
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from inspect import cleandoc, isabstract
from typing import Any, ClassVar, Final, Generic, TypeGuard, TypeVar

from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import AccountId
from leadline.model.manifest.spec_base import SpecModel
from leadline.model.strict import ServiceParams

GROUP: Final = "leadline.venues"
PAPER: Final = "paper"
"""The venue where there is no money."""

_NAME: Final = re.compile(r"[a-z][a-z0-9]{0,31}")


class Capability(StrEnum):
    """Something that a venue does by itself; `MEANINGS` says what."""

    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop-limit"
    NATIVE_BRACKET = "native-bracket"
    OCO = "oco"
    TRAILING = "trailing"
    REPLACE = "replace"
    SHRINK = "shrink"
    ATTACH = "attach"
    VALIDITY = "validity"
    REDUCE_ONLY = "reduce-only"
    PARTIAL_FILLS = "partial-fills"
    LOOK_UP = "look-up"
    FILL_IDS = "fill-ids"
    KEEP_EXITS = "keep-exits"
    KEEP_ENTRIES = "keep-entries"


MEANINGS: Final[Mapping[Capability, str]] = {
    Capability.LIMIT: "takes limit orders",
    Capability.STOP: "takes stop orders",
    Capability.STOP_LIMIT: "takes stop orders that rest as limit orders once they are reached",
    Capability.NATIVE_BRACKET: "makes stop and target of each fill of an entry itself, together with the fill",
    Capability.OCO: "ends the one of stop and target when the other fills",
    Capability.TRAILING: "moves a stop behind the price itself",
    Capability.REPLACE: "gives a working order other terms",
    Capability.SHRINK: "makes the stop and the target of a fill smaller while they work",
    Capability.ATTACH: "takes a stop or a target of a fill later, and where it ends one with the other, as a pair",
    Capability.VALIDITY: "ends an order at an instant that is given with it",
    Capability.REDUCE_ONLY: "keeps an order that closes from turning a position round",
    Capability.PARTIAL_FILLS: "fills an order in parts",
    Capability.LOOK_UP: "finds an order by the id that its sender gave it, and says so when it has none",
    Capability.FILL_IDS: "gives each fill an id of its own, which stays the same when it is told again",
    Capability.KEEP_EXITS: "keeps stops and targets while its account has no connection",
    Capability.KEEP_ENTRIES: "keeps entries that wait while its account has no connection",
}

NEEDED: Final = (
    Capability.STOP,
    Capability.REDUCE_ONLY,
    Capability.LOOK_UP,
    Capability.FILL_IDS,
    Capability.KEEP_EXITS,
)
"""Without these no account can be at a venue: its positions would be unprotected, or its orders' fates unknown."""

PROTECTING: Final = frozenset({Capability.NATIVE_BRACKET, Capability.ATTACH})
"""Without one of these no account can be at a venue either: nothing would stand behind what it holds."""

SectionT = TypeVar("SectionT", bound=SpecModel)


class Venue(ABC, Generic[SectionT]):
    """One venue. Its docstring's first line says what it is.

    name: as `spec.venue` of an account has it, and the name of its section of that spec. section: the model of that
    section. capabilities: what it does by itself. adapter: `module:function`, of the function that connects an account
    to it (`leadline.execution.venues.connect.Adapter`); only the account's own process loads it. real_money: whether
    orders there cost money; an account of the environment Live is at such a venue, one of Paper is not. processes:
    services that run for each account at this venue, and for no other account. stand_in: `module:function`, of the
    function that opens a venue of exercises behind the adapter (`leadline.execution.venues.conformance.stand_in`), for
    `leadline venue check`; empty without one. settle_seconds: for how long after a call of which no answer was heard
    the order may still come to the venue; until then no look-up proves that it is absent.
    """

    name: ClassVar[str]
    section: type[SectionT]
    capabilities: ClassVar[frozenset[Capability]]
    adapter: ClassVar[str]
    real_money: ClassVar[bool] = True
    processes: ClassVar[tuple[str, ...]] = ()
    stand_in: ClassVar[str] = ""
    settle_seconds: ClassVar[float] = 0.0

    @property
    def title(self) -> str:
        """A description in one sentence."""
        return cleandoc(self.__doc__ or "").partition("\n")[0]

    def section_of(self, spec: SpecModel) -> SectionT:
        """Its section of an account's spec."""
        found: SectionT = getattr(spec, self.name)
        return found

    def able(self, section: SectionT) -> frozenset[Capability]:  # noqa: ARG002 - for others
        """Its capabilities when it is set so; `capabilities` are those of all its settings together."""
        return self.capabilities

    def settings(self, account: AccountId, section: SectionT) -> Mapping[str, ServiceParams]:  # noqa: ARG002 - for others
        """Settings of the venue's processes for an account (`namespace/name`), by service."""
        return {}

    def slippage_ticks(self, section: SectionT) -> int:  # noqa: ARG002 - for others
        """How many ticks market and stop orders lose in what risk reckons with."""
        return 1

    def latency(self, section: SectionT) -> tuple[str, str] | None:  # noqa: ARG002 - for others
        """The field of its section that says how long an order takes to be matched, and that length as it is written.

        None where no length is settled.
        """
        return None


@cache
def venues() -> tuple[Venue[Any], ...]:
    """Every venue, by name.

    Raises InvalidInput when an installed package names a venue that cannot be one, a name is taken twice, or Leadline's
    own package has been installed without its entry points.
    """
    found: dict[str, Venue[Any]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        venue = _loaded(entry)
        taken = found.setdefault(venue.name, venue)
        if type(taken) is not type(venue):
            where = f"{type(taken).__module__}:{type(taken).__qualname__}"
            raise InvalidInput(_WHERE, venue.name, f"a name of its own; it is taken by {where}")
    if PAPER not in found:
        expected = f"{PAPER}, which Leadline's own package names: install that again, as `make setup` does"
        raise InvalidInput(_WHERE, ", ".join(found) or "nothing", expected)
    return tuple(found.values())


def venue_named(name: str) -> Venue[Any]:
    """The venue of that name. Raises Unknown, and InvalidInput as `venues`."""
    for venue in venues():
        if venue.name == name:
            return venue
    raise Unknown("venue", name, tuple(venue.name for venue in venues()))


_WHERE: Final = f"entry points of {GROUP}"


def _loaded(entry: EntryPoint) -> Venue[Any]:
    expected = "module:Class of a venue that can be imported"
    try:
        kind: object = entry.load()
    except (Exception, SystemExit) as error:
        raise InvalidInput(_WHERE, entry.value, f"{expected} ({type(error).__name__}: {error})") from error
    if not _is_venue(kind):
        raise InvalidInput(_WHERE, entry.value, f"{expected}, a subclass of leadline's Venue with all that it declares")
    if kind.name != entry.name:
        raise InvalidInput(_WHERE, entry.name, f"the name of the venue, {kind.name}")
    if not _NAME.fullmatch(kind.name):
        raise InvalidInput(_WHERE, kind.name, "up to 32 lower-case letters and digits, a letter first")
    return kind()


def _is_venue(value: object) -> TypeGuard[type[Venue[Any]]]:
    if not (isinstance(value, type) and issubclass(value, Venue) and not isabstract(value)):
        return False
    section = getattr(value, "section", None)
    return (
        isinstance(getattr(value, "name", None), str)
        and isinstance(getattr(value, "adapter", None), str)
        and isinstance(getattr(value, "capabilities", None), frozenset)
        and isinstance(section, type)
        and issubclass(section, SpecModel)
    )
