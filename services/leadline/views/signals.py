"""What strategies saw in their bars, as it is shown, and what became of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from leadline.views.values import Int64

APPROVED: Final = "approved"


@dataclass(frozen=True, slots=True)
class SignalView:
    """One pattern found in one bar.

    direction: `LONG` or `SHORT`. price: ticks. strength: 0 to 1, a decimal string. evidence_json: canonical JSON, rows
    in ticks, volumes in size steps, ratios as decimal strings. rejection: the router's first reason, empty when it
    approved.
    """

    pattern: str
    direction: str
    price: Int64
    strength: str
    evidence_json: str
    approved: bool
    rejection: str


@dataclass(frozen=True, slots=True)
class RegimeView:
    """The regime at a bar's close.

    regime: such as `TRENDING_UP`. confidence: 0 to 1; multiplier: of position size; both decimal strings. reason: why
    it is `NO_TRADE`, else empty.
    """

    regime: str
    confidence: str
    multiplier: str
    reason: str


@dataclass(frozen=True, slots=True)
class ProposalView:
    """What a strategy wants at one bar.

    action: such as `ENTER`. direction: `LONG` or `SHORT`, empty where it has none. why: patterns and words of the
    strategy's own. withdrawn: why nothing is wanted although there were signals, else empty.
    """

    action: str
    direction: str
    why: tuple[str, ...]
    withdrawn: str


@dataclass(frozen=True, slots=True)
class DecisionView:
    """What risk and the account decided on a proposal.

    action: such as `ENTER`. reason: why it was refused, empty when accepted. side: `BUY` or `SELL` of an entry,
    quantity: size steps, where they are known. facts: all that its source has of it, as JSON; a running stack has the
    decision's event.
    """

    action: str
    accepted: bool
    reason: str
    side: str | None
    quantity: int | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SignalledBar:
    """A bar with signals or proposals.

    strategy: `namespace/name`. known_at_ns: instant from which it may be acted on, ns UTC. bar: its key as events spell
    it. close: price, a decimal string. regime: empty where the strategy reads none. decisions: those that there are, in
    the order of their proposals.
    """

    strategy: str
    known_at_ns: int
    bar: str
    close: str
    regime: str
    signals: tuple[SignalView, ...]
    proposals: tuple[ProposalView, ...]
    decisions: tuple[DecisionView, ...]


@dataclass(frozen=True, slots=True)
class PatternLine:
    """All signals of one pattern in one bar: its name with their number, the greatest strength, the router's word."""

    name: str
    strength: str
    word: str

    @property
    def approved(self) -> bool:
        """Whether the router let one of them through."""
        return self.word == APPROVED


def decision_view(facts: Mapping[str, Any]) -> DecisionView:
    """A decision from its facts: those of its event, or of its row in the book."""
    return DecisionView(
        facts["action"],
        bool(facts["accepted"]),
        facts.get("reason") or "",
        facts.get("side"),
        facts.get("quantity"),
        facts,
    )


def lines_of(signals: Iterable[SignalView], proposals: Iterable[ProposalView]) -> list[PatternLine]:
    """What a strategy saw in a bar, else what it wants there, as lines."""
    return by_pattern(signals) or [
        PatternLine(", ".join(each.why) or each.action.lower(), "", "proposed") for each in proposals
    ]


def by_pattern(signals: Iterable[SignalView]) -> list[PatternLine]:
    """Signals of one bar, one line per pattern, in their order.

    A bar can have an imbalance at many prices; the strongest speaks for its pattern, an approved one before others.
    """
    found: dict[str, list[tuple[bool, Decimal, str]]] = {}
    for each in signals:
        found.setdefault(each.pattern, []).append((not each.rejection, Decimal(each.strength), each.rejection))
    lines = []
    for pattern, items in found.items():
        approved, strongest, rejection = max(items, key=lambda item: item[:2])
        name = pattern if len(items) == 1 else f"{pattern} x{len(items)}"
        lines.append(PatternLine(name, f"{strongest:.2f}", APPROVED if approved else rejection.replace("_", " ")))
    return lines


def fate_text(decisions: Sequence[DecisionView]) -> str:
    """What risk and the account said to the proposals of a bar, in a few words."""
    return ", ".join(map(_fate, decisions)) or "–"


def _fate(decision: DecisionView) -> str:
    if not decision.accepted:
        return f"refused: {decision.reason.replace('_', ' ')}"
    return f"{decision.side or decision.action} {decision.quantity}"
