"""Messages and a database for the tests of the recorder."""

from datetime import date
from decimal import Decimal

import numpy as np

from leadline.model.bars import Bar, BarKey, BarMessage, FootprintRows, UnfinishedBar
from leadline.model.ids import AccountId, ContractId, RunId, StrategyId
from leadline.model.signals import BarSignals, Direction, Pattern, Regime, RegimeReading, Signal, SignalMessage
from leadline.model.ticks import TickBatch, TickColumns

TAPE = RunId("run-1")
VENUE = "cme"
CONTRACT = ContractId("MESZ2025")
DAY = date(2025, 11, 20)
OPEN_NS = 1_763_649_000_000_000_000


def tick_batch(first: int, last: int, *, contract: ContractId = CONTRACT, tape: str = TAPE) -> TickBatch:
    """Prints `first` to `last`, both included; every column follows from the index."""
    ticks = TickColumns.of(((OPEN_NS + i, 20_000 + i % 7, 1 + i % 3, i % 3 - 1) for i in range(first, last + 1)), first)
    return TickBatch(RunId(tape), VENUE, contract, ticks, OPEN_NS + last)


def bar_key(ordinal: int) -> BarKey:
    return BarKey(CONTRACT, "rth", "5m-r1", DAY, ordinal)


def bar_message(
    ordinal: int, *, volume: int = 30, revision: int = 0, gap: bool = False, tape: str = TAPE
) -> BarMessage:
    """A bar of two rows: 10 sold at 20000, the rest bought at 20001."""
    rows = FootprintRows(
        *(np.array(values) for values in ([20000, 20001], [10, 0], [0, volume - 10], [0, 0], [1, 0], [0, 1], [0, 0]))
    )
    bar = Bar(
        key=bar_key(ordinal),
        start_ns=OPEN_NS + ordinal,
        end_ns=OPEN_NS + ordinal + 1,
        known_at_ns=OPEN_NS + ordinal + 1,
        open=20000,
        high=20001,
        low=20000,
        close=20001,
        volume=volume,
        prints=2,
        delta=volume - 20,
        min_delta=-10,
        max_delta=max(0, volume - 20),
        cumulative_delta=5,
        poc=20001,
        value_area_low=20000,
        value_area_high=20001,
        vwap_volume=volume,
        vwap_price_volume=600_000,
        vwap_price2_volume=2**70,
        first_index=0,
        last_index=1,
        session_open_ns=OPEN_NS,
        session_close_ns=OPEN_NS + 10,
        ticks_per_row=1,
        rows=rows,
        revision=revision,
        gap=gap,
    )
    return BarMessage(RunId(tape), VENUE, CONTRACT, bar.known_at_ns, False, bar)


def progress_message(progress_ns: int = OPEN_NS) -> BarMessage:
    return BarMessage(TAPE, VENUE, CONTRACT, progress_ns, False, None)


def final_message(prints: int) -> BarMessage:
    """The end of a tape, inside its bar 3."""
    return BarMessage(TAPE, VENUE, CONTRACT, OPEN_NS + 9, True, None, UnfinishedBar(bar_key(3), prints))


def signal_message(ordinal: int, *, analysis_hash: str = "hash-1") -> SignalMessage:
    """A bar at which one pattern was approved and one refused."""
    return SignalMessage(
        tape=TAPE,
        account=AccountId("default/paper"),
        strategy=StrategyId("default/mes-orderflow"),
        analysis_hash=analysis_hash,
        progress_ns=OPEN_NS + ordinal,
        final=False,
        bar=BarSignals(
            bar=bar_key(ordinal),
            known_at_ns=OPEN_NS + ordinal,
            close=20001,
            session_open_ns=OPEN_NS,
            session_close_ns=OPEN_NS + 10,
            regime=RegimeReading(
                Regime.TRENDING_UP, Decimal("0.750000"), Decimal("1.0"), "", {"TRENDING_UP": "3"}, {"adx": "31.5"}
            ),
            signals=(
                Signal(
                    Pattern.STACKED_BUY_IMBALANCE,
                    Direction.LONG,
                    20000,
                    Decimal("0.900000"),
                    {"rows": [20000, 20001, 20002], "ratio": "4.5"},
                    True,
                ),
                Signal(Pattern.UNFINISHED_LOW, Direction.SHORT, 19999, Decimal("0.200000"), {}, False, "strength"),
            ),
        ),
    )
