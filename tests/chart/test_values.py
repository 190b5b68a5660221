"""Values that the chart refuses, with what a user is told, and values that are described."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from helm_python import Chart, HelmRenderError, HelmValuesError

from tests.chart.rendering import CHART, cases, render, values_of

SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())


def refusal(values: dict[str, Any]) -> str:
    with Chart.load(CHART) as chart, pytest.raises(HelmValuesError) as refused:
        chart.validate_schema(chart.merge_values(values))
    return str(refused.value)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"fed": {}}, "at '': additional properties 'fed' not allowed"),
        ({"feed": {"kind": "live"}}, "at '/feed/kind': value must be one of 'sim', 'file', 'catalog', 'push'"),
        ({"feed": {"sed": 3}}, "at '/feed': additional properties 'sed' not allowed"),
        ({"feed": {"speed": 0}}, "at '/feed/speed': exclusiveMinimum: got 0, want 0"),
        ({"feed": {"speed": "fast"}}, "at '/feed/speed': value must be 'max'"),
        ({"feed": {"kind": "file"}}, "at '/feed/files': minItems: got 0, want 1"),
        ({"feed": {"kind": "file"}}, "at '/feed/existingClaim': minLength: got 0, want 1"),
        ({"feed": {"kind": "catalog"}}, "at '/feed/existingClaim': minLength: got 0, want 1"),
        ({"feed": {"folder": "ticks"}}, "at '/feed/folder': maxLength: got 5, want 0"),
        ({"feed": {"kind": "catalog", "existingClaim": "a", "folder": "../b"}}, "at '/feed/folder': '../b' does not"),
        ({"feed": {"files": [{"name": "a", "contract": "MES"}]}}, "at '/feed/files': maxItems: got 1, want 0"),
        ({"feed": {"instruments": []}}, "at '/feed/instruments': minItems: got 0, want 1"),
        ({"feed": {"kind": "push"}}, "at '/feed/tradeFrom': minLength: got 0, want 1"),
        ({"feed": {"mode": "paper"}}, "at '/feed/mode': value must be one of 'replay', 'live'"),
        ({"feed": {"mode": "live", "tradeFrom": "2025-06-10"}}, "at '/feed/tradeFrom': maxLength: got 10, want 0"),
        ({"feed": {"clockRate": 60}}, "at '/feed/clockRate': value must be 1"),
        ({"feed": {"kinds": {"NQ": "push"}}}, "at '/feed/kinds': maxProperties: got 1, want 0"),
        ({"feed": {"mode": "live", "kind": "push", "shift": "session"}}, "at '/feed/shift': value must be 'none'"),
        (
            {"feed": {"mode": "live", "kind": "catalog", "existingClaim": "a"}},
            "at '/feed/shift': value must be 'recorded'",
        ),
        ({"feed": {"tradeFrom": "June"}}, "at '/feed/tradeFrom': 'June' does not match pattern"),
        ({"image": {"tag": "latest"}}, "at '/image/tag': 'not' failed"),
        ({"image": {"digest": "sha256:12"}}, "at '/image/digest': 'sha256:12' does not match pattern"),
        ({"namespaces": []}, "at '/namespaces': minItems: got 0, want 1"),
        ({"namespaces": [{"accounts": []}]}, "at '/namespaces/0': missing property 'name'"),
        ({"namespaces": [{"name": "Desk"}]}, "at '/namespaces/0/name': 'Desk' does not match pattern"),
        ({"token": {"master": "short"}}, "at '/token/master': 'short' does not match pattern"),
        ({"nats": {"mode": "external"}}, "at '/nats/external/url': minLength: got 0, want 1"),
        ({"nats": {"mode": "external"}}, "at '/nats/existingSecret': minLength: got 0, want 1"),
        ({"nats": {"streamReplicas": 3}}, "at '/nats/streamReplicas': maximum: got 3, want 1"),
        ({"nats": {"maxStoreBytes": 1024}}, "at '/nats/maxStoreBytes': minimum: got 1,024, want 2.147483648"),
        ({"nats": {"external": {"url": "nats://u:p@host"}}}, "at '/nats/external/url'"),
        ({"nats": {"passwords": {"ingestion": "short"}}}, "at '/nats/passwords/ingestion': minLength: got 5, want 12"),
        ({"postgresql": {"mode": "external"}}, "at '/postgresql/external/url': minLength: got 0, want 1"),
        ({"postgresql": {"external": {"url": "postgresql://u@h/d"}}}, "at '/postgresql/external/url'"),
        ({"postgresql": {"storage": {"size": "many"}}}, "at '/postgresql/storage/size': 'many' does not match pattern"),
        ({"tls": {"mode": "certManager"}}, "at '/tls/certManager/issuerRef/name': minLength: got 0, want 1"),
        ({"operator": {"replicas": 0}}, "at '/operator/replicas': minimum: got 0, want 1"),
        ({"ingestion": {"replicas": 2}}, "at '/ingestion': additional properties 'replicas' not allowed"),
        ({"accountVolumes": {"accessMode": "ReadWriteMany"}}, "at '/accountVolumes/accessMode': value must be one of"),
        ({"networkPolicies": {"venueCidrs": ["broker.example"]}}, "at '/networkPolicies/venueCidrs/0'"),
        ({"monitoring": {"otlpEndpoint": "collector:4317"}}, "at '/monitoring/otlpEndpoint'"),
    ],
)
def test_a_wrong_value_is_refused_by_name(values, told):
    assert told in refusal(values)


@pytest.mark.parametrize("case", cases())
def test_the_values_that_the_chart_keeps_are_accepted(case):
    with Chart.load(CHART) as chart:
        chart.validate_schema(chart.merge_values(values_of(case)))


def test_traders_secrets_are_not_made_from_a_secret_that_nobody_can_see():
    values = {"token": {"existingSecret": "vault"}}
    with pytest.raises(HelmRenderError) as refused:
        render(values)
    told = str(refused.value)
    assert "there is no Secret vault in leadline-system" in told
    assert "namespaces[].createSecrets: false" in told
    # Whoever makes them says so.
    render({**values, "namespaces": [{"name": "desk", "createSecrets": False}]})


def described(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}{name}", inner
        yield from described(inner, f"{path}{name}.")
        if inner.get("type") == "array":
            yield from described(inner["items"], f"{path}{name}[].")


def test_every_value_is_described_in_a_sentence():
    silent = [name for name, inner in described(SCHEMA) if not inner.get("description", "").endswith(".")]
    assert silent == []


def test_every_section_of_ours_refuses_what_it_does_not_know():
    free_form = {"affinity", "spec", "labels", "resources", "passwords", "nodeSelector", "podAnnotations", "global"}
    free_form |= {"instruments", "calendars"}  # by symbol and by name; the rows are read by every service
    free_form |= {"kinds"}  # by symbol; what stands there is one of two words
    open_ones = [
        name
        for name, inner in described(SCHEMA)
        if inner.get("type") == "object"
        and inner.get("additionalProperties") is not False
        and name.split(".")[-1] not in free_form
    ]
    assert open_ones == []


def test_every_value_of_the_schema_stands_in_the_values_file():
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())

    def known(names: list[str], within: Any) -> bool:
        for name in names:
            if name.endswith("[]"):
                within = within.get(name[:-2])
                if not within:
                    return True  # a list that is empty by default shows nothing of its items
                within = within[0]
            elif name not in within:
                return False
            else:
                within = within[name]
        return True

    missing = [name for name, _ in described(SCHEMA) if not known(name.split("."), defaults)]
    assert missing == ["global"]
