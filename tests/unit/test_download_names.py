"""Names of blobs as files below a folder: what may not leave it, what would be one, what is no file."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_azureml.provider.errors import SpecError
from airflow_provider_azureml.provider.storage.container import Blob
from airflow_provider_azureml.provider.storage.download import named_below


def listed(*names: str, size: int = 1) -> dict[str, Blob]:
    return {name: Blob(name, size, None, "etag", datetime.now(UTC)) for name in names}


@pytest.mark.parametrize("name", ["../x", "a/../../x", "a/..", "..", "/../x", "//../../x", "./../x"])
def test_a_name_that_would_leave_the_folder_is_refused(name):
    with pytest.raises(SpecError, match="would leave the destination"):
        named_below("p/", listed("p/fine", f"p/{name}"))


@pytest.mark.parametrize("name", ["..x", "x..", "a/...", "\\..\\x", "c:x", "~"])
def test_a_name_that_only_looks_like_it_is_a_name(name):
    assert list(named_below("p/", listed(f"p/{name}"))) == [name]


def test_empty_parts_and_dots_are_no_folders():
    assert sorted(named_below("p/", listed("p//a", "p/b//c", "p/./d"))) == ["a", "b/c", "d"]
    assert list(named_below("", listed("/a"))) == ["a"]


@pytest.mark.parametrize("names", [("p/a//b", "p/a/b"), ("p/a", "p//a"), ("p/a", "p/a/b"), ("p/",)])
def test_two_that_would_be_one_file_or_a_file_and_a_folder_are_refused(names):
    with pytest.raises(SpecError, match=r"would be the same file|is a file and a folder"):
        named_below("p/", listed(*names))


def test_empty_blobs_that_stand_for_folders_are_no_files():
    folders = listed("p/", "p/sub/", "p/other", "p//", size=0)
    assert sorted(named_below("p/", {**folders, **listed("p/sub/x", "p/other/y")})) == ["other/y", "sub/x"]
