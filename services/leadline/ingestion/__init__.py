"""The service that reads prints from a source, normalises them and publishes them."""
