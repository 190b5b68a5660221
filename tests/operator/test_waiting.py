"""What is up and cannot trade: the status says so within seconds, of whom, and why. Pods are stood in for."""

import pytest

from tests.operator.harness import Leadline

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

MISSES = "it misses bus"
SILENT = "nothing is known of its bars since 14:35:00 UTC, and its market is open"


def tell(leadline: Leadline, **said: object) -> None:
    """Have the account's execution say so of itself."""
    leadline.pods.do("set", account=leadline.full("paper"), **said)


def stands(leadline: Leadline, name: str = "flow") -> tuple[str, str, str, str]:
    """The phase of a strategy, whether it is ready, why, and whether it trades."""
    status = leadline.status(name)
    ready, trading = leadline.condition("Ready", name), leadline.condition("Trading", name)
    return status.get("phase", ""), ready.get("status", ""), ready.get("reason", ""), trading.get("status", "")


def account_stands(leadline: Leadline) -> tuple[str, str, str]:
    """The phase of the account, whether it is ready, and why."""
    found = leadline.account() or {}
    ready = leadline.condition("Ready", found=found)
    return found["status"]["phase"], ready["status"], ready["reason"]


async def test_an_account_that_cannot_trade_is_shown_by_itself_and_by_its_strategies_until_it_can(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    tell(leadline, lacking=MISSES)
    waits = ("Waiting", "False", "ExecutionWaits", "False")
    leadline.until(lambda: stands(leadline) == waits, "the strategy waits")
    assert leadline.condition("Ready")["message"] == f"its account {leadline.full('paper')} cannot trade now: {MISSES}"
    leadline.until(
        lambda: account_stands(leadline) == ("Waiting", "False", "ExecutionWaits"), "the account waits as well"
    )
    tell(leadline, lacking="")
    leadline.until(lambda: stands(leadline) == ("Running", "True", "AsAsked", "True"), "the strategy trades again")
    leadline.until(lambda: account_stands(leadline) == ("Running", "True", "AsAsked"), "and so does its account")


async def test_a_strategy_of_which_nothing_is_heard_waits_and_its_account_does_not(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    tell(leadline, unheard={leadline.full(): SILENT})
    leadline.until(lambda: stands(leadline) == ("Waiting", "False", "NoSignals", "False"), "the strategy waits")
    assert leadline.condition("Ready")["message"] == SILENT
    assert account_stands(leadline) == ("Running", "True", "AsAsked")
    tell(leadline, unheard={})
    leadline.until(lambda: stands(leadline) == ("Running", "True", "AsAsked", "True"), "it is heard again")


async def test_an_execution_that_does_not_answer_leaves_unknown_whether_it_trades(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    tell(leadline, away=True)
    away = ("Waiting", "False", "ExecutionUnreachable", "Unknown")
    leadline.until(lambda: stands(leadline) == away, "nobody knows whether it trades")
    tell(leadline, away=False)
    leadline.until(lambda: stands(leadline) == ("Running", "True", "AsAsked", "True"), "it is known again")


async def test_what_is_over_waits_for_nothing(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    tell(leadline, phase="finished", lacking=MISSES, unheard={leadline.full(): SILENT})
    leadline.until(lambda: stands(leadline) == ("Finished", "True", "AsAsked", "False"), "the feed has ended")
    assert account_stands(leadline)[0] == "Finished"


async def test_a_strategy_that_only_closes_waits_like_any_other_and_a_suspended_one_for_nothing(leadline: Leadline):
    leadline.apply(state="ReduceOnly")
    leadline.ready()
    assert leadline.status()["phase"] == "ReduceOnly"
    tell(leadline, lacking=MISSES)
    leadline.until(lambda: stands(leadline) == ("Waiting", "False", "ExecutionWaits", "False"), "it waits")
    leadline.edit(state="Suspended")
    leadline.until(lambda: leadline.status()["phase"] == "Suspended", "it is suspended, whatever its account lacks")
    leadline.stays(lambda: leadline.status()["phase"] == "Suspended", "it stays suspended")
    assert leadline.condition("Ready")["reason"] == "Suspended"
    assert leadline.condition("Trading")["reason"] == "Suspended"
    tell(leadline, lacking="")
    leadline.edit(state="Running")
    leadline.until(lambda: stands(leadline) == ("Running", "True", "AsAsked", "True"), "it trades again")
