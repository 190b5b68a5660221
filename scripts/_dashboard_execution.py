"""The dashboard Execution: orders, the venue, risk and the loop."""

from typing import Final

from scripts._grafana import Dashboard, Panel, quantiles

_OF: Final = '{account=~"$account"}'
_BY_INSTRUMENT: Final = "{{instrument}}"

EXECUTION: Final = Dashboard(
    "leadline-execution",
    "Leadline: execution",
    [
        (
            "The accounts' loops",
            [
                Panel(
                    "Steps",
                    [(f"rate(leadline_execution_steps_total{_OF}[$__rate_interval])", "{{account}}")],
                    "A second. An account that stands still waits for something: see its phase.",
                    unit="cps",
                ),
                Panel(
                    "Phase",
                    [(f"leadline_account_phase{_OF} == 1", "{{account}} {{phase}}")],
                    "A phase `waiting_for_...` names the part that is waited for.",
                ),
                Panel(
                    "Commits of the book",
                    quantiles("leadline_execution_commit_seconds", "account", _OF),
                    "From asking for a connection to the disk.",
                    unit="s",
                ),
                Panel(
                    "Events not yet on the bus",
                    [(f"leadline_outbox_unpublished{_OF}", "{{account}}")],
                    "Committed and not yet published.",
                ),
                Panel(
                    "Commands",
                    [
                        (f"leadline_commands_waiting{_OF}", "{{account}} wait"),
                        (f"increase(leadline_commands_dropped_total{_OF}[$__rate_interval])", "{{account}} dropped"),
                    ],
                    "Commands that wait for the loop, and those whose caller had gone.",
                ),
                Panel(
                    "Messages that do not count",
                    [
                        (
                            f"increase(leadline_signals_of_other_analysis_total{_OF}[$__rate_interval])",
                            "{{account}} of another analysis",
                        ),
                        (f"leadline_strategies_fenced{_OF}", "{{account}} fenced strategies"),
                    ],
                    "Messages of an analysis that is not the one that was named, and fenced strategies.",
                ),
            ],
        ),
        (
            "Orders",
            [
                Panel(
                    "Order states",
                    [
                        (
                            f"sum by (state) (increase(leadline_orders_total{_OF}[$__rate_interval]))",
                            "{{state}}",
                        )
                    ],
                    "States that orders have reached.",
                ),
                Panel(
                    "Fills",
                    [(f"increase(leadline_fills_total{_OF}[$__rate_interval])", "{{account}}")],
                    "Booked in each interval.",
                ),
                Panel(
                    "Decisions of risk",
                    [
                        (
                            "sum by (call, outcome) (increase(leadline_risk_decisions_total[$__rate_interval]))",
                            "{{call}} {{outcome}}",
                        )
                    ],
                    "By call and outcome, of all accounts.",
                ),
            ],
        ),
        (
            "Paper venues",
            [
                Panel(
                    "Orders handed in",
                    [
                        (
                            "sum by (outcome) (increase(leadline_venue_orders_total[$__rate_interval]))",
                            "{{outcome}}",
                        ),
                        ("sum(increase(leadline_venue_fills_total[$__rate_interval]))", "fills"),
                    ],
                    "By the outcome of the call, and the fills.",
                ),
                Panel(
                    "Prints matched",
                    [
                        ("sum(rate(leadline_venue_matched_ticks_total[$__rate_interval]))", "matched"),
                        ("sum(rate(leadline_venue_tape_reads_again_total[$__rate_interval]))", "asked for again"),
                    ],
                    "A second.",
                    unit="cps",
                ),
                Panel(
                    "Prints that wait",
                    [("leadline_venue_buffered_ticks", _BY_INSTRUMENT)],
                    "To be matched.",
                ),
                Panel(
                    "A turn of the market",
                    quantiles("leadline_venue_advance_seconds"),
                    "A call that lets the tape run.",
                    unit="s",
                ),
                Panel(
                    "Writes to the ledger",
                    quantiles("leadline_venue_ledger_write_seconds"),
                    "To the disk.",
                    unit="s",
                ),
                Panel(
                    "Size of the ledger",
                    [("leadline_venue_ledger_bytes", "ledger")],
                    "On disk.",
                    unit="bytes",
                ),
                Panel(
                    "Tape time of the venues",
                    [("leadline_venue_instant_timestamp_seconds * 1000", "venue")],
                    "Prints are matched up to this time.",
                    unit="dateTimeAsIso",
                    kind="stat",
                ),
            ],
        ),
        (
            "Calls",
            [
                Panel(
                    "Calls",
                    [
                        (
                            "sum by (method, code) (rate(leadline_grpc_calls_total[$__rate_interval]))",
                            "{{method}} {{code}}",
                        )
                    ],
                    "A second, by method and how it was answered.",
                    unit="cps",
                ),
                Panel(
                    "Duration",
                    quantiles("leadline_grpc_call_seconds", "method"),
                    "Of calls that were answered.",
                    unit="s",
                ),
                Panel(
                    "Calls that are being answered",
                    [
                        ("sum by (method) (leadline_grpc_calls_open)", "{{method}}"),
                        ("sum by (method) (leadline_grpc_calls_held) > 0", "{{method}}, to be refused"),
                    ],
                    "Now, with those that wait for their refusal, because too many are refused.",
                ),
            ],
        ),
    ],
    accounts=True,
)
