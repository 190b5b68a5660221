"""Reading manifests: every field, every refusal, all problems at once."""

import pickle
from pathlib import Path

import pytest
import yaml

from leadline.model.manifest.manifests import MAX_MANIFEST_BYTES, MOST_MANIFESTS, MOST_PROBLEMS
from leadline.model.manifest.specs import (
    InvalidManifest,
    TradingAccount,
    TradingStrategy,
    bracket_of,
    check_strategy_on_account,
    default_account,
    load_manifests,
    parse_manifest,
)

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

EVERY_FIELD = """
apiVersion: leadline.dev/v1alpha1
kind: TradingStrategy
metadata: {name: mes-orderflow}
spec:
  state: Running
  mode: Paper
  acknowledgeLive: false
  account: {name: paper}
  instrument: MES
  session: {name: rth}
  bars: 5m
  ticksPerRow: 1
  history: 5
  strategy:
    name: OrderFlow
    detectors:
      imbalance: {enabled: true, ratio: "3.0", minVolume: 5, zero: AsOne}
      stacked: {enabled: true, levels: 3}
      exhaustion: {enabled: true, levels: 3, within: 5, drop: "0.30"}
      absorption: {enabled: true, levels: 3, share: "0.60", minVolume: 30}
      divergence: {enabled: true, lookback: 5, source: Bar}
      unfinished: {enabled: true, keep: 50}
    router: {minStrength: "0.5", minConfidence: "0.6", regimes: {RANGING: {multiplier: "0.75", side: Both,
      patterns: [BUYING_ABSORPTION, SELLING_ABSORPTION]}}}
    parameters: {}
  entries: {type: Market, afterOpen: 5m, beforeClose: 15m, blocks: [{from: "12:00", to: "13:00"}],
    news: [{at: "2025-01-10T13:30:00Z", name: Employment report}]}
  flattenBeforeClose: 5m
  sizing: {mode: Tiered, maxSize: 2, modifiers: [Stacked, Trending, WinStreak, LossStreak], respectDayBudget: true}
  bracket: {stopTicks: 16, targetTicks: 24}
  risk: {maxPosition: 2, maxTradesPerDay: 10, dayLoss: "200", maxOrdersPerSecond: 5}
  updatePolicy: WhenFlat
  suspendPolicy: {workingOrders: Cancel, positions: Keep}
  deletionPolicy: {workingOrders: Cancel, positions: Refuse, timeoutSeconds: 120, onTimeout: Retain}
  image: registry.example/strategies@sha256:0123456789abcdef
  resources: {}
  restartNonce: 0
---
apiVersion: leadline.dev/v1alpha1
kind: TradingAccount
metadata: {name: paper}
spec:
  environment: Paper
  venue: paper
  credentials: {}
  currency: USD
  startingBalance: "2500"
  paper: {fillRule: Pessimistic, slippageTicks: 1, latency: 50ms}
  commission: {MES: "1.25"}
  tiers:
  - {from: "0",     execute: MES, minSize: 1, maxSize: 3, dayLoss: "100"}
  - {from: "3500",  execute: ES,  minSize: 1, maxSize: 1, dayLoss: "400"}
  limits: {dayLoss: "300", dayTarget: "500", maxPosition: 2, maxOpenTrades: 1, maxOrdersPerSecond: 5,
    maxEntriesPerHour: 20}
  marginLimits: {MES: "50", ES: "500"}
  allowedNamespaces: []
  halt: false
"""


def strategy_text(spec: str, metadata: str = "{name: s}") -> str:
    return f"apiVersion: leadline.dev/v1alpha1\nkind: TradingStrategy\nmetadata: {metadata}\nspec: {{{spec}}}\n"


def account_text(spec: str, metadata: str = "{name: a}") -> str:
    return f"apiVersion: leadline.dev/v1alpha1\nkind: TradingAccount\nmetadata: {metadata}\nspec: {{{spec}}}\n"


