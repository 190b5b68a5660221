"""Every refusal in the words that people read: the API server's, and those of a laptop."""

import json

import pytest

from leadline.model.manifest.specs import InvalidManifest, TradingAccount, TradingStrategy, parse_manifest
from leadline.plan.plan import plan
from leadline.plan.platform import Feed, FeedFile, PlatformSettings
from scripts._crd_rules import RULES as KIND_RULES
from scripts.crds import object_schema
from tests.crds.api import Api
from tests.crds.refusals import (
    ACCEPTED,
    CHANGES,
    RULES,
    TOGETHER,
    JsonObject,
    KindName,
    Refusal,
    Together,
    good,
    merged,
)
from tests.crds.violations import violations
from tests.kube.cluster.control_plane import ControlPlane, KubectlFailed

KINDS: tuple[KindName, ...] = ("TradingStrategy", "TradingAccount", "Backtest")
# The specs that a backtest may have written out: what is refused in them is in the tables of their own kinds.
WRITTEN_OUT = ("spec.strategy.spec", "spec.account.spec")
kubernetes = pytest.mark.integration


def laptop(document: JsonObject) -> list[str]:
    """What a laptop has against one manifest."""
    found = parse_manifest(document)
    return [str(problem) for problem in found] if isinstance(found, list) else []


def named(refusals: tuple[Refusal, ...]) -> list[object]:
    return [pytest.param(refusal, id=refusal.what) for refusal in refusals]


@kubernetes
@pytest.mark.parametrize("refusal", named(RULES))
def test_the_api_server_refuses_what_breaks_a_rule(api: Api, refusal: Refusal):
    assert api.refusal(refusal.document) == list(refusal.says)


@pytest.mark.parametrize("refusal", named(RULES))
def test_a_laptop_refuses_what_breaks_a_rule(refusal: Refusal):
    assert laptop(refusal.document) == list(refusal.laptop)


@kubernetes
@pytest.mark.parametrize("refusal", named((RULES[0], RULES[2], RULES[12])))
def test_kubectl_prints_the_lines_of_the_table(kube: ControlPlane, refusal: Refusal):
    with pytest.raises(KubectlFailed) as caught:
        kube.kubectl("create", "-f", "-", input=json.dumps(refusal.document))
    for line in refusal.says:
        assert line in caught.value.output


@kubernetes
@pytest.mark.parametrize("refusal", named(CHANGES))
def test_the_api_server_refuses_changes_of_what_is_fixed(kube: ControlPlane, namespace: str, refusal: Refusal):
    assert refusal.before is not None
    before = merged(good(refusal.kind), refusal.before)
    kube.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(before))
    with pytest.raises(KubectlFailed) as caught:
        kube.kubectl(
            "apply",
            "--server-side",
            "--force-conflicts",
            "-n",
            namespace,
            "-f",
            "-",
            input=json.dumps(refusal.document),
        )
    said = caught.value.output.partition(" is invalid: ")[2].strip()
    assert tuple(line.removeprefix("* ") for line in said.splitlines()) == refusal.says
    assert laptop(refusal.document) == [] or refusal.kind == "TradingAccount"


@kubernetes
def test_mode_and_account_change_while_a_strategy_is_suspended(kube: ControlPlane, namespace: str):
    suspended = merged(good("TradingStrategy"), {"spec": {"state": "Suspended"}})
    kube.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(suspended))
    change = {"spec": {"account": {"name": "other"}}}
    kube.kubectl("patch", "tstrat", "s", "-n", namespace, "--type=merge", "-p", json.dumps(change))
    assert kube.json("get", "tstrat", "s", "-n", namespace)["spec"]["account"] == {"name": "other"}


@kubernetes
@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_refused_in_every_way_that_its_schema_knows(api: Api, kind: KindName):
    unsaid: list[tuple[str, list[str]]] = []
    for violation in violations(object_schema(kind)):
        said = api.refusal(merged(good(kind), violation.change))
        if violation.says not in said:
            unsaid.append((violation.says, said))
    assert unsaid == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_laptop_refuses_whatever_the_schema_refuses(kind: KindName):
    taken = []
    for violation in violations(object_schema(kind)):
        lines = laptop(merged(good(kind), violation.change))
        if not any(line.startswith(violation.field.removesuffix("[0]")) for line in lines):
            taken.append((violation.field, violation.shown, lines))
    assert taken == []


@kubernetes
@pytest.mark.parametrize("kind", KINDS)
def test_a_field_that_nobody_knows_is_refused_by_both(api: Api, kind: KindName):
    document = merged(good(kind), {"spec": {"instrumnet": "MES"}})
    [line] = api.refusal(document)
    assert line.endswith('strict decoding error: unknown field "spec.instrumnet"')
    [line] = laptop(document)
    assert line.startswith("spec.instrumnet: got 'MES', expected no such field; ")


@kubernetes
@pytest.mark.parametrize(("kind", "change"), [pytest.param(kind, change, id=what) for what, kind, change in ACCEPTED])
def test_what_a_laptop_takes_a_cluster_takes(api: Api, kind: KindName, change: JsonObject):
    document = merged(good(kind), change)
    assert laptop(document) == []
    assert api.refusal(document) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_has_every_rule(kind: KindName):
    lines = "\n".join(line for refusal in (*RULES, *CHANGES) if refusal.kind == kind for line in refusal.says)
    for path, rules in KIND_RULES[kind].items():
        for rule in () if path.startswith(WRITTEN_OUT) else rules:
            words = rule.message or max(rule.expression.split("'")[1::2], key=len)
            assert words in lines, rule.must


@pytest.mark.parametrize("case", [pytest.param(case, id=case.what) for case in TOGETHER])
def test_objects_that_cannot_run_together_are_refused_by_the_plan(case: Together):
    assert refused_together(case) == list(case.says)


@kubernetes
@pytest.mark.parametrize("case", [pytest.param(case, id=case.what) for case in TOGETHER])
def test_the_api_server_takes_each_of_them_so_that_their_order_does_not_matter(api: Api, case: Together):
    for kind, change in case.documents:
        document = merged(good(kind), change)
        assert api.refusal(merged(document, {"metadata": {"namespace": None}})) == []


def refused_together(case: Together) -> list[str]:
    """What the manifests are refused with: each by itself, else all of them with the feed."""
    found = [parse_manifest(merged(good(kind), change)) for kind, change in case.documents]
    problems = [str(problem) for each in found if isinstance(each, list) for problem in each]
    if problems:
        return problems
    files = tuple(FeedFile(name=name, contract=name) for name in case.files)
    platform = PlatformSettings(feed=Feed(kind="file" if files else "sim", files=files))
    accounts = [each for each in found if isinstance(each, TradingAccount)]
    strategies = [each for each in found if isinstance(each, TradingStrategy)]
    with pytest.raises(InvalidManifest) as caught:
        plan(platform, accounts, strategies)
    return [str(problem) for problem in caught.value.problems]
