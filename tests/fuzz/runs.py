"""Many tries of a target, seeded: how many it took, how many it refused, and what it did that it must not do."""

import math
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

Target = Callable[[st.DataObject], bool]
"""Tries one case that it draws. Whether it was taken; what it raises is a finding."""

CASES_AT_A_TIME: Final = 200
LONGEST_CASE_S: Final = 1.0


@dataclass
class Tally:
    """What became of the cases of a target. `findings` by what was raised where, with the whole story."""

    tried: int = 0
    taken: int = 0
    slowest_s: float = 0.0
    findings: dict[str, str] = field(default_factory=dict)

    @property
    def refused(self) -> int:
        """Cases that were answered with a refusal."""
        return self.tried - self.taken


def try_cases(target: Target, seed_value: int, cases: int, tally: Tally, bound_s: float = math.inf) -> None:
    """So many cases of a target into a tally, the same for the same seed. A finding ends them.

    A case that takes the processor for longer than the bound is a finding.
    """

    @seed(seed_value)
    @settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def tries(data: st.DataObject) -> None:
        began = time.process_time()
        tally.tried += 1
        tally.taken += target(data)
        took_s = time.process_time() - began
        tally.slowest_s = max(tally.slowest_s, took_s)
        assert took_s < bound_s, f"{took_s:.1f} s of the processor for one case"

    try:
        tries()
    except Exception as found:  # noqa: BLE001 - whatever it is, it is what was looked for
        tally.findings.setdefault(_place_of(found), "".join(traceback.format_exception(found)))


def try_for(target: Target, seed_value: int, seconds: float) -> Tally:
    """Cases of a target until the time is over."""
    tally, until = Tally(), time.monotonic() + seconds
    while time.monotonic() < until:
        try_cases(target, seed_value, CASES_AT_A_TIME, tally, LONGEST_CASE_S)
        seed_value += 1
    return tally


def _place_of(error: BaseException) -> str:
    """What was raised, and by which line of the code."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "hypothesis" not in frame.filename]
    last = own[-1] if own else frames[-1]
    return f"{type(error).__name__} at {last.filename.rpartition('/')[2]}:{last.lineno} {last.name}"
