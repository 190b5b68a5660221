"""Days that are cut one by one have the bars of the whole tape, wherever the tapes of others end."""

from collections.abc import Sequence
from datetime import date

import pytest

from leadline.backtest.days import backtest_days
from leadline.backtest.digest import RunningDigest
from leadline.backtest.market import DayWorker
from leadline.backtest.names import TAPE
from leadline.backtest.prints import Prints, PrintsInMemory, numbered_from
from leadline.backtest.run import run_backtest
from leadline.backtest.work import builder_of, series_of
from leadline.model.bars import Bar
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId
from leadline.model.manifest.specs import OWN_SERIES, TradingStrategy
from leadline.model.market.contracts import instrument_of
from leadline.model.ticks import TickBatch, TickColumns, concat
from tests.backtest.test_run import BEFORE_THE_ROLL, account, fills_of, simulated, strategy

JUNE, OTHER = ContractId("MESM2025"), ContractId("MNQM2025")
SEPTEMBER = ContractId("MESU2025")
LAST_OF_JUNE = date(2025, 6, 13)


def whole(prints: Prints, contract: ContractId, last: date | None = None, every: int = 1) -> TickColumns:
    """The prints of a contract up to a day, or every so many of them."""
    days = [each.day for each in prints.days(contract) if last is None or each.day <= last]
    parts, index = [], 0
    for day in days:
        ticks = prints.read(contract, day)
        thin = slice(None, None, every)
        some = TickColumns(ticks.time_ns[thin], ticks.price[thin], ticks.size[thin], ticks.aggressor[thin])
        parts.append(numbered_from(some, index))
        index += len(parts[-1])
    return concat(parts)


def bars_of(told: Sequence[object]) -> list[Bar]:
    return [bar for message in told if (bar := getattr(message, "bar", None)) is not None]


@pytest.mark.parametrize("bars", ["15m", "ticks:1", "ticks:7", "volume:1", "volume:40"])
def test_the_bars_of_days_are_those_of_the_whole_tape(bars: str):
    ticks = whole(simulated(BEFORE_THE_ROLL, 2, 3), JUNE, every=400)
    prints, own = PrintsInMemory({JUNE: ticks}), all_day(bars)
    series = series_of(own)[OWN_SERIES]
    builder = builder_of(JUNE, series)
    batch = TickBatch(TAPE, instrument_of(JUNE).venue, JUNE, ticks, int(ticks.time_ns[-1]), final=True)

    days = backtest_days(prints, [own], BEFORE_THE_ROLL, LAST_OF_JUNE)
    worker = DayWorker(prints, days, [own])
    found = [
        bar for day in days.days for part in day.tapes for bar in bars_of(worker.bars(part, worker.ticks(part))[series])
    ]

    assert len(worker.ticks(days.days[0].tapes[0])) == days.days[0].tapes[0].prints
    assert [bar.key.text() for bar in found] == [bar.key.text() for bar in bars_of(builder.feed(batch))] != []


def all_day(bars: str) -> TradingStrategy:
    """A strategy in whose session the first print of each trading day lies."""
    return strategy(bars=bars, history=3, session={"name": "globex"}, strategy=NO_REGIME)


NO_REGIME = {"entryPoint": "tests.backtest.test_days:silent"}


def silent(_parameters: object, _instrument: object) -> object:
    raise AssertionError("no strategy is made here")


def test_an_account_goes_on_although_the_tape_of_another_has_ended():
    both = simulated(BEFORE_THE_ROLL, 2, 3, ("MES", "MNQ"))
    other = account().model_copy(update={"metadata": account().metadata.model_copy(update={"name": "other"})})
    nasdaq = strategy("nasdaq", instrument="MNQ", account={"name": "other"}, flattenBeforeClose="5m")
    prints = PrintsInMemory({JUNE: whole(both, JUNE, BEFORE_THE_ROLL), OTHER: whole(both, OTHER)})

    found = run_backtest([account(), other], [strategy(), nasdaq], prints, BEFORE_THE_ROLL)
    alone = run_backtest([other], [nasdaq], PrintsInMemory({OTHER: whole(both, OTHER)}), BEFORE_THE_ROLL)

    assert fills_of(found, "default/other") == fills_of(alone, "default/other") != []


def test_nothing_is_hashed_that_an_account_has_not_reached(monkeypatch: pytest.MonkeyPatch):
    """June's tape ends within its last day, and its strategy waits for September, while another one trades on."""
    both = simulated(BEFORE_THE_ROLL, 3, 3, ("MES", "MNQ"))
    june = whole(both, JUNE, LAST_OF_JUNE)
    tapes = {JUNE: june.slice(0, len(june) - 9_000), SEPTEMBER: whole(both, SEPTEMBER), OTHER: whole(both, OTHER)}
    prints = PrintsInMemory({**tapes, ContractId("MNQU2025"): whole(both, ContractId("MNQU2025"))})
    nasdaq = strategy("nasdaq", instrument="MNQ", flattenBeforeClose="5m")

    by_days = run_backtest([account()], [strategy(), nasdaq], prints, BEFORE_THE_ROLL).digest
    monkeypatch.setattr(RunningDigest, "complete", lambda _self, _until_ns: None)

    assert run_backtest([account()], [strategy(), nasdaq], prints, BEFORE_THE_ROLL).digest == by_days


def test_a_month_of_which_no_day_is_traded_has_its_bars_all_the_same():
    prints, own = simulated(BEFORE_THE_ROLL, 3, 3), strategy()
    days = backtest_days(prints, [own], BEFORE_THE_ROLL, LAST_OF_JUNE)
    worker = DayWorker(prints, days, [own])
    later = [part for day in days.days for part in day.tapes if part.contract == SEPTEMBER]

    assert later
    assert all(bars_of(told) for part in later for told in worker.bars(part, worker.ticks(part)).values())


def test_a_session_in_two_trading_days_of_its_market_is_refused():
    over_midnight = strategy(
        instrument="BTCUSDT",
        session={"open": "20:00", "close": "06:00", "zone": "UTC"},
        bars="15m",
        flattenBeforeClose="0s",
        strategy=NO_REGIME,
    )
    assert isinstance(over_midnight, TradingStrategy)
    prints = simulated(BEFORE_THE_ROLL, 2, 3)

    with pytest.raises(InvalidInput, match="expected hours within one trading day of its market, or the same days"):
        backtest_days(prints, [over_midnight], BEFORE_THE_ROLL, None)
