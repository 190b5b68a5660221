"""Sentences of the pages are subject, verb, object: none turns a question into its subject."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, name_of, pages

# A sentence begins with a paragraph, an item of a list, or after another one. A question may be one.
BEGINS = r"(?:^|(?<=^- )|(?<=[.:;] )|(?<=[.:;]\n))"
ASKED = re.compile(BEGINS + r"(?:What|Whatever|Who|Whoever|Whose|Whom)\b[^.?]*.", re.MULTILINE)
# The table of faults, and what was noted day by day.
LEFT_OUT = {DOCS / "explanation" / "mended-faults.md", ROOT / "CHANGELOG.md"}


def prose(page: Path) -> str:
    """A page without its code, its tables and its generated parts."""
    text = re.sub(r"<!-- generated.*?<!-- end -->", "", page.read_text(), flags=re.DOTALL)
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return "\n".join(line for line in text.splitlines() if not line.startswith(("|", "#")))


def asked(text: str) -> list[str]:
    """The sentences that begin with such a word and are no questions."""
    return [found.group() for found in ASKED.finditer(text) if not found.group().endswith("?")]


@pytest.mark.parametrize("page", [page for page in pages() if page not in LEFT_OUT], ids=name_of)
def test_no_sentence_has_a_question_for_its_subject(page: Path):
    assert asked(prose(page)) == []


def test_such_a_sentence_is_found_and_a_question_is_not():
    text = "Fine. What is\nleft of it goes. Who does it? It says what it is.\n\n- Whoever asks is answered.\n"
    assert asked(text) == ["What is\nleft of it goes.", "Whoever asks is answered."]
