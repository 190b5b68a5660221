import json

import pytest

from leadline.model.errors import InvalidInput
from leadline.runtime.bus.bus import BusUnavailable, open_bus
from leadline.runtime.settings import DatabaseSettings, NatsSettings, load_settings, read_secret
from tests.runtime.builders import service_settings

NATS = NatsSettings(servers=("nats://127.0.0.1:4222",), user="risk", password_file="/secrets/nats")  # type: ignore[arg-type]


def test_a_settings_file_is_read_as_it_was_written(tmp_path):
    settings = service_settings(
        tmp_path, peers={"risk": "127.0.0.1:7001"}, params={"account": "default/paper"}, nats=NATS
    )
    (tmp_path / "settings.json").write_text(settings.model_dump_json())
    assert load_settings(tmp_path / "settings.json") == settings


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("listen", "no port"),
        ("service", "gambling"),
        ("peers", {"risk": "nowhere"}),
        ("lisen", "127.0.0.1:1"),
        ("database", {"url": "mysql://host/db", "password_file": "/p"}),
    ],
)
def test_a_wrong_field_is_named_with_its_file(tmp_path, field, value):
    text = json.loads(service_settings(tmp_path).model_dump_json()) | {field: value}
    (tmp_path / "settings.json").write_text(json.dumps(text))
    with pytest.raises(InvalidInput, match=rf"settings\.json: {field}"):
        load_settings(tmp_path / "settings.json")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:hunter2@db/leadline",
        "postgresql:///leadline?user=ada&password=hunter2",
    ],
)
def test_a_password_in_the_databases_url_is_refused_and_not_shown(tmp_path, url):
    text = json.loads(service_settings(tmp_path).model_dump_json())
    text["database"] = {"url": url, "password_file": "/p"}
    (tmp_path / "settings.json").write_text(json.dumps(text))
    with pytest.raises(InvalidInput, match="password_file") as refused:
        load_settings(tmp_path / "settings.json")
    assert "hunter2" not in str(refused.value)


def test_a_url_with_a_user_and_a_port_is_no_password():
    url = "postgresql://ada@db.example:5432/leadline"
    assert DatabaseSettings(url=url, password_file="/p").url == url  # type: ignore[arg-type]


def test_secrets_are_read_from_files_without_their_line_end(tmp_path):
    (tmp_path / "secret").write_text("hunter2\n")
    assert read_secret(tmp_path / "secret") == "hunter2"
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(InvalidInput, match="empty"):
        read_secret(tmp_path / "empty")


def test_a_settings_file_that_is_no_json_is_not_shown(tmp_path):
    (tmp_path / "settings.json").write_text("password=hunter2")
    with pytest.raises(InvalidInput) as refused:
        load_settings(tmp_path / "settings.json")
    words = "settings.json: got '16 bytes', expected JSON (expected value at line 1 column 1)"
    assert str(refused.value) == f"{tmp_path}/{words}"


def test_a_missing_field_is_named_and_the_others_are_not_shown(tmp_path):
    (tmp_path / "settings.json").write_text("{}")
    with pytest.raises(InvalidInput) as refused:
        load_settings(tmp_path / "settings.json")
    words = "settings.json: service: got nothing, expected a value: this field is required"
    assert str(refused.value) == f"{tmp_path}/{words}"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe"])
async def test_a_file_without_a_password_is_waited_for_and_not_for_ever(tmp_path, content):
    """The connection is made in the background, and who asks for it must hear of its end."""
    file = tmp_path / "password"
    file.write_bytes(content)
    settings = NATS.model_copy(update={"password_file": file})
    with pytest.raises(BusUnavailable, match=r"no password for the bus: .*password: got '. bytes', expected a secret"):
        await open_bus(settings, timeout_s=0.01)
