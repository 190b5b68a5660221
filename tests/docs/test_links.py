"""Every link leads to a page, a file or a heading that is there, and every page is led to."""

import re

import pytest

from tests.docs.pages import DOCS, ROOT, anchors, links, name_of, pages, prose


def split(page, target):
    file, _, anchor = target.partition("#")
    return (page.parent / file).resolve() if file else page, anchor


def local(targets):
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_lead_to_files_and_headings_that_exist(page):
    dead = []
    for target in local(links(page)):
        place, anchor = split(page, target)
        if not place.exists() or (anchor and anchor not in anchors(place)):
            dead.append(target)
    assert dead == []


def test_every_page_can_be_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        places = [split(page, target)[0] for target in local(links(page))]
        waiting += [place for place in places if place.suffix == ".md" and place.exists()]
    assert [name_of(page) for page in pages() if page not in reached] == []


def test_every_picture_is_shown_somewhere():
    shown = {split(page, target)[0] for page in pages() for target in local(links(page))}
    pictures = sorted((DOCS / "pictures").iterdir())
    assert [picture.name for picture in pictures if picture not in shown] == []


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_a_page_names_no_place_of_one_machine(page):
    assert re.findall(r"(?<![\w.~-])/(?:home|root|work|tmp|Users)/\S*", prose(page)) == []
