"""What is to be uploaded: the files of a local or object-store path, ignored ones left out."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pathspec

from ..errors import SpecError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_IGNORE_FILES = (".amlignore", ".gitignore")  # AzureML reads the first one that is there.
_EXTRAS = {
    "s3": "apache-airflow-providers-amazon[s3fs]",
    "s3a": "apache-airflow-providers-amazon[s3fs]",
    "gs": "apache-airflow-providers-google[gcsfs]",
    "gcs": "apache-airflow-providers-google[gcsfs]",
    "abfs": "apache-airflow-providers-microsoft-azure",
    "abfss": "apache-airflow-providers-microsoft-azure",
    "hdfs": "apache-airflow-providers-apache-hdfs",
}
_LONGEST_NAME = 1024 - 400  # of a blob, less what is put before it: kind, asset name (255), token
_IMPOSSIBLE = re.compile(r"[\x00-\x1f\x7f\x80-\x9f\\\ud800-\udfff\ufffe\uffff]|\.(/|$)")


@dataclass(slots=True)  # frozen would double what it costs to list a hundred thousand
class SourceFile:
    """
    A file to upload.

    :param name: its path below the source, with ``/``.
    :param size: bytes, when it was listed.
    :param path: where it is, for messages.
    :param mark: changes with the content: a local file's time of change, what an object store says of an object.
    :param open: opens it for reading bytes.
    """

    name: str
    size: int
    path: str
    mark: Any
    open: Callable[[], IO[bytes]]

    def __str__(self) -> str:
        return self.path

    def is_unchanged(self, stream: IO[bytes]) -> bool:
        """Return whether a local file, open now, is still as it was listed. Object stores are asked at the end."""
        if not isinstance(self.mark, int):
            return True
        now = os.fstat(stream.fileno())
        return (now.st_size, now.st_mtime_ns) == (self.size, self.mark)

    def changed(self) -> SpecError:
        """Return the error for a file that is not as it was listed."""
        return SpecError(
            f"{self.path} changed while it was read. Nothing was registered. Upload it when nobody writes to it."
        )


@dataclass(frozen=True, slots=True)
class Source:
    """
    What a local or object-store path holds.

    :param is_folder: whether the path is a folder.
    :param files: what would be uploaded, ignored files left out.
    :param look_again: lists it once more, where single files cannot be asked at little cost.
    """

    path: str
    is_folder: bool
    files: list[SourceFile]
    look_again: Callable[[], Source] | None = field(default=None, compare=False)

    @property
    def size(self) -> int:
        """All bytes."""
        return sum(file.size for file in self.files)

    def check_unchanged(self) -> None:
        """
        See that an object store still holds what it did when it was listed.

        :raises SpecError: it does not; the message names the file.
        """
        if self.look_again is None:
            return
        now = {file.name: (file.size, file.mark) for file in self.look_again().files}
        for file in self.files:
            if now.get(file.name) != (file.size, file.mark):
                raise file.changed()


def is_remote(path: str) -> bool:
    """Return whether AzureML itself reads this path, so that nothing is to be uploaded."""
    return path.startswith(("azureml:", "https://", "http://", "wasbs://", "wasb://", "abfss://", "adl://", "runs:/"))


# What azure-ai-ml's constants know behind azureml://
_AZUREML_PATHS = ("datastores", "jobs", "subscriptions", "registries", "locations", "resourcegroups", "models", "data")


def check_remote(path: str) -> None:
    """
    Refuse what looks like a path that AzureML reads, and leads nowhere.

    :raises SpecError: it has no host, or no such word behind ``azureml://``.
    """
    parts = urlsplit(path)
    if parts.scheme.lower() in ("http", "https", "wasbs", "abfss") and not parts.netloc:
        raise SpecError(f"The path {path!r} names no host.")
    if path.lower().startswith("azureml://") and parts.netloc.lower() not in _AZUREML_PATHS:
        raise SpecError(
            f"The path {path!r} is invalid: behind azureml:// comes datastores/NAME/paths/..., "
            "jobs/NAME/outputs/..., subscriptions/... or registries/..."
        )


def find_source(path: Any, *, folder: Path, conn_id: str | None = None, ignores: bool = True) -> Source:
    """
    Look at a local or object-store path and list what is to be uploaded. All of it must be readable.

    :param path: a local path, ``file://``, any URI that Airflow's ObjectStoragePath reads (``s3://``, ``gs://``,
        ``abfs://`` ...), or an ObjectStoragePath.
    :param folder: what a relative local path starts from.
    :param conn_id: the Airflow connection for an object store; without it, the provider's default.
    :param ignores: whether ``.amlignore`` and ``.gitignore`` leave files of a local folder out.
    :raises SpecError: nothing is there, it is empty, or all of it is ignored; or something in it cannot be uploaded:
        a file or folder that cannot be read, a link that leads nowhere, a FIFO, socket or device, a name that no blob
        can have. The message names it.
    """
    text = str(path)
    if hasattr(path, "fs") or (urlsplit(text).scheme not in ("", "file") and "://" in text):
        return _checked(_object_store(path, conn_id))
    local = (folder / Path(urlsplit(text).path if text.startswith("file://") else text).expanduser()).resolve()
    try:
        status = local.stat()
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise SpecError(f"There is nothing at {local} on this worker, so nothing was uploaded.") from None
        raise _unreadable(str(local), error) from None
    if stat.S_ISDIR(status.st_mode):
        return _checked(Source(str(local), True, list(_walk(str(local), ignores=ignores))))
    return _checked(Source(str(local), False, [_local_file(str(local), local.name, status)]))


def _walk(root: str, *, ignores: bool = True) -> Iterator[SourceFile]:
    """Yield the files of a folder, links followed, without stepping into ignored folders or round a circle of links."""
    names = _IGNORE_FILES if ignores else ()
    ignored = _ignored(next((text for name in names if (text := _text_of(f"{root}/{name}")) is not None), ""))
    waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    while waiting:
        below, parents = waiting.pop()
        current = f"{root}/{below}" if below else root
        try:
            here = os.stat(current)  # noqa: PTH116 - Path costs more than the system call, a hundred thousand times
            if (here.st_dev, here.st_ino) in parents:
                continue
            parents |= {(here.st_dev, here.st_ino)}
            with os.scandir(current) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            raise _unreadable(current, error) from None
        folders = []
        for entry in entries:
            name = f"{below}/{entry.name}" if below else entry.name
            try:
                if entry.is_dir():
                    if not ignored(f"{name}/"):
                        folders.append((name, parents))
                elif not ignored(name):
                    yield _local_file(entry.path, name, entry.stat())
            except OSError as error:
                if not ignored(name):
                    raise _unreadable(entry.path, error, is_link=entry.is_symlink()) from None
        waiting.extend(reversed(folders))


def _local_file(path: str, name: str, status: os.stat_result) -> SourceFile:
    if not stat.S_ISREG(status.st_mode):
        kinds = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
        kind = kinds.get(stat.S_IFMT(status.st_mode), "a device")
        raise SpecError(f"{path} is {kind}, not a file. Nothing was uploaded. Remove it, or name it in .amlignore.")
    # What everybody may read need not be asked for: a system call for each of a hundred thousand files.
    if status.st_mode & 0o444 != 0o444 and not os.access(path, os.R_OK, effective_ids=True):
        raise _unreadable(path, PermissionError(13, "Permission denied"))
    return SourceFile(name, status.st_size, path, status.st_mtime_ns, lambda: open(path, "rb"))  # noqa: PTH123


def _text_of(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} cannot be read as text: {error}. Nothing was uploaded.") from None


def _unreadable(path: str, error: OSError, *, is_link: bool = False) -> SpecError:
    if is_link and isinstance(error, FileNotFoundError):
        problem = f"{path} is a link to something that does not exist."
    else:
        problem = f"{path} cannot be read: {error.strerror or error}."
    return SpecError(f"{problem} Nothing was uploaded. Mend or remove it, or name it in .amlignore.")


def object_store_path(path: Any, conn_id: str | None, *, verb: str) -> ObjectStoragePath:
    """
    Return Airflow's path of an object store.

    :param path: a URI, or such a path.
    :param conn_id: the Airflow connection of the store.
    :param verb: what is to be done with it: ``read``, ``write``.
    :raises SpecError: this worker has no provider for such a store, or not its library; it says what to install.
    """
    from airflow.sdk import ObjectStoragePath

    scheme = urlsplit(str(path)).scheme.lower()
    try:
        found: ObjectStoragePath = path if hasattr(path, "fs") else ObjectStoragePath(str(path), conn_id=conn_id)
        _ = found.fs
    except (ValueError, ImportError) as error:
        # ValueError: Airflow has no filesystem for the scheme; ImportError: the provider lacks its library.
        if isinstance(error, ValueError) and "filesystem" not in str(error).lower():
            raise
        extra = _EXTRAS.get(scheme)
        how = f"install {extra}" if extra else "install the Airflow provider that has it"
        reason = str(error).rstrip(".")
        raise SpecError(f"This worker cannot {verb} {scheme}:// ({reason}): {how}. Nothing was changed.") from None
    return found


def _object_store(path: Any, conn_id: str | None) -> Source:
    root = object_store_path(path, conn_id, verb="read")
    try:
        return _listed(root, conn_id)
    except OSError as error:
        raise SpecError(f"{root} cannot be read: {str(error).rstrip('.')}. Nothing was uploaded.") from None


def _listed(root: ObjectStoragePath, conn_id: str | None) -> Source:
    def again() -> Source:
        return _listed(root, conn_id)

    root.fs.invalidate_cache()  # what was listed in this process before may be long gone
    # Not root.is_file(): of newer universal_pathlib that asks a filesystem of its own, without Airflow's connection.
    if root.fs.isfile(root.path):
        info = root.fs.info(root.path)
        return Source(str(root), False, [_stored_file(root, root.name, info)], again)
    base = root.path.rstrip("/")
    found: dict[str, dict[str, Any]] = root.fs.find(base, detail=True)
    below = {name.removeprefix(root.fs._strip_protocol(base)).lstrip("/"): info for name, info in found.items()}
    ignore_file = next((root / name for name in _IGNORE_FILES if name in below), None)
    ignored = _ignored(root.fs.cat_file(ignore_file.path).decode() if ignore_file else "")
    folders = {str(parent) for name in below for parent in PurePosixPath(name).parents}
    files = []
    for name, info in sorted(below.items()):
        stands_for_folder = not info["size"] and (name.endswith("/") or name in folders)
        if not name or stands_for_folder or ignored(name):
            continue
        try:
            files.append(_stored_file(root / name, name, info))
        except ValueError as error:  # it looks like a URI
            raise SpecError(f"{str(root).rstrip('/')}/{name} cannot be read: {error}. Nothing was uploaded.") from None
    return Source(str(root), True, files, again)


def _stored_file(path: ObjectStoragePath, name: str, info: dict[str, Any]) -> SourceFile:
    kinds = ("ETag", "etag", "content_settings", "md5Hash", "LastModified", "last_modified", "updated", "mtime")
    mark = next((f"{kind}={info[kind]}" for kind in kinds if info.get(kind)), None)
    return SourceFile(name, int(info["size"] or 0), str(path), mark, lambda: path.open("rb"))  # type: ignore[no-untyped-call]


def _ignored(text: str) -> Callable[[str], bool]:
    spec = pathspec.GitIgnoreSpec.from_lines(text.splitlines())
    return spec.match_file if any(pattern.include is not None for pattern in spec.patterns) else _nothing


def _nothing(name: str) -> bool:  # noqa: ARG001
    return False


def _checked(source: Source) -> Source:
    if not source.files:
        raise SpecError(
            f"There is no file to upload in {source.path}: it does not exist, is empty, or .amlignore / .gitignore "
            "names all of it. Nothing was uploaded."
        )
    for file in source.files:
        # Source: Microsoft's "Naming and referencing containers, blobs, and metadata".
        if _IMPOSSIBLE.search(file.name) or len(file.name) > _LONGEST_NAME:
            raise SpecError(
                f"{file.path!r} has a name that a blob cannot have: no backslash, no control character, no part that "
                f"ends with a dot, at most {_LONGEST_NAME} characters below {source.path}. Nothing was uploaded."
            )
    return source
