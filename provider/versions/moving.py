"""A version of an asset into another workspace or a registry: once for one run of a task."""

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
from ..errors import AzureMachineLearningError, RequestRefusedError, SpecError, TransientError
from ..rest.bodies import asset_version
from ..rest.registry_client import RegistryClient
from ..specs import check_asset_spec
from ..storage.container import Container
from ..storage.download import Download
from ..storage.places import find_place
from ..storage.targets import target_for
from ..task_run import TAG_PREFIX, TASK_RUN_TAG
from .limits import check_limits
from .registration import CONTENT_PROPERTY
from .registry_registration import registration_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ...datasets.workspace import Registry
    from ..rest.client import WorkspaceClient
    from ..task_run import TaskRun

log = logging.getLogger(__name__)

COPIED_FROM_PROPERTY = "airflow.copied_from"
"""The property of a version that holds the id of the version that it is a copy of."""
_PATIENCE, _PAUSE = 600.0, 2.0  # seconds that a busy service, or a version that is on its way, is waited for


@dataclass(frozen=True, slots=True)
class Moved:
    """
    What came of it.

    :param source: the version, as ARM describes it.
    :param copy: its copy.
    :param is_new: whether this task run made the copy, so that it is to be announced.
    """

    source: dict[str, Any]
    copy: dict[str, Any]
    is_new: bool


@dataclass(frozen=True, slots=True)
class Move:
    """
    What goes where.

    :param collection: of what, as ARM's paths have it: ``models``, ``data``, ``environments``, ``components``.
    :param name: of the asset.
    :param version: of the asset.
    :param target_name: of the copy.
    :param target_version: of the copy.
    :param if_exists: what a version that is there already means: the task fails, or that one is used.
    """

    collection: str
    name: str
    version: str
    target_name: str
    target_version: str
    if_exists: Literal["fail", "reuse"]

    async def get_source(self, client: WorkspaceClient) -> dict[str, Any]:
        """
        Return the version that is to be moved.

        :raises NotFoundError: there is none.
        """
        return await client.get_resource(self.collection, self.name, "versions", self.version)

    async def find_copy(self, client: WorkspaceClient) -> dict[str, Any] | None:
        """Return the version that is at the target."""
        return await client.find_resource(self.collection, self.target_name, "versions", self.target_version)

    def standing(self, existing: dict[str, Any], source: dict[str, Any]) -> Moved:
        """
        Return a version that is at the target and that this task did not make, if it may be used.

        :raises SpecError: it may not, or is known to be a copy of something else.
        """
        made = (existing.get("systemData") or {}).get("createdAt") or "at an unknown time"
        what = f"{existing['id']} exists already, made {made}"
        origin = (existing["properties"].get("properties") or {}).get(COPIED_FROM_PROPERTY) or source["id"]
        if self.if_exists == "fail":
            raise SpecError(f"{what}. Give another target_version, or if_exists='reuse'. Nothing was changed.")
        if origin.lower() != source["id"].lower():
            raise SpecError(f"{what} as a copy of {origin}, not of {source['id']}. Nothing was changed.")
        log.info("%s; it is used, and not announced.", what)
        return Moved(source, existing, is_new=False)


async def share(client: WorkspaceClient, registry: Registry, task_run: TaskRun, move: Move) -> Moved:
    """
    Have a registry copy a version of a workspace.

    The registry's import takes no tags by which a later try could tell its copy from another's. So what was asked for
    is remembered before it is asked; after a kill at that very moment, a copy that is there is taken for this task's.

    :param client: of the workspace.
    :raises AzureMachineLearningError: it cannot be done.
    """
    source = await move.get_source(client)
    there = RegistryClient.beside(client, registry)
    wanted = [source["id"], move.target_name, move.target_version]
    asked = task_run.remember().get("asked") == wanted
    if existing := await move.find_copy(there):
        return Moved(source, existing, is_new=True) if asked else move.standing(existing, source)
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
        return move.standing(copy, source)
    log.info("Shared %s as %s.", source["id"], copy["id"])
    return Moved(source, copy, is_new=True)


