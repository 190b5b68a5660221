"""What a cluster refuses, and in which words: the table behind the tests and behind the page of the reference.

Schema refusals follow from the definitions field by field (`violations.py`). Here is what people wrote as rules: of an
object by itself, of a change, and of objects together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from leadline.model.market.instruments import instruments

JsonObject = dict[str, Any]
KindName = Literal["TradingStrategy", "TradingAccount", "Backtest"]

STRATEGY: Final[JsonObject] = {
    "apiVersion": "leadline.dev/v1alpha1",
    "kind": "TradingStrategy",
    "metadata": {"name": "s"},
    "spec": {"instrument": "MES"},
}
ACCOUNT: Final[JsonObject] = {
    "apiVersion": "leadline.dev/v1alpha1",
    "kind": "TradingAccount",
    "metadata": {"name": "a"},
    "spec": {},
}
BACKTEST: Final[JsonObject] = {
    "apiVersion": "leadline.dev/v1alpha1",
    "kind": "Backtest",
    "metadata": {"name": "b"},
    "spec": {
        "strategy": {"name": "s"},
        "from": "2025-10-06",
        "to": "2025-10-10",
        "catalog": {"claim": "ticks"},
        "results": {"claim": "results"},
    },
}
_SMALLEST: Final = {each["kind"]: each for each in (STRATEGY, ACCOUNT, BACKTEST)}

DIGEST: Final = "registry.example/strategies@sha256:" + "0123456789abcdef" * 4
LIVE: Final[JsonObject] = {
    "mode": "Live",
    "acknowledgeLive": True,
    "account": {"name": "prop"},
    "image": DIGEST,
    "risk": {"dayLoss": "200", "maxPosition": 1},
}
"""A live strategy that nothing is wrong with, but that no venue is there for it."""
LIVE_ACCOUNT: Final[JsonObject] = {"environment": "Live", "venue": "rithmic", "credentials": {"secretName": "prop-1"}}


_READ_BY_NONE: Final = "series of an entry of strategy.filters: OrderFlow reads no other one"


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> JsonObject:
    """A JSON merge patch applied: mappings go into each other, None takes a field away."""
    found = dict(base)
    for key, value in change.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, Mapping):
            inner = found.get(key)
            found[key] = merged(inner if isinstance(inner, Mapping) else {}, value)
        else:
            found[key] = value
    return found


def good(kind: KindName) -> JsonObject:
    """The smallest object of a kind that everybody accepts."""
    return _SMALLEST[kind]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An object that the API server refuses.

    `change` is merged into the smallest good object. `says` are the lines of kubectl, `laptop` those of
    `leadline plan`. `before`, for a refusal that is about a change, is merged into the good object that is there.
    """

    what: str
    kind: KindName
    change: JsonObject
    says: tuple[str, ...]
    laptop: tuple[str, ...] = ()
    before: JsonObject | None = None

    @property
    def document(self) -> JsonObject:
        """The object as it is applied."""
        return merged(good(self.kind), self.change)


def _strategy(what: str, spec: JsonObject, *lines: tuple[str, str]) -> Refusal:
    """A strategy with these fields, and pairs of what kubectl and `leadline plan` say."""
    return Refusal(what, "TradingStrategy", {"spec": spec}, *_columns(lines))


def _account(what: str, spec: JsonObject, *lines: tuple[str, str], name: str = "a") -> Refusal:
    return Refusal(what, "TradingAccount", {"metadata": {"name": name}, "spec": spec}, *_columns(lines))


def _backtest(what: str, spec: JsonObject, *lines: tuple[str, str]) -> Refusal:
    return Refusal(what, "Backtest", {"spec": spec}, *_columns(lines))


