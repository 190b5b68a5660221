"""The parts of a page that needs nothing but itself: its head and style, cards, tables and amounts."""

from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Final

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
.manifests summary{cursor:pointer;padding:6px 0}pre{font:12px ui-monospace,monospace;overflow-x:auto}
.note,.warning{border-left:3px solid var(--line);padding-left:10px}.warning{border-color:var(--down)}
"""


def write_page(title: str, body: str, path: Path, style: str = "") -> None:
    """Write a page; `title` is text, `body` markup, `style` more of it. Nothing is loaded, and nothing runs."""
    path.write_text(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
        f"content=\"default-src 'none'; style-src 'unsafe-inline'\"><meta name=\"viewport\" "
        f'content="width=device-width"><title>{escape(title)}</title><style>{_STYLE}{style}</style></head>'
        f"<body><main>{body}</main></body></html>\n",
        encoding="utf-8",
    )


class Markup(str):
    """A cell that is markup already; every other text is escaped."""

    __slots__ = ()


def card_row(cards: Iterable[tuple[str, str]]) -> str:
    """Numbers with their names beneath; both are markup."""
    return (
        "<div class=cards>" + "".join(f"<div class=card><b>{v}</b><span>{n}</span></div>" for v, n in cards) + "</div>"
    )


def money(value: Decimal, places: int) -> Markup:
    """An amount with its sign, coloured."""
    style = "up" if value > 0 else "down" if value < 0 else "soft"
    return Markup(f"<span class={style}>{value:+,.{places}f}</span>")


def folded(title: str, text: str) -> str:
    """A text that opens below its title."""
    return f"<details class=manifests><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"


_NUMBERS: Final = frozenset(
    {"Entry price", "Exit price", "Ticks", "Commission", "Net", "Trades", "Won", "Bars", "Entries"}
)
"""Heads of columns that hold numbers, unless a table names its own."""


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], numbers: Collection[str] = _NUMBERS) -> str:
    """A table; texts are escaped. The columns of `numbers`, by their heads, stand right."""
    if not rows:
        return "<p class=soft>None.</p>"
    css = [" class=n" if head in numbers else "" for head in heads]
    top = "".join(f"<th{style}>{head}</th>" for head, style in zip(heads, css, strict=True))
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{style}>{cell if isinstance(cell, Markup) else escape(cell)}</td>"
            for cell, style in zip(row, css, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f"<div class=scroll><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
