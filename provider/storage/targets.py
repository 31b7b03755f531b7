"""Where a download goes, a folder of the worker or an object store: whole files, and what is in the way is said."""

from __future__ import annotations

import base64
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from ..arguments import NO_VALUE
from ..errors import AzureMachineLearningError, NotFoundError, PermissionDeniedError, SpecError, TransientError
from .flow import BLOCK
from .sources import object_store_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import ObjectStoragePath

    from .container import Blob

_NOTHING = "Nothing was downloaded."


class Target(Protocol):
    """Where files go. All methods block, and are called in threads."""

    def begin(self, source: str, files: dict[str, Blob]) -> bool:
        """
        Prepare for a download, before anything is asked for; return whether :meth:`has` is worth asking.

        :param source: what is downloaded, the same text at each try of it.
        :param files: what there is to come: name below the destination -> blob.
        :raises SpecError: a name is impossible there, or something is in its place.
        :raises TransientError: there is no room, or another download of the same goes on.
        """

    def has(self, name: str, blob: Blob) -> bool:
        """Return whether an earlier download brought this file, whole."""

    def scratch(self, name: str) -> Path:
        """Return the local path at which a large file is put together."""

    def write(self, name: str, blob: Blob, data: bytes) -> None:
        """Keep a small file."""

    def finish(self, name: str, blob: Blob) -> None:
        """Keep the large file that is whole at its scratch path."""

    def publish(self, names: list[str]) -> None:
        """Show all of it at the destination."""

    def close(self) -> None:
        """Leave nothing on the worker that a later download cannot use."""


def refused(where: str, error: Exception) -> AzureMachineLearningError:
    """Return the error for a destination that did not take something."""
    number = getattr(error, "errno", None)
    reason = os.strerror(number) if number else next(iter(str(error).splitlines()), "") or type(error).__name__
    what = f"{where} cannot be written: {reason[:200].rstrip('.')}."
    if isinstance(error, PermissionError) or number == errno.EROFS:
        return PermissionDeniedError(what)
    if isinstance(error, FileNotFoundError):
        return NotFoundError(what)
    if number == errno.ENAMETOOLONG:
        name = getattr(error, "filename2", None) or getattr(error, "filename", None)  # the second: of a rename
        return SpecError(f"{what} {name or ''}".rstrip())
    return TransientError(what)


