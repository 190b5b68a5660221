"""`leadline venues`: where an account can be, and what each venue does by itself."""

from dataclasses import asdict, dataclass
from typing import Any

from leadline.cli.options import Output
from leadline.cli.output import print_json, print_table
from leadline.model.manifest.spec_base import SpecModel
from leadline.model.manifest.venues import MEANINGS, Capability, Venue, venue_named, venues


@dataclass(frozen=True, slots=True)
class VenueText:
    """One venue: its section is where an account's manifest has its fields, given with their defaults."""

    name: str
    title: str
    environment: str
    capabilities: tuple[str, ...]
    section: str
    defaults: dict[str, Any]


def print_venues(name: str | None, output: Output) -> None:
    """Every venue, or the one of that name. Raises Unknown for a name that no venue has, InvalidInput as `venues`."""
    chosen = venues() if name is None else (venue_named(name),)
    texts = [_text(venue) for venue in chosen]
    if output is Output.JSON:
        print_json({"venues": [asdict(each) for each in texts]})
        return
    rows = [(each.name, each.title, each.environment, each.section) for each in texts]
    print_table("Venues", ("venue", "what it is", "environment", "section"), rows, "there is no venue")
    print()
    able = [
        (capability.value, MEANINGS[capability], *(_yes(capability in venue.capabilities) for venue in chosen))
        for capability in Capability
    ]
    print_table("Capabilities", ("capability", "the venue", *(each.name for each in texts)), able, "")


def _yes(can: bool) -> str:
    return "yes" if can else "no"


def _text(venue: Venue[Any]) -> VenueText:
    section: SpecModel = venue.section()
    return VenueText(
        name=venue.name,
        title=venue.title,
        environment="Live" if venue.real_money else "Paper",
        capabilities=tuple(each.value for each in Capability if each in venue.capabilities),
        section=f"spec.{venue.name}",
        defaults=section.to_manifest(),
    )
