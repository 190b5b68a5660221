"""Short ways to say a day: prints, bars with signals, manifests.

Seconds count from 09:30 in New York on Tuesday 2025-06-10, prices are ticks: 20000 is 5000.00 in MES and ES.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from leadline.analysis.strategies import one_entry
from leadline.model.bars import BarKey
from leadline.model.ids import AccountId, ContractId, RunId, StrategyId
from leadline.model.manifest.manifests import parse_manifest
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.model.signals import BarSignals, Direction, Pattern, Regime, RegimeReading, Signal, SignalMessage
from leadline.model.ticks import NS_PER_SECOND, TickColumns

DAY = date(2025, 6, 10)
OPEN_NS = 1_749_562_200_000_000_000
"""09:30 in New York on that day."""
HOUR = 3600
DAY_S = 24 * HOUR
RTH_S = 23_400
"""16:00, the close of the regular session."""
ROLL_S = 30_600
"""18:00, from which it is the next trading day."""

MES, ES, NQ, MNQ = map(ContractId, ("MESM2025", "ESM2025", "NQM2025", "MNQM2025"))
SELL, UNKNOWN, BUY = -1, 0, 1
ANALYSIS = "hash"
"""The analysis of a strategy, where nothing else is said."""

LONG = Pattern.BUYING_ABSORPTION
SHORT = Pattern.SELLING_ABSORPTION
_SHORTS = {Pattern.SELLING_ABSORPTION, Pattern.BUYING_EXHAUSTION, Pattern.STACKED_SELL_IMBALANCE}


def ns(seconds: float) -> int:
    """An instant, in seconds since 09:30 of the first day."""
    return OPEN_NS + round(seconds * NS_PER_SECOND)


def tape(*rows: tuple[float, ...]) -> TickColumns:
    """Prints from rows (second, price[, size[, aggressor]]); one contract by nobody when not said."""
    full = [(*row, 1, UNKNOWN)[:4] if len(row) == 2 else (*row, UNKNOWN)[:4] for row in rows]
    return TickColumns.of([(ns(row[0]), int(row[1]), int(row[2]), int(row[3])) for row in full])


def signal(pattern: Pattern = LONG, strength: str = "0.7", *, approved: bool = True) -> Signal:
    """A signal of a pattern; the router has approved it when not said."""
    direction = Direction.SHORT if pattern in _SHORTS else Direction.LONG
    return Signal(pattern, direction, 20_000, Decimal(strength), approved=approved)


def bar(
    seconds: float,
    *patterns: Pattern | Signal,
    contract: ContractId = MES,
    regime: Regime = Regime.RANGING,
    multiplier: str = "1",
    close: int = 20_000,
) -> BarSignals:
    """A bar known at a second, with its signals (one long when not said) and the entry that they call for."""
    days = int(seconds // DAY_S)
    opens = ns(days * DAY_S)
    found = tuple(item if isinstance(item, Signal) else signal(item) for item in patterns or (LONG,))
    key = BarKey(contract, "rth", "5m-r1", DAY + timedelta(days=days), int(seconds % DAY_S))
    reading = RegimeReading(regime, Decimal("0.8"), Decimal(multiplier))
    session = (opens, opens + RTH_S * NS_PER_SECOND)
    return BarSignals(key, ns(seconds), close, *session, reading, found, one_entry(found))


def says(
    bars: Iterable[BarSignals],
    end: float,
    *,
    strategy: StrategyId = StrategyId("default/mes"),
    account: AccountId = AccountId("default/paper"),
    analysis_hash: str = ANALYSIS,
) -> list[SignalMessage]:
    """What an analysis publishes: each bar with the promise up to it, and the end of the tape."""

    def message(progress_ns: int, said: BarSignals | None, final: bool = False) -> SignalMessage:
        return SignalMessage(RunId("tape"), account, strategy, analysis_hash, progress_ns, final, said)

    return [*(message(each.known_at_ns, each) for each in bars), message(ns(end), None, final=True)]


def strategy(
    name: str = "mes",
    instrument: str = "MES",
    size: int | None = 1,
    bracket: tuple[int, int] | dict[str, Any] = (16, 24),
    *,
    budget: bool = True,
    **spec: Any,
) -> TradingStrategy:
    """A strategy of a fixed size, or of a tiered one with `size` None; other fields of the spec as in a manifest.

    `budget`: whether the rest of the day's loss bounds the size.
    """
    sizing = {"mode": "Tiered"} if size is None else {"mode": "Fixed", "size": size, "maxSize": max(size, 2)}
    found = parse_manifest(
        {
            "apiVersion": "leadline.dev/v1alpha1",
            "kind": "TradingStrategy",
            "metadata": {"name": name},
            "spec": {
                "instrument": instrument,
                "sizing": {**sizing, "respectDayBudget": budget},
                "bracket": bracket
                if isinstance(bracket, dict)
                else {"stopTicks": bracket[0], "targetTicks": bracket[1]},
                **spec,
            },
        }
    )
    assert isinstance(found, TradingStrategy), found
    return found


def account(balance: str = "10000", tiers: Sequence[dict[str, Any]] = (), **spec: Any) -> TradingAccount:
    """The paper account; without tiers when not said. Other fields of the spec as in a manifest."""
    found = parse_manifest(
        {
            "apiVersion": "leadline.dev/v1alpha1",
            "kind": "TradingAccount",
            "metadata": {"name": "paper"},
            "spec": {"startingBalance": balance, "tiers": list(tiers), **spec},
        }
    )
    assert isinstance(found, TradingAccount), found
    return found
