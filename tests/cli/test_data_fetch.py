"""`leadline data fetch`, against a process that answers as Databento does, and does not always do as it should."""

import base64
import json
import os
import pty
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from leadline.catalog.catalog import Catalog
from leadline.cli.main import run
from leadline.ingestion.databento import client
from leadline.ingestion.databento.store import Purchases
from leadline.model.ids import ContractId
from leadline.model.ticks import TickColumns
from tests.ingestion.databento_peer import Peer, started
from tests.ingestion.databento_server import KEY, trades
from tests.kube.cluster.certificates import Authority

ES = ContractId("ESH2025")
MONDAY = date(2025, 1, 13)
COUNT, COST, RANGE = "metadata.get_record_count", "metadata.get_cost", "timeseries.get_range"
CONDITION = "metadata.get_dataset_condition"
HEADER = base64.b64encode(f"{KEY}:".encode()).decode()
UNAUTHORISED = {"case": "auth_authentication_failed", "message": "Authentication failed."}


@pytest.fixture(scope="module")
def service() -> Iterator[Peer]:
    with started() as found:
        yield found


@pytest.fixture
def peer(service: Peer, monkeypatch: pytest.MonkeyPatch) -> Peer:
    service.tell()
    monkeypatch.setenv("DATABENTO_API_KEY", KEY)
    monkeypatch.setenv("LEADLINE_DATABENTO_URL", service.url)
    return service


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "catalog"


def fetch(folder: Path, *words: str, first: str = "2025-01-13", last: str = "2025-01-13") -> int:
    return run(["data", "fetch", "--from", first, "--to", last, "--catalog", str(folder), *words])


def fetched(folder: Path, capsys: pytest.CaptureFixture[str], *words: str, **days: str) -> Any:
    """The document of a fetch that worked."""
    capsys.readouterr()
    assert fetch(folder, *words, "-o", "json", **days) == 0
    return json.loads(capsys.readouterr().out)


