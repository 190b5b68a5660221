"""What the definitions of the kinds say beside the fields: rules, kinds of lists, columns.

Paths start at the object (`spec.sizing`); `[]` goes into the items of a list. A rule's message begins with "expected"
and has the words of the check that a manifest gets on a laptop, so that people read the same in both places.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from leadline.model.manifest.venues import venues
from leadline.nodes.base import series_fields
from leadline.nodes.registry import detector_types, filter_types

_UNREAL: Final = tuple(venue.name for venue in venues() if not venue.real_money)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule in the expression language of Kubernetes: what must hold, what is said otherwise, at which field.

    `field` is relative to where the rule stands, empty for the place itself. Exactly one of `message` and `expression`
    (which computes the message) is given.
    """

    must: str
    message: str = ""
    field: str = ""
    expression: str = ""

    def document(self) -> dict[str, str]:
        """The rule as the definition writes it."""
        found = {"rule": self.must}
        found |= {"messageExpression": self.expression} if self.expression else {"message": self.message}
        return found | ({"fieldPath": self.field} if self.field else {})


@dataclass(frozen=True, slots=True)
class Shown:
    """What people see of a kind: what it is, and the columns of `kubectl get`."""

    description: str
    columns: Sequence[dict[str, Any]]
    selectable: Sequence[str] = ()


def _column(name: str, path: str, description: str, kind: str = "string", *, wide: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "jsonPath": path,
        "description": description,
        **({"priority": 1} if wide else {}),
    }


_READY: Final = '.status.conditions[?(@.type=="Ready")]'
_READY_COLUMN: Final = _column("Ready", f"{_READY}.status", "Whether the object is as its manifest wants it.")
_REASON_COLUMN: Final = _column("Reason", f"{_READY}.reason", "Why it is ready or not, in a word.")
_MESSAGE_COLUMN: Final = _column("Message", f"{_READY}.message", "Why it is ready, or what to do.", wide=True)
_PHASE_COLUMN: Final = _column("Phase", ".status.phase", "Where it is in its life.")
_AGE_COLUMN: Final = _column("Age", ".metadata.creationTimestamp", "Since when it exists.", "date")

SHOWN: Final[Mapping[str, Shown]] = {
    "TradingStrategy": Shown(
        description="A strategy: what it trades, on which account, by which signals and under which limits.",
        columns=(
            _column("State", ".spec.state", "Trade, only close, or stop."),
            _column("Mode", ".spec.mode", "Paper, or real money."),
            _PHASE_COLUMN,
            _READY_COLUMN,
            _REASON_COLUMN,
            _column("Account", ".spec.account.name", "The account that trades."),
            _column("Orders", ".status.workingOrders", "Working orders.", "integer"),
            _column("Pos", ".status.openPositions", "Open contracts.", "integer"),
            _column("Last Bar", ".status.lastBarAt", "Close of the last bar, on the clock of the tape."),
            _column("Image", ".spec.image", "Image of the workload; the platform's where empty.", wide=True),
            _MESSAGE_COLUMN,
            _AGE_COLUMN,
        ),
        selectable=(".spec.mode", ".spec.account.name"),
    ),
    "TradingAccount": Shown(
        description="An account: its venue, its money, and the limits that all its strategies share.",
        columns=(
            _column("Environment", ".spec.environment", "Paper, or real money."),
            _column("Venue", ".spec.venue", "The adapter that orders go through."),
            _column("Halt", ".status.halt", "The halts in force, whoever asked for them."),
            _PHASE_COLUMN,
            _READY_COLUMN,
            _REASON_COLUMN,
            _column("Strategies", ".status.strategies", "Strategies that trade it.", "integer"),
            _column("Orders", ".status.workingOrders", "Working orders.", "integer", wide=True),
            _column("Pos", ".status.openPositions", "Open contracts.", "integer", wide=True),
            _MESSAGE_COLUMN,
            _AGE_COLUMN,
        ),
    ),
    "Backtest": Shown(
        description="A backtest: one strategy on one account through a range of days.",
        columns=(
            _PHASE_COLUMN,
            _column("Progress", ".status.progress", "Shards that are done, of all."),
            _column("Trades", ".status.summary.trades", "Trades that were closed.", "integer"),
            _column("Net", ".status.summary.net", "Net result."),
            _column("Sharpe", ".status.summary.sharpe", "Sharpe ratio, annualised."),
            _column("From", ".spec.from", "First traded day.", wide=True),
            _column("To", ".spec.to", "Last traded day.", wide=True),
            _column("Files", ".status.files", "Where the files of the result are.", wide=True),
            _column(
                "Message", '.status.conditions[?(@.type=="Complete")].message', "Why there is no result.", wide=True
            ),
            _AGE_COLUMN,
        ),
    ),
}

