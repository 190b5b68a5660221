"""The contracts, the days and the clock of the tape `live`, without anything that runs."""

import asyncio
from datetime import UTC, date, datetime
from typing import Any

import pytest

from leadline.ingestion.live.adapters.feed import LiveFeed
from leadline.ingestion.live.adapters.link import SourceLink
from leadline.ingestion.live.adapters.played import PlayedSource
from leadline.ingestion.live.contract import LiveContract
from leadline.ingestion.live.opening import LiveTape, plan_live
from leadline.ingestion.live.port import Arrival
from leadline.ingestion.live.tape import Clock, contracts_of, first_day, session_begins
from leadline.ingestion.params import IngestionParams
from leadline.ingestion.tape import Position
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId
from leadline.model.ticks import NS_PER_SECOND

SEPTEMBER, DECEMBER, MARCH = ContractId("MESU2026"), ContractId("MESZ2026"), ContractId("MESH2027")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND


def params(history: int = 0, **feed: Any) -> IngestionParams:
    return IngestionParams.model_validate(
        {"feed": {"kind": "sim", "mode": "live", **feed}, "instruments": ["MES"], "history": history}
    )


def opened(wall: str, history: int = 0, kept: LiveTape | None = None, launch: str = "first", **feed: Any) -> LiveTape:
    plan = plan_live(params(history, **feed).model_copy(update={"launch": launch}), at(wall))
    return plan.opened(None if kept is None else kept.to_json(), at(wall))


def test_a_tape_begins_with_the_trading_day_that_is_under_way() -> None:
    assert first_day(["MES"], at("2026-11-24T15:00")) == date(2026, 11, 24)
    assert first_day(["MES"], at("2026-11-24T23:30")) == date(2026, 11, 25)


def test_on_a_weekend_it_begins_with_the_next_one_and_over_a_holiday_with_the_one_after() -> None:
    assert first_day(["MES"], at("2026-11-28T12:00")) == date(2026, 11, 30)
    assert first_day(["MES"], at("2026-12-25T12:00")) == date(2026, 12, 28)


def test_after_the_close_of_the_day_it_begins_with_the_next_one() -> None:
    assert first_day(["MES"], at("2026-11-24T22:30")) == date(2026, 11, 25)


def test_a_month_is_there_with_its_history_before_it_leads_and_until_its_last_day() -> None:
    # December leads from 14 September on.
    begun = date(2026, 9, 1)
    assert contracts_of(["MES"], begun, 2, date(2026, 9, 9)) == {SEPTEMBER: date(2026, 8, 28)}
    assert list(contracts_of(["MES"], begun, 2, date(2026, 9, 10))) == [SEPTEMBER, DECEMBER]
    assert contracts_of(["MES"], begun, 2, date(2026, 9, 14))[DECEMBER] == date(2026, 9, 10)
    assert SEPTEMBER in contracts_of(["MES"], begun, 2, date(2026, 9, 18))
    assert list(contracts_of(["MES"], begun, 2, date(2026, 9, 21))) == [DECEMBER]


def test_a_tape_that_runs_for_months_has_the_months_of_its_day() -> None:
    assert list(contracts_of(["MES"], date(2026, 1, 5), 5, date(2026, 11, 30))) == [DECEMBER]
    assert list(contracts_of(["MES"], date(2026, 1, 5), 5, date(2026, 12, 11))) == [MARCH, DECEMBER]


def test_a_contract_that_is_named_is_there_until_it_expires() -> None:
    assert contracts_of(["MESZ2026"], date(2026, 11, 30), 1, date(2026, 11, 30)) == {DECEMBER: date(2026, 11, 27)}
    assert contracts_of(["MESZ2026"], date(2026, 11, 30), 1, date(2026, 12, 21)) == {}


def test_the_tape_gains_a_month_and_its_days_as_the_clock_goes_on() -> None:
    tape = opened("2026-09-08T15:00", history=2)
    assert list(tape.contracts) == [SEPTEMBER]
    plan = plan_live(params(2), at("2026-09-08T15:00"))
    assert plan.on_day(tape, at("2026-09-08T16:00")) is tape
    later = plan.on_day(tape, at("2026-09-10T15:00"))
    assert list(later.contracts) == [SEPTEMBER, DECEMBER]
    assert later.days[-1] == date(2026, 9, 10)
    assert (later.trade_from, later.begins_ns) == (tape.trade_from, tape.begins_ns)