def spend(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    capsys.readouterr()
    assert run(["data", "spend", "--catalog", str(folder), "-o", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def states(document: Any) -> list[str]:
    return [each["state"] for each in document["days"]]


def fault(kind: str, method: str = RANGE, **more: Any) -> dict[str, Any]:
    return {"method": method, "kind": kind, **more}


def status(code: int, detail: Any, method: str = RANGE, **more: Any) -> dict[str, Any]:
    return fault("status", method, status=code, detail=detail, **more)


# What it costs


def test_a_dry_run_says_what_each_day_costs_and_buys_nothing(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str]
):
    found = fetched(folder, capsys, "ES", "--dry-run", last="2025-01-14")
    assert [(each["contract"], each["symbol"], each["day"]) for each in found["days"]] == [
        ("ESH2025", "ESH5", "2025-01-13"),
        ("ESH2025", "ESH5", "2025-01-14"),
    ]
    assert [(each["trades"], each["cost"], each["state"]) for each in found["days"]] == [(276, "2.76", "to buy")] * 2
    assert found["cost"] == "5.52"
    assert not peer.asked(RANGE)
    assert not folder.exists()


def test_nothing_is_bought_above_the_budget_or_without_a_word(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    with Path("/dev/null").open() as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        assert fetch(folder, "ES", last="2025-01-14") == 2
        assert "--budget: got nothing, expected at least $5.52 for 2 days, for there is no terminal" in (
            capsys.readouterr().err
        )
        assert fetch(folder, "ES", "--budget", "5.51", last="2025-01-14") == 2
        assert "--budget: got '5.51', expected at least $5.52 for 2 days; nothing was bought" in capsys.readouterr().err
    assert not peer.asked(RANGE)
    assert not Catalog(folder).contracts()


@pytest.mark.parametrize(("answer", "code", "bought"), [("n", 1, []), ("y", 0, [MONDAY])])
def test_at_a_terminal_it_asks(peer: Peer, folder: Path, answer: str, code: int, bought: list[date]):
    words = ["data", "fetch", "ES", "--from", "2025-01-13", "--to", "2025-01-13", "--catalog", str(folder)]
    ours, theirs = pty.openpty()
    command = [sys.executable, "-P", "-m", "leadline.cli.main", *words]
    with subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        os.write(ours, f"{answer}\n".encode())
        said, _ = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert "Pay $2.76 for 1 day? [y/N]" in said
    assert process.returncode == code
    assert [each for name in Catalog(folder).contracts() for each in Catalog(folder).dates(name)] == bought
    assert len(peer.asked(RANGE)) == len(bought)


def test_within_the_budget_whole_days_go_into_the_catalog(peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str]):
    assert fetch(folder, "ES", "--budget", "5.52", last="2025-01-14") == 0
    assert "bought 2 days for $5.52" in capsys.readouterr().out
    begins, ends = datetime(2025, 1, 12, 23, tzinfo=UTC), datetime(2025, 1, 13, 22, tzinfo=UTC)
    ticks = Catalog(folder).read(ES, MONDAY, verified=True)
    served = trades("ESH5", begins, ends)
    assert ticks.time_ns.tolist() == [each.ts_event for each in served]
    assert ticks.price.tolist() == [each.price // 250_000_000 for each in served]
    assert ticks.size.tolist() == [each.size for each in served]
    assert ticks.aggressor.tolist() == [{"A": -1, "B": 1}[str(each.side)] for each in served]
    assert Catalog(folder).day(ES, MONDAY).source == "Databento ESH2025_2025-01-13_2300_2210.trades.dbn.zst"
    bought = spend(folder, capsys)
    assert (bought["spent"], bought["perhaps_spent"]) == ("5.52", "0")
    (first, _) = bought["purchases"]
    asked = (first["dataset"], first["symbol"], first["day"], first["records"], first["bytes"], first["cost"])
    assert asked == ("GLBX.MDP3", "ESH5", "2025-01-13", 276, 276 * 48, "2.76")


def test_days_that_are_there_are_neither_bought_nor_asked_for(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str]
):
    fetched(folder, capsys, "ES", "--budget", "9")
    peer.tell()
    found = fetched(folder, capsys, "ES", "--budget", "3", last="2025-01-14")
    assert states(found) == ["there already", "bought"]
    assert [each["method"] for each in peer.asked()] == [CONDITION, COUNT, COST, RANGE]
    assert states(fetched(folder, capsys, "ES", last="2025-01-14")) == ["there already", "there already"]
    # A session of it is there with the day.
    assert states(fetched(folder, capsys, "ES", "--session", "rth")) == ["there already"]


def test_a_file_that_was_bought_is_not_bought_again_when_its_day_is_gone(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str]
):
    fetched(folder, capsys, "ES", "--budget", "9")
    Catalog(folder).remove(ES, MONDAY)
    peer.tell()
    assert states(fetched(folder, capsys, "ES")) == ["bought already"]
    assert Catalog(folder).has(ES, MONDAY)
    assert not peer.asked()


def test_a_day_with_other_prints_holds_up_no_other_day(peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str]):
    (only,) = trades("ESH5", datetime(2025, 1, 13, 15, tzinfo=UTC), datetime(2025, 1, 13, 15, 5, tzinfo=UTC))
    other = TickColumns.of([(only.ts_event, 4, 1, 0)])
    Catalog(folder).write(ES, MONDAY, other)
    assert fetch(folder, "ES", "--budget", "9", "-o", "json", last="2025-01-14") == 1
    said = capsys.readouterr()
    assert states(json.loads(said.out)) == ["not taken", "bought"]
    assert "ESH2025 2025-01-13 is bought, and not taken" in said.err
    assert (
        f"`leadline data import {folder}/.databento/ESH2025_2025-01-13_2300_2210.trades.dbn.zst --replace`" in said.err
    )
    assert Catalog(folder).day(ES, MONDAY).prints == 1
    peer.tell()
    file = folder / ".databento" / "ESH2025_2025-01-13_2300_2210.trades.dbn.zst"
    assert run(["data", "import", str(file), "--replace", "--catalog", str(folder)]) == 0
    assert states(fetched(folder, capsys, "ES", last="2025-01-14")) == ["there already", "there already"]


