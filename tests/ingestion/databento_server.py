"""A process that speaks the protocol of Databento's historical service, as far as trades are bought by it.

`python -m tests.ingestion.databento_server` says its port on a line of its own and answers until its input ends. It has
a trade of each contract every five minutes in which CME's futures trade, by New York's clock, and takes a cent for one.
`POST /tell` with a list of faults makes it misbehave, `GET /asked` says what it was asked since.

A fault: {"method": "timeseries.get_range", "kind": ..., "times": 1} and, by kind:
- status: "status", "detail", "headers"; echo: a refusal with the key of the caller in it
- cut: half of the body and the connection ends; slow: "seconds" before each part; page: HTML of something in between
- torn: half of the packed bytes, with their length; fewer: whole, and a trade less; count: another number of trades
- warning: a header with "words"
"""

import base64
import json
import re
import sys
import threading
import time
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

import databento_dbn as dbn
import pyarrow as pa

KEY: Final = "db-0123456789abcdefghijklmnopqrs"
CENTS: Final = 1
EVERY_SECONDS: Final = 300

_NEW_YORK: Final = ZoneInfo("America/New_York")
_SYMBOL: Final = re.compile(r"(MES|ES|NQ|GC)[FGHJKMNQUVXZ][0-9]")


def trades(symbol: str, start: datetime, end: datetime) -> list[dbn.TradeMsg]:
    """The trades that were received in [start, end)."""
    step = timedelta(seconds=EVERY_SECONDS)
    at = datetime.fromtimestamp(start.timestamp() // EVERY_SECONDS * EVERY_SECONDS, UTC)
    found = []
    while at < end:
        # A trade is received a moment after it happened.
        if start <= at + timedelta(milliseconds=1) < end and _trades_at(at):
            found.append(_trade(symbol, at))
        at += step
    return found


def _trades_at(at: datetime) -> bool:
    """Whether CME's futures trade: from Sunday 18:00 to Friday 17:00, without the hour from 17:00 on."""
    local = at.astimezone(_NEW_YORK)
    weekday, hour = local.weekday(), local.hour
    return hour != 17 and not (weekday == 5 or (weekday == 4 and hour > 17) or (weekday == 6 and hour < 17))


def _trade(symbol: str, at: datetime) -> dbn.TradeMsg:
    ns = int(at.timestamp()) * 10**9
    step = ns // 10**9 // EVERY_SECONDS
    return dbn.TradeMsg(
        publisher_id=1,
        instrument_id=_number(symbol),
        ts_event=ns,
        size=1 + step % 7,
        action=dbn.Action("T"),
        side=dbn.Side("AB"[step % 2]),
        depth=0,
        price=5_850 * 10**9 + step % 5 * 250_000_000,
        ts_recv=ns + 1_000_000,
    )


def _number(symbol: str) -> int:
    return 1_000 + sum(map(ord, symbol))


def packed(symbol: str, start: datetime, end: datetime, records: list[dbn.TradeMsg]) -> bytes:
    """A file of these trades, as it is sent."""
    interval = SimpleNamespace(
        start_date=start.date(), end_date=end.date() + timedelta(days=1), symbol=str(_number(symbol))
    )
    mappings: Any = [SimpleNamespace(raw_symbol=symbol, intervals=[interval])]
    metadata = dbn.Metadata(
        dataset="GLBX.MDP3",
        start=int(start.timestamp()) * 10**9,
        end=int(end.timestamp()) * 10**9,
        stype_in=dbn.SType("raw_symbol"),
        stype_out=dbn.SType("instrument_id"),
        schema=dbn.Schema("trades"),
        symbols=[symbol],
        mappings=mappings,
    )
    content = b"".join([bytes(metadata), *map(bytes, records)])
    return bytes(pa.compress(content, codec="zstd", asbytes=True))


class Databento(ThreadingHTTPServer):
    """The service, its faults and what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.lock = threading.Lock()
        self.faults: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []

    def fault_of(self, method: str) -> dict[str, Any]:
        """The fault of this call, which is used up by it."""
        with self.lock:
            for fault in self.faults:
                if fault["method"] in (method, "*") and fault.get("times", 1) > 0:
                    fault["times"] = fault.get("times", 1) - 1
                    return fault
        return {"kind": ""}


class Answers(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Databento

    def do_GET(self) -> None:
        if self.path == "/asked":
            self._send(200, json.dumps(self.server.asked).encode())
            return
        path, _, query = self.path.partition("?")
        method, fields = path.removeprefix("/v0/"), {name: values[0] for name, values in parse_qs(query).items()}
        with self.server.lock:
            self.server.asked.append({"method": method, **fields})
        assert (method, fields["dataset"]) == ("metadata.get_dataset_condition", "GLBX.MDP3")
        fault = self.server.fault_of(method)
        first, last = (date.fromisoformat(fields[name]) for name in ("start_date", "end_date"))
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        degraded = fault.get("days", [])
        found = [
            {"date": str(day), "condition": "degraded" if str(day) in degraded else "available"}
            for day in days
            if day.weekday() != 5
        ]
        self._send(200, json.dumps(found).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/tell":
            with self.server.lock:
                self.server.faults, self.server.asked = json.loads(body), []
            self._send(200, b"{}")
            return
        method = self.path.removeprefix("/v0/")
        fields = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        with self.server.lock:
            self.server.asked.append({"method": method, **fields})
        self._answer(method, fields, self.server.fault_of(method))

    def _answer(self, method: str, fields: dict[str, str], fault: dict[str, Any]) -> None:
        kind = fault["kind"]
        key = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode().partition(":")[0]
        if kind == "echo":
            self._refuse(401, {"case": "auth_authentication_failed", "message": f"no such key: {key}"})
        elif kind == "page":
            self._send(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"})
        elif kind == "status":
            self._refuse(fault["status"], fault["detail"], fault.get("headers"))
        elif key != KEY:
            self._refuse(401, {"case": "auth_authentication_failed", "message": "Authentication failed."})
        elif not _SYMBOL.fullmatch(symbol := fields["symbols"]):
            message = f"None of the symbols could be resolved: {symbol}"
            self._refuse(422, {"case": "symbology_invalid_request", "message": message, "docs": "https://d.example"})
        else:
            self._say(method, fields, symbol, fault)

    def _say(self, method: str, fields: dict[str, str], symbol: str, fault: dict[str, Any]) -> None:
        assert (fields["dataset"], fields["schema"], fields["stype_in"]) == ("GLBX.MDP3", "trades", "raw_symbol")
        start, end = (datetime.fromisoformat(fields[name]) for name in ("start", "end"))
        found, kind = trades(symbol, start, end), fault["kind"]
        headers = {"X-Warning": json.dumps([f"Warning: {fault['words']}"])} if kind == "warning" else {}
        if method == "metadata.get_record_count":
            self._send(200, str(len(found) + (kind == "count")).encode(), headers)
        elif method == "metadata.get_cost":
            self._send(200, f"{len(found) * CENTS / 100}".encode(), headers)
        else:
            assert (fields["encoding"], fields["compression"]) == ("dbn", "zstd")
            content = packed(symbol, start, end, found[1:] if kind == "fewer" else found)
            self._stream(content[: len(content) // 2] if kind == "torn" else content, fault, headers)

    def _stream(self, content: bytes, fault: dict[str, Any], headers: dict[str, str]) -> None:
        """The bytes in parts whose lengths are said, as they come: nobody says before how many there are."""
        self.send_response(200)
        for name, value in {"Transfer-Encoding": "chunked", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        step = 512
        for place in range(0, len(content), step):
            if fault["kind"] == "cut" and place > len(content) // 2:
                self.close_connection = True
                self.connection.close()
                return
            if fault["kind"] == "slow":
                time.sleep(fault["seconds"])
            part = content[place : place + step]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def _refuse(self, status: int, detail: Any, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps({"detail": detail}).encode(), headers)

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing: its output is its port."""


def main() -> None:
    """Answer until standard input ends."""
    server = Databento()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
