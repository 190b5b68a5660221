"""Identities: a type for each kind, and how those are spelt and derived that are made of others.

All of them are text, on the wire, in tables and in JSON. The types are for the checker alone: an account where a
strategy is expected is an error before anything runs. Text from outside becomes an id where it is read.

Nothing on the order path has an id that a restart could not derive again.
"""

import hashlib
import re
import string
from enum import StrEnum
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Final, NamedTuple, NewType, Self, TypeAlias

AccountId = NewType("AccountId", str)
"""An account by its manifest: `namespace/name`."""
StrategyId = NewType("StrategyId", str)
"""A strategy by its manifest: `namespace/name`."""
RunId = NewType("RunId", str)
"""A run, and the tape that it goes through; live feeds have such a name too."""
LIVE: Final = RunId("live")
"""The tape that has no end, and whose time is that of a clock."""
DecisionId = NewType("DecisionId", str)
"""The decision on one proposal of a strategy."""
ClientOrderId = NewType("ClientOrderId", str)
"""An order, by the id that its account gives it before it is sent."""
FillId = NewType("FillId", str)
"""One execution at a venue."""
BacktestId = NewType("BacktestId", str)
"""A backtest, by its code, its manifests and its data."""
ContractId = NewType("ContractId", str)
"""A contract by its canonical name: `ESZ2025`, or the root of what does not expire. A root that rolls is none."""


class LegKind(StrEnum):
    """The part that an order has in a decision, by the first letter of its leg. Somebody else placed a foreign one."""

    ENTRY = "E"
    STOP = "S"
    TARGET = "T"
    FLATTEN = "F"
    SETTLEMENT = "C"
    FOREIGN = "X"


_NUMBERED: Final = re.compile("[STF][1-9][0-9]{0,8}")
_SINGLE: Final = frozenset({LegKind.ENTRY, LegKind.SETTLEMENT, LegKind.FOREIGN})


class Leg(str):
    """The leg of a decision that an order is, a text as outside: `E`, `S<k>`, `T<k>`, `F<n>`, `C` or `X`.

    It `is_exit` where it closes what an entry has filled, at a stop or at a target. The number of these two is that of
    the entry's fill that they close, of a flatten a running one, from 1; a kind that a decision has once has none, 0. A
    text that no leg of this platform has is a foreign order's, and stays as it is.
    """

    __slots__ = ("is_exit", "kind", "number")

    kind: LegKind
    number: int
    is_exit: bool

    def __new__(cls, text: str) -> Self:
        """The leg that a text names: the one place that reads its letter and its number."""
        leg = super().__new__(cls, text)
        numbered = _NUMBERED.fullmatch(text) is not None
        leg.kind = LegKind(text[0]) if numbered or text in _SINGLE else LegKind.FOREIGN
        leg.number = int(text[1:]) if numbered else 0
        leg.is_exit = leg.kind in {LegKind.STOP, LegKind.TARGET}
        return leg

    @staticmethod
    @lru_cache(maxsize=1024)
    def of(kind: LegKind, number: int = 0) -> "Leg":
        """The leg of a kind; `number` for a stop, a target and a flatten."""
        return Leg(f"{kind}{number}" if number else kind)


ENTRY: Final = Leg.of(LegKind.ENTRY)
SETTLEMENT: Final = Leg.of(LegKind.SETTLEMENT)
FOREIGN: Final = Leg.of(LegKind.FOREIGN)


OwnerId: TypeAlias = AccountId | StrategyId
"""The owner of workloads: an account or a strategy."""

UNASSIGNED: Final = StrategyId("")
"""The owner of what no strategy owns: of orders and positions in contracts that none trades, of an account's demand."""
NO_DECISION: Final = DecisionId("")
"""Of what nobody decided."""
NO_FILL: Final = FillId("")
"""Where a position changes without an execution at the venue."""
NO_ORDER: Final = ClientOrderId("")
"""Where an order has no parent, or no other that it takes back."""
NO_CONTRACT: Final = ContractId("")
"""The contract of an answer that enters nothing."""
_ADOPTED: Final = "venue-"
DEFAULT_NAMESPACE: Final = "default"
"""The namespace of a manifest that names none."""