def test_a_damaged_day_comes_back_from_the_file_that_was_bought(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str]
):
    fetched(folder, capsys, "ES", "--budget", "9")
    path = Catalog(folder).path(ES, MONDAY)
    path.write_bytes(path.read_bytes()[:-1])
    peer.tell()
    assert states(fetched(folder, capsys, "ES")) == ["bought already"]
    assert Catalog(folder).day(ES, MONDAY).prints == 276
    assert not peer.asked()


# Which days


@pytest.mark.parametrize(
    ("day", "words", "begins", "ends"),
    [
        ("2025-01-13", [], "2025-01-12T23:00", "2025-01-13T22:10"),
        ("2025-06-10", [], "2025-06-09T22:00", "2025-06-10T21:10"),
        ("2025-01-13", ["--session", "rth"], "2025-01-13T14:30", "2025-01-13T21:10"),
        ("2025-06-10", ["--session", "rth"], "2025-06-10T13:30", "2025-06-10T20:10"),
        # An early close, at 13:15 in New York.
        ("2024-11-29", ["--session", "rth"], "2024-11-29T14:30", "2024-11-29T18:20"),
    ],
)
def test_a_day_is_asked_for_by_the_clock_of_its_market(
    peer: Peer,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    day: str,
    words: list[str],
    begins: str,
    ends: str,
):
    fetched(folder, capsys, "ES", "--dry-run", *words, first=day, last=day)
    (asked,) = peer.asked(COUNT)
    assert (asked["start"], asked["end"]) == (f"{begins}:00+00:00", f"{ends}:00+00:00")


def test_holidays_are_named_and_not_asked_for(peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str]):
    found = fetched(folder, capsys, "ES", "--dry-run", first="2025-04-17", last="2025-04-21")
    assert [each["day"] for each in found["days"]] == ["2025-04-17", "2025-04-21"]
    assert found["closed"] == [{"calendar": "cme", "day": "2025-04-18", "reason": "Good Friday"}]


def test_each_day_is_that_of_its_lead_month(peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str]):
    found = fetched(folder, capsys, "ES", "--dry-run", first="2025-03-14", last="2025-03-17")
    assert [(each["symbol"], each["day"]) for each in found["days"]] == [
        ("ESH5", "2025-03-14"),
        ("ESM5", "2025-03-17"),
    ]


def test_a_strategy_needs_its_history_and_what_its_account_executes(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    metadata = {"apiVersion": "leadline.dev/v1alpha1", "kind": "TradingStrategy", "metadata": {"name": "one"}}
    file = tmp_path / "one.yaml"
    file.write_text(yaml.safe_dump({**metadata, "spec": {"instrument": "MES", "history": 2}}))
    found = fetched(
        folder, capsys, "-f", str(file), "--dry-run", "--session", "rth", first="2025-03-17", last="2025-03-18"
    )
    days = {(each["symbol"], each["day"]) for each in found["days"]}
    assert days == {(name, f"2025-03-{day}") for name in ("MESM5", "ESM5") for day in (13, 14, 17, 18)}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["GC"], "expected a dated contract such as GCZ2013: this root rolls on the venue's data"),
        (["BTCUSDT"], "INSTRUMENTS: got 'BTCUSDT', expected futures of CME Group (CME, CBOT, NYMEX, COMEX)"),
        (["ESX"], "unknown"),
        (["ES", "--session", "night"], "unknown session of ES 'night', known: rth, globex"),
        (["ES", "--budget", "ten"], "--budget: got 'ten', expected US dollars, such as 10.00"),
        (
            ["ES", "-f", "examples/mes-orderflow.yaml"],
            "INSTRUMENTS: got 'ES', expected instruments such as ES, or --file",
        ),
        ([], "INSTRUMENTS: got nothing, expected instruments such as ES, or --file with strategies"),
        (["ES", "--url", "http://example.com"], "--url: got 'http://example.com', expected https"),
        (["ES", "--key-file", "none"], "--key-file: got 'none', expected a file that can be read"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_in_one_line(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
):
    assert fetch(folder, *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not peer.asked()


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("2025-01-13", "2025-01-10", "--to: got '2025-01-10', expected a day not before --from, 2025-01-13"),
        ("2025-01-18", "2025-01-19", "--from: got '2025-01-18 to 2025-01-19', expected a range with a trading day"),
        ("soon", "2025-01-19", "--from: got 'soon', expected a date"),
        ("2040-01-02", "2040-01-03", "unknown day of the calendar cme"),
    ],
)
def test_a_range_that_has_no_day_is_refused(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str], first: str, last: str, said: str
):
    assert fetch(folder, "ES", first=first, last=last) == 2
    assert said in capsys.readouterr().err


