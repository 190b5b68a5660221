-- Rights. One service writes a table; others that need it read it. Nothing is granted by default.

GRANT USAGE ON SCHEMA public
    TO leadline_ingestion, leadline_aggregation, leadline_recorder, leadline_execution, leadline_supervisor, leadline_reader;

-- Ingestion: its runs; it reads what is wanted, and how far the readers of its prints are.
GRANT SELECT, INSERT, UPDATE ON run, kept_out TO leadline_ingestion;
GRANT USAGE ON SEQUENCE run_number_seq TO leadline_ingestion;
GRANT SELECT ON demand, tick_position, tick_block, account_state TO leadline_ingestion;

GRANT SELECT ON demand TO leadline_aggregation;

-- Recorder: market data and signals. A revision of a bar replaces its rows.
GRANT SELECT, INSERT, UPDATE, DELETE ON tick_position, tick_block, tick_gap, candle, unfinished_bar, footprint, signal, dead_letter
    TO leadline_recorder;
GRANT SELECT ON retention, market_partition TO leadline_recorder;
GRANT EXECUTE ON FUNCTION use_partition, drop_partition TO leadline_recorder;

-- Execution: the book. Its audit is only added to; `published` alone changes.
GRANT SELECT, INSERT, UPDATE ON lease, account_state, strategy_state, decision, intent, fill, position, halt
    TO leadline_execution;
GRANT SELECT, INSERT ON order_event TO leadline_execution;
GRANT UPDATE (published) ON order_event TO leadline_execution;
GRANT SELECT, INSERT ON dead_letter TO leadline_execution;

-- The supervisor says what is wanted.
GRANT SELECT, INSERT, UPDATE, DELETE ON demand TO leadline_supervisor;
GRANT SELECT, UPDATE ON retention TO leadline_supervisor;
GRANT SELECT ON market_partition TO leadline_supervisor;
GRANT SELECT ON run, tick_position TO leadline_supervisor;

-- Reports and people look at everything.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO leadline_reader;
