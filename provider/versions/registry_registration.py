"""Making one version in a registry, whose storage has a place for each version: so the version is chosen first."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from typing import TYPE_CHECKING, Any

from ...datasets.workspace import Kind
from ..errors import RequestRefusedError, SpecError, TransientError
from ..rest.registry_client import RegistryClient
from ..storage.container import Container
from ..storage.upload import Upload
from .registration import _REFUSED_FOR_EXISTING, Registration

if TYPE_CHECKING:
    from ...datasets.events import AssetVersion
    from ..rest.client import WorkspaceClient
    from ..storage.sources import Source
    from ..task_run import TaskRun

log = logging.getLogger(__name__)

_GONE = "cannot be recreated"  # recorded: "Asset ... was deleted at ..., it cannot be recreated."
_TAKEN = "cannot be replaced"  # recorded: "Value of property ... cannot be replaced"
_PATIENCE = 600.0  # seconds that a version which was begun has to appear
_PAUSE = 2.0


def registration_for(
    client: WorkspaceClient, task_run: TaskRun, kind: Kind, spec: dict[str, Any], *arguments: Any, **options: Any
) -> Registration:
    """Return how to make a version where a client works: in a workspace or a registry."""
    make = RegistryRegistration if isinstance(client, RegistryClient) else Registration
    return make(client, task_run, kind, spec, *arguments, **options)


class RegistryRegistration(Registration):
    """
    One version to make in a registry.

    It differs in what a killed try can leave: a version that was asked for and cannot be seen yet. So a later try asks
    for the same version again, never for the next.
    """

    async def _look_at_remote_path(self) -> None:
        path = str(self.spec["path"])
        if path.lower().startswith(("azureml://datastores/", "azureml://jobs/", "azureml:")) and not (
            path.lower().startswith(("azureml://subscriptions/", "azureml://registries/"))
        ):
            raise SpecError(
                f"{path} is of a workspace, and a registry has no datastores and jobs. Register it in the workspace, "
                "then share that version (AzureMachineLearningShareAssetOperator). Nothing was changed."
            )

    def _as_sdk_writes(self, uri: str) -> str:
        return uri

    def _body(self, uri: str, content: str) -> dict[str, Any]:
        body = super()._body(uri, content)
        if (metadata := self.spec.get("system_metadata")) is not None:
            body["properties"]["system_metadata"] = metadata  # as the SDK writes it; workspaces have no such thing
        return body

    async def _next_version(self) -> str:
        asked = self.task_run.remember().get("asked")
        return str(asked or await self.client.get_next_version(self.kind, self.spec["name"]))

    async def _upload_and_create(self, source: Source, token: str) -> AssetVersion:
        explicit = self.spec.get("version")
        version = str(explicit or await self._next_version())
        while True:
            if uploaded := await self._upload(source, version, token):
                made = await self._put(version, self._body(*uploaded))
            else:  # it is there, or will be: somebody asked for it, perhaps an earlier try of this task
                there = await self._wait_for(version)
                made = there if self._is_ours(there) else None
            if made is not None:
                log.info("Registered %s %s:%s at %s.", self.kind, made.name, made.version, made.path)
                return made
            if explicit:
                return self._same_or_error(await self._wait_for(version), source)
            log.info("Version %s of %s is taken; taking the next.", version, self.spec["name"])
            version = await self._following(version)

    async def _upload(self, source: Source, version: str, token: str) -> tuple[str, str] | None:
        """Return address and checksum of what was uploaded; None if the registry has the version already."""
        assert isinstance(self.client, RegistryClient)
        place = await self.client.begin_upload(self.kind, self.spec["name"], version)
        if place is None:
            return None
        datastore, signature = place

        async def secret() -> str:
            return signature

        # Nothing can be deleted there (the signature allows none of it), so what an earlier try left of a source that
        # has other files since must not be below the same prefix.
        names = "\n".join(sorted(file.name for file in source.files))
        prefix = f"{token}-{hashlib.sha256(names.encode()).hexdigest()[:8]}"
        async with Container(self.client, datastore, secret=secret) as container:
            content = await Upload(source, container, prefix, log=log).run()
        below = prefix if source.is_folder else f"{prefix}/{source.files[0].name}"
        return f"{datastore.account_url}/{datastore.container}/{below}", content

    async def _put(self, version: str, body: dict[str, Any]) -> AssetVersion | None:
        asked_before = self.task_run.remember().get("asked") == version
        self.task_run.remember(asked=version)
        try:
            made = await super()._put(version, body)
        except RequestRefusedError as error:
            if _GONE in str(error) and not self.spec.get("version"):
                return None
            if not (_TAKEN in str(error) or (asked_before and error.status in _REFUSED_FOR_EXISTING)):
                raise
            # It is being made, for somebody else or for an earlier try of this task.
            made = await self._wait_for(version)
        return made if made is not None and self._is_ours(made) else None

    async def _wait_for(self, version: str) -> AssetVersion:
        deadline = time.monotonic() + _PATIENCE
        while (there := await self._find(version)) is None:
            if time.monotonic() > deadline:
                what = f"{self.kind} {self.spec['name']}:{version}"
                raise TransientError(f"The registry says that {what} exists, and does not show it.")
            await asyncio.sleep(_PAUSE)
        return there