def test_days_that_passed_while_nothing_ran_are_days_of_a_market_that_says_them_again() -> None:
    tape = opened("2026-11-23T15:00")
    again = opened("2026-11-25T15:00", kept=tape)
    assert again.days == (date(2026, 11, 23), date(2026, 11, 24), date(2026, 11, 25))


def test_the_tape_s_clock_is_the_wall_clock_unless_it_is_shifted() -> None:
    tape = opened("2026-11-24T15:00")
    assert tape.clock.now_ns(at("2026-11-24T16:00")) == at("2026-11-24T16:00")
    assert tape.begins_ns == at("2026-11-23T23:00")


def test_a_shifted_session_begins_now() -> None:
    assert session_begins(["MES"], at("2026-11-28T12:00")) == at("2026-11-30T14:30")
    tape = opened("2026-11-28T12:00", shift="session")
    assert tape.clock.now_ns(at("2026-11-28T12:00")) == at("2026-11-30T14:30")
    assert tape.trade_from == date(2026, 11, 30)


def test_a_shifted_tape_goes_on_in_its_session_and_jumps_to_the_next_from_outside() -> None:
    tape = opened("2026-11-28T12:00", shift="session")
    inside = opened("2026-11-28T13:00", kept=tape, launch="second", shift="session")
    assert inside.clock == tape.clock
    outside = opened("2026-11-28T20:00", kept=tape, launch="second", shift="session")  # its clock shows 22:30
    assert outside.clock.now_ns(at("2026-11-28T20:00")) == at("2026-12-01T14:30")
    assert outside.days == (date(2026, 11, 30), date(2026, 12, 1))


def test_an_ingestion_that_is_started_again_alone_leaves_the_clock_that_its_accounts_know() -> None:
    tape = opened("2026-11-28T12:00", shift="session")
    again = opened("2026-11-28T20:00", kept=tape, shift="session")
    assert again.clock == tape.clock
    outside = opened("2026-11-28T20:00", kept=tape, launch="second", shift="session")
    assert opened("2026-11-29T08:00", kept=outside, launch="second", shift="session").clock == outside.clock


def test_what_a_source_still_says_of_a_month_that_is_over_is_passed_over() -> None:
    tape = opened("2026-12-10T15:00")
    plan = plan_live(params(), at("2026-12-10T15:00"))
    no_one: Any = None
    assert plan.source is not None
    feed = LiveFeed(no_one, no_one, no_one, plan, tape)
    feed.contracts = {MARCH: LiveContract(MARCH, Position(0, at("2026-12-10T15:00")))}
    link, reached_ns = SourceLink(PlayedSource("sim", plan.source, no_one, 1), asyncio.Queue()), at("2026-12-10T15:01")
    drafts = feed._taken(link, Arrival(reached={DECEMBER: reached_ns, MARCH: reached_ns}), reached_ns)
    assert [(name, draft.watermark_ns) for name, draft in drafts] == [(MARCH, reached_ns)]


def test_a_clock_that_is_set_goes_on_at_its_rate() -> None:
    clock = Clock(rate=60).set_to(at("2026-11-30T14:30"), at("2026-11-28T12:00"))
    assert clock.now_ns(at("2026-11-28T12:01")) == at("2026-11-30T15:30")


def test_the_kept_tape_is_the_tape() -> None:
    tape = opened("2026-11-28T12:00", history=5, shift="session", clock_rate=60)
    assert LiveTape.from_json(tape.to_json()) == tape


@pytest.mark.parametrize(("feed", "field"), [({"seed": 2}, "--seed"), ({"clock_rate": 2}, "--speed")])
def test_another_source_or_clock_needs_another_tape(feed: dict[str, Any], field: str) -> None:
    tape = opened("2026-11-24T15:00")
    with pytest.raises(InvalidInput) as refused:
        opened("2026-11-24T16:00", kept=tape, **feed)
    assert refused.value.field == field
    assert "another one needs a directory of its own" in refused.value.expected


def test_a_contract_that_has_expired_is_refused() -> None:
    with pytest.raises(InvalidInput, match="MESU2026"):
        plan_live(
            IngestionParams.model_validate({"feed": {"kind": "sim", "mode": "live"}, "instruments": ["MESU2026"]}),
            at("2026-11-24T15:00"),
        ).opened(None, at("2026-11-24T15:00"))
