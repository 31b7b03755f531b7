"""Which files an upload would send."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_azureml.provider.errors import SpecError
from airflow_provider_azureml.provider.versions.sources import find_source, is_remote


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.txt", "data/b.csv", "data/raw/c.csv", ".git/config", "logs/x.log"):
        file = tmp_path / "source" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return tmp_path / "source"


def names(path: object, folder: Path = Path()) -> list[str]:
    return [file.name for file in find_source(path, folder=folder).files]


def test_all_files_below_a_folder_in_a_fixed_order(folder):
    source = find_source(folder, folder=Path())
    assert names(folder) == ["a.txt", ".git/config", "data/b.csv", "data/raw/c.csv", "logs/x.log"]
    assert source.size == sum(len(file.name) for file in source.files)
    for file in source.files:
        with file.open() as stream:
            assert stream.read().decode() == file.name


@pytest.mark.parametrize(
    "as_path", [str, lambda path: ObjectStoragePath(f"file://{path}")], ids=["local", "object store"]
)
def test_amlignore_is_honoured_as_git_reads_it(folder, as_path):
    (folder / ".amlignore").write_text(".amlignore\n.git/\n/logs\n*.csv\n!data/raw/c.csv\n")
    assert names(as_path(folder)) == ["a.txt", "data/raw/c.csv"]


def test_gitignore_counts_where_there_is_no_amlignore(folder):
    (folder / ".gitignore").write_text("*\n!a.txt\n")
    assert names(folder) == ["a.txt"]
    (folder / ".amlignore").write_text("a.txt\n.*\n")
    assert names(folder) == ["data/b.csv", "data/raw/c.csv", "logs/x.log"]


def test_an_ignored_folder_is_not_even_walked(folder, monkeypatch):
    (folder / ".amlignore").write_text("data/\n")
    walked = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: walked.append(Path(path).name) or scandir(path))
    names(folder)
    assert "data" not in walked
    assert "logs" in walked


def test_links_are_followed_but_not_in_circles(folder):
    (folder / "again").symlink_to(folder)
    (folder / "linked.txt").symlink_to(folder / "a.txt")
    assert "linked.txt" in names(folder)
    assert not [name for name in names(folder) if name.startswith("again/")]


def test_a_relative_path_starts_at_the_folder_that_is_given(folder):
    assert names("source/a.txt", folder.parent) == ["a.txt"]


@pytest.mark.parametrize("path", ["missing", "file:///not/there"])
def test_nothing_there_is_an_error_that_says_where(path, tmp_path):
    with pytest.raises(SpecError, match="There is nothing at /"):
        find_source(path, folder=tmp_path)


@pytest.mark.parametrize("ignore", [None, "*\n"])
def test_an_empty_folder_and_one_that_is_ignored_whole_are_errors(tmp_path, ignore):
    if ignore:
        (tmp_path / ".amlignore").write_text(ignore)
    with pytest.raises(SpecError, match="no file to upload"):
        find_source(tmp_path, folder=Path())


@pytest.mark.parametrize(
    ("path", "remote"),
    [
        ("azureml://datastores/d/paths/x", True),
        ("azureml:data:1", True),
        ("https://h/x", True),
        ("s3://bucket/x", False),
        ("file:///x", False),
        ("data/x", False),
    ],
)
def test_what_azureml_reads_by_itself_is_not_uploaded(path, remote):
    assert is_remote(path) == remote
