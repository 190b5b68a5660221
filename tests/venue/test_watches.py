"""The tape stops at the end of the first instant whose last prints bring the account's result to a threshold."""

from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId
from leadline.model.orders import LastPrint, Watch, WatchedPosition
from leadline.model.ticks import TickColumns
from leadline.venue import watches
from leadline.venue.fill_rules import FillRules, Mark, mark_after
from leadline.venue.matching import PaperMarket
from leadline.venue.watches import first_crossing, price_range, scaled
from tests.venue.builders import ES, MES, market, ns, order, tape
from tests.venue.reference import crossing, merged


def first_at(watch: Watch, window: Mapping[ContractId, TickColumns], marks: Mapping[ContractId, Mark]) -> int | None:
    """The first crossing in a window, whose prices range as they do."""
    ranges = {contract: price_range(ticks) for contract, ticks in window.items()}
    return first_crossing(scaled(watch), window, ranges, marks)


def long_of(quantity: int, price: int, tick_value: str = "1.25", contract: ContractId = MES) -> WatchedPosition:
    return WatchedPosition(contract, quantity, quantity * price * Decimal(tick_value), Decimal(tick_value))


def test_a_day_loss_of_100_is_reached_40_ticks_below_two_mes():
    watch = Watch(Decimal(0), (long_of(2, 20000),), at_or_below=Decimal(-100))
    paper = market()
    prints = tape([(1, 20000), (2, 19961), (3, 19960), (4, 19950)])

    advanced = paper.advance({MES: prints}, ns(9), [watch])

    assert (advanced.instant_ns, advanced.stopped, advanced.events) == (ns(3), True, ())
    assert advanced.last_prints[MES] == LastPrint(19960, ns(3), 2)


def test_what_is_realised_already_moves_the_threshold():
    # -37.50 realised; a short of one ES from 5000.00: 62.50 more are five ticks up
    watch = Watch(Decimal("-37.50"), (long_of(-1, 20000, "12.50"),), at_or_below=Decimal(-100))
    advanced = market().advance({MES: tape([(1, 20004), (2, 20005)])}, ns(9), [watch])
    assert advanced.instant_ns == ns(2)


def test_a_target_is_a_threshold_above():
    watch = Watch(Decimal(470), (long_of(1, 20000),), Decimal(-100), Decimal(500))
    advanced = market().advance({MES: tape([(1, 20023), (2, 20024)])}, ns(9), [watch])
    assert advanced.instant_ns == ns(2)


def test_positions_in_two_contracts_are_valued_together_at_their_last_prints():
    watch = Watch(Decimal(0), (long_of(1, 20000), long_of(-1, 20000, "12.50", ES)), at_or_below=Decimal(-100))
    prints = {MES: tape([(1, 19984), (4, 20010)]), ES: tape([(2, 20006), (3, 20007)])}
    # after 2 s: -20 - 75 = -95; after 3 s: -20 - 87.50 = -107.50
    assert market().advance(prints, ns(9), [watch]).instant_ns == ns(3)


def test_only_the_last_print_of_an_instant_counts():
    watch = Watch(Decimal(0), (long_of(1, 0, "1"),), at_or_above=Decimal(20010))
    prints = tape([(1, 20010), (1, 20000), (2, 20000), (2, 20010)])
    assert market().advance({MES: prints}, ns(9), [watch]).instant_ns == ns(2)


def test_a_price_is_watched_as_one_step_without_cost():
    watch = Watch(Decimal(0), (long_of(1, 0, "1"),), at_or_below=Decimal(19990))
    assert market().advance({MES: tape([(1, 19991), (2, 19990)])}, ns(9), [watch]).instant_ns == ns(2)


def test_a_fill_before_the_crossing_stops_first_and_an_equal_one_together():
    watch = Watch(Decimal(0), (long_of(1, 0, "1"),), at_or_below=Decimal(19990))
    paper = market()
    paper.submit(order(stop=20005))
    prints = {MES: tape([(1, 20005), (2, 19990), (3, 20001)])}
    first = paper.advance(prints, ns(9), [watch])
    second = paper.advance(prints, ns(9), [watch])
    assert (first.instant_ns, len(first.events)) == (ns(1), 1)
    assert (second.instant_ns, second.stopped, second.events) == (ns(2), True, ())
    assert paper.advance(prints, ns(9), [watch]).stopped is False


def test_a_flat_account_crosses_nothing():
    watch = Watch(Decimal(-500), (long_of(0, 20000),), at_or_below=Decimal(-100))
    assert market().advance({MES: tape([(1, 20000)])}, ns(9), [watch]).stopped is False


def test_a_contract_that_has_not_printed_keeps_the_watch_silent():
    watch = Watch(Decimal(0), (long_of(1, 20000, contract=ES), long_of(1, 20000)), at_or_below=Decimal(-100))
    prints = {MES: tape([(1, 10000), (3, 10000)]), ES: tape([(2, 20000)])}
    assert market().advance(prints, ns(9), [watch]).instant_ns == ns(2)


