"""What checks say of the facts of a cluster."""

from collections.abc import Iterable
from dataclasses import replace

from leadline.views.doctor import cluster
from leadline.views.doctor.checkup import BUS, DATABASE, TRADING
from leadline.views.doctor.cluster import (
    KINDS,
    NAMESPACE_SECRETS,
    WANTED_RIGHTS,
    Cluster,
    Kind,
    Pod,
    Resource,
    findings_in_cluster,
)
from leadline.views.doctor.facts import Finding, Missing, Services
from tests.views.test_doctor import BOOK, TRADED, WIRE

SOUND = Cluster(
    namespace="desk",
    user="ann",
    server="v1.36.0",
    rights=dict.fromkeys(WANTED_RIGHTS, True),
    kinds=dict.fromkeys(KINDS, Kind("0.1.0", ("v1alpha1",))),
    secrets=dict.fromkeys(NAMESPACE_SECRETS, True),
    pods=(Pod("desk", "execution-a-0", "Running", ready=True, restarts=0, why=""),),
    claims={"desk/data-execution-a-0": "Bound"},
    charts={"leadline-system/leadline-risk": "0.1.0"},
    resources=(Resource("TradingAccount", "a", "Running", ready=True, why=""),),
    services=Services({"execution-desk-a": "serving"}),
    halts=(),
    cli="0.1.0",
    accepted={"leadline-nats/execution": True, "leadline-database/execution": True},
    database=BOOK,
    bus=WIRE,
    trading=TRADED,
)
MISSING = Missing("the Pods may not be looked at with these rights", "ask who runs the cluster")


def bad(findings: Iterable[Finding]) -> list[tuple[str, str, str]]:
    return [(each.subject, each.state, each.text) for each in findings if each.state != "OK"]


def test_nothing_is_wrong_with_a_sound_cluster():
    found = findings_in_cluster(SOUND)
    assert bad(found) == []
    servers = {"database-durability", "schema", "bus-durability", "clock-offset", "calendar-horizon", "margins"}
    assert {each.check for each in found} >= servers
    assert {check for check, _ in [*DATABASE, *BUS, *TRADING]} <= {each.check for each in found}


def test_a_password_that_is_refused_is_named_by_its_secret_and_key():
    accepted = {"leadline-nats/execution": False, "leadline-database/execution": True}
    [(subject, state, text)] = bad(cluster.acceptance(replace(SOUND, accepted=accepted)))
    assert (subject, state) == ("leadline-nats/execution", "WRONG")
    assert text == ("the password in leadline-nats/execution of desk is refused: what uses it cannot start again")


def test_a_right_that_is_missing_says_what_for():
    rights = {**SOUND.rights, "create pods/portforward": False}
    [(subject, state, text)] = bad(cluster.rights(replace(SOUND, rights=rights)))
    assert (subject, state) == ("create pods/portforward", "WRONG")
    assert text == "ann may not create pods/portforward in desk, which is needed to reach the services"


def test_kinds_that_are_missing_old_or_not_served():
    kinds = {"tradingstrategies": Kind("0.0.9", ("v1alpha1",)), "tradingaccounts": Kind("", ("v1",))}
    assert bad(cluster.kinds(replace(SOUND, kinds=kinds))) == [
        (
            "tradingstrategies",
            "WARNING",
            "tradingstrategies.leadline.dev is of the chart 0.0.9, and this program is 0.1.0",
        ),
        ("tradingaccounts", "WRONG", "tradingaccounts.leadline.dev is not served as v1alpha1"),
        ("backtests", "WRONG", "the cluster has no kind backtests.leadline.dev"),
    ]


def test_a_secret_that_is_gone_and_one_that_nobody_may_see():
    found = bad(cluster.secrets(replace(SOUND, secrets={"leadline-token": True, "leadline-nats": False})))
    assert found == [
        ("leadline-nats", "WRONG", "desk has no Secret leadline-nats"),
        ("leadline-database", "UNKNOWN", "ann may not see whether desk has the Secret leadline-database"),
    ]


def test_a_pod_that_is_not_ready_says_why_and_one_that_is_done_is_fine():
    pods = (
        Pod("desk", "execution-a-0", "Pending", ready=False, restarts=2, why="execution: CrashLoopBackOff"),
        Pod("desk", "backtest-1", "Succeeded", ready=False, restarts=0, why="PodCompleted"),
    )
    assert bad(cluster.pods(replace(SOUND, pods=pods))) == [
        (
            "desk/execution-a-0",
            "WRONG",
            "the Pod desk/execution-a-0 is pending and not ready (execution: CrashLoopBackOff) after 2 restarts",
        )
    ]
    assert [state for _, state, _ in bad(cluster.pods(replace(SOUND, pods=())))] == ["WARNING"]


def test_a_claim_that_is_not_bound_is_wrong():
    [(subject, state, _)] = bad(cluster.claims(replace(SOUND, claims={"desk/data": "Pending", "desk/more": "Bound"})))
    assert (subject, state) == ("desk/data", "WRONG")


def test_a_platform_of_another_version_is_a_warning():
    [(subject, state, text)] = bad(cluster.versions(replace(SOUND, charts={"leadline-system/risk": "0.2.0"})))
    assert (subject, state) == ("leadline-system/risk", "WARNING")
    assert "is version 0.2.0, and this program is 0.1.0" in text


def test_a_strategy_that_is_not_ready_is_told_with_its_own_words():
    waiting = Resource("TradingStrategy", "mes", "Pending", ready=False, why="no account paper")
    [(subject, state, text)] = bad(cluster.resources(replace(SOUND, resources=(waiting,))))
    assert (subject, state) == ("mes", "WARNING")
    assert text == "the TradingStrategy mes is not ready, it is Pending: no account paper"


def test_the_credentials_of_accounts_that_trade_for_real():
    live = replace(SOUND.resources[0], live=True, secret="prop-1")  # type: ignore[index]
    accounts = (live, replace(live, name="b", secret=""), replace(live, name="c", secret="other"))
    found = bad(cluster.credentials(replace(SOUND, resources=accounts, secrets={"prop-1": True, "other": False})))
    assert [(subject, state) for subject, state, _ in found] == [("b", "WRONG"), ("c", "WRONG")]
    [(subject, state, _)] = bad(cluster.credentials(replace(SOUND, resources=(live,), secrets={})))
    assert (subject, state) == ("a", "UNKNOWN")


def test_halts_are_told_and_unknown_where_no_service_answers():
    halted = replace(SOUND, halts=(("desk/a", "halt 3 (person): news"),))
    assert bad(cluster.halts(halted)) == [("desk/a", "WARNING", "desk/a takes no entries: halt 3 (person): news")]
    assert [state for _, state, _ in bad(cluster.halts(replace(SOUND, services=MISSING)))] == ["UNKNOWN"]


def test_what_may_not_be_seen_is_unknown_in_every_check():
    blind = replace(
        SOUND,
        kinds=MISSING,
        secrets=MISSING,
        pods=MISSING,
        claims=MISSING,
        charts=MISSING,
        resources=MISSING,
        services=MISSING,
        accepted=MISSING,
        database=MISSING,
        bus=MISSING,
        trading=MISSING,
    )
    found = findings_in_cluster(blind)
    assert {each.state for each in found if each.check != "cluster-rights"} == {"UNKNOWN"}
    assert {each.text for each in found if each.state == "UNKNOWN"} == {MISSING.why}
