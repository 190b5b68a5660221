#!/usr/bin/env python3
"""Write the Python code of proto/ into services/, next to the service that each contract belongs to.

The proto package `leadline.execution.v1` becomes the Python package `leadline/execution/v1/`: messages, gRPC stubs and
the type stubs of both. `--check` writes nothing and fails, naming the files, when the code that is checked in is not
what the contracts and the locked generators give.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
SERVICES = ROOT / "services"


def main() -> int:
    """Regenerate or check; return the exit status."""
    parser = argparse.ArgumentParser(description="Generate Python from proto/.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when checked-in code has drifted")
    check: bool = parser.parse_args().check
    with tempfile.TemporaryDirectory() as directory:
        wanted = generate(Path(directory))
    drift = [path for path, content in wanted.items() if not path.exists() or path.read_bytes() != content]
    stale = sorted(set(generated_files()) - set(wanted))
    if check:
        for path in (*drift, *stale):
            print(f"proto: {path.relative_to(ROOT)} is not what proto/ gives: run 'make proto'", file=sys.stderr)
        return 1 if drift or stale else 0
    for path in drift:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wanted[path])
    for path in stale:
        path.unlink()
    for path in sorted({path.parent.parent / "__init__.py" for path in wanted}):
        if not path.exists():
            path.touch()
    print(f"proto: {len(drift)} of {len(wanted)} files written, {len(stale)} removed")
    return 0


def generate(directory: Path) -> dict[Path, bytes]:
    """Run protoc into an empty directory; return the content that each file under services/ should have."""
    sources = sorted(path.relative_to(PROTO).as_posix() for path in PROTO.rglob("*.proto"))
    plugins = Path(sys.executable).parent
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"--proto_path={PROTO}",
        f"--plugin=protoc-gen-mypy={plugins / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={plugins / 'protoc-gen-mypy_grpc'}",
        *(f"--{kind}_out={directory}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")),
        *sources,
    ]
    # The plugins announce each file they write on standard error: only worth reading when something went wrong.
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise SystemExit(f"proto: protoc refused the contracts\n{result.stderr}")
    content = {SERVICES / path.relative_to(directory): path.read_bytes() for path in sorted(directory.rglob("*.py*"))}
    # Without __init__.py import-linter does not see the package and a wheel does not carry it.
    return content | {path.parent / "__init__.py": b"" for path in content}


def generated_files() -> list[Path]:
    """Every file that is checked in where only generated code may be."""
    return sorted(path for path in SERVICES.glob("leadline/*/v1/*") if path.suffix in {".py", ".pyi"})


if __name__ == "__main__":
    raise SystemExit(main())
