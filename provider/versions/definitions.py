"""Copies of environments and components, which are definitions with few or no files: the SDK reads and makes them."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import sdk
from ..errors import SpecError
from ..rest.bodies import Datastore, blob_place
from ..rest.registry_client import RegistryClient
from ..storage.container import Container
from ..storage.download import Download
from ..storage.places import Place, find_place
from ..storage.targets import target_for
from .moving import kept
from .sdk_registration import SdkVersion

if TYPE_CHECKING:
    from ..hook import AzureMachineLearningHook
    from ..rest.client import WorkspaceClient
    from ..task_run import TaskRun
    from .moving import Move

log = logging.getLogger(__name__)


class DefinitionCopy:
    """
    Makes a copy of an environment or a component.

    :param source_hook: for the SDK's client of where it is.
    :param source_client: of where it is.
    :param hook: for the SDK's client of where it goes.
    :param client: of where it goes.
    :param task_run: for whom.
    :param move: what goes where.
    """

    def __init__(
        self,
        source_hook: AzureMachineLearningHook,
        source_client: WorkspaceClient,
        hook: AzureMachineLearningHook,
        client: WorkspaceClient,
        task_run: TaskRun,
        move: Move,
    ) -> None:
        self._source_hook, self._source_client = source_hook, source_client
        self._hook, self._client = hook, client
        self._task_run, self._move = task_run, move

    async def make(self, source: dict[str, Any], scratch: Path) -> dict[str, Any]:
        """
        Make the copy, and return it as ARM describes it.

        :param source: the version, as ARM describes it.
        :param scratch: an empty folder.
        :raises SpecError: it cannot be copied; nothing was made.
        """
        if self._move.collection == "environments":
            spec: Any = await self._environment(source, scratch)
        else:
            spec = await self._component(source, scratch)
        noun = self._move.collection.removesuffix("s")

        def load() -> Any:
            entity = sdk.load_entity(spec, noun=noun, folder=scratch, render=lambda value: value)
            entity.name, entity.version = self._move.target_name, self._move.target_version
            entity.tags = kept(source)["tags"]
            return entity

        properties = kept(source)["properties"]
        made = SdkVersion(self._client, self._hook, self._task_run, self._move.collection, load, properties)  # type: ignore[arg-type]
        return await made.run()

    async def _environment(self, source: dict[str, Any], scratch: Path) -> dict[str, Any]:
        """Return the spec of an environment; a build context is downloaded."""
        told = source["properties"]
        spec: dict[str, Any] = {
            "name": self._move.target_name,
            "description": told.get("description"),
            "image": told.get("image"),
            "os_type": str(told.get("osType") or "").lower() or None,
        }
        if told.get("condaFile"):
            spec["conda_file"] = json.loads(told["condaFile"])
        if told.get("inferenceConfig"):
            spec["inference_config"] = {
                f"{name}_route": told["inferenceConfig"][f"{name}Route"]
                for name in ("liveness", "readiness", "scoring")
                if told["inferenceConfig"].get(f"{name}Route")
            }
        if build := told.get("build"):
            await self._download(str(build["contextUri"]), scratch / "context")
            spec["build"] = {"path": "context", "dockerfile_path": build.get("dockerfilePath") or "Dockerfile"}
        return {key: value for key, value in spec.items() if value is not None}

    async def _download(self, uri: str, to: Path) -> None:
        place = await self._place(uri)
        async with Container(self._source_client, place.datastore, secret=place.secret) as container:
            await Download(container, place.path, target_for(to, to.parent), log=log).run()

    async def _place(self, uri: str) -> Place:
        registry = self._source_client
        if not isinstance(registry, RegistryClient):
            return await find_place(registry, uri)

        async def open_() -> tuple[Datastore, str | None]:
            return await registry.begin_download(self._move.collection, self._move.name, self._move.version, uri)

        async def secret() -> str | None:
            return (await open_())[1]

        return Place((await open_())[0], blob_place(uri)[2], secret)

    async def _component(self, source: dict[str, Any], scratch: Path) -> str:
        """Return the path of the YAML that the SDK writes of a component, with its code and environment beside it."""
        type_ = (source["properties"].get("componentSpec") or {}).get("type")
        if type_ == "pipeline":
            raise SpecError(
                f"{source['id']} is a pipeline component, which names other components of where it is: copy those, and "
                "register the pipeline anew with their names. Nothing was made."
            )
        folder = scratch / "component"

        def download() -> None:
            shutil.rmtree(folder, ignore_errors=True)  # of an earlier try; the SDK wants it empty
            with (
                sdk.quietly(),
                sdk.sdk_errors("component", self._source_client.connection),
                self._source_hook.ml_client() as ml,
            ):
                ml.components.download(self._move.name, folder, version=self._move.version)

        await asyncio.to_thread(download)
        return str(folder / "component_spec.yaml")