def strategy(spec: str, metadata: str = "{name: s}") -> TradingStrategy:
    (found,) = load_manifests(strategy_text(spec, metadata))
    assert isinstance(found, TradingStrategy)
    return found


def account(spec: str, metadata: str = "{name: a}") -> TradingAccount:
    (found,) = load_manifests(account_text(spec, metadata))
    assert isinstance(found, TradingAccount)
    return found


def problems(text: str) -> list[str]:
    """The lines of the error, without the document's title."""
    with pytest.raises(InvalidManifest) as caught:
        load_manifests(text)
    return [_without_its_place(line) for line in str(caught.value).splitlines()]


def _without_its_place(line: str) -> str:
    return line.split(": ", 2)[2]


def test_a_manifest_with_every_field_is_taken_as_written():
    found = load_manifests(EVERY_FIELD)
    assert [manifest.kind for manifest in found] == ["TradingStrategy", "TradingAccount"]
    strategy, account = found
    assert isinstance(strategy, TradingStrategy)
    assert isinstance(account, TradingAccount)
    check_strategy_on_account(strategy, account)
    assert strategy.spec.risk.max_trades_per_day == 10
    assert strategy.spec.entries.news[0].before == "15m"
    regimes = strategy.spec.strategy.router.regimes
    assert regimes is not None
    assert regimes.ranging is not None
    assert regimes.ranging.patterns == ("BUYING_ABSORPTION", "SELLING_ABSORPTION")
    assert account.spec.limits.max_entries_per_hour == 20


@pytest.mark.parametrize("name", ["mes-orderflow.yaml", "gc-2013-10-08.yaml"])
def test_the_examples_load_and_their_strategy_fits_their_account(name):
    strategy, account = load_manifests(EXAMPLES / name)
    assert isinstance(strategy, TradingStrategy)
    assert isinstance(account, TradingAccount)
    check_strategy_on_account(strategy, account)
    assert bracket_of(strategy.spec).stop_ticks


def test_the_account_of_the_first_example_is_the_default_one():
    _, account = load_manifests(EXAMPLES / "mes-orderflow.yaml")
    assert account == default_account()


