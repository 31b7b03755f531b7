"""Where a download goes, and names that are unlike files: what is in the way, what may not leave the folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

from airflow_provider_azureml.provider.errors import (
    NotFoundError,
    PermissionDeniedError,
    SpecError,
    TransientError,
)
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.storage import download, flow, targets, upload

BLOCK = 64 * 1024


@pytest.fixture
def put(ws: Any, ask: Any, azureml_emulator: Any) -> Any:
    """Put blobs of any name into the workspace's storage: `put({name: bytes})` returns the URI of their folder."""
    store = ask(lambda client: client.get_datastore())

    def run(files: dict[str, bytes], folder: str = "hand") -> str:
        with ContainerClient(store.account_url, store.container, credential=azureml_emulator.storage_key) as container:
            for name, content in files.items():
                container.upload_blob(f"{folder}/{name}", content, overwrite=True)
        return f"azureml://datastores/{store.name}/paths/{folder}"

    return run


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of more than 64 KiB go in blocks."""
    for module in (flow, upload, download, targets):
        monkeypatch.setattr(module, "BLOCK", BLOCK)


def get(source: str, to: Path) -> dict[str, bytes]:
    AzureMachineLearningHook("azureml").download(source, to)
    return content(to)


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestNames:
    def test_empty_blobs_that_stand_for_folders_are_left_out(self, put, tmp_path):
        source = put({"sub/": b"", "other": b"", "other/file": b"1", "empty": b"", "sub/file": b"2"})
        assert get(source, tmp_path / "to") == {"other/file": b"1", "empty": b"", "sub/file": b"2"}

    def test_a_marker_of_the_folder_itself_is_no_file(self, put, tmp_path):
        source = put({"": b"", "a": b"1"})
        assert get(source, tmp_path / "to") == {"a": b"1"}

    def test_slashes_in_a_row_are_one(self, put, tmp_path):
        assert get(put({"a//b": b"1", "/c": b"2"}), tmp_path / "to") == {"a/b": b"1", "c": b"2"}

    @pytest.mark.parametrize(
        ("names", "words"), [(("a//b", "a/b"), "would be the same file"), (("a", "a/b"), "a file and a folder")]
    )
    def test_two_that_would_be_one_are_refused(self, put, tmp_path, names, words):
        with pytest.raises(SpecError, match=words):
            get(put(dict.fromkeys(names, b"1")), tmp_path / "to")

    def test_those_of_scratch_files_are_names_like_others(self, put, tmp_path, small_blocks):
        large = os.urandom(2 * BLOCK)
        files = {"x": large, "x.part": large[::-1], "x.part.blocks": b"1", "x.blocks": b"2"}
        assert get(put(files), tmp_path / "to") == files

    def test_one_too_long_for_the_worker_is_refused_with_the_name(self, put, tmp_path):
        with pytest.raises(SpecError, match=r"(?s)cannot be written: File name too long.*nnn"):
            get(put({"n" * 300: b"1"}), tmp_path / "to")
        assert not (tmp_path / "to").exists()

    def test_odd_ones_come_as_they_are(self, put, tmp_path):
        files = {name: name.encode() for name in ("a b", "ü€", "50%", "q?x=1#y", "a+b", "it's", "c:d", "-rf", "~")}
        assert get(put(files), tmp_path / "to") == files

    def test_a_sibling_with_the_same_beginning_is_not_part_of_it(self, put, tmp_path):
        put({"z": b"other"}, folder="hand2")
        source = put({"a": b"1"})
        assert get(source, tmp_path / "to") == {"a": b"1"}
        assert get(f"{source}/a", tmp_path / "file") == {"a": b"1"}


class TestFolder:
    def test_a_link_to_a_folder_is_followed(self, put, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "to").symlink_to(tmp_path / "real")
        get(put({"a": b"1"}), tmp_path / "to")
        assert content(tmp_path / "real") == {"a": b"1"}
        assert (tmp_path / "to").is_symlink()

    def test_a_link_that_leads_nowhere_is_refused(self, put, tmp_path):
        (tmp_path / "to").symlink_to(tmp_path / "nothing")
        with pytest.raises(SpecError, match="link to something that does not exist"):
            get(put({"a": b"1"}), tmp_path / "to")

    def test_a_link_in_it_that_leads_out_is_refused(self, put, tmp_path):
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "to").mkdir()
        (tmp_path / "to" / "sub").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(SpecError, match="leads out"):
            get(put({"sub/a": b"1"}), tmp_path / "to")
        assert content(tmp_path / "elsewhere") == {}

    @pytest.mark.parametrize(("there", "words"), [("a/b", "is a folder"), ("sub", "is a file")])
    def test_what_is_in_the_way_is_said_before_anything_changes(self, put, tmp_path, there, words):
        place = tmp_path / "to" / there
        place.parent.mkdir(parents=True)
        place.write_bytes(b"mine")
        with pytest.raises(SpecError, match=words):
            get(put({"a": b"1", "sub/x": b"2"}), tmp_path / "to")
        assert content(tmp_path) == {f"to/{there}": b"mine"}

    def test_one_that_cannot_be_written_is_said(self, put, tmp_path, monkeypatch):
        def refuse(self: Path, *args: Any, **kwargs: Any) -> None:
            raise OSError(30, "Read-only file system", str(self))

        source = put({"a": b"1"})
        monkeypatch.setattr(Path, "mkdir", refuse)
        with pytest.raises(PermissionDeniedError, match="to cannot be written: Read-only file system"):
            get(source, tmp_path / "to")

    def test_one_without_room_is_said_before_anything_is_asked_for(self, put, tmp_path, monkeypatch, azureml_emulator):
        source = put({"a": b"1" * 2_000_000})
        azureml_emulator.clear_calls()
        monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 10**6))
        with pytest.raises(TransientError, match=r"has room for 1\.0 MB, and 2\.0 MB are to come"):
            get(source, tmp_path / "to")
        assert not azureml_emulator.calls("GET", "/hand/a", host="blob")

    def test_a_disk_that_fills_up_meanwhile_shows_nothing_and_a_retry_goes_on(
        self, put, tmp_path, monkeypatch, azureml_emulator
    ):
        source = put({"a": b"1", "b": b"2"})
        write = Path.write_bytes

        def full(self: Path, data: bytes) -> int:
            if data == b"2":
                raise OSError(28, "No space left on device", str(self))
            return write(self, data)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", full)
            with pytest.raises(TransientError, match="to cannot be written: No space left on device"):
                get(source, tmp_path / "to")
        assert not (tmp_path / "to").exists()
        assert get(source, tmp_path / "to") == {"a": b"1", "b": b"2"}

    def test_one_that_is_a_mount_of_its_own_is_filled_from_within(self, put, tmp_path, monkeypatch):
        """`os.replace` does not go from one filesystem to another."""
        (tmp_path / "to").mkdir()
        monkeypatch.setattr(Path, "is_mount", lambda self: self == tmp_path / "to")
        replace = Path.replace

        def within(self: Path, target: Any) -> Path:
            assert self.is_relative_to(tmp_path / "to")
            return replace(self, target)

        monkeypatch.setattr(Path, "replace", within)
        assert get(put({"a": b"1", "sub/b": b"2"}), tmp_path / "to") == {"a": b"1", "sub/b": b"2"}
        assert sorted(path.name for path in (tmp_path / "to").iterdir()) == ["a", "sub"]

    def test_one_that_does_not_tell_case_refuses_names_that_differ_in_it_alone(self, put, tmp_path, monkeypatch):
        exists = Path.exists
        monkeypatch.setattr(Path, "exists", lambda self, **more: self.name == "FILES" or exists(self, **more))
        with pytest.raises(SpecError, match="does not tell 'A' from 'a'"):
            get(put({"A": b"1", "a": b"2"}), tmp_path / "to")

    def test_two_sources_can_go_to_one_folder_at_once(self, put, tmp_path, azureml_emulator):
        from concurrent.futures import ThreadPoolExecutor

        sources = [put({f"{number}": b"x" * number}, folder=f"hand{number}") for number in range(1, 5)]
        azureml_emulator.misbehave("GET", "/hand", host="blob", latency=0.3)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda source: get(source, tmp_path / "to"), sources))
        assert content(tmp_path / "to") == {f"{number}": b"x" * number for number in range(1, 5)}

    def test_the_same_download_twice_at_once_is_one_and_an_error(self, put, tmp_path, azureml_emulator):
        from concurrent.futures import ThreadPoolExecutor

        source = put({"a": b"1"})
        azureml_emulator.misbehave("GET", "/hand/a", host="blob", latency=1, times=1)

        def outcome(number: int) -> Any:
            try:
                return get(source, tmp_path / "to")
            except TransientError as error:
                return str(error)

        with ThreadPoolExecutor(2) as pool:
            found = sorted(pool.map(outcome, range(2)), key=str)
        assert "Another download of the same" in str(found)
        assert {"a": b"1"} in found

    def test_what_is_deleted_while_it_is_downloaded_is_worth_another_try(self, put, tmp_path, azureml_emulator):
        source = put({"a": b"1"})
        azureml_emulator.misbehave("GET", "/hand/a", host="blob", status=404, code="BlobNotFound", times=1)
        with pytest.raises(TransientError, match="was deleted while"):
            get(source, tmp_path / "to")


def test_a_store_that_airflow_cannot_write_is_said_with_what_to_install(put, tmp_path):
    with pytest.raises(SpecError, match=r"cannot write gs://.*apache-airflow-providers-google\[gcsfs\]"):
        AzureMachineLearningHook("azureml").download(put({"a": b"1"}), "gs://bucket/x")


def test_nothing_there_leaves_nothing_behind(put, tmp_path):
    with pytest.raises(NotFoundError):
        get(put({"a": b"1"}) + "/nothing", tmp_path / "to")
    assert list(tmp_path.iterdir()) == []
