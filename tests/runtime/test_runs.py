"""The run that every service works on."""

from dataclasses import replace
from datetime import date

from leadline.model.ids import ContractId, RunId
from leadline.runtime.runs import Run

DAY = date(2025, 6, 10)


def run(*contracts: str) -> Run:
    return Run(RunId("live"), "feed", dict.fromkeys(map(ContractId, contracts), "cme"), DAY, 1, (DAY,), (), 0)


def test_a_run_gains_the_contracts_of_a_later_announcement_and_keeps_those_that_it_has() -> None:
    running = run("MESU2025")
    held = running.contracts
    assert running.gain(run("MESU2025")) == ()
    assert running.gain(run("MESZ2025", "GCZ2025")) == ("GCZ2025", "MESZ2025")
    assert list(held) == ["GCZ2025", "MESU2025", "MESZ2025"]  # the same mapping, in order


def test_a_contract_keeps_its_venue() -> None:
    running = run("MESU2025")
    assert running.gain(replace(run("MESU2025"), contracts={ContractId("MESU2025"): "elsewhere"})) == ()
    assert running.contracts == {"MESU2025": "cme"}
