-- Strategies and settings that come, change and go while an account trades.

-- `settings` are the account's hot fields as they were last set, null before that.
-- `tiers` is the table in force where it is not that of the settings yet; `margin_limits` are stricter than the
-- settings' until the roll. `calendar` rolls the trading day: that of the first strategy that joined.
ALTER TABLE account_state
    ADD COLUMN settings       jsonb,
    ADD COLUMN tiers          jsonb,
    ADD COLUMN margin_limits  jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN calendar       text NOT NULL DEFAULT '';

-- `drain` is the drain in force, {drain_id, working_orders, positions, instant_ns}; `held_limits` the limits of its own that
-- are stricter than its settings until it is flat or its session opens, with the instant since which they are held.
-- `fence` says since when and why nothing of it counts, {reason, detail, instant_ns, progress_ns}; messages that were
-- refused up to the progress `cleared_ns` fence it no more. `unit_exits` are the units that are to leave, each with the size
-- steps of it, null for all, the reason, the farthest stop that it had (ticks), and how much of a part had none on purpose.
ALTER TABLE strategy_state
    ADD COLUMN drain        jsonb,
    ADD COLUMN held_limits  jsonb,
    ADD COLUMN fence        jsonb,
    ADD COLUMN cleared_ns   bigint NOT NULL DEFAULT -1,
    ADD COLUMN unit_exits   jsonb NOT NULL DEFAULT '[]';

-- The accounts that a run is not over without: they have not come to the end of its tape, and there they still have a
-- strategy that is not leaving, or something in the market. One without either may come to no end at all: it may
-- never have had a strategy, or is gone.
CREATE VIEW account_behind AS
SELECT tape, account FROM account_state AS state
WHERE NOT finished AND (
    EXISTS (
        SELECT FROM strategy_state AS strategy
        WHERE (strategy.tape, strategy.account) = (state.tape, state.account) AND drain IS NULL
    )
    OR EXISTS (
        SELECT FROM position AS held WHERE (held.tape, held.account) = (state.tape, state.account) AND quantity <> 0
    )
    OR EXISTS (
        SELECT FROM intent AS placed
        WHERE (placed.tape, placed.account) = (state.tape, state.account)
        AND placed.state IN ('PENDING', 'SENDING', 'UNKNOWN', 'WORKING', 'PARTIAL', 'PENDING_CANCEL')
    )
);
GRANT SELECT ON account_behind TO leadline_ingestion, leadline_reader;
