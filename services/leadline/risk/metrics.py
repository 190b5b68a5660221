"""Metrics of the risk service."""

from typing import Final

from prometheus_client import Counter

DECISIONS: Final = Counter(
    "leadline_risk_decisions_total", "Decisions given, by call and outcome.", ("call", "outcome")
)
