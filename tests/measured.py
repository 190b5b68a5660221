"""Metrics of the test's own process, by the names under which they are scraped."""

import prometheus_client


def value(metric: str, **labels: str) -> float:
    """The metric's value now; 0 while there is no such series."""
    return prometheus_client.REGISTRY.get_sample_value(metric, labels) or 0.0
