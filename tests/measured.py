"""Metrics of the test's own process, by the names under which they are scraped."""

import prometheus_client


def value(metric: str, **labels: str) -> float:
    """The metric's value now; 0 while there is no such series."""
    return prometheus_client.REGISTRY.get_sample_value(metric, labels) or 0.0


def total(metric: str) -> float:
    """The sum of a metric's series now."""
    samples = (sample for family in prometheus_client.REGISTRY.collect() for sample in family.samples)
    return sum(sample.value for sample in samples if sample.name == metric)
