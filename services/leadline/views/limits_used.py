"""The use of each limit at the moment of a decision, from the audit before it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from leadline.execution.core.positions import apply_fill
from leadline.model.durations import NS_PER_HOUR
from leadline.model.ids import NO_DECISION, ClientOrderId, ContractId, FillId, StrategyId
from leadline.model.orders import Fill, OrderState, Position, Side
from leadline.risk.limits import (
    DEFAULT_MAX_OPEN_TRADES,
    DEFAULT_MAX_POSITION,
    stricter_day_loss,
    target_of,
)
from leadline.risk.reasons import Reason
from leadline.risk.view import AccountLimits, StrategyLimits, Tier
from leadline.views.explained import LimitUse
from leadline.views.explaining import AuditEvent
from leadline.views.trades import unopened

_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a decision's account and strategy, as they are set now, and how trading days are told.

    account: None where its manifest is not at hand. tier: that of the account, None where tiers are off.
    """

    account: AccountLimits | None
    tier: Tier | None
    strategy: StrategyLimits
    day_of: Callable[[int], date]


@dataclass(slots=True)
class _Before:
    """An account's audit up to a moment, folded."""

    positions: dict[tuple[str, str], Position]
    entries: dict[str, Mapping[str, Any]]
    booked: list[tuple[str, int, Decimal]]
    entered: list[tuple[str, int]]


def limits_used(
    events: Iterable[AuditEvent], strategy: StrategyId, decided_ns: int, limits: Limits, reason: str
) -> tuple[LimitUse, ...]:
    """The limits and how far they were used when a decision of a strategy was taken.

    events: of the account before it. The day's result is what is realised: open positions are valued at prints that no
    audit has. reason: of the refusal, empty for none.
    """
    before = _folded(events)
    return tuple(
        LimitUse(name.value, of, used, limit, refused=name.value == reason)
        for name, of, used, limit in _each(before, strategy, decided_ns, limits)
    )


def _each(
    before: _Before, strategy: StrategyId, decided_ns: int, limits: Limits
) -> Iterator[tuple[Reason, str, str, str]]:
    today = limits.day_of(decided_ns)
    sizes = [(owner, abs(position.quantity)) for (owner, _), position in before.positions.items() if position.quantity]
    waiting = [(str(order["strategy"]), order["quantity"] - order["filled"]) for order in before.entries.values()]
    realised = [(owner, money) for owner, time_ns, money in before.booked if limits.day_of(time_ns) == today]
    entries = [(owner, time_ns) for owner, time_ns in before.entered if limits.day_of(time_ns) == today]
    trades = len({owner for owner, _ in (*sizes, *waiting)})
    held = sum(size for _, size in (*sizes, *waiting))
    day = sum((money for _, money in realised), Decimal(0))
    if (account := limits.account) is not None:
        most = account.max_open_trades
        yield Reason.MAX_OPEN_TRADES, "account", f"{trades}", f"{DEFAULT_MAX_OPEN_TRADES if most is None else most}"
        most = account.max_position
        yield Reason.MAX_POSITION, "account", f"{held}", f"{DEFAULT_MAX_POSITION if most is None else most}"
        loss = stricter_day_loss(limits.tier, account.day_loss)
        yield Reason.DAY_LOSS, "account", _plain(max(-day, _NOTHING)), _plain(loss)
        yield Reason.DAY_TARGET, "account", _plain(max(day, _NOTHING)), _plain(target_of(account))
        if account.max_entries_per_hour is not None:
            hour = sum(time_ns > decided_ns - NS_PER_HOUR for _, time_ns in before.entered)
            yield Reason.MAX_ENTRIES_PER_HOUR, "account", f"{hour}", f"{account.max_entries_per_hour}"
    own = limits.strategy
    if own.max_position is not None:
        mine = sum(size for owner, size in (*sizes, *waiting) if owner == strategy)
        yield Reason.MAX_POSITION, "strategy", f"{mine}", f"{own.max_position}"
    if own.max_trades_per_day is not None:
        mine = sum(owner == strategy for owner, _ in entries)
        yield Reason.MAX_TRADES_PER_DAY, "strategy", f"{mine}", f"{own.max_trades_per_day}"
    if own.day_loss is not None:
        result = sum((money for owner, money in realised if owner == strategy), Decimal(0))
        yield Reason.DAY_LOSS, "strategy", _plain(max(-result, _NOTHING)), _plain(own.day_loss)


def _plain(money: Decimal) -> str:
    return format(money, "f")


def _folded(events: Iterable[AuditEvent]) -> _Before:
    found = _Before({}, {}, [], [])
    for event in events:
        body = event.body
        if event.kind == "decision" and body["accepted"] and body["action"] in {"ENTER", "ADD"}:
            found.entered.append((body["strategy"], event.instant_ns))
        elif event.kind == "order" and body["leg"] == "E":
            found.entries[body["client_id"]] = body
            if OrderState(body["state"]).terminal:
                del found.entries[body["client_id"]]
        elif event.kind == "fill":
            _book(found, body)
    return found


def _book(found: _Before, body: Mapping[str, Any]) -> None:
    owner = StrategyId(body["strategy"])
    fill = Fill(
        FillId(body["fill_id"]),
        ClientOrderId(body["client_id"]),
        ContractId(body["contract"]),
        Side(body["side"]),
        body["quantity"],
        body["price"],
        body["time_ns"],
        0,
        0,
        Decimal(body["commission"]),
    )
    key = (owner, fill.contract)
    before = found.positions.get(key) or unopened(owner, fill, fill.contract, NO_DECISION)
    after = apply_fill(before, fill, body["unit"])
    found.positions[key] = after
    found.booked.append((owner, fill.time_ns, after.realised - before.realised - fill.commission))
