"""Execution answers with at most so many orders; a command gets as many as it asked for."""

import pytest

from leadline.cli.reading import ORDERS_AN_ANSWER, _newest_orders
from leadline.execution import servicer
from leadline.execution.v1 import execution_pb2 as pb

BOOK = [pb.Order(client_id=f"o{number:05}") for number in range(1200)]


class Execution:
    """Its answer to `GetOrders`, from a list."""

    def __init__(self) -> None:
        self.limits: list[int] = []

    async def GetOrders(self, request: pb.GetOrdersRequest, timeout: float) -> pb.GetOrdersResponse:  # noqa: N802, ASYNC109
        assert 1 <= request.limit <= servicer.MOST_ORDERS
        self.limits.append(request.limit)
        before = [order for order in BOOK if not request.before or order.client_id < request.before]
        return pb.GetOrdersResponse(orders=before[-request.limit :])


@pytest.mark.parametrize(
    ("limit", "calls"), [(1, [1]), (500, [500]), (700, [500, 200]), (1200, [500, 500, 200]), (5000, [500, 500, 500])]
)
async def test_the_newest_orders_come_page_by_page_and_oldest_first(limit: int, calls: list[int]):
    execution = Execution()
    found = await _newest_orders(execution, pb.GetOrdersRequest(limit=limit))
    assert [order.client_id for order in found] == [order.client_id for order in BOOK[-limit:]]
    assert execution.limits == calls


def test_a_page_is_as_large_as_execution_allows():
    assert ORDERS_AN_ANSWER == servicer.MOST_ORDERS
