"""A version of a model or data asset into another workspace or a registry: once for one run of a task."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...datasets.workspace import Kind
from ..errors import AzureMachineLearningError, NotFoundError, RequestRefusedError, SpecError, TransientError
from ..rest.bodies import asset_version
from ..rest.registry_client import RegistryClient
from ..specs import check_asset_spec
from ..storage.container import Container
from ..storage.download import Download, target_for
from ..storage.places import find_place
from ..task_run import TAG_PREFIX
from .limits import check_limits
from .registration import CONTENT_PROPERTY
from .registry_registration import registration_for

if TYPE_CHECKING:
    from ...datasets.events import AssetVersion
    from ...datasets.workspace import Registry
    from ..rest.client import WorkspaceClient
    from ..task_run import TaskRun

log = logging.getLogger(__name__)

COPIED_FROM_PROPERTY = "airflow.copied_from"
"""The property of a version that holds the id of the version that it is a copy of."""
_PATIENCE, _PAUSE = 600.0, 2.0  # seconds that a busy service, or a version that is on its way, is waited for


@dataclass(frozen=True, slots=True)
class Move:
    """
    What goes where.

    :param kind: model or data.
    :param name: of the asset.
    :param version: of the asset.
    :param target_name: of the copy.
    :param target_version: of the copy.
    :param if_exists: what a version that is there already means: the task fails, or that one is used.
    """

    kind: Kind
    name: str
    version: str
    target_name: str
    target_version: str
    if_exists: Literal["fail", "reuse"]

    async def find_copy(self, client: WorkspaceClient) -> AssetVersion | None:
        """Return the version that is at the target."""
        try:
            return await client.get_version(self.kind, self.target_name, self.target_version)
        except NotFoundError:
            return None

    def standing(self, existing: AssetVersion, source: AssetVersion) -> AssetVersion:
        """
        Return a version that is at the target and that this task did not make, if it may be used.

        :raises SpecError: it may not, or is known to be a copy of something else.
        """
        what = (
            f"{self.kind} {existing.name}:{existing.version} exists already: {existing.id}, made {existing.created_at}"
        )
        origin = existing.properties.get(COPIED_FROM_PROPERTY, source.id)
        if self.if_exists == "fail":
            raise SpecError(f"{what}. Give another target_version, or if_exists='reuse'. Nothing was changed.")
        if origin.lower() != source.id.lower():
            raise SpecError(f"{what} as a copy of {origin}, not of {source.id}. Nothing was changed.")
        log.info("%s; it is used, and not announced.", what)
        return existing


async def share(
    client: WorkspaceClient, registry: Registry, task_run: TaskRun, move: Move
) -> tuple[AssetVersion, AssetVersion, bool]:
    """
    Have a registry copy a version of a workspace, and return the version, its copy, and whether it is to be announced.

    The registry's import takes no tags by which a later try could tell its copy from another's. So what was asked for
    is remembered before it is asked; after a kill at that very moment, a copy that is there is taken for this task's.

    :param client: of the workspace.
    :raises AzureMachineLearningError: it cannot be done.
    """
    source = await client.get_version(move.kind, move.name, move.version)
    there = RegistryClient.beside(client, registry)
    wanted = [source.id, move.target_name, move.target_version]
    asked = task_run.remember().get("asked") == wanted
    if existing := await move.find_copy(there):
        return (source, existing, True) if asked else (source, move.standing(existing, source), False)
    workspace = await client.get_workspace()
    task_run.remember(asked=wanted)
    try:
        copy, is_ours = await _import(there, workspace, move, asked_before=asked)
    except AzureMachineLearningError as error:
        if not isinstance(error, TransientError):
            task_run.remember(asked=None)  # it was refused, so what is there later is not this task's
        raise
    if not is_ours:
        task_run.remember(asked=None)
        return source, move.standing(copy, source), False
    log.info("Shared %s as %s.", source.id, copy.id)
    return source, copy, True


async def _import(
    registry: RegistryClient, workspace: dict[str, Any], move: Move, *, asked_before: bool
) -> tuple[AssetVersion, bool]:
    """Return the copy, and whether it was made for this task."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            await registry.import_version(
                move.kind.collection,
                move.target_name,
                move.target_version,
                location=str(workspace["location"]),
                workspace_guid=str(workspace["properties"]["workspaceId"]),
                source=(move.name, move.version),
            )
            return await registry.wait_for_version(move.kind, move.target_name, move.target_version), True
        except RequestRefusedError as error:
            # 409: it exists, or is on its way. Of one that this task asked for before, 400 may say the same.
            if error.status != 409 and not asked_before:
                raise
            log.info("%s Looking for it.", error)
            while (copy := await move.find_copy(registry)) is None:
                if time.monotonic() > deadline or error.status != 409:
                    raise
                await asyncio.sleep(_PAUSE)
            return copy, asked_before
        except TransientError as error:
            asked_before = True  # it may have acted
            if time.monotonic() > deadline:
                raise
            log.warning("%s Looking again in %.0f s.", error, error.retry_after or _PAUSE)
            await asyncio.sleep(error.retry_after or _PAUSE)
            if copy_there := await move.find_copy(registry):
                return copy_there, True


