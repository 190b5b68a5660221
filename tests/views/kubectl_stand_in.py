"""As much of kubectl as finds a platform's own servers: documents by their words in a folder, and a port to a socket.

It is called as kubectl is. What it has no document for does not exist; a document with `refused` is not for its caller.
"""

import asyncio
import json
import sys
from pathlib import Path


async def forward(target: str) -> None:
    """Answer on a port with what a Unix socket, or another port of this machine, answers."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await (
                asyncio.open_unix_connection(target)
                if target.startswith("/")
                else asyncio.open_connection("127.0.0.1", int(target))
            )
        except OSError:
            writer.close()
            return
        await asyncio.gather(copy(reader, there[1]), copy(there[0], writer), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    sys.stdout.write(f"Forwarding from 127.0.0.1:{server.sockets[0].getsockname()[1]} -> 1\n")
    sys.stdout.flush()
    await server.serve_forever()


def main(folder: Path, words: list[str]) -> int:
    """Do what is asked; the exit code."""
    if words[0] == "port-forward":
        asyncio.run(forward((folder / words[3].partition("/")[2]).read_text()))
    name = words[-3].rpartition("=")[2] if words[1] == "statefulsets" else words[2]
    try:
        document = json.loads((folder / f"{name}.json").read_text())
    except FileNotFoundError:
        sys.stderr.write(f'Error from server (NotFound): secrets "{name}" not found\n')
        return 1
    if "refused" in document:
        sys.stderr.write(f"Error from server (Forbidden): {document['refused']}\n")
        return 1
    sys.stdout.write(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(0 if sys.argv[2] == "config" else main(Path(sys.argv[1]), sys.argv[2:]))
