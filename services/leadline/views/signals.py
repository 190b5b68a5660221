"""Signals and proposals of strategies at their bars, and the decisions on the proposals."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from leadline.model.ids import DecisionId, StrategyId
from leadline.model.orders import Bracket
from leadline.model.proposals import Action, EntryTerms, Proposal, source_text
from leadline.views.prices import price_text
from leadline.views.values import Choice

APPROVED: Final = "approved"
_REJECTED: Final = {
    "no_trade": "no-trade regime",
    "pattern_not_enabled": "not in this regime",
    "direction": "against the regime",
    "strength": "too weak",
    "confidence": "regime unsure",
    "filtered": "filtered out",
    "gap": "prints of the bar may be missing",
}
"""The router's reasons against a signal, as they read after "refused"."""


@dataclass(frozen=True, slots=True)
class SignalView:
    """One pattern found in one bar.

    direction: `LONG` or `SHORT`. price: decimal string; price_ticks: the same in ticks. strength: 0 to 1, a decimal
    string. evidence: of the detector, by name: rows in ticks, volumes in size steps, ratios as decimal strings.
    rejection: the router's first reason, empty when it approved.
    """

    pattern: str
    direction: Choice
    price: str
    price_ticks: int
    strength: str
    evidence: Mapping[str, Any]
    approved: bool
    rejection: str


@dataclass(frozen=True, slots=True)
class RegimeView:
    """The regime at a bar's close.

    regime: such as `TRENDING_UP`. confidence: 0 to 1; multiplier: of position size; both decimal strings. reason: why
    it is `NO_TRADE`, else empty. scores: by regime; inputs: the numbers that it was read from, and those of the
    filters; all decimal strings.
    """

    regime: str
    confidence: str
    multiplier: str
    reason: str
    scores: Mapping[str, str]
    inputs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DecisionView:
    """The decision on one proposal, by risk or by the account.

    source: of the proposal. action: such as `ENTER`. reason: why it was refused, empty when accepted. side: `BUY` or
    `SELL` of an entry, quantity: size steps, where they are known. type: of an accepted entry, `MARKET`, `LIMIT` or
    `STOP`; price, price_ticks: where it waits, a decimal string and ticks.
    """

    decision_id: DecisionId
    source: str
    action: Choice
    accepted: bool
    reason: str
    side: Choice | None
    quantity: int | None
    type: Choice | None = None
    price: str | None = None
    price_ticks: int | None = None


@dataclass(frozen=True, slots=True)
class EntryView:
    """How an entry is priced: type `MARKET`, `LIMIT` or `STOP`; the price as decimal string and in ticks."""

    type: Choice
    price: str | None
    price_ticks: int | None
    valid_for_ns: int | None


@dataclass(frozen=True, slots=True)
class ExitsView:
    """The exits that a proposal asks for: distances in ticks from the fill, or prices as decimal strings and in ticks.

    trail_trigger_ticks: profit from which the stop follows; trail_offset_ticks: its distance then.
    """

    stop_ticks: int | None = None
    target_ticks: int | None = None
    stop_price: str | None = None
    stop_price_ticks: int | None = None
    target_price: str | None = None
    target_price_ticks: int | None = None
    trail_trigger_ticks: int | None = None
    trail_offset_ticks: int | None = None


@dataclass(frozen=True, slots=True)
class ProposalView:
    """One action that a strategy proposes at a bar, and the decision on it; None before it is decided.

    source: of which the decision's id is made. action: such as `ENTER`. direction: `LONG` or `SHORT`. entry, exits: the
    manifest's where None. quantity: size steps at the most. why: patterns and words of the strategy's own. withdrawn:
    why nothing is wanted although there were signals, else empty. group: empty for none. unit: the part of the
    strategy's position that is meant, empty where none is named.
    """

    source: str
    action: Choice
    direction: Choice | None
    entry: EntryView | None
    exits: ExitsView | None
    quantity: int | None
    why: tuple[str, ...]
    withdrawn: str
    group: str
    unit: str
    decision: DecisionView | None = None


@dataclass(frozen=True, slots=True)
class SignalledBar:
    """A bar with signals or proposals.

    strategy: `namespace/name`. known_at_ns: instant from which it may be acted on, ns UTC. bar: its key as events spell
    it. close: price, a decimal string. regime: None where the strategy reads none.
    """

    strategy: StrategyId
    known_at_ns: int
    bar: str
    close: str
    regime: RegimeView | None
    signals: tuple[SignalView, ...]
    proposals: tuple[ProposalView, ...]


@dataclass(frozen=True, slots=True)
class PatternLine:
    """All signals of one pattern in one bar.

    name: the pattern in words, with their number where there are several. strength: the greatest. rejection: why the
    router refused it, in words; empty where it approved one of them.
    """

    pattern: str
    name: str
    strength: str
    rejection: str

    @property
    def approved(self) -> bool:
        """Whether the router let one of them through."""
        return not self.rejection

    @property
    def verdict(self) -> str:
        """The router's word: `approved`, or `refused: too weak`."""
        return f"refused: {self.rejection}" if self.rejection else APPROVED