class Folder:
    """
    A folder of the worker. Files are gathered in a hidden folder beside it, and put in place when all are there.

    Where the folder is a mount of its own, or nothing may be written beside it, the hidden folder is in it.

    :param path: the folder. What is in it stays, but for files of the same names.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: IO[str] | None = None

    def __str__(self) -> str:
        return str(self._path)

    def begin(self, source: str, files: dict[str, Blob]) -> bool:
        """See :class:`Target`."""
        self._check_path()
        to = self._to = self._path.resolve()  # a link to a folder is followed
        if to.exists():
            _check_places(to, files)
        inside = to.is_dir() and (to.is_mount() or not os.access(to.parent, os.W_OK))
        key = hashlib.sha256(source.encode()).hexdigest()[:8]
        self._gathered = (to if inside else to.parent) / f".{to.name}.{key}.download"
        self._files, self._parts = self._gathered / "files", self._gathered / "parts"
        for folder in (self._files, self._parts):
            folder.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        self._check_case(files)
        self._check_room(sum(blob.size for blob in files.values()))
        return any(self._files.iterdir())

    def _check_path(self) -> None:
        if self._path.is_symlink() and not self._path.exists():
            raise SpecError(f"{self._path} is a link to something that does not exist. {_NOTHING}")
        if self._path.exists() and not self._path.is_dir():
            raise SpecError(f"{self._path} is a file; the destination of a download is a folder. {_NOTHING}")

    def _take_lock(self) -> None:
        self._lock = (self._gathered / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise TransientError(f"Another download of the same to {self._path} goes on. {_NOTHING}") from None
        except OSError:  # a filesystem that has no locks
            pass

    def _check_case(self, files: dict[str, Blob]) -> None:
        """Say that two files would be one: mounts of SMB, and macOS, take names without case."""
        if not (self._gathered / "FILES").exists():
            return
        seen: dict[str, str] = {}
        for name in files:
            if (other := seen.setdefault(name.casefold(), name)) != name:
                raise SpecError(f"{self._path} does not tell {other!r} from {name!r}. {_NOTHING}")

    def _check_room(self, size: int) -> None:
        there = sum(path.stat().st_size for path in self._gathered.rglob("*") if path.is_file())
        free = shutil.disk_usage(self._gathered).free
        if size - there > free:
            raise TransientError(
                f"{self._path} has room for {free / 1e6:,.1f} MB, and {size / 1e6:,.1f} MB are to come "
                f"({there / 1e6:,.1f} MB of them are there). {_NOTHING}"
            )

    def has(self, name: str, blob: Blob) -> bool:
        """See :class:`Target`. A file that storage keeps no MD5 of is known by its size and time."""
        path = self._files / name
        if not path.is_file() or path.stat().st_size != blob.size:
            return False
        return md5_of(path) == blob.md5 if blob.md5 else int(path.stat().st_mtime) == int(blob.modified.timestamp())

    def scratch(self, name: str) -> Path:
        """See :class:`Target`."""
        return self._parts / _key(name)

    def write(self, name: str, blob: Blob, data: bytes) -> None:
        """See :class:`Target`."""
        self.scratch(name).write_bytes(data)
        self.finish(name, blob)

    def finish(self, name: str, blob: Blob) -> None:
        """See :class:`Target`."""
        part, path = self.scratch(name), self._files / name
        os.utime(part, (blob.modified.timestamp(),) * 2)
        path.parent.mkdir(parents=True, exist_ok=True)
        part.replace(path)

    def publish(self, names: list[str]) -> None:
        """See :class:`Target`."""
        wanted = set(names)
        for path in sorted(self._files.rglob("*"), reverse=True):  # what is in a folder before the folder
            if path.is_dir():
                with suppress(OSError):
                    path.rmdir()
            elif path.relative_to(self._files).as_posix() not in wanted:
                path.unlink()  # of an earlier state of the source
        if not self._to.exists():
            self._files.rename(self._to)
        else:
            for name in names:
                (self._to / name).parent.mkdir(parents=True, exist_ok=True)
                (self._files / name).replace(self._to / name)
        shutil.rmtree(self._gathered, ignore_errors=True)

    def close(self) -> None:
        """See :class:`Target`. What was gathered is what a later download goes on from."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _check_places(to: Path, files: dict[str, Blob]) -> None:
    """Say that something at the destination is in the way of a file, or that a link there leads out of it."""
    checked: set[Path] = set()
    for name in files:
        place = to / name
        if place.is_dir():
            raise SpecError(f"{place} is a folder, and a file of that name would come there. {_NOTHING}")
        if place.parent in checked:
            continue
        checked.add(place.parent)
        there = next(parent for parent in place.parents if parent.exists() or parent.is_symlink())
        if not there.is_dir():
            raise SpecError(f"{there} is a file, and a folder of that name would come there. {_NOTHING}")
        if not there.resolve().is_relative_to(to):
            raise SpecError(f"{there} is a link that leads out of {to}. {_NOTHING}")


# Object stores, in which an object is there once all of it is. Others (SFTP, SMB, HDFS ...) are written as they go.
_WHOLE_OBJECTS = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "memory"}


