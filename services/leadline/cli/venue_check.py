"""`leadline venue check`: the conformance suite, run and printed."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from leadline.cli.failures import EXIT_FAILED
from leadline.cli.options import Output
from leadline.cli.output import print_json, print_table
from leadline.execution.venues.conformance.stand_in import stand_in_of
from leadline.execution.venues.conformance.suite import Outcome, cases_named, check
from leadline.model.manifest.one_document import read_document
from leadline.model.manifest.spec_base import SpecModel
from leadline.model.manifest.venues import Venue, venue_named


def check_venue(name: str, section_file: Path | None, cases: Sequence[str], output: Output) -> int:
    """Run the cases against a venue's stand-in and print what came of them. Returns the exit code.

    Raises Unknown for a venue or a case that there is none of, InvalidInput for a section or a stand-in that is none.
    """
    venue, asked = venue_named(name), cases_named(cases)
    section = _section(venue, section_file)
    opened = stand_in_of(venue)
    found = asyncio.run(check(lambda: opened(section), venue.able(section), asked))
    counts = Counter(finding.outcome for finding in found)
    if output is Output.JSON:
        totals = {outcome.value.replace(" ", "_"): counts[outcome] for outcome in Outcome}
        print_json({"venue": name, **totals, "cases": [asdict(finding) for finding in found]})
    else:
        rows = [(finding.name, finding.asks, finding.outcome.value, finding.why) for finding in found]
        print_table(f"Conformance of {name}", ("case", "what it asks", "outcome", "why"), rows, "there is no case")
        print(", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome))
    return EXIT_FAILED if counts[Outcome.FAILED] else 0


def _section(venue: Venue[Any], file: Path | None) -> SpecModel:
    model: type[SpecModel] = venue.section
    if file is None:
        return model()
    return read_document(file.read_bytes(), str(file), model, f"the fields of spec.{venue.name}")[0]
