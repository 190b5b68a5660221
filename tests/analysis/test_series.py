"""A strategy that reads several series: what it gets, in which order, and that it says the same wherever it starts."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.analysis.assemble import strategy_fold, strategy_maker
from leadline.analysis.fold import StrategyFold
from leadline.analysis.merge import merged
from leadline.analysis.strategies import StrategyFailed, propose
from leadline.backtest.work import builder_of, series_of
from leadline.model.bars import Bar, BarMessage
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId
from leadline.model.manifest.specs import TradingStrategy, load_manifests
from leadline.model.market.instruments import Instrument
from leadline.model.signals import BarSignals, Regime, RegimeReading, SignalMessage
from leadline.model.ticks import TickBatch, TickColumns
from leadline.model.wire.signals import encode_signal
from leadline.testing.replay import TAPE, signal_messages
from tests.analysis.builders import order_flow

CONTRACT = ContractId("MESM2025")
DAYS = [date(2025, 6, 4), date(2025, 6, 5), date(2025, 6, 6)]
TRADED = DAYS[2]
OPENS_NS = [1_749_043_800_000_000_000 + number * 86_400_000_000_000 for number in range(3)]  # 09:30 in New York
HOUR_NS = 3_600_000_000_000
RANK = {"hour": 0, "trend": 1, "main": 2}
SERIES = "[{name: trend, bars: 60m, history: 2}, {name: hour, bars: 30m, history: 1}]"


class Diary:
    """Says at each bar how many bars of each series it has got, and the last of each; keeps everything in order."""

    made: ClassVar[list["Diary"]] = []

    def __init__(self, parameters: Mapping[str, object], instrument: Instrument) -> None:
        del parameters, instrument
        self.got: list[tuple[str, str, Bar]] = []
        Diary.made.append(self)

    def warm(self, bar: Bar) -> None:
        self.got.append(("warm", "main", bar))

    def warm_series(self, series: str, bar: Bar) -> None:
        self.got.append(("warm", series, bar))

    def on_series(self, series: str, bar: Bar) -> None:
        self.got.append(("session", series, bar))

    def on_bar(self, bar: Bar) -> BarSignals:
        self.got.append(("session", "main", bar))
        closes = {name: [one.close for _, series, one in self.got if series == name][-3:] for name in RANK}
        inputs = {name: str(found) for name, found in closes.items()}
        reading = RegimeReading(Regime.RANGING, Decimal(1), Decimal(1), inputs=inputs)
        times = (bar.session_open_ns, bar.session_close_ns)
        return BarSignals(bar.key, bar.known_at_ns, bar.close, *times, reading, ())


def strategy(entry_point: str = "Diary", bars: str = "10m", series: str = SERIES) -> TradingStrategy:
    (found,) = load_manifests(
        "apiVersion: leadline.dev/v1alpha1\nkind: TradingStrategy\nmetadata: {name: s}\n"
        f"spec:\n  instrument: MES\n  bars: {bars}\n  history: 1\n  series: {series}\n"
        f"  strategy: {{entryPoint: 'tests.analysis.test_series:{entry_point}'}}\n"
    )
    assert isinstance(found, TradingStrategy)
    return found


@cache
def prints() -> TickColumns:
    """Four hours of three sessions, a print every 25 to 110 s: bars are known at prints, and by the grace."""
    dice, rows, price = np.random.default_rng(5), [], 20_000
    for opens_ns in OPENS_NS:
        time_ns = opens_ns
        while time_ns < opens_ns + 4 * HOUR_NS:
            time_ns += int(dice.integers(25, 110)) * 1_000_000_000
            price += int(dice.integers(-3, 4))
            rows.append((time_ns, price, int(dice.integers(1, 9)), int(dice.integers(-1, 2))))
    return TickColumns.of(rows)


def messages(ticks: TickColumns, one: TradingStrategy, batch: int = 7) -> dict[str, list[BarMessage]]:
    """What the builders of all series of a strategy tell, from batches of some prints."""
    batches = [
        TickBatch(TAPE, "cme", CONTRACT, part, int(part.time_ns[-1]))
        for part in (ticks.slice(start, start + batch) for start in range(0, len(ticks), batch))
    ]
    end_ns = int(ticks.time_ns[-1]) + 1
    batches.append(TickBatch(TAPE, "cme", CONTRACT, ticks.slice(len(ticks), len(ticks)), end_ns, final=True))
    return {
        series.name: [told for each in batches for told in built.feed(each)]
        for series in one.spec.all_series
        for built in [builder_of(CONTRACT, series_of(one)[series.name])]
    }


@cache
def told() -> dict[str, list[BarMessage]]:
    return messages(prints(), strategy())


def signals(bars: Mapping[str, Sequence[BarMessage]], last: SignalMessage | None = None) -> list[SignalMessage]:
    return signal_messages(strategy(), TRADED, {CONTRACT: bars}, last)


def opinions(answers: Sequence[SignalMessage]) -> list[BarSignals]:
    return [message.bar for message in answers if message.bar is not None]


def test_a_session_begins_with_the_history_of_every_series_in_the_order_in_which_it_was_known() -> None:
    Diary.made.clear()
    signals(told())
    got = Diary.made[-1].got
    warm = [(bar.known_at_ns, series, bar.key.trading_day) for kind, series, bar in got if kind == "warm"]
    assert {(series, day) for _, series, day in warm} == {
        ("trend", DAYS[0]), ("trend", DAYS[1]), ("hour", DAYS[1]), ("main", DAYS[1])
    }  # fmt: skip
    for kind in ("warm", "session"):
        order = [(bar.known_at_ns, RANK[series]) for which, series, bar in got if which == kind]
        assert order == sorted(order)
    assert {bar.key.trading_day for kind, _, bar in got if kind == "session"} == {TRADED}


def test_at_its_own_bar_it_has_got_what_was_known_by_then_and_nothing_else() -> None:
    Diary.made.clear()
    answers = opinions(signals(told()))
    known = {
        name: [m.bar for m in found if m.bar is not None and m.bar.key.trading_day >= DAYS[name != "trend"]]
        for name, found in told().items()
    }
    assert len(answers) == 24
    for one in answers:
        by_then = {
            name: [bar.close for bar in bars if bar.known_at_ns <= one.known_at_ns] for name, bars in known.items()
        }
        assert one.regime is not None
        assert one.regime.inputs == {name: str(closes[-3:]) for name, closes in by_then.items()}


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 4 * 3600))
def test_prints_that_come_later_change_nothing_of_what_was_said(second: int) -> None:
    now_ns = OPENS_NS[2] + second * 1_000_000_000
    ticks = prints()
    until = int(np.searchsorted(ticks.time_ns, now_ns, "right"))
    price = ticks.price.copy()
    price[until:] += 500
    other = TickColumns(ticks.time_ns, price, ticks.size, ticks.aggressor)
    before, after = ([encode_signal(m) for m in signals(found) if m.bar is not None and m.bar.known_at_ns <= now_ns]
                     for found in (told(), messages(other, strategy())))  # fmt: skip
    assert before == after


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40))
def test_batches_of_any_size_make_the_same_opinions(batch: int) -> None:
    assert opinions(signals(messages(prints(), strategy(), batch))) == opinions(signals(told()))


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_a_restart_at_any_point_goes_on_with_the_same_bytes(data: st.DataObject) -> None:
    whole = signals(told())
    at = data.draw(st.integers(0, len(whole) - 1))
    rest = signals(told(), whole[at])
    assert [encode_signal(one) for one in whole[: at + 1] + rest] == [encode_signal(one) for one in whole]


def test_its_own_bars_of_prints_go_with_further_ones_of_time() -> None:
    one = strategy(bars="ticks:25")
    found = messages(prints(), one)
    order = [bar.known_at_ns for _, message in merged(found) if (bar := message.bar) is not None]
    assert order == sorted(order)
    answers = opinions(signal_messages(one, TRADED, {CONTRACT: found}))
    assert len(answers) == sum(m.bar is not None and m.bar.key.trading_day == TRADED for m in found["main"])


# --- the same by the manifest alone ---------------------------------------------------------------------------------

FILTERS = "[{series: hour, trend: {fast: 2, slow: 5}}, {series: trend, trend: {fast: 1, slow: 3}}]"


@cache
def filtered() -> TradingStrategy:
    """`OrderFlow` on bars of 5 minutes with the trends of two further series."""
    (found,) = load_manifests(
        "apiVersion: leadline.dev/v1alpha1\nkind: TradingStrategy\nmetadata: {name: s}\n"
        f"spec:\n  instrument: MES\n  history: 1\n  series: {SERIES}\n"
        f"  strategy: {{name: OrderFlow, filters: {FILTERS}}}\n"
    )
    assert isinstance(found, TradingStrategy)
    return found


@cache
def filtered_bars() -> dict[str, list[BarMessage]]:
    return messages(prints(), filtered())


@cache
def filtered_signals() -> list[SignalMessage]:
    return signal_messages(filtered(), TRADED, {CONTRACT: filtered_bars()})


def test_a_filter_says_what_the_bars_of_its_series_show_that_were_known_by_then() -> None:
    """The averages of another program, over exactly the bars that were known, those of the history first."""
    shown = set()
    for one in opinions(filtered_signals()):
        assert one.regime is not None
        for name, (fast, slow), first in (("hour", (2, 5), DAYS[1]), ("trend", (1, 3), DAYS[0])):
            closes = [
                message.bar.close
                for message in filtered_bars()[name]
                if message.bar is not None
                and message.bar.key.trading_day >= first
                and message.bar.known_at_ns <= one.known_at_ns
            ]
            averages = [sum(closes[:length]) / length for length in (fast, slow)]
            for number, length in enumerate((fast, slow)):
                for close in closes[length:]:
                    averages[number] += 2 / (length + 1) * (close - averages[number])
            side = "long" if averages[0] > averages[1] else "short"
            assert one.regime.inputs[f"{name}.trend"] == side
            assert one.regime.inputs[f"{name}.trend.slow"] == f"{averages[1]:.6f}"
            shown.add((name, side))
            for signal in one.signals:
                if signal.approved:
                    assert signal.direction.value.lower() == side
    assert shown == {("hour", "long"), ("hour", "short"), ("trend", "long")}
    assert len(opinions(filtered_signals())) == 48


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 40))
def test_with_filters_batches_of_any_size_make_the_same_opinions(batch: int) -> None:
    answers = signal_messages(filtered(), TRADED, {CONTRACT: messages(prints(), filtered(), batch)})
    assert opinions(answers) == opinions(filtered_signals())


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_with_filters_a_restart_at_any_point_goes_on_with_the_same_bytes(data: st.DataObject) -> None:
    whole = filtered_signals()
    at = data.draw(st.integers(0, len(whole) - 1))
    rest = signal_messages(filtered(), TRADED, {CONTRACT: filtered_bars()}, whole[at])
    assert [encode_signal(one) for one in whole[: at + 1] + rest] == [encode_signal(one) for one in whole]


# --- what is refused -----------------------------------------------------------------------------------------------


class Deaf:
    """A strategy of one series."""

    def __init__(self, parameters: Mapping[str, object], instrument: Instrument) -> None:
        """Nothing to make."""

    def warm(self, bar: Bar) -> None:
        """Nothing to remember."""

    def on_bar(self, bar: Bar) -> BarSignals:
        return propose(bar)


def test_a_class_that_does_not_read_them_is_refused_where_a_manifest_has_series() -> None:
    assert isinstance(strategy_maker(strategy("Deaf", series="[]").spec)(), Deaf)
    expected = "an object with the methods warm, on_bar, warm_series and on_series, and it made"
    with pytest.raises(InvalidInput, match=expected):
        strategy_maker(strategy("Deaf").spec)()


class Fails(Diary):
    """Raises at a bar of another series."""

    def on_series(self, series: str, bar: Bar) -> None:
        raise ValueError("too steep")


def test_what_it_raises_names_the_series_and_the_bar() -> None:
    fold = strategy_fold(strategy("Fails").spec, DAYS[0])
    first = next(message.bar for message in told()["hour"] if message.bar is not None)
    expected = r"at bar MESM2025/rth/30m-r1/2025-06-04/0 of its series hour: ValueError: too steep \(.*in on_series\)"
    with pytest.raises(StrategyFailed, match=expected):
        fold.step(first, "hour")


def test_without_series_a_fold_is_as_it_was() -> None:
    bars = [message.bar for message in told()["main"] if message.bar is not None]
    fold = StrategyFold(order_flow, lambda day: day, DAYS[0])
    assert [one.bar for bar in bars if (one := fold.step(bar)) is not None] == [bar.key for bar in bars]
