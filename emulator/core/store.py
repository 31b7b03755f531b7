"""All that the emulator remembers: JSON documents in one SQLite file, so that a crash loses nothing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

Document = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS resource (
    sequence   INTEGER PRIMARY KEY AUTOINCREMENT,
    collection TEXT NOT NULL,
    name       TEXT NOT NULL,
    created    REAL NOT NULL,
    document   TEXT NOT NULL,
    UNIQUE (collection, name)
);
CREATE INDEX IF NOT EXISTS by_age ON resource (collection, sequence);
"""


class Entry(NamedTuple):
    """One document and its place in the order of creation."""

    sequence: int
    name: str
    document: Document


class Store:
    """Named documents in collections; a collection keeps the order in which its documents were created.

    The file is written before a call is answered. It survives the end of the process, not that of the machine:
    `synchronous=OFF` leaves the flush to the operating system, which makes a write some 20 microseconds.
    """

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; {_SCHEMA}")

    def get(self, collection: str, name: str) -> Document | None:
        """Return one document, or None."""
        row = self._database.execute(
            "SELECT document FROM resource WHERE collection = ? AND name = ?", (collection, name)
        ).fetchone()
        return None if row is None else json.loads(row[0])

    def put(self, collection: str, name: str, document: Document, created: float = 0.0) -> None:
        """Create or replace one document; replacing keeps its place in the order and its creation time."""
        self._database.execute(
            "INSERT INTO resource (collection, name, created, document) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (collection, name) DO UPDATE SET document = excluded.document",
            (collection, name, created, json.dumps(document, separators=(",", ":"))),
        )

    def delete(self, collection: str, name: str) -> bool:
        """Delete one document and say whether it was there."""
        cursor = self._database.execute("DELETE FROM resource WHERE collection = ? AND name = ?", (collection, name))
        return cursor.rowcount > 0

    def delete_below(self, collection: str) -> None:
        """Delete a collection and every collection below it: a range of the index, where `0` is what follows `/`."""
        self._database.execute(
            "DELETE FROM resource WHERE collection = ? OR collection >= ? AND collection < ?",
            (collection, collection + "/", collection + "0"),
        )

    def entries(
        self,
        collection: str,
        *,
        newest_first: bool = True,
        after: int | None = None,
        created_before: float | None = None,
    ) -> Iterator[Entry]:
        """Yield the documents by age; `after` continues behind the entry with that sequence number."""
        conditions, values = ["collection = ?"], [collection]  # type: tuple[list[str], list[Any]]
        if after is not None:
            conditions.append("sequence < ?" if newest_first else "sequence > ?")
            values.append(after)
        if created_before is not None:
            conditions.append("created <= ?")
            values.append(created_before)
        order = "DESC" if newest_first else "ASC"
        cursor = self._database.execute(
            f"SELECT sequence, name, document FROM resource WHERE {' AND '.join(conditions)} ORDER BY sequence {order}",  # noqa: S608
            values,
        )
        for sequence, name, document in cursor:
            yield Entry(sequence, name, json.loads(document))

    def update(self, collection: str, name: str, change: Callable[[Document], None]) -> Document:
        """Read, change and write back one document, which must exist."""
        document = self.get(collection, name)
        if document is None:
            raise KeyError(f"{collection}/{name}")
        change(document)
        self.put(collection, name, document)
        return document

    def next_number(self) -> int:
        """Return a number above that of everything stored so far."""
        (highest,) = self._database.execute("SELECT MAX(sequence) FROM resource").fetchone()
        return int(highest or 0) + 1

    def close(self) -> None:
        """Close the file."""
        self._database.close()
