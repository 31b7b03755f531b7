"""What is to be uploaded: the files of a local or object-store path, ignored ones left out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pathspec

from ..errors import SpecError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_IGNORE_FILES = (".amlignore", ".gitignore")  # AzureML reads the first one that is there.


@dataclass(frozen=True, slots=True)
class SourceFile:
    """
    A file to upload.

    :param name: its path below the source, with ``/``.
    :param size: bytes.
    :param open: opens it for reading bytes.
    """

    name: str
    size: int
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True, slots=True)
class Source:
    """
    What a local or object-store path holds.

    :param is_folder: whether the path is a folder.
    :param files: what would be uploaded, ignored files left out.
    """

    path: str
    is_folder: bool
    files: list[SourceFile]

    @property
    def size(self) -> int:
        """All bytes."""
        return sum(file.size for file in self.files)


def is_remote(path: str) -> bool:
    """Return whether AzureML itself reads this path, so that nothing is to be uploaded."""
    return path.startswith(("azureml:", "https://", "http://", "wasbs://", "abfss://", "runs:/"))


def find_source(path: Any, *, folder: Path, conn_id: str | None = None) -> Source:
    """
    Look at a local or object-store path and list what is to be uploaded.

    :param path: a local path, ``file://``, any URI that Airflow's ObjectStoragePath reads (``s3://``, ``gs://``,
        ``abfs://`` ...), or an ObjectStoragePath.
    :param folder: what a relative local path starts from.
    :param conn_id: the Airflow connection for an object store; without it, the provider's default.
    :raises SpecError: nothing is there, it is empty, or all of it is ignored.
    """
    text = str(path)
    if hasattr(path, "fs") or (urlsplit(text).scheme not in ("", "file") and "://" in text):
        return _object_store(path, conn_id)
    local = (folder / Path(urlsplit(text).path if text.startswith("file://") else text).expanduser()).resolve()
    if local.is_file():
        return Source(str(local), False, [SourceFile(local.name, local.stat().st_size, lambda: local.open("rb"))])
    if not local.is_dir():
        raise SpecError(f"There is nothing at {local} on this worker, so nothing was uploaded.")
    return _checked(Source(str(local), True, list(_walk(local))))


def _walk(root: Path) -> Iterator[SourceFile]:
    """Yield the files of a folder, links followed, without stepping into ignored folders or round a circle of links."""
    ignored = _ignore_spec(next((file.read_text() for name in _IGNORE_FILES if (file := root / name).is_file()), ""))
    seen: set[str] = set()
    for current, folders, files in os.walk(root, followlinks=True):
        here = Path(current)
        relative = here.relative_to(root)
        if (real := os.path.realpath(current)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not ignored.match_file(f"{(relative / name).as_posix()}/"))
        for name in sorted(files):
            path, name_below = here / name, (relative / name).as_posix()
            if not ignored.match_file(name_below):
                yield SourceFile(name_below, path.stat().st_size, lambda path=path: path.open("rb"))  # type: ignore[misc]


def _object_store(path: Any, conn_id: str | None) -> Source:
    from airflow.sdk import ObjectStoragePath

    root: ObjectStoragePath = path if hasattr(path, "fs") else ObjectStoragePath(str(path), conn_id=conn_id)
    if root.is_file():
        return Source(str(root), False, [SourceFile(root.name, root.stat().st_size, lambda: root.open("rb"))])  # type: ignore[no-untyped-call]
    base = root.path.rstrip("/")
    try:
        found: dict[str, dict[str, Any]] = root.fs.find(base, detail=True)
    except OSError as error:
        raise SpecError(f"{root} cannot be read: {error} Nothing was uploaded.") from error
    below = {name.removeprefix(root.fs._strip_protocol(base)).lstrip("/"): info for name, info in found.items()}
    ignored = _ignore_spec(next(((root / name).read_text() for name in _IGNORE_FILES if name in below), ""))
    files = [
        SourceFile(name, int(info["size"] or 0), lambda name=name: (root / name).open("rb"))  # type: ignore[misc]
        for name, info in sorted(below.items())
        if name and not ignored.match_file(name)
    ]
    return _checked(Source(str(root), True, files))


def _ignore_spec(text: str) -> pathspec.GitIgnoreSpec:
    return pathspec.GitIgnoreSpec.from_lines(text.splitlines())


def _checked(source: Source) -> Source:
    if not source.files:
        raise SpecError(
            f"There is no file to upload in {source.path}: it does not exist, is empty, or .amlignore / .gitignore "
            "names all of it. Nothing was uploaded."
        )
    return source
