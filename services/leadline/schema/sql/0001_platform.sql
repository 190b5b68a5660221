-- The platform's work: its runs, and the bars and prints that ingestion and aggregation must carry.

-- A run is a tape that is not live. Ingestion is the only writer. `content` identifies the feed's content or seed,
-- `launch` the start of the stack that works on it; `details` holds its contracts, sessions and what was missing;
-- `failure` says why its tape is not one to trust, empty when it is, absent until it has ended.
CREATE TABLE run (
    number        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tape          text NOT NULL UNIQUE,
    code_version  text NOT NULL,
    content       text NOT NULL,
    launch        text NOT NULL,
    feed          text NOT NULL,
    details       jsonb NOT NULL,
    opened_at     timestamptz NOT NULL DEFAULT now(),
    finished_at   timestamptz,
    failure       text
);
CREATE INDEX ON run (code_version, content, number);

-- Prints that did not reach a bar, by trading day (absent: the time belongs to none) and reason. Ingestion is the only
-- writer. The reason `outside_session` counts good prints in no session that bars are built of; `samples` are the
-- first few of a reason: {source, row, ts_ns, price, size, side}.
CREATE TABLE kept_out (
    tape         text NOT NULL,
    contract     text NOT NULL,
    trading_day  date,
    reason       text NOT NULL,
    prints       bigint NOT NULL,
    samples      jsonb NOT NULL DEFAULT '[]',
    UNIQUE NULLS NOT DISTINCT (tape, contract, trading_day, reason)
);

-- The demand of strategies and accounts, written by the supervisor or the operator. A row without bars asks for prints
-- only; `strategy` is empty where the account itself needs them. `hours` is {open, close, zone}, and `session` its id.
CREATE TABLE demand (
    account        text NOT NULL,
    strategy       text NOT NULL,
    contract       text NOT NULL,
    venue          text NOT NULL,
    session        text,
    hours          jsonb,
    bars           text,
    ticks_per_row  int CHECK (ticks_per_row > 0),
    ticks_only     boolean GENERATED ALWAYS AS (bars IS NULL) STORED,
    CHECK (num_nulls(session, hours, bars, ticks_per_row) IN (0, 4)),
    UNIQUE NULLS NOT DISTINCT (account, strategy, contract, session, bars, ticks_per_row)
);
