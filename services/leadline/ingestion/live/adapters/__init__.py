"""Live sources: whom ingestion connects to."""
