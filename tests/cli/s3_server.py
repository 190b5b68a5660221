"""An object store that speaks S3, as a process of its own: the part of the protocol that a client of files asks for.

It checks the signature of every request (AWS Signature Version 4), keeps objects as files, and misbehaves as it is told
by files: `fail` has the number of uploads that are still to be refused with 503, `odd` a key that is listed beside the
others though no file can have it.
"""

import hashlib
import hmac
import io
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

ACCESS, SECRET = "an-access-key", "a-secret-key"
_UPLOADS: dict[str, dict[int, bytes]] = {}


def _unchunked(stream: io.BufferedIOBase) -> bytes:
    """The content of chunks, each after its length, and nothing of what trails the last one."""
    found = []
    while length := int(stream.readline().split(b";")[0], 16):
        found.append(stream.read(length))
        stream.readline()
    while stream.readline().strip():
        pass
    return b"".join(found)


class Store(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    root: Path

    def log_message(self, *_: object) -> None:
        """Nothing is written down."""

    def do_GET(self) -> None:
        if not self._allowed():
            return
        query, path = self._query(), self._path()
        if "list-type" in query:
            self._list(path.strip("/"), query)
            return
        file = self.root / path.strip("/")
        if not file.is_file():
            self._error(404, "NoSuchKey")
            return
        content, status, extra = file.read_bytes(), 200, {}
        if wanted := self.headers.get("Range"):
            first, last = wanted.removeprefix("bytes=").split("-")
            end = min(int(last), len(content) - 1)
            extra = {"Content-Range": f"bytes {first}-{end}/{len(content)}"}
            content, status = content[int(first) : end + 1], 206
        self._answer(status, content, extra)

    def do_HEAD(self) -> None:
        if not self._allowed():
            return
        path = self.root / self._path().strip("/")
        if path.is_file() or (path.is_dir() and path.parent == self.root):
            length = path.stat().st_size if path.is_file() else 0
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            self.send_header("Last-Modified", "Fri, 10 Jan 2025 13:30:00 GMT")
            self.end_headers()
        else:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def do_PUT(self) -> None:
        body = self._body()
        if not self._allowed() or self._refused():
            return
        query = self._query()
        if "uploadId" in query:
            _UPLOADS[query["uploadId"]][int(query["partNumber"])] = body
        else:
            self._keep(body)
        self._answer(200, b"", {"ETag": f'"{hashlib.md5(body).hexdigest()}"'})

    def do_POST(self) -> None:
        self._body()
        if not self._allowed():
            return
        query, path = self._query(), self._path()
        if "uploads" in query:
            upload = f"upload-{len(_UPLOADS)}"
            _UPLOADS[upload] = {}
            self._answer(
                200,
                f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId>"
                "</InitiateMultipartUploadResult>".encode(),
            )
            return
        parts = _UPLOADS.pop(query["uploadId"])
        self._keep(b"".join(content for _, content in sorted(parts.items())))
        self._answer(
            200,
            f"<CompleteMultipartUploadResult><Key>{escape(path)}</Key><ETag>x</ETag>"
            "</CompleteMultipartUploadResult>".encode(),
        )

    def do_DELETE(self) -> None:
        self._body()
        if self._allowed():
            _UPLOADS.pop(self._query().get("uploadId", ""), None)
            self._answer(204, b"")

    def _keep(self, content: bytes) -> None:
        file = self.root / self._path().strip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def _refused(self) -> bool:
        told = self.root / "fail"
        left = json.loads(told.read_text()) if told.exists() else 0
        if not left:
            return False
        told.write_text(json.dumps(left - 1))
        self._error(503, "SlowDown")
        return True

    def _list(self, bucket: str, query: dict[str, str]) -> None:
        prefix, root = query.get("prefix", ""), self.root / bucket
        keys = sorted(str(each.relative_to(root)) for each in root.rglob("*") if each.is_file())
        found = [key for key in keys if key.startswith(prefix)]
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{(root / key).stat().st_size}</Size>"
            "<LastModified>2025-01-10T13:30:00.000Z</LastModified></Contents>"
            for key in found
        )
        odd = self.root / "odd"
        if odd.exists() and (key := odd.read_text()).startswith(prefix):
            rows += (
                f"<Contents><Key>{escape(key)}</Key><Size>5</Size>"
                "<LastModified>2025-01-10T13:30:00.000Z</LastModified></Contents>"
            )
        head = f"<IsTruncated>false</IsTruncated><KeyCount>{len(found)}</KeyCount>"
        text = f"<ListBucketResult>{head}{rows}</ListBucketResult>"
        self._answer(200, text.encode())

    def _allowed(self) -> bool:
        """Whether the request is signed with the key."""
        words = self.headers.get("Authorization", "")
        fields = dict(part.strip().split("=", 1) for part in words.partition(" ")[2].split(","))
        if words and fields["Credential"].startswith(f"{ACCESS}/") and fields["Signature"] == self._signature(fields):
            return True
        self._error(403, "SignatureDoesNotMatch")
        return False

    def _signature(self, fields: dict[str, str]) -> str:
        names = fields["SignedHeaders"].split(";")
        url = urlsplit(self.path)
        pairs = sorted((quote(key, safe="~"), quote(value, safe="~")) for key, value in parse_qsl(url.query, True))
        canonical = "\n".join(
            [
                self.command,
                quote(unquote(url.path), safe="/~"),
                "&".join(f"{key}={value}" for key, value in pairs),
                *(f"{name}:{' '.join(self.headers.get(name, '').split())}" for name in names),
                "",
                fields["SignedHeaders"],
                self.headers["x-amz-content-sha256"],
            ]
        )
        scope = fields["Credential"].split("/", 1)[1]
        told = ["AWS4-HMAC-SHA256", self.headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()]
        key = f"AWS4{SECRET}".encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return hmac.new(key, "\n".join(told).encode(), hashlib.sha256).hexdigest()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            content = _unchunked(self.rfile)
        else:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        wrapped = "aws-chunked" in self.headers.get("Content-Encoding", "")
        return _unchunked(io.BytesIO(content)) if wrapped else content

    def _query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))

    def _path(self) -> str:
        return unquote(urlsplit(self.path).path)

    def _error(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def _answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    Store.root = Path(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Store)
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()