# The key


def test_the_key_comes_from_a_file_too_and_is_never_said(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.delenv("DATABENTO_API_KEY")
    assert fetch(folder, "ES") == 2
    assert "DATABENTO_API_KEY: got nothing, expected a key of Databento's" in capsys.readouterr().err
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    fetched(folder, capsys, "ES", "--key-file", str(file), "--budget", "9")
    peer.tell(fault("echo", COUNT))
    assert fetch(folder, "MES", "--key-file", str(file)) == 1
    said = capsys.readouterr()
    assert "auth_authentication_failed: no such key: [key]" in said.err
    kept = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert KEY not in said.err + said.out
    assert KEY.encode() not in kept
    assert KEY not in repr(vars(client.Databento(SecretStr(KEY), peer.url, print))["_key"])


@pytest.mark.parametrize(
    "form",
    [
        HEADER,
        "".join(f"%{ord(sign):02x}" for sign in HEADER),
        base64.b64encode(KEY.encode()).decode(),
        "".join(f"%{ord(sign):02X}" for sign in KEY),
    ],
)
def test_no_form_of_the_key_is_said_or_written_down(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str], form: str
):
    words = f"cannot parse 'Authorization: Basic {form}'"
    refusal = {"case": "bad_request", "message": words}
    for answer in (
        status(400, refusal, COUNT),
        status(200, form, COUNT),
        status(200, f"{'x' * 150}{form}", COST),
        fault("warning", COUNT, words=words),
        status(402, refusal, RANGE),
    ):
        peer.tell(answer, status(402, refusal, RANGE))
        assert fetch(folder, "ES", "--budget", "9") == 1
        said = capsys.readouterr()
        assert "[key]" in said.err
        assert form[:20] not in said.err + said.out
    ledger = (folder / ".databento" / "ledger.jsonl").read_text()
    assert "[key]" in ledger
    assert form[:20] not in ledger


def test_a_key_with_something_else_in_it_is_not_sent(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DATABENTO_API_KEY", "db-123\nX-Other: 1")
    assert fetch(folder, "ES") == 2
    assert "DATABENTO_API_KEY: got '17 characters', expected a key of Databento's alone" in capsys.readouterr().err
    assert not peer.asked()


def test_a_server_whose_certificate_nobody_trusts_never_sees_the_key(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    heard: list[bytes] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*Authority(tmp_path).issue("stranger", hosts=["localhost"]))

    def answer(listening: socket.socket) -> None:
        plain, _ = listening.accept()
        with plain:
            try:
                with context.wrap_socket(plain, server_side=True) as secured:
                    heard.append(secured.recv(4096))
            except (ssl.SSLError, OSError):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,))
        thread.start()
        url = f"https://localhost:{listening.getsockname()[1]}"
        assert fetch(folder, "ES", "--url", url) == 1
        thread.join(timeout=10)
    assert "its certificate is not trusted" in capsys.readouterr().err
    assert heard in ([], [b""])


