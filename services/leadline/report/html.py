"""The report as one HTML file that needs nothing else."""

from html import escape
from pathlib import Path

from leadline.ingestion.tally import OUTSIDE
from leadline.model.market.contracts import instrument_of
from leadline.report.clock import day_and_time, month_and_time, zone_name
from leadline.report.page import card_row, money, table, write_page
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


def write_html(reports: list[AccountReport], path: Path) -> None:
    """Write the reports of a tape's accounts into one self-contained file."""
    body = "".join(_account(report) for report in reports)
    tape = reports[0].tape if reports else "no tape"
    write_page(f"Leadline report {tape}", body, path)


def _when(report: AccountReport) -> str:
    return f"traded from {report.trade_from}" if report.day is None else f"trading day {report.day}"


def _account(report: AccountReport) -> str:
    until = "" if report.finished else ", not finished"
    parts = [
        f"<h1>{escape(report.account)}</h1>",
        f"<p class=soft>Tape <code>{escape(report.tape)}</code>, feed {escape(report.feed)}, ",
        f"{_when(report)}{until}. All times are in {zone_name()}.</p>",
        _cards(report),
        _notes(report),
        "<h2>Equity</h2>",
        _equity(report),
        *(_prices(report, contract, points) for contract, points in report.closes.items()),
        "<h2>Trades</h2>",
        _trades(report),
        "<h2>Days</h2>",
        table(
            ("Day", "Strategy", "Contract", "Bars", "Trades", "Net"),
            [
                (
                    day.day.isoformat(),
                    escape(day.strategy),
                    day.contract or "not in the feed",
                    str(day.bars) if day.session else "no session",
                    str(day.trades),
                    money(day.net, report.places),
                )
                for day in report.days
            ],
        ),
        "<h2>By pattern</h2>",
        table(
            ("Pattern", "Trades", "Won", "Net"),
            [(_text(t.pattern), str(t.trades), str(t.wins), money(t.net, report.places)) for t in report.by_pattern],
        ),
        "<h2>Decisions refused, by first reason</h2>",
        table(("Reason", "Decisions"), [(_text(reason), str(count)) for reason, count in report.refused]),
        "<h2>Entries not filled</h2>",
        table(("Reason", "Entries"), [(_text(reason), str(count)) for reason, count in report.not_filled]),
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
        (money(report.net, report.places), f"net result{currency}"),
        (f"{report.end_equity:,.{places}f}", f"equity, from {report.start_equity:,.{places}f}"),
        (str(len(report.trades)), "trade" if len(report.trades) == 1 else "trades"),
        (rate, "won, after commission"),
        (f"{report.max_drawdown:,.{places}f}", "largest drawdown of cash"),
    )
    return card_row(cards)


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
    return table(("Halt", "Source", "Reason", "Set by", "Set at", "Cleared by", "Cleared at", "Because"), rows)


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
    return table(heads, rows)


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
    return "<h2>Prints kept out</h2>" + table(("Contract", "Day", "Reason", "Prints", "The first"), rows)


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
            money(trade.net, report.places),
        )
        for trade in report.trades
    ]
    entry = ("Entry time", "Order", "Pattern", "Regime", "Entry price")
    heads = (*entry, "Exit time", "Exit price", "Exit by", "Ticks", "Commission", "Net")
    return table(heads, rows)


def _text(name: str) -> str:
    return name.lower().replace("_", " ")