def test_all_problems_of_all_documents_come_together():
    text = strategy_text("instrument: MES, bars: 2h, ticksPerRow: 0") + "---\n" + account_text('venue: "X"')
    with pytest.raises(InvalidManifest) as caught:
        load_manifests(text)
    assert str(caught.value).splitlines() == [
        (
            "line 4: TradingStrategy s: spec.bars: got '2h', expected minutes from 1m to 1440m such as 5m or 75m, or "
            "1h, 4h, 1d, or ticks:N up to 999999, or volume:N up to 999999999"
        ),
        "line 4: TradingStrategy s: spec.ticksPerRow: got 0, expected 1 or more",
        "line 9: TradingAccount a: spec.venue: got 'X', expected the name of a venue's adapter, such as paper",
    ]
    assert caught.value.field == "line 4: TradingStrategy s: spec.bars"
    assert len(caught.value.problems) == 3
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("bars: 5m", "spec.instrument: got nothing, expected a value: this field is required"),
        ("instrument: MES, histroy: 3", "spec.histroy: got 3, expected no such field; did you mean history?"),
        (
            "instrument: MES, ticks_per_row: 3",
            "spec.ticks_per_row: got 3, expected no such field; did you mean ticksPerRow?",
        ),
        (
            "instrument: MES, risk: {dayLoss: 200}",
            'spec.risk.dayLoss: got 200, expected the number in quotes, "200"',
        ),
        (
            'instrument: MES, risk: {dayLoss: "-200"}',
            "spec.risk.dayLoss: got '-200', expected a decimal number >= 0 in quotes, such as \"0.25\"",
        ),
        ('instrument: MES, risk: {maxPosition: "2"}', "spec.risk.maxPosition: got '2', expected a whole number"),
        ("instrument: MES, history: 5.5", "spec.history: got 5.5, expected a whole number"),
        ("instrument: MES, acknowledgeLive: 1", "spec.acknowledgeLive: got 1, expected true or false"),
        (
            "instrument: MES, risk: {dayLoss: }",
            "spec.risk.dayLoss: got nothing, expected a value; leave the field out to leave it unset",
        ),
        (
            "instrument: MES, state: Sleeping",
            "spec.state: got 'Sleeping', expected 'Running', 'ReduceOnly' or 'Suspended'",
        ),
        (
            'instrument: MES, entries: {blocks: [{from: 12, to: "13:00"}]}',
            "spec.entries.blocks[0].from: got 12, expected a time HH:MM in quotes, from 00:00 to 23:59, as text",
        ),
        (
            "instrument: MES, entries: {type: Limit, offsetTicks: 1, validFor: {bars: 3}}",
            "spec.entries.validFor: got {bars: 3}, expected day, a length such as 15m, or bars:N, as text",
        ),
        (
            'instrument: MES, entries: {blocks: [{from: "12:00", to: "24:00"}]}',
            "spec.entries.blocks[0].to: got '24:00', expected a time HH:MM in quotes, from 00:00 to 23:59",
        ),
        (
            "instrument: MES, flattenBeforeClose: 5 minutes",
            (
                "spec.flattenBeforeClose: got '5 minutes', expected a whole number with a unit ms, s, m or h, such as"
                " 5m, or never"
            ),
        ),
        (
            'instrument: MES, session: {name: rth, open: "09:30"}',
            "spec.session: got {name: 'rth', open: '09:30'}, expected either a name, or open, close and zone",
        ),
        (
            'instrument: MES, session: {open: "09:30", close: "16:00"}',
            "spec.session: got {open: '09:30', close: '16:00'}, expected either a name, or open, close and zone",
        ),
        (
            'instrument: MES, session: {open: "09:30", close: "16:00", zone: Mars/Base}',
            (
                "spec.session: got {open: '09:30', close: '16:00', zone: 'Mars/Base'}, expected a name of the "
                "IANA time zone database, such as America/New_York"
            ),
        ),
        (
            'instrument: MES, session: {open: "09:30", close: "18:00", zone: America/New_York}',
            (
                "spec.session: got {open: '09:30', close: '18:00', zone: 'America/New_York'}, expected hours "
                "inside 18:00-17:00 America/New_York"
            ),
        ),
        (
            "instrument: SPY, session: {name: globex}",
            "spec.session: got {name: 'globex'}, expected a session of SPY: rth",
        ),
        (
            'instrument: MES, strategy: {detectors: {imbalance: {ratio: "4"}}}',
            "spec.strategy: got {detectors: {imbalance: {ratio: '4'}}}, expected either name or entryPoint",
        ),
        (
            "instrument: MES, strategy: {entryPoint: acme}",
            "spec.strategy.entryPoint: got 'acme', expected module:Class",
        ),
        (
            "instrument: GC",
            (
                "spec.instrument: got 'GC', expected a dated contract such as GCZ2025: this root rolls on "
                "the venue's data, not by a rule"
            ),
        ),
        (
            "instrument: GCZ3",
            (
                "spec.instrument: got 'GCZ3', expected a root of the instrument sheet (ES, MES, NQ, MNQ, "
                "RTY, M2K, YM, MYM, CL, GC, SI, SPY, QQQ, BTCUSDT, BANKNIFTY, GOLDM) or its dated contract, as GCZ2013"
            ),
        ),
        (
            "instrument: MES, bars: 4h",
            "spec.history: got 5, expected at least 16 sessions, so that 32 bars of 4h warm the indicators up",
        ),
        (
            "instrument: MES, sizing: {mode: Fixed}",
            "spec.sizing.size: got nothing, expected a number of contracts with mode Fixed",
        ),
        (
            "instrument: MES, sizing: {size: 1}",
            "spec.sizing.size: got 1, expected no size with mode Tiered",
        ),
        (
            "instrument: MES, sizing: {mode: RiskPercent}",
            "spec.sizing.percent: got nothing, expected a percentage of the equity with mode RiskPercent",
        ),
        (
            "instrument: MES, sizing: {percent: '0.5'}",
            "spec.sizing.percent: got 0.5, expected no percent with mode Tiered",
        ),
        (
            "instrument: MES, sizing: {mode: RiskPercent, percent: '0'}",
            "spec.sizing.percent: got 0, expected more than 0 and at most 100",
        ),
        (
            "instrument: MES, sizing: {mode: RiskPercent, percent: 0.5}",
            'spec.sizing.percent: got 0.5, expected the number in quotes, "0.5"',
        ),
        (
            "instrument: MES, sizing: {mode: Fixed, size: 3}",
            "spec.sizing.size: got 3, expected at most maxSize, 2",
        ),
        (
            "instrument: MES, sizing: {modifiers: [Stacked, Stacked]}",
            "spec.sizing.modifiers: got ['Stacked', 'Stacked'], expected each modifier once",
        ),
        (
            'instrument: MES, entries: {news: [{at: "2025-02-30T13:30:00Z"}]}',
            (
                "spec.entries.news[0].at: got '2025-02-30T13:30:00Z', expected a time in UTC that exists, such as "
                "2025-01-10T13:30:00Z"
            ),
        ),
        (
            "instrument: MES, bracket: {trail: {triggerTicks: 4, offsetTicks: 2}}",
            "spec.bracket.stopTicks: got nothing, expected a stop with trail, which moves it",
        ),
        (
            "instrument: MES, bracket: {targetTicks: 16}, sizing: {mode: RiskPercent, percent: '1'}",
            "spec.bracket.stopTicks: got nothing, expected a stop with sizing.mode RiskPercent, which goes by it",
        ),
        ("instrument: MESF2025", "spec.instrument: got 'MESF2025', expected one of the quarterly months H, M, U, Z"),
        (
            "instrument: MES, entries: {offsetTicks: 4}",
            "spec.entries.offsetTicks: got 4, expected 0 with type Market",
        ),
        (
            "instrument: MES, entries: {validFor: 15m}",
            "spec.entries.validFor: got '15m', expected day with type Market",
        ),
        (
            "instrument: MES, entries: {type: Limit, offsetTicks: 21}",
            "spec.entries.offsetTicks: got 21, expected at most 20, how far MES may be entered from its bar's close",
        ),
        (
            "instrument: MES, bars: 'ticks:500', entries: {type: Stop, validFor: 'bars:2'}",
            "spec.entries.validFor: got 'bars:2', expected day or a length of time with ticks:500 bars",
        ),
        (
            "instrument: MES, bracket: {stopTicks: 16, targetTicks: 10, trail: {triggerTicks: 10, offsetTicks: 5}}",
            (
                "spec.bracket.trail.triggerTicks: got 10, expected less than targetTicks, 10: "
                "the target closes the position before its stop follows"
            ),
        ),
        (
            "instrument: MES, bracket: {stopTicks: 16, trail: {triggerTicks: 8, offsetTicks: 25}}",
            (
                "spec.bracket.trail.offsetTicks: got 25, expected at most 24, stopTicks and triggerTicks together: "
                "so far behind the price is the stop when it is to follow, and it never goes back"
            ),
        ),
        (
            "instrument: MES, entries: {type: Stop, validFor: 0s}",
            "spec.entries.validFor: got '0s', expected more than nothing",
        ),
        (
            "instrument: MES, entries: {type: Stop, validFor: soon}",
            "spec.entries.validFor: got 'soon', expected day, a length such as 15m, or bars:N",
        ),
    ],
)
def test_a_strategy_is_refused_with_field_value_and_expectation(spec, problem):
    assert problems(strategy_text(spec)) == [problem]


