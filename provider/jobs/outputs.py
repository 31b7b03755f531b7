"""What became of a job's named outputs: the versions of models and data that AzureML made of them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from ...datasets.events import parse_time
from ...datasets.workspace import Kind
from ..errors import NotFoundError
from ..rest.bodies import kind_of_type
from ..rest.run_history import RegisteredOutput

if TYPE_CHECKING:
    from ...datasets.events import AssetVersion
    from ..rest.client import WorkspaceClient

log = logging.getLogger(__name__)

_MOST_VERSIONS = 50  # how far back a version is looked for that run history does not tell
_LOOKS = 4  # until a version is there that a job which has just completed is to have registered
_PAUSE = 2.0  # seconds between them


async def registered_versions(
    client: WorkspaceClient, job: dict[str, Any], asked: dict[str, dict[str, Any]] | None = None
) -> list[AssetVersion]:
    """
    Return the versions that AzureML made of a completed job's outputs; each exists.

    Run history tells them; of a pipeline also those of its steps. Where it knows no version, the newest versions of the
    asset are searched for one that this job made. What is not found is logged.

    :param job: its facts, as :meth:`Job.to_dict` gives them; ``asset_name`` and ``asset_version`` of its outputs are
        set to what was found.
    :param asked: what the spec asked for: output -> ``{"name", "version", "type", "path"}``.
    """
    asked = {key: output for key, output in (asked or {}).items() if output.get("name")}
    found: dict[str, AssetVersion] = {}
    for look in range(_LOOKS):
        if look:
            await asyncio.sleep(_PAUSE)
        wanted = {key: RegisteredOutput(output["name"], output.get("version")) for key, output in asked.items()}
        wanted |= await client.history.registered_outputs(job["name"], job["type"])
        missing = {key: output for key, output in wanted.items() if key not in found}
        for key, output in missing.items():
            if version := await _version(client, _kind(job, asked, key, output), output):
                found[key] = version
        if found.keys() >= wanted.keys():
            break
    for key, output in wanted.items():
        if key not in found:
            kind = _kind(job, asked, key, output)
            if version := await _listed(client, job, kind, output, asked.get(key, {})):
                found[key] = version
            else:
                log.warning("No version of %s %r is known that is output %r of this job.", kind, output.name, key)
    _tell(job, found)
    return list({version.id: version for version in found.values()}.values())


def _tell(job: dict[str, Any], found: dict[str, AssetVersion]) -> None:
    for key, version in found.items():
        if key in job["outputs"]:
            job["outputs"][key] |= {"asset_name": version.name, "asset_version": version.version}


def _kind(job: dict[str, Any], asked: dict[str, dict[str, Any]], key: str, output: RegisteredOutput) -> Kind:
    told = job["outputs"].get(key, {}).get("type") or asked.get(key, {}).get("type")
    return output.kind or kind_of_type(told)


async def _version(client: WorkspaceClient, kind: Kind, output: RegisteredOutput) -> AssetVersion | None:
    if not output.version:
        return None
    try:
        return await client.get_version(kind, output.name, output.version)
    except NotFoundError:
        return None


async def _listed(
    client: WorkspaceClient, job: dict[str, Any], kind: Kind, output: RegisteredOutput, asked: dict[str, Any]
) -> AssetVersion | None:
    """Return the newest version that bears the job's mark: its name, or the place that the spec gave to the output."""
    began = parse_time(job["created_at"])
    place = _place(asked.get("path") or "")
    try:
        async for version in client.list_versions(kind, output.name, top=_MOST_VERSIONS):
            if job["name"] in (version.job_name, *version.path.split("/")):
                return version
            if place and place == _place(version.path) and parse_time(version.created_at) >= began:
                return version
    except NotFoundError:
        pass
    return None


def _place(path: str) -> str:
    """Return the part of a datastore's URI that its short and its long form share."""
    return path.partition("datastores/")[2].rstrip("/")
