"""A file of one YAML document that is no manifest, such as one's own instruments or a sweep."""

import json
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from leadline.model.errors import InvalidInput
from leadline.model.manifest.manifests import InvalidManifest, expected_instead, first_of, not_plain, path_of
from leadline.model.manifest.yaml_text import YamlDocument, placed, yaml_documents

MAX_FILE_BYTES: Final = 1_000_000

ModelT = TypeVar("ModelT", bound=BaseModel)


def read_document(raw: bytes, name: str, model: type[ModelT], contents: str) -> tuple[ModelT, YamlDocument]:
    """The contents of the one document of a file, checked by its model; and the document, for the lines of its fields.

    name: of the file, for errors. contents: what the document has, in words. Raises InvalidManifest with all problems,
    each with file, line, field, value and what was expected.
    """
    if len(raw) > MAX_FILE_BYTES:
        raise InvalidManifest([InvalidInput(name, f"{len(raw)} bytes or more", f"{MAX_FILE_BYTES} at most")])
    try:
        documents = yaml_documents(raw, name)
    except InvalidInput as problem:
        raise InvalidManifest([problem]) from None
    if len(documents) != 1 or not isinstance(documents[0].value, dict):
        expected = f"one YAML document with {contents}"
        raise InvalidManifest([InvalidInput(name, f"{len(documents)} documents", expected)])
    document = documents[0]
    if strange := first_of(not_plain(document.value, "", nulls=True), "rows"):
        raise InvalidManifest([in_place(problem, document, name) for problem in strange])
    try:
        return model.model_validate_json(json.dumps(document.value)), document
    except ValidationError as error:
        problems = (InvalidInput(path_of(each["loc"]), _value(each), expected_instead(each)) for each in error.errors())
        raise InvalidManifest([in_place(each, document, name) for each in first_of(problems, "rows")]) from None


def in_place(problem: InvalidInput, document: YamlDocument, name: str) -> InvalidInput:
    """The same problem with the file and the line of its field."""
    where = ": ".join(each for each in (placed(name, document.line_of(problem.field)), problem.field) if each)
    return InvalidInput(where, problem.value, problem.expected)


def _value(error: Any) -> object:
    return None if error["type"] == "missing" else error["input"]
