"""The account's hot settings: read, laid over the manifest, and changed in mid-run.

What tightens holds at once; what loosens waits for the roll of the trading day.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import orjson

from leadline.execution.core.account import account_view
from leadline.execution.core.book import Book
from leadline.execution.core.contracts import tiers_of
from leadline.execution.core.limits import limits_in_force
from leadline.model.errors import InvalidInput
from leadline.model.ids import AccountId, derive
from leadline.model.manifest.specs import (
    Change,
    InvalidManifest,
    TradingAccount,
    TradingStrategy,
    change_class,
    check_strategy_on_account,
    parse_manifest,
    root_problems,
)
from leadline.model.market.contracts import sheet_of
from leadline.risk.limits import (
    DEFAULT_MAX_OPEN_TRADES,
    DEFAULT_MAX_POSITION,
    day_loss_limit,
    day_target,
    stricter_day_loss,
)
from leadline.risk.tiers import tier_index
from leadline.risk.view import AccountLimits, AccountView, Tier

HALT_FIELD_BY: Final = "operator"
"""The name at a halt of the field `spec.halt` of which nobody says who wrote it."""


def hot_fields(account: TradingAccount) -> dict[str, Any]:
    """The fields of an account that act while it runs, as plain JSON values with the defaults filled in."""
    whole = account.spec.to_manifest()
    return {name: value for name, value in whole.items() if change_class(name, account.kind) is Change.HOT}


def with_hot_fields(account: TradingAccount, hot: Mapping[str, Any]) -> TradingAccount:
    """The account with these hot fields in the place of its own."""
    document = account.to_manifest()
    document["spec"] = {**document["spec"], **hot}
    return TradingAccount.from_manifest(document)


def settings_hash(hot: Mapping[str, Any]) -> str:
    """The name of an account's hot fields."""
    return derive("account settings", orjson.dumps(hot, option=orjson.OPT_SORT_KEYS).decode())


def read_account(manifest_json: str, account: AccountId) -> TradingAccount:
    """The manifest of an account (`namespace/name`). Raises InvalidInput when it does not hold or is another's."""
    try:
        document = orjson.loads(manifest_json)
    except orjson.JSONDecodeError as error:
        raise InvalidInput("manifest_json", str(error), "a TradingAccount as JSON") from error
    found = parse_manifest(document)
    if isinstance(found, list):
        raise InvalidManifest(found)
    if not isinstance(found, TradingAccount) or found.full_name != account:
        raise InvalidInput("manifest_json", found.full_name, f"the manifest of the account {account}")
    return found


def set_account(book: Book, wanted: TradingAccount) -> dict[str, Any]:
    """Store the hot fields of an account's manifest, from the book's instant, and return them.

    Commission, declared risks and namespaces hold at once, and so does every limit that becomes stricter. A limit that
    becomes looser keeps its present value until the trading day rolls. Another table of tiers holds from a roll on at
    which the account is flat, or at once when it is flat and has no strategy; of the tier that it would be, the
    stricter day loss and sizes hold at once. A strategy whose namespace is allowed no more keeps its position and
    enters nothing. Raises InvalidInput when a strategy of the account would not fit otherwise, or two would share a
    contract.
    """
    hot = hot_fields(wanted)
    if hot == book.settings:
        return hot
    merged = with_hot_fields(book.manifest, hot)
    for _, strategy in book.present():
        _check_fit(strategy.manifest, merged)
        refuse_missing_risks(book, strategy.manifest, strategy.contract, merged)
    _refuse_unknown_risk(book, merged)
    before_limits, before_margins = _bounds(book), limits_in_force(book).margin_limits
    before_tiers = book.tiers_in_force
    book.manifest, book.settings = merged, hot
    book.tiers = _tiers_until_roll(book, before_tiers)
    refuse_shared_contracts(book, [strategy.manifest for _, strategy in book.present()])
    if book.tiers is not None and not any(True for _ in book.present()) and not book.open_positions():
        book.tiers = None
        book.tier_index = tier_index(book.tiers_in_force, book.equity_at_roll)
    book.margin_limits = {
        root: limit
        for root, limit in before_margins.items()
        if merged.spec.margin_limits.get(root) is None or merged.spec.margin_limits[root] > limit
    }
    if book.tiers is not None:
        coming = stricter_day_loss(_tier_to_come(book), merged.spec.limits.day_loss)
        before_limits["day_loss"] = min(before_limits["day_loss"], coming)
    book.day_limits = AccountLimits()
    own = _bounds(book)
    held = {name: bound for name, bound in before_limits.items() if bound is not None and _looser(own[name], bound)}
    book.day_limits = AccountLimits(**held)
    return hot


