"""Metrics of the test's own process, by the names under which they are scraped, and whether they move in a test."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import prometheus_client
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

_PARTS = ("", "_bucket", "_count", "_sum")


class Watched:
    """What some metrics were whenever somebody looked."""

    def __init__(self, metrics: Iterable[str]) -> None:
        self._seen: dict[str, dict[str, set[str]]] = {metric: {} for metric in metrics}

    def look(self) -> None:
        """Note what each of them is now."""
        self.note("here", prometheus_client.REGISTRY.collect())

    def note(self, process: str, families: Iterable[Metric]) -> None:
        """Note what each of them is in a process: all of its series with their values."""
        samples = [sample for family in families for sample in family.samples]
        for metric, seen in self._seen.items():
            names = {metric + part for part in _PARTS}
            found = repr([(each.name, each.labels, each.value) for each in samples if each.name in names])
            seen.setdefault(process, set()).add(found)

    def still(self) -> list[str]:
        """Those that were always the same, in every process."""
        return [metric for metric, seen in self._seen.items() if all(len(each) < 2 for each in seen.values())]


_watched: list[Watched] = []


@contextmanager
def watching(metrics: Iterable[str]) -> Iterator[Watched]:
    """Look at some metrics before and after, and whenever a test asks for any value."""
    watched = Watched(metrics)
    _watched.append(watched)
    watched.look()
    try:
        yield watched
        watched.look()
    finally:
        _watched.remove(watched)


def value(metric: str, **labels: str) -> float:
    """The metric's value now; 0 while there is no such series."""
    look()
    return prometheus_client.REGISTRY.get_sample_value(metric, labels) or 0.0


def total(metric: str) -> float:
    """The sum of a metric's series now."""
    look()
    samples = (sample for family in prometheus_client.REGISTRY.collect() for sample in family.samples)
    return sum(sample.value for sample in samples if sample.name == metric)


def look() -> None:
    """Note what is watched in this test."""
    for watched in _watched:
        watched.look()


def scraped(process: str, text: str) -> None:
    """Note what is watched in this test, of a process whose metrics were asked for."""
    for watched in _watched:
        watched.note(process, text_string_to_metric_families(text))