def test_a_contract_that_never_prints_keeps_the_watch_silent():
    watch = Watch(Decimal(0), (long_of(1, 20000, contract=ES), long_of(1, 20000)), at_or_below=Decimal(-100))
    prints = {MES: tape([(1, 10000), (2, 10000), (3, 10000)]), ES: tape([])}
    assert market().advance(prints, ns(9), [watch]).stopped is False


def test_a_watch_needs_the_tape_of_its_contract():
    watch = Watch(Decimal(0), (long_of(1, 20000, contract=ES),), at_or_below=Decimal(-100))
    with pytest.raises(InvalidInput, match="the tape of ESZ2025 too"):
        market().advance({MES: tape([(1, 20000)])}, ns(9), [watch])


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1E-999999999"])
def test_decimals_are_finite_and_reasonable(value: str):
    with pytest.raises(InvalidInput, match="watch"):
        scaled(Watch(Decimal(value), (), at_or_below=Decimal(0)))


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize(
    ("value", "allowed"),
    [("1E-28", True), ("1E-29", False), ("1E+28", True), ("1E+29", False), ("NaN", False), ("-Infinity", False)],
)
def test_every_decimal_of_a_watch_is_finite_and_of_at_most_28_places(place: int, value: str, allowed: bool):
    decimals = [Decimal(1)] * 5
    decimals[place] = Decimal(value)
    base, cost, tick_value, below, above = decimals
    watch = Watch(base, (WatchedPosition(MES, 1, cost, tick_value),), below, above)
    if allowed:
        scaled(watch)
        return
    with pytest.raises(InvalidInput, match="finite decimals of at most 28 places"):
        scaled(watch)


def test_round_decimals_are_the_numbers_that_they_stand_for():
    ten = WatchedPosition(MES, 1, Decimal("2E+5"), Decimal("1E+1"))
    watch = Watch(Decimal("1E+2"), (ten,), at_or_below=Decimal("-1E+2"))
    assert market().advance({MES: tape([(1, 19981), (2, 19980)])}, ns(9), [watch]).instant_ns == ns(2)


def test_a_watch_without_a_threshold_is_refused():
    with pytest.raises(InvalidInput, match="a bound below, above, or both"):
        market().advance({}, 1, [Watch(Decimal(0), ())])


PRINTS = st.lists(st.tuples(st.integers(1, 30), st.integers(-50, 50), st.just(1), st.just(0)), max_size=30)
MONEY = st.decimals(-200, 200, places=2)
POSITIONS = st.builds(
    WatchedPosition,
    st.sampled_from(["A", "B"]),
    st.integers(-3, 3),
    st.decimals(-200, 200, places=3),
    st.sampled_from([Decimal("1.25"), Decimal("0.5"), Decimal(10), Decimal("0.00001")]),
    st.booleans(),
)
WATCHES = st.builds(Watch, MONEY, st.lists(POSITIONS, max_size=3).map(tuple), MONEY, st.none() | MONEY)


@given(PRINTS, PRINTS, WATCHES, st.integers(0, 30), st.booleans())
@settings(max_examples=300, deadline=None)
def test_columns_find_the_crossing_that_exact_fractions_find_print_by_print(
    one: list[tuple[int, int, int, int]],
    two: list[tuple[int, int, int, int]],
    watch: Watch,
    after: int,
    huge: bool,
):
    prints = {ContractId("A"): TickColumns.of(sorted(one)), ContractId("B"): TickColumns.of(sorted(two))}
    cut = {contract: int(ticks.time_ns.searchsorted(after, "right")) for contract, ticks in prints.items()}
    marks = {contract: mark_after(None, ticks.slice(0, cut[contract])) for contract, ticks in prints.items()}
    window = {contract: ticks.slice(cut[contract], len(ticks)) for contract, ticks in prints.items()}
    safe = watches._INT64_SAFE
    watches._INT64_SAFE = 1 if huge else safe  # type: ignore[misc]
    try:
        found = first_at(watch, window, {contract: mark for contract, mark in marks.items() if mark is not None})
    finally:
        watches._INT64_SAFE = safe  # type: ignore[misc]
    assert found == crossing(watch, merged(prints), after)


def test_results_beyond_64_bits_stay_exact():
    value = Decimal("0.00000001")
    position = WatchedPosition(MES, 10**9, 10**16 * value, value)
    watch = Watch(Decimal(10**15), (position,), at_or_below=Decimal(10**15) - 10)
    assert market().advance({MES: tape([(1, 10**7), (2, 10**7 - 1)])}, ns(9), [watch]).instant_ns == ns(2)


