"""Certificates of the calls between services, which may be renewed while they are in use."""

import ssl
import threading
from dataclasses import dataclass
from typing import Final

import structlog

from leadline.runtime.clock import monotonic_s
from leadline.runtime.settings import TlsSettings

# How often the files are looked at, at most.
LOOK_SECONDS: Final = 5.0

_Signature = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Pem:
    """The contents of the three files at one moment; the certificate is the key's."""

    key: bytes
    certificate: bytes
    authority: bytes


class Certificates:
    """The files of `tls` as they are now. Files that do not belong together, or cannot be read, change nothing.

    Raises OSError and ssl.SSLError for the first reading only.
    """

    def __init__(self, tls: TlsSettings) -> None:
        self._tls = tls
        # A server asks from a thread of its own, which does not know whose it is.
        self._lock = threading.Lock()
        self._log = structlog.stdlib.get_logger(__name__).bind(**structlog.contextvars.get_contextvars())
        self._looked_s = monotonic_s()
        self._signature = self._sign()
        self._pem = self._read()

    def current(self) -> Pem:
        """The certificate to show and the authorities to trust: the same object until the files change."""
        now_s = monotonic_s()
        with self._lock:
            if now_s - self._looked_s >= LOOK_SECONDS:
                self._looked_s = now_s
                try:
                    self._look()
                except (OSError, ssl.SSLError) as error:
                    self._log.warning(
                        "certificates.unreadable", file=str(self._tls.certificate_file), reason=str(error)
                    )
            return self._pem

    def _look(self) -> None:
        signature = self._sign()
        if signature == self._signature:
            return
        pem = self._read()
        if self._sign() == signature:  # else they are being written: the next look sees them
            self._signature, self._pem = signature, pem
            self._log.info("certificates.renewed", file=str(self._tls.certificate_file))

    def _sign(self) -> _Signature:
        files = (self._tls.key_file, self._tls.certificate_file, self._tls.ca_file)
        return tuple((found.st_ino, found.st_mtime_ns) for found in (file.stat() for file in files))

    def _read(self) -> Pem:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._tls.certificate_file, self._tls.key_file)
        context.load_verify_locations(self._tls.ca_file)
        return Pem(
            self._tls.key_file.read_bytes(), self._tls.certificate_file.read_bytes(), self._tls.ca_file.read_bytes()
        )