REGIMES: Final = ("TRENDING_UP", "TRENDING_DOWN", "RANGING", "VOLATILE")
_REGIME: Final = "spec.strategy.router.regimes"

# How lists merge when several people apply parts of an object, and what may not stand in them twice. A list whose
# absence means something else than its being empty is one piece: applying it empty to a list with keys would take the
# last item away, and the default, or nothing, would stand there instead.
_LISTS: Final[Mapping[str, Mapping[str, tuple[str, ...] | Literal["set", "atomic"]]]] = {
    "TradingStrategy": {
        "spec.entries.blocks": ("from", "to"),
        "spec.entries.news": ("at", "name"),
        "spec.sizing.modifiers": "atomic",
        "spec.series": ("name",),
        "spec.strategy.filters": ("series",),
        **{f"{_REGIME}.{regime}.patterns": "atomic" for regime in REGIMES},
        "status.conditions": ("type",),
    },
    "TradingAccount": {
        "spec.allowedNamespaces": "set",
        "spec.limits.allowedContracts": "set",
        "spec.tiers": "atomic",
        "status.conditions": ("type",),
    },
    "Backtest": {
        "spec.sweep.fields": "atomic",
        "spec.sweep.fields[].values": "atomic",
        "spec.sweep.variants": "atomic",
        "status.summary.sweep.best": "atomic",
        "status.conditions": ("type",),
    },
}

# The strategy and the account that a backtest has written out.
_WRITTEN_OUT: Final = (("TradingStrategy", "spec.strategy"), ("TradingAccount", "spec.account"))
_Entry = TypeVar("_Entry")


def _with_written_out(table: Mapping[str, Mapping[str, _Entry]]) -> dict[str, Mapping[str, _Entry]]:
    """A table in which a backtest has, besides its own entries, those of the specs that it may have written out."""
    inner = {
        f"{where}.{path}": entry
        for kind, where in _WRITTEN_OUT
        for path, entry in table[kind].items()
        if path.partition(".")[0] == "spec"
    }
    return {**table, "Backtest": {**inner, **table["Backtest"]}}


LISTS: Final = _with_written_out(_LISTS)
"""The kind of each list; of a list with keys, the fields by which an item is known."""

# A choice has no default in the object: who later writes the other arm would find the first one there already.
NO_DEFAULT: Final[Mapping[str, tuple[str, ...]]] = {
    "TradingStrategy": ("spec.session", "spec.strategy"),
    "TradingAccount": (),
    "Backtest": ("spec.account", "spec.strategy.spec.session", "spec.strategy.spec.strategy"),
}
"""Fields whose default is for the reader to know, and is not written into the object."""

_NAME_RULE: Final = Rule(
    "size(self.metadata.name) <= 52 && self.metadata.name.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')",
    "expected as metadata.name a DNS label: lower-case letters, digits and dashes, at most 52",
)
_LIVE: Final = "self.mode != 'Live' || "
# A detector of a package beside the platform may name a series that it reads; the reader of a manifest looks then.
_EVERY_SERIES_IS_READ: Final = (
    ()
    if any(series_fields(kind.params_model) for kind in detector_types())
    else (
        Rule(
            "!has(self.series) || (has(self.strategy) && has(self.strategy.entryPoint)) || self.series.all(s,"
            " has(self.strategy) && has(self.strategy.filters) && self.strategy.filters.exists(f, f.series == s.name))",
            "expected only series of an entry of strategy.filters: OrderFlow reads no other one",
            ".series",
        ),
    )
)


def _fixed(field: str) -> Rule:
    return Rule(
        f"self.{field} == oldSelf.{field}",
        field=f".{field}",
        expression=f"'expected ' + oldSelf.{field} + ', which never changes: another {field} is another account'",
    )


def _while_suspended(field: str) -> Rule:
    return Rule(
        f"self.{field} == oldSelf.{field} || oldSelf.state == 'Suspended'",
        "expected no change before the strategy's state is Suspended",
        f".{field}",
    )


