"""Commands of people and of the supervisor to an account.

Every command can only reduce what it may lose, but for what a person alone can: to let a strategy count again.
"""

from dataclasses import replace
from typing import Any, Final

import orjson
from pydantic import ValidationError

from leadline.execution.core.account import account_view
from leadline.execution.core.account_settings import bounds_in_force, refuse_missing_risks, refuse_shared_contracts
from leadline.execution.core.book import Book, Changes, Drain, Fence, HeldLimits, StrategyBook, is_entry, unfence
from leadline.execution.core.exit_reasons import ExitReason
from leadline.execution.core.limits import own_limits, risk_limits, stricter_limits
from leadline.execution.core.orders import CANCELLABLE
from leadline.model.drains import DrainOrders, DrainPositions
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import ClientOrderId, StrategyId, derive
from leadline.model.manifest.specs import TradingStrategy, calendar_of_spec, check_strategy_on_account, day_problem
from leadline.model.market.calendars import calendar
from leadline.model.orders import Order
from leadline.risk.view import AccountLimits

WORKING_ORDERS: Final = tuple(DrainOrders)
POSITIONS: Final = tuple(DrainPositions)
LONGEST_DRAIN_ID: Final = 128
LONGEST_HASH: Final = 128


def set_strategy(book: Book, name: StrategyId, analysis_hash: str, manifest_json: str) -> StrategyBook:
    """Store a strategy's settings and the one analysis that counts, from the book's instant.

    A new name, one whose drain this ends and one that nobody waited for join at that instant: bars known by then only
    warm them up. So does another analysis, and one that was fenced off: this ends its fence. Limits of its own that
    become stricter hold at once; those that become looser while it is exposed keep their present value until it is
    flat or its session opens again. What is being closed is closed all the same.

    Raises InvalidInput for a manifest that does not hold, names another strategy or account, has a trading day that
    begins at another time than the account's, or claims a contract that another strategy of the account trades;
    Unknown for a contract that the feed does not have.
    """
    manifest = _read_strategy(manifest_json)
    if manifest.full_name != name:
        raise InvalidInput("strategy", name, f"the manifest's own name {manifest.full_name}")
    if manifest.account_name != book.account:
        raise InvalidInput("spec.account", manifest.account_name, book.account)
    if not 0 < len(analysis_hash) <= LONGEST_HASH or not analysis_hash.isprintable():
        raise InvalidInput("analysis_hash", analysis_hash[:LONGEST_HASH], "the hash of its code and settings")
    check_strategy_on_account(manifest, book.manifest)
    signal = book.front(manifest)
    if signal is None:
        wanted = f"{manifest.spec.instrument} on {book.deciding_day}"
        raise Unknown("contract of the feed", wanted, book.feed_contracts)
    if book.calendar and (problem := day_problem(manifest, calendar(book.calendar), f"the account {book.account}")):
        raise problem
    others = [strategy.manifest for other, strategy in book.present() if other != name]
    refuse_shared_contracts(book, [*others, manifest])
    refuse_missing_risks(book, manifest, signal, book.manifest)
    before = book.strategies.get(name)
    if before is not None and before.manifest.spec.instrument == manifest.spec.instrument:
        signal = before.contract
    if before is not None and book.exposed(name) and signal != before.contract:
        raise InvalidInput("spec.instrument", manifest.spec.instrument, "no other contract while it holds one")
    settings_hash = derive("settings", orjson.dumps(orjson.loads(manifest_json), option=orjson.OPT_SORT_KEYS).decode())
    if before is None:
        after = StrategyBook(name, manifest, settings_hash, analysis_hash, book.instant_ns, signal)
    else:
        held = _held(book, before, manifest)
        after = replace(before, manifest=manifest, settings_hash=settings_hash, contract=signal, drain=None, held=held)
        if before.fence is not None:
            after = replace(after, fence=None, cleared_ns=before.fence.progress_ns)
        if before.analysis_hash != analysis_hash or (after.waited_for and not before.waited_for):
            # What it has said up to its fence is not heard again.
            after = replace(after, analysis_hash=analysis_hash, joined_ns=max(book.instant_ns, after.cleared_ns))
    book.strategies[name] = after
    book.calendar = book.calendar or calendar_of_spec(manifest.spec).name
    return after


