"""The dashboard Pipeline: the way of prints to bars and signals."""

from typing import Final

from scripts._grafana import Dashboard, Panel, quantiles

_KEPT_OUT: Final = "increase(leadline_ticks_quarantined_total[$__rate_interval])"
_BY_INSTRUMENT: Final = "{{instrument}}"
_BY_BARS: Final = "{{instrument}} {{bars}} {{session}}"

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
                    "Sources of the live tape",
                    [("leadline_feed_source_state == 1", "{{source}} {{state}}")],
                    "The state that each is in. `gap`: it is away, and the tape goes on without it.",
                    kind="stat",
                ),
                Panel(
                    "Disorder of the live tape",
                    [
                        ("sum by (instrument) (increase(leadline_feed_gaps_total[$__rate_interval]))", "gaps"),
                        ("sum by (instrument) (increase(leadline_ticks_late_total[$__rate_interval]))", "late prints"),
                        (
                            "sum by (source) (increase(leadline_feed_reconnects_total[$__rate_interval]))",
                            "lost sources",
                        ),
                    ],
                    "Stretches in which prints may be missing, prints that came late, connections that were lost.",
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
                    quantiles("leadline_bar_close_delay_seconds"),
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
                    "Late prints and gaps",
                    [
                        ("sum by (instrument) (increase(leadline_late_ticks_total[$__rate_interval]))", "late"),
                        (
                            "sum by (instrument) (increase(leadline_too_late_ticks_total[$__rate_interval]))",
                            "in no bar any more",
                        ),
                        (
                            "sum by (instrument) (increase(leadline_bar_revisions_total[$__rate_interval]))",
                            "bars revised",
                        ),
                        (
                            "sum by (instrument) (increase(leadline_bars_with_gap_total[$__rate_interval]))",
                            "bars with a gap",
                        ),
                        (
                            "sum by (instrument) (increase(leadline_bar_ticks_given_up_total[$__rate_interval]))",
                            "prints that the stream has lost",
                        ),
                    ],
                    "On the tape live: bars that are not what they were, or may not be whole.",
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
                    quantiles("leadline_analysis_step_seconds"),
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
                    quantiles("leadline_recorder_write_seconds", "stream"),
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
                    "Partitions dropped",
                    [("increase(leadline_recorder_partitions_dropped_total[$__rate_interval])", "{{table}}")],
                    "Days and months that are older than their table keeps.",
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
                    quantiles("leadline_bus_publish_seconds"),
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
                    quantiles("leadline_event_loop_lag_seconds"),
                    "How late a timer is woken.",
                    unit="s",
                ),
            ],
        ),
    ],
)
