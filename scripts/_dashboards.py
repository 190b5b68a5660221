"""What the three dashboards show."""

from typing import Final

from scripts._grafana import Dashboard, Panel


def _quantiles(metric: str, by: str = "", labels: str = "") -> list[tuple[str, str]]:
    """Median and 99th percentile of a histogram, by a label where one is given."""
    over, name = f"le, {by}" if by else "le", f"{{{{{by}}}}} " if by else ""
    return [
        (
            f"histogram_quantile({q}, sum by ({over}) (rate({metric}_bucket{labels}[$__rate_interval])))",
            f"{name}{title}",
        )
        for q, title in ((0.5, "median"), (0.99, "p99"))
    ]


_OF: Final = '{account=~"$account"}'
_KEPT_OUT: Final = "increase(leadline_ticks_quarantined_total[$__rate_interval])"
_BY_INSTRUMENT: Final = "{{instrument}}"
_BY_BARS: Final = "{{instrument}} {{bars}} {{session}}"

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

PIPELINE: Final = Dashboard(
    "leadline-pipeline",
    "Leadline: pipeline",
    [
        (
            "Services",
            [
                Panel(
                    "Ready",
                    [("min by (service) (leadline_ready)", "{{service}}")],
                    "1 while the service does its work and has what it needs for it.",
                    kind="stat",
                    width=8,
                ),
                Panel(
                    "Missing needs",
                    [("sum by (need) (leadline_need_met == bool 0)", "{{need}}")],
                    "How many services miss their bus, their database or a service that they call.",
                    kind="stat",
                    width=8,
                ),
                Panel(
                    "Age of the heartbeat",
                    [("max by (service) (time() - leadline_heartbeat_timestamp_seconds)", "{{service}}")],
                    "Seconds since the event loop last ran freely.",
                    unit="s",
                    kind="stat",
                    width=8,
                ),
            ],
        ),
        (
            "Prints",
            [
                Panel(
                    "Prints published",
                    [
                        (
                            "sum by (instrument) (rate(leadline_ticks_total[$__rate_interval]))",
                            _BY_INSTRUMENT,
                        )
                    ],
                    "By ingestion, a second.",
                    unit="cps",
                ),
                Panel(
                    "Prints kept out",
                    [
                        (
                            f"sum by (instrument, reason) ({_KEPT_OUT})",
                            "{{instrument}} {{reason}}",
                        )
                    ],
                    "By the reason.",
                ),
                Panel(
                    "Tape time of the last print",
                    [("leadline_feed_last_tick_timestamp_seconds * 1000", _BY_INSTRUMENT)],
                    "In a replay this is the time of the tape.",
                    unit="dateTimeAsIso",
                    kind="stat",
                ),
                Panel(
                    "Feed",
                    [("leadline_feed_connected", "connected")],
                    "1 while the feed gives prints, or has given all.",
                    kind="stat",
                ),
                Panel(
                    "Waiting for room on the bus",
                    [("rate(leadline_feed_full_seconds_total[$__rate_interval])", "share of time")],
                    "A reader of prints is behind while this stays near 1.",
                    unit="percentunit",
                ),
                Panel(
                    "Messages that nobody needs any more",
                    [("increase(leadline_feed_purged_total[$__rate_interval])", "removed")],
                    "Removed from the bus by ingestion.",
                ),
            ],
        ),
        (
            "Bars",
            [
                Panel(
                    "Bars",
                    [
                        (
                            "sum by (instrument, bars, session) (increase(leadline_bars_total[$__rate_interval]))",
                            _BY_BARS,
                        )
                    ],
                    "Published in each interval.",
                ),
                Panel(
                    "From the print to the bar",
                    _quantiles("leadline_bar_close_delay_seconds"),
                    "From taking the prints that made a bar known to its being stored on the bus.",
                    unit="s",
                ),
                Panel(
                    "Prints folded",
                    [
                        (
                            "sum by (instrument, bars) (rate(leadline_aggregated_ticks_total[$__rate_interval]))",
                            "{{instrument}} {{bars}}",
                        )
                    ],
                    "Into bars, a second.",
                    unit="cps",
                ),
                Panel(
                    "Tape time of the bars",
                    [("leadline_bar_progress_timestamp_seconds * 1000", _BY_BARS)],
                    "No bar before this time follows.",
                    unit="dateTimeAsIso",
                    kind="stat",
                ),
                Panel(
                    "Disorder",
                    [
                        (
                            "sum by (instrument) (increase(leadline_tick_overlaps_total[$__rate_interval]))",
                            "came again",
                        ),
                        ("sum by (instrument) (increase(leadline_tick_gaps_total[$__rate_interval]))", "were missing"),
                        (
                            "sum by (instrument) (increase(leadline_ticks_overlapping_total[$__rate_interval]))",
                            "were pushed again",
                        ),
                        (
                            "sum by (instrument) (increase(leadline_bar_builder_failures_total[$__rate_interval]))",
                            "builders began anew",
                        ),
                    ],
                    "Prints that came again or were missing, and builders that began anew.",
                ),
                Panel(
                    "Demand",
                    [
                        ("leadline_bar_builders", "builders"),
                        ("leadline_demand_refused", "refused rows"),
                        ("increase(leadline_demand_read_failures_total[$__rate_interval])", "failed reads"),
                    ],
                    "Bar series that are built, and what of the demand was not understood.",
                ),
            ],
        ),
        (
            "Analysis and recorder",
            [
                Panel(
                    "A message of analysis",
                    _quantiles("leadline_analysis_step_seconds"),
                    "Folding it, without reading and publishing.",
                    unit="s",
                ),
                Panel(
                    "Rows stored",
                    [("sum by (stream) (rate(leadline_recorder_rows_total[$__rate_interval]))", "{{stream}}")],
                    "A second.",
                    unit="cps",
                ),
                Panel(
                    "Writes of the recorder",
                    _quantiles("leadline_recorder_write_seconds", "stream"),
                    "From a full buffer to its commit, retries included.",
                    unit="s",
                ),
                Panel(
                    "Not stored",
                    [
                        ("increase(leadline_recorder_dead_letters_total[$__rate_interval])", "{{stream}} dead letters"),
                        ("increase(leadline_recorder_tick_gaps_total[$__rate_interval])", "prints given up"),
                        (
                            "increase(leadline_recorder_overlapping_ticks_total[$__rate_interval])",
                            "prints that came again",
                        ),
                        (
                            "increase(leadline_recorder_tick_reads_again_total[$__rate_interval])",
                            "prints asked for again",
                        ),
                        ("increase(leadline_recorder_retries_total[$__rate_interval])", "{{stream}} retries"),
                    ],
                    "Messages kept aside, prints that could not be had, and writes that the database failed.",
                ),
                Panel(
                    "Tape time that is analysed",
                    [("leadline_analysis_progress_timestamp_seconds * 1000", "analysis")],
                    "Signals are complete up to this time.",
                    unit="dateTimeAsIso",
                    kind="stat",
                ),
                Panel(
                    "Tape time that is stored",
                    [("leadline_recorder_stored_timestamp_seconds * 1000", "{{stream}}")],
                    "As the recorder has last seen it.",
                    unit="dateTimeAsIso",
                    kind="stat",
                ),
            ],
        ),
        (
            "Bus and event loops",
            [
                Panel(
                    "Messages published",
                    [("sum by (kind) (rate(leadline_bus_published_total[$__rate_interval]))", "{{kind}}")],
                    "A second, by all services.",
                    unit="cps",
                ),
                Panel(
                    "Publishing",
                    _quantiles("leadline_bus_publish_seconds"),
                    "From handing a message or batch to the bus to its acknowledgement.",
                    unit="s",
                ),
                Panel(
                    "Tried again",
                    [("increase(leadline_retries_total[$__rate_interval])", "{{pod}} {{part}}")],
                    "Trials that failed and are made again, by what did not answer.",
                ),
                Panel(
                    "Readers",
                    [
                        ("increase(leadline_bus_reader_restarts_total[$__rate_interval])", "{{stream}} opened again"),
                        ("increase(leadline_bus_tails_lost_total[$__rate_interval])", "{{stream}} published again"),
                        ("increase(leadline_bus_duplicates_total[$__rate_interval])", "{{kind}} was there already"),
                        ("increase(leadline_bus_ids_taken_total[$__rate_interval])", "{{kind}} under another id"),
                        (
                            "increase(leadline_bus_refused_messages_total[$__rate_interval])",
                            "{{stream}} refused: {{reason}}",
                        ),
                    ],
                    "Readers that had to be opened again, and messages that a reader cannot use.",
                ),
                Panel(
                    "Connections to the bus",
                    [("increase(leadline_bus_connections_total[$__rate_interval])", "opened")],
                    "More than one for each start of a service is a bus that comes and goes.",
                ),
                Panel(
                    "Lateness of event loops",
                    _quantiles("leadline_event_loop_lag_seconds"),
                    "How late a timer is woken.",
                    unit="s",
                ),
            ],
        ),
    ],
)

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
                    _quantiles("leadline_execution_commit_seconds", "account", _OF),
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
                    _quantiles("leadline_venue_advance_seconds"),
                    "A call that lets the tape run.",
                    unit="s",
                ),
                Panel(
                    "Writes to the ledger",
                    _quantiles("leadline_venue_ledger_write_seconds"),
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
                    _quantiles("leadline_grpc_call_seconds", "method"),
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

DASHBOARDS: Final = (DESK, PIPELINE, EXECUTION)
