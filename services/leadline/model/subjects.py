"""Names of streams and subjects on the bus. `schema` spells the patterns of streams and of the users' rights."""

from typing import Final, Literal

from leadline.model.ids import AccountId, ContractId, OwnerId, RunId, StrategyId, namespaced_name

TICKS: Final = "TICKS"
BARS: Final = "BARS"
SIGNALS: Final = "SIGNALS"
ORDERS: Final = "ORDERS"
RUNS: Final = "RUNS"

RUN_SUBJECT: Final = "ll.run"
# What the stream of runs keeps: `RUN_SUBJECT` alone, by a pattern all the same. A server lets a consumer deliver to a
# subject that somebody listens to by its very name, and asks nobody whether the consumer's maker may publish to it.
RUNS_SUBJECTS: Final = "ll.*"

OrderKind = Literal["decision", "order", "fill", "position", "halt", "fence"]
ORDER_KINDS: Final[tuple[OrderKind, ...]] = ("decision", "order", "fill", "position", "halt", "fence")


def _pair(owner: OwnerId) -> str:
    """An account or a strategy as two subject tokens."""
    return ".".join(namespaced_name(owner))


def tick_subject(tape: RunId, venue: str, contract: ContractId) -> str:
    """Prints of one contract."""
    return f"ll.{tape}.tick.{venue}.{contract}"


def bar_subject(tape: RunId, venue: str, contract: ContractId, session: str, spec: str) -> str:
    """Bars of one contract, session and specification (with ticks per row, such as `5m-r1`)."""
    return f"ll.{tape}.bar.{venue}.{contract}.{session}_{spec}"


def signal_subject(tape: RunId, account: AccountId, strategy: StrategyId) -> str:
    """Signals of one strategy on one account, each `namespace/name`."""
    return f"ll.{tape}.signal.{_pair(account)}.{_pair(strategy)}"


def order_subject(kind: OrderKind, tape: RunId, account: AccountId) -> str:
    """One kind of book event of one account, `namespace/name`."""
    return f"ll.{tape}.{kind}.{_pair(account)}"
