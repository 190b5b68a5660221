import os
from pathlib import Path

import jwt
import pytest

from leadline.aggregation.v1 import aggregation_pb2
from leadline.analysis.v1 import analysis_pb2
from leadline.execution.v1 import execution_pb2
from leadline.ingestion.v1 import ingestion_pb2
from leadline.model.errors import InvalidInput
from leadline.model.ids import AccountId
from leadline.risk.v1 import risk_pb2
from leadline.runtime.clock import wall_ns
from leadline.runtime.rpc.auth import (
    METHOD_ROLES,
    OVERLAP_SECONDS,
    TOKEN_SECONDS,
    Caller,
    NotAllowed,
    NotAuthenticated,
    audience,
    authorise,
    key_file,
    mint_token,
    one_key,
    read_key,
    read_token,
    token_source,
)
from leadline.venue.v1 import venue_pb2

KEY = "k" * 32
OTHER_KEY = "o" * 32
CONTRACTS = (aggregation_pb2, analysis_pb2, execution_pb2, ingestion_pb2, risk_pb2, venue_pb2)
METHODS = [
    f"/{service.full_name}/{method.name}"
    for contract in CONTRACTS
    for service in contract.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
EXECUTION = "/leadline.execution.v1.ExecutionService/"
VENUE = "/leadline.venue.v1.PaperVenueService/"


def may(role: str, method: str) -> bool:
    try:
        authorise(method, Caller("someone", role), None)
    except NotAllowed:
        return False
    return True


def signed(key: str = KEY, **claims: object) -> str:
    now = wall_ns() // 1_000_000_000
    whole = {"iss": "leadline", "aud": "risk", "sub": "ada", "role": "cli-trader", "iat": now, "exp": now + 60}
    whole |= claims
    return jwt.encode({name: value for name, value in whole.items() if value is not None}, key, "HS256")


def test_a_token_says_who_calls_in_which_role_and_for_which_account():
    token = mint_token(KEY, "execution", "execution-default-paper", "risk", account=AccountId("default/paper"))
    assert read_token((KEY,), token, "risk") == Caller(
        "execution-default-paper", "execution", AccountId("default/paper")
    )


@pytest.mark.parametrize(
    "token",
    [
        "",
        "not a token",
        signed(key=OTHER_KEY),
        signed(exp=wall_ns() // 1_000_000_000 - 90),
        # Long enough after these lines are read for the last test of a run.
        signed(iat=wall_ns() // 1_000_000_000 + 7200, exp=wall_ns() // 1_000_000_000 + 7260),
        signed(exp=wall_ns() // 1_000_000_000 + 7200),
        signed(exp=None),
        signed(sub=None),
        signed(sub=""),
        signed(sub="a" * 254),
        signed(sub="ada\x1b[31m"),
        signed(role="root"),
        signed(role=["cli-admin"]),
        signed(iat="1"),
        signed(iat=str(wall_ns() // 1_000_000_000)),
        signed(exp=str(wall_ns() // 1_000_000_000 + 60)),
        signed(iat=True),
        signed(account=["default/paper"]),
        signed(account=""),
        signed(aud=None),
        signed(aud="venue/default/paper"),
        signed(aud=["risk", "venue/default/paper"]),
        signed(aud="Risk"),
        signed(role=None),
        signed(iss="another platform"),
        jwt.encode({"iss": "leadline", "sub": "ada", "role": "cli-admin"}, "", "none"),
        signed()[:-2],
    ],
    ids=[
        "empty",
        "no token",
        "another key",
        "expired",
        "from the future",
        "lives too long",
        "without end",
        "without a subject",
        "of nobody",
        "of a name without end",
        "of a name that is no text",
        "unknown role",
        "several roles",
        "times as text that are old",
        "a beginning as text",
        "an end as text",
        "a beginning that is no number",
        "several accounts",
        "an empty account",
        "for nobody",
        "for another service",
        "for several services",
        "for a service that is written otherwise",
        "without a role",
        "another issuer",
        "unsigned",
        "cut",
    ],
)
def test_a_token_that_does_not_hold_is_refused(token: str):
    with pytest.raises(NotAuthenticated):
        read_token((KEY,), token, "risk")


def test_a_token_cannot_be_made_to_last():
    with pytest.raises(InvalidInput, match="lifetime_s"):
        mint_token(KEY, "cli-admin", "ada", "risk", lifetime_s=86_400)


def test_a_short_key_is_refused_without_showing_it(tmp_path):
    (tmp_path / "key").write_text("hunter2")
    with pytest.raises(InvalidInput) as refused:
        read_key(tmp_path / "key")
    assert "hunter2" not in str(refused.value)


def write_key(path: Path, key: str, at_s: int) -> None:
    path.write_text(key)
    os.utime(path, (at_s, at_s))


def test_a_changed_key_signs_when_everybody_has_had_time_to_see_it_and_the_former_one_is_accepted_a_while(tmp_path):
    now_s = 1000
    path = tmp_path / "key"
    write_key(path, KEY, 500)
    keys = key_file(path, lambda: now_s * 1_000_000_000)
    assert keys() == (KEY,)
    write_key(path, OTHER_KEY, now_s)
    assert keys() == (KEY, OTHER_KEY)
    assert read_token(keys(), mint_token(OTHER_KEY, "risk", "risk", "risk"), "risk").subject == "risk"
    now_s += OVERLAP_SECONDS
    assert keys() == (OTHER_KEY, KEY)
    now_s += TOKEN_SECONDS
    assert keys() == (OTHER_KEY,)


def test_whoever_looks_late_signs_with_what_the_others_sign_with(tmp_path):
    path = tmp_path / "key"
    write_key(path, KEY, 500)
    keys = key_file(path, lambda: 1000 * 1_000_000_000)
    write_key(path, OTHER_KEY, 1000 - OVERLAP_SECONDS)
    assert keys()[0] == OTHER_KEY


def test_a_key_that_cannot_be_read_any_more_stays_as_it_was(tmp_path):
    path = tmp_path / "key"
    write_key(path, KEY, 500)
    keys = key_file(path)
    path.unlink()
    assert keys() == (KEY,)
    path.write_text("hunter2")
    assert keys() == (KEY,)


def test_a_held_token_is_used_again_until_it_ages():
    token = token_source(one_key(KEY), "risk", "risk", "risk")
    assert token() == token()


@pytest.mark.parametrize("method", METHODS)
def test_every_method_of_every_contract_names_its_roles(method: str):
    assert METHOD_ROLES[method]


def test_the_table_names_no_method_that_no_contract_has():
    assert {method for method in METHOD_ROLES if method.startswith("/leadline.")} == set(METHODS)


def test_what_is_not_in_the_table_is_denied_to_everybody():
    assert not may("cli-admin", EXECUTION + "OpenPosition")


@pytest.mark.parametrize("call", ["SetLimits", "CancelOrder", "Flatten", "Halt", "Resume"])
def test_a_trader_may_reduce_what_a_viewer_may_only_see(call: str):
    assert [may(role, EXECUTION + call) for role in ("cli-viewer", "cli-trader", "cli-admin")] == [False, True, True]


def test_only_the_supervisor_names_the_strategy_that_counts():
    assert [
        r for r in ("cli-viewer", "cli-trader", "cli-admin", "supervisor") if may(r, EXECUTION + "SetStrategy")
    ] == ["supervisor"]


@pytest.mark.parametrize("call", ["SubmitOrder", "CancelOrder", "AdvanceTo"])
def test_only_execution_trades_with_the_venue(call: str):
    assert may("execution", VENUE + call)
    assert not any(may(role, VENUE + call) for role in ("cli-admin", "supervisor", "risk", "analysis", "venue"))


def test_only_execution_asks_risk_to_decide_and_people_may_ask_what_if():
    assert may("execution", "/leadline.risk.v1.RiskService/Decide")
    assert not may("cli-admin", "/leadline.risk.v1.RiskService/Decide")
    assert may("cli-viewer", "/leadline.risk.v1.RiskService/Evaluate")


def test_a_token_bound_to_one_account_opens_no_other():
    mine = Caller("execution-default-paper", "execution", AccountId("default/paper"))
    authorise(VENUE + "SubmitOrder", mine, AccountId("default/paper"))
    with pytest.raises(NotAllowed, match="default/other"):
        authorise(VENUE + "SubmitOrder", mine, AccountId("default/other"))


def test_a_token_for_one_service_is_none_for_another_nor_for_another_accounts():
    assert audience("risk", AccountId("default/paper")) == "risk"
    assert audience("execution", AccountId("default/paper")) == "execution/default/paper"
    token = mint_token(KEY, "execution", "execution-default-paper", audience("venue", AccountId("default/paper")))
    assert read_token((KEY,), token, "venue/default/paper").role == "execution"
    for other in ("risk", "venue/default/other", "execution/default/paper"):
        with pytest.raises(NotAuthenticated, match=f"for another service than {other}"):
            read_token((KEY,), token, other)


def test_a_clock_that_is_a_little_ahead_does_no_harm_and_one_that_is_more_is_named():
    now = wall_ns() // 1_000_000_000
    assert read_token((KEY,), signed(iat=now + 20, exp=now + 80), "risk").subject == "ada"
    with pytest.raises(NotAuthenticated, match="from the future: its maker's clock and this one differ"):
        read_token((KEY,), signed(iat=now + 120, exp=now + 180), "risk")


def test_a_key_file_from_the_future_keeps_no_former_key_alive(tmp_path):
    now_s = 1000
    path = tmp_path / "key"
    write_key(path, KEY, 500)
    keys = key_file(path, lambda: now_s * 1_000_000_000)
    write_key(path, OTHER_KEY, now_s + 10 * 365 * 86_400)
    assert keys() == (KEY, OTHER_KEY)
    now_s += OVERLAP_SECONDS
    assert keys() == (OTHER_KEY, KEY)
    now_s += TOKEN_SECONDS
    assert keys() == (OTHER_KEY,)
