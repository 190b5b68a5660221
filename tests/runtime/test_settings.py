import json

import pytest

from leadline.model.errors import InvalidInput
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
