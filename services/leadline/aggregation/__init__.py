"""The service that builds footprint bars out of prints."""
