"""The results of a backtest as one HTML page that needs nothing else."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from html import escape
from itertools import accumulate
from pathlib import Path
from typing import Final

from leadline.backtest.causes import Cause
from leadline.backtest.identity import Identity
from leadline.backtest.results import AccountResult, BacktestResult, Group, months_of
from leadline.model.counted import counted
from leadline.model.durations import NS_PER_DAY
from leadline.report.clock import day_and_time, day_of, month_and_time, zone_name
from leadline.report.figures import GAPS, doubts, few_days, figure_rows, gaps, ratio, tier_text, words
from leadline.report.footprint import MOST_ROWS, footprint
from leadline.report.page import Markup, card_row, folded, money, table, write_page
from leadline.report.studied import feed_text, manifests_text, manifests_title
from leadline.report.svg import Point, Series, bars, chart, round_values, thinned
from leadline.views.prices import price_text
from leadline.views.trades import Trade

MOST_POINTS: Final = 4_000
"""Points of a line; of more, each stretch keeps its lowest and its highest."""
MOST_FOOTPRINTS: Final = 100
"""Trades of an account that are shown with their footprint and evidence, the newest."""
MOST_TRADES: Final = 2_000
"""Trades of an account that the page has, the newest; the document of `--output json` has all."""
MOST_DAYS_WITH_TIMES: Final = 5
"""Days of a line below which times are written."""
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STYLE: Final = """
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:0 36px;align-items:start}
.pair>*{min-width:0}details{border-bottom:1px solid var(--line)}summary{cursor:pointer}.heads{color:var(--soft)}
summary,.heads{padding:6px 0;display:grid;gap:10px;font-size:14px;
grid-template-columns:150px 70px 1fr 130px 90px 90px 90px;font-variant-numeric:tabular-nums}.heads>:nth-child(n+5),
summary>:nth-child(n+5){text-align:right}summary:hover{background:var(--panel)}
.why{display:flex;align-items:flex-start;flex-wrap:wrap;gap:10px 28px;padding:6px 0 16px}
.why>svg{flex:0 0 420px;max-width:100%}
.why>div{flex:1 1 420px;min-width:0}svg text.v{fill:var(--ink)}.evidence td{white-space:normal;vertical-align:top}
@media (max-width:760px){summary,.heads{grid-template-columns:1fr 1fr 1fr}}
.card b{font-size:18px}
.manifests summary{display:list-item}
"""


def write_tearsheet(result: BacktestResult, path: Path) -> None:
    """Write a backtest's results into one self-contained file. Its size does not grow with the range without end."""
    days, prints = counted(result.days, "day"), counted(result.prints, "print")
    head = (
        f"<h1>Backtest from {result.first} to {result.last}</h1><p class=soft>{days}, {prints}. Digest "
        f"<code>{escape(result.digest)}</code>. Times are in {escape(zone_name())} unless a table says otherwise.</p>"
    )
    if result.identity is not None:
        head += _identity(result.identity)
    head += "".join(f"<p><b>{escape(doubt)}</b></p>" for doubt in doubts(result))
    if rows := gaps(result):
        head += f"<h2>{GAPS}</h2>{table(('Gap', 'Contract', 'Place', 'Amount'), rows, ('Amount',))}"
    body = head + "".join(_account(each) for each in result.accounts)
    write_page(f"Leadline backtest {result.first} to {result.last}", body, path, _STYLE)


def _identity(identity: Identity) -> str:
    """The id of a backtest with what it follows from; its manifests open below it."""
    of = f"<code>{escape(identity.id)}</code>, code {escape(str(identity.code))}"
    head = f"<p class=soft>Backtest {of}. {escape(feed_text(identity))}.</p>"
    return head + folded(manifests_title(identity), manifests_text(identity))


