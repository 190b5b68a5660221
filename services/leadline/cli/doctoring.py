"""`leadline doctor`: what is wrong with a platform, and what mends it."""

import asyncio
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from leadline.cli.options import Output
from leadline.cli.output import people_console, print_json, print_table
from leadline.model.counted import counted
from leadline.model.errors import InvalidInput
from leadline.model.manifest.own_markets import put_in_force, read_own
from leadline.model.manifest.specs import Manifest, load_manifests
from leadline.report.printable import plain_text
from leadline.views.doctor.checkup import counts, findings_here
from leadline.views.doctor.cluster import findings_in_cluster
from leadline.views.doctor.facts import Finding, State
from leadline.views.doctor.gather import gather_here
from leadline.views.doctor.gather_cluster import gather_cluster
from leadline.views.documents import document
from leadline.views.place import Place

_STYLES: Final = {State.OK: "green", State.UNKNOWN: "dim", State.WARNING: "yellow", State.WRONG: "bold red"}


def print_checkup(place: Place, files: Sequence[Path], instruments: Sequence[Path], output: Output) -> bool:
    """Say how each check came out. Returns whether nothing is wrong.

    files: manifests of a start that is to come; instruments: files of its own ones.
    """
    if place.kube and (files or instruments):
        given = [("--file", each) for each in files] + [("--instruments", each) for each in instruments]
        raise InvalidInput(given[0][0], str(given[0][1]), "nothing beside --kube: a cluster has its manifests")
    if instruments:
        put_in_force(read_own(instruments))
    found = asyncio.run(_findings(place, load_manifests(*files)))
    if output is Output.JSON:
        print_json(checkup_document(found))
    else:
        draw(found)
    return not counts(found)[State.WRONG]


def _named(checks: Sequence[str]) -> str:
    """The checks that one sentence is about: what several could not look at for one reason is said once."""
    first, *others = dict.fromkeys(checks)
    return f"{first} and {len(others)} more" if others else first


def checkup_document(findings: Sequence[Finding]) -> dict[str, object]:
    """The document of `--output json`."""
    numbers = {state.lower(): count for state, count in counts(findings).items()}
    return {**numbers, "findings": [document(each) for each in findings]}


async def _findings(place: Place, manifests: Sequence[Manifest]) -> tuple[Finding, ...]:
    if place.kube:
        return findings_in_cluster(await gather_cluster(place))
    return findings_here(await gather_here(place.data_dir, manifests))


def draw(findings: Sequence[Finding]) -> None:
    """Print findings for people: in the order in which they were looked for, and what is to be done at the end."""
    console = people_console()
    rows = [
        (_named([each.check for each in found]), state.lower(), f"{text}.")
        for (state, text), found in (
            (key, list(group)) for key, group in groupby(findings, lambda each: (each.state, each.text))
        )
    ]
    print_table("Checks", ("check", "state", "finding"), rows, "Nothing was looked at.")
    bad = [each for each in findings if each.advice and each.state in (State.WRONG, State.WARNING)]
    for each in sorted(bad, key=lambda found: found.state != State.WRONG):
        console.print(plain_text(f"{each.state.lower()}: {each.text}.", _STYLES[State(each.state)]))
        console.print(plain_text(f"  {each.advice}"))
    numbers = counts(findings)
    parts = [f"{count:,} {state.lower()}" for state, count in numbers.items() if count]
    worst = next((state for state, count in numbers.items() if count), State.OK)
    text = f"{counted(len(findings), 'finding')}: {', '.join(parts)}."
    console.print(plain_text(text, _STYLES[worst]))