async def copy(
    source_client: WorkspaceClient, client: WorkspaceClient, task_run: TaskRun, move: Move
) -> tuple[AssetVersion, AssetVersion, bool]:
    """
    Copy a version over this worker: download, upload, register. Returns it, its copy, and whether to announce that.

    AzureML has no call for it. The copy has the source's type, description, tags, properties and flavors.

    :param source_client: of where it is.
    :param client: of where it goes.
    :raises AzureMachineLearningError: it cannot be done; nothing was registered.
    """
    body = await source_client.get_resource(move.kind.collection, move.name, "versions", move.version)
    source = asset_version(move.kind, body)
    token = task_run.remember()["id"]
    if existing := await move.find_copy(client):
        if existing.tags.get(f"{TAG_PREFIX}task_run") == token:
            return source, existing, True
        return source, move.standing(existing, source), False
    scratch = Path(tempfile.gettempdir()) / f"azureml-copy-{token}"
    scratch.mkdir(exist_ok=True)
    try:
        place = await find_place(source_client, source)
        async with Container(source_client, place.datastore, secret=place.secret) as container:
            target = target_for(scratch / "files", scratch)
            names = await Download(container, place.path, target, log=log).run()
        is_file = len(names) == 1 and place.path.rstrip("/").rpartition("/")[2] == names[0]
        spec = check_asset_spec(move.kind, _spec(move, body, source, scratch / "files" / (names[0] if is_file else "")))
        check_limits(spec)
        made, _ = await registration_for(client, task_run, move.kind, spec, scratch, ignores=False).run()
    except BaseException as error:
        if not task_run.will_be_retried or not isinstance(error, (TransientError, asyncio.CancelledError)):
            _remove(scratch)
        raise
    _remove(scratch)
    log.info("Copied %s as %s.", source.id, made.id)
    return source, made, True


def _spec(move: Move, body: dict[str, Any], source: AssetVersion, path: Path) -> dict[str, Any]:
    properties = {key: value for key, value in source.properties.items() if key != CONTENT_PROPERTY}
    spec: dict[str, Any] = {
        "name": move.target_name,
        "version": move.target_version,
        "type": source.type,
        "path": str(path),
        "description": source.description or None,
        "tags": {key: value for key, value in source.tags.items() if not key.startswith(TAG_PREFIX)},
        "properties": {**properties, COPIED_FROM_PROPERTY: source.id},
    }
    if flavors := body["properties"].get("flavors"):
        spec["flavors"] = {name: flavor.get("data") or {} for name, flavor in flavors.items()}
    return spec


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):
        shutil.rmtree(folder)
