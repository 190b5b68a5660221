"""The paper venue, as it is declared: what it can do, and what an account's manifest says of it."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from leadline.model.durations import parse_duration
from leadline.model.ids import AccountId
from leadline.model.manifest.spec_base import DurationText, SpecModel
from leadline.model.manifest.venues import PAPER, Capability, Venue
from leadline.model.strict import ServiceParams
from leadline.venue.params import VenueParams

VENUE_SERVICE = "venue"
"""The service of the table that is the paper venue."""


class PaperSection(SpecModel):
    """How the paper venue fills."""

    fill_rule: Literal["Pessimistic", "Optimistic", "NextPrint", "Nautilus1231"] = "Pessimistic"
    """Which prints fill an order, and at which price."""
    slippage_ticks: Annotated[int, Field(ge=0, le=1000)] = 1
    """Ticks lost by market and stop orders."""
    brackets: Literal["Native", "Attached", "StopOnly"] = "Native"
    """The maker of stop and target of a fill. Native: the venue, with the fill. Attached: the account, as orders
    that follow the fill, as at a venue that makes none itself. StopOnly: the account, and the venue ends no exit when
    another fills: only the stop rests there, and the account takes the target.
    """
    latency: DurationText = "50ms"
    """From the decision to the venue: an order first meets prints strictly later than that."""

    @property
    def latency_ns(self) -> int:
        """`latency` in nanoseconds."""
        return parse_duration(self.latency, "latency")


_WITHOUT: Final = {
    "Native": frozenset[Capability](),
    "Attached": frozenset({Capability.NATIVE_BRACKET}),
    "StopOnly": frozenset({Capability.NATIVE_BRACKET, Capability.OCO}),
}
"""The capabilities that the venue does not have, by who makes its brackets."""


class PaperVenue(Venue[PaperSection]):
    """A market without money that matches an account's orders against the prints of its tape."""

    name = PAPER
    section = PaperSection
    capabilities = frozenset(Capability)
    adapter = "leadline.execution.venues.paper.client:connect"
    real_money = False
    processes = (VENUE_SERVICE,)
    stand_in = "leadline.execution.venues.paper.stand_in:open_stand_in"

    def able(self, section: PaperSection) -> frozenset[Capability]:
        """All, but brackets of its own and pairs where it is set so."""
        return self.capabilities - _WITHOUT[section.brackets]

    def settings(self, account: AccountId, section: PaperSection) -> Mapping[str, ServiceParams]:
        """One process for each account, with its ledger."""
        return {
            VENUE_SERVICE: VenueParams(
                account=account,
                fill_rule=section.fill_rule,
                slippage_ticks=section.slippage_ticks,
                latency_ns=section.latency_ns,
                native_brackets=section.brackets == "Native",
                pairs=section.brackets != "StopOnly",
            )
        }

    def slippage_ticks(self, section: PaperSection) -> int:
        """The slippage of its market and stop orders."""
        return section.slippage_ticks

    def latency(self, section: PaperSection) -> tuple[str, str]:
        """Of each order, from its decision."""
        return "latency", section.latency