def _once(what: str) -> Rule:
    return Rule("self.all(item, self.exists_one(other, other == item))", f"expected each {what} once")


_RULES: Final[Mapping[str, Mapping[str, Sequence[Rule]]]] = {
    "TradingStrategy": {
        "": (_NAME_RULE,),
        "spec": (
            Rule(
                f"{_LIVE}self.acknowledgeLive",
                "expected true with mode Live, which trades real money",
                ".acknowledgeLive",
            ),
            Rule(
                f"{_LIVE}self.account.name != 'paper'",
                "expected the name of a live account with mode Live, which paper never is",
                ".account.name",
            ),
            Rule(
                f"{_LIVE}has(self.image) && self.image.contains('@sha256:')",
                "expected an image pinned by digest (...@sha256:...) with mode Live",
                ".image",
            ),
            Rule(f"{_LIVE}has(self.risk.dayLoss)", "expected a limit with mode Live", ".risk.dayLoss"),
            Rule(f"{_LIVE}has(self.risk.maxPosition)", "expected a limit with mode Live", ".risk.maxPosition"),
            Rule(
                "!has(self.strategy) || !has(self.strategy.filters) || self.strategy.filters.all(f, f.series == 'main'"
                " || (has(self.series) && self.series.exists(s, s.name == f.series)))",
                "expected in filters the names of spec.series, or main",
                ".strategy.filters",
            ),
            *_EVERY_SERIES_IS_READ,
            Rule(
                "!has(self.entries.maxPending) || self.entries.type != 'Market'"
                " || (has(self.strategy) && has(self.strategy.entryPoint))",
                "expected nothing with type Market: such an entry does not wait",
                ".entries.maxPending",
            ),
            Rule(
                "self.sizing.mode != 'RiskPercent' || !has(self.bracket) || has(self.bracket.stopTicks)",
                "expected a stop with sizing.mode RiskPercent, which goes by it",
                ".bracket.stopTicks",
            ),
            _while_suspended("mode"),
            _while_suspended("account"),
        ),
        "spec.session": (
            Rule(
                "has(self.name) ? !has(self.open) && !has(self.close) && !has(self.zone)"
                " : has(self.open) && has(self.close) && has(self.zone)",
                "expected either a name, or open, close and zone",
            ),
        ),
        "spec.strategy": (
            Rule("has(self.name) != has(self.entryPoint)", "expected either name or entryPoint"),
            Rule(
                "!has(self.entryPoint) || !has(self.filters) || size(self.filters) == 0",
                "expected none with entryPoint: a class asks no filter",
                ".filters",
            ),
        ),
        "spec.strategy.filters[]": (
            Rule(
                " || ".join(f"has(self.{kind.name})" for kind in filter_types()),
                f"expected at least one filter: {', '.join(kind.name for kind in filter_types())}",
            ),
        ),
        "spec.strategy.filters[].trend": (
            Rule("self.slow > self.fast", "expected slow of more bars than fast", ".slow"),
        ),
        "spec.sizing": (
            Rule("self.mode != 'Fixed' || has(self.size)", "expected a number of contracts with mode Fixed", ".size"),
            Rule(
                "self.mode == 'Fixed' || !has(self.size)",
                field=".size",
                expression="'expected no size with mode ' + self.mode",
            ),
            Rule("!has(self.size) || self.size <= self.maxSize", "expected at most maxSize", ".size"),
            Rule(
                "self.mode != 'RiskPercent' || has(self.percent)",
                "expected a percentage of the equity with mode RiskPercent",
                ".percent",
            ),
            Rule(
                "self.mode == 'RiskPercent' || !has(self.percent)",
                field=".percent",
                expression="'expected no percent with mode ' + self.mode",
            ),
            Rule(
                "!has(self.percent) || quantity(self.percent).compareTo(quantity('0')) > 0 &&"
                " quantity(self.percent).compareTo(quantity('100')) <= 0",
                "expected more than 0 and at most 100",
                ".percent",
            ),
        ),
        "spec.series[]": (Rule("self.name != 'main'", "expected a name that no other series has", ".name"),),
        "spec.bracket": (
            Rule("!has(self.trail) || has(self.stopTicks)", "expected a stop with trail, which moves it", ".stopTicks"),
        ),
        "spec.entries.blocks[]": (Rule("self.from != self.to", "expected another time than its from", ".to"),),
        "spec.sizing.modifiers": (_once("modifier"),),
        **{f"{_REGIME}.{regime}.patterns": (_once("pattern"),) for regime in REGIMES},
        "spec.deletionPolicy": (
            Rule(
                "self.positions != 'Flatten' || self.timeoutSeconds >= 30",
                "expected at least 30 with positions Flatten",
                ".timeoutSeconds",
            ),
        ),
    },
    "TradingAccount": {
        "": (
            _NAME_RULE,
            Rule(
                "self.metadata.name != 'paper' || self.spec.environment == 'Paper'",
                "expected Paper, which an account named paper always is",
                ".spec.environment",
            ),
        ),
        "spec": (
            Rule(
                " || ".join(("self.environment != 'Live'", " && ".join(f"self.venue != '{name}'" for name in _UNREAL))),
                "expected a real venue with environment Live",
                ".venue",
            ),
            Rule(
                "self.environment != 'Live' || has(self.credentials.secretName)",
                "expected the name of a Secret with environment Live",
                ".credentials.secretName",
            ),
            Rule(
                " || ".join(("self.environment == 'Live'", *(f"self.venue == '{name}'" for name in _UNREAL))),
                f"expected {' or '.join(_UNREAL)} with environment Paper",
                ".venue",
            ),
            Rule(
                "self.environment == 'Live' || !has(self.credentials.secretName)",
                "expected no credentials with environment Paper",
                ".credentials.secretName",
            ),
            Rule(
                "self.pendingEntries != 'FirstFillWins' || !has(self.limits.maxOpenTrades)"
                " || self.limits.maxOpenTrades == 1",
                "expected 1, or nothing, with pendingEntries FirstFillWins: one trade at a time",
                ".limits.maxOpenTrades",
            ),
            _fixed("environment"),
            _fixed("venue"),
            _fixed("currency"),
        ),
        "spec.tiers": (
            Rule(
                "size(self) == 0 || quantity(self[0].from).compareTo(quantity('0')) == 0",
                'expected the first tier from "0", so that every balance has a tier',
            ),
            # Ascending: sorted, and no amount written in two ways. The comparison as a double may only be too coarse.
            Rule(
                "self.map(tier, double(tier.from)).isSorted() && self.all(tier, self.exists_one(other,"
                " quantity(other.from).compareTo(quantity(tier.from)) == 0))",
                "expected tiers whose from ascends",
            ),
        ),
        "spec.tiers[]": (Rule("self.minSize <= self.maxSize", "expected at most maxSize", ".minSize"),),
    },
    "Backtest": {
        "": (_NAME_RULE,),
        "spec": (
            Rule("self == oldSelf", "expected no change: a backtest never changes, another one is another object"),
            Rule(
                "has(self.sweep) || self.shards == 1", "expected 1 without a sweep: one run is not divided", ".shards"
            ),
            Rule("self.from <= self.to", "expected a day not before from", ".to"),
        ),
        "spec.sweep": (
            Rule(
                "(has(self.fields) && size(self.fields) > 0) != (has(self.variants) && size(self.variants) > 0)",
                "expected either fields or variants, one or more",
            ),
        ),
        "spec.strategy": (Rule("has(self.name) != has(self.spec)", "expected either name or spec"),),
        "spec.account": (
            Rule("!has(self.name) || !has(self.spec)", "expected either name or spec"),
            Rule("!has(self.namespace) || has(self.name)", "expected a name with it", ".namespace"),
        ),
        **{
            place: (Rule("has(self.claim) != has(self.bucket)", "expected either claim or bucket"),)
            for place in ("spec.catalog", "spec.results")
        },
    },
}


def _standing(rules: Mapping[str, Mapping[str, Sequence[Rule]]]) -> dict[str, Mapping[str, Sequence[Rule]]]:
    """The rules, in a backtest without those of changes to what it has written out: nothing in it changes."""
    inside = tuple(f"{where}.spec" for _, where in _WRITTEN_OUT)
    own = {
        path: tuple(rule for rule in entry if "oldSelf" not in rule.must) if path.startswith(inside) else entry
        for path, entry in rules["Backtest"].items()
    }
    return {**rules, "Backtest": own}


RULES: Final = _standing(_with_written_out(_RULES))
