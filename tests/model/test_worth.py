"""What a contract is worth at a price, linear and inverse, in numbers that can be checked by hand."""

from decimal import Decimal

import pytest

from leadline.model.worth import MOST_INVERSE_VALUE, booked, bound, gain, loss, notional, places, worth

D = Decimal
TICK = D("1.25")
COINS = D(200)
"""Of a contract on 100 dollars with half a dollar a tick: 200 coins at a price of one tick."""


def test_a_linear_contract_is_worth_its_price():
    assert worth(20_000, TICK, inverse=False) == 25_000
    assert worth(-3, TICK, inverse=False) == D("-3.75")
    assert notional(-3, TICK, inverse=False) == D("3.75")


def test_an_inverse_contract_held_long_owes_the_coins_that_its_sum_buys():
    assert worth(100_000, COINS, inverse=True) == D("-0.002")
    assert notional(100_000, COINS, inverse=True) == D("0.002")
    assert worth(1, COINS, inverse=True) == worth(0, COINS, inverse=True) == worth(-5, COINS, inverse=True) == -200
    assert worth(2, COINS, inverse=True) == -100


def test_the_worth_of_an_inverse_step_has_sixteen_decimals_rounded_half_to_even():
    assert worth(3, D(1), inverse=True) == D("-0.3333333333333333")
    assert worth(3, D(2), inverse=True) == D("-0.6666666666666667")
    assert worth(2, D("0.0000000000000001"), inverse=True) == 0
    assert worth(2, D("0.0000000000000003"), inverse=True) == D("-0.0000000000000002")


def test_the_largest_inverse_step_has_a_worth_of_28_digits_at_the_most():
    most = worth(1, MOST_INVERSE_VALUE, inverse=True)
    assert most == -(10**11)
    assert len(most.as_tuple().digits) == 28


def test_a_gain_is_the_difference_of_two_worths():
    assert gain(20_000, 20_008, TICK, inverse=False) == 10
    assert gain(20_008, 20_000, TICK, inverse=False) == -10
    assert gain(100_000, 200_000, COINS, inverse=True) == D("0.001")
    assert gain(200_000, 100_000, COINS, inverse=True) == D("-0.001")


@pytest.mark.parametrize(
    ("sign", "inverse", "expected"),
    [(1, False, "10"), (-1, False, "10"), (1, True, "2"), (-1, True, "0.6666666666666667")],
)
def test_a_loss_is_larger_for_the_long_of_an_inverse_contract(sign: int, inverse: bool, expected: str):
    ticks, price, value = (8, 20_000, TICK) if not inverse else (50, 100, COINS)
    assert loss(price, ticks, sign, value, inverse=inverse) == D(expected)


def test_booked_money_is_rounded_half_to_even_and_what_is_held_back_upwards():
    for money, even, up in (
        ("0.000000015", "0.00000002", "0.00000002"),
        ("0.000000025", "0.00000002", "0.00000003"),
        ("0.000000021", "0.00000002", "0.00000003"),
        ("-0.000000019", "-0.00000002", "-0.00000001"),
    ):
        assert (booked(D(money)), bound(D(money))) == (D(even), D(up))
    assert str(booked(D(1))) == "1.00000000"


def test_sums_are_read_with_two_decimals_and_those_of_coins_with_eight():
    stable = "AUD BRL CAD CHF CNY DKK EUR FDUSD GBP HKD INR JPY KRW MXN NOK NZD PLN SEK SGD TUSD USD USDC USDT ZAR"
    assert {places(currency) for currency in ("", *stable.split())} == {2}
    assert (places("BTC"), places("ETH")) == (8, 8)
