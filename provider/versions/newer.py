"""Which versions are new to somebody who waits for them. One check; the loops around it are elsewhere."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

from ...datasets.events import AssetVersion, parse_time
from ...datasets.workspace import Kind
from ..errors import NotFoundError, SpecError

if TYPE_CHECKING:
    from ..rest.client import WorkspaceClient


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersions:
    """
    The versions of one model or data asset that were made after a moment and carry some tags.

    "New" is told by the time at which the service made them, not by their numbers: data versions need not be numbers,
    and a version may be made out of turn.

    :param since: ISO 8601; versions made later are new. Empty: all are.
    :param above: instead of ``since``: numbers above this one are new.
    :param tags: tags that a version must have; others do not matter.
    """

    kind: str
    name: str
    since: str = ""
    above: int | None = None
    tags: dict[str, str] = field(default_factory=dict)

    @classmethod
    async def after(cls, client: WorkspaceClient, version: str | None, **fields: Any) -> Self:
        """
        Return what is new from a version on, or from now on if it is None.

        :param fields: kind, name and tags.
        :raises SpecError: there is no such version, and its text says nothing of what would be newer.
        """
        kind, name = Kind(fields["kind"]), fields["name"]
        if version is None:
            newest = await client.find_newest(kind, name)
            return cls(**fields, since=newest.created_at if newest else "")
        try:
            return cls(**fields, since=(await client.get_version(kind, name, version)).created_at)
        except NotFoundError:
            if not version.isdecimal():
                raise SpecError(
                    f"after_version {version!r} of {kind} {name!r} does not exist, so nothing can be newer than it."
                ) from None
            return cls(**fields, above=int(version))

    async def check(self, client: WorkspaceClient) -> list[AssetVersion]:
        """Return the new versions that there are, oldest first. A name that does not exist has none."""
        return self.matching((await self.examine(client))[1])

    async def examine(self, client: WorkspaceClient) -> tuple[AssetVersion | None, list[AssetVersion]]:
        """Return the newest version that there is, and all that are new, whatever their tags."""
        kind = Kind(self.kind)
        newest = await _newest(client, kind, self.name)
        if newest is None or (self.above is None and not self._is_new(newest)):
            return newest, []
        found = []
        try:
            async for version in client.list_versions(kind, self.name):
                if self._is_new(version):
                    found.append(version)
                elif self.above is None:
                    break  # the list is newest first
        except NotFoundError:
            return None, []
        return newest, found

    def matching(self, versions: list[AssetVersion]) -> list[AssetVersion]:
        """Return those that carry the tags, oldest first."""
        wanted = self.tags.items()
        return sorted(
            (version for version in versions if wanted <= version.tags.items()), key=lambda version: version.order
        )

    def _is_new(self, version: AssetVersion) -> bool:
        if self.above is not None:
            return version.version.isdecimal() and int(version.version) > self.above
        return parse_time(version.created_at) > parse_time(self.since)

    def __str__(self) -> str:
        since = f"above {self.above}" if self.above is not None else f"made after {self.since}" if self.since else ""
        tags = ", ".join(f"{key}={value}" for key, value in self.tags.items())
        return " ".join(filter(None, [f"a version of {self.kind} {self.name!r}", since, tags and f"with tags {tags}"]))

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON, for a trigger and for the task's memory."""
        return asdict(self)


def sight(newest: AssetVersion | None, new: list[AssetVersion]) -> str:
    """Return what :meth:`NewVersions.examine` found, for the log of somebody who goes on waiting."""
    if newest is None:
        return "there is no version"
    return f"the newest is {newest.version}" + (f", none of the {len(new)} new ones matches" if new else "")


async def _newest(client: WorkspaceClient, kind: Kind, name: str) -> AssetVersion | None:
    try:
        return await anext(client.list_versions(kind, name, top=1), None)
    except NotFoundError:
        return None
