"""Positions and their results, first in first out, in integer ticks."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from leadline.execution.adapters.metrics import show_positions
from leadline.execution.core.positions import apply_fill, average_price, flat, money_paid, open_result
from leadline.model.ids import AccountId, ClientOrderId, ContractId, DecisionId, FillId, StrategyId
from leadline.model.orders import Fill, Position, Side

D = Decimal
NOTHING = flat(StrategyId("default/mes"), ContractId("MESM2025"), ContractId("MESM2025"), D("1.25"), DecisionId("d"))


def fill(side: Side, quantity: int, price: int, number: int = 1, commission: str = "0") -> Fill:
    return Fill(
        FillId(f"f{number}"),
        ClientOrderId("L1"),
        ContractId("MESM2025"),
        side,
        quantity,
        price,
        number,
        number,
        number,
        D(commission),
    )


def test_result_is_summed_per_lot_and_never_from_an_average() -> None:
    # 5000.00 and 5000.25 in, both out at 5006.00: 24 + 23 = 47 ticks of 1.25
    position = flat(
        StrategyId("default/mes"), ContractId("MESM2025"), ContractId("MESM2025"), D("1.25"), DecisionId("d")
    )
    for step in (fill(Side.BUY, 1, 20000), fill(Side.BUY, 1, 20001, 2), fill(Side.SELL, 2, 20024, 3)):
        position = apply_fill(position, step)
    assert (position.quantity, position.lots, position.realised) == (0, (), D("58.75"))


def test_the_gauge_of_a_contract_is_the_sum_over_the_strategies_that_hold_or_held_it() -> None:
    def shown(contract: ContractId) -> float | None:
        return REGISTRY.get_sample_value(
            "leadline_position_quantity", {"account": "default/gauge", "instrument": contract}
        )

    def held(strategy: StrategyId, contract: ContractId, quantity: int) -> Position:
        return replace(flat(strategy, contract, contract, D("1.25"), DecisionId("d")), quantity=quantity)

    show_positions(
        AccountId("default/gauge"),
        [
            held(StrategyId("default/a"), ContractId("MESM2025"), 2),
            held(StrategyId("default/gone"), ContractId("MESM2025"), 0),
        ],
    )
    assert (shown(ContractId("MESM2025")), shown(ContractId("ESM2025"))) == (2, None)
    show_positions(
        AccountId("default/gauge"),
        [
            held(StrategyId("default/a"), ContractId("MESM2025"), 2),
            held(StrategyId("default/b"), ContractId("MESM2025"), -3),
            held(StrategyId("default/b"), ContractId("ESM2025"), 1),
        ],
    )
    assert (shown(ContractId("MESM2025")), shown(ContractId("ESM2025"))) == (-1, 1)
    show_positions(
        AccountId("default/gauge"),
        [
            held(StrategyId("default/a"), ContractId("MESM2025"), 0),
            held(StrategyId("default/b"), ContractId("MESM2025"), 0),
        ],
    )
    assert (shown(ContractId("MESM2025")), shown(ContractId("ESM2025"))) == (0, 1)


def test_commission_is_booked_with_each_fill() -> None:
    position = flat(
        StrategyId("default/mes"), ContractId("MESM2025"), ContractId("MESM2025"), D("1.25"), DecisionId("d")
    )
    position = apply_fill(position, fill(Side.BUY, 2, 20000, commission="9"))
    position = apply_fill(position, fill(Side.SELL, 2, 20024, commission="9"))
    assert position.realised - position.commission == D("42.00")


def test_a_fill_larger_than_the_position_turns_it_round() -> None:
    position = apply_fill(
        flat(StrategyId("s"), ContractId("MESM2025"), ContractId("MESM2025"), D(1), DecisionId("d")),
        fill(Side.BUY, 1, 100),
    )
    position = apply_fill(position, fill(Side.SELL, 3, 90, 2))
    assert (position.quantity, average_price(position), position.realised) == (-2, 90, D(-10))


@given(
    st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 5), st.integers(1, 1000)), max_size=20),
    st.integers(1, 1000),
)
def test_realised_and_open_together_are_the_cash_flow(steps: list[tuple[Side, int, int]], last: int) -> None:
    position = flat(StrategyId("s"), ContractId("MESM2025"), ContractId("MESM2025"), D("1.25"), DecisionId("d"))
    cash = held = 0
    for number, (side, quantity, price) in enumerate(steps):
        position = apply_fill(position, fill(side, quantity, price, number))
        cash -= side.sign * quantity * price
        held += side.sign * quantity
    assert position.quantity == held
    assert position.realised + open_result(position, last) == (cash + held * last) * D("1.25")


def test_what_the_lots_cost_has_the_sign_of_the_position() -> None:
    long = apply_fill(apply_fill(NOTHING, fill(Side.BUY, 2, 20000)), fill(Side.BUY, 1, 20004, 2))
    assert money_paid(long) == D("1.25") * (2 * 20000 + 20004)
    assert money_paid(apply_fill(NOTHING, fill(Side.SELL, 1, 20000))) == D("-25000")
    assert money_paid(NOTHING) == 0
    # In the coin a size step is worth -(1000 / ticks), and a short of one is worth that the other way round.
    coin = replace(NOTHING, tick_value=D(1000), inverse=True)
    assert money_paid(apply_fill(coin, fill(Side.BUY, 2, 20000))) == D("-0.1")
    assert money_paid(apply_fill(coin, fill(Side.SELL, 1, 20000))) == D("0.05")
    assert str(money_paid(coin)) == "0"


def test_a_linear_result_is_booked_with_every_place_and_one_in_the_coin_with_eight() -> None:
    fine = replace(NOTHING, tick_value=D("0.000000001"))
    for position, realised in ((fine, "0.000000003"), (replace(fine, inverse=True), "0.00000000")):
        closed = apply_fill(apply_fill(position, fill(Side.BUY, 1, 20000)), fill(Side.SELL, 1, 20003, 2))
        assert closed.realised == D(realised)


def test_the_average_price_is_that_of_the_lots_and_nought_when_flat():
    long = apply_fill(apply_fill(NOTHING, fill(Side.BUY, 1, 20_000)), fill(Side.BUY, 2, 20_003))
    assert average_price(long) == 20_002
    assert average_price(NOTHING) == 0
