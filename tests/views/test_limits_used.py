"""The use of limits at a decision, from an audit by hand."""

from datetime import date
from decimal import Decimal
from typing import Any

from leadline.model.ids import StrategyId
from leadline.risk.view import AccountLimits, StrategyLimits, Tier
from leadline.views.explaining import AuditEvent
from leadline.views.limits_used import Limits, limits_used
from tests.execution.harness.builders import DAY, DAY_S, ns
from tests.views.explained import FILLED, SENT

MINE = StrategyId("default/mes")
OWN = {"strategy": "default/mes", "unit": "main", "fill_id": "f"}
NOTHING = Limits(None, None, StrategyLimits(), lambda _: DAY)


def order(second: float, state: str, strategy: str = MINE, **more: Any) -> AuditEvent:
    return AuditEvent(0, "order", "L1", ns(second), {**SENT, "strategy": strategy, "state": state, **more})


def fill(second: float, side: str, price: int, quantity: int = 2, strategy: str = MINE) -> AuditEvent:
    body = {**FILLED, **OWN, "side": side, "price": price, "quantity": quantity, "time_ns": ns(second)}
    return AuditEvent(0, "fill", "f", ns(second), {**body, "strategy": strategy})


def entered(second: float, strategy: str = MINE) -> AuditEvent:
    return AuditEvent(0, "decision", "d", ns(second), {"accepted": True, "action": "ENTER", "strategy": strategy})


def day_of(time_ns: int) -> date:
    return DAY if time_ns < ns(DAY_S) else date(2025, 6, 11)


def uses(
    events: list[AuditEvent], limits: Limits, second: float = 3600, reason: str = ""
) -> dict[str, tuple[str, str]]:
    found = limits_used(events, MINE, ns(second), limits, reason)
    return {f"{each.of} {each.name}": (each.used, each.limit) for each in found}


def test_of_an_account_whose_manifest_is_not_at_hand_no_limit_is_told():
    assert limits_used([], MINE, ns(0), NOTHING, "") == ()


def test_without_a_limit_in_the_manifest_the_default_holds():
    found = uses([], Limits(AccountLimits(), None, StrategyLimits(), day_of))
    assert found == {
        "account max_open_trades": ("0", "1"),
        "account max_position": ("0", "2"),
        "account day_loss": ("0", "300"),
        "account day_target": ("0", "500"),
    }


def test_a_position_and_an_entry_that_works_count_and_one_that_has_ended_does_not():
    limits = Limits(AccountLimits(max_open_trades=3, max_position=9), None, StrategyLimits(max_position=4), day_of)
    working = order(610, "WORKING", "default/mnq", client_id="L2", quantity=3, filled=1)
    ended = order(620, "CANCELLED", client_id="L3")
    found = uses([fill(601, "BUY", 20_000), working, order(615, "WORKING", client_id="L3"), ended], limits)
    assert found["account max_open_trades"] == ("2", "3")
    assert found["account max_position"] == ("4", "9")
    assert found["strategy max_position"] == ("2", "4")


def test_the_days_result_is_what_is_realised_after_commission():
    tier = Tier(Decimal(0), "MES", 1, 3, Decimal(100))
    limits = Limits(AccountLimits(day_loss=Decimal(150)), tier, StrategyLimits(day_loss=Decimal(40)), day_of)
    lost = [fill(601, "BUY", 20_000), fill(700, "SELL", 19_990)]
    found = uses(lost, limits)
    assert found["account day_loss"] == ("30.00", "100")  # 2 contracts, 10 ticks of 1.25, 5.00 of commission
    assert found["account day_target"] == ("0", "500")
    assert found["strategy day_loss"] == ("30.00", "40")
    assert uses(lost, limits, DAY_S + 600)["account day_loss"] == ("0", "100")
    other = [fill(601, "BUY", 20_000, strategy="default/mnq"), fill(700, "SELL", 20_020, strategy="default/mnq")]
    assert uses(other, limits)["strategy day_loss"] == ("0", "40")
    assert uses(other, limits)["account day_target"] == ("45.00", "500")


def test_entries_are_counted_by_the_day_and_by_the_hour():
    limits = Limits(AccountLimits(max_entries_per_hour=5), None, StrategyLimits(max_trades_per_day=3), day_of)
    events = [entered(0), entered(1801), entered(3000, "default/mnq"), entered(DAY_S + 1)]
    found = uses(events, limits, 3600)
    assert found["account max_entries_per_hour"] == ("3", "5")
    assert found["strategy max_trades_per_day"] == ("2", "3")


def test_the_limit_that_refused_is_marked():
    limits = Limits(AccountLimits(), None, StrategyLimits(), day_of)
    found = limits_used([fill(601, "BUY", 20_000)], MINE, ns(700), limits, "max_open_trades")
    assert [each.name for each in found if each.refused] == ["max_open_trades"]
