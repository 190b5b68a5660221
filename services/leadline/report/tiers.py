"""Capital tiers through a range in words, for the terminal and the page."""

from leadline.backtest.results import AccountResult
from leadline.model.counted import counted
from leadline.model.worth import places
from leadline.report.figures import tier_text
from leadline.report.parts import Cell, Document, Line, Section, equity_line
from leadline.report.sweeps import FIGURE_HEADS, LESS_HEADS, best_of_many, figure_cells
from leadline.study.tiers import Start, TiersResult


def tiers_page(result: TiersResult) -> Document:
    """Each balance with its figures, the changes of its tier and its equity day by day."""
    steps = tuple(
        (str(number), f"{start:,}", execute, f"{low} to {high}")
        for number, (start, execute, low, high) in enumerate(result.tiers, 1)
    )
    parts: list[Section | Line] = [
        Section(
            "From each balance",
            ("from", *FIGURE_HEADS, "equity at the end", "tier changes"),
            tuple(row for each in result.starts for row in _figures(each)),
            less=LESS_HEADS,
        ),
        Section("Tiers of the account", ("tier", "from", "executes", "contracts"), steps),
    ]
    for each in result.starts:
        if each.account is not None:
            parts += _changes(each, each.account)
    halted = tuple((f"{each.balance:,}", each.halted) for each in result.starts if each.halted)
    if halted:
        parts.append(Section("Halted", ("from", "reason"), halted, names=2))
    intro = f"{counted(len(result.starts), 'variant')} tried: the account from each balance. Tiers change between days."
    return Document("Capital tiers", (intro,), (best_of_many("Best by net result", result.deflated()),), tuple(parts))


def _figures(start: Start) -> list[tuple[Cell, ...]]:
    if start.account is None:
        return []
    found, decimals = start.account, places(start.account.currency)
    end = f"{found.end_equity:,.{decimals}f}"
    row = (f"{start.balance:,}", *figure_cells(found.figures, decimals), end, str(len(found.tier_changes)))
    return [row]


def _changes(start: Start, account: AccountResult) -> list[Section | Line]:
    decimals = places(account.currency)
    rows = tuple(
        (each.day.isoformat(), tier_text(each), f"{each.equity:,.{decimals}f}") for each in account.tier_changes
    )
    note = "" if rows else "It stays in its first tier."
    return [
        Section(f"Tier changes from {start.balance:,}", ("day", "change", "equity"), rows, 2, note),
        equity_line(f"Equity from {start.balance:,}", account.start_equity, account.days, decimals),
    ]
