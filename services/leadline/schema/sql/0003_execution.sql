-- The book. Execution is its only writer. Prices are integer ticks, quantities integer size steps, money is numeric.

-- One writer per account, across tapes: the epoch is checked in every transaction that can lead to an order.
CREATE TABLE lease (
    account     text PRIMARY KEY,
    epoch       bigint NOT NULL,
    holder      text NOT NULL,
    expires_at  timestamptz NOT NULL
);

CREATE TABLE account_state (
    tape            text NOT NULL,
    account         text NOT NULL,
    instant_ns      bigint NOT NULL,
    trading_day     date,
    tier_index      int NOT NULL,
    equity_at_roll  numeric NOT NULL,
    realised        numeric NOT NULL,
    trades          int NOT NULL,
    streak          int NOT NULL,
    block           text NOT NULL,
    flatten         text NOT NULL,
    day_limits      jsonb NOT NULL,
    last_prints     jsonb NOT NULL,
    venue_event     bigint NOT NULL,
    last_event      bigint NOT NULL,
    finished        boolean NOT NULL,
    PRIMARY KEY (tape, account)
);

CREATE TABLE strategy_state (
    tape           text NOT NULL,
    account        text NOT NULL,
    strategy       text NOT NULL,
    manifest       jsonb NOT NULL,
    settings_hash  text NOT NULL,
    analysis_hash  text NOT NULL,
    joined_ns      bigint NOT NULL,
    contract       text NOT NULL,
    realised       numeric NOT NULL,
    trades         int NOT NULL,
    flatten        text NOT NULL,
    block          text NOT NULL,
    PRIMARY KEY (tape, account, strategy)
);

-- One row for each proposal of a strategy, accepted or not. `source` says where the proposal came from: the key of its
-- bar, for the second one and those after it with its number. `proposal` is what was asked for.
CREATE TABLE decision (
    tape         text NOT NULL,
    decision_id  text NOT NULL,
    account      text NOT NULL,
    strategy     text NOT NULL,
    source       text NOT NULL,
    bar_key      text NOT NULL,
    proposal     jsonb NOT NULL,
    instant_ns   bigint NOT NULL,
    trading_day  date NOT NULL,
    accepted     boolean NOT NULL,
    reason       text NOT NULL,
    side         text,
    quantity     bigint NOT NULL,
    contract     text NOT NULL,
    -- How an accepted entry is priced and what it exits by; a bracket is null where it was refused.
    type         text NOT NULL,
    price        bigint,
    valid_until_ns bigint,
    bracket      jsonb,
    patterns     text[] NOT NULL,
    regime       text NOT NULL,
    arithmetic   jsonb NOT NULL,
    epoch        bigint NOT NULL,
    PRIMARY KEY (tape, decision_id),
    UNIQUE (tape, account, strategy, source)
);
CREATE INDEX ON decision (tape, account, instant_ns);
CREATE INDEX ON decision (tape, account, strategy, bar_key);