def _columns(lines: tuple[tuple[str, str], ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    says, laptop = zip(*lines, strict=True)
    return tuple(line for line in says if line), tuple(line for line in laptop if line)


def _same(field: str, got: str, expected: str, kube: str = "") -> tuple[str, str]:
    """What is said of a field in both places, in the same words unless `kube` has others."""
    return f"{field}: Invalid value: expected {kube or expected}", f"{field}: got {got}, expected {expected}"


_NAME: Final = "expected as metadata.name a DNS label: lower-case letters, digits and dashes, at most 52"
_LABEL: Final = "expected a DNS label: lower-case letters, digits and dashes, at most 52"
_EITHER: Final = "either a name, or open, close and zone"
_TIER: Final[JsonObject] = {"from": "0", "execute": "MES", "maxSize": 1}

RULES: Final[tuple[Refusal, ...]] = (
    Refusal(
        "a name of more than 52 characters, or with a dot",
        "TradingStrategy",
        {"metadata": {"name": "mes.orderflow"}},
        (f"<nil>: Invalid value: {_NAME}",),
        (f"metadata.name: got 'mes.orderflow', {_LABEL}",),
    ),
    Refusal(
        "the same of an account",
        "TradingAccount",
        {"metadata": {"name": "a" * 53}},
        (f"<nil>: Invalid value: {_NAME}",),
        (f"metadata.name: got '{'a' * 53}', {_LABEL}",),
    ),
    _strategy(
        "mode Live, and nothing of what it takes",
        {"mode": "Live"},
        _same("spec.acknowledgeLive", "false", "true with mode Live, which trades real money"),
        _same("spec.account.name", "'paper'", "the name of a live account with mode Live, which paper never is"),
        _same("spec.image", "nothing", "an image pinned by digest (...@sha256:...) with mode Live"),
        _same("spec.risk.dayLoss", "nothing", "a limit with mode Live"),
        _same("spec.risk.maxPosition", "nothing", "a limit with mode Live"),
    ),
    _strategy(
        "mode Live with an image by its tag",
        {**LIVE, "image": "registry.example/strategies:1.0"},
        _same(
            "spec.image",
            "'registry.example/strategies:1.0'",
            "an image pinned by digest (...@sha256:...) with mode Live",
        ),
    ),
    _strategy(
        "a session by name and by hours",
        {"session": {"name": "rth", "open": "09:30"}},
        _same("spec.session", "{name: 'rth', open: '09:30'}", _EITHER),
    ),
    _strategy(
        "a session without its zone",
        {"session": {"open": "09:30", "close": "16:00"}},
        _same("spec.session", "{open: '09:30', close: '16:00'}", _EITHER),
    ),
    _strategy(
        "neither a built-in strategy nor a class",
        {"strategy": {"parameters": {}}},
        _same("spec.strategy", "{parameters: {}}", "either name or entryPoint"),
    ),
    _strategy(
        "both a built-in strategy and a class",
        {"strategy": {"name": "OrderFlow", "entryPoint": "acme:Gap"}},
        _same("spec.strategy", "{name: 'OrderFlow', entryPoint: 'acme:Gap'}", "either name or entryPoint"),
    ),
    _strategy(
        "further series that no filter reads",
        {"series": [{"name": "trend", "bars": "60m"}]},
        (
            f"spec.series: Invalid value: expected only {_READ_BY_NONE}",
            f"spec.series[0].name: got 'trend', expected the {_READ_BY_NONE}",
        ),
    ),
    _strategy(
        "a filter on a series that is not there",
        {"strategy": {"name": "OrderFlow", "filters": [{"series": "hours", "trend": {}}]}},
        (
            "spec.strategy.filters: Invalid value: expected in filters the names of spec.series, or main",
            "spec.strategy.filters[0].series: got 'hours', expected one of main: a series of spec.series, or main",
        ),
    ),
    _strategy(
        "an entry of filters without a filter",
        {"strategy": {"name": "OrderFlow", "filters": [{"series": "main"}]}},
        _same("spec.strategy.filters[0]", "{series: 'main'}", "at least one filter: regimes, trend"),
    ),
    _strategy(
        "a trend whose slow average is not the slower one",
        {"strategy": {"name": "OrderFlow", "filters": [{"series": "main", "trend": {"fast": 21}}]}},
        (
            "spec.strategy.filters[0].trend.slow: Invalid value: expected slow of more bars than fast",
            "spec.strategy.filters[0].trend: got {fast: 21}, expected slow of more bars than fast",
        ),
    ),
    _strategy(
        "filters with a class of one's own",
        {"strategy": {"entryPoint": "acme:Gap", "filters": [{"series": "main", "trend": {}}]}},
        _same("spec.strategy.filters", "['main']", "none with entryPoint: a class asks no filter"),
    ),
    _strategy(
        "a series that has the name of the strategy's own bars",
        {"strategy": {"entryPoint": "acme:Gap"}, "series": [{"name": "main", "bars": "60m"}]},
        _same(
            "spec.series[0].name",
            "'main'",
            "a name that no other series has: main are the strategy's own bars",
            kube="a name that no other series has",
        ),
    ),
    _strategy(
        "a series twice",
        {"strategy": {"entryPoint": "acme:Gap"}, "series": [{"name": "a", "bars": "60m"}, {"name": "a", "bars": "4h"}]},
        (
            'spec.series[1]: Duplicate value: {"name":"a"}',
            "spec.series[1].name: got 'a', expected a name that no other series has: main are the strategy's own bars",
        ),
    ),
    _strategy(
        "mode Fixed without a size",
        {"sizing": {"mode": "Fixed"}},
        _same("spec.sizing.size", "nothing", "a number of contracts with mode Fixed"),
    ),
    _strategy(
        "a size with mode Tiered",
        {"sizing": {"size": 1}},
        _same("spec.sizing.size", "1", "no size with mode Tiered"),
    ),
    _strategy(
        "a size with mode RiskPercent, and no percentage",
        {"sizing": {"mode": "RiskPercent", "size": 1}},
        _same("spec.sizing.size", "1", "no size with mode RiskPercent"),
        _same("spec.sizing.percent", "nothing", "a percentage of the equity with mode RiskPercent"),
    ),
    _strategy(
        "a percentage with mode Fixed",
        {"sizing": {"mode": "Fixed", "size": 1, "percent": "0.5"}},
        _same("spec.sizing.percent", "0.5", "no percent with mode Fixed"),
    ),
    _strategy(
        "more than the whole equity",
        {"sizing": {"mode": "RiskPercent", "percent": "100.01"}},
        _same("spec.sizing.percent", "100.01", "more than 0 and at most 100"),
    ),
    _strategy(
        "nothing of the equity",
        {"sizing": {"mode": "RiskPercent", "percent": "0"}},
        _same("spec.sizing.percent", "0", "more than 0 and at most 100"),
    ),
    _strategy(
        "a percentage of the equity at a stop that there is not",
        {"sizing": {"mode": "RiskPercent", "percent": "1"}, "bracket": {"targetTicks": 24}},
        _same("spec.bracket.stopTicks", "nothing", "a stop with sizing.mode RiskPercent, which goes by it"),
    ),
    _strategy(
        "a trail without a stop",
        {"bracket": {"trail": {"triggerTicks": 4, "offsetTicks": 2}}},
        _same("spec.bracket.stopTicks", "nothing", "a stop with trail, which moves it"),
    ),
    _strategy(
        "several entries that wait, at the market",
        {"entries": {"maxPending": 2}},
        _same("spec.entries.maxPending", "2", "nothing with type Market: such an entry does not wait"),
    ),
    _strategy(
        "a size above the most",
        {"sizing": {"mode": "Fixed", "size": 3}},
        _same("spec.sizing.size", "3", "at most maxSize, 2", kube="at most maxSize"),
    ),
    _strategy(
        "a modifier twice",
        {"sizing": {"modifiers": ["Stacked", "Stacked"]}},
        (
            "spec.sizing.modifiers: Invalid value: expected each modifier once",
            "spec.sizing.modifiers: got ['Stacked', 'Stacked'], expected each modifier once",
        ),
    ),
    _strategy(
        "a block that ends when it begins",
        {"entries": {"blocks": [{"from": "12:00", "to": "12:00"}]}},
        (
            "spec.entries.blocks[0].to: Invalid value: expected another time than its from",
            (
                "spec.entries.blocks[0].to: got '12:00', expected another time than its from, 12:00: "
                "a block that ends when it begins is none"
            ),
        ),
    ),
    _strategy(
        "a block of the day twice",
        {"entries": {"blocks": [{"from": "12:00", "to": "13:00"}, {"from": "12:00", "to": "13:00"}]}},
        (
            'spec.entries.blocks[1]: Duplicate value: {"from":"12:00","to":"13:00"}',
            "spec.entries.blocks: got ['12:00-13:00', '12:00-13:00'], expected each block once",
        ),
    ),
    _strategy(
        "an event twice",
        {"entries": {"news": [{"at": "2025-01-10T13:30:00Z"}, {"at": "2025-01-10T13:30:00Z", "after": "1h"}]}},
        (
            'spec.entries.news[1]: Duplicate value: {"at":"2025-01-10T13:30:00Z","name":""}',
            "spec.entries.news: got ['2025-01-10T13:30:00Z', '2025-01-10T13:30:00Z'], expected each event once",
        ),
    ),
    _strategy(
        "an event on a day that does not exist",
        {"entries": {"news": [{"at": "2025-02-30T13:30:00Z"}]}},
        (
            (
                'spec.entries.news[0].at: Invalid value: "2025-02-30T13:30:00Z": spec.entries.news[0].at in body must'
                ' be of type date-time: "2025-02-30T13:30:00Z"'
            ),
            (
                "spec.entries.news[0].at: got '2025-02-30T13:30:00Z', expected a time in UTC that exists, such as"
                " 2025-01-10T13:30:00Z"
            ),
        ),
    ),
    _strategy(
        "a pattern twice in a regime's rule",
        {"strategy": {"name": "OrderFlow", "router": {"regimes": {"RANGING": {"patterns": ["BUY_IMBALANCE"] * 2}}}}},
        (
            "spec.strategy.router.regimes.RANGING.patterns: Invalid value: expected each pattern once",
            (
                "spec.strategy.router.regimes.RANGING.patterns: got ['BUY_IMBALANCE', 'BUY_IMBALANCE'], expected each"
                " pattern once"
            ),
        ),
    ),
    _strategy(
        "too little time to flatten",
        {"deletionPolicy": {"positions": "Flatten", "timeoutSeconds": 29}},
        _same("spec.deletionPolicy.timeoutSeconds", "29", "at least 30 with positions Flatten"),
    ),
    _account(
        "environment Live, and nothing of what it takes",
        {"environment": "Live"},
        _same("spec.venue", "'paper'", "a real venue with environment Live"),
        _same("spec.credentials.secretName", "nothing", "the name of a Secret with environment Live"),
    ),
    Refusal(
        "an account named paper that is live",
        "TradingAccount",
        {"metadata": {"name": "paper"}, "spec": LIVE_ACCOUNT},
        ("spec.environment: Invalid value: expected Paper, which an account named paper always is",),
        (
            "spec.venue: got 'rithmic', expected a venue with an adapter: paper",
            "spec.environment: got 'Live', expected Paper, which an account named paper always is",
        ),
    ),
    _account(
        "a real venue with environment Paper",
        {"venue": "rithmic"},
        _same("spec.venue", "'rithmic'", "paper with environment Paper"),
    ),
    _account(
        "credentials with environment Paper",
        {"credentials": {"secretName": "prop-1"}},
        _same("spec.credentials.secretName", "'prop-1'", "no credentials with environment Paper"),
    ),
    _account(
        "tiers that do not start at 0",
        {"tiers": [{**_TIER, "from": "500"}]},
        (
            'spec.tiers: Invalid value: expected the first tier from "0", so that every balance has a tier',
            "spec.tiers[0].from: got '500', expected \"0\", so that every balance has a tier",
        ),
    ),
    _account(
        "tiers that do not ascend",
        {"tiers": [_TIER, {**_TIER, "from": "700"}, {**_TIER, "from": "600"}]},
        (
            "spec.tiers: Invalid value: expected tiers whose from ascends",
            "spec.tiers[2].from: got '600', expected more than 700, ascending",
        ),
    ),
    _account(
        "a tier twice, its amount written in two ways",
        {"tiers": [_TIER, {**_TIER, "from": "0.0"}]},
        (
            "spec.tiers: Invalid value: expected tiers whose from ascends",
            "spec.tiers[1].from: got '0.0', expected more than 0, ascending",
        ),
    ),
    _account(
        "a tier twice",
        {"tiers": [_TIER, _TIER]},
        (
            "spec.tiers: Invalid value: expected tiers whose from ascends",
            "spec.tiers[1].from: got '0', expected more than 0, ascending",
        ),
    ),
    _account(
        "a tier whose least size is above its most",
        {"tiers": [{**_TIER, "minSize": 2}]},
        _same("spec.tiers[0].minSize", "2", "at most maxSize, 1", kube="at most maxSize"),
    ),
    _account(
        "several trades at a time where the first fill wins",
        {"pendingEntries": "FirstFillWins", "limits": {"maxOpenTrades": 2}},
        _same(
            "spec.limits.maxOpenTrades", "2", "1, or nothing, with pendingEntries FirstFillWins: one trade at a time"
        ),
    ),
    _account(
        "a contract allowed twice",
        {"limits": {"allowedContracts": ["MESZ2025", "MESZ2025"]}},
        (
            'spec.limits.allowedContracts[1]: Duplicate value: "MESZ2025"',
            "spec.limits.allowedContracts: got ['MESZ2025', 'MESZ2025'], expected each contract once",
        ),
    ),
    _account(
        "a namespace allowed twice",
        {"allowedNamespaces": ["desk", "desk"]},
        (
            'spec.allowedNamespaces[1]: Duplicate value: "desk"',
            "spec.allowedNamespaces: got ['desk', 'desk'], expected each namespace once",
        ),
    ),
    Refusal(
        "a backtest's name with a dot",
        "Backtest",
        {"metadata": {"name": "mes.autumn"}},
        (f"<nil>: Invalid value: {_NAME}",),
        (f"metadata.name: got 'mes.autumn', {_LABEL}",),
    ),
    _backtest(
        "no strategy",
        {"strategy": {"name": None}},
        _same("spec.strategy", "nothing", "either name or spec"),
    ),
    _backtest(
        "a strategy that is named and written out",
        {"strategy": {"spec": {"instrument": "MES"}}},
        _same("spec.strategy", "'s'", "either name or spec"),
    ),
    _backtest(
        "a strategy that is written out and cannot run",
        {"strategy": {"name": None, "spec": {"instrument": "MES", "sizing": {"mode": "Fixed"}}}},
        _same("spec.strategy.spec.sizing.size", "nothing", "a number of contracts with mode Fixed"),
    ),
    _backtest(
        "an account that is named and written out",
        {"account": {"name": "a", "spec": {}}},
        _same("spec.account", "'a'", "either name or spec"),
    ),
    _backtest(
        "the namespace of no account",
        {"account": {"namespace": "desk"}},
        _same("spec.account.namespace", "'desk'", "a name with it"),
    ),
    _backtest(
        "a range that ends before it begins",
        {"to": "2025-10-03"},
        _same("spec.to", "'2025-10-03'", "a day not before from"),
    ),
    _backtest(
        "a catalog at two places",
        {"catalog": {"bucket": {"name": "ticks", "secretName": "s3"}}},
        _same("spec.catalog", "'ticks'", "either claim or bucket"),
    ),
    _backtest(
        "results nowhere",
        {"results": {"claim": None}},
        _same("spec.results", "nothing", "either claim or bucket"),
    ),
    _backtest(
        "one run in several shards",
        {"shards": 2},
        _same("spec.shards", "2", "1 without a sweep: one run is not divided"),
    ),
    _backtest(
        "a sweep over nothing",
        {"sweep": {}},
        _same("spec.sweep", "{}", "either fields or variants, one or more"),
    ),
)
"""What no schema can say of an object by itself."""


def _fixed(field: str, change: JsonObject, before: str, *further: str) -> Refusal:
    first = f"spec.{field}: Invalid value: expected {before}, which never changes: another {field} is another account"
    return Refusal(f"another {field}", "TradingAccount", {"spec": change}, (first, *further), (), {"spec": {}})


_SUSPEND: Final = "expected no change before the strategy's state is Suspended"

CHANGES: Final[tuple[Refusal, ...]] = (
    Refusal(
        "another mode while it runs",
        "TradingStrategy",
        {"spec": LIVE},
        (f"spec.mode: Invalid value: {_SUSPEND}", f"spec.account: Invalid value: {_SUSPEND}"),
        before={"spec": {}},
    ),
    Refusal(
        "another account while it only closes",
        "TradingStrategy",
        {"spec": {"account": {"name": "other"}, "state": "Suspended"}},
        (f"spec.account: Invalid value: {_SUSPEND}",),
        before={"spec": {"state": "ReduceOnly"}},
    ),
    _fixed(
        "environment",
        LIVE_ACCOUNT,
        "Paper",
        "spec.venue: Invalid value: expected paper, which never changes: another venue is another account",
    ),
    _fixed("currency", {"currency": "EUR"}, "USD"),
    Refusal(
        "another day of a backtest",
        "Backtest",
        {"spec": {"to": "2025-10-17"}},
        ("spec: Invalid value: expected no change: a backtest never changes, another one is another object",),
        before={},
    ),
)
"""Changes of an object that are refused although the new object is good by itself."""


@dataclass(frozen=True, slots=True)
class Together:
    """Objects that the API server takes one by one, and that cannot run: `Accepted` is False with these lines.

    `documents` are merged into good objects of their kinds. `files` are contracts of a feed that replays files.
    """

    what: str
    documents: tuple[tuple[KindName, JsonObject], ...]
    says: tuple[str, ...]
    files: tuple[str, ...] = ()


def _alone(what: str, spec: JsonObject, *says: str) -> Together:
    return Together(what, (("TradingStrategy", {"spec": spec}),), says)


def _alone_account(what: str, spec: JsonObject, *says: str) -> Together:
    return Together(what, (("TradingAccount", {"spec": spec}),), says)


def _pair(what: str, strategy: JsonObject, account: JsonObject, *says: str) -> Together:
    """The strategy `s` on the account `a`."""
    placed = merged({"spec": {"account": {"name": "a"}}}, strategy)
    return Together(what, (("TradingAccount", account), ("TradingStrategy", placed)), says)


_SHEET: Final = ", ".join(found.root for found in instruments())
_FIXED_SIZE: Final[JsonObject] = {"mode": "Fixed", "size": 1}
_NO_PROFILE: Final = "RTY has no profile in the instrument sheet"

TOGETHER: Final[tuple[Together, ...]] = (
    _alone(
        "an instrument that is not in the sheet",
        {"instrument": "XYZ"},
        f"spec.instrument: got 'XYZ', expected a root of the instrument sheet ({_SHEET}) or its dated contract, as"
        " GCZ2013",
    ),
    _alone(
        "a root that follows no rule",
        {"instrument": "GC"},
        "spec.instrument: got 'GC', expected a dated contract such as GCZ2025: this root rolls on the venue's data, not"
        " by a rule",
    ),
    _alone(
        "a time zone that does not exist",
        {"session": {"open": "09:30", "close": "16:00", "zone": "Mars/Olympus"}},
        "spec.session: got {open: '09:30', close: '16:00', zone: 'Mars/Olympus'}, expected a name of the IANA"
        " time zone database, such as America/New_York",
    ),
    _alone(
        "hours in which the instrument does not trade",
        {"session": {"open": "16:00", "close": "16:00", "zone": "America/New_York"}},
        "spec.session: got {open: '16:00', close: '16:00', zone: 'America/New_York'}, expected hours inside"
        " 18:00-17:00 America/New_York",
    ),
    _alone(
        "flat before the session has begun",
        {"flattenBeforeClose": "24h"},
        "spec.flattenBeforeClose: got '24h', expected less than the session: the session lasts 390 minutes",
    ),
    _alone(
        "no time left for entries",
        {"entries": {"afterOpen": "3h", "beforeClose": "210m"}},
        "spec.entries.afterOpen: got '3h', expected time left for entries before the last 210 minutes: the session "
        "lasts 390 minutes",
    ),
    _alone(
        "too little history for the indicators",
        {"bars": "1d"},
        "spec.history: got 5, expected at least 32 sessions, so that 32 bars of 1d warm the indicators up",
    ),
    _alone(
        "an instrument without a profile, and no thresholds",
        {"instrument": "RTY"},
        f"spec.strategy.detectors.imbalance.minVolume: got nothing, expected a volume: {_NO_PROFILE}",
        f"spec.strategy.detectors.absorption.minVolume: got nothing, expected a volume: {_NO_PROFILE}",
        f"spec.bracket: got nothing, expected stopTicks and targetTicks: {_NO_PROFILE}",
    ),
    _alone_account(
        "a commission for a root that is not in the sheet",
        {"commission": {"XX": "1"}},
        f"spec.commission: got 'XX', expected a root of the instrument sheet: {_SHEET}",
    ),
    _alone_account(
        "a margin limit for a root that is not in the sheet",
        {"marginLimits": {"XX": "1"}},
        f"spec.marginLimits: got 'XX', expected a root of the instrument sheet: {_SHEET}",
    ),
    _alone_account(
        "a tier that executes a root that is not in the sheet",
        {"tiers": [{**_TIER, "execute": "XX"}]},
        f"spec.tiers[0].execute: got 'XX', expected a root of the instrument sheet: {_SHEET}",
    ),
    _alone_account(
        "a venue without an adapter",
        LIVE_ACCOUNT,
        "spec.venue: got 'rithmic', expected a venue with an adapter: paper",
    ),
    Together(
        "an account that does not exist",
        (("TradingStrategy", {"spec": {"account": {"name": "gone"}}}),),
        (
            (
                "TradingStrategy default/s: spec.account: got 'default/gone', expected the name of a TradingAccount in"
                " the manifests: there is none"
            ),
        ),
    ),
    _pair(
        "an account of another namespace that does not allow this one",
        {"metadata": {"namespace": "desk"}, "spec": {"account": {"name": "a", "namespace": "default"}}},
        {},
        "TradingStrategy desk/s: metadata.namespace: got 'desk', expected a namespace that the account default/a"
        " allows",
    ),
    _pair(
        "mode Live on a paper account",
        {"spec": merged(LIVE, {"account": {"name": "a"}})},
        {},
        "TradingStrategy default/s: spec.mode: got 'Live', expected Paper, the environment of the account default/a",
    ),
    _pair(
        "an account in another currency",
        {"spec": {"sizing": _FIXED_SIZE}},
        {"spec": {"currency": "EUR", "tiers": []}},
        "TradingStrategy default/s: spec.instrument: got 'MES', expected an instrument in EUR, the currency of the"
        " account default/a: it is settled in USD, and sums are not converted",
    ),
    _pair(
        "tiers that execute another underlying",
        {"spec": {"instrument": "GCZ2025", "sizing": _FIXED_SIZE}},
        {},
        "TradingStrategy default/s: spec.instrument: got 'GCZ2025', expected an instrument of the underlying of MES,"
        " which the tier from 0 of the account default/a executes; or an account with tiers of its own, or with none",
    ),
    _pair(
        "tiered sizing on an account without tiers",
        {},
        {"spec": {"tiers": []}},
        "TradingStrategy default/s: spec.sizing.mode: got 'Tiered', expected Fixed or RiskPercent, because the"
        " account default/a has no tiers",
    ),
    _pair(
        "no stop on an account that has no risk for that",
        {"spec": {"bracket": {"targetTicks": 24}, "sizing": _FIXED_SIZE}},
        {"spec": {"tiers": []}},
        "TradingStrategy default/s: spec.bracket.stopTicks: got nothing, expected a distance: spec.noStopRiskTicks of"
        " the account default/a has no risk for MES, and without one nothing is held without a stop",
    ),
    _pair(
        "holding over the close on an account that has no gap for it",
        {"spec": {"flattenBeforeClose": "never", "sizing": _FIXED_SIZE}},
        {"spec": {"tiers": []}},
        "TradingStrategy default/s: spec.flattenBeforeClose: got 'never', expected a length of time such as 5m:"
        " spec.overnightGapTicks of the account default/a has no gap for MES, and without one nothing is held over a"
        " close",
    ),
    Together(
        "two strategies on one contract of one account",
        (("TradingStrategy", {}), ("TradingStrategy", {"metadata": {"name": "t"}, "spec": {"instrument": "ES"}})),
        (
            (
                "TradingStrategy default/t: spec.instrument: got 'ES', expected another contract, or another account:"
                " default/s trades it on default/paper"
            ),
        ),
    ),
    Together(
        "an instrument that the feed does not have",
        (("TradingStrategy", {}),),
        ("TradingStrategy default/s: spec.instrument: got 'MES', expected a contract that the feed has: ESZ2025",),
        files=("ESZ2025",),
    ),
)
"""What only the operator can see: it takes the instrument sheet, the feed or another object to know."""

ACCEPTED: Final[tuple[tuple[str, KindName, JsonObject], ...]] = (
    ("the smallest strategy", "TradingStrategy", {}),
    ("the smallest account", "TradingAccount", {}),
    ("an account without tiers", "TradingAccount", {"spec": {"tiers": []}}),
    ("a strategy of the longest name", "TradingStrategy", {"metadata": {"name": "s" * 52}}),
    ("a live strategy", "TradingStrategy", {"spec": LIVE}),
    (
        "a strategy with every field",
        "TradingStrategy",
        {
            "metadata": {"labels": {"desk": "index"}, "annotations": {"note": "lunch is quiet"}},
            "spec": {
                "state": "ReduceOnly",
                "mode": "Paper",
                "acknowledgeLive": False,
                "account": {"name": "paper", "namespace": "desk"},
                "instrument": "MESZ2025",
                "session": {"open": "09:30", "close": "16:00", "zone": "America/New_York"},
                "bars": "ticks:500",
                "ticksPerRow": 2,
                "history": 5,
                "strategy": {
                    "entryPoint": "acme.gaps:Gap",
                    "detectors": {
                        "imbalance": {"enabled": True, "ratio": "3.50", "minVolume": 5, "zero": "Skip"},
                        "stacked": {"enabled": False, "levels": 4},
                        "exhaustion": {"levels": 4, "within": 6, "drop": "0.25"},
                        "absorption": {"levels": 2, "share": "0.70", "minVolume": 30},
                        "divergence": {"lookback": 8, "source": "Cumulative"},
                        "unfinished": {"keep": 20},
                    },
                    "router": {
                        "minStrength": "0.55",
                        "minConfidence": "0.65",
                        "regimes": {
                            "TRENDING_UP": {"multiplier": "1.5", "side": "Long", "patterns": ["BUY_IMBALANCE"]},
                            "VOLATILE": {"multiplier": "0", "patterns": []},
                        },
                    },
                    "parameters": {"threshold": 1.5, "names": ["a", {"deep": True}], "empty": {}},
                },
                "entries": {
                    "type": "Market",
                    "afterOpen": "10m",
                    "beforeClose": "1h",
                    "blocks": [{"from": "12:00", "to": "13:00"}, {"from": "12:00", "to": "12:30"}],
                    "news": [
                        {"at": "2025-01-10T13:30:00Z", "name": "Payrolls", "before": "30m", "after": "5m"},
                        {"at": "2025-01-10T13:30:00Z"},
                    ],
                },
                "flattenBeforeClose": "90s",
                "sizing": {"mode": "Fixed", "size": 2, "maxSize": 2, "modifiers": [], "respectDayBudget": False},
                "bracket": {"stopTicks": 16, "targetTicks": 24},
                "risk": {
                    "maxPosition": 2,
                    "maxTradesPerDay": 10,
                    "dayLoss": "200",
                    "maxOrdersPerSecond": 1000,
                    "maxEntriesPerHour": 20,
                    "maxEntriesPerSession": 50,
                },
                "updatePolicy": "Manual",
                "suspendPolicy": {"workingOrders": "Keep", "positions": "Flatten"},
                "deletionPolicy": {
                    "workingOrders": "Keep",
                    "positions": "Flatten",
                    "timeoutSeconds": 30,
                    "onTimeout": "Force",
                },
                "image": DIGEST,
                "resources": {"requests": {"cpu": "250m"}, "limits": {"memory": "256Mi"}},
                "restartNonce": 2_147_483_647,
            },
        },
    ),
    (
        "an account with every field",
        "TradingAccount",
        {
            "spec": {
                "environment": "Paper",
                "venue": "paper",
                "credentials": {},
                "currency": "USD",
                "startingBalance": "25000.50",
                "paper": {"fillRule": "NextPrint", "slippageTicks": 0, "brackets": "Attached", "latency": "2s"},
                "commission": {"MES": "1.25", "ES": "4"},
                "tiers": [
                    {"from": "0", "execute": "MES", "minSize": 1, "maxSize": 3, "dayLoss": "100"},
                    {"from": "9999.5", "execute": "ES", "maxSize": 1},
                    {"from": "10000", "execute": "ES", "maxSize": 2},
                ],
                "limits": {
                    "dayLoss": "300",
                    "dayTarget": "500",
                    "maxPosition": 2,
                    "maxOpenTrades": 1,
                    "maxOrdersPerSecond": 5,
                    "maxMessagesPerSecond": 10,
                    "maxEntriesPerHour": 20,
                    "maxOrderValue": "500000",
                    "duplicateWithin": "2s",
                    "daysBeforeExpiry": 3,
                    "allowedContracts": ["MESZ2025", "ESZ2025"],
                },
                "marginLimits": {"MES": "50", "ES": "500"},
                "pendingEntries": "FirstFillWins",
                "allowedNamespaces": ["desk", "n" * 63],
                "halt": True,
            }
        },
    ),
)
"""What a laptop and a cluster both take: what it is, its kind, and what is merged into the smallest object."""
