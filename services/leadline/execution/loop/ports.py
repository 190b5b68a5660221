"""Ports of the account's loop: store, market time, orders, risk, journal, switch. A service and a replay fill them."""

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, Protocol

from leadline.execution.core.book import Book, Changes
from leadline.execution.core.booking import Stored
from leadline.execution.core.halts import Clearing, Halts, StoredHalts
from leadline.model.errors import LeadlineError, NotAdmitted, NotTaken, PartFailed, Refused, Unavailable
from leadline.model.halts import Halt, HaltSource
from leadline.model.ids import ClientOrderId, ContractId, DecisionId, FillId
from leadline.model.orders import OrderEvents, Passed, Replacement, VenueOrder, Watch
from leadline.risk.view import DecisionInputs, RiskDecision

__all__ = [
    "LEASE_SECONDS",
    "NOT_AS_LEFT",
    "Fenced",
    "HaltStands",
    "Journal",
    "LimitRefused",
    "MarketTime",
    "NotAdmitted",
    "NotTaken",
    "Orders",
    "PartFailed",
    "Refused",
    "Risk",
    "Store",
    "Switch",
    "Unavailable",
]


LEASE_SECONDS: Final = 5
"""How long a holder that went silent keeps the account."""

NOT_AS_LEFT: Final = "the database is not as this account has left it: the book is read again"
"""The end of a transaction that would write over rows which this process has not seen: they were put back, or lost."""


class Fenced(LeadlineError):
    """Another writer holds the account: this one must stop at once."""


class HaltStands(LeadlineError):
    """A halt that a person's word alone does not clear: its cause has to go first."""


class LimitRefused(LeadlineError):
    """The limits refused an entry in the transaction that would have written it."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"refused: {reason}")
        self.reason = reason


class Store(Protocol):
    """The book's rows. Every method raises `Unavailable` when the database does not answer."""

    async def load(self) -> Book | None:
        """The book as last committed; None when the account has none on this tape yet."""

    async def commit(self, book: Book, changes: Changes, check: Callable[[Book], str | None] | None = None) -> None:
        """Write everything in one transaction under the writer's epoch.

        With `check` the account's and strategies' rows are locked and read again first, and a reason that the check
        returns refuses the whole transaction. Of orders and decisions that are over, the check may see those alone
        that the limits of an entry look at. Raises `Fenced`, `LimitRefused`, and `Unavailable` where the rows are not
        those that this store has loaded or written last: a database that was put back has forgotten something.
        """

    async def confirm(self) -> None:
        """Keep the account for a little longer, and see that the rows are as this store has left them.

        To be called before a byte leaves. Raises `Fenced` when another has taken the account, and `Unavailable` where
        the rows are not those that this store has loaded or written last: a database that was put back has forgotten.
        """

    async def recall(self, client_ids: Sequence[ClientOrderId], fill_ids: Sequence[FillId]) -> Stored:
        """The orders and fills of these ids that have rows, however old."""

    async def decided(self, decision: DecisionId) -> bool:
        """Whether a decision has a row, however old."""

    async def halts(self, numbers: Sequence[int]) -> StoredHalts:
        """The account's halts that are in force by their rows, on whatever tape, and those with these numbers."""

    async def sent(self, newest: int) -> frozenset[ClientOrderId]:
        """Client ids of the newest orders of this tape that left here: the venue has proved that it got them."""


class MarketTime(Protocol):
    """The time that an account lives in, and which prints have passed.

    In a replay the one behind it moves a tape; live the wall clock goes on by itself, and prints come in. The loop does
    not know which. Raises `Unavailable` while it cannot tell, and `Refused` when what is booked contradicts it.
    """

    async def advance(
        self, from_ns: int, to_ns: int, after_event: int, contracts: Sequence[ContractId], watches: Sequence[Watch]
    ) -> Passed:
        """Let time pass up to an instant, inclusive; it may stop early.

        It stops where something has happened to the account's orders after the event `after_event`, where a watch is
        crossed, and after a short while in any case. `from_ns` and `after_event` are the instant and the event that are
        booked. A time that is beyond them says at once where it is, and goes no further: so does one that is asked to
        come to where it stands. `contracts` are those whose prints matter.
        """


