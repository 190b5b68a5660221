"""A platform, its accounts and its strategies become the workloads that carry them out."""

import re
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.model.ids import AccountId, StrategyId
from leadline.model.manifest.specs import InvalidManifest, Manifest, TradingAccount, TradingStrategy, load_manifests
from leadline.plan.plan import Plan, plan, plan_document, workload_id
from leadline.plan.platform import Feed, FeedFile, PlatformSettings, parse_speed
from tests.plan.builders import account, strategy

ROOT = Path(__file__).resolve().parents[2]
SIM = PlatformSettings()
FIXED: dict[str, Any] = {"sizing": {"mode": "Fixed", "size": 1}}


def plan_of(*manifests: Manifest, platform: PlatformSettings = SIM) -> Plan:
    accounts = [item for item in manifests if isinstance(item, TradingAccount)]
    return plan(platform, accounts, [item for item in manifests if isinstance(item, TradingStrategy)])


def refusals(*manifests: TradingAccount | TradingStrategy, platform: PlatformSettings = SIM) -> list[str]:
    with pytest.raises(InvalidManifest) as refused:
        plan_of(*manifests, platform=platform)
    return str(refused.value).splitlines()


def test_the_plan_of_the_first_example():
    """The whole plan, as `leadline plan -f examples/mes-orderflow.yaml --output json` prints it."""
    found = plan_document(plan_of(*load_manifests(ROOT / "examples" / "mes-orderflow.yaml")))
    golden = ROOT / "tests" / "plan" / "golden" / "mes-orderflow.json"
    assert orjson.loads(orjson.dumps(found)) == orjson.loads(golden.read_bytes())


def test_who_gets_what():
    found = plan_of(
        strategy("morning", account={"name": "one"}),
        strategy("evening", account={"name": "two"}, session={"name": "globex"}),
        account("one"),
        account("two"),
    )
    assert [workload.id for workload in found.workloads] == [
        "ingestion",
        "risk",
        "aggregation",
        "recorder",
        "venue-default-one",
        "execution-default-one",
        "venue-default-two",
        "execution-default-two",
        "analysis-default-evening",
        "analysis-default-morning",
    ]
    assert found.workload("analysis", StrategyId("default/morning")).settings.to_json()["account"] == "default/one"
    assert found.workload("execution", AccountId("default/two")).calls == {"risk": "risk", "venue": "venue-default-two"}


def test_a_strategy_without_an_account_gets_the_paper_account_of_its_namespace():
    found = plan_of(strategy(namespace="desk1"))
    assert [item.full_name for item in found.accounts] == ["desk1/paper"]
    assert found.accounts[0].spec == account().spec


def test_every_workload_comes_after_those_it_waits_for_and_after_its_peers():
    workloads = plan_of(strategy(), strategy("gold", instrument="GCZ2025", account={"name": "gc"}, **FIXED),
                        account("gc", tiers=[])).workloads  # fmt: skip
    for position, workload in enumerate(workloads):
        before = {item.id for item in workloads[:position]}
        assert before >= {*workload.after, *workload.calls.values()}


def test_the_order_of_the_manifests_does_not_matter():
    one, two = strategy("one"), strategy("two", account={"name": "other"})
    other = account("other")
    assert plan_of(one, two, other) == plan_of(other, two, one)


def test_settings_are_plain_json_without_addresses_or_paths():
    platform = PlatformSettings(feed=Feed(kind="file", files=(FeedFile(name="mes.csv.gz", contract="MES"),)))
    text = orjson.dumps(plan_document(plan_of(strategy(), platform=platform))).decode()
    assert "mes.csv.gz" in text
    assert not re.search(r"127\.0\.0\.1|localhost|://|\"/", text)


def test_a_hot_change_leaves_every_workload_but_execution_as_it_is():
    before, after = plan_of(strategy()), plan_of(strategy(risk={"maxTradesPerDay": 3}))
    assert before.workloads == after.workloads
    changed = plan_of(strategy(ticksPerRow=4))
    differ = [
        new.id for old, new in zip(before.workloads, changed.workloads, strict=True) if old.settings != new.settings
    ]
    assert differ == ["analysis-default-flow"]


def test_ingestion_waits_for_all_strategies_and_brings_the_longest_history():
    found = plan_of(strategy("short", history=2), strategy("long", history=9, account={"name": "b"}), account("b"))
    settings = found.workload("ingestion").settings.to_json()
    assert (settings["wait_for"], settings["history"], settings["instruments"]) == (2, 9, ["MES"])


@pytest.mark.parametrize(
    ("first", "second", "meet"),
    [
        ({"instrument": "MES"}, {"instrument": "MES"}, True),
        ({"instrument": "MES"}, {"instrument": "ES"}, True),  # the tiers may turn either into ES
        ({"instrument": "MES"}, {"instrument": "MESZ2025"}, True),  # the root may mean December
        ({"instrument": "MESZ2025"}, {"instrument": "MESH2026"}, False),
    ],
)
def test_two_strategies_never_own_one_contract_of_an_account(first, second, meet):
    manifests = (strategy("one", **first), strategy("two", **second))
    if not meet:
        assert len(plan_of(*manifests).strategies) == 2
        return
    refused = f"TradingStrategy default/two: spec.instrument: got '{second['instrument']}', expected another contract"
    assert refusals(*manifests) == [f"{refused}, or another account: default/one trades it on default/paper"]


def test_without_tiers_only_the_same_contract_is_a_rival():
    micro, full = (strategy(root.lower(), instrument=root, account={"name": "a"}, **FIXED) for root in ("MES", "ES"))
    assert len(plan_of(micro, full, account("a", tiers=[])).strategies) == 2


