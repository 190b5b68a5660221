"""A value that is quickly made is the dataclass that it was."""

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from datetime import date

import numpy as np
import pytest

from leadline.model.bars import Bar, BarKey, BarMessage, FootprintRows
from leadline.model.frozen import quickly_made
from leadline.model.ids import ContractId, RunId


@quickly_made
@dataclass(frozen=True, slots=True, order=True)
class Lot:
    """A value with a default."""

    price: int
    size: int = 1
    side: str = "BUY"


@quickly_made
@dataclass(frozen=True, slots=True)
class Order:
    """A value whose fields have the names of what fills others."""

    filled: int
    unlock: str
    value: float


@dataclass(frozen=True, slots=True, order=True)
class PlainLot:
    price: int
    size: int = 1
    side: str = "BUY"


def test_it_takes_what_the_dataclass_takes():
    assert inspect.signature(Lot) == inspect.signature(PlainLot)
    assert repr(Lot(5)) == repr(Lot(price=5, size=1, side="BUY")) == "Lot(price=5, size=1, side='BUY')"
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'price'"):
        Lot()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'cost'"):
        Lot(5, cost=1)  # type: ignore[call-arg]


def test_a_field_may_have_any_name():
    assert replace(Order(1, "no", 2.5), filled=2) == Order(filled=2, unlock="no", value=2.5)


def test_it_is_frozen_equal_ordered_and_hashed_as_before():
    lot = Lot(5, 2)
    assert type(lot) is Lot
    with pytest.raises(FrozenInstanceError):
        lot.price = 6  # type: ignore[misc]
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        lot.cost = 6  # type: ignore[attr-defined]
    assert lot == Lot(5, 2) != Lot(5, 3)
    assert lot < Lot(5, 3)
    assert hash(lot) == hash(PlainLot(5, 2))


def test_it_is_replaced_copied_and_pickled():
    lot = replace(Lot(5), size=3)
    assert (type(lot), lot) == (Lot, Lot(5, 3))
    for again in (copy.copy(lot), copy.deepcopy(lot), pickle.loads(pickle.dumps(lot))):
        assert (type(again), again) == (Lot, lot)


def test_a_constructor_that_fails_leaves_no_value():
    with pytest.raises(TypeError):
        Lot(1, 2, "BUY", 4)  # type: ignore[call-arg]


@dataclass(frozen=True)
class Slotless:
    price: int


@dataclass(slots=True)
class Open:
    price: int


@quickly_made
@dataclass(frozen=True, slots=True)
class Made:
    name: str
    prices: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PlainMade:
    name: str
    prices: list[int] = field(default_factory=list)


def test_a_field_that_is_made_is_made_anew_each_time():
    assert inspect.signature(Made) == inspect.signature(PlainMade)
    assert Made("a") == Made("a", [])
    assert Made("a").prices is not Made("a").prices
    assert Made("a", [1]).prices == [1]
    assert pickle.loads(pickle.dumps(Made("a", [1]))) == Made("a", [1])


@dataclass(frozen=True, slots=True)
class Unasked:
    price: int = field(init=False, default=1)


@dataclass(frozen=True, slots=True)
class Checked:
    price: int

    def __post_init__(self) -> None:
        assert self.price


@pytest.mark.parametrize("other", [Slotless, Open, Unasked, Checked, int])
def test_another_class_is_refused(other: type):
    with pytest.raises(TypeError, match=f"^{other.__name__} "):
        quickly_made(other)


def test_bars_and_what_they_are_made_of_keep_their_fields_in_order():
    column = np.arange(3)
    key = BarKey(ContractId("MESZ2025"), "rth", "5m-r1", date(2025, 11, 20), 3)
    rows = FootprintRows(column, *[column + place for place in range(1, 7)])
    numbers = range(len(fields(Bar)) - 3)
    bar = Bar(key, *numbers, rows)  # type: ignore[call-arg]
    message = BarMessage(RunId("run"), "sim", key.contract, 5, False, bar)
    assert [getattr(bar, each.name) for each in fields(Bar)] == [key, *numbers, rows, 0]
    assert [int(getattr(rows, each.name)[0]) for each in fields(FootprintRows)] == list(range(7))
    assert (message.progress_ns, message.final, message.bar, message.unfinished) == (5, False, bar, None)
    assert {type(each) for each in (key, rows, bar, message)} == {BarKey, FootprintRows, Bar, BarMessage}
