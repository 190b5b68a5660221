"""A range of trading days through the cores that trade, in one command: prints, bars, signals, account, results."""
