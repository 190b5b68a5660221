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
-- refused up to the progress `cleared_ns` fence it no more.
ALTER TABLE strategy_state
    ADD COLUMN drain        jsonb,
    ADD COLUMN held_limits  jsonb,
    ADD COLUMN fence        jsonb,
    ADD COLUMN cleared_ns   bigint NOT NULL DEFAULT -1;
