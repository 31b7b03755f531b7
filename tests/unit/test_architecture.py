"""The page for those who carry on says what is there."""

from __future__ import annotations

import re

import architecture
import pytest
from rooms import ROOT

PAGES = ["docs/architecture.md", "CONTRIBUTING.md"]


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_the_page_names_exists(page):
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.DOTALL)
    named = [word for word in re.findall(r"`([\w./-]+)`", text) if "/" in word and "." not in word.split("/")[0][1:]]
    assert len(named) > 3, "the page is read in a way that finds no paths"
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_the_page_names_is_in_the_makefile(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", (ROOT / page).read_text())) <= targets


def test_the_picture_is_what_the_imports_are():
    page = architecture.PAGE.read_text()
    assert page == architecture.page(page), "run `make architecture`"


def test_an_arrow_is_left_out_only_where_a_longer_way_says_it():
    used = {"a": {"b", "c"}, "b": {"c"}, "c": set(), "d": {"a", "c"}}
    assert architecture.shortened(used) == {"a": {"b"}, "b": {"c"}, "c": set(), "d": {"a"}}
