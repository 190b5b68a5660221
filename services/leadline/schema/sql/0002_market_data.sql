-- The market, and the signals of strategies. The recorder is the only writer. Prices are integer ticks, sizes and
-- volumes integer size steps; times are bigint nanoseconds UTC, and the timestamptz beside them are for people.
-- Prints, bars, footprints and signals are partitioned by date, so that what is too old goes without a row being deleted.

-- How far the prints of a tape are stored. It moves in the transaction that stores them, so each is stored once.
CREATE TABLE tick_position (
    source      int GENERATED ALWAYS AS IDENTITY UNIQUE,
    tape        text NOT NULL,
    contract    text NOT NULL,
    venue       text NOT NULL,
    last_index  bigint NOT NULL,
    PRIMARY KEY (tape, contract)
);

-- Prints with source indices that follow each other, of one date of UTC, in columns: the arrays have one element for
-- each, and their times do not decrease. A row for each print would need four times the room, and ten times the work. A
-- source index is there once: the position, which moves in the same transaction, sees to that.
CREATE TABLE tick_block (
    source       int NOT NULL,
    first_index  bigint NOT NULL,
    last_index   bigint NOT NULL,
    first_ns     bigint NOT NULL,
    last_ns      bigint NOT NULL,
    ts_ns        bigint[] STORAGE EXTERNAL NOT NULL,
    price        bigint[] STORAGE EXTERNAL NOT NULL,
    size         bigint[] STORAGE EXTERNAL NOT NULL CHECK (0 < ALL (size)),
    aggressor    smallint[] STORAGE EXTERNAL NOT NULL CHECK (-1 <= ALL (aggressor) AND 1 >= ALL (aggressor)),
    CHECK (ts_ns[1] = first_ns AND ts_ns[last_index - first_index + 1] = last_ns),
    CHECK (cardinality(ts_ns) = last_index - first_index + 1 AND cardinality(price) = cardinality(ts_ns)),
    CHECK (cardinality(size) = cardinality(ts_ns) AND cardinality(aggressor) = cardinality(ts_ns)),
    PRIMARY KEY (source, first_index, last_ns)
) PARTITION BY RANGE (last_ns);

-- The prints, one in a row.
CREATE VIEW tick AS
SELECT p.tape, p.contract, p.venue, b.first_index + t.n - 1 AS source_index, t.ts_ns,
       to_timestamp(t.ts_ns / 1e9) AS ts, t.price, t.size, t.aggressor
FROM tick_block b JOIN tick_position p USING (source),
     unnest(b.ts_ns, b.price, b.size, b.aggressor) WITH ORDINALITY AS t (ts_ns, price, size, aggressor, n);

-- Prints that the source could not give again: what is built over this range is not complete.
CREATE TABLE tick_gap (
    tape         text NOT NULL,
    contract     text NOT NULL,
    first_index  bigint NOT NULL,
    last_index   bigint NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tape, contract, first_index)
);

-- A bar. On the tape `live` alone: `revision` counts how often late prints have changed it since it closed; with `gap`
-- some prints of its span may be missing for ever.
CREATE TABLE candle (
    tape                text NOT NULL,
    contract            text NOT NULL,
    session             text NOT NULL,
    spec                text NOT NULL,
    trading_day         date NOT NULL,
    ordinal             bigint NOT NULL,
    bar_key             text NOT NULL,
    venue               text NOT NULL,
    revision            int NOT NULL,
    start_ns            bigint NOT NULL,
    end_ns              bigint NOT NULL,
    known_at_ns         bigint NOT NULL,
    starts_at           timestamptz GENERATED ALWAYS AS (to_timestamp(start_ns / 1e9)) STORED,
    open                bigint NOT NULL,
    high                bigint NOT NULL,
    low                 bigint NOT NULL,
    close               bigint NOT NULL,
    volume              bigint NOT NULL,
    prints              bigint NOT NULL,
    delta               bigint NOT NULL,
    min_delta           bigint NOT NULL,
    max_delta           bigint NOT NULL,
    cumulative_delta    bigint NOT NULL,
    poc                 bigint NOT NULL,
    value_area_low      bigint NOT NULL,
    value_area_high     bigint NOT NULL,
    vwap_volume         bigint NOT NULL,
    vwap_price_volume   numeric NOT NULL,
    vwap_price2_volume  numeric NOT NULL,
    first_index         bigint NOT NULL,
    last_index          bigint NOT NULL,
    session_open_ns     bigint NOT NULL,
    session_close_ns    bigint NOT NULL,
    ticks_per_row       int NOT NULL,
    gap                 boolean NOT NULL,
    PRIMARY KEY (tape, contract, session, spec, trading_day, ordinal)
) PARTITION BY RANGE (trading_day);

-- The prints with which a tape ends inside a bar, `prints` of them: they are in none. The rest of its key is the bar's.
CREATE TABLE unfinished_bar (
    tape         text NOT NULL,
    contract     text NOT NULL,
    session      text NOT NULL,
    spec         text NOT NULL,
    trading_day  date NOT NULL,
    ordinal      bigint NOT NULL,
    prints       bigint NOT NULL CHECK (prints > 0),
    PRIMARY KEY (tape, contract, session, spec)
);