def test_an_instrument_without_a_profile_needs_thresholds_and_bracket():
    assert problems(strategy_text("instrument: RTY")) == [
        f"{field}: got nothing, expected {what}: RTY has no profile in the instrument sheet"
        for field, what in (
            ("spec.strategy.detectors.imbalance.minVolume", "a volume"),
            ("spec.strategy.detectors.absorption.minVolume", "a volume"),
            ("spec.bracket", "stopTicks and targetTicks"),
        )
    ]


def test_mode_live_needs_the_acknowledgement_an_account_the_digest_and_limits():
    assert problems(strategy_text("instrument: MES, mode: Live, image: hub/x:latest")) == [
        "spec.acknowledgeLive: got false, expected true with mode Live, which trades real money",
        "spec.account.name: got 'paper', expected the name of a live account with mode Live, which paper never is",
        "spec.image: got 'hub/x:latest', expected an image pinned by digest (...@sha256:...) with mode Live",
        "spec.risk.dayLoss: got nothing, expected a limit with mode Live",
        "spec.risk.maxPosition: got nothing, expected a limit with mode Live",
    ]
    live = "instrument: MES, mode: Live, acknowledgeLive: true, account: {name: prop}, image: r/x@sha256:0123, "
    live += 'risk: {dayLoss: "200", maxPosition: 1}'
    assert strategy(live).spec.mode == "Live"


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ("venue: mars", ["spec.venue: got 'mars', expected paper with environment Paper"]),
        (
            "environment: Live",
            [
                "spec.venue: got 'paper', expected a real venue with environment Live",
                "spec.credentials.secretName: got nothing, expected the name of a Secret with environment Live",
            ],
        ),
        ("allowedNamespaces: [a, b, a]", ["spec.allowedNamespaces: got ['a', 'b', 'a'], expected each namespace once"]),
        (
            "credentials: {secretName: x}",
            ["spec.credentials.secretName: got 'x', expected no credentials with environment Paper"],
        ),
        (
            'tiers: [{from: "5", execute: MES, maxSize: 1}]',
            ["spec.tiers[0].from: got '5', expected \"0\", so that every balance has a tier"],
        ),
        (
            'tiers: [{from: "0", execute: MES, maxSize: 1}, {from: "0", execute: ES, maxSize: 1}]',
            ["spec.tiers[1].from: got '0', expected more than 0, ascending"],
        ),
        (
            'tiers: [{from: "0", execute: MES, minSize: 2, maxSize: 1}]',
            ["spec.tiers[0].minSize: got 2, expected at most maxSize, 1"],
        ),
        (
            "limits: {dayLoss: }",
            ["spec.limits.dayLoss: got nothing, expected a value; leave the field out to leave it unset"],
        ),
        (
            'startingBalance: ""',
            ["spec.startingBalance: got '', expected a decimal number >= 0 in quotes, such as \"0.25\""],
        ),
    ],
)
def test_an_account_is_refused_with_field_value_and_expectation(spec, found):
    assert problems(account_text(spec)) == found