async def _import(
    registry: RegistryClient, workspace: dict[str, Any], move: Move, *, asked_before: bool
) -> tuple[dict[str, Any], bool]:
    """Return the copy, and whether it was made for this task."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            await registry.import_version(
                move.collection,
                move.target_name,
                move.target_version,
                location=str(workspace["location"]),
                workspace_guid=str(workspace["properties"]["workspaceId"]),
                source=(move.name, move.version),
            )
            return await registry.wait_for(move.collection, move.target_name, move.target_version), True
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
    source_client: WorkspaceClient,
    client: WorkspaceClient,
    task_run: TaskRun,
    move: Move,
    make: Callable[[dict[str, Any], Path], Awaitable[dict[str, Any]]] | None = None,
) -> Moved:
    """
    Copy a version over this worker: download, upload, register. AzureML has no call for it.

    :param source_client: of where it is.
    :param client: of where it goes.
    :param make: makes the copy, of the version and a scratch folder; models and data need none.
    :raises AzureMachineLearningError: it cannot be done; nothing was registered.
    """
    source = await move.get_source(source_client)
    token = task_run.remember()["id"]

    def moved(there: dict[str, Any]) -> Moved:
        is_ours = (there["properties"].get("tags") or {}).get(TASK_RUN_TAG) == token
        return Moved(source, there, is_new=True) if is_ours else move.standing(there, source)

    scratch = Path(tempfile.gettempdir()) / f"azureml-copy-{token}"
    if existing := await move.find_copy(client):
        _remove(scratch)  # of a try that was killed after it had made the copy
        return moved(existing)
    scratch.mkdir(exist_ok=True)
    try:
        if make is None:
            await _copy_files(source_client, client, task_run, move, source, scratch)
        else:
            await make(source, scratch)
    except BaseException as error:
        if not task_run.will_be_retried or not isinstance(error, (TransientError, asyncio.CancelledError)):
            _remove(scratch)
        raise
    _remove(scratch)
    found = await move.find_copy(client)
    if found is None:
        raise TransientError(f"{move.target_name}:{move.target_version} was made and cannot be seen.")
    return moved(found)


async def _copy_files(
    source_client: WorkspaceClient,
    client: WorkspaceClient,
    task_run: TaskRun,
    move: Move,
    source: dict[str, Any],
    scratch: Path,
) -> None:
    """Copy a version of a model or data asset: the copy has the source's type, description, tags and properties."""
    kind = Kind.of_collection(move.collection)
    assert kind is not None
    version = asset_version(kind, source)
    place = await find_place(source_client, version)
    async with Container(source_client, place.datastore, secret=place.secret) as container:
        target = target_for(scratch / "files", scratch)
        names = await Download(container, place.path, target, log=log).run()
    is_file = len(names) == 1 and place.path.rstrip("/").rpartition("/")[2] == names[0]
    path = scratch / "files" / (names[0] if is_file else "")
    spec: dict[str, Any] = {
        "name": move.target_name,
        "version": move.target_version,
        "type": version.type,
        "path": str(path),
        "description": version.description or None,
        **kept(source, without={CONTENT_PROPERTY}),
    }
    if flavors := source["properties"].get("flavors"):
        spec["flavors"] = {name: flavor.get("data") or {} for name, flavor in flavors.items()}
    spec = check_asset_spec(kind, spec)
    check_limits(spec)
    await registration_for(client, task_run, kind, spec, scratch, ignores=False).run()


def kept(source: dict[str, Any], *, without: set[str] = frozenset()) -> dict[str, dict[str, str]]:  # type: ignore[assignment]
    """
    Return the tags and properties that a copy has: those of its source, but for what tells which task made that.

    :param without: properties that it has not.
    """
    properties = source["properties"].get("properties") or {}
    return {
        "tags": {
            key: value
            for key, value in (source["properties"].get("tags") or {}).items()
            if not key.startswith(TAG_PREFIX)
        },
        "properties": {
            **{key: value for key, value in properties.items() if key not in without},
            COPIED_FROM_PROPERTY: source["id"],
        },
    }


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):
        shutil.rmtree(folder)
