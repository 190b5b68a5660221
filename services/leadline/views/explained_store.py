"""All that the database knows of an order, a fill, a decision or a bar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from leadline.execution.adapters.convert import order_to_proto
from leadline.execution.adapters.order_rows import order_of
from leadline.model.durations import NS_PER_HOUR
from leadline.model.ids import AccountId, ContractId, RunId, StrategyId
from leadline.model.proposals import proposal_of
from leadline.views.convert import order_view
from leadline.views.digest_store import run_of
from leadline.views.explained import ExplainedBar, Explanation, FootprintView, LimitUse, RowView
from leadline.views.explaining import (
    Asked,
    AuditEvent,
    DecisionFacts,
    contract_of,
    explained_decision,
    followed,
    halts_at,
    unknown_id,
)
from leadline.views.halt_store import halts_of
from leadline.views.halts import ReportedHalt
from leadline.views.limits_used import Limits, limits_used
from leadline.views.prices import price_text
from leadline.views.report_store import fills_of
from leadline.views.signals import ProposalView, SignalledBar, decision_view, proposal_view
from leadline.views.standing_store import Manifests, points_views, router_view, standing_of
from leadline.views.store import SELECT_SIGNALLED, signalled_row
from leadline.views.trades import Reasons, Trade, trades_of
from leadline.views.values import OrderView

# The newest run that has the id: those of orders and decisions are the same in each run of the same days.
_NEWEST: Final = "ORDER BY r.opened_at DESC NULLS FIRST LIMIT 1"
_ORDER: Final = f"""
    SELECT i.tape, i.account, i.strategy, i.decision_id, d.bar_key, d.source FROM intent i
    LEFT JOIN run r USING (tape) LEFT JOIN decision d USING (tape, decision_id)
    WHERE i.client_id = $1 AND ($2::text IS NULL OR i.tape = $2) {_NEWEST}
"""  # noqa: S608 - a constant
_FILL: Final = f"""
    SELECT f.tape, f.account, f.strategy, i.decision_id, d.bar_key, d.source FROM fill f
    JOIN intent i USING (tape, account, client_id) LEFT JOIN run r USING (tape)
    LEFT JOIN decision d USING (tape, decision_id)
    WHERE f.fill_id = $1 AND ($2::text IS NULL OR f.tape = $2) {_NEWEST}
"""  # noqa: S608 - as above
_DECISION: Final = f"""
    SELECT d.tape, d.account, d.strategy, d.decision_id, d.bar_key, d.source FROM decision d
    LEFT JOIN run r USING (tape)
    WHERE d.decision_id = $1 AND ($2::text IS NULL OR d.tape = $2) {_NEWEST}
"""  # noqa: S608 - as above
_BAR: Final = f"""
    SELECT tape FROM (
        SELECT tape, bar_key FROM candle UNION SELECT tape, bar_key FROM signal UNION SELECT tape, bar_key FROM decision
    ) b LEFT JOIN run r USING (tape) WHERE b.bar_key = $1 AND ($2::text IS NULL OR b.tape = $2) {_NEWEST}
"""  # noqa: S608 - as above
_AT: Final = f"""
    SELECT s.tape, s.bar_key, s.strategy FROM signal s LEFT JOIN run r USING (tape)
    WHERE s.strategy = $1 AND s.known_at_ns >= $2 AND s.known_at_ns < $2 + 1000000000
      AND ($3::text IS NULL OR s.tape = $3) {_NEWEST}
