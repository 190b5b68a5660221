"""What a plan says about the size of entries: what is asked for, what the limits leave, and which of them cuts."""

from typing import Any

from leadline.plan.sizes import cut_sizes, entry_sizes
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
