"""The commands that buy, as the page shows them, against a process that answers for Databento."""

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

from tests.docs.pages import ROOT
from tests.docs.test_examples import LEADLINE_LINES
from tests.ingestion.databento_peer import started
from tests.ingestion.databento_server import KEY

LEADLINE = Path(sys.executable).parent / "leadline"


def test_days_are_bought_as_the_page_says(tmp_path: Path):
    shown = [line.values for line in LEADLINE_LINES if str(line.values[0]).endswith("keep-ticks.md")]
    lines = [words for _, words in shown if words[:2] in (["data", "fetch"], ["data", "spend"])]
    assert len(lines) == 4
    with started() as peer:
        wider = {"DATABENTO_API_KEY": KEY, "LEADLINE_DATABENTO_URL": peer.url, "XDG_DATA_HOME": str(tmp_path)}
        told = [
            subprocess.run(
                [LEADLINE, *words, "-o", "json"],
                cwd=ROOT,
                env=os.environ | wider,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for words in lines
        ]
    looked, bought, strategy, spent = map(json.loads, told)
    assert {each["state"] for each in looked["days"]} == {"to buy"}
    assert {each["state"] for each in bought["days"]} == {"bought"}
    assert {each["symbol"] for each in strategy["days"]} == {"MESH5", "ESH5"}
    assert Decimal(spent["spent"]) == Decimal(bought["cost"]) + Decimal(strategy["cost"]) == Decimal("24.2")
