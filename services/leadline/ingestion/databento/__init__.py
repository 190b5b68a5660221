"""Trades that are bought of Databento: requests, the service, and the purchases."""