class Orders(Protocol):
    """An account's orders at its venue. Raises `Unavailable` when that does not answer, `Refused` when it says no.

    What it says is not judged behind this port: the core looks at every word.
    """

    async def events_since(self, after_event: int, until_ns: int) -> OrderEvents:
        """The events of the orders after one that is booked, in the order in which they happened.

        The events are numbered on from `after_event`. On a tape that ends none is later than `until_ns`, an instant
        that has passed: later ones are told when they are asked for next. On a live one all that have happened are
        told, also where the venue's clock is ahead. The same question gets at least the same events again, until one
        of them is named as booked. Where a venue gives its events no numbers, those that it pushes are kept and
        numbered here as they come. After a start, when it is not known what was told before, all that is known of the
        orders and fills is told again: orders are known by their client ids and fills by their own, and what is booked
        already changes nothing.
        """

    async def working(self) -> Sequence[VenueOrder]:
        """Every order of the account that works at the venue, whoever placed it."""

    async def submit(self, order: VenueOrder) -> VenueOrder:
        """Hand an order in, once. An error leaves its fate unknown."""

    async def cancel(self, client_id: ClientOrderId, reason: str) -> None:
        """Cancel an order; what became of it is told by the venue's events."""

    async def replace(self, wanted: Replacement) -> VenueOrder:
        """Give a working order other terms; the order as it stands. The same terms again change nothing."""

    async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
        """The order with this id; None proves that the venue has none."""

    async def positions(self) -> dict[ContractId, int]:
        """Net signed position by contract, in size steps; flat ones absent."""


class Risk(Protocol):
    """Decides. Raises `Unavailable` when it does not answer, and `Refused` when it cannot decide on a question."""

    async def decide(self, inputs: DecisionInputs) -> RiskDecision:
        """Risk's word on a question."""


class Journal(Protocol):
    """Ids of orders whose first byte may have left: on disk before it does."""

    @property
    def written(self) -> AbstractSet[ClientOrderId]:
        """Every id that is kept: those of the newest orders, many more than any rule looks back on."""

    def newest(self, count: int) -> list[ClientOrderId]:
        """The ids written last, oldest first."""

    def restore(self, client_ids: Iterable[ClientOrderId]) -> None:
        """Append ids durably that an earlier file had, and that they were put back. Raises OSError as `write` does."""

    def write(self, client_id: ClientOrderId) -> None:
        """Append an id durably. Raises AssertionError when it was written before: nothing is ever sent twice.

        Raises OSError, and keeps nothing of the id then.
        """


class Switch(Protocol):
    """The kill switch: the account's halts, durable before `halt` returns, whatever else stands still."""

    @property
    def halts(self) -> Halts:
        """The halts in force."""

    def halt(self, source: HaltSource, reason: str, by: str) -> Halt:
        """Stop entries; returns the halt that stands for the cause."""

    def draft(self, source: HaltSource, reason: str, by: str) -> Halt:
        """A halt that stops nothing before `adopt`: its row is written in the transaction that is its cause."""

    def adopt(self, halt: Halt) -> None:
        """Let a drafted halt stand, now that its row has been written."""

    def keep(self) -> None:
        """Make durable what the disk has refused so far."""

    def clear(self, halts: Iterable[Halt]) -> None:
        """Let go of halts. Raises OSError, and they stand, when that cannot be made durable."""

    def merge(self, stored: StoredHalts) -> None:
        """Lay what the database has over what is here: what stands in either stands."""

    def stored(self, halts: Iterable[Halt], closed: Iterable[Clearing], by: str) -> None:
        """These halts have their rows now, and the rows of these replaced ones are closed."""
