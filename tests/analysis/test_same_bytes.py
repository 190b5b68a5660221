"""The same bars give the same bytes: in another process, with another hash seed, through the bus and back."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from leadline.analysis.hashing import analysis_hash
from leadline.model.ids import AccountId, RunId, StrategyId
from leadline.model.signals import SignalMessage
from leadline.model.wire.signals import decode_signal, encode_signal
from tests.analysis.builders import opinions, random_tape

ROOT = Path(__file__).resolve().parents[2]


def messages() -> list[SignalMessage]:
    answers = opinions(random_tape(seed=11, days=1, bars_a_day=120))
    return [
        SignalMessage(
            RunId("run-1"),
            AccountId("default/paper"),
            StrategyId("default/mes"),
            "this",
            one.known_at_ns,
            final=False,
            bar=one,
        )
        for one in answers
    ]


def digest() -> str:
    return hashlib.sha256(b"".join(encode_signal(message) for message in messages())).hexdigest()


@pytest.mark.parametrize("seed", ["1", "2"])
def test_another_process_says_the_same(seed) -> None:
    program = "from tests.analysis.test_same_bytes import digest; print(digest())"
    answer = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT / "services")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert answer.stdout.strip() == digest()


def test_opinions_survive_the_bus_unchanged() -> None:
    answers = messages()
    assert sum(len(message.bar.signals) for message in answers if message.bar is not None) > 100
    for message in answers:
        assert decode_signal(encode_signal(message)) == message
        assert encode_signal(decode_signal(encode_signal(message))) == encode_signal(message)


def test_a_different_strength_is_a_different_message() -> None:
    message = next(one for one in messages() if one.bar is not None and one.bar.signals)
    assert message.bar is not None
    changed = replace(message.bar.signals[0], strength=message.bar.signals[0].strength / 2)
    other = replace(message, bar=replace(message.bar, signals=(changed,)))
    assert encode_signal(other) != encode_signal(message)


def test_the_hash_names_code_and_settings_whatever_their_order() -> None:
    settings = {"instrument": "MES", "strategy": {"name": "OrderFlow", "router": {"minStrength": "0.5"}}}
    same = {"strategy": {"router": {"minStrength": "0.5"}, "name": "OrderFlow"}, "instrument": "MES"}
    one = analysis_hash("v1", settings)
    assert one == analysis_hash("v1", same)
    assert len({one, analysis_hash("v2", settings), analysis_hash("v1", settings | {"instrument": "ES"})}) == 3
    assert len(one) == 32


def test_settings_that_are_not_json_are_refused() -> None:
    with pytest.raises(TypeError):
        analysis_hash("v1", {"when": object()})
    with pytest.raises(ValueError, match="JSON"):
        analysis_hash("v1", {"x": float("nan")})