def _account(result: AccountResult) -> str:
    zones = ", ".join(result.zones)
    places = result.places
    refused = [(words(reason), f"{count:,}") for reason, count in result.refused]
    tiers = [(each.day.isoformat(), tier_text(each), f"{each.equity:,.{places}f}") for each in result.tier_changes]
    parts = [
        f"<h2>{escape(result.account)}</h2>",
        card_row((escape(value), escape(name)) for name, value in figure_rows(result)),
        f"<p class=note>{escape(few)}</p>" if (few := few_days(result)) else "",
        f"<p class=soft>Money is in {escape(result.currency)}, after commission.</p>" if result.currency else "",
        "<h2>Equity</h2>",
        _equity(result),
        "<h2>Drawdown</h2>",
        _drawdown(result),
        "<h2>Net result of each day</h2>",
        bars(
            [(each.day.isoformat(), each.net, "up" if each.net > 0 else "down") for each in result.days],
            lambda value: f"{value:,.{places}f}",
            "Net result of each session day",
        ),
        "<h2>Net result of each month</h2>",
        _months(result),
        "<h2>Trades by their net result</h2>",
        _distribution(result),
        "<div class=pair>",
        _groups("By pattern", "Pattern", [(words(each.name), each) for each in result.by_pattern], places),
        _groups("By regime", "Regime", [(words(each.name), each) for each in result.by_regime], places),
        _groups(f"By hour of the entry, {zones}", "Hour", [(each.name, each) for each in result.by_hour], places),
        _groups("By weekday", "Weekday", [(each.name, each) for each in result.by_weekday], places),
        "<div><h2>Decisions refused, by first reason</h2>",
        table(("Reason", "Decisions"), refused, ("Decisions",)),
        "</div>",
        f"<div><h2>Tier changes</h2>{table(('Day', 'Change', 'Equity'), tiers, ('Equity',))}</div>" if tiers else "",
        "</div>",
        "<h2>Trades</h2>",
        _trades(result),
    ]
    return "".join(parts)


def _equity(result: AccountResult) -> str:
    if not result.equity:
        return "<p class=soft>No fills.</p>"
    points = [(result.equity[0].time_ns, result.start_equity)]
    points += [(each.time_ns, each.equity) for each in result.equity]
    label = "Equity after each fill and at each close of a bar, open positions marked"
    line = Series(thinned(points, MOST_POINTS), steps=True)
    return chart(line, (), lambda value: f"{value:,.{result.places}f}", _time_label(points), label)


def _time_label(points: Sequence[Point]) -> Callable[[int], str]:
    """The way in which times are written under a line: days alone where it goes over many."""
    return day_of if points[-1][0] - points[0][0] > MOST_DAYS_WITH_TIMES * NS_PER_DAY else month_and_time


def _drawdown(result: AccountResult) -> str:
    if not result.equity:
        return "<p class=soft>No fills.</p>"
    peaks = list(accumulate((each.equity for each in result.equity), max, initial=result.start_equity))[1:]
    points = [(each.time_ns, each.equity - peak) for each, peak in zip(result.equity, peaks, strict=True)]
    line = Series(thinned(points, MOST_POINTS), steps=True, sunk=True)
    label = "Equity below its highest so far"
    return chart(line, (), lambda value: f"{value:,.{result.places}f}", _time_label(points), label)


def _months(result: AccountResult) -> str:
    nets: dict[int, dict[int, Decimal]] = {}
    for each in months_of(result.days):
        nets.setdefault(each.year, {})[each.month] = each.net
    rows = [
        (
            str(year),
            *(money(months[number], result.places) if number in months else "" for number in range(1, 13)),
            money(sum(months.values(), Decimal(0)), result.places),
        )
        for year, months in nets.items()
    ]
    return table(("Year", *_MONTHS, "All"), rows, (*_MONTHS, "All"))


def _distribution(result: AccountResult) -> str:
    """Trades counted by net result, in steps of a round sum."""
    nets = [trade.net for trade in result.trades]
    if not nets:
        return "<p class=soft>No trades.</p>"
    marks = round_values(min(nets), max(nets)) if min(nets) < max(nets) else []
    step = (marks[1] - marks[0]) / 4 if len(marks) > 1 else max(abs(nets[0]), Decimal(1))
    counts: dict[int, int] = {}
    for net in nets:
        place = int((net / step).to_integral_value("ROUND_FLOOR"))
        counts[place] = counts.get(place, 0) + 1
    values = [
        (
            f"{place * step:,.{result.places}f} to {(place + 1) * step:,.{result.places}f}",
            Decimal(counts.get(place, 0)),
            "up" if place >= 0 else "down",
        )
        for place in range(min(counts), max(counts) + 1)
    ]
    return bars(values, lambda value: f"{value:.0f}", "Trades by their net result")


def _groups(title: str, name: str, groups: Sequence[tuple[str, Group]], places: int) -> str:
    heads = (name, "Trades", "Won", "Net", "Profit factor")
    rows = [
        (text, f"{each.trades:,}", f"{each.wins:,}", money(each.net, places), ratio(each.profit_factor))
        for text, each in groups
    ]
    return f"<div><h2>{escape(title)}</h2>{table(heads, rows, heads[1:])}</div>"


