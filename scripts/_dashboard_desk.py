"""The dashboard Desk: what an account and its strategies do."""

from typing import Final

from scripts._grafana import Dashboard, Panel

_OF: Final = '{account=~"$account"}'

DESK: Final = Dashboard(
    "leadline-desk",
    "Leadline: desk",
    [
        (
            "Accounts",
            [
                Panel(
                    "Halts in force",
                    [(f"sum by (account) (leadline_halted{_OF})", "{{account}}")],
                    "Above 0 the account takes no entries. `leadline status` names the halts.",
                    kind="stat",
                    width=4,
                ),
                Panel(
                    "Equity",
                    [(f"leadline_equity{_OF}", "{{account}}")],
                    "Cash, without the open result.",
                    kind="stat",
                    width=5,
                ),
                Panel(
                    "Result of the day",
                    [(f"leadline_session_pnl{_OF}", "{{account}}")],
                    "Net of commissions, since the trading day began, less the open result that it began with.",
                    kind="stat",
                    width=5,
                ),
                Panel(
                    "Open result",
                    [(f"leadline_unrealized_pnl{_OF}", "{{account}}")],
                    "Of open positions at the last prints.",
                    kind="stat",
                    width=5,
                ),
                Panel(
                    "Capital tier",
                    [(f"leadline_capital_tier{_OF}", "{{account}}")],
                    "From 1; 0 when tiers are off.",
                    kind="stat",
                    width=5,
                ),
            ],
        ),
        (
            "Money and positions",
            [
                Panel(
                    "Equity with the open result",
                    [(f"leadline_equity{_OF} + leadline_unrealized_pnl{_OF}", "{{account}}")],
                    "Cash and the open result, at the last prints.",
                    width=12,
                ),
                Panel(
                    "Positions",
                    [(f"leadline_position_quantity{_OF}", "{{account}} {{instrument}}")],
                    "Net and signed, of all strategies of the account.",
                    width=12,
                ),
            ],
        ),
        (
            "Signals and decisions",
            [
                Panel(
                    "Signals",
                    [
                        (
                            "sum by (pattern, decision) (increase(leadline_signals_total[$__rate_interval]))",
                            "{{pattern}} {{decision}}",
                        )
                    ],
                    "By pattern and by the router's decision.",
                ),
                Panel(
                    "Decisions",
                    [
                        (
                            f"sum by (outcome) (increase(leadline_decisions_total{_OF}[$__rate_interval]))",
                            "{{outcome}}",
                        )
                    ],
                    "Of risk: accepted, or the reason of the refusal.",
                ),
                Panel(
                    "Entries of the day and fills",
                    [
                        (f"leadline_session_trades{_OF}", "{{account}} entries"),
                        (f"increase(leadline_fills_total{_OF}[$__rate_interval])", "{{account}} fills"),
                    ],
                    "Entries since the trading day began, and fills in each interval.",
                ),
            ],
        ),
        (
            "What the accounts do",
            [
                Panel(
                    "Phase",
                    [(f"leadline_account_phase{_OF} == 1", "{{account}} {{phase}}")],
                    "One series is shown at a time. A phase `waiting_for_...` names the part that is waited for.",
                    width=12,
                ),
                Panel(
                    "Fenced strategies",
                    [(f"leadline_strategies_fenced{_OF}", "{{account}}")],
                    "A message of these was refused; their signals do not count.",
                    width=6,
                ),
                Panel(
                    "Bars by regime",
                    [("sum by (regime) (increase(leadline_analysis_bars_total[$__rate_interval]))", "{{regime}}")],
                    "Bars about which something was published.",
                    width=6,
                ),
            ],
        ),
    ],
    accounts=True,
)
