"""The report as one HTML file that needs nothing else."""

from collections.abc import Sequence
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Final

from leadline.ingestion.tally import OUTSIDE
from leadline.model.market.contracts import instrument_of
from leadline.report.clock import day_and_time, month_and_time, zone_name
from leadline.report.svg import Marker, Series, chart
from leadline.report.text import (
    misdated_text,
    open_text,
    sample_text,
    series_text,
    sessions,
    sum_text,
    taken_out_text,
    unfinished_bar_text,
)
from leadline.views.orders import leg_text
from leadline.views.prices import price_text
from leadline.views.report import AccountReport, PricePoint

_STYLE: Final = """
:root{--ink:#1b2430;--soft:#5b6878;--line:#d8dee6;--paper:#fff;--panel:#f6f8fa;
--up:#0b7a75;--down:#b3431f;--mark:#2456a5}
@media (prefers-color-scheme:dark){:root{--ink:#e6ebf1;--soft:#9aa7b5;--line:#2d3742;--paper:#12171d;
--panel:#1a2129;--up:#4fc3b5;--down:#f0895e;--mark:#7fb0ff}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1180px;margin:0 auto;padding:24px 20px 60px}
h1{font-size:24px;margin:0}h2{font-size:17px;margin:34px 0 8px}
p{margin:6px 0}.soft{color:var(--soft)}code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:10px;margin:18px 0}
.card{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:10px 14px}
.card b{display:block;font-size:21px;font-variant-numeric:tabular-nums}.card>span{color:var(--soft);font-size:13px}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;white-space:nowrap}
th{color:var(--soft);font-weight:500;text-align:left;border-bottom:1px solid var(--line)}
td,th{padding:5px 12px 5px 0;font-size:14px}td{border-bottom:1px solid var(--line)}td.n,th.n{text-align:right}
.up{color:var(--up)}.down{color:var(--down)}svg{width:100%;height:auto;display:block;background:var(--panel);
border:1px solid var(--line);border-radius:8px}svg text{fill:var(--soft);font:11px system-ui,sans-serif}
.note,.warning{border-left:3px solid var(--line);padding-left:10px}.warning{border-color:var(--down)}
"""


def write_html(reports: list[AccountReport], path: Path) -> None:
    """Write the reports of a tape's accounts into one self-contained file."""
    body = "".join(_account(report) for report in reports)
    tape = escape(reports[0].tape) if reports else "no tape"
    path.write_text(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
        f"content=\"default-src 'none'; style-src 'unsafe-inline'\"><meta name=\"viewport\" "
        f'content="width=device-width"><title>Leadline report {tape}</title><style>{_STYLE}</style></head>'
        f"<body><main>{body}</main></body></html>\n",
        encoding="utf-8",
    )


def _account(report: AccountReport) -> str:
    until = "" if report.finished else ", not finished"
    parts = [
        f"<h1>{escape(report.account)}</h1>",
        f"<p class=soft>Tape <code>{escape(report.tape)}</code>, feed {escape(report.feed)}, ",
        f"traded from {report.trade_from}{until}. All times are in {zone_name()}.</p>",
        _cards(report),
        _notes(report),
        "<h2>Equity</h2>",
        _equity(report),
        *(_prices(report, contract, points) for contract, points in report.closes.items()),
        "<h2>Trades</h2>",
        _trades(report),
        "<h2>Days</h2>",
        _table(
            ("Day", "Strategy", "Contract", "Bars", "Trades", "Net"),
            [
                (
                    day.day.isoformat(),
                    escape(day.strategy),
                    day.contract or "not in the feed",
                    str(day.bars) if day.session else "no session",
                    str(day.trades),
                    _money(day.net, report.places),
                )
                for day in report.days
            ],
        ),
        "<h2>By pattern</h2>",
        _table(
            ("Pattern", "Trades", "Won", "Net"),
            [(_text(t.pattern), str(t.trades), str(t.wins), _money(t.net, report.places)) for t in report.by_pattern],
        ),
        "<h2>Decisions refused, by first reason</h2>",
        _table(("Reason", "Decisions"), [(_text(reason), str(count)) for reason, count in report.refused]),
        "<h2>Entries not filled</h2>",
        _table(("Reason", "Entries"), [(_text(reason), str(count)) for reason, count in report.not_filled]),
        "<h2>Halts</h2>",
        _halts(report),
        "<h2>Sessions</h2>",
        _sessions(report),
        _kept_out(report),
        f"<p class=soft>{sum_text(report)}. Digest <code>{escape(report.digest)}</code></p>",
    ]
    return "".join(parts)


def _cards(report: AccountReport) -> str:
    places = report.places
    rate = f"{100 * report.wins / len(report.trades):.0f} %" if report.trades else "none"
    currency = f", {escape(report.currency)}" if report.currency else ""
    cards = (
        (_money(report.net, report.places), f"net result{currency}"),
        (f"{report.end_equity:,.{places}f}", f"equity, from {report.start_equity:,.{places}f}"),
        (str(len(report.trades)), "trade" if len(report.trades) == 1 else "trades"),
        (rate, "won, after commission"),
        (f"{report.max_drawdown:,.{places}f}", "largest drawdown"),
    )
    return (
        "<div class=cards>" + "".join(f"<div class=card><b>{v}</b><span>{n}</span></div>" for v, n in cards) + "</div>"
    )


