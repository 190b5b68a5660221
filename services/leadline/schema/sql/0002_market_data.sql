-- The market, and the signals of strategies. The recorder is the only writer. Prices are integer ticks, sizes and
-- volumes integer size steps; times are bigint nanoseconds UTC, and the timestamptz beside them are for people.

-- How far the prints of a tape are stored. It moves in the transaction that stores them, so each is stored once.
CREATE TABLE tick_position (
    source      int GENERATED ALWAYS AS IDENTITY UNIQUE,
    tape        text NOT NULL,
    contract    text NOT NULL,
    venue       text NOT NULL,
    last_index  bigint NOT NULL,
    PRIMARY KEY (tape, contract)
);

-- A print. Names are in tick_position: repeated in every row they would double its size.
CREATE TABLE tick_row (
    source        int NOT NULL,
    source_index  bigint NOT NULL,
    ts_ns         bigint NOT NULL,
    price         bigint NOT NULL,
    size          bigint NOT NULL CHECK (size > 0),
    aggressor     smallint NOT NULL CHECK (aggressor BETWEEN -1 AND 1),
    PRIMARY KEY (source, source_index)
);

CREATE VIEW tick AS
SELECT p.tape, p.contract, p.venue, r.source_index, r.ts_ns, to_timestamp(r.ts_ns / 1e9) AS ts,
       r.price, r.size, r.aggressor
FROM tick_row r JOIN tick_position p USING (source);

-- Prints that the source could not give again: what is built over this range is not complete.
CREATE TABLE tick_gap (
    tape         text NOT NULL,
    contract     text NOT NULL,
    first_index  bigint NOT NULL,
    last_index   bigint NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tape, contract, first_index)
);

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
    PRIMARY KEY (tape, contract, session, spec, trading_day, ordinal)
);

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
);

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
    PRIMARY KEY (tape, account, strategy, bar_key, analysis_hash)
);

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
