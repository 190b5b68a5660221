"""The paper market called in the process: for a backtest, whose tapes are at hand whole, and for tests of the loop."""

from collections.abc import Callable, Mapping, Sequence

from leadline.execution.loop.ports import Refused
from leadline.execution.venues.paper.venue import PaperSection
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import ClientOrderId, ContractId
from leadline.model.orders import Advanced, Replacement, VenueOrder, Watch
from leadline.model.ticks import TickColumns
from leadline.venue.fill_rules import FillRules, parse_fill_rule
from leadline.venue.history import Step
from leadline.venue.matching import PaperMarket


def fill_rules_of(section: PaperSection) -> FillRules:
    """The rules of a paper market that is set so."""
    rule = parse_fill_rule(section.fill_rule, "fillRule")
    return FillRules(
        rule,
        section.slippage_ticks,
        section.latency_ns,
        native_brackets=section.brackets == "Native",
        pairs=section.brackets != "StopOnly",
    )


class DirectVenue:
    """One account's paper market over whole tapes, as a venue of the loop; it always answers.

    `tapes` are the prints of every contract of the feed, complete up to `end_ns`; `final` says that they end there, and
    otherwise `go_on` gives more of them. What changes is given to `written` before anybody is told of it.
    """

    def __init__(
        self,
        market: PaperMarket,
        tapes: Mapping[ContractId, TickColumns],
        end_ns: int,
        written: Callable[[Step], None] | None = None,
        *,
        final: bool = True,
    ) -> None:
        self._market = market
        self._tapes = tapes
        self._end_ns = end_ns
        self._final = final
        self._written = written
        self._stands = (market.instant_ns, market.last_event)

    @property
    def contracts(self) -> tuple[ContractId, ...]:
        """The contracts of which there are tapes."""
        return tuple(self._tapes)

    def go_on(self, tapes: Mapping[ContractId, TickColumns], end_ns: int, *, final: bool) -> None:
        """Put tapes in the place of those before: they begin where those are matched, and reach further."""
        self._tapes, self._end_ns, self._final = tapes, end_ns, final

    def unmatched(self, contract: ContractId) -> TickColumns:
        """The prints of a contract that the market has not matched yet."""
        ticks, mark = self._tape(contract), self._market.marks.get(contract)
        start = 0 if mark is None else mark.last.source_index + 1 - ticks.first_index
        return ticks.slice(max(start, 0), len(ticks))

    async def advance(
        self, from_ns: int, to_ns: int, after_event: int, contracts: Sequence[ContractId], watches: Sequence[Watch]
    ) -> Advanced:
        """Match the tapes up to an instant, inclusive, or to the first change of an order or crossing of a watch.

        Raises InvalidInput as the market does, Unknown for a contract that has no tape.
        """
        market = self._market
        final = False
        if after_event >= market.matched_event and from_ns >= market.instant_ns:
            for contract in (*contracts, *(order.tape_contract for order in market.live_orders())):
                self._tape(contract)
            market.advance(self._tapes, min(to_ns, self._end_ns), watches)
            final = self._final and market.instant_ns >= self._end_ns
        self._write()
        marks = market.marks
        last = {name: marks[name].last for name in contracts if name in marks}
        return Advanced(market.instant_ns, market.events_after(after_event), last, final, market.positions())

    async def working(self) -> Sequence[VenueOrder]:
        """Every order that works."""
        return self._market.live_orders()

    async def submit(self, order: VenueOrder) -> VenueOrder:
        """Take an order; one whose id is known is answered as it stands. Raises Refused for nonsense."""
        try:
            taken, _ = self._market.submit(order)
        except InvalidInput as error:
            raise Refused(f"venue refuses order {order.client_id}: {error}", "venue") from error
        self._write()
        return taken

    async def cancel(self, client_id: ClientOrderId, reason: str) -> None:
        """Cancel an order at once. Raises Refused when there is none of that id."""
        try:
            self._market.cancel(client_id, reason)
        except Unknown as error:
            raise Refused(f"venue refuses: {error}", "venue") from error
        self._write()

    async def replace(self, wanted: Replacement) -> VenueOrder:
        """Give a working order other terms. Raises Refused when there is none of that id, or it cannot have them."""
        try:
            order = self._market.replace(wanted)
        except (Unknown, InvalidInput) as error:
            raise Refused(f"venue refuses: {error}", "venue") from error
        self._write()
        return order

    async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
        """The order with this id, None when there is none."""
        try:
            return self._market.order(client_id)
        except Unknown:
            return None

    async def positions(self) -> dict[ContractId, int]:
        """Net signed position by contract; flat ones absent."""
        return self._market.positions()

    def _tape(self, contract: ContractId) -> TickColumns:
        try:
            return self._tapes[contract]
        except KeyError:
            raise Unknown("tape", contract, tuple(self._tapes)) from None

    def _write(self) -> None:
        now = (self._market.instant_ns, self._market.last_event)
        if self._written is not None and now != self._stands:
            self._written(self._market.take_step())
        self._stands = now
