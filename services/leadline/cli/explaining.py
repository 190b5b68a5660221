"""`leadline explain`: all that is known of one decision, drawn for people or as a document."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import asyncpg

from leadline.backtest.explained import explain_kept
from leadline.cli.kept_backtests import kept_backtest
from leadline.cli.options import Output
from leadline.cli.output import complain, people_console, print_json, print_table
from leadline.model.counted import counted
from leadline.model.durations import NS_PER_MILLISECOND, NS_PER_SECOND
from leadline.model.errors import InvalidInput
from leadline.model.ids import AccountId, StrategyId
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.report.clock import day_and_time, day_of, millisecond_of_day, moment, zone_name
from leadline.report.halts import since_text, until_text
from leadline.report.printable import plain_text
from leadline.report.terminal_footprint import footprint_table
from leadline.runtime.settings import DatabaseSettings
from leadline.views.client import RunningStack, reasons
from leadline.views.cluster import cluster_manifests
from leadline.views.cluster_servers import cluster_database
from leadline.views.database import database_of, dsn_of
from leadline.views.documents import document
from leadline.views.explained import (
    ExplainedBar,
    ExplainedDecision,
    Explanation,
    FootprintView,
    PointsView,
    RouterView,
    Step,
)
from leadline.views.explained_audit import Told, explain_told
from leadline.views.explained_store import explain
from leadline.views.explaining import Asked, UnknownId, asked_of, contract_of
from leadline.views.kubectl import ClusterRefused
from leadline.views.opening import open_running
from leadline.views.place import Place
from leadline.views.prices import price_text
from leadline.views.signals import RegimeView, pattern_lines, proposal_text, readable
from leadline.views.started import started_with
from leadline.views.values import OrdersWanted

_MOST_ASKED = 5000
"""Of orders and of bars with signals the newest are looked through."""
_CANDIDATES_SHOWN = 2
"""Of the four candidates those with the highest scores are shown in their parts."""
_ROW_NAMES = frozenset({"rows", "neighbour", "price"})
"""Names of evidence whose values are rows, in ticks."""


def print_explanation(place: Place, name: str, tape: str | None, backtest: str | None, output: Output) -> None:
    """Tell all that is known of an order, a fill, a decision or a bar, of a run or of a backtest that is kept."""
    if backtest is None:
        found = asyncio.run(_explained(place, name, tape))
    else:
        found = _explained_by_backtest(place, name, tape, backtest)
    if output is Output.JSON:
        print_json(document(found))
    else:
        draw(found, "tape" if backtest is None else "backtest")


def _explained_by_backtest(place: Place, name: str, tape: str | None, backtest: str) -> Explanation:
    given = {"--kube": "" if not place.kube else "given", "--tape": tape or ""}
    for option, value in given.items():
        if value:
            raise InvalidInput(option, value, "nothing beside --backtest: its results are in the data directory")
    kept = kept_backtest(place.data_dir, backtest)
    return explain_kept(asked_of(name, zone_name()), kept.id, kept.result())


async def _explained(place: Place, name: str, tape: str | None) -> Explanation:
    asked = asked_of(name, zone_name())
    if not place.kube:
        async with database_of(place.data_dir) as settings:
            return await _from_book(settings, asked, tape, _accounts(place))
    accounts, strategies = await cluster_manifests(place.namespace)
    try:
        async with cluster_database() as settings:
            return await _from_book(settings, asked, tape, accounts)
    except ClusterRefused:
        # Not everybody may reach the database; whoever may call the services is told what they know.
        if tape is not None:
            raise InvalidInput(
                "--tape", tape, "no run with --kube: services tell of the one that they are in"
            ) from None
    async with open_running(place) as stack:
        return await explained_by(stack, asked, accounts, strategies)


async def _from_book(
    settings: DatabaseSettings, asked: Asked, tape: str | None, accounts: dict[AccountId, TradingAccount]
) -> Explanation:
    connection = await asyncpg.connect(dsn_of(settings))
    try:
        return await explain(connection, asked, tape, accounts)
    finally:
        await connection.close()


async def explained_by(
    stack: RunningStack,
    asked: Asked,
    accounts: Mapping[AccountId, TradingAccount],
    strategies: Mapping[StrategyId, TradingStrategy],
) -> Explanation:
    """All that the services of a stack tell of an id. Whoever does not answer is named. Raises UnknownId."""
    audits, orders, bars, status = await asyncio.gather(
        stack.audits(None),
        stack.orders(None, OrdersWanted(_MOST_ASKED)),
        stack.signals(None, _MOST_ASKED),
        stack.status(),
    )
    states = {state.account: state for state in status.accounts}
    answered = {name: audit for name, audit in audits.found.items() if name in states}
    told = Told(
        audits={AccountId(name): audit for name, audit in answered.items()},
        orders={AccountId(name): listed for name, listed in orders.found.items()},
        states=states,
        bars={StrategyId(name): listed for name, listed in bars.found.items()},
        accounts=accounts,
        strategies=strategies,
    )
    silent = {**reasons(audits.failed), **reasons(orders.failed), **reasons(bars.failed), **bars.left_out}
    missing = [f"without {name}: {why}" for name, why in silent.items()]
    try:
        return explain_told(asked, told, missing)
    except UnknownId:
        # Whoever does not answer may be the one that knows it.
        for sentence in missing:
            complain(sentence)
        raise


def _accounts(place: Place) -> dict[AccountId, TradingAccount]:
    """The manifests with which the accounts of a data directory were started last."""
    found = [TradingAccount.from_manifest(each["manifest"]) for each in started_with(place.data_dir, "execution")]
    return {each.full_name: each for each in found}


def draw(found: Explanation, of: str = "tape") -> None:
    """Print an explanation for people. of: `tape`, or `backtest` where it is of one."""
    console = people_console()
    drawn = ""
    for bar in found.bars:
        whose = f"{bar.strategy} on {bar.account}" if bar.strategy else bar.account or "no strategy"
        for decision in bar.decisions:
            console.print(plain_text(decision.summary, "bold"))
        where = f", bar {bar.bar}" if bar.bar else ""
        console.print(plain_text(f"{whose}, {of} {found.tape}{where}; times in {zone_name()}", "dim"))
        if bar.footprint is not None and drawn != bar.bar:
            drawn = bar.bar
            _draw_bar(bar.footprint, bar)
        _draw_evidence(bar)
        for decision in bar.decisions:
            _draw_decision(decision)
        _draw_standing(bar)
    for sentence in found.missing:
        complain(sentence)


def _draw_bar(bar: FootprintView, explained: ExplainedBar) -> None:
    columns = ("open", "high", "low", "close", "volume", "prints", "delta", "cum", "POC")
    row = (
        bar.open or "",
        bar.high,
        bar.low,
        bar.close,
        f"{bar.volume:,}",
        "" if bar.prints is None else f"{bar.prints:,}",
        f"{bar.delta:+,}",
        "" if bar.cumulative_delta is None else f"{bar.cumulative_delta:+,}",
        bar.poc,
    )
    title = f"Bar {bar.bar}"
    if bar.start_ns is not None and bar.end_ns is not None and bar.known_at_ns is not None:
        until, known = map(millisecond_of_day, (bar.end_ns, bar.known_at_ns))
        title = f"Bar from {day_and_time(bar.start_ns)} to {until}, known at {known}"
    absent = () if bar.prints is None else ("prints",)
    print_table(title, columns, [row], "", wide_only=absent, only_where_filled=("open", "prints", "cum"))
    if bar.incomplete:
        complain(f"the bar is not whole: {counted(bar.incomplete, 'print')} of it could not be had")
    elif bar.gap:
        complain("prints of the bar may be missing: the feed had a gap, so that no entry comes of it")
    if bar.revision:
        complain(f"late prints have changed the bar {counted(bar.revision, 'time')} since it closed")
    console = people_console()
    marked = {each.price_ticks for each in explained.signals}
    console.print(footprint_table(bar, marked, console.width))


def _draw_evidence(bar: ExplainedBar) -> None:
    if bar.regime is not None:
        why = f", because of {readable(bar.regime.reason)}" if bar.regime.reason else ""
        title = (
            f"Regime: {readable(bar.regime.regime)}{why}, confidence {bar.regime.confidence}, "
            f"size times {bar.regime.multiplier}"
        )
        _draw_regime(title, bar.regime, bar.regime_points)
        if bar.router is not None:
            people_console().print(plain_text(_router_text(bar.router)))
    if bar.signals:
        verdicts = {line.pattern: line.verdict for line in pattern_lines(bar.signals)}
        rows = [
            (
                readable(each.pattern),
                readable(each.direction),
                each.price,
                each.strength,
                "approved" if each.approved else f"refused: {_words_of(verdicts, each.pattern, each.rejection)}",
                _evidence_text(contract_of(bar.bar), each.evidence),
            )
            for each in bar.signals
        ]
        print_table("Signals", ("signal", "side", "price", "strength", "router", "evidence"), rows, "")
    elif bar.strategy:
        people_console().print(plain_text("No signals at this bar."))


def _draw_regime(title: str, regime: RegimeView, points: Sequence[PointsView]) -> None:
    """The scores: each condition with its value and the points that it gave, else the inputs alone."""
    ranked = sorted(regime.scores.items(), key=lambda each: -Decimal(each[1]))
    if points:
        rows = [
            (readable(each.regime), each.condition, each.value, each.points if Decimal(each.points) else "–")
            for name, _ in ranked[:_CANDIDATES_SHOWN]
            for each in points
            if each.regime == name
        ]
        print_table(title, ("candidate", "condition", "value", "points"), rows, title)
    else:
        inputs = [(readable(name), value) for name, value in regime.inputs.items()]
        half = (len(inputs) + 1) // 2
        pairs = [(*inputs[at], *(inputs[at + half] if at + half < len(inputs) else ("", ""))) for at in range(half)]
        print_table(title, ("input", "value", "input ", "value "), pairs, title)
    if ranked:
        scores = ", ".join(f"{readable(name)} {score}" for name, score in ranked)
        people_console().print(plain_text(f"Scores: {scores}."))


def _router_text(router: RouterView) -> str:
    if not router.patterns:
        return "Router: nothing trades in this regime."
    side = "either side" if router.side == "BOTH" else f"{readable(router.side)} only"
    least = f"strength at least {router.min_strength}, confidence at least {router.min_confidence}"
    return f"Router: {least}, {side}; in this regime {', '.join(map(readable, router.patterns))}."


def _words_of(verdicts: Mapping[str, str], pattern: str, rejection: str) -> str:
    verdict = verdicts[pattern]
    return verdict.removeprefix("refused: ") if verdict.startswith("refused: ") else readable(rejection)


def _evidence_text(contract: str, evidence: Mapping[str, Any]) -> str:
    parts = []
    for name, value in evidence.items():
        values = value if isinstance(value, list | tuple) else [value]
        words = [price_text(contract, each) if name in _ROW_NAMES else str(each) for each in values]
        parts.append(f"{readable(name)} {' '.join(words)}")
    return ", ".join(parts)


def _draw_decision(found: ExplainedDecision) -> None:
    console = people_console()
    if found.proposal is not None:
        decision = found.proposal.decision
        name = "" if decision is None else f", decision {decision.decision_id}"
        console.print(plain_text(f"Proposal: {proposal_text(found.proposal)}{name}."))
    if found.limits:
        uses = [
            (each.name.replace("_", " "), each.of, each.used, each.limit, "refused it" if each.refused else "")
            for each in found.limits
        ]
        columns = ("limit", "of", "used", "allowed", "note")
        print_table("Limits at the decision", columns, uses, "", only_where_filled=("note",))
    bounds = {each.name: each.binds for each in found.bounds}
    terms = [
        (name.replace("_", " "), value, "this bounds the size" if bounds.get(name) else "")
        for name, value in found.arithmetic.items()
    ]
    if terms:
        print_table("Size, in the order of its computation", ("term", "value", "note"), terms, "")
    if found.steps:
        day = day_of(found.steps[0].at_ns)
        rows = [_step_row(step, day) for step in found.steps]
        print_table(
            f"Steps, times of {day} in {zone_name()}",
            ("time", "after", "step", "id"),
            rows,
            "",
            only_where_filled=("id",),
        )
    if found.result is not None:
        result = found.result
        console.print(
            plain_text(
                f"Trade: {readable(result.side)} {result.quantity} {result.contract}, in at {result.entry_price} on "
                f"{moment(result.entry_ns)}, out at {result.exit_price} on {moment(result.exit_ns)} by "
                f"{readable(result.exit_by)}; {result.result_ticks} ticks, {result.gross} less commission "
                f"{result.commission}: net {result.net}."
            )
        )
    for halt in found.halts:
        console.print(plain_text(f"In force at the decision: {since_text(halt)}: {halt.reason}; {until_text(halt)}"))


def _step_row(step: Step, day: str) -> tuple[str, ...]:
    own = day_of(step.at_ns)
    time = millisecond_of_day(step.at_ns)
    after = "" if not step.after_ns else f"+{_duration(step.after_ns)}"
    return time if own == day else f"{own} {time}", after, step.text, step.client_id


def _duration(ns: int) -> str:
    if ns < NS_PER_SECOND:
        return f"{ns / NS_PER_MILLISECOND:.1f} ms"
    if ns < 120 * NS_PER_SECOND:
        return f"{ns / NS_PER_SECOND:.3f} s"
    return " ".join(_parts(ns // NS_PER_SECOND))


def _parts(seconds: int) -> Iterator[str]:
    for name, length in (("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            yield f"{count} {name}"


def _draw_standing(bar: ExplainedBar) -> None:
    if bar.block:
        people_console().print(plain_text(f"In force now: the block {readable(bar.block)}.", "yellow"))
    if bar.fence:
        people_console().print(plain_text(f"The strategy is fenced off now: {bar.fence}.", "yellow"))