# What goes wrong


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (status(401, UNAUTHORISED, COUNT), "401 auth_authentication_failed: Authentication failed."),
        (status(403, "Not entitled to this dataset.", COUNT), "403 Not entitled to this dataset."),
        (
            status(422, {"case": "symbology_invalid_request", "message": "No ESH5.", "docs": "https://d"}, COUNT),
            "metadata.get_record_count: 422 symbology_invalid_request: No ESH5.: see https://d",
        ),
    ],
)
def test_a_refusal_is_said_in_databentos_words(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str], refusal: dict[str, Any], said: str
):
    peer.tell(refusal)
    assert fetch(folder, "ES", "--budget", "9") == 1
    error = capsys.readouterr().err
    assert "Databento refuses: " in error
    assert said in error
    assert len(peer.asked(COUNT)) == 1
    assert not spend(folder, capsys)["purchases"]


def test_a_redirect_is_not_followed_with_the_key(peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str]):
    peer.tell(status(302, "Elsewhere.", COUNT, headers={"Location": f"{peer.url}/v0/{COST}"}))
    assert fetch(folder, "ES", "--dry-run") == 1
    assert "302 Elsewhere." in capsys.readouterr().err
    assert not peer.asked(COST)


def test_days_of_which_databento_doubts_the_data_are_marked(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str]
):
    peer.tell(fault("", CONDITION, days=["2025-01-14"]))
    found = fetched(folder, capsys, "ES", "--dry-run", last="2025-01-15")
    assert [each["quality"] for each in found["days"]] == ["available", "degraded", "degraded"]  # from the evening on
    (asked,) = peer.asked(CONDITION)
    assert (asked["start_date"], asked["end_date"]) == ("2025-01-12", "2025-01-15")


def test_without_money_nothing_is_bought_and_it_is_written_down(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str]
):
    peer.tell(status(402, {"case": "account_insufficient_funds", "message": "Add a card."}))
    assert fetch(folder, "ES", "--budget", "9") == 1
    assert "402 account_insufficient_funds: Add a card." in capsys.readouterr().err
    found = spend(folder, capsys)
    assert (found["spent"], found["perhaps_spent"]) == ("0", "0")
    assert [(each["state"], "402" in each["why"]) for each in found["purchases"]] == [("refused", True)]
    assert len(peer.asked(RANGE)) == 1
    assert states(fetched(folder, capsys, "ES", "--budget", "2.76")) == ["bought"]


def test_what_costs_nothing_is_asked_again_while_databento_is_away(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str]
):
    busy = status(429, "Rate limit exceeded.", COUNT, headers={"Retry-After": "0"}, times=2)
    peer.tell(busy, fault("page", COUNT), status(500, "Internal error.", COST))
    found = fetched(folder, capsys, "ES", "--budget", "9")
    assert states(found) == ["bought"]
    assert len(peer.asked(COUNT)) == 4


def test_trades_are_asked_for_again_only_where_nothing_was_sent(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str]
):
    peer.tell(status(429, "Rate limit exceeded.", headers={"Retry-After": "0"}), status(503, "No place."))
    assert states(fetched(folder, capsys, "ES", "--budget", "9")) == ["bought"]
    assert len(peer.asked(RANGE)) == 3
    peer.tell(status(500, "Internal error."))
    assert fetch(folder, "MES", "--budget", "9") == 1
    assert "Databento: timeseries.get_range: 500 Internal error." in capsys.readouterr().err
    assert len(peer.asked(RANGE)) == 1