def _held(book: Book, before: StrategyBook, manifest: TradingStrategy) -> HeldLimits | None:
    """The limits in force that an exposed strategy keeps, where the manifest's are looser."""
    wanted, present = risk_limits(manifest), own_limits(before)
    if not book.exposed(before.strategy) or stricter_limits(wanted, present) == wanted:
        return None
    return HeldLimits(book.instant_ns, present)


def release(book: Book, changes: Changes, name: StrategyId, by: str, reason: str) -> Fence:
    """Let a strategy count again that was fenced off; returns its fence.

    Raises Unknown for a strategy that the account never heard of, and InvalidInput for one that is not fenced off.
    """
    strategy = book.strategies.get(name)
    if strategy is None:
        raise Unknown("strategy", name, tuple(sorted(book.strategies)))
    if (fence := strategy.fence) is None:
        raise InvalidInput("strategy", name, "one that is fenced off")
    unfence(book, changes, strategy, by, reason)
    return fence


def _read_strategy(manifest_json: str) -> TradingStrategy:
    try:
        manifest = TradingStrategy.from_manifest(orjson.loads(manifest_json))
    except (ValidationError, orjson.JSONDecodeError) as error:
        raise InvalidInput("manifest_json", str(error), "a TradingStrategy") from error
    # Labels and annotations are anybody's words. Looked for is the escape, and not these six characters.
    if b"\\u0000" in orjson.dumps(manifest.to_manifest()).replace(rb"\\", b""):
        raise InvalidInput("manifest_json", "a zero character", "texts that a table can hold")
    return manifest


def drain(book: Book, name: StrategyId, wanted: Drain) -> Drain:
    """Take a strategy out of the market and return the drain in force: said again, it changes nothing.

    Raises Unknown for a strategy that the account never heard of, and InvalidInput for words that a drain does not
    know and for an id that stands for another drain.
    """
    if not 0 < len(wanted.drain_id) <= LONGEST_DRAIN_ID or not wanted.drain_id.isprintable():
        raise InvalidInput("drain_id", wanted.drain_id, f"1 to {LONGEST_DRAIN_ID} printable characters")
    if wanted.working_orders not in WORKING_ORDERS:
        raise InvalidInput("working_orders", wanted.working_orders, " or ".join(WORKING_ORDERS))
    if wanted.positions not in POSITIONS:
        raise InvalidInput("positions", wanted.positions, " or ".join(POSITIONS))
    strategy = book.strategies.get(name)
    if strategy is None:
        raise Unknown("strategy", name, tuple(sorted(book.strategies)))
    present = strategy.drain
    if present is not None and present.drain_id == wanted.drain_id:
        if (present.working_orders, present.positions) != (wanted.working_orders, wanted.positions):
            expected = f"another id: this one drains with {present.working_orders} and {present.positions}"
            raise InvalidInput("drain_id", wanted.drain_id, expected)
        return present
    strategy.drain = wanted
    if wanted.positions == DrainPositions.FLATTEN:
        strategy.flatten = strategy.flatten or ExitReason.DRAIN
    return wanted


def tighten(book: Book, wanted: AccountLimits) -> None:
    """Set limits for the rest of the trading day. Raises InvalidInput, naming the limit, for one that loosens."""
    changes: dict[str, Any] = {}
    for name, bound in bounds_in_force(book, account_view(book, halt="")).items():
        value = getattr(wanted, name)
        if value is None:
            continue
        if value <= 0 or (bound is not None and value > bound):
            raise InvalidInput(name, value, "more than 0" if bound is None else f"more than 0 and at most {bound}")
        changes[name] = value
    book.day_limits = replace(book.day_limits, **changes)


def cancellable_entry(book: Book, client_id: ClientOrderId) -> Order:
    """The working entry with this id. Raises Unknown, or InvalidInput when it is no working entry."""
    order = book.orders.get(client_id)
    if order is None:
        raise Unknown("order", client_id, tuple(o.client_id for o in book.live_orders() if is_entry(o)))
    if not is_entry(order):
        raise InvalidInput("client_id", client_id, "an entry: protective orders are not cancelled one by one")
    if order.state not in CANCELLABLE:
        raise InvalidInput("client_id", client_id, f"a working entry, this one is {order.state}")
    return order
