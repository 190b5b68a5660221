"""Write the generated parts of docs/reference/ from the code: `python -m scripts.reference`.

A page holds its generated parts between two comments, `<!-- generated: NAME -->` and `<!-- end: NAME -->`; what stands
outside of them is written by hand. `--check` writes nothing and fails, naming page and part, when one is not what the
code gives.
"""

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from scripts import _reference_chart as chart
from scripts import _reference_cluster as cluster
from scripts import _reference_market as market
from scripts import _reference_platform as platform
from scripts import _reference_refusals as refusals

ROOT: Final = Path(__file__).resolve().parent.parent
PAGES: Final = ROOT / "docs" / "reference"

PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "strategy-fields": market.strategy_fields,
    "account-fields": market.account_fields,
    "strategy-example": market.strategy_example,
    "account-example": market.account_example,
    "backtest-fields": market.backtest_fields,
    "instruments": market.instrument_rows,
    "profiles": market.profile_rows,
    "calendars": market.calendar_rows,
    "nodes": market.node_rows,
    "node-parameters": market.node_parameters,
    "venues": market.venue_rows,
    "capabilities": market.capability_rows,
    "router": market.router_rows,
    "patterns": market.pattern_order,
    "refused-rules": refusals.rules,
    "refused-changes": refusals.changes,
    "refused-together": refusals.together,
    "refused-strategy-fields": refusals.strategy_lines,
    "refused-account-fields": refusals.account_lines,
    "refused-backtest-fields": refusals.backtest_lines,
    "commands": platform.commands,
    "calls": platform.calls,
    "other-calls": platform.other_calls,
    "settings": platform.settings_rows,
    "params": platform.params_rows,
    "streams": platform.streams,
    "bus-users": platform.bus_users,
    "tables": platform.database_tables,
    "digest": platform.digest_fields,
    "metrics": platform.metrics,
    "chart-values": chart.values,
    "phases": cluster.phases,
    "conditions": cluster.conditions,
    "reasons": cluster.reasons,
    "reconcile-steps": cluster.reconcile_steps,
    "rollout-steps": cluster.steps,
    "rollout-reasons": cluster.rollout_reasons,
    "operator-metrics": cluster.operator_metrics,
}

_PART: Final = re.compile(r"<!-- generated: ([a-z-]+) -->\n(.*?)<!-- end: \1 -->\n", re.DOTALL)


def main() -> int:
    """Write or check; return the exit status."""
    parser = argparse.ArgumentParser(description="Generate the parts of docs/reference/ that follow from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a part has drifted")
    check: bool = parser.parse_args().check
    stale = drift()
    for page, names in stale.items():
        if check:
            print(f"reference: {page.relative_to(ROOT)}: {', '.join(names)}: not what the code gives", file=sys.stderr)
        else:
            page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")
    if not check:
        print(f"reference: {len(stale)} of {len(list(PAGES.glob('*.md')))} pages written")
    elif stale:
        print("reference: run '.venv/bin/python -m scripts.reference' and commit what it writes", file=sys.stderr)
    return 1 if check and stale else 0


def drift() -> dict[Path, list[str]]:
    """Pages with the names of their parts that are not what the code gives.

    Raises SystemExit when a page asks for a part that nobody makes, or a part stands on no page or on two.
    """
    found: dict[Path, list[str]] = {}
    seen: list[str] = []
    for page in sorted(PAGES.glob("*.md")):
        for name, content in _PART.findall(page.read_text(encoding="utf-8")):
            if name not in PARTS:
                raise SystemExit(f"reference: {page.name}: there is no part {name}")
            seen.append(name)
            if content != PARTS[name]():
                found.setdefault(page, []).append(name)
    wrong = [name for name in PARTS if seen.count(name) != 1]
    if wrong:
        raise SystemExit(f"reference: each part must stand on one page: {', '.join(wrong)}")
    return found


def renewed(text: str) -> str:
    """A page's text with all its parts as the code gives them."""
    return _PART.sub(lambda m: f"<!-- generated: {m[1]} -->\n{PARTS[m[1]]()}<!-- end: {m[1]} -->\n", text)


if __name__ == "__main__":
    raise SystemExit(main())
