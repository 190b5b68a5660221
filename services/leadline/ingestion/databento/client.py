"""Databento's historical service over HTTP: the cost of trades, their number, and the trades themselves.

Questions that cost nothing are asked again while it is away. Trades are asked for again only when it said that it takes
no more now, before it sent anything: what it sends is paid for.
"""

import asyncio
import base64
import http.client
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, Any, Final, NoReturn
from urllib.parse import urlencode, urlsplit

import orjson
from pydantic import SecretStr

from leadline.ingestion.databento.days import DATASET, DayRequest
from leadline.model.errors import InvalidInput, Refused, Unavailable
from leadline.runtime.files import sync_directory
from leadline.runtime.retry import until_done, worth_again
from leadline.runtime.version import package_version

URL: Final = "https://hist.databento.com"
TIMEOUT_SECONDS: Final = 100.0
"""For a connection, and for each part of an answer."""
PATIENCE_SECONDS: Final = 60.0

_PART: Final = "databento"
_SHOWN: Final = 200
_BLOCK_BYTES: Final = 1 << 16
_MOST_ANSWER_BYTES: Final = 1 << 20
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
# It has done nothing yet: too many at a time, or no place for more.
_NOT_NOW: Final = (429, 503)


class Away(Unavailable):
    """It does not answer as it should. not_begun: it has sent nothing and says so. after_s: when to ask again."""

    def __init__(self, message: str, *, not_begun: bool = False, after_s: float | None = None) -> None:
        super().__init__(f"Databento: {message}", _PART)
        self.not_begun = not_begun
        self.after_s = after_s


