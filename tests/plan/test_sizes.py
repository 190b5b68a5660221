"""What a plan says about the size of entries: what is asked for, what the limits leave, and which of them cuts."""

from typing import Any

from leadline.model.manifest.own_markets import OwnMarkets, put_in_force, read_own
from leadline.plan.sizes import cut_sizes, entry_sizes
from tests.own_markets import BITCOIN, file_of
from tests.plan.builders import account, strategy

HUNDRED: dict[str, Any] = {"sizing": {"mode": "Fixed", "size": 100, "maxSize": 100}}


def cut_by(size):
    return f"{size.cut_by} of {size.whose}" if size.cut_by else ""


def said(owner, flow):
    return [
        (size.start if size.start is None else str(size.start), size.executes, size.asked, size.most, cut_by(size))
        for size in entry_sizes([owner], [flow])
    ]


def test_a_fixed_size_above_the_account_s_default_position_is_cut_and_says_so():
    flow, owner = strategy("flow", account={"name": "a"}, **HUNDRED), account("a", tiers=[])
    limit = "limits.maxPosition (default 2) of default/a"
    assert said(owner, flow) == [(None, "MES", 100, 2, limit)]
    assert cut_sizes([owner], [flow]) == (
        f"default/flow: an entry has at most 2 of the 100 contracts of spec.sizing.size, by {limit}",
    )


def test_of_several_limits_the_smallest_is_named():
    owner = account("a", tiers=[], limits={"maxPosition": 50})
    flow = strategy("flow", account={"name": "a"}, risk={"maxPosition": 7}, **HUNDRED)
    assert said(owner, flow) == [(None, "MES", 100, 7, "risk.maxPosition of default/flow")]
    alone = strategy("flow", account={"name": "a"}, **HUNDRED)
    assert said(owner, alone) == [(None, "MES", 100, 50, "limits.maxPosition of default/a")]


def test_each_tier_has_its_own_line_and_root():
    tiers = [{"from": "0", "execute": "MES", "maxSize": 3}, {"from": "3500", "execute": "ES", "maxSize": 1}]
    owner = account("a", tiers=tiers, limits={"maxPosition": 9})
    flow = strategy("flow", account={"name": "a"}, sizing={"mode": "Fixed", "size": 2})
    assert said(owner, flow) == [
        ("0", "MES", 2, 2, ""),
        ("3500", "ES", 2, 1, "maxSize of the tier from 3500 of default/a"),
    ]
    assert cut_sizes([owner], [flow]) == ()  # in its first tier it is traded as written


def test_a_size_within_every_limit_is_not_cut():
    owner = account("a", tiers=[], limits={"maxPosition": 100})
    assert said(owner, strategy("flow", account={"name": "a"}, **HUNDRED)) == [(None, "MES", 100, 100, "")]
    assert cut_sizes([owner], [strategy("flow", account={"name": "a"}, **HUNDRED)]) == ()


def test_tiered_sizing_asks_for_its_maximum_and_warns_of_nothing():
    owner, flow = account("a"), strategy("flow", account={"name": "a"}, sizing={"maxSize": 3})
    assert said(owner, flow)[0] == ("0", "MES", 3, 2, "limits.maxPosition (default 2) of default/a")
    assert cut_sizes([owner], [flow]) == ()


def by_risk(percent: str, **sizing: Any) -> Any:
    sizing = {"mode": "RiskPercent", "percent": percent, "maxSize": 10, **sizing}
    return strategy("flow", account={"name": "a"}, instrument="ES", bracket={"stopTicks": 16}, sizing=sizing)


def test_a_size_by_equity_is_that_of_the_starting_balance():
    """As `leadline.risk.sizing` has it: 16 + 2 ticks at 12.50 and 2 commissions of 4.50; floor(500 / 234)."""
    owner = account("a", tiers=[], startingBalance="10000", limits={"maxPosition": 9, "dayLoss": "1000"})
    [size] = entry_sizes([owner], [by_risk("5")])
    assert (str(size.equity), str(size.risk)) == ("10000", "234.00")
    assert (size.asked, size.most, size.cut_by) == (2, 2, "")
    [size] = entry_sizes([owner], [by_risk("20")])
    assert (size.asked, size.most, cut_by(size)) == (8, 4, "the day's loss limit of 1000 of default/a")
    [size] = entry_sizes([owner], [by_risk("20", respectDayBudget=False, maxSize=5)])
    assert (size.asked, size.most, cut_by(size)) == (8, 5, "sizing.maxSize of default/flow")