def loosening_waits(book: Book) -> bool:
    """Whether something stricter than the settings holds until the roll."""
    day = book.day_limits
    limits = (
        day.day_loss,
        day.day_target,
        day.max_position,
        day.max_open_trades,
        day.max_orders_per_second,
        day.max_entries_per_hour,
        day.max_order_value,
    )
    return book.tiers is not None or bool(book.margin_limits) or any(limit is not None for limit in limits)


def refuse_shared_contracts(book: Book, manifests: Iterable[TradingStrategy]) -> None:
    """Two strategies never trade one contract on one account: their fills could not be told apart at the venue.

    Raises InvalidInput that names the later of the two.
    """
    owners: dict[str, TradingStrategy] = {}
    for manifest in manifests:
        for contract in book.contracts(manifest):
            owner = owners.setdefault(contract, manifest)
            if owner is not manifest:
                raise InvalidInput(
                    f"TradingStrategy {manifest.full_name}: spec.instrument",
                    manifest.spec.instrument,
                    f"another contract, or another account: {owner.full_name} trades it on {book.account}",
                )


def refuse_missing_risks(book: Book, strategy: TradingStrategy, signal: str, account: TradingAccount) -> None:
    """A strategy that holds over the close, or without a stop, needs the account's word for each root that may fill it.

    Also of those of the tiers that go on until the roll. Raises InvalidManifest that names the strategy.
    """
    where = f"TradingStrategy {strategy.full_name}"
    problems = root_problems(strategy.spec, account, book.roots(signal))
    if found := [InvalidInput(f"{where}: {each.field}", each.value, each.expected) for each in problems]:
        raise InvalidManifest(found)


def _refuse_unknown_risk(book: Book, account: TradingAccount) -> None:
    """Refuses settings that take the declared risk from a position without a stop. Raises InvalidInput."""
    for position in book.open_positions():
        sheet = sheet_of(position.contract)
        if position.without_stop and sheet is not None and sheet.root not in account.spec.no_stop_risk_ticks:
            expected = f"a risk for {sheet.root}: {position.strategy} holds {position.contract} without a stop"
            raise InvalidInput("spec.noStopRiskTicks", sorted(account.spec.no_stop_risk_ticks), expected)


def bounds_in_force(book: Book, view: AccountView) -> dict[str, Any]:
    """Each limit of the account by its name in `AccountLimits`, defaults filled in; None where there is none."""
    present = limits_in_force(book)
    return {
        "day_loss": day_loss_limit(view),
        "day_target": day_target(view),
        "max_position": DEFAULT_MAX_POSITION if present.max_position is None else present.max_position,
        "max_open_trades": DEFAULT_MAX_OPEN_TRADES if present.max_open_trades is None else present.max_open_trades,
        "max_orders_per_second": present.max_orders_per_second,
        "max_entries_per_hour": present.max_entries_per_hour,
        "max_order_value": present.max_order_value,
    }


def _bounds(book: Book) -> dict[str, Any]:
    return bounds_in_force(book, account_view(book, halt=""))


def _looser(now: int | Decimal | None, before: int | Decimal) -> bool:
    return now is None or now > before


def _check_fit(strategy: TradingStrategy, account: TradingAccount) -> None:
    """A namespace that is not allowed any more enters nothing; anything else that does not fit is refused."""
    allowed = account.spec.model_copy(update={"allowed_namespaces": (strategy.metadata.namespace,)})
    check_strategy_on_account(strategy, account.model_copy(update={"spec": allowed}))


def _tier_to_come(book: Book) -> Tier | None:
    """The tier that the settings' table has for the equity of the last roll."""
    tiers = tiers_of(book.manifest)
    index = tier_index(tiers, book.equity_at_roll)
    return tiers[index] if index >= 0 else None


def _tiers_until_roll(book: Book, before: tuple[Tier, ...]) -> tuple[Tier, ...] | None:
    """The table in force until the roll: as it was, its present tier as small as the one to come; None: no change."""
    if tiers_of(book.manifest) == before:
        return None
    coming = _tier_to_come(book)
    if coming is None or not 0 <= book.tier_index < len(before) or before[book.tier_index].execute != coming.execute:
        return before
    present = before[book.tier_index]
    largest = min(present.max_size, coming.max_size)
    smallest = min(present.min_size, coming.min_size)
    return tuple(
        replace(tier, min_size=smallest, max_size=largest) if index == book.tier_index else tier
        for index, tier in enumerate(before)
    )