"""  # noqa: S608 - as above
_COUNTED_NS: Final = 36 * NS_PER_HOUR
_KINDS: Final = (("ORDER", _ORDER), ("FILL", _FILL), ("DECISION", _DECISION))


@dataclass(frozen=True, slots=True)
class _Account:
    """The facts that all decisions of a strategy on its account share."""

    orders_of: Mapping[str, Sequence[OrderView]]
    events: Sequence[AuditEvent]
    trades: Sequence[Trade]
    halts: Sequence[ReportedHalt]


async def explain(connection: Any, asked: Asked, tape: str | None, accounts: Manifests | None = None) -> Explanation:
    """All that is known of an id, in the newest run that has it or in `tape`.

    accounts: the manifests that are at hand; the limits of the others are not told. Raises UnknownId, and Unknown.
    """
    manifests = accounts or {}
    if tape is not None:
        await run_of(connection, RunId(tape))
    if asked.bar:
        found = await connection.fetchval(_BAR, asked.bar, tape)
        if found is None:
            raise unknown_id(asked, tape)
        bars = await _bars(connection, found, asked.bar, None, asked.source, manifests)
        return _explanation(asked, "BAR", found, bars)
    if asked.strategy:
        row = await connection.fetchrow(_AT, asked.strategy, asked.at_ns, tape)
        if row is None:
            raise unknown_id(asked, tape)
        bars = await _bars(connection, row["tape"], row["bar_key"], row["strategy"], "", manifests)
        return _explanation(asked, "BAR", row["tape"], bars)
    for kind, query in _KINDS:
        row = await connection.fetchrow(query, asked.text, tape)
        if row is not None:
            if row["bar_key"] is None:
                bars = (await _orders_alone(connection, row, manifests),)
            else:
                bars = await _bars(connection, row["tape"], row["bar_key"], row["strategy"], row["source"], manifests)
            return _explanation(asked, kind, row["tape"], bars)
    raise unknown_id(asked, tape)


def _explanation(asked: Asked, kind: str, tape: str, bars: tuple[ExplainedBar, ...]) -> Explanation:
    missing = (
        ["the bar is not stored, so its footprint is not shown"]
        if any(bar.bar and bar.footprint is None for bar in bars)
        else []
    )
    return Explanation(asked.text, kind, RunId(tape), bars, tuple(missing))


async def _bars(
    connection: Any, tape: str, bar_key: str, strategy: str | None, source: str, manifests: Manifests
) -> tuple[ExplainedBar, ...]:
    """Every strategy at a bar, or one of them; with `source` that proposal of it alone."""
    footprint = await _footprint(connection, tape, bar_key)
    rows = await connection.fetch(
        f"""
        {SELECT_SIGNALLED} LEFT JOIN strategy_state t USING (tape, account, strategy)
        WHERE s.tape = $1 AND s.bar_key = $2 AND ($3::text IS NULL OR s.strategy = $3)
        ORDER BY s.account, s.strategy, s.analysis_hash IS DISTINCT FROM t.analysis_hash
        """,
        tape,
        bar_key,
        strategy,
    )
    said = {(row["account"], row["strategy"]): signalled_row(row) for row in reversed(rows)}
    decided = await connection.fetch(
        """
        SELECT * FROM decision WHERE tape = $1 AND bar_key = $2 AND ($3::text IS NULL OR strategy = $3)
        ORDER BY account, strategy, source
        """,
        tape,
        bar_key,
        strategy,
    )
    decisions = {(row["account"], row["strategy"], row["source"]): row for row in decided}
    names = sorted({*said, *((row["account"], row["strategy"]) for row in decided)})
    if not names:
        bar = ExplainedBar(AccountId(""), StrategyId(""), bar_key, footprint, None, (), (), "", "")
        return (bar,)
    return tuple(
        [
            await _explained_bar(
                connection, tape, bar_key, name, footprint, said.get(name), decisions, source, manifests
            )
            for name in names
        ]
    )


async def _explained_bar(
    connection: Any,
    tape: str,
    bar_key: str,
    name: tuple[str, str],
    footprint: FootprintView | None,
    said: SignalledBar | None,
    decisions: Mapping[tuple[str, str, str], Any],
    source: str,
    manifests: Manifests,
) -> ExplainedBar:
    account, strategy = name
    own = {row_source: row for (*whose, row_source), row in decisions.items() if tuple(whose) == name}
    every = tuple(map(_decided_proposal, own.values())) if said is None else said.proposals
    wanted = [each for each in every if source in ("", each.source)]
    rows = [own.get(each.source) for each in wanted]
    ids = [row["decision_id"] for row in rows if row is not None]
    facts = await _account(connection, tape, account, strategy, ids)
    standing = await standing_of(connection, tape, AccountId(account), StrategyId(strategy), manifests)
    found = []
    for proposal, row in zip(wanted, rows, strict=True):
        each = _facts(proposal, row, footprint, said, facts)
        if row is not None and standing.limits is not None:
            each = replace(each, limits=await _limits(connection, row, standing.limits))
        found.append(explained_decision(each))
    regime = None if said is None else said.regime
    return ExplainedBar(
        account=AccountId(account),
        strategy=StrategyId(strategy),
        bar=bar_key,
        footprint=footprint,
        regime=regime,
        signals=() if said is None else said.signals,
        decisions=tuple(found),
        block=standing.block,
        fence=standing.fence,
        regime_points=points_views(regime, standing.scale),
        router=router_view(regime, standing.table),
    )


async def _limits(connection: Any, row: Any, limits: Limits) -> tuple[LimitUse, ...]:
    """The limits at a decision. Orders and decisions of more than a day before count for none."""
    rows = await connection.fetch(
        """
        SELECT event, kind, key, instant_ns, body FROM order_event WHERE tape = $1 AND account = $2
          AND event < (SELECT event FROM order_event WHERE tape = $1 AND account = $2
                       AND kind = 'decision' AND key = $3)
          AND (kind = 'fill' OR kind IN ('order', 'decision') AND instant_ns > $4) ORDER BY event
        """,
        row["tape"],
        row["account"],
        row["decision_id"],
        row["instant_ns"] - _COUNTED_NS,
    )
    return limits_used(map(_event, rows), row["strategy"], row["instant_ns"], limits, row["reason"])


def _event(row: Any) -> AuditEvent:
    return AuditEvent(row["event"], row["kind"], row["key"], row["instant_ns"], _json(row["body"]))


def _decided_proposal(row: Any) -> ProposalView:
    """The proposal of a decision whose bar and signals are not stored."""
    proposal = proposal_of(_json(row["proposal"]))
    decision = decision_view({**row, "action": proposal.action.value})
    return proposal_view(contract_of(row["bar_key"]), row["source"], proposal, decision)


def _facts(
    proposal: ProposalView, row: Any, footprint: FootprintView | None, said: SignalledBar | None, account: _Account
) -> DecisionFacts:
    known_ns = footprint.known_at_ns if footprint is not None else None if said is None else said.known_at_ns
    end_ns = None if footprint is None else footprint.end_ns
    if row is None:
        return DecisionFacts(
            proposal, bar_end_ns=end_ns, bar_known_ns=known_ns, halts=halts_at(None, account.halts, {})
        )
    orders = tuple(account.orders_of.get(row["decision_id"], ()))
    return DecisionFacts(
        proposal=proposal,
        decided_ns=row["instant_ns"],
        contract=ContractId(row["contract"]),
        arithmetic=dict(_json(row["arithmetic"])),
        bar_end_ns=end_ns,
        bar_known_ns=known_ns,
        **followed(row["decision_id"], orders, account.events, account.trades, account.halts),
    )


async def _orders_alone(connection: Any, row: Any, manifests: Manifests) -> ExplainedBar:
    """The orders of a decision that no strategy proposed: of a person, of the account itself or of somebody else."""
    tape, account, strategy, decision = row["tape"], row["account"], row["strategy"], row["decision_id"]
    facts = await _account(connection, tape, account, strategy, [decision])
    orders = tuple(facts.orders_of.get(decision, ()))
    found = explained_decision(
        DecisionFacts(None, **followed(decision, orders, facts.events, facts.trades, facts.halts))
    )
    standing = await standing_of(connection, tape, account, strategy, manifests)
    return ExplainedBar(account, strategy, "", None, None, (), (found,), standing.block, standing.fence)


async def _account(connection: Any, tape: str, account: str, strategy: str, ids: Sequence[str]) -> _Account:
    rows = await connection.fetch(
        """
        SELECT i.*, (
            SELECT sum(f.price * f.quantity)::numeric / sum(f.quantity) FROM fill f
            WHERE f.tape = i.tape AND f.account = i.account AND f.client_id = i.client_id
        ) AS average
        FROM intent i WHERE i.tape = $1 AND i.account = $2 AND i.strategy = $3 ORDER BY i.decided_at_ns, i.leg
        """,
        tape,
        account,
        strategy,
    )
    orders = {row["client_id"]: order_of(dict(row)) for row in rows}
    views: dict[str, list[OrderView]] = {}
    for row in rows:
        if row["decision_id"] in ids:
            view = order_view(order_to_proto(orders[row["client_id"]], row["average"]))
            views.setdefault(row["decision_id"], []).append(view)
    booked = await fills_of(connection, RunId(tape), AccountId(account))
    fills = [(name, fill) for name, fill in booked if name == strategy and fill.client_id in orders]
    reasons = {
        row["decision_id"]: Reasons((row["patterns"] or [""])[0], row["regime"])
        for row in await connection.fetch(
            "SELECT decision_id, patterns, regime FROM decision WHERE tape = $1 AND account = $2 AND strategy = $3",
            tape,
            account,
            strategy,
        )
    }
    trades, _ = trades_of(fills, orders, reasons)
    return _Account(
        orders_of=views,
        events=await _events(
            connection, tape, account, [*ids, *(each.client_id for of in views.values() for each in of)]
        ),
        trades=trades,
        halts=await halts_of(connection, RunId(tape), AccountId(account)),
    )


async def _events(connection: Any, tape: str, account: str, keys: Sequence[str]) -> tuple[AuditEvent, ...]:
    rows = await connection.fetch(
        """
        SELECT event, kind, key, instant_ns, body FROM order_event WHERE tape = $1 AND account = $2
          AND (key = ANY($3) OR kind = 'halt' OR (kind = 'fill' AND body->>'client_id' = ANY($3))) ORDER BY event
        """,
        tape,
        account,
        list(keys),
    )
    return tuple(map(_event, rows))


async def _footprint(connection: Any, tape: str, bar_key: str) -> FootprintView | None:
    bar = await connection.fetchrow(
        """
        SELECT c.*, (
            SELECT coalesce(sum(least(g.last_index, c.last_index) - greatest(g.first_index, c.first_index) + 1), 0)
            FROM tick_gap g WHERE g.tape = c.tape AND g.contract = c.contract
              AND g.first_index <= c.last_index AND g.last_index >= c.first_index
        )::bigint AS incomplete
        FROM candle c WHERE c.tape = $1 AND c.bar_key = $2
        """,
        tape,
        bar_key,
    )
    if bar is None:
        return None
    rows = await connection.fetch(
        """
        SELECT price, bid, ask, unknown FROM footprint WHERE tape = $1 AND contract = $2 AND session = $3
          AND spec = $4 AND trading_day = $5 AND ordinal = $6 ORDER BY price DESC
        """,
        *(bar[name] for name in ("tape", "contract", "session", "spec", "trading_day", "ordinal")),
    )
    contract = bar["contract"]
    return FootprintView(
        bar=bar_key,
        contract=contract,
        start_ns=bar["start_ns"],
        end_ns=bar["end_ns"],
        known_at_ns=bar["known_at_ns"],
        open=price_text(contract, bar["open"]),
        high=price_text(contract, bar["high"]),
        low=price_text(contract, bar["low"]),
        close=price_text(contract, bar["close"]),
        volume=bar["volume"],
        prints=bar["prints"],
        delta=bar["delta"],
        min_delta=bar["min_delta"],
        max_delta=bar["max_delta"],
        cumulative_delta=bar["cumulative_delta"],
        poc=price_text(contract, bar["poc"]),
        poc_ticks=bar["poc"],
        value_area_low_ticks=bar["value_area_low"],
        value_area_high_ticks=bar["value_area_high"],
        incomplete=bar["incomplete"],
        gap=bar["gap"],
        revision=bar["revision"],
        rows=tuple(
            RowView(price_text(contract, row["price"]), row["price"], row["bid"], row["ask"], row["unknown"])
            for row in rows
        ),
    )


def _json(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str | bytes) else value
