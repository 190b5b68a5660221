"""What is fuzzed, by name."""

from collections.abc import Mapping
from typing import Final

from tests.fuzz import calls, catalogs, manifests, words
from tests.fuzz.runs import Target

TARGETS: Final[Mapping[str, Target]] = {
    "manifests": manifests.manifests,
    "manifests-text": manifests.texts,
    "instruments": manifests.own_instruments,
    "instruments-text": manifests.own_texts,
    "csv": calls.csv,
    "signals": calls.signals,
    "execution": calls.execution,
    "risk": calls.risk,
    "venue": calls.venue,
    "venue-words": words.venue_words,
    "push": calls.push,
    "catalog": catalogs.damaged,
    "catalog-forged": catalogs.forged,
    "catalog-misplaced": catalogs.misplaced,
    "databento": catalogs.databento,
}
