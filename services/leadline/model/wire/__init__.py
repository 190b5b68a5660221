"""Messages of the bus and of the services for the values of the model, and back: prints, bars, signals, proposals."""
