"""What became of a job's named outputs: the versions of models and data that AzureML made of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...datasets.events import parse_time
from ...datasets.workspace import Kind, kind_of_type
from ..arguments import check_tags, is_template
from ..errors import NotFoundError, SpecError
from ..versions.limits import check_limits, check_tag_limits

if TYPE_CHECKING:
    from ...datasets.events import AssetVersion
    from ..rest.client import WorkspaceClient
    from ..rest.run_history import RegisteredOutput

log = logging.getLogger(__name__)

_MOST_VERSIONS = 50  # how far back a version is looked for that run history does not tell
_LOOKS = 4  # until a version is there that a job which has just completed is to have registered
_PAUSE = 2.0  # seconds between them


async def registered_versions(
    client: WorkspaceClient, job: dict[str, Any], asked: dict[str, dict[str, Any]] | None = None
) -> dict[str, AssetVersion]:
    """
    Return the versions that AzureML made of a completed job's outputs, by output; each exists.

    Run history tells them; of a pipeline also those of its steps. Where it knows no version, the newest versions of the
    asset are searched for one that this job made. What is not found is logged.

    :param job: its facts, as :meth:`Job.to_dict` gives them; ``asset_name`` and ``asset_version`` of its outputs are
        set to what was found.
    :param asked: what the spec asked for: output -> ``{"name", "version", "type", "path"}``.
    """
    from ..rest.run_history import RegisteredOutput

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
    return found


async def describe(
    client: WorkspaceClient, version: AssetVersion, tags: dict[str, str], description: str | None
) -> AssetVersion:
    """
    Give a version tags and a description beside what it has, and return it; nothing is changed where it has them.

    :param description: None leaves the version's own.
    """
    if tags.items() <= version.tags.items() and description in (None, version.description):
        return version
    kind = Kind(version.kind)
    now = (await client.get_resource(kind.collection, version.name, "versions", version.version))["properties"]
    there = now.get("tags") or {}
    wanted = {**now, "tags": {**there, **tags}}
    check_tag_limits(f"{version.name}:{version.version}", tags, total=len(wanted["tags"]), there=len(there))
    if description is not None:
        wanted["description"] = description
    properties = {key: value for key, value in wanted.items() if key != "provisioningState"}
    log.info("Describing %s %s:%s.", kind, version.name, version.version)
    return await client.update_version(kind, version.name, version.version, properties)


def check_descriptions(value: Any, *, parsing: bool = False) -> dict[str, tuple[dict[str, str], str | None]]:
    """
    Return what a DAG says of the versions that its job's outputs become: output -> tags, description.

    :param parsing: whether a DAG is parsed now: a template is let through then.
    :raises SpecError: it is not of the form ``{output: {"tags": {...}, "description": ...}}``.
    """
    if parsing and is_template(value) and not isinstance(value, (Mapping, list, tuple, set)):
        return {}
    if not isinstance(value, Mapping):
        raise SpecError(f"describe_outputs is {value!r}; it maps outputs to 'tags' and 'description'.")
    found = {}
    for output, said in value.items():
        if not isinstance(said, Mapping) or not said or said.keys() - {"tags", "description"}:
            raise SpecError(f"describe_outputs[{output!r}] is {said!r}; it can have 'tags' and 'description'.")
        description = said.get("description")
        if description is not None and not isinstance(description, str):
            raise SpecError(f"describe_outputs[{output!r}] has the description {description!r}, which is no text.")
        tags = {name: str(tag) for name, tag in check_tags(said.get("tags") or {}, parsing=parsing).items()}
        if not parsing:
            check_limits({"name": output, "tags": tags, "description": description})
        found[str(output)] = (tags, description)
    return found


def named_outputs(entity: Any) -> dict[str, dict[str, Any]]:
    """Return what an SDK job's named outputs are to become: the service does not tell it in each api-version."""
    return {
        key: {name: getattr(output, name, None) for name in ("name", "version", "type", "path")}
        for key, output in (getattr(entity, "outputs", None) or {}).items()
        if isinstance(getattr(output, "name", None), str)
    }


def check_described(entity: Any, said: Mapping[str, Any]) -> None:
    """
    Say that a DAG describes an output that becomes no version.

    :param entity: the job, as the SDK's entity.
    :param said: by output, of a pipeline's step ``STEP.OUTPUT``.
    :raises SpecError: there is none of that name, or it has no ``name``.
    """
    named, steps = named_outputs(entity), getattr(entity, "jobs", None) or {}
    for output in said:
        if output not in named and output.partition(".")[0] not in steps:
            raise SpecError(
                f"describe_outputs has {output!r}, and the job has no output of that name that becomes a version: such "
                f"an output has a 'name'. Those that do: {', '.join(sorted(named)) or 'none'}. Nothing was submitted."
            )


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