def test_an_account_named_paper_is_a_paper_account():
    live = "environment: Live, venue: rithmic, credentials: {secretName: prop}"
    assert problems(account_text(live, "{name: paper}")) == [
        "spec.venue: got 'rithmic', expected a venue with an adapter: paper",
        "spec.environment: got 'Live', expected Paper, which an account named paper always is",
    ]


RANGING = "spec.strategy.router.regimes.RANGING.patterns"


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            'entries: {blocks: [{from: "12:00", to: "12:00"}]}',
            (
                "spec.entries.blocks[0].to: got '12:00', expected another time than its from, 12:00: "
                "a block that ends when it begins is none"
            ),
        ),
        (
            'entries: {blocks: [{from: "13:00", to: "12:00"}]}',
            (
                "spec.entries.blocks[0].to: got '12:00', expected a time after its from, 13:00: "
                "the session 09:30-16:00 America/New_York does not pass midnight"
            ),
        ),
        (
            "entries: {beforeClose: 10h}",
            "spec.entries.beforeClose: got '10h', expected less than the session: the session lasts 390 minutes",
        ),
        (
            'entries: {blocks: [{from: "12:00", to: "13:00"}, {from: "12:00", to: "13:00"}]}',
            "spec.entries.blocks: got ['12:00-13:00', '12:00-13:00'], expected each block once",
        ),
        (
            "entries: {news: [{at: 2025-01-10T13:30:00Z}, {at: 2025-01-10T13:30:00Z, before: 5m}]}",
            "spec.entries.news: got ['2025-01-10T13:30:00Z', '2025-01-10T13:30:00Z'], expected each event once",
        ),
        (
            "strategy: {name: OrderFlow, router: {regimes: {RANGING: {patterns: [BUY_IMBALANCE, BUY_IMBALANCE]}}}}",
            f"{RANGING}: got ['BUY_IMBALANCE', 'BUY_IMBALANCE'], expected each pattern once",
        ),
        (
            "deletionPolicy: {positions: Flatten, timeoutSeconds: 29}",
            "spec.deletionPolicy.timeoutSeconds: got 29, expected at least 30 with positions Flatten",
        ),
    ],
)
def test_what_would_be_said_twice_or_never_work_is_refused(spec, problem):
    assert problems(strategy_text(f"instrument: MES, {spec}")) == [problem]