def _trades(result: AccountResult) -> str:
    """The newest trades with their causes, then the older ones as a table."""
    newest = list(zip(result.trades, result.causes, strict=True))[::-1]
    if not newest:
        return "<p class=soft>None.</p>"
    shown, older = newest[:MOST_FOOTPRINTS], newest[MOST_FOOTPRINTS:MOST_TRADES]
    heads = ("Entry time", "Order", "Pattern and regime", "Closed by", "Entry price", "Exit price", "Net")
    parts = ["<p class=soft>The newest first; each opens to its footprint bar and evidence.</p><div class=heads>"]
    parts += [*(f"<span>{head}</span>" for head in heads), "</div>"]
    parts += [_trade(trade, cause, result.places) for trade, cause in shown]
    if older:
        parts.insert(0, f"<p class=note>Of {len(newest):,} trades the newest {len(shown):,} show their bar.</p>")
        rows = [
            (
                day_and_time(trade.entry_ns),
                order,
                words(trade.pattern),
                words(trade.exit_by),
                entry,
                leave,
                money(trade.net, result.places),
            )
            for trade, _ in older
            for order, entry, leave in [_cells(trade)]
        ]
        heads = ("Entry time", "Order", "Pattern", "Closed by", "Entry price", "Exit price", "Net")
        parts += ["<h2>Older trades</h2>", table(heads, rows)]
    left_out = len(newest) - len(shown) - len(older)
    if left_out:
        parts.append(f"<p class=note>{counted(left_out, 'still older trade')} stand in the JSON document alone.</p>")
    return "".join(parts)


def _cells(trade: Trade) -> tuple[str, str, str]:
    order = f"{trade.side.value.lower()} {trade.quantity}"
    return order, price_text(trade.contract, trade.entry_price), price_text(trade.contract, trade.exit_price)


def _trade(trade: Trade, cause: Cause, places: int) -> str:
    order, entry, leave = _cells(trade)
    cells = (
        day_and_time(trade.entry_ns),
        order,
        f"{words(trade.pattern)}, {words(trade.regime)}",
        words(trade.exit_by),
        entry,
        leave,
        money(trade.net, places),
    )
    spans = "".join(f"<span>{cell if isinstance(cell, Markup) else escape(cell)}</span>" for cell in cells)
    closed = f"{trade.strategy}, {trade.contract}, closed at {day_and_time(trade.exit_ns)}"
    body = f"<p class=soft>{escape(closed)}, commission {trade.commission:,.{places}f}</p>"
    return f"<details><summary>{spans}</summary>{body}{_cause(cause)}</details>"


def _cause(cause: Cause) -> str:
    bar = cause.footprint
    if bar is None:
        return "<p class=soft>The bar of this entry is not kept.</p>"
    rows = [
        (
            words(each.pattern),
            each.direction.lower(),
            each.price,
            f"{Decimal(each.strength):.2f}",
            "approved" if each.approved else words(each.rejection),
            "; ".join(f"{words(name)} {_value(value)}" for name, value in each.evidence.items()),
        )
        for each in sorted(cause.signals, key=lambda one: not one.approved)
    ]
    heads = ("Pattern", "Side", "Price", "Strength", "Router", "Evidence, prices in ticks")
    sums = "; ".join(f"{words(name)} {value}" for name, value in cause.size.items())
    decided = f"<p class=soft>Size: {escape(sums)}</p>" if sums else ""
    high, low, close = (price_text(bar.contract, each) for each in (bar.high_ticks, bar.low_ticks, bar.close_ticks))
    what = f"{bar.bar}: {low} to {high}, close {close}, volume {bar.volume:,}, delta {bar.delta:+,}"
    if len(bar.rows_ticks) > MOST_ROWS:
        what += f"; {MOST_ROWS} of {len(bar.rows_ticks)} rows, around the point of control"
    drawn = footprint(bar, {each.price_ticks for each in cause.signals if each.approved})
    evidence = f"<div class=evidence>{table(heads, rows, ('Price', 'Strength'))}</div>"
    return f"<div class=why>{drawn}<div><p>{escape(what)}</p>{decided}{evidence}</div></div>"


def _value(value: int | str | list[int]) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