class Objects:
    """
    A folder in an object store, or in another filesystem, that Airflow can write. A file appears whole, or not.

    Where the store itself does not see to that, a file is written under a hidden name and renamed. Large files are put
    together on the worker's disk before they are sent on.

    :param path: the folder.
    """

    def __init__(self, path: ObjectStoragePath) -> None:
        self._path = path
        self._folder: Path | None = None

    def __str__(self) -> str:
        return str(self._path)

    def begin(self, source: str, files: dict[str, Blob]) -> bool:  # noqa: ARG002
        """See :class:`Target`."""
        self._folder = Path(tempfile.mkdtemp(prefix="azureml-download-"))
        self._path.fs.invalidate_cache()  # what was listed in this process before may be long gone
        return bool(self._path.fs.exists(self._path.path))

    def has(self, name: str, blob: Blob) -> bool:
        """See :class:`Target`. Known by the MD5 that the store says of its object; not all do."""
        if blob.md5 is None:
            return False
        try:
            info = self._path.fs.info((self._path / name).path)
        except FileNotFoundError:
            return False
        return info.get("size") == blob.size and blob.md5 in _md5s(info)

    def scratch(self, name: str) -> Path:
        """See :class:`Target`."""
        assert self._folder is not None
        return self._folder / _key(name)

    def write(self, name: str, blob: Blob, data: bytes) -> None:  # noqa: ARG002
        """See :class:`Target`."""
        path = self._path / name
        with self._whole(path) as place:
            path.fs.pipe_file(place, data)

    def finish(self, name: str, blob: Blob) -> None:  # noqa: ARG002
        """See :class:`Target`."""
        path, part = self._path / name, self.scratch(name)
        with self._whole(path) as place:
            path.fs.put_file(str(part), place)
        part.unlink()

    @contextmanager
    def _whole(self, path: ObjectStoragePath) -> Iterator[str]:
        """Give the name to write a file under; it then has its own."""
        if path.protocol in _WHOLE_OBJECTS:  # these need no folders
            yield path.path
            return
        path.fs.makedirs(path.parent.path, exist_ok=True)
        hidden = f"{path.parent.path.rstrip('/')}/.{path.name}.part"
        yield hidden
        if path.fs.exists(path.path):
            path.fs.rm_file(path.path)  # a rename onto a file is refused by some
        path.fs.mv(hidden, path.path)

    def publish(self, names: list[str]) -> None:
        """See :class:`Target`. Each object is there already."""

    def close(self) -> None:
        """See :class:`Target`. A thread that still writes finds the folder gone, and adds nothing to it."""
        if self._folder is not None:
            with suppress(FileNotFoundError):  # somebody tidied up
                shutil.rmtree(self._folder.rename(f"{self._folder}.gone"), ignore_errors=True)


def _key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def md5_of(path: Path) -> bytes:
    """Return the MD5 of a file."""
    whole = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while data := stream.read(BLOCK):
            whole.update(data)
    return whole.digest()


def _md5s(info: dict[str, Any]) -> list[bytes]:
    """Return what a store says of an object's MD5: S3's ETag of one part, GCS's md5Hash, Azure's content_md5."""
    found = []
    with suppress(ValueError):
        found.append(bytes.fromhex(str(info.get("ETag") or "").strip('"')))
    with suppress(ValueError):
        found.append(base64.b64decode(str(info.get("md5Hash") or "")))
    with suppress(KeyError, TypeError):
        found.append(bytes(info["content_settings"]["content_md5"]))  # adlfs gives an object that is like a dict
    return found


def target_for(to: Any, folder: Path, *, conn_id: str | None = None) -> Target:
    """
    Return where files go.

    :param to: a local path (relative ones start at ``folder``), ``file://``, a URI that ObjectStoragePath writes, or
        an ObjectStoragePath.
    :param conn_id: the Airflow connection of an object store.
    :raises SpecError: it is empty, or Airflow cannot write such a store.
    """
    text = str(to)
    if to is None or text.strip() in ("", "None"):
        raise SpecError(f"The destination of the download is {to!r}: {NO_VALUE}.")
    if getattr(to, "protocol", "") in ("file", "local"):
        text, to = str(to.path), None  # a folder of the worker
    if hasattr(to, "fs"):
        return Objects(to)
    if "://" in text and not text.startswith("file://"):
        return Objects(object_store_path(text, conn_id, verb="write"))
    return Folder((folder / Path(text.removeprefix("file://")).expanduser()).absolute())
