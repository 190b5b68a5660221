"""The suite itself: each case against a stand-in that is opened for it, and what came of it."""

import asyncio
from collections.abc import Callable, Collection
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from leadline.execution.venues.conformance import brackets, faults, orders
from leadline.execution.venues.conformance.cases import Case
from leadline.execution.venues.conformance.exercise import Exercise, Failed
from leadline.execution.venues.conformance.stand_in import StandIn
from leadline.model.errors import LeadlineError, Unknown
from leadline.model.manifest.venues import Capability

CASES: Final[tuple[Case, ...]] = (*orders.CASES, *brackets.CASES, *faults.CASES)
CASE_SECONDS: Final = 30.0


class Outcome(StrEnum):
    """The outcomes of a case. NOT_CLAIMED: the venue does not claim a capability that it is about."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CLAIMED = "not claimed"


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one case. `why`: what failed, or which capability is not claimed; empty where it passed."""

    name: str
    asks: str
    outcome: Outcome
    why: str = ""


def cases_named(names: Collection[str]) -> tuple[Case, ...]:
    """The cases of these names in their order, all without a name. Raises Unknown."""
    known = tuple(case.name for case in CASES)
    for name in names:
        if name not in known:
            raise Unknown("case", name, known)
    return tuple(case for case in CASES if not names or case.name in names)


async def check(
    opened: Callable[[], AbstractAsyncContextManager[StandIn]],
    capabilities: AbstractSet[Capability],
    cases: Collection[Case] = CASES,
) -> tuple[Finding, ...]:
    """Hold an adapter to the cases; `opened` opens its stand-in, `capabilities` are those that its venue claims."""
    return tuple([await _finding(case, opened, capabilities) for case in cases])


async def _finding(
    case: Case, opened: Callable[[], AbstractAsyncContextManager[StandIn]], capabilities: AbstractSet[Capability]
) -> Finding:
    missing = [capability.value for capability in case.needs if capability not in capabilities]
    if missing:
        return Finding(case.name, case.asks, Outcome.NOT_CLAIMED, ", ".join(missing))
    try:
        async with asyncio.timeout(CASE_SECONDS), opened() as stand_in:
            await case.run(Exercise(stand_in, capabilities))
    except Failed as failed:
        return Finding(case.name, case.asks, Outcome.FAILED, str(failed))
    except TimeoutError:
        return Finding(case.name, case.asks, Outcome.FAILED, f"it did not end within {CASE_SECONDS:g} seconds")
    except LeadlineError as error:
        return Finding(case.name, case.asks, Outcome.FAILED, f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001 - an adapter of somebody else may raise anything, and the other cases go on
        return Finding(case.name, case.asks, Outcome.FAILED, f"the adapter raises {type(error).__name__}: {error}")
    return Finding(case.name, case.asks, Outcome.PASSED)
