"""What people and the supervisor may ask of an account. Every command can only reduce what it may lose."""

from dataclasses import replace
from typing import Any

import orjson
from pydantic import ValidationError

from leadline.execution.account import account_view, limits_in_force
from leadline.execution.book import Book, StrategyBook, is_entry
from leadline.execution.contracts import execution_contracts, signal_contract
from leadline.execution.orders import CANCELLABLE
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import derive
from leadline.model.orders import Order
from leadline.model.specs import TradingStrategy, check_strategy_on_account
from leadline.risk.limits import DEFAULT_MAX_OPEN_TRADES, DEFAULT_MAX_POSITION, day_loss_limit, day_target
from leadline.risk.view import AccountLimits


def set_strategy(book: Book, name: str, analysis_hash: str, manifest_json: str) -> StrategyBook:
    """Store a strategy's settings and the one analysis that counts, from the book's instant.

    Raises InvalidInput for a manifest that does not hold, names another strategy or account, or claims a contract that
    another strategy of the account trades; Unknown for a contract that the feed does not have.
    """
    try:
        manifest = TradingStrategy.from_manifest(orjson.loads(manifest_json))
    except (ValidationError, orjson.JSONDecodeError) as error:
        raise InvalidInput("manifest_json", str(error), "a TradingStrategy") from error
    if manifest.full_name != name:
        raise InvalidInput("strategy", name, f"the manifest's own name {manifest.full_name}")
    if manifest.account_name != book.account:
        raise InvalidInput("spec.account", manifest.account_name, book.account)
    if not analysis_hash:
        raise InvalidInput("analysis_hash", analysis_hash, "the hash of its code and settings")
    check_strategy_on_account(manifest, book.manifest)
    signal = signal_contract(manifest, book.trade_from)
    if signal not in book.feed_contracts:
        raise Unknown("contract of the feed", signal, book.feed_contracts)
    _refuse_shared_contract(book, name, manifest)
    before = book.strategies.get(name)
    if before is not None and book.exposed(name) and signal != signal_contract(before.manifest, book.trade_from):
        raise InvalidInput("spec.instrument", manifest.spec.instrument, "no other contract while it holds one")
    settings_hash = derive("settings", orjson.dumps(orjson.loads(manifest_json), option=orjson.OPT_SORT_KEYS).decode())
    if before is None:
        before = StrategyBook(name, manifest, settings_hash, analysis_hash, book.instant_ns)
    elif before.analysis_hash != analysis_hash:
        before = replace(before, analysis_hash=analysis_hash, joined_ns=book.instant_ns)
    after = replace(before, manifest=manifest, settings_hash=settings_hash)
    book.strategies[name] = after
    return after


def _refuse_shared_contract(book: Book, name: str, manifest: TradingStrategy) -> None:
    """Two strategies never trade one contract on one account: their fills could not be told apart at the venue."""
    mine = set(execution_contracts(book.manifest, manifest, book.trade_from))
    for other, strategy in sorted(book.strategies.items()):
        shared = mine.intersection(execution_contracts(book.manifest, strategy.manifest, book.trade_from))
        if other != name and shared:
            raise InvalidInput(
                "spec.instrument", manifest.spec.instrument, f"a contract that {other} does not trade on {book.account}"
            )


def tighten(book: Book, wanted: AccountLimits) -> None:
    """Set limits for the rest of the trading day. Raises InvalidInput, naming the limit, for one that loosens."""
    view = account_view(book, halt="")
    present = limits_in_force(book)
    bounds: dict[str, Any] = {
        "day_loss": day_loss_limit(view),
        "day_target": day_target(view),
        "max_position": DEFAULT_MAX_POSITION if present.max_position is None else present.max_position,
        "max_open_trades": DEFAULT_MAX_OPEN_TRADES if present.max_open_trades is None else present.max_open_trades,
        "max_orders_per_second": present.max_orders_per_second,
        "max_entries_per_hour": present.max_entries_per_hour,
    }
    changes: dict[str, Any] = {}
    for name, bound in bounds.items():
        value = getattr(wanted, name)
        if value is None:
            continue
        if value <= 0 or (bound is not None and value > bound):
            raise InvalidInput(name, value, "more than 0" if bound is None else f"more than 0 and at most {bound}")
        changes[name] = value
    book.day_limits = replace(book.day_limits, **changes)


def cancellable_entry(book: Book, client_id: str) -> Order:
    """The working entry with this id. Raises Unknown, or InvalidInput when it is no working entry."""
    order = book.orders.get(client_id)
    if order is None:
        raise Unknown("order", client_id, tuple(o.client_id for o in book.live_orders() if is_entry(o)))
    if not is_entry(order):
        raise InvalidInput("client_id", client_id, "an entry: protective orders are not cancelled one by one")
    if order.state not in CANCELLABLE:
        raise InvalidInput("client_id", client_id, f"a working entry, this one is {order.state}")
    return order