def _notes(report: AccountReport) -> str:
    """A warning of each thing that went otherwise than it should, then a plain note of the others."""
    notes = [f"The run failed: {report.failure}"] if report.failure else []
    notes += [
        f"Given up: {leg_text(order.leg)} {order.client_id}, {order.contract}: {order.state.lower()} ({order.reason})"
        for order in report.in_doubt
    ]
    notes += [f"Still open: {open_text(item, report.places)}" for item in report.open_positions]
    notes += [f"Misdated: {misdated_text(*item)}" for item in report.misdated]
    notes += [f"Unfinished bar: {unfinished_bar_text(item)}" for item in report.unfinished]
    neutral = [f"{contract} filled on the prints of {tapes}" for contract, tapes in report.substitutes]
    neutral += [series_text(*item) for item in report.series]
    neutral += [taken_out_text(*item) for item in report.taken_out]
    if report.missing_sessions:
        neutral.append(f"Sessions that were not at hand: {', '.join(report.missing_sessions)}")
    both = (("warning", notes), ("note", neutral))
    return "".join(f"<p class={style}>{escape(note)}</p>" for style, listed in both for note in listed)


def _halts(report: AccountReport) -> str:
    rows = [
        (
            str(item.number),
            _text(item.source),
            item.reason,
            item.by,
            day_and_time(item.at_ns),
            item.cleared_by or "in force",
            "" if item.cleared_at_ns is None else day_and_time(item.cleared_at_ns),
            item.clear_reason or "",
        )
        for item in report.halts
    ]
    return _table(("Halt", "Source", "Reason", "Set by", "Set at", "Cleared by", "Cleared at", "Because"), rows)


def _sessions(report: AccountReport) -> str:
    rows = [
        (
            item.contract,
            item.session,
            item.trading_day.isoformat(),
            month_and_time(item.first_ns),
            month_and_time(item.last_ns),
            f"{item.prints:,}",
            f"{outside:,}",
            f"{faulty:,}",
        )
        for item, outside, faulty in sessions(report)
    ]
    heads = ("Contract", "Session", "Day", "First print", "Last print", "Prints", "Outside every session", "Kept out")
    return _table(heads, rows)


def _kept_out(report: AccountReport) -> str:
    if not report.faulty:
        return ""
    rows = [
        (
            item.contract,
            "none" if item.trading_day is None else item.trading_day.isoformat(),
            _text(item.reason),
            f"{item.prints:,}",
            sample_text(item.samples[0]) if item.samples else "",
        )
        for item in report.kept_out
        if item.reason != OUTSIDE
    ]
    return "<h2>Prints kept out</h2>" + _table(("Contract", "Day", "Reason", "Prints", "The first"), rows)


def _equity(report: AccountReport) -> str:
    if not report.curve:
        return "<p class=soft>No fills.</p>"
    times = [point.time_ns for point in report.curve]
    points = [(times[0], report.start_equity), *((point.time_ns, point.equity) for point in report.curve)]
    label = "Equity after each fill"
    return chart(Series(points, steps=True), (), lambda v: f"{v:,.{report.places}f}", month_and_time, label)


def _prices(report: AccountReport, contract: str, points: tuple[PricePoint, ...]) -> str:
    tick = instrument_of(contract).tick
    markers = []
    for trade in report.trades:
        what = f"{trade.side.value} {trade.quantity} {_text(trade.pattern)}"
        title = f"{what} net {trade.net:+.{report.places}f} ({trade.exit_by})"
        style = "up" if trade.net > 0 else "down"
        markers.append(
            Marker((trade.entry_ns, trade.entry_price * tick), (trade.exit_ns, trade.exit_price * tick), title, style)
        )
    series = Series([(point.time_ns, point.close * tick) for point in points], steps=False)
    label = f"{contract}: close of each bar, with the trades from entry to exit"
    drawing = chart(series, tuple(markers), lambda v: price_text(contract, v / tick), month_and_time, label, step=tick)
    return f"<h2>{escape(contract)}</h2>{drawing}"


def _trades(report: AccountReport) -> str:
    rows = [
        (
            month_and_time(trade.entry_ns),
            f"{trade.side.value.lower()} {trade.quantity}",
            _text(trade.pattern),
            _text(trade.regime),
            price_text(trade.contract, trade.entry_price),
            month_and_time(trade.exit_ns),
            price_text(trade.contract, trade.exit_price),
            _text(trade.exit_by),
            f"{trade.result_ticks:+.1f}",
            f"{trade.commission:.{report.places}f}",
            _money(trade.net, report.places),
        )
        for trade in report.trades
    ]
    entry = ("Entry time", "Order", "Pattern", "Regime", "Entry price")
    heads = (*entry, "Exit time", "Exit price", "Exit by", "Ticks", "Commission", "Net")
    return _table(heads, rows)


def _text(name: str) -> str:
    return name.lower().replace("_", " ")


class _Markup(str):
    """A cell that is markup already; every other text is escaped."""

    __slots__ = ()


def _money(value: Decimal, places: int) -> _Markup:
    style = "up" if value > 0 else "down" if value < 0 else "soft"
    return _Markup(f"<span class={style}>{value:+,.{places}f}</span>")


_NUMBERS: Final = frozenset(
    {"Entry price", "Exit price", "Ticks", "Commission", "Net", "Trades", "Won", "Bars", "Entries"}
)


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return "<p class=soft>None.</p>"
    css = [" class=n" if head in _NUMBERS else "" for head in heads]
    top = "".join(f"<th{style}>{head}</th>" for head, style in zip(heads, css, strict=True))
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{style}>{cell if isinstance(cell, _Markup) else escape(cell)}</td>"
            for cell, style in zip(row, css, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f"<div class=scroll><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