class RefusedByDatabento(Refused):
    """It answered in its own words that it does not, and would again. status: of HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(f"Databento refuses: {message}", _PART)
        self.status = status


class Databento:
    """The service at a URL. warn: is told what Databento warns of, each once.

    Methods raise RefusedByDatabento for what it refuses, Away while it cannot be reached for a minute. No error has the
    key in it. Raises InvalidInput for a URL over which the key would travel in the clear.
    """

    def __init__(self, key: SecretStr, url: str, warn: Callable[[str], None]) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise InvalidInput("--url", url, f"https, as in {URL}: the key travels with each request")
        self._key, self._url, self._warn = key, url.rstrip("/"), warn
        basic = base64.b64encode(f"{key.get_secret_value()}:".encode()).decode()
        self._headers = {
            "Accept": "application/json",
            "Authorization": f"Basic {basic}",
            "User-Agent": f"Leadline/{package_version()}",
        }
        secured = urllib.request.HTTPSHandler(context=ssl.create_default_context())
        # What is on this machine is asked without anybody in between, who could read the key.
        between = urllib.request.ProxyHandler({} if parts.scheme == "http" else None)
        self._opener = urllib.request.build_opener(secured, between, _NoRedirect)
        self._warned: set[str] = set()

    def cost(self, request: DayRequest) -> Decimal:
        """The cost of the trades, USD."""
        said = self._answer("metadata.get_cost", request)
        try:
            found = Decimal(said)
        except InvalidOperation:
            found = Decimal(-1)
        if not found.is_finite() or found < 0:
            raise self._refused(f"metadata.get_cost: {said!r} is no cost", 200)
        return found

    def record_count(self, request: DayRequest) -> int:
        """The number of the trades."""
        said = self._answer("metadata.get_record_count", request)
        if not said.isdecimal():
            raise self._refused(f"metadata.get_record_count: {said!r} is no number", 200)
        return int(said)

    def conditions(self, first: date, last: date) -> dict[date, str]:
        """The quality of the data of each day in UTC that is not whole: degraded, pending or missing."""
        fields = {"dataset": DATASET, "start_date": first.isoformat(), "end_date": last.isoformat()}
        said = self._read(self._until_answered("metadata.get_dataset_condition", fields, lambda _: True, get=True))
        try:
            found = {date.fromisoformat(each["date"]): str(each["condition"]) for each in orjson.loads(said)}
        except (ValueError, TypeError, KeyError):
            raise self._refused(f"metadata.get_dataset_condition: {said[:_SHOWN]!r} are no conditions", 200) from None
        return {day: condition for day, condition in found.items() if condition != "available"}

    def download(self, request: DayRequest, path: Path) -> int:
        """Put the trades into a file, which is on the disk then: DBN, packed by zstd. Returns its bytes.

        Calling it costs money, also where it ends in an error on the way.
        """
        fields = {**request.fields(), "stype_out": "instrument_id", "encoding": "dbn", "compression": "zstd"}
        answer = self._until_answered("timeseries.get_range", fields, lambda error: error.not_begun)
        try:
            with answer, path.open("wb") as file:
                while block := answer.read(_BLOCK_BYTES):
                    file.write(block)
                if answer.length:
                    raise self._away(f"the answer was cut, {answer.length:,} bytes before its end")
                file.flush()
                size = file.tell()
            sync_directory(path.parent)
        except (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
            raise self._away(f"the answer was cut ({_why(error)})") from error
        return size

    def _answer(self, method: str, request: DayRequest) -> str:
        """The answer to a question about a request, which costs nothing."""
        return self._read(self._until_answered(method, request.fields(), lambda _: True))

    def _read(self, answer: http.client.HTTPResponse) -> str:
        with answer:
            try:
                return self._without_key(answer.read(_MOST_ANSWER_BYTES).decode(errors="replace").strip())
            except (http.client.HTTPException, OSError) as error:
                raise self._away(f"the answer was cut ({_why(error)})") from error

    def _until_answered(
        self, method: str, fields: dict[str, str], again: Callable[[Away], bool], *, get: bool = False
    ) -> http.client.HTTPResponse:
        async def ask() -> http.client.HTTPResponse:
            return self._ask(method, fields, get=get)

        def decided(error: Exception) -> bool | float:
            if not isinstance(error, Away) or not again(error):
                return False
            return worth_again(error) if error.after_s is None else error.after_s

        return asyncio.run(until_done(ask, _PART, decided, timeout_s=PATIENCE_SECONDS, quiet=True))

    def _ask(self, method: str, fields: dict[str, str], *, get: bool) -> http.client.HTTPResponse:
        words, url = urlencode(fields), f"{self._url}/v0/{method}"
        asked = (
            urllib.request.Request(f"{url}?{words}", headers=self._headers)  # noqa: S310 - its scheme was looked at
            if get
            else urllib.request.Request(url, words.encode(), self._headers)  # noqa: S310 - as above
        )
        try:
            answer: http.client.HTTPResponse = self._opener.open(asked, timeout=TIMEOUT_SECONDS)
        except urllib.error.HTTPError as error:
            with error:
                self._refuse(method, error)
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise self._refused(f"{self._url}: its certificate is not trusted ({_why(reason)})", 0) from None
            refused = isinstance(reason, ConnectionRefusedError)
            raise self._away(f"{self._url} does not answer ({_why(reason)})", not_begun=refused) from None
        for warning in _warnings(answer.headers.get("X-Warning", "")):
            if warning not in self._warned:
                self._warned.add(warning)
                self._warn(self._without_key(warning))
        return answer

    def _refuse(self, method: str, error: urllib.error.HTTPError) -> NoReturn:
        words = f"{method}: {error.code} {_words(error)}"
        if error.code in _NOT_NOW or error.code >= 500:
            after = error.headers.get("Retry-After", "")
            after_s = float(after) if after.isdecimal() else None
            raise self._away(words, not_begun=error.code in _NOT_NOW, after_s=after_s) from None
        raise self._refused(words, error.code) from None

    def _refused(self, words: str, status: int) -> RefusedByDatabento:
        return RefusedByDatabento(self._without_key(words), status)

    def _away(self, words: str, *, not_begun: bool = False, after_s: float | None = None) -> Away:
        return Away(self._without_key(words), not_begun=not_begun, after_s=after_s)

    def _without_key(self, text: str) -> str:
        return re.sub(_forms(self._key.get_secret_value()), "[key]", text)


def _forms(key: str) -> str:
    """The pattern of a key as it is, and as it is in the header of a request; each sign may be percent-encoded."""
    # The header has the key and a colon (RFC 7617); a server may have taken the key apart and packed it again.
    packed = (base64.b64encode(text.encode()).decode().rstrip("=") for text in (f"{key}:", key))
    signs = ("".join(f"(?:{re.escape(sign)}|%(?i:{ord(sign):02x}))" for sign in text) for text in (*packed, key))
    return "|".join(f"{text}(?:=|%(?i:3d)){{0,2}}" for text in signs)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """It would send the key along to wherever it is told to."""

    def redirect_request(self, req: Any, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str) -> None:
        """No other request: the answer is the refusal."""


def _words(error: urllib.error.HTTPError) -> str:
    """Databento's own words for a refusal: its case and message, where it has them."""
    try:
        text = error.read(_MOST_ANSWER_BYTES).decode(errors="replace")
    except (http.client.HTTPException, OSError):
        text = ""
    try:
        found = orjson.loads(text)
        detail = found.get("detail", text) if isinstance(found, dict) else text
    except orjson.JSONDecodeError:
        detail = ""  # a page of something in between
    if isinstance(detail, dict):
        docs = detail.get("docs")
        said = [detail.get("case"), detail.get("message"), f"see {docs}" if docs else None]
        detail = ": ".join(str(each) for each in said if each)
    return str(detail or error.reason)


def _warnings(text: str) -> list[str]:
    """The warnings of an answer's header, which is a list in JSON."""
    if not text:
        return []
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = [text]
    return [str(each) for each in (found if isinstance(found, list) else [found])]


def _why(error: object) -> str:
    """Why a connection ended."""
    if isinstance(error, http.client.IncompleteRead):
        return f"after {len(error.partial):,} bytes of a part"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