@pytest.mark.parametrize(("fund", "future"), [("a-spy", "b-mes"), ("z-spy", "b-mes")])
def test_strategies_with_different_trading_days_do_not_share_an_account(fund, future):
    both = {"account": {"name": "both"}, **FIXED}
    manifests = (strategy(fund, instrument="SPY", **both), strategy(future, session={"name": "globex"}, **both))
    [refused] = refusals(*manifests, account("both", tiers=[]))
    assert refused == (
        f"TradingStrategy default/{future}: spec.instrument: got 'MES', expected an instrument whose trading day "
        f"begins at 00:00 America/New_York, as that of default/{fund} on default/both does, and not at 18:00 "
        "America/New_York: give it an account of its own"
    )


def test_strategies_whose_markets_begin_the_day_together_share_an_account():
    both = {"account": {"name": "both"}, **FIXED}
    gold = strategy("gold", instrument="GCZ2025", **both)  # another calendar than that of MES, and the same roll
    assert len(plan_of(strategy("micro", **both), gold, account("both", tiers=[])).strategies) == 2


def test_everything_that_is_wrong_is_said_at_once():
    found = refusals(
        strategy("lost", account={"name": "nowhere"}),
        strategy("gold", instrument="GCZ2025", account={"name": "index"}, **FIXED),
        account("index"),
        account("index"),
    )
    assert len(found) == 3
    assert found[0] == "metadata.name: got 'default/index', expected a name that no other TradingAccount has"
    assert found[1].startswith(
        "TradingStrategy default/lost: spec.account: got 'default/nowhere', expected the name of"
    )
    assert found[2].startswith(
        "TradingStrategy default/gold: spec.instrument: got 'GCZ2025', expected an instrument of"
    )


def test_an_account_can_wait_for_its_strategies():
    found = plan_of(account())
    assert [workload.service for workload in found.workloads if workload.owner == "account"] == ["venue", "execution"]


def test_a_file_that_does_not_hold_what_a_strategy_reads_is_refused():
    gold = PlatformSettings(feed=Feed(kind="file", files=(FeedFile(name="gold.csv", contract="GCZ2013"),)))
    assert refusals(strategy(), platform=gold) == [
        "TradingStrategy default/flow: spec.instrument: got 'MES', expected a contract that the feed has: GCZ2013"
    ]
    unheard = PlatformSettings(feed=Feed(kind="file", files=(FeedFile(name="x.csv", contract="XYZZ2013"),)))
    assert refusals(strategy(), platform=unheard)[0].startswith(
        "feed.files: x.csv: got 'XYZZ2013', expected a contract"
    )


def test_ids_are_readable_where_they_can_be():
    assert workload_id("risk") == "risk"
    assert workload_id("execution", AccountId("default/paper")) == "execution-default-paper"
    assert workload_id("execution", AccountId("a/b-c")) == "execution-a-b-c"
    assert re.fullmatch(r"execution-a-b-c-[a-z2-7]{8}", workload_id("execution", AccountId("a-b/c")))


LABELS = st.from_regex(r"\A[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")


@given(st.lists(st.tuples(LABELS, LABELS), min_size=2, max_size=2, unique=True))
def test_ids_are_dns_labels_and_differ(names):
    ids = [workload_id("execution", AccountId(f"{namespace}/{name}")) for namespace, name in names]
    assert ids[0] != ids[1]
    for found in ids:
        # With what a StatefulSet adds for a label of its Pods, it is a label still.
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?", found)


def test_a_speed_is_max_or_a_positive_number():
    assert (parse_speed("max"), parse_speed("1"), parse_speed("0.5")) == ("max", 1.0, 0.5)
    for text in ("0", "-1", "fast", "nan", "inf", ""):
        with pytest.raises(ValueError, match="expected max, or a number above 0"):
            parse_speed(text)


def feed_from(day: str, **feed: Any) -> PlatformSettings:
    return PlatformSettings(feed=Feed.model_validate(feed or {"kind": "sim"}), trade_from=date.fromisoformat(day))


def test_a_contract_that_leads_beyond_its_calendar_is_refused():
    (found,) = refusals(strategy(instrument="MESU2030"))
    assert found == (
        "TradingStrategy default/flow: spec.instrument: got 'MESU2030', expected a contract that leads on a day of the "
        "calendar cme: 2013-01-01 through 2027-12-31"
    )


def test_a_contract_that_has_expired_is_refused():
    (found,) = refusals(strategy(instrument="MESM2025"), platform=feed_from("2025-06-23"))
    assert found == (
        "TradingStrategy default/flow: spec.instrument: got 'MESM2025', expected a contract that trades on 2025-06-23, "
        "or the root MES: MESM2025 ends on 2025-06-20 at the latest"
    )


def test_a_contract_that_expires_within_a_simulated_feed_is_refused_and_its_root_is_not():
    long = feed_from("2025-06-10", kind="sim", sessions=10)
    (found,) = refusals(strategy(instrument="MESM2025"), platform=long)
    assert "expected a contract that trades on 2025-06-23" in found
    assert plan_of(strategy(), platform=long).strategies
    assert plan_of(strategy(instrument="MESM2025"), platform=feed_from("2025-06-10", kind="sim", sessions=9)).strategies


def test_a_contract_of_another_exchange_is_refused_after_its_month():
    gold = strategy("gold", instrument="GCZ2013", account={"name": "a"}, **FIXED)
    platform = feed_from("2014-01-02", kind="file", files=[{"name": "gold.csv", "contract": "GCZ2013"}])
    (found,) = refusals(gold, account("a", tiers=[]), platform=platform)
    assert found.endswith("expected a contract that trades on 2014-01-02: GCZ2013 ends on 2013-12-31 at the latest")