def test_databento_says_how_long_to_wait(peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str]):
    peer.tell(status(429, "Rate limit exceeded.", COUNT, headers={"Retry-After": "1"}))
    begun = datetime.now(UTC)
    fetched(folder, capsys, "ES", "--dry-run")
    assert datetime.now(UTC) - begun >= timedelta(seconds=1)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("cut", "the answer was cut"),
        ("torn", "expected a whole DBN file"),
        ("fewer", "275 trades arrived of the 276 that Databento counts, and nothing of the day was taken"),
    ],
)
def test_a_day_that_did_not_arrive_whole_is_no_shorter_day(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str], kind: str, said: str
):
    peer.tell(fault(kind))
    assert fetch(folder, "ES", "--budget", "9") in (1, 2)
    assert said in capsys.readouterr().err
    assert not Catalog(folder).contracts()
    found = spend(folder, capsys)
    assert (found["spent"], found["perhaps_spent"]) == ("0", "2.76")
    assert len(peer.asked(RANGE)) == 1
    # What was paid for is not thrown away, and not taken for a day.
    assert len(list((folder / ".databento").glob("new-*"))) == (kind == "fewer")
    assert states(fetched(folder, capsys, "ES", "--budget", "9", "--again")) == ["bought"]
    assert Catalog(folder).day(ES, MONDAY).prints == 276
    assert states(fetched(folder, capsys, "ES")) == ["there already"]


def test_what_was_perhaps_paid_before_is_paid_again_by_a_word_alone_and_counts_in_the_budget(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str]
):
    peer.tell(fault("none"), {**fault("count", COUNT), "times": 9})
    assert fetch(folder, "ES", "--budget", "99") == 1
    for _ in range(2):
        capsys.readouterr()
        assert fetch(folder, "ES", "--budget", "99", last="2025-01-14") == 2
        assert (
            "--again: got nothing, expected this word to pay once more: $2.76 was perhaps paid before for ESH2025 "
            "2025-01-13, and nothing whole arrived" in capsys.readouterr().err
        )
    assert len(peer.asked(RANGE)) == 1
    assert fetch(folder, "ES", "--budget", "5.51", "--again") == 2
    assert "at least $5.52 for 1 day, $2.76 of it perhaps paid before; nothing was bought" in capsys.readouterr().err
    found = fetched(folder, capsys, "ES", "--dry-run", last="2025-01-14")
    assert [(each["cost"], each["perhaps_paid"]) for each in found["days"]] == [("2.76", "2.76"), ("2.76", "0")]
    assert (found["cost"], found["perhaps_paid"]) == ("5.52", "2.76")
    assert fetch(folder, "ES", "--budget", "5.52", "--again") == 1
    assert fetch(folder, "ES", "--budget", "8.27", "--again") == 2
    assert "at least $8.28 for 1 day, $5.52 of it perhaps paid before; nothing was bought" in capsys.readouterr().err
    # A session of the day was to come with it; the other day was never asked for.
    assert fetch(folder, "ES", "--budget", "99", "--session", "rth") == 2
    assert states(fetched(folder, capsys, "MES", "--budget", "2.76")) == ["bought"]


def test_another_number_than_was_counted_is_not_believed(peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str]):
    peer.tell(fault("count", COUNT))
    assert fetch(folder, "ES", "--budget", "9") == 1
    assert "276 trades arrived of the 277" in capsys.readouterr().err
    assert not Catalog(folder).contracts()


def test_the_days_before_one_that_fails_stay(peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str]):
    peer.tell(fault("none"), fault("cut"))
    assert fetch(folder, "ES", "--budget", "9", last="2025-01-15") == 1
    assert Catalog(folder).dates(ES) == (MONDAY,)
    found = fetched(folder, capsys, "ES", "--budget", "9", "--again", last="2025-01-15")
    assert states(found) == ["there already", "bought", "bought"]
    assert spend(folder, capsys)["spent"] == "8.28"


