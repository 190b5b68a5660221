"""A report shows the contract of each day, and the days on which a strategy has no session."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

from leadline.model.ids import ContractId
from leadline.views.days import Span, spans, traded_days_of
from tests.execution.harness.builders import DAY_S, ns, strategy
from tests.report.builders import WON

NAME = "default/mes"


def june(*days: int) -> list[date]:
    return [date(2025, 6, day) for day in days]


def days_of(**spec):
    monday = replace(WON, contract=ContractId("MESU2025"), entry_ns=ns(6 * DAY_S + 601), exit_ns=ns(6 * DAY_S + 700))
    return traded_days_of(
        [strategy(**spec)],
        june(11, 12, 13, 16, 17),
        ["MESM2025", "MESU2025"],
        date(2025, 6, 12),
        {(NAME, date(2025, 6, 13)): 78, (NAME, date(2025, 6, 18)): 5},
        [monday],
    )


def test_each_traded_day_has_its_contract_bars_and_trades():
    found = days_of()
    assert [(each.day, each.contract, each.bars, each.trades) for each in found] == [
        (date(2025, 6, 12), "MESM2025", 0, 0),
        (date(2025, 6, 13), "MESM2025", 78, 0),
        (date(2025, 6, 16), "MESU2025", 0, 1),
        (date(2025, 6, 17), "MESU2025", 0, 0),
        (date(2025, 6, 18), "MESU2025", 5, 0),  # pushed: nobody had announced it
    ]
    assert [each.net for each in found][2] == WON.net
    assert sum((each.net for each in found), Decimal(0)) == WON.net


def test_the_contracts_follow_one_another():
    assert spans(days_of()) == (
        Span("MESM2025", date(2025, 6, 12), date(2025, 6, 13)),
        Span("MESU2025", date(2025, 6, 16), date(2025, 6, 18)),
    )


def test_a_day_on_which_the_hours_lie_outside_the_market_is_shown():
    closed = {"open": "13:15", "close": "13:45", "zone": "America/New_York"}
    found = traded_days_of(
        [strategy(session=closed, bars="1m")],
        [date(2025, 7, 2), date(2025, 7, 3)],
        ["MESU2025"],
        date(2025, 7, 2),
        {},
        [],
    )
    assert [each.session for each in found] == [True, False]  # the market closed at 13:15 on the 3rd
