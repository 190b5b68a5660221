"""Another user of the same machine gets nothing: no file, no port, no token, and none of their code runs here."""

import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from leadline.local.binding import service_command
from leadline.local.data_dir import DataDir, NotPrivate, check_private
from leadline.local.environment import child_environment
from leadline.local.local_nats import LocalNats
from leadline.local.ports import LOOPBACK, Ports
from leadline.local.sockets import make_private, socket_folder
from leadline.runtime.bus._link import BusTrouble, Link
from leadline.runtime.metrics_server import serve_metrics
from tests.strangers import STRANGER, ask_stranger, needs_a_stranger, start_stranger

# --- code ---


@pytest.mark.parametrize("name", ["orjson", "json", "structlog", "leadline"])
def test_a_module_in_the_current_directory_is_never_imported(tmp_path: Path, name: str):
    (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'taken')!r}, 'w')\n")
    done = subprocess.run(
        service_command("risk", tmp_path / "none.json"),
        cwd=tmp_path,
        env=child_environment(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "no such file or directory" in done.stderr
    assert not (tmp_path / "taken").exists()


def test_a_service_sees_no_secret_of_the_shell_that_started_it():
    shell = {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "x", "DATABENTO_API_KEY": "y", "LC_ALL": "C", "HOME": "/h"}
    assert child_environment(shell) == {"PATH": "/bin", "LC_ALL": "C", "HOME": "/h"}


def test_a_strategy_beside_the_manifest_is_found_where_its_author_meant(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert child_environment({"PYTHONPATH": "."}) == {"PYTHONPATH": str(tmp_path)}
    assert child_environment({"PYTHONPATH": "/a::b"}) == {"PYTHONPATH": f"/a:{tmp_path / 'b'}"}


# --- files ---


@needs_a_stranger
@pytest.mark.parametrize("whose", ["the folder", "the key"])
def test_what_another_user_has_made_is_refused(tmp_path: Path, whose: str):
    data = DataDir(tmp_path / "data")
    data.root.mkdir(mode=0o700)
    data.token_key_file.write_text("a key that somebody else knows")
    data.token_key_file.chmod(0o600)
    os.chown(data.root if whose == "the folder" else data.token_key_file, STRANGER, STRANGER)
    with pytest.raises(NotPrivate, match=r"belongs to nobody, not to root"), data.hold():
        pass


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o770, 0o701])
def test_a_folder_that_others_may_open_is_refused_with_the_command_that_closes_it(tmp_path: Path, mode: int):
    root = tmp_path / "data"
    root.mkdir()
    (root / "stack.json").touch()
    root.chmod(mode)
    with pytest.raises(NotPrivate, match=rf"has mode 0{mode:o}, so others may open it: chmod 0700 {root}"):
        DataDir(root).check()


def test_nobody_is_told_to_close_a_folder_that_is_not_ours(tmp_path: Path):
    tmp_path.chmod(0o755)
    (tmp_path / "home").mkdir()
    with pytest.raises(NotPrivate, match=r"others may open it: name a folder for Leadline alone$"):
        DataDir(tmp_path).check()


def test_an_empty_folder_is_closed_and_used(tmp_path: Path):
    root = tmp_path / "data"
    root.mkdir(mode=0o755)
    root.chmod(0o755)
    with DataDir(root).hold():
        assert stat.S_IMODE(root.stat().st_mode) == 0o700


@pytest.mark.parametrize("inside", ["volumes", "settings", "logs"])
def test_a_link_in_the_place_of_a_folder_is_refused(tmp_path: Path, inside: str):
    data = DataDir(tmp_path / "data")
    data.root.mkdir(mode=0o700)
    (data.root / inside).symlink_to(tmp_path)
    with pytest.raises(NotPrivate, match="is a link"):
        {"volumes": data.volume, "settings": data.settings_file, "logs": data.log_file}[inside]("risk")


def test_a_place_that_everybody_may_rename_is_refused(tmp_path: Path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "data").mkdir(mode=0o700)
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(NotPrivate, match="everybody may rename"):
        check_private(tmp_path / "open" / "data")
    (tmp_path / "open").chmod(0o1777)
    check_private(tmp_path / "open" / "data")


# --- sockets and ports ---


def test_sockets_lie_in_a_folder_that_exists_whatever_the_desktop_says(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "is-not-there"))
    monkeypatch.setenv("TMPDIR", "/tmp")
    monkeypatch.setattr("tempfile.tempdir", None)
    assert socket_folder(tmp_path, 20).parent == Path("/tmp")
    (tmp_path / "is-not-there").mkdir()
    if len(str(tmp_path)) < 50:
        assert socket_folder(tmp_path, 20).parent == tmp_path / "is-not-there"


