"""Whoever writes YAML is told the line: of the field that is wrong, or of the place where it is no YAML any more."""

import pytest

from leadline.model.errors import InvalidInput
from leadline.model.manifest.specs import InvalidManifest, load_manifests
from leadline.model.manifest.yaml_text import MOST_BROKEN, MOST_LEVELS, MOST_VALUES, read_yaml, yaml_documents

TEXT = b"""\
# a comment
kind: A
spec:
  bars: 5m
  blocks:
  - {from: "12:00", to: "13:00"}
  -
    from: "14:00"
---

- 1
"""


def test_each_field_has_the_line_of_its_name():
    first, second = yaml_documents(TEXT)
    assert (first.place, second.place) == ("document 1", "document 2")
    lines = {"": 2, "kind": 2, "spec": 3, "spec.bars": 4, "spec.blocks[0].to": 6, "spec.blocks[1].from": 8}
    assert {path: first.line_of(path) for path in lines} == lines
    assert (second.value, second.line_of(""), second.line_of("[0]")) == ([1], 11, 11)


@pytest.mark.parametrize(
    ("path", "line"), [("spec.mode", 3), ("spec.blocks[1].to", 8), ("metadata.name", 2), ("spec.blocks[7].to", 5)]
)
def test_what_is_missing_has_the_line_of_what_it_would_stand_in(path, line):
    first, _ = yaml_documents(TEXT)
    assert first.line_of(path) == line


def test_an_item_of_a_list_has_its_own_lines():
    text = b"apiVersion: v1\nkind: List\nitems:\n- kind: A\n  spec:\n    bars: 5m\n- kind: B\n"
    first, second = yaml_documents(text)
    assert (first.place, first.line_of(""), first.line_of("spec.bars")) == ("document 1, item 1", 4, 6)
    assert (second.place, second.line_of("kind"), second.line_of("spec.bars")) == ("document 1, item 2", 7, 7)


BEGINS = "expected YAML documents (while parsing a flow sequence that begins on line"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"a:\n  b: [1,\n  2\nc: 3\n", f"own.yaml:4: got 'c: 3', {BEGINS} 2, expected ',' or ']', but got ':')"),
        (b"a: [1\n", f"own.yaml:2: got nothing, {BEGINS} 1, expected ',' or ']', but got '<stream end>')"),
        (b"a: 1\na: 2\n", "own.yaml:2: got 'a: 2', expected YAML documents (a stands twice)"),
        (b"a: 1\nb: \xff\n", "own.yaml:2: got 'b: \ufffd', expected YAML documents (invalid start byte)"),
    ],
)
def test_what_is_no_yaml_is_named_with_file_line_and_what_stands_there(text, told):
    with pytest.raises(InvalidInput) as refused:
        list(yaml_documents(text, "own.yaml"))
    assert str(refused.value) == told


def test_a_manifest_s_error_names_file_line_and_object(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(
        "apiVersion: leadline.dev/v1alpha1\nkind: TradingStrategy\nmetadata: {name: s}\nspec:\n  bras: 5m\n"
    )
    with pytest.raises(InvalidManifest) as refused:
        load_manifests(file)
    missing, unknown = str(refused.value).splitlines()
    assert (
        missing
        == f"{file}:4: TradingStrategy s: spec.instrument: got nothing, expected a value: this field is required"
    )
    assert unknown == f"{file}:5: TradingStrategy s: spec.bras: got '5m', expected no such field; did you mean bars?"


def test_an_object_without_a_name_is_named_by_its_document():
    with pytest.raises(InvalidManifest, match=r"^line 3: document 1: apiVersion: got nothing, expected leadline"):
        load_manifests("\n---\nkind: TradingStrategy\n")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"{" * 3_000, f"more than {MOST_LEVELS} levels"),
        (b"[" * 3_000, f"more than {MOST_LEVELS} levels"),
        (b"- " * 3_000, f"more than {MOST_LEVELS} levels"),
        (b"x: [" + b"1," * MOST_VALUES + b"]", f"more than {MOST_VALUES} values"),
    ],
    ids=["mappings", "lists", "lines", "values"],
)
def test_a_text_that_would_take_long_to_read_is_refused(text: bytes, why: str):
    with pytest.raises(InvalidInput) as refused:
        list(yaml_documents(text))
    assert why in refused.value.expected


def test_as_many_levels_as_are_taken_are_read():
    levels = MOST_LEVELS - 1
    (document,) = yaml_documents(b"[" * levels + b"1" + b"]" * levels)
    assert str(document.value) == "[" * levels + "1" + "]" * levels


def test_every_place_that_is_no_yaml_is_told_at_once_and_what_is_wrong_between_them(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("a: [1\n--- \nkind: B\n---\nb: 'x\n---\nkind: C\n")
    with pytest.raises(InvalidManifest) as refused:
        load_manifests(file)
    assert [line.partition(": ")[0] for line in str(refused.value).splitlines()] == [
        f"{file}:2",
        f"{file}:3",
        f"{file}:6",
        f"{file}:7",
    ]


def test_no_more_broken_places_are_looked_for_than_somebody_mends_at_a_time():
    documents, broken = read_yaml(b"a: [\n---\n" * 10_000)
    assert (len(documents), len(broken)) == (0, MOST_BROKEN)
