"""How much of what a backtest counts as days its prints reach over: a part of a session is no quiet one."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from leadline.backtest.days import BacktestDays
from leadline.backtest.figures import share
from leadline.catalog.coverage import reaches_over
from leadline.model.ids import ContractId
from leadline.model.manifest.specs import TradingStrategy, calendar_of_spec, session_of


@dataclass(frozen=True, slots=True)
class ShortDay:
    """A session of a day that the prints of a contract reach over in part only. Times in ns UTC.

    `session` is what a strategy calls it. `first_ns` and `last_ns` are those of the day's first and last print, and
    `share` is the part of the session's time between them. Without `traded` it is history. `outside`: all prints of the
    day are before or after the session.
    """

    contract: ContractId
    day: date
    session: str
    first_ns: int
    last_ns: int
    share: Decimal
    traded: bool
    outside: bool = False


@dataclass(frozen=True, slots=True)
class KeptOut:
    """Faulty prints of a contract that are in no bar: `reason` is that of ingestion (`Prints kept out`)."""

    contract: ContractId
    reason: str
    prints: int


@dataclass(frozen=True, slots=True)
class UnfinishedLine:
    """A bar inside of which a tape ends, by its key as ids spell it, and its prints: they are in no bar."""

    bar: str
    prints: int


def short_days(days: BacktestDays, strategies: Iterable[TradingStrategy]) -> tuple[ShortDay, ...]:
    """The sessions of strategies that the prints do not reach over, by day, those of the history too.

    Within half an hour of the open the first print may come, and of the close the last: then none is lacking.
    """
    tapes = {(part.contract, day.day): part for day in days.days for part in day.tapes}
    specs = {each.full_name: each.spec for each in strategies}
    found: dict[tuple[date, ContractId, str], ShortDay] = {}
    spoken = [each for day in days.traded for each in day.spoken]
    read = {(each.strategy, each.contract, day) for each in spoken for day in (*each.history, each.day)}
    for strategy, contract, day in read:
        spec, part = specs[strategy], tapes[contract, day]
        name, hours = session_of(spec)
        session = calendar_of_spec(spec).session(day, hours)
        if session is None:
            continue
        opens, closes, first, last = session.open_ns, session.close_ns, part.begins_ns, part.ends_ns
        if reaches_over(first, last, (opens, closes)):
            continue
        covered = share(max(0, min(last, closes) - max(first, opens)), closes - opens)
        outside = last < opens or first >= closes
        traded = day >= days.plan.trade_from
        found[day, contract, name] = ShortDay(contract, day, name, first, last, covered, traded, outside)
    return tuple(found[key] for key in sorted(found))


def kept_out(days: BacktestDays) -> tuple[KeptOut, ...]:
    """The faulty prints of all days, by contract and reason."""
    counts: Counter[tuple[ContractId, str]] = Counter()
    for day in days.days:
        for part in day.tapes:
            counts.update({(part.contract, reason): prints for reason, prints in part.kept_out})
    return tuple(KeptOut(contract, reason, prints) for (contract, reason), prints in sorted(counts.items()))