@needs_a_stranger
def test_a_socket_folder_that_somebody_else_made_first_is_left_to_them(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    known = socket_folder(tmp_path, 20)
    known.mkdir()
    os.chown(known, STRANGER, STRANGER)
    try:
        chosen = socket_folder(tmp_path, 20)
        assert chosen != known
        with pytest.raises(NotPrivate):
            make_private(known)
    finally:
        known.rmdir()


@needs_a_stranger
def test_nobody_else_can_connect_to_a_socket_of_a_service(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    folder = socket_folder(tmp_path, 20)
    make_private(folder)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(folder / "1-venue.sock"))
            server.listen()
            said = ask_stranger(
                """
                try:
                    socket.socket(socket.AF_UNIX).connect(sys.argv[1])
                except OSError as error:
                    print(type(error).__name__)
                """,
                folder / "1-venue.sock",
            )
        assert said == "PermissionError"
    finally:
        (folder / "1-venue.sock").unlink()
        folder.rmdir()


TAKE_PORT = """
    taker = socket.socket()
    taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        taker.bind(("127.0.0.1", int(sys.argv[1])))
        taker.listen()
    except OSError as error:
        print(type(error).__name__, error.errno)
    else:
        print("taken")
"""


@needs_a_stranger
def test_nobody_else_can_take_the_port_of_a_service_between_two_lives_of_it():
    with Ports("here") as ports:
        assert ask_stranger(TAKE_PORT, ports.take(one_user=True)).startswith("OSError")


def test_the_metrics_of_a_stack_are_for_those_who_hold_its_token(tmp_path: Path):
    (tmp_path / "metrics.token").write_text("secret\n")
    with Ports("here") as ports:
        port = serve_metrics(LOOPBACK, ports.take(one_user=True), tmp_path / "metrics.token")

    def ask(authorization: str) -> bytes:
        with socket.create_connection((LOOPBACK, port), timeout=10) as connection:
            connection.sendall(f"GET /metrics HTTP/1.0\r\n{authorization}\r\n".encode())
            return b"".join(iter(lambda: connection.recv(65536), b""))

    assert b" 200 OK" in ask("Authorization: Bearer secret\r\n")
    assert b"process_cpu_seconds_total" in ask("Authorization: bearer secret\r\n")
    for refused in ("", "Authorization: Bearer wrong\r\n", "Authorization: Basic secret\r\n"):
        said = ask(refused)
        assert b" 401 Unauthorized" in said
        assert b"process_cpu" not in said


@needs_a_stranger
@pytest.mark.integration
async def test_no_password_is_shown_to_another_user_who_listens_in_the_place_of_the_bus(tmp_path: Path, ports: Ports):
    nats = LocalNats(tmp_path / "nats", ports.take())
    nats.start()
    settings = nats.settings("analysis")
    await (await Link.open(settings)).close()
    nats.stop()
    stranger = start_stranger(
        """
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", int(sys.argv[1])))
        listener.listen()
        print("listening", flush=True)
        connection, _ = listener.accept()
        connection.sendall(b'INFO {"server_id":"X","version":"2.15.1","headers":true,"max_payload":1048576}\\r\\n')
        heard = b""
        while data := connection.recv(4096):
            heard += data
        print(heard, flush=True)
        """,
        nats.port,
    )
    with stranger:
        assert stranger.stdout is not None
        assert stranger.stdout.readline() == "listening\n"
        with pytest.raises(BusTrouble, match=f"a process of user {STRANGER} listens there"):
            await Link.open(settings)
        assert stranger.stdout.readline() == "b''\n"
