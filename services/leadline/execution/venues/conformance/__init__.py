"""The conformance suite: what every venue's adapter has to show against its venue or a stand-in of it."""