def test_a_contract_without_a_print_in_the_window_stands_at_its_last_one():
    # ES lost 75 before the window, in which MES loses 20 and 26.25; or ES won 75 and MES the rest of a target.
    mark = mark_after(None, tape([(1, 20006)]))
    assert mark is not None
    prints = {MES: tape([(2, 19984), (3, 19979), (4, 20020)]), ES: tape([])}
    watch = Watch(Decimal(0), (long_of(1, 20000), long_of(-1, 20000, "12.50", ES)), at_or_below=Decimal(-100))
    assert first_at(watch, prints, {ES: mark}) == ns(3)
    won = Watch(Decimal(0), (long_of(1, 20000), long_of(1, 20000, "12.50", ES)), at_or_above=Decimal(100))
    assert first_at(won, prints, {ES: mark}) == ns(4)


def test_an_account_without_a_position_crosses_nothing_by_the_tape():
    assert first_at(Watch(Decimal(-500), (), at_or_below=Decimal(-100)), {}, {}) is None


def test_a_price_that_takes_the_result_beyond_64_bits_is_exact():
    # A million of 10 a tick, in units of 1E-8: 1E15 a tick, and 1E20 at 100,000 ticks.
    value = Decimal("10.00000000")
    prints = {MES: tape([(1, 0), (2, 99_999), (3, 100_000), (4, 1)])}
    watch = Watch(Decimal(0), (WatchedPosition(MES, 10**6, Decimal(0), value),), at_or_above=Decimal(10**12))
    assert first_at(watch, prints, {}) == ns(3)


def test_a_bound_beyond_64_bits_is_compared_exactly():
    prints = {MES: tape([(1, 20000), (2, 20001)])}
    far = Decimal(2**70)
    price = (long_of(1, 0, "1"),)
    assert first_at(Watch(Decimal(0), price, -far, far), prints, {}) is None
    assert first_at(Watch(Decimal(0), price, -far, Decimal(20001)), prints, {}) == ns(2)
    assert first_at(Watch(Decimal(0), price, at_or_below=far), prints, {}) == ns(1)
    assert first_at(Watch(Decimal(0), price, at_or_above=-far), prints, {}) == ns(1)


def test_two_inverse_positions_of_a_contract_are_watched_together():
    # A long of two and a short of one in MES: -1000 / ticks coins in all, and one of twice the worth in ES.
    def of(quantity: int, value: int, contract: ContractId = MES) -> WatchedPosition:
        return WatchedPosition(contract, quantity, Decimal(0), Decimal(value), inverse=True)

    prints = {MES: tape([(1, 40_000), (3, 32_000)]), ES: tape([(2, 50_000)])}
    together = (of(2, 1000), of(-1, 1000), of(1, 2000), of(1, 2000, ES))
    # -3000/40000 - 2000/50000 = -0.115 after 2 s; -3000/32000 - 0.04 = -0.13375 after 3 s
    for bound, at in (("-0.115", 2), ("-0.1151", 3), ("-0.13375", 3)):
        assert first_at(Watch(Decimal(0), together, Decimal(bound)), prints, {}) == ns(at)
    assert first_at(Watch(Decimal(0), together, Decimal("-0.1338")), prints, {}) is None


def test_an_inverse_contract_is_watched_in_the_coin():
    # 100 USD a contract on a grid of 0.1: 1000 / ticks coins. Ten long from 50,000 lose at 45,000
    # 10 x 1000 x (1/450000 - 1/500000) = 0.0022... BTC, and ten short from there win it.
    face, cost = Decimal(1000), -10 * Decimal("0.002")
    down = tape([(1, 500_000), (2, 450_001), (3, 450_000), (4, 440_000)])
    bound = Decimal("0.0022222222222220")  # 10 x round(1000 / 450000, 16 places) - 0.02, and below by the last digit
    long, short = (WatchedPosition(MES, sign * 10, sign * cost, face, inverse=True) for sign in (1, -1))
    assert market().advance({MES: down}, ns(9), [Watch(Decimal(0), (long,), at_or_below=-bound)]).instant_ns == ns(3)
    won = Watch(Decimal(0), (short,), at_or_below=Decimal(-1), at_or_above=bound)
    assert market().advance({MES: down}, ns(9), [won]).instant_ns == ns(3)


def test_a_restart_and_a_cut_in_front_of_the_crossing_do_not_move_it():
    watch = Watch(Decimal(0), (long_of(1, 0, "1"),), at_or_below=Decimal(10))
    prints = {MES: TickColumns.of([(time, 40 - time, 1, 0) for time in range(1, 40)])}
    for cut in range(31):
        paper = PaperMarket(FillRules(), 0)
        paper.advance(prints, cut, [watch])
        again = PaperMarket(FillRules(), 0)
        again.restore(paper.take_step())
        assert again.advance(prints, 39, [watch]).instant_ns == max(30, cut + (cut == 30))
