"""An authority and certificates that it signed, made by `openssl`."""

import shutil
import subprocess
from pathlib import Path

import pytest

from leadline.runtime.settings import TlsSettings


class Authority:
    """A certificate authority of one test, in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("there is no openssl on this machine: certificates are made with it")
        directory.mkdir()
        self._directory = directory
        self.certificate = directory / "ca.crt"
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"),
            *("-subj", "/CN=test authority", "-keyout", str(directory / "ca.key"), "-out", str(self.certificate)),
        )

    def settings(self, name: str) -> TlsSettings:
        """A certificate for the host `name`, signed by this authority."""
        key, request, certificate = (self._directory / f"{name}.{ending}" for ending in ("key", "csr", "crt"))
        extensions = self._directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName=DNS:{name}\nextendedKeyUsage=serverAuth,clientAuth\n")
        _openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request)),
        )
        _openssl(
            *("x509", "-req", "-days", "1", "-in", str(request), "-extfile", str(extensions)),
            *("-CA", str(self.certificate), "-CAkey", str(self._directory / "ca.key"), "-out", str(certificate)),
        )
        return TlsSettings(certificate_file=certificate, key_file=key, ca_file=self.certificate)


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