def test_a_block_may_pass_midnight_as_its_session_does():
    block = 'entries: {blocks: [{from: "23:00", to: "01:00"}]}'
    (found,) = load_manifests(strategy_text(f"instrument: MES, session: {{name: globex}}, {block}"))
    assert isinstance(found, TradingStrategy)


@pytest.mark.parametrize("field", ['commission: {XX: "1"}', 'marginLimits: {XX: "1"}'])
def test_roots_of_an_account_must_be_in_the_sheet(field):
    (problem,) = problems(account_text(field))
    assert "got 'XX', expected a root of the instrument sheet: ES, MES" in problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "manifest: got 'nothing', expected a document of kind TradingStrategy or TradingAccount"),
        ("[1, 2", "YAML documents"),
        ("- 1", "a mapping with apiVersion, kind, metadata and spec"),
        ("kind: TradingStrategy", "apiVersion: got nothing, expected leadline.dev/v1alpha1"),
        ("apiVersion: leadline.dev/v1alpha1\nkind: Pod", "kind: got 'Pod', expected one of"),
        ("apiVersion: leadline.dev/v1alpha1\nkind: [1]", "kind: got "),
        ("a: &x 1\nb: *x", "aliases are not allowed"),
        ("a: 1\na: 2", "a stands twice"),
        (strategy_text("instrument: MES, ticksPerRow: .nan"), "spec.ticksPerRow: got nan, expected a finite number"),
        (strategy_text("instrument: MES, 1: 2"), "spec: got 1, expected field names that are text"),
        (strategy_text("instrument: MES, strategy: {name: OrderFlow, parameters: {a: !!binary aGk=}}"), "parameters.a"),
        (strategy_text("instrument: MES", "{name: Bad_Name}"), "metadata.name: got 'Bad_Name', expected a DNS label"),
        (strategy_text("instrument: MES", "{name: s, namepsace: x}"), "did you mean namespace?"),
        (strategy_text("instrument: !!python/object:os.system x"), "YAML documents"),
        ("\x00", "YAML documents"),
        (" " * (MAX_MANIFEST_BYTES + 1), "1000000 at most"),
        ("[" * 5000, "YAML documents"),
    ],
)
def test_what_is_no_manifest_is_refused(text, problem):
    with pytest.raises(InvalidManifest) as caught:
        load_manifests(text)
    assert problem in str(caught.value)


def test_two_manifests_may_not_have_one_name():
    text = "---\n".join([strategy_text("instrument: MES"), strategy_text("instrument: ES")])
    expected = "a name that no other TradingStrategy has: another one stands at line 3"
    assert problems(text) == [f"metadata.name: got 'default/s', expected {expected}"]
    other = strategy_text("instrument: ES", "{name: s, namespace: desk}")
    assert len(load_manifests("---\n".join([strategy_text("instrument: MES"), other]))) == 2