-- An order as intended, and its state as proven. Written before the first byte of it leaves.
CREATE TABLE intent (
    tape           text NOT NULL,
    client_id      text NOT NULL,
    account        text NOT NULL,
    strategy       text NOT NULL,
    decision_id    text NOT NULL,
    leg            text NOT NULL,
    attempt        int NOT NULL,
    contract       text NOT NULL,
    tape_contract  text NOT NULL,
    side           text NOT NULL,
    type           text NOT NULL,
    quantity       bigint NOT NULL CHECK (quantity > 0),
    limit_price    bigint,
    stop_price     bigint,
    -- The native exits of an entry, and how an order's own stop trails; null without.
    bracket        jsonb,
    trail          jsonb,
    valid_until_ns bigint,
    first_fill_ns  bigint,
    -- Where the strategy wants a stop or a target that is not there yet, and whether it has taken an entry back.
    wanted_price   bigint,
    unwanted       boolean NOT NULL,
    -- Entries with the same group are alternatives; empty without any.
    entry_group    text NOT NULL,
    -- When this account last moved a stop that trails, at a venue that does not.
    moved_ns       bigint,
    -- The client id of the entry whose first fill has taken this one out; empty while none has.
    taken_out_by   text NOT NULL,
    -- How the strategy wants a stop to trail that does not yet; the price of the fill which a leg closes; and the exits
    -- that the strategy wants for what an entry fills later.
    wanted_trail   jsonb,
    entry_price    bigint,
    protection     jsonb,
    -- The part of its strategy's position that it opens or closes; empty where it is of no one unit.
    unit           text NOT NULL DEFAULT 'main',
    parent         text NOT NULL,
    oco            text NOT NULL,
    filled         bigint NOT NULL CHECK (filled >= 0),
    state          text NOT NULL,
    reason         text NOT NULL,
    version        int NOT NULL,
    decided_at_ns  bigint NOT NULL,
    send_by_ns     bigint,
    epoch          bigint NOT NULL,
    PRIMARY KEY (tape, account, client_id),
    UNIQUE (tape, account, decision_id, leg, attempt)
);
CREATE INDEX ON intent (tape, account, state);
CREATE INDEX ON intent (tape, account, decided_at_ns);
-- At most one entry whose fate is open per account and contract.
CREATE UNIQUE INDEX intent_one_unresolved_entry ON intent (tape, account, contract)
    WHERE leg = 'E' AND state IN ('PENDING', 'SENDING', 'UNKNOWN');

CREATE TABLE fill (
    tape          text NOT NULL,
    account       text NOT NULL,
    fill_id       text NOT NULL,
    client_id     text NOT NULL,
    strategy      text NOT NULL,
    contract      text NOT NULL,
    side          text NOT NULL,
    quantity      bigint NOT NULL CHECK (quantity > 0),
    price         bigint NOT NULL,
    ts_ns         bigint NOT NULL,
    source_index  bigint NOT NULL,
    k             int NOT NULL,
    commission    numeric NOT NULL,
    venue_event   bigint NOT NULL,
    PRIMARY KEY (tape, account, fill_id)
);
CREATE INDEX ON fill (tape, account, venue_event);

CREATE TABLE position (
    tape           text NOT NULL,
    account        text NOT NULL,
    strategy       text NOT NULL,
    contract       text NOT NULL,
    tape_contract  text NOT NULL,
    quantity       bigint NOT NULL,
    lots           jsonb NOT NULL,
    tick_value     numeric NOT NULL,
    realised       numeric NOT NULL,
    commission     numeric NOT NULL,
    decision_id    text NOT NULL,
    inverse        boolean NOT NULL,
    -- Size steps by unit that were entered without a stop on purpose.
    without_stop   jsonb NOT NULL,
    PRIMARY KEY (tape, account, strategy, contract)
);

-- Every halt of an account, numbered. They outlive a tape; one is in force until its row says who cleared it.
CREATE TABLE halt (
    account       text NOT NULL,
    number        bigint NOT NULL CHECK (number > 0),
    source        text NOT NULL CHECK (source IN ('PERSON', 'FIELD', 'DIFFERENCE', 'LIMIT', 'POISON', 'SYSTEM')),
    reason        text NOT NULL,
    halted_by     text NOT NULL,
    at            timestamptz NOT NULL,
    cleared_by    text,
    cleared_at    timestamptz,
    clear_reason  text,
    PRIMARY KEY (account, number),
    CHECK ((cleared_by IS NULL) = (cleared_at IS NULL) AND (clear_reason IS NULL) = (cleared_at IS NULL))
);
CREATE INDEX halt_in_force ON halt (account) WHERE cleared_at IS NULL;

-- Append-only audit and outbox in one: what is committed here is published to the bus afterwards, in order.
CREATE TABLE order_event (
    tape        text NOT NULL,
    account     text NOT NULL,
    event       bigint NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('decision', 'order', 'fill', 'position', 'halt', 'fence')),
    key         text NOT NULL,
    version     int NOT NULL,
    instant_ns  bigint NOT NULL,
    body        jsonb NOT NULL,
    published   boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tape, account, event),
    UNIQUE (tape, account, kind, key, version)
);
CREATE INDEX order_event_unpublished ON order_event (tape, account, event) WHERE NOT published;