-- One row per price row of a bar; volumes by aggressor: bid = sellers, ask = buyers, unknown = nobody said.
CREATE TABLE footprint (
    tape            text NOT NULL,
    contract        text NOT NULL,
    session         text NOT NULL,
    spec            text NOT NULL,
    trading_day     date NOT NULL,
    ordinal         bigint NOT NULL,
    price           bigint NOT NULL,
    bid             bigint NOT NULL,
    ask             bigint NOT NULL,
    unknown         bigint NOT NULL,
    bid_prints      bigint NOT NULL,
    ask_prints      bigint NOT NULL,
    unknown_prints  bigint NOT NULL,
    PRIMARY KEY (tape, contract, session, spec, trading_day, ordinal, price)
) PARTITION BY RANGE (trading_day);

-- A strategy's answer to a closed bar. `signals` is an array, in the order of the patterns, of objects with pattern,
-- direction, price, strength (decimal string), approved, rejection and evidence; `proposals` one of what it wants, in
-- the order in which it is decided. The regime's columns are null where a strategy reads none.
CREATE TABLE signal (
    tape              text NOT NULL,
    account           text NOT NULL,
    strategy          text NOT NULL,
    analysis_hash     text NOT NULL,
    contract          text NOT NULL,
    session           text NOT NULL,
    spec              text NOT NULL,
    trading_day       date NOT NULL,
    ordinal           bigint NOT NULL,
    bar_key           text NOT NULL,
    known_at_ns       bigint NOT NULL,
    known_at          timestamptz GENERATED ALWAYS AS (to_timestamp(known_at_ns / 1e9)) STORED,
    close             bigint NOT NULL,
    session_open_ns   bigint NOT NULL,
    session_close_ns  bigint NOT NULL,
    regime            text,
    confidence        numeric,
    multiplier        numeric,
    reason            text,
    scores            jsonb,
    inputs            jsonb,
    signals           jsonb NOT NULL,
    proposals         jsonb NOT NULL,
    -- Two analyses may speak about one bar while a new one takes over; which one counts is execution's word.
    PRIMARY KEY (tape, account, strategy, bar_key, analysis_hash, trading_day)
) PARTITION BY RANGE (trading_day);

-- For how many days the rows of a partitioned table are kept; null: for ever. A partition holds one `period` of it, in
-- dates of UTC for prints and in trading days for the others. Rows that are kept for ever have the longer one, because
-- a query opens all partitions of a tape. A person sets `keep_days`; the recorder goes by it.
CREATE TABLE retention (
    kind       text PRIMARY KEY,
    of_table   text NOT NULL UNIQUE,
    period     text NOT NULL CHECK (period IN ('day', 'month')),
    keep_days  int CHECK (keep_days > 0)
);
INSERT INTO retention (kind, of_table, period, keep_days) VALUES
    ('ticks', 'tick_block', 'day', 30), ('footprints', 'footprint', 'day', 90),
    ('bars', 'candle', 'month', NULL), ('signals', 'signal', 'month', NULL);

-- The partitions that there are: from the date `begins` to before `ends`. `written_on` is the date on which one was last
-- written, which is far behind its own dates where old prints are replayed: it grows old from then on.
CREATE TABLE market_partition (
    of_table    text NOT NULL REFERENCES retention (of_table),
    begins      date NOT NULL,
    ends        date NOT NULL,
    name        text NOT NULL UNIQUE,
    written_on  date NOT NULL,
    PRIMARY KEY (of_table, begins)
);

-- Makes the partition that a date belongs to where there is none, and marks it as written today. It is attached after it
-- was made, because that waits for no reader and no writer of the table.
CREATE FUNCTION use_partition(wanted_table text, wanted date, today date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    rule   retention;
    first  date;
    past   date;
    part   text;
BEGIN
    SELECT * INTO STRICT rule FROM retention WHERE of_table = wanted_table;
    first := date_trunc(rule.period, wanted::timestamp)::date;
    past := (first + ('1 ' || rule.period)::interval)::date;
    part := wanted_table || '_' || to_char(first, CASE rule.period WHEN 'day' THEN 'YYYYMMDD' ELSE 'YYYYMM' END);
    INSERT INTO market_partition VALUES (wanted_table, first, past, part, today) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        UPDATE market_partition SET written_on = today
        WHERE of_table = wanted_table AND begins = first AND written_on < today;
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, wanted_table);
    IF wanted_table = 'tick_block' THEN
        EXECUTE format('ALTER TABLE tick_block ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', part,
                       (first - date '1970-01-01') * 86400000000000, (past - date '1970-01-01') * 86400000000000);
    ELSE
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                       wanted_table, part, first, past);
    END IF;
END $$;

-- Drops a partition. Whoever reads the table is waited for, and not for long: the recorder tries again.
CREATE FUNCTION drop_partition(wanted_table text, first date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    part  text;
BEGIN
    DELETE FROM market_partition WHERE of_table = wanted_table AND begins = first RETURNING name INTO part;
    IF FOUND THEN
        EXECUTE format('DROP TABLE %I', part);
    END IF;
END $$;

REVOKE EXECUTE ON FUNCTION use_partition, drop_partition FROM PUBLIC;
SELECT use_partition(of_table, current_date + ahead, current_date) FROM retention, generate_series(0, 2) AS ahead;

-- Messages that a reader refused, kept for a person to look at. `reader` is the service that refused, `sequence` the
-- stream's at that time, `bytes` the payload's whole length, of which 64 KiB are kept, `reason` one of few words.
CREATE TABLE dead_letter (
    reader       text NOT NULL,
    stream       text NOT NULL,
    subject      text NOT NULL,
    sequence     bigint NOT NULL,
    message_id   text NOT NULL,
    digest       text NOT NULL,
    bytes        bigint NOT NULL,
    payload      bytea NOT NULL,
    reason       text NOT NULL,
    detail       text NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (reader, subject, digest)
);
