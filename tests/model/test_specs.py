"""The two manifests' models: defaults, structural schema, change classes, and what follows from a manifest."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from leadline.execution.venues.paper.venue import PaperVenue
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.manifest.specs import (
    Bracket,
    Change,
    Distances,
    InvalidManifest,
    Manifest,
    StrategySpec,
    TradingAccount,
    TradingStrategy,
    bracket_of,
    change_class,
    default_account,
    distances_of,
    history_needed,
    hot_fields,
    load_manifests,
    rollout_fields,
    session_of,
    thresholds_of,
)
from leadline.model.ticks import NS_PER_MINUTE as MINUTE
from leadline.nodes.base import Thresholds

MODELS = (TradingStrategy, TradingAccount)


def strategy(spec: str = "instrument: MES") -> TradingStrategy:
    """A strategy from the inside of its spec, one field a line."""
    lines = "\n".join(f"  {line}" for line in spec.splitlines())
    text = f"apiVersion: leadline.dev/v1alpha1\nkind: TradingStrategy\nmetadata: {{name: s}}\nspec:\n{lines}"
    (found,) = load_manifests(text)
    assert isinstance(found, TradingStrategy)
    return found


def nodes(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema inside a schema, with its path."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key], f"{path}[]")


def test_a_strategy_needs_only_its_instrument():
    assert strategy().spec.to_manifest() == {
        "state": "Running",
        "mode": "Paper",
        "acknowledgeLive": False,
        "account": {"name": "paper"},
        "instrument": "MES",
        "session": {"name": "rth"},
        "bars": "5m",
        "ticksPerRow": 1,
        "history": 5,
        "series": [],
        "strategy": {
            "name": "OrderFlow",
            "detectors": {
                "imbalance": {"enabled": True, "ratio": "3", "zero": "AsOne"},
                "stacked": {"enabled": True, "levels": 3},
                "exhaustion": {"enabled": True, "levels": 3, "within": 5, "drop": "0.3"},
                "absorption": {"enabled": True, "levels": 3, "share": "0.6"},
                "divergence": {"enabled": True, "lookback": 5, "source": "Bar"},
                "unfinished": {"enabled": True, "keep": 50},
            },
            "filters": [],
            "router": {"minStrength": "0.5", "minConfidence": "0.6"},
            "parameters": {},
        },
        "entries": {
            "type": "Market",
            "offsetTicks": 0,
            "validFor": "day",
            "partialFor": "15s",
            "afterOpen": "5m",
            "beforeClose": "15m",
            "blocks": [],
            "news": [],
        },
        "flattenBeforeClose": "5m",
        "sizing": {
            "mode": "Tiered",
            "maxSize": 2,
            "modifiers": ["Stacked", "Trending", "WinStreak", "LossStreak"],
            "respectDayBudget": True,
        },
        "risk": {"maxOrdersPerSecond": 5},
        "updatePolicy": "WhenFlat",
        "suspendPolicy": {"workingOrders": "Cancel", "positions": "Keep"},
        "deletionPolicy": {
            "workingOrders": "Cancel",
            "positions": "Refuse",
            "timeoutSeconds": 120,
            "onTimeout": "Retain",
        },
        "resources": {},
        "restartNonce": 0,
    }


def test_the_default_account_is_paper_with_2500_and_five_tiers():
    account = default_account("team")
    assert account.full_name == "team/paper"
    assert account.spec.to_manifest() == {
        "environment": "Paper",
        "venue": "paper",
        "credentials": {},
        "currency": "USD",
        "startingBalance": "2500",
        "paper": {"fillRule": "Pessimistic", "slippageTicks": 1, "brackets": "Native", "latency": "50ms"},
        "commission": {},
        "tiers": [
            {"from": "0", "execute": "MES", "minSize": 1, "maxSize": 3, "dayLoss": "100"},
            {"from": "3500", "execute": "ES", "minSize": 1, "maxSize": 1, "dayLoss": "400"},
            {"from": "5000", "execute": "ES", "minSize": 1, "maxSize": 2, "dayLoss": "400"},
            {"from": "7500", "execute": "ES", "minSize": 1, "maxSize": 3, "dayLoss": "500"},
            {"from": "10000", "execute": "ES", "minSize": 1, "maxSize": 3, "dayLoss": "500"},
        ],
        "pendingEntries": "Independent",
        "limits": {"maxOrdersPerSecond": 5, "allowedContracts": []},
        "marginLimits": {},
        "overnightGapTicks": {},
        "noStopRiskTicks": {},
        "allowedNamespaces": [],
        "halt": False,
    }
    assert PaperVenue().section_of(account.spec).latency_ns == 50_000_000


@pytest.mark.parametrize("model", MODELS)
def test_what_is_written_out_loads_to_the_same_manifest(model):
    found: Manifest = strategy() if model is TradingStrategy else default_account()
    assert load_manifests(json.dumps(found.to_manifest())) == [found]


@pytest.mark.parametrize("model", MODELS)
def test_the_schema_is_structural(model):
    text = json.dumps(model.model_json_schema())
    for forbidden in ("anyOf", "oneOf", "allOf", "null", "$ref", "$defs", '"const"', '"additionalProperties": false'):
        assert forbidden not in text
    for path, schema in nodes(model.model_json_schema()):
        assert isinstance(schema.get("type"), str), f"{path} has not exactly one type"


@pytest.mark.parametrize("model", MODELS)
def test_every_field_is_described_bounded_and_has_a_change_class(model):
    for path, schema in nodes(model.model_json_schema()):
        match schema["type"]:
            case "string":
                assert "enum" in schema or "maxLength" in schema, f"{path} has no bound"
            case "array":
                assert "maxItems" in schema, f"{path} has no bound"
            case "integer":
                assert {"minimum", "maximum"} <= schema.keys(), f"{path} has no bound"
            case "object":
                assert "properties" in schema or "maxProperties" in schema, f"{path} has no bound"
        if path.endswith("[]") or not path:
            continue
        assert schema["description"], f"{path} has no description"
        if path.startswith(".spec."):
            assert schema["x-leadline-change"] in set(Change), f"{path} has no change class"


def test_only_parameters_and_resources_are_free_form():
    key = "x-kubernetes-preserve-unknown-fields"
    free = [path for path, schema in nodes(TradingStrategy.model_json_schema()) if key in schema]
    assert free == [".spec.strategy.parameters", ".spec.resources"]


def test_the_schema_names_what_is_required():
    schema = TradingStrategy.model_json_schema()
    required = {path: node["required"] for path, node in nodes(schema) if "required" in node}
    assert required == {
        "": ["metadata", "spec"],
        ".metadata": ["name"],
        ".spec": ["instrument"],
        ".spec.account": ["name"],
        ".spec.series[]": ["name", "bars"],
        ".spec.strategy.filters[]": ["series"],
        ".spec.entries.blocks[]": ["from", "to"],
        ".spec.entries.news[]": ["at"],
        ".spec.bracket.trail": ["triggerTicks", "offsetTicks"],
    }


def test_the_default_of_a_choice_sits_on_the_object():
    spec = TradingStrategy.model_json_schema()["properties"]["spec"]["properties"]
    assert spec["session"]["default"] == {"name": "rth"}
    assert "default" not in spec["session"]["properties"]["name"]
    assert spec["strategy"]["default"]["name"] == "OrderFlow"
    assert "default" not in spec["strategy"]["properties"]["name"]
    assert "default" not in spec["sizing"]["properties"]["size"]


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("state", Change.HOT),
        ("mode", Change.ROLLOUT_SUSPENDED),
        ("acknowledgeLive", Change.IGNORE),
        ("account.namespace", Change.ROLLOUT_SUSPENDED),
        ("instrument", Change.ROLLOUT),
        ("session.open", Change.ROLLOUT),
        ("bars", Change.ROLLOUT),
        ("ticksPerRow", Change.ROLLOUT),
        ("history", Change.ROLLOUT),
        ("series", Change.ROLLOUT),
        ("spec.strategy.detectors.imbalance.minVolume", Change.ROLLOUT),
        ("strategy.parameters.anything.at.all", Change.ROLLOUT),
        ("entries.blocks[0].from", Change.HOT),
        ("flattenBeforeClose", Change.HOT),
        ("sizing.maxSize", Change.HOT),
        ("bracket.stopTicks", Change.HOT),
        ("risk.dayLoss", Change.HOT),
        ("updatePolicy", Change.IGNORE),
        ("suspendPolicy.positions", Change.IGNORE),
        ("deletionPolicy.onTimeout", Change.IGNORE),
        ("image", Change.ROLLOUT),
        ("resources.limits", Change.ROLLOUT),
        ("restartNonce", Change.ROLLOUT),
    ],
)
def test_what_a_change_of_a_field_means(path, change):
    assert change_class(path) is change


def test_the_change_class_of_a_field_that_does_not_exist_is_unknown():
    with pytest.raises(Unknown):
        change_class("spec.risk.dayLos")
    with pytest.raises(Unknown):
        change_class("tiers", "Strategy")


def test_account_limits_are_hot_and_what_its_book_is_kept_in_never_changes():
    assert change_class("limits.dayLoss", "TradingAccount") is Change.HOT
    assert change_class("tiers[0].execute", "TradingAccount") is Change.HOT
    assert change_class("paper.fillRule", "TradingAccount") is Change.ROLLOUT
    for field in ("environment", "venue", "currency"):
        assert change_class(field, "TradingAccount") is Change.FIXED


def test_rollout_hot_and_ignored_fields_make_up_the_spec():
    found = strategy()
    rollout, hot = rollout_fields(found), hot_fields(found)
    assert not rollout.keys() & hot.keys()
    assert set(found.spec.to_manifest()) - rollout.keys() - hot.keys() == {
        "acknowledgeLive",
        "updatePolicy",
        "suspendPolicy",
        "deletionPolicy",
    }


def test_writing_a_default_out_does_not_change_the_rollout_fields():
    plain = strategy()
    explicit = strategy(
        'instrument: MES\nbars: 5m\nstrategy: {name: OrderFlow, detectors: {imbalance: {ratio: "3.00"}}}'
    )
    assert json.dumps(rollout_fields(explicit)) == json.dumps(rollout_fields(plain))


def test_a_hot_change_leaves_the_rollout_fields_alone():
    changed = strategy("instrument: MES\nbracket: {stopTicks: 8, targetTicks: 8}")
    assert rollout_fields(changed) == rollout_fields(strategy())
    assert hot_fields(changed) != hot_fields(strategy())


def test_the_rollout_fields_are_a_spec_again():
    found = strategy("instrument: MES\nticksPerRow: 2\nhistory: 3")
    again = StrategySpec.model_validate_json(json.dumps(rollout_fields(found)))
    assert (again.instrument, again.ticks_per_row, again.history) == ("MES", 2, 3)


def test_names_have_their_namespace():
    found = strategy("instrument: MES\naccount: {name: prop, namespace: desk}")
    assert (found.full_name, found.account_name) == ("default/s", "desk/prop")
    assert strategy().account_name == "default/paper"


def test_decimals_are_exact():
    assert strategy('instrument: MES\nrisk: {dayLoss: "0.1"}').spec.risk.day_loss == Decimal("0.1")


@pytest.mark.parametrize(("minutes", "name"), [("60m", "1h"), ("240m", "4h"), ("1440m", "1d"), ("75m", "75m")])
def test_bars_of_one_length_are_one_field_however_they_are_spelt(minutes, name):
    asked, named = (strategy(f"instrument: MES\nbars: {bars}\nhistory: 40") for bars in (minutes, name))
    assert asked.spec.to_manifest()["bars"] == name
    assert rollout_fields(asked) == rollout_fields(named)


def test_thresholds_and_bracket_come_from_the_sheet_where_the_manifest_is_silent():
    assert thresholds_of(strategy().spec) == Thresholds(5, 30, 500)
    assert bracket_of(strategy().spec) == Bracket(stop_ticks=16, target_ticks=24)
    changed = strategy(
        "instrument: MES\nbracket: {stopTicks: 8, targetTicks: 9}\n"
        "strategy: {name: OrderFlow, detectors: {absorption: {minVolume: 77}}}"
    )
    assert thresholds_of(changed.spec) == Thresholds(5, 30, 500)
    assert bracket_of(changed.spec) == Bracket(stop_ticks=8, target_ticks=9)


def test_an_instrument_without_a_profile_takes_the_manifests_thresholds():
    found = strategy(
        "instrument: BTCUSDT\nbars: 1m\nbracket: {stopTicks: 500, targetTicks: 750}\n"
        "strategy: {name: OrderFlow, detectors: {imbalance: {minVolume: 2000}, absorption: {minVolume: 9000}}}"
    )
    assert thresholds_of(found.spec) == Thresholds(2000, 9000, 200_000)
    rollout = StrategySpec.model_validate_json(json.dumps(rollout_fields(found)))
    assert thresholds_of(rollout) == thresholds_of(found.spec)  # without a bracket


def test_a_class_of_ones_own_needs_no_thresholds_of_the_detectors():
    own = "strategy: {entryPoint: 'acme:Own'}\nbracket: {stopTicks: 500, targetTicks: 750}\n"
    assert strategy(f"instrument: BTCUSDT\n{own}").spec.bracket is not None
    with pytest.raises(InvalidManifest, match=r"spec\.bracket"):
        strategy("instrument: BTCUSDT\nstrategy: {entryPoint: 'acme:Own'}\n")


BITCOIN = (
    "instrument: BTCUSDT\nstrategy: {entryPoint: 'acme:Own'}\nbracket: {stopTicks: 500, targetTicks: 750}\n"
    "sizing: {mode: Fixed, size: 1}\n"
)


def test_a_market_that_never_closes_has_no_ends_to_stay_away_from():
    assert distances_of(strategy(BITCOIN).spec) == Distances(0, None, None)
    assert distances_of(strategy().spec) == Distances(5 * MINUTE, 15 * MINUTE, 5 * MINUTE)
    assert distances_of(strategy(f"{BITCOIN}entries: {{beforeClose: 0s}}\nflattenBeforeClose: 0s").spec) == (
        Distances(0, None, None)
    )


OWN_CLASS = "instrument: MES\nstrategy: {entryPoint: 'acme:Own'}\n"


def test_all_series_have_one_order_in_which_the_own_bars_are_the_last():
    found = strategy(
        f"{OWN_CLASS}bars: 5m\nhistory: 2\n"
        "series: [{name: trend, bars: 60m, ticksPerRow: 4, history: 9}, {name: fast, bars: 1m}]"
    ).spec
    assert [(each.name, each.token, each.history) for each in found.all_series] == [
        ("fast", "1m-r1", 5),
        ("trend", "1h-r4", 9),
        ("main", "5m-r1", 2),
    ]
    assert found.longest_history == 9


@pytest.mark.parametrize(
    ("series", "field", "expected"),
    [
        ("[{name: a, bars: 'ticks:500'}]", "[0].bars", "minutes from 1m to 1440m such as 5m or 75m, or 1h, 4h, 1d"),
        ("[{name: a, bars: 5m}]", "[0].bars", "other bars or another ticksPerRow than the series main has"),
        ("[{name: a, bars: 60m}, {name: b, bars: 1h}]", "[1].bars", "other bars or another ticksPerRow than the"),
        ("[{name: main, bars: 60m}]", "[0].name", "a name that no other series has: main are the strategy's own"),
        ("[{name: A, bars: 60m}]", "[0].name", "a DNS label: lower-case letters, digits and dashes, at most 20"),
    ],
)
def test_a_series_that_is_none_of_its_own_is_refused(series, field, expected):
    with pytest.raises(InvalidManifest, match=re.escape(f"spec.series{field}: got ") + ".*expected " + expected):
        strategy(f"{OWN_CLASS}series: {series}")


def test_bars_of_another_row_height_are_another_series():
    assert strategy(f"{OWN_CLASS}series: [{{name: wide, bars: 5m, ticksPerRow: 4}}]").spec.series


HOURS = "instrument: MES\nseries: [{name: hours, bars: 60m, history: 5}]\n"


def test_filters_read_further_series_and_the_own_bars():
    found = strategy(
        f"{HOURS}strategy: {{name: OrderFlow, filters: [{{series: hours, regimes: {{}}, trend: {{slow: 30}}}},"
        " {series: main, trend: {}}]}"
    ).spec
    assert [(each.series, [kind.name for kind, _ in each.chosen()]) for each in found.strategy.filters] == [
        ("hours", ["regimes", "trend"]),
        ("main", ["trend"]),
    ]
    assert (history_needed(found, "hours"), history_needed(found)) == (5, 1)


@pytest.mark.parametrize(
    ("filters", "field", "expected"),
    [
        ("[]", "series[0].name", "the series of an entry of strategy.filters: OrderFlow reads no other one"),
        ("[{series: days, trend: {}}]", "strategy.filters[0].series", "one of hours, main: a series of spec.series"),
        (
            "[{series: hours, trend: {}}, {series: hours, regimes: {}}]",
            "strategy.filters[1].series",
            "a series that no entry before has: put its filters into one",
        ),
        ("[{series: hours}]", "strategy.filters[0]", "at least one filter: regimes, trend"),
        ("[{series: hours, trend: {fast: 21}}]", "strategy.filters[0].trend", "slow of more bars than fast"),
        (
            "[{series: hours, trend: {slow: 36}}]",
            "series[0].history",
            "at least 6 sessions, so that 36 bars of 1h warm the indicators up",
        ),
        (
            "[{series: hours, trend: {}}, {series: main, trend: {slow: 500}}]",
            "history",
            "at least 7 sessions, so that 500 bars of 5m warm the indicators up",
        ),
        ("[{series: hours, tend: {}}]", "strategy.filters[0].tend", "no such field; did you mean trend?"),
    ],
)
def test_filters_that_cannot_be_asked_are_refused(filters, field, expected):
    with pytest.raises(InvalidManifest, match=re.escape(f"spec.{field}: got ") + ".*" + re.escape(expected)):
        strategy(f"{HOURS}strategy: {{name: OrderFlow, filters: {filters}}}")


@pytest.mark.parametrize(
    ("logic", "field"),
    [
        ('router: {regimes: {RANGING: {multiplier: "1001"}}}', "router.regimes.RANGING.multiplier"),
        (
            'filters: [{series: main, trend: {}, regimes: {NO_TRADE: {multiplier: "1000.5"}}}]',
            "filters[0].regimes.NO_TRADE.multiplier",
        ),
    ],
)
def test_a_factor_of_the_size_is_at_most_a_thousand(logic, field):
    with pytest.raises(InvalidManifest, match=re.escape(f"spec.strategy.{field}: got '100") + ".*at most 1000"):
        strategy(f"instrument: MES\nstrategy: {{name: OrderFlow, {logic}}}")
    strategy(f"instrument: MES\nstrategy: {{name: OrderFlow, {logic.replace('1001', '1000').replace('.5', '')}}}")


def test_a_class_of_one_s_own_asks_no_filter():
    with pytest.raises(InvalidManifest, match=r"spec.strategy.filters: got \['main'\], expected none with entryPoint"):
        strategy("instrument: MES\nstrategy: {entryPoint: 'acme:Own', filters: [{series: main, trend: {}}]}")


def test_hours_that_are_written_have_an_open_and_a_close_on_every_market():
    day = strategy(f'{BITCOIN}session: {{open: "08:00", close: "16:00", zone: UTC}}\nflattenBeforeClose: 20m')
    assert distances_of(day.spec) == Distances(5 * MINUTE, 20 * MINUTE, 20 * MINUTE)
    held = strategy("instrument: MES\nflattenBeforeClose: never")
    assert distances_of(held.spec) == Distances(5 * MINUTE, 15 * MINUTE, None)


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("spec.entries.afterOpen", "entries: {afterOpen: 10m}"),
        ("spec.entries.beforeClose", "entries: {beforeClose: 1h}"),
        ("spec.flattenBeforeClose", "flattenBeforeClose: 1m"),
        ("spec.flattenBeforeClose", "flattenBeforeClose: never"),
    ],
)
def test_a_distance_to_an_end_that_does_not_exist_is_refused_and_not_ignored(field, written):
    with pytest.raises(InvalidManifest, match=rf"{field}: got '.*', expected nothing or 0s: BTCUSDT never closes"):
        strategy(f"{BITCOIN}{written}")


def test_without_a_profile_nothing_is_assumed():
    bare = StrategySpec(instrument="RTY")
    with pytest.raises(InvalidInput, match=r"minVolume: got nothing, expected a volume: RTY has no profile"):
        thresholds_of(bare)
    with pytest.raises(InvalidInput, match=r"spec\.bracket"):
        bracket_of(bare)


@pytest.mark.parametrize(
    ("bars", "session", "sessions"),
    [
        ("5m", "rth", 1),  # 78 bars a session
        ("15m", "rth", 2),  # 26
        ("30m", "rth", 3),  # 13
        ("1h", "rth", 5),  # 7: five sessions have 35
        ("1h", "globex", 2),  # 23
        ("4h", "globex", 6),  # 6
        ("75m", "rth", 6),  # 6: the last one is of a quarter of an hour
        ("1d", "rth", 32),
        ("ticks:500", "rth", 0),
        ("volume:2000", "rth", 0),
    ],
)
def test_history_needed_to_warm_32_bars_up(bars, session, sessions):
    found = strategy(f"instrument: MES\nbars: {bars}\nsession: {{name: {session}}}\nhistory: 40")
    assert history_needed(found.spec) == sessions


def test_a_strategy_of_one_s_own_says_itself_how_much_history_it_needs():
    found = strategy('instrument: MES\nbars: 1d\nhistory: 0\nstrategy: {entryPoint: "my_code:Mine"}')
    assert history_needed(found.spec) == 0
    assert found.spec.history == 0


def test_a_session_written_out_equals_the_named_one():
    written = strategy('instrument: MES\nsession: {open: "09:30", close: "16:00", zone: America/New_York}')
    assert session_of(written.spec) == session_of(strategy().spec)