def test_of_each_other_tier_it_is_the_size_where_the_tier_begins():
    owner = account("a", limits={"maxPosition": 9})
    sizes = entry_sizes([owner], [by_risk("5")])
    assert [(str(size.start), str(size.equity), size.asked, size.most) for size in sizes] == [
        ("0", "2500", 5, 3),
        ("3500", "3500", 0, 0),
        ("5000", "5000", 1, 1),
        ("7500", "7500", 1, 1),
        ("10000", "10000", 2, 2),
    ]
    assert sizes[0].cut_by == "maxSize of the tier from 0"
    assert cut_sizes([owner], [by_risk("5")]) == ()


def test_a_percentage_of_the_starting_balance_that_pays_for_nothing_is_told():
    owner = account("a", tiers=[], startingBalance="2000")
    [words] = cut_sizes([owner], [by_risk("5")])
    assert words == (
        "default/flow: nothing is entered with the starting balance of 2000: the 5 percent of spec.sizing.percent are "
        "less than the 234.00 that one ES can lose"
    )


def test_where_the_risk_depends_on_the_price_the_strategy_s_maximum_is_shown(tmp_path):
    put_in_force(read_own([file_of(tmp_path, {"XBTUSD": BITCOIN})]))
    try:
        limits = {"maxPosition": 90, "dayLoss": "1", "dayTarget": "1"}
        owner = account("a", tiers=[], currency="BTC", startingBalance="1", limits=limits)
        own: dict[str, Any] = {
            "account": {"name": "a"},
            "instrument": "XBTUSD",
            "strategy": {"entryPoint": "own.strategies:Own"},
        }
        sizing = {"mode": "RiskPercent", "percent": "1", "maxSize": 7}
        flow = strategy("flow", bracket={"stopTicks": 16}, sizing=sizing, **own)
        [size] = entry_sizes([owner], [flow])
    finally:
        put_in_force(OwnMarkets())
    assert (size.equity, size.risk, size.asked, size.most) == (None, None, 7, 7)


def test_of_entries_that_wait_together_each_takes_its_part_of_the_position():
    entries = {"type": "Stop", "offsetTicks": 4, "maxPending": 3}
    own: dict[str, Any] = {"account": {"name": "a"}, "entries": entries, "sizing": {"mode": "Fixed", "size": 2}}
    flow = strategy("flow", **own)
    roomy, tight = (account("a", tiers=[], limits={"maxPosition": most}) for most in (6, 5))
    assert [size.waiting for owner in (roomy, tight) for size in entry_sizes([owner], [flow])] == [3, 2]
    assert cut_sizes([roomy], [flow]) == ()
    [words] = cut_sizes([tight], [flow])
    assert words.startswith("default/flow: at most 2 of the 3 entries of spec.entries.maxPending wait at a time")
    assert [
        size.waiting for size in entry_sizes([account("a", tiers=[])], [strategy("flow", account={"name": "a"})])
    ] == [None]


def test_a_class_of_one_s_own_is_told_how_often_it_may_add_within_the_position():
    own: dict[str, Any] = {
        "account": {"name": "a"},
        "strategy": {"entryPoint": "own.strategies:Own"},
        "sizing": {"mode": "Fixed", "size": 2},
    }
    owners = [account("a", tiers=[], limits={"maxPosition": most}) for most in (2, 5, 6)]
    assert [size.adds for owner in owners for size in entry_sizes([owner], [strategy("flow", **own)])] == [0, 1, 2]
    built_in = strategy("flow", account={"name": "a"})
    assert [size.adds for size in entry_sizes([owners[2]], [built_in])] == [None]
