"""Which files an upload would send."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_azureml.provider.errors import SpecError
from airflow_provider_azureml.provider.storage.sources import find_source, is_remote


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


def test_a_folder_that_two_links_lead_to_is_there_under_each_name(folder):
    """Passed over in silence, half of what a user sees in the folder would be missing."""
    (folder / "latest").symlink_to(folder / "data")
    (folder / "data" / "back").symlink_to(folder)
    found = names(folder)
    assert {"data/b.csv", "data/raw/c.csv", "latest/b.csv", "latest/raw/c.csv"} <= set(found)
    assert not [name for name in found if "back" in name]


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


def refuse(folder: Path, *words: str) -> None:
    with pytest.raises(SpecError) as caught:
        find_source(folder, folder=Path())
    for word in words:
        assert word in str(caught.value)
    assert "Nothing was uploaded" in str(caught.value)


@pytest.fixture
def unprivileged(tmp_path):
    """Not root, whom no permission keeps out."""
    tmp_path.chmod(0o755)
    before = os.geteuid()
    os.seteuid(65534)
    yield
    os.seteuid(before)


class TestWhatCannotBeUploaded:
    """Each is named, before anything is uploaded; none is passed over in silence."""

    def test_a_link_that_leads_nowhere(self, folder):
        (folder / "data" / "gone").symlink_to(folder / "nowhere")
        refuse(folder, str(folder / "data" / "gone"), "link to something that does not exist")

    def test_a_link_to_itself(self, folder):
        (folder / "loop").symlink_to(folder / "loop")
        refuse(folder, str(folder / "loop"), "cannot be read")

    def test_a_fifo(self, folder):
        os.mkfifo(folder / "pipe")
        refuse(folder, str(folder / "pipe"), "is a FIFO")

    def test_a_socket(self, folder, monkeypatch):
        import socket

        monkeypatch.chdir(folder)
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("sock")
        refuse(folder, str(folder / "sock"), "is a socket")

    def test_a_device(self, folder):
        (folder / "null").symlink_to("/dev/null")
        refuse(folder, str(folder / "null"), "is a device")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else, to be kept out")
    @pytest.mark.parametrize("what", ["a.txt", "data"])
    def test_a_file_or_folder_without_permission(self, folder, what, request):
        (folder / what).chmod(0)
        for parent in (folder, *folder.parents):
            if parent.stat().st_mode & 0o55 != 0o55:
                parent.chmod(parent.stat().st_mode | 0o55)
        request.getfixturevalue("unprivileged")
        refuse(folder, str(folder / what), "Permission denied")

    @pytest.mark.parametrize(
        "name", ["a\\b", "line\nbreak", "dot.", "x\x7f", "d./y", b"\xff".decode("utf8", "surrogateescape")]
    )
    def test_a_name_that_no_blob_can_have(self, folder, name):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        refuse(folder, "a name that a blob cannot have")

    def test_a_path_that_is_too_long_for_a_blob(self, folder):
        deep = folder.joinpath(*["d" * 200] * 4)
        deep.mkdir(parents=True)
        (deep / "f").touch()
        refuse(folder, "a name that a blob cannot have")

    def test_an_ignore_file_that_is_no_text(self, folder):
        (folder / ".amlignore").write_bytes(b"\xff\xfe")
        refuse(folder, ".amlignore", "cannot be read as text")

    @pytest.mark.parametrize("name", ["gone", "pipe", "dot."])
    def test_but_what_is_ignored_is_nobodys_concern(self, folder, name):
        (folder / "gone").symlink_to(folder / "nowhere")
        os.mkfifo(folder / "pipe")
        (folder / "dot.").touch()
        (folder / ".amlignore").write_text("gone\npipe\ndot.\n.amlignore\n")
        assert name not in names(folder)

    def test_an_object_store_whose_provider_is_not_installed(self):
        with pytest.raises(SpecError, match=r"apache-airflow-providers-amazon\[s3fs\]"):
            find_source("s3://bucket/x", folder=Path())