def test_what_the_api_server_adds_is_dropped():
    metadata = '{name: s, uid: "1", resourceVersion: "2", creationTimestamp: "2025-01-01T00:00:00Z", managedFields: []}'
    text = strategy_text("instrument: MES", metadata) + "status: {phase: Running}\n"
    assert load_manifests(text) == [strategy("instrument: MES")]


def test_nulls_in_what_the_api_server_adds_are_no_problem():
    text = strategy_text("instrument: MES", "{name: s, creationTimestamp: }") + "status: {phase: }\n"
    assert load_manifests(text) == [strategy("instrument: MES")]


def test_a_list_as_kubectl_prints_it_is_read_item_by_item():
    texts = [strategy_text("instrument: ES", "{name: es}"), strategy_text("instrument: MES", "{name: mes}")]
    items = [yaml.safe_load(text) for text in texts]
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items, "metadata": {"resourceVersion": ""}})
    assert [manifest.metadata.name for manifest in load_manifests(text)] == ["es", "mes"]
    items[1]["spec"]["bars"] = "2h"
    with pytest.raises(InvalidManifest, match=r"^line 14: TradingStrategy mes: spec\.bars: got '2h'"):
        load_manifests(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items}))


GC = "instrument: GCZ2013, sizing: {mode: Fixed, size: 1}"


@pytest.mark.parametrize(
    ("signal", "account_spec", "problem"),
    [
        ("instrument: MES", "", None),
        ("instrument: ES", "", None),
        (GC, "tiers: []", None),
        (GC, "", "spec.instrument: got 'GCZ2013', expected an instrument of the underlying of MES, which the tier"),
        ("instrument: MNQ", "", "spec.instrument: got 'MNQ', expected an instrument of the underlying of MES"),
        (
            "instrument: MES",
            "tiers: []",
            "spec.sizing.mode: got 'Tiered', expected Fixed or RiskPercent, because",
        ),
        ("instrument: MES, flattenBeforeClose: never", "overnightGapTicks: {MES: 200, ES: 200}", None),
        (
            "instrument: MES, flattenBeforeClose: never",
            "overnightGapTicks: {MES: 200}",
            (
                "spec.flattenBeforeClose: got 'never', expected a length of time such as 5m: spec.overnightGapTicks of"
                " the account default/a has no gap for ES, and without one nothing is held over a close"
            ),
        ),
        (
            "instrument: MES, flattenBeforeClose: never, sizing: {mode: Fixed, size: 1}",
            "tiers: []",
            (
                "spec.flattenBeforeClose: got 'never', expected a length of time such as 5m: spec.overnightGapTicks of"
                " the account default/a has no gap for MES"
            ),
        ),
        ("instrument: MES, bracket: {targetTicks: 16}", "noStopRiskTicks: {MES: 400, ES: 400}", None),
        ("instrument: MES, bracket: {}", "noStopRiskTicks: {MES: 400, ES: 400}", None),
        (
            "instrument: MES, bracket: {targetTicks: 16}",
            "noStopRiskTicks: {ES: 400}",
            (
                "spec.bracket.stopTicks: got nothing, expected a distance: spec.noStopRiskTicks of the account"
                " default/a has no risk for MES, and without one nothing is held without a stop"
            ),
        ),
        ("instrument: MES", "currency: EUR", "spec.instrument: got 'MES', expected an instrument in EUR"),
    ],
)
def test_whether_a_strategy_may_trade_on_an_account(signal, account_spec, problem):
    one = strategy(f"{signal}, account: {{name: a}}")
    if problem is None:
        check_strategy_on_account(one, account(account_spec))
    else:
        with pytest.raises(InvalidManifest) as caught:
            check_strategy_on_account(one, account(account_spec))
        assert f"TradingStrategy default/s: {problem}" in str(caught.value)


def test_an_account_of_another_name_is_refused():
    with pytest.raises(InvalidManifest, match="got 'default/paper', expected the account default/a"):
        check_strategy_on_account(strategy("instrument: MES"), account(""))