def test_a_slow_answer_is_waited_for_as_long_as_something_comes(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(client, "TIMEOUT_SECONDS", 0.5)
    peer.tell(fault("slow", seconds=0.1))
    assert states(fetched(folder, capsys, "ES", "--budget", "9")) == ["bought"]
    peer.tell(fault("slow", seconds=1.5))
    assert fetch(folder, "MES", "--budget", "9") == 1
    assert "the answer was cut (timed out)" in capsys.readouterr().err


def test_what_databento_warns_of_is_said(peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str]):
    peer.tell(fault("warning", COUNT, words="this dataset was degraded on 2025-01-13", times=2))
    assert fetch(folder, "ES", "--dry-run", last="2025-01-14") == 0
    assert capsys.readouterr().err.count("Databento warns: Warning: this dataset was degraded on 2025-01-13") == 1


def test_nobody_in_between_hears_the_key_on_its_way_to_this_machine(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert states(fetched(folder, capsys, "ES", "--dry-run")) == ["to buy"]


def test_a_server_that_is_not_there_is_given_up_on(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(client, "PATIENCE_SECONDS", 0.5)
    assert fetch(folder, "ES", "--url", "http://127.0.0.1:9") == 1
    assert "http://127.0.0.1:9 does not answer (Connection refused)" in capsys.readouterr().err


# What ends it


def test_what_a_crash_left_is_written_down_and_a_whole_file_is_kept(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str]
):
    fetched(folder, capsys, "ES", "--budget", "9", last="2025-01-14")
    ledger = folder / ".databento" / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    # It ended after the second file had its name, inside the line that says so, and before the day was taken.
    ledger.write_bytes(b"".join(lines[:3]) + lines[3][:20])
    Catalog(folder).remove(ES, date(2025, 1, 14))
    peer.tell()
    assert spend(folder, capsys)["perhaps_spent"] == "2.76"
    assert states(fetched(folder, capsys, "ES", last="2025-01-14")) == ["there already", "bought already"]
    assert not peer.asked()
    found = spend(folder, capsys)
    assert (found["spent"], found["perhaps_spent"], len(found["purchases"])) == ("5.52", "0", 2)


def test_a_ledger_that_somebody_changed_is_an_error_that_names_the_line(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str]
):
    fetched(folder, capsys, "ES", "--budget", "9")
    ledger = folder / ".databento" / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b'"2.76"', b'"much"'))
    assert run(["data", "spend", "--catalog", str(folder)]) == 2
    assert "ledger.jsonl:1" in capsys.readouterr().err


def test_one_process_buys_at_a_time(peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str]):
    with Purchases(folder).at_work():
        assert fetch(folder, "ES", "--budget", "9") == 1
    assert "another `leadline data fetch` buys into" in capsys.readouterr().err
    assert not peer.asked()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_command_that_was_ended_goes_on_and_buys_no_day_twice(
    peer: Peer, folder: Path, capsys: pytest.CaptureFixture[str], ending: signal.Signals
):
    peer.tell(fault("none"), fault("slow", seconds=30))
    words = ["data", "fetch", "ES", "--from", "2025-01-13", "--to", "2025-01-15", "--budget", "9"]
    command = [sys.executable, "-P", "-m", "leadline.cli.main", *words, "--catalog", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "2025-01-14: loading" not in process.stderr.readline():
            assert process.poll() is None
        while len(peer.asked(RANGE)) < 2:
            time.sleep(0.05)
        process.send_signal(ending)
        process.communicate(timeout=20)
    assert process.returncode == (-signal.SIGKILL if ending is signal.SIGKILL else 130)
    assert Catalog(folder).dates(ES) == (MONDAY,)
    peer.tell()
    assert states(fetched(folder, capsys, "ES", "--budget", "9", "--again", last="2025-01-15")) == [
        "there already",
        "bought",
        "bought",
    ]
    assert {each["start"][:10] for each in peer.asked(RANGE)} == {"2025-01-13", "2025-01-14"}
    found = spend(folder, capsys)
    assert (found["spent"], found["perhaps_spent"]) == ("8.28", "2.76")
    assert [each["state"] for each in found["purchases"]] == ["complete", "begun", "complete", "complete"]
    assert not list((folder / ".databento").glob("new-*"))
