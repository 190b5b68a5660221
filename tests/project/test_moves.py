"""A test that claims to see a metric move fails when the metric stands still."""

from collections.abc import Iterator

import prometheus_client
import pytest

from tests.measured import scraped, value, watching

NAME = "of_these_tests"
SCRAPE = '# TYPE a gauge\na{{who="x"}} {}\n'


@pytest.fixture(autouse=True)
def metric() -> Iterator[prometheus_client.Gauge]:
    found = prometheus_client.Gauge(NAME, "Of one test alone.", ["who"])
    yield found
    prometheus_client.REGISTRY.unregister(found)


def test_a_metric_that_is_the_same_all_the_time_is_told(metric: prometheus_client.Gauge):
    metric.labels("a").set(1)
    with watching([NAME]) as watched:
        metric.labels("a").set(1)
    assert watched.still() == [NAME]


def test_a_metric_that_is_another_at_the_end_has_moved(metric: prometheus_client.Gauge):
    with watching([NAME]) as watched:
        metric.labels("a").inc()
    assert watched.still() == []


def test_a_metric_that_is_back_at_the_end_was_seen_when_the_test_asked_for_it(metric: prometheus_client.Gauge):
    metric.labels("a").set(1)
    with watching([NAME]) as watched:
        metric.labels("a").set(2)
        assert value(NAME, who="a") == 2
        metric.labels("a").set(1)
    assert watched.still() == []


def test_a_metric_of_another_process_moves_between_two_looks_at_that_process():
    with watching(["a"]) as watched:
        scraped("first", SCRAPE.format(1))
        scraped("second", SCRAPE.format(2))
        assert watched.still() == ["a"]
        scraped("first", SCRAPE.format(3))
    assert watched.still() == []


def test_a_metric_that_is_none_never_moves():
    with watching(["leadline_no_such_thing"]) as watched:
        value("leadline_no_such_thing")
    assert watched.still() == ["leadline_no_such_thing"]


@pytest.mark.xfail(strict=True, raises=pytest.fail.Exception, reason="the mark fails a test whose metric stands still")
@pytest.mark.parametrize("claimed", [pytest.param(NAME, marks=pytest.mark.moves(NAME))])
def test_a_false_claim_fails_its_test(claimed: str):
    assert value(claimed, who="a") == value(claimed, who="b")