def test_a_namespace_needs_the_accounts_permission():
    one = strategy("instrument: MES, account: {name: a, namespace: default}", "{name: s, namespace: desk}")
    with pytest.raises(InvalidManifest, match=r"metadata\.namespace: got 'desk', expected a namespace that"):
        check_strategy_on_account(one, account(""))
    check_strategy_on_account(one, account("allowedNamespaces: [desk]"))


def test_a_live_strategy_needs_a_live_account():
    live = "instrument: MES, mode: Live, acknowledgeLive: true, account: {name: a}, image: r/x@sha256:0123, "
    live += 'risk: {dayLoss: "200", maxPosition: 1}'
    with pytest.raises(InvalidManifest, match=r"spec\.mode: got 'Live', expected Paper, the environment"):
        check_strategy_on_account(strategy(live), account(""))


def test_a_time_without_quotes_is_the_time_that_kubectl_reads():
    text = """
apiVersion: leadline.dev/v1alpha1
kind: TradingStrategy
metadata: {name: flow}
spec: {instrument: MES, entries: {blocks: [{from: 12:00, to: 13:00}]}}
"""
    (found,) = load_manifests(text)
    assert isinstance(found, TradingStrategy)
    (block,) = found.spec.entries.blocks
    assert (block.from_, block.to) == ("12:00", "13:00")


def test_of_many_problems_the_first_are_told_and_that_there_are_more():
    fields = ", ".join(f"key{number}: 1" for number in range(3 * MOST_PROBLEMS))
    told = problems(strategy_text(f"instrument: MES, {fields}"))
    assert len(told) == MOST_PROBLEMS + 1
    assert told[0].startswith("spec.key0: got 1, expected no such field")
    assert (
        told[-1] == f"manifest: got 'more than {MOST_PROBLEMS} problems', expected something else in the first of them"
    )


def test_more_manifests_than_anybody_runs_are_refused():
    with pytest.raises(InvalidManifest, match=f"more than {MOST_MANIFESTS} documents"):
        load_manifests("---\n".join(["a: 1\n"] * (MOST_MANIFESTS + 1)))


@pytest.mark.parametrize(
    ("part", "name", "value", "taken"),
    [
        ("labels", "team", "a", True),
        ("labels", "app.kubernetes.io/name", "", True),
        ("labels", "Team_A.b", "x_1.2-Y", True),
        ("labels", "a b", "x", False),
        ("labels", "", "x", False),
        ("labels", "Mars/Olympus", "x", False),
        ("labels", "a..b/x", "x", False),
        ("labels", "x" * 64, "x", False),
        ("labels", "team", "12:00", False),
        ("labels", "team", "-1", False),
        ("labels", "team", "a\n", False),
        ("annotations", "note", "any text: at all", True),
        ("annotations", "Mars.dev/Olympus", "x", True),
        ("annotations", "a b", "x", False),
    ],
)
def test_labels_and_notes_are_named_as_a_cluster_takes_them(part, name, value, taken):
    document = {
        "apiVersion": "leadline.dev/v1alpha1",
        "kind": "TradingStrategy",
        "metadata": {"name": "s", part: {name: value}},
        "spec": {"instrument": "MES"},
    }
    found = parse_manifest(document)
    assert isinstance(found, TradingStrategy) is taken
    if isinstance(found, list):
        assert [problem.field for problem in found] == [f"metadata.{part}"]


@pytest.mark.parametrize(
    ("valid_for", "latency", "fills"), [("2s", "1s", True), ("1s", "1s", False), ("1s", "2s", False)]
)
def test_an_entry_that_would_end_before_the_paper_venue_matches_it_is_refused(valid_for, latency, fills):
    one = strategy(f"instrument: MES, account: {{name: a}}, entries: {{type: Limit, validFor: {valid_for}}}")
    paper = f"paper: {{latency: {latency}}}"
    if fills:
        check_strategy_on_account(one, account(paper))
        return
    refused = f"spec.entries.validFor: got '{valid_for}', expected more than {latency}"
    with pytest.raises(InvalidManifest, match=refused):
        check_strategy_on_account(one, account(paper))