def signal_of(
    contract: str, pattern: str, direction: str, price: int, strength: str, evidence: Mapping[str, Any], rejection: str
) -> SignalView:
    """A signal at a price in ticks of its contract."""
    return SignalView(
        pattern=pattern,
        direction=direction,
        price=price_text(contract, price),
        price_ticks=price,
        strength=strength,
        evidence=dict(sorted(evidence.items())),
        approved=not rejection,
        rejection=rejection,
    )


def proposals_of(
    contract: str, bar: str, proposals: Sequence[Proposal], decisions: Iterable[DecisionView] = ()
) -> tuple[ProposalView, ...]:
    """The proposals of one bar of a contract, each with its decision. bar: its key as events spell it."""
    decided = {each.source: each for each in decisions}
    return tuple(
        proposal_view(contract, source, each, decided.get(source))
        for number, each in enumerate(proposals, 1)
        for source in [source_text(bar, number)]
    )


def proposal_view(contract: str, source: str, proposal: Proposal, decision: DecisionView | None) -> ProposalView:
    """A proposal of a bar of that contract with its decision, by its source."""
    return ProposalView(
        source=source,
        action=proposal.action.value,
        direction=None if proposal.direction is None else proposal.direction.value,
        entry=None if proposal.entry is None else _entry(contract, proposal.entry),
        exits=None if proposal.bracket is None else _exits(contract, proposal.bracket),
        quantity=proposal.quantity,
        why=tuple(proposal.why),
        withdrawn="" if proposal.withdrawn is None else proposal.withdrawn.value,
        group=proposal.group,
        unit=proposal.unit,
        decision=decision,
    )


def _entry(contract: str, entry: EntryTerms) -> EntryView:
    return EntryView(entry.type.value, _price(contract, entry.price), entry.price, entry.valid_for_ns)


def _exits(contract: str, bracket: Bracket) -> ExitsView:
    trail = bracket.trail
    return ExitsView(
        stop_ticks=bracket.stop_ticks,
        target_ticks=bracket.target_ticks,
        stop_price=_price(contract, bracket.stop_price),
        stop_price_ticks=bracket.stop_price,
        target_price=_price(contract, bracket.target_price),
        target_price_ticks=bracket.target_price,
        trail_trigger_ticks=None if trail is None else trail.trigger_ticks,
        trail_offset_ticks=None if trail is None else trail.offset_ticks,
    )


def _price(contract: str, ticks: int | None) -> str | None:
    return None if ticks is None else price_text(contract, ticks)


def decision_view(facts: Mapping[str, Any]) -> DecisionView:
    """A decision from its facts: those of its event, or of its row in the book."""
    entered = facts["accepted"] and Action(facts["action"]).enters
    price = facts["price"] if entered else None
    return DecisionView(
        decision_id=facts["decision_id"],
        source=facts["source"],
        action=facts["action"],
        accepted=bool(facts["accepted"]),
        reason=facts["reason"],
        side=facts["side"],
        quantity=facts["quantity"],
        type=facts["type"] if entered else None,
        price=_price(facts["contract"], price),
        price_ticks=price,
    )


def pattern_lines(signals: Iterable[SignalView]) -> list[PatternLine]:
    """Signals of one bar, one line per pattern, in their order.

    A bar can have an imbalance at many prices; the strongest stands for its pattern, an approved one before others.
    """
    found: dict[str, list[tuple[bool, Decimal, str]]] = {}
    for each in signals:
        found.setdefault(each.pattern, []).append((each.approved, Decimal(each.strength), each.rejection))
    lines = []
    for pattern, items in found.items():
        approved, strongest, rejection = max(items, key=lambda item: item[:2])
        name = readable(pattern) if len(items) == 1 else f"{readable(pattern)} x{len(items)}"
        words = "" if approved else _REJECTED.get(rejection, readable(rejection))
        lines.append(PatternLine(pattern, name, f"{strongest:.2f}", words))
    return lines


def proposal_text(proposal: ProposalView) -> str:
    """A proposal in a few words: `enter long, limit 6018.50 (unfinished high)`."""
    if proposal.withdrawn:
        return f"none ({readable(proposal.withdrawn)})"
    unit = f"unit {proposal.unit}" if proposal.unit else ""
    parts = [" ".join(filter(None, (readable(proposal.action), readable(proposal.direction or ""), unit)))]
    if proposal.entry is not None and proposal.entry.price is not None:
        parts.append(f"{readable(proposal.entry.type)} {proposal.entry.price}")
    if proposal.exits is not None:
        moved = (("stop", proposal.exits.stop_price), ("target", proposal.exits.target_price))
        parts += [f"{name} {price}" for name, price in moved if price is not None]
    why = f" ({', '.join(map(readable, proposal.why))})" if proposal.why else ""
    return ", ".join(parts) + why


def decision_text(decision: DecisionView | None) -> str:
    """A decision in a few words: `buy 1 stop 5997.50`, `exit 2`, `refused: conflict`; a dash before there is one."""
    if decision is None:
        return "–"
    if not decision.accepted:
        return f"refused: {readable(decision.reason)}"
    size = str(decision.quantity) if decision.quantity else ""
    words = (readable(decision.side or decision.action), size, readable(decision.type or ""), decision.price or "")
    return " ".join(filter(None, words))


def readable(name: str) -> str:
    """A name of the book or of a manifest as it reads in a table: `BUY_IMBALANCE` as `buy imbalance`."""
    return name.replace("_", " ").lower()
