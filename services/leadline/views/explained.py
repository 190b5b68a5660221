"""All that is known of decisions, as values: the bar, what was seen there, wanted, decided, sent and filled."""

from collections.abc import Mapping
from dataclasses import dataclass

from leadline.model.ids import AccountId, ClientOrderId, ContractId, DecisionId, Leg, RunId, StrategyId
from leadline.views.halts import ReportedHalt
from leadline.views.signals import ProposalView, RegimeView, SignalView
from leadline.views.values import Choice, OrderView


@dataclass(frozen=True, slots=True)
class RowView:
    """One price row of a bar, by its lowest price.

    Volumes in size steps: bid of sellers, ask of buyers, unknown where nobody said.
    """

    price: str
    price_ticks: int
    bid: int
    ask: int
    unknown: int


@dataclass(frozen=True, slots=True)
class FootprintView:
    """One closed bar with its rows, the highest price first. Prices are decimal strings, times ns UTC.

    bar: its key as events spell it. poc: point of control; poc_ticks, value_area_low_ticks and value_area_high_ticks:
    rows, as in `RowView.price_ticks`. incomplete: prints of the bar that could not be had, 0 where it is whole. gap: of
    a live bar, that prints of it may be missing. revision: how often late prints have changed it. A bar of a backtest
    has neither times nor the fields from `open` on.
    """

    bar: str
    contract: ContractId
    high: str
    low: str
    close: str
    volume: int
    delta: int
    poc: str
    poc_ticks: int
    value_area_low_ticks: int
    value_area_high_ticks: int
    rows: tuple[RowView, ...]
    incomplete: int = 0
    gap: bool = False
    revision: int = 0
    open: str | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    known_at_ns: int | None = None
    prints: int | None = None
    min_delta: int | None = None
    max_delta: int | None = None
    cumulative_delta: int | None = None


@dataclass(frozen=True, slots=True)
class PointsView:
    """One part of the score of a regime.

    condition: with its thresholds, the stronger first where two give points. value: that was held to it, as the inputs
    of the regime have it. points: that it gave, most: that it can give; decimal strings.
    """

    regime: str
    condition: str
    value: str
    points: str
    most: str


@dataclass(frozen=True, slots=True)
class RouterView:
    """The rule of the router in a regime, by the manifest as it is now.

    min_strength, min_confidence: the least of a signal and of the reading, decimal strings. patterns: that may trade,
    none where nothing does. side: `LONG` or `SHORT` where only that may, else `BOTH`.
    """

    min_strength: str
    min_confidence: str
    patterns: tuple[str, ...]
    side: Choice


@dataclass(frozen=True, slots=True)
class Bound:
    """One bound of a size: its name in the arithmetic, and the largest size that it allows. binds: it is the size."""

    name: str
    value: str
    binds: bool


@dataclass(frozen=True, slots=True)
class LimitUse:
    """One limit, as it is set now, and its use at the moment of a decision; both decimal strings.

    name: the reason that it refuses with. of: `account` or `strategy`. used: of a day's loss or target what was
    realised, without open positions. refused: it is the reason of the refusal.
    """

    name: str
    of: str
    used: str
    limit: str
    refused: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One step from the bar to the last order event.

    at_ns: the tape's time, ns UTC. after_ns: since the step before, absent for the first. kind: `BAR_ENDED`,
    `BAR_KNOWN`, `DECISION`, `ORDER` or `FILL`. client_id, leg: of the order, empty where it is about none. state: of
    the order, or of the decision (`ACCEPTED`, `REFUSED`); empty else. text: in a few words.
    """

    at_ns: int
    after_ns: int | None
    kind: Choice
    client_id: ClientOrderId
    leg: Leg
    state: Choice
    text: str


@dataclass(frozen=True, slots=True)
class ResultView:
    """The trade to which the orders of a decision belong, once it is closed. Money is in the account's currency.

    decision_id: that of the entry that opened it. Prices are averages, decimal strings. result_ticks: of one contract.
    """

    decision_id: DecisionId
    contract: ContractId
    side: Choice
    quantity: int
    entry_ns: int
    entry_price: str
    exit_ns: int
    exit_price: str
    exit_by: str
    result_ticks: str
    gross: str
    commission: str
    net: str


@dataclass(frozen=True, slots=True)
class ExplainedDecision:
    """One proposal of a strategy at a bar and all that followed.

    summary: what became of it, one sentence. decided_ns: the account's instant, ns UTC, absent before it is decided.
    arithmetic: of the size, name to value in the order in which it was done; bounds: those of its terms that bound it.
    orders: all of the decision, entries first. result: of the closed trade. halts: in force when it was decided.
    """

    summary: str
    proposal: ProposalView | None
    decided_ns: int | None
    arithmetic: Mapping[str, str]
    bounds: tuple[Bound, ...]
    limits: tuple[LimitUse, ...]
    orders: tuple[OrderView, ...]
    steps: tuple[Step, ...]
    result: ResultView | None
    halts: tuple[ReportedHalt, ...]


@dataclass(frozen=True, slots=True)
class ExplainedBar:
    """One strategy at one bar.

    bar: its key, empty for orders that no bar has made. footprint: absent where the bar is not kept. regime: absent
    where the strategy reads none. block: that is in force now for account or strategy, empty for none. fence: why
    nothing that the strategy says counts now, else empty. regime_points: the parts of the regime's scores. router: its
    rule, absent where either is not known.
    """

    account: AccountId
    strategy: StrategyId
    bar: str
    footprint: FootprintView | None
    regime: RegimeView | None
    signals: tuple[SignalView, ...]
    decisions: tuple[ExplainedDecision, ...]
    block: Choice
    fence: str
    regime_points: tuple[PointsView, ...] = ()
    router: RouterView | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer to one id.

    asked: the id as it was given. kind: of what it names, `ORDER`, `FILL`, `DECISION` or `BAR`. tape: the run.
    missing: what cannot be told here, each in one sentence.
    """

    asked: str
    kind: Choice
    tape: RunId
    bars: tuple[ExplainedBar, ...]
    missing: tuple[str, ...] = ()
