"""Which prints are accepted, which are kept out, and for what reason."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.ingestion.normaliser import MAX_SIZE_STEPS, Normaliser, QuarantinedPrint, Reason
from leadline.ingestion.raw import NANO, TOO_LARGE
from leadline.model.ids import ContractId
from leadline.model.ticks import TickColumns, concat
from tests.ingestion.builders import Row, printed, raw_of, rows_of

TICK = Decimal("0.25")


def ns_of(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def normaliser(allowed_lateness_ns: int = 0, tick: str = "0.25", size_step: str = "1") -> Normaliser:
    return Normaliser(
        ContractId("MESM2025"), Decimal(tick), Decimal(size_step), allowed_lateness_ns=allowed_lateness_ns
    )


def accepted(fed: Normaliser, *parts: Iterable[Row], contract: ContractId = ContractId("MESM2025")) -> TickColumns:
    """All that is accepted of the parts, the last of which ends the source."""
    return concat([*(fed.feed(raw_of(part, contract)) for part in parts), fed.finish()])


def test_prices_become_ticks_sizes_become_steps_and_rows_get_indices() -> None:
    mes = normaliser()
    first = accepted(mes, [printed(10, "5000.25", 3, 1), printed(10, "5000.00", 1, -1)])
    second = accepted(mes, [printed(11, "5000.50", 2, 0)])
    assert rows_of(first) == [(10, 20001, 3, 1), (10, 20000, 1, -1)]
    assert rows_of(second) == [(11, 20002, 2, 0)]
    assert (first.first_index, second.first_index) == (0, 2)


def test_a_size_step_below_one_is_exact() -> None:
    bitcoin = normaliser(tick="0.10", size_step="0.001")
    assert rows_of(accepted(bitcoin, [(1, 61_800_300_000_000, 199_000_000, 1)])) == [(1, 618_003, 199, 1)]


def test_an_unknown_aggressor_stays_unknown() -> None:
    assert rows_of(accepted(normaliser(), [printed(1, side=0)]))[0][3] == 0


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((5, 5000 * NANO + 1, NANO, 1), Reason.OFF_GRID),
        ((5, 5000 * NANO + NANO // 10, NANO, 1), Reason.OFF_GRID),
        ((5, 0, NANO, 1), Reason.ZERO_PRICE),
        ((5, -5000 * NANO, NANO, 1), Reason.NEGATIVE_PRICE),
        ((5, 5000 * NANO, 0, 1), Reason.ZERO_SIZE),
        ((5, 5000 * NANO, -NANO, 1), Reason.NEGATIVE_SIZE),
        ((5, 5000 * NANO, NANO // 2, 1), Reason.OFF_STEP_SIZE),
        ((5, TOO_LARGE, NANO, 1), Reason.OVERFLOW),
        ((5, -TOO_LARGE, NANO, 1), Reason.OVERFLOW),
        ((5, 5000 * NANO, TOO_LARGE, 1), Reason.OVERFLOW),
        ((5, 5000 * NANO, (MAX_SIZE_STEPS + 1) * NANO, 1), Reason.OVERFLOW),
        ((TOO_LARGE, 5000 * NANO, NANO, 1), Reason.OVERFLOW),
        ((-5, 5000 * NANO, NANO, 1), Reason.OVERFLOW),
        ((5, 5000 * NANO, NANO, 2), Reason.BAD_SIDE),
        ((5, 5000 * NANO, NANO, -128), Reason.BAD_SIDE),
        ((3, 5000 * NANO, NANO, 1), Reason.TIME_BACKWARDS),
    ],
)
def test_a_bad_print_is_kept_out_by_reason_and_shown(row: Row, reason: Reason) -> None:
    mes = normaliser()
    ticks = concat([mes.feed(raw_of([printed(4), row, printed(6)], first_row=100)), mes.finish()])
    assert [time for time, *_ in rows_of(ticks)] == [4, 6]
    assert mes.quarantined == {reason: 1}
    assert mes.samples == (QuarantinedPrint(reason, None, "rows", 101, *row),)


def test_a_print_of_another_contract_is_kept_out() -> None:
    mes = normaliser()
    assert len(mes.feed(raw_of([printed(1), printed(2)], contract=ContractId("ESM2025")))) == len(mes.finish()) == 0
    assert mes.quarantined == {Reason.WRONG_CONTRACT: 2}


def test_a_print_with_two_faults_is_counted_once() -> None:
    mes = normaliser()
    mes.feed(raw_of([(1, 0, 0, 5)]))
    assert mes.quarantined == {Reason.BAD_SIDE: 1}


def test_the_time_of_a_bad_print_moves_nothing() -> None:
    mes = normaliser()
    ticks = accepted(mes, [printed(1), (10**18, 0, NANO, 1), printed(2)])
    assert [time for time, *_ in rows_of(ticks)] == [1, 2]


def test_within_the_grace_prints_are_sorted_and_equal_times_keep_their_order() -> None:
    mes = normaliser(allowed_lateness_ns=5)
    assert rows_of(mes.feed(raw_of([printed(10, size=1), printed(12, size=2), printed(10, size=3)]))) == []
    assert rows_of(mes.feed(raw_of([printed(17, size=4), printed(17, size=5), printed(17, size=6)]))) == [
        (10, 20000, 1, 1),
        (10, 20000, 3, 1),
        (12, 20000, 2, 1),
    ]
    assert mes.watermark_ns == 12
    assert rows_of(mes.finish()) == [(17, 20000, size, 1) for size in (4, 5, 6)]


def test_a_print_on_the_edge_of_the_grace_is_accepted_and_one_beyond_is_not() -> None:
    mes = normaliser(allowed_lateness_ns=5)
    ticks = accepted(mes, [printed(10), printed(5), printed(4)])
    assert mes.quarantined == {Reason.TIME_BACKWARDS: 1}
    assert [time for time, *_ in rows_of(ticks)] == [5, 10]


def test_a_promise_releases_what_was_held_and_binds_the_source() -> None:
    pushed = normaliser(allowed_lateness_ns=100)
    assert len(pushed.feed(raw_of([printed(10), printed(20)]))) == 0
    assert [time for time, *_ in rows_of(pushed.promise(20))] == [10, 20]
    pushed.feed(raw_of([printed(19), printed(20)]))
    assert pushed.quarantined == {Reason.TIME_BACKWARDS: 1}


def test_a_time_that_the_calendar_does_not_know_is_no_time_and_counts_on_no_day() -> None:
    mes = Normaliser.of(ContractId("MESM2025"), allowed_lateness_ns=0)
    known, early, late = (ns_of(text) for text in ("2025-06-10 14:00", "2012-06-12 14:00", "2031-06-10 14:00"))
    ticks = accepted(mes, [printed(early), printed(known), printed(late), printed(known, "5000.10")])
    assert ticks.time_ns.tolist() == [known]
    assert mes.kept_out == {
        (None, Reason.OUTSIDE_CALENDAR): 2,
        (date(2025, 6, 10), Reason.OFF_GRID): 1,
    }


def test_the_evening_counts_to_the_next_trading_day() -> None:
    mes = Normaliser.of(ContractId("MESM2025"), allowed_lateness_ns=0)
    accepted(mes, [printed(ns_of("2025-06-10 20:59"), size=0), printed(ns_of("2025-06-10 22:00"), size=0)])
    assert mes.kept_out == {
        (date(2025, 6, 10), Reason.ZERO_SIZE): 1,
        (date(2025, 6, 11), Reason.ZERO_SIZE): 1,
    }


def test_prices_below_zero_are_prices_where_the_instrument_may_trade_there() -> None:
    crude = Normaliser.of(ContractId("CLK2020"), allowed_lateness_ns=0)
    hour = ns_of("2020-04-20 18:00")
    prices = (32, 0, -140, -3763, -3500)
    rows = [(hour + n * 10**9, price * NANO // 100, NANO, -1) for n, price in enumerate(prices)]
    assert tuple(accepted(crude, rows, contract=ContractId("CLK2020")).price.tolist()) == prices
    assert crude.quarantined == {}


ROWS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 60), st.integers(0, 9).map(lambda second: second * 10**9)),
        st.sampled_from([0, -NANO, 5000 * NANO, 5001 * NANO, 5001 * NANO, 50_000 * NANO, 5000 * NANO + 1, TOO_LARGE]),
        st.sampled_from([0, NANO, 7 * NANO, NANO, NANO // 3, -NANO]),
        st.integers(-1, 2),
    ),
    max_size=60,
)


@given(ROWS, st.lists(st.integers(0, 60), max_size=6), st.integers(0, 20))
def test_how_the_prints_were_cut_changes_nothing(rows: list[Row], cuts: list[int], grace: int) -> None:
    at_once, in_parts = normaliser(grace), normaliser(grace)
    whole = concat([at_once.feed(raw_of(rows)), at_once.finish()])
    edges = [0, *sorted(cuts), len(rows)]
    parts = [in_parts.feed(raw_of(rows[start:stop], first_row=start)) for start, stop in pairwise(edges)]
    assert rows_of(concat([*parts, in_parts.finish()])) == rows_of(whole)
    assert in_parts.quarantined == at_once.quarantined
    assert {sample.row for sample in in_parts.samples} == {sample.row for sample in at_once.samples}


@given(ROWS, st.integers(0, 20))
def test_every_print_is_counted_and_none_is_older_than_a_watermark_given_before(rows: list[Row], grace: int) -> None:
    mes = normaliser(grace)
    accepted = 0
    promised = -1
    for row in rows:
        ticks = mes.feed(raw_of([row]))
        assert all(time >= promised for time in ticks.time_ns.tolist())
        promised = mes.watermark_ns
        accepted += len(ticks)
    rest = mes.finish()
    assert all(time >= promised for time in rest.time_ns.tolist())
    assert accepted + len(rest) + sum(mes.quarantined.values()) == len(rows)
