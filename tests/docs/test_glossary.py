"""The glossary: short, in order, each word explained and in use, and led to from where people begin."""

import re
from functools import cache

import pytest

from tests.docs.pages import DOCS, ROOT, links, name_of, pages

GLOSSARY = DOCS / "reference" / "glossary.md"
MOST_WORDS = 48
MOST_SENTENCES = 3


def entries() -> dict[str, str]:
    """Each word with the text below its heading."""
    _, *parts = re.split(r"^## (.+)$", GLOSSARY.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def uses(word: str) -> list[str]:
    """Files other than the glossary in which the word stands."""
    wanted = re.compile(rf"\b{re.escape(word)}s?\b", re.IGNORECASE)
    return [name for name, text in texts().items() if wanted.search(text)]


@cache
def texts() -> dict[str, str]:
    """Every other page, and every file of the code that is written by hand."""
    code = [path for room in ("services", "operator") for path in sorted((ROOT / room).rglob("*.py"))]
    found = [*(page for page in pages() if page != GLOSSARY), *(path for path in code if "v1" not in path.parts)]
    return {name_of(path): path.read_text() for path in found}


def test_it_is_short_and_in_the_order_of_the_alphabet():
    words = list(entries())
    assert words == sorted(words)
    assert 12 <= len(words) <= MOST_WORDS


@pytest.mark.parametrize("word", list(entries()))
def test_a_word_is_explained_in_few_sentences_and_leads_to_its_page(word: str):
    text, _, link = entries()[word].strip().rpartition("[")
    assert re.fullmatch(r"[^\]]+\]\(\.{0,2}[\w./#-]+\)", link), "its last words are a link"
    assert text.strip().endswith(".")
    assert 1 <= len(re.findall(r"\.(?:\s|$)", text)) <= MOST_SENTENCES


@pytest.mark.parametrize("word", list(entries()))
def test_a_word_is_still_in_use_in_code_and_in_documents(word: str):
    found = uses(word)
    assert [path for path in found if path.endswith(".py")]
    assert [path for path in found if path.endswith(".md")]


def test_a_word_that_nobody_uses_is_noticed():
    assert uses("quomodocunquize") == []


@pytest.mark.parametrize("page", ["README.md", "docs/README.md"])
def test_those_who_begin_are_led_to_it(page: str):
    path = ROOT / page
    assert GLOSSARY in [(path.parent / target.partition("#")[0]).resolve() for target in links(path)]