class NamespacedName(NamedTuple):
    """The two parts of the id of an account or a strategy."""

    namespace: str
    name: str


def account_id(namespace: str, name: str) -> AccountId:
    """The id of an account by where its manifest is."""
    return AccountId(f"{namespace}/{name}")


def strategy_id(namespace: str, name: str) -> StrategyId:
    """The id of a strategy by where its manifest is."""
    return StrategyId(f"{namespace}/{name}")


def account_named(text: str, home: str = DEFAULT_NAMESPACE) -> AccountId:
    """The account that a person names: `namespace/name`, or a name of the namespace `home`."""
    return AccountId(_in_full(text, home))


def strategy_named(text: str, home: str = DEFAULT_NAMESPACE) -> StrategyId:
    """The strategy that a person names: `namespace/name`, or a name of the namespace `home`."""
    return StrategyId(_in_full(text, home))


def namespaced_name(owner: OwnerId) -> NamespacedName:
    """The namespace and the name of an account or a strategy.

    A text from outside that has not both is no error here: what it lacks is empty, and so it is nobody's name.
    """
    namespace, _, name = owner.partition("/")
    return NamespacedName(namespace, name)


def _in_full(text: str, home: str) -> str:
    return text if "/" in text else f"{home}/{text}"


_BASE32: Final = string.ascii_lowercase + "234567"
_PAIRS: Final = [first + second for first in _BASE32 for second in _BASE32]


def derive(*parts: str) -> str:
    """BLAKE2b-160 of the JSON array of `parts` (UTF-8, no spaces), as 32 lower-case base32 characters."""
    text = ",".join(map(encode_basestring, parts))
    digest = hashlib.blake2b(f"[{text}]".encode(), digest_size=20).digest()
    number = int.from_bytes(digest, "big")
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(150, -1, -10)])


@lru_cache(maxsize=2048)
def _asked_often(*parts: str) -> str:
    """As `derive`, for what a loop asks for again at each step."""
    return derive(*parts)


def decision_id(account: AccountId, strategy: StrategyId, source: str) -> DecisionId:
    """The one decision on a proposal of a strategy, by its source."""
    return DecisionId(_asked_often("d", account, strategy, source))


def client_order_id(decision: DecisionId, leg: Leg, attempt: int = 1) -> ClientOrderId:
    """The order's id at the venue: 17 characters, so that it fits the shortest field of the venues we know."""
    return ClientOrderId("L" + _asked_often("o", decision, leg, str(attempt))[:16])


def adopted_decision(account: AccountId, tape: RunId, contract: ContractId, event: int) -> DecisionId:
    """The decision of a position that the account takes over from its venue and that no order of its own has opened.

    `event` is the number of the book's last event: what it takes over later has another.
    """
    return DecisionId(_ADOPTED + derive("adopted", tape, account, contract, str(event)))


def is_adopted(decision: DecisionId) -> bool:
    """Whether it is the decision of a position that was taken over: a derived id has no such beginning."""
    return decision.startswith(_ADOPTED)


def foreign_decision(order: ClientOrderId) -> DecisionId:
    """The decision of an order that somebody else placed, which has none: the order's own id stands for it.

    No order of this account has the id of its decision.
    """
    return DecisionId(order)


def foreign_order(decision: DecisionId) -> ClientOrderId:
    """The order of somebody else for whose decision this stands; of a decision of the account's own no order's id."""
    return ClientOrderId(decision)


def fill_id(client_id: ClientOrderId, source_index: int) -> FillId:
    """A paper fill's id: a print can fill an order once."""
    return FillId(derive("f", client_id, str(source_index)))
