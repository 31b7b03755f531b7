"""Making one version of a model or data asset: never two for one task run, never another's, never of half an upload."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...datasets.workspace import Kind, Workspace
from ..errors import NotFoundError, RequestRefusedError, SpecError, TransientError
from ..rest.bodies import asset_version_body
from ..specs import paths_in_mltable
from ..storage.container import Container
from ..storage.sources import Source, check_remote, find_source, is_remote
from ..storage.upload import Upload, checksum
from ..task_run import TASK_RUN_TAG, TaskRun
from .mltable import remote_uris

if TYPE_CHECKING:
    from ...datasets.events import AssetVersion
    from ..rest.client import WorkspaceClient

log = logging.getLogger(__name__)

_DATASTORE_PATH = re.compile(
    r"(azureml://subscriptions/.+?/workspaces/[^/]+/|azureml://)datastores/([^/]+)/paths/.*", re.I
)
_JOB_PATH = re.compile(r"azureml://jobs/([^/]+)/outputs/.+", re.I)
CONTENT_PROPERTY = "airflow.content"
"""The property of a version that holds the checksum of what was uploaded for it."""
_SECONDS_TO_REMOVE = 60.0
_PATIENCE = 600.0  # seconds that a busy or unreachable service is waited for
_REFUSED_FOR_EXISTING = (400, 409)  # which of them is not documented: "Asset paths cannot be updated" comes as 400


@dataclass(frozen=True, slots=True)
class Registration:
    """
    One version to make.

    :param client: the workspace.
    :param task_run: for whom; its memory makes a retry go on where the last try died.
    :param kind: model or data.
    :param spec: a checked spec.
    :param folder: what a relative local path in the spec starts from.
    :param conn_id: the Airflow connection of an object store that the path is in.
    :param reuse_unchanged: make none if the newest version has the same content already.
    :param ignores: whether ``.amlignore`` and ``.gitignore`` leave files out.
    """

    client: WorkspaceClient
    task_run: TaskRun
    kind: Kind
    spec: dict[str, Any]
    folder: Path
    conn_id: str | None = None
    reuse_unchanged: bool = False
    ignores: bool = True

    async def run(self) -> tuple[AssetVersion, bool]:
        """
        Make the version and return it as the service confirmed it, and whether it is to be announced.

        It is not if the content is that of a version that stands, and ``reuse_unchanged`` was asked for.

        The order matters. First everything that can be found wrong without changing anything. Then the upload, to a
        path that belongs to this task run alone. Then the choice of a version is remembered, and only then the
        version is made, with the task run's id as a tag: so a retry can tell its own version from another's.

        :raises AzureMachineLearningError: it cannot be done; nothing was registered, and uploaded files are deleted.
        """
        memory = self.task_run.remember()
        if (earlier := memory.get("version")) and (made := await self._find(earlier)) and self._is_ours(made):
            log.info("An earlier try of this task made %s %s:%s; it is used.", self.kind, made.name, made.version)
            return made, True
        source = None if is_remote(str(self.spec["path"])) else await asyncio.to_thread(self._look_at_source)
        if self.reuse_unchanged and source and (standing := await self._with_the_same_content(source)):
            return standing, False
        explicit = self.spec.get("version")
        if explicit and (existing := await self._find(explicit)):
            return self._same_or_error(existing, source), True
        if source is None:
            await self._look_at_remote_path()
            return await self._create(str(self.spec["path"])), True
        return await self._upload_and_create(source, memory["id"]), True

    async def _with_the_same_content(self, source: Source) -> AssetVersion | None:
        """Return the version that stands, the one that the spec names or the newest, if it has this content."""
        if explicit := self.spec.get("version"):
            standing = await self._find(explicit)
        else:
            standing = await self.client.find_newest(self.kind, self.spec["name"])
        known = standing and standing.properties.get(CONTENT_PROPERTY)
        if not standing or not known or await checksum(source) != known:
            return None
        what = f"{self.kind} {standing.name}:{standing.version}"
        log.info("%s has the content of %s, which stands: nothing is uploaded, made or announced.", source.path, what)
        return standing

    async def _find(self, version: str) -> AssetVersion | None:
        try:
            return await self.client.get_version(self.kind, self.spec["name"], version)
        except NotFoundError:
            return None

    def _is_ours(self, version: AssetVersion) -> bool:
        return version.tags.get(TASK_RUN_TAG) == str(self.task_run.remember()["id"])

    def _same_or_error(self, existing: AssetVersion, source: Source | None) -> AssetVersion:
        what = f"{self.kind} {existing.name}:{existing.version}"
        if source is None and _comparable(existing.path) == _comparable(str(self.spec["path"])):
            log.info("%s exists already with the same path; it is used.", what)
            return existing
        raise SpecError(
            f"{what} exists already with other content: it is at {existing.path}. "
            "AzureML's versions cannot be changed. Give another version, or none to get the next one."
        )

    def _look_at_source(self) -> Source:
        source = find_source(self.spec["path"], folder=self.folder, conn_id=self.conn_id, ignores=self.ignores)
        names = {file.name for file in source.files}
        asset_type = self.spec["type"]
        problem = ""
        if asset_type == "uri_file" and source.is_folder:
            problem = "is a folder; use type uri_folder"
        elif asset_type in ("uri_folder", "mltable") and not source.is_folder:
            problem = "is a file; use type uri_file"
        elif asset_type == "mltable" and "MLTable" not in names:
            problem = "has no file named MLTable"
        elif asset_type == "mlflow_model" and "MLmodel" not in names:
            problem = "has no file named MLmodel, so it is not a model that MLflow saved"
        if problem:
            raise SpecError(f"{source.path} {problem} (the type is {asset_type}). Nothing was uploaded.")
        if asset_type == "mltable":
            (mltable,) = (file for file in source.files if file.name == "MLTable")
            with mltable.open() as content:
                self.spec["referenced_uris"] = paths_in_mltable(content.read(), where=f"{source.path}/MLTable")
        return source

    async def _look_at_remote_path(self) -> None:
        """
        AzureML accepts a version whose datastore or job does not exist; here it is an error before the fact.

        The datastore may be of any type, as nothing is uploaded. One of another workspace is not looked for: this
        connection need not have a role there.
        """
        path = str(self.spec["path"])
        check_remote(path)
        if match := _DATASTORE_PATH.fullmatch(path):
            if match[1] == "azureml://" or Workspace.from_id(match[1]) == self.client.connection.workspace:
                await self.client.get_resource("datastores", match[2])
        elif match := _JOB_PATH.fullmatch(path):
            await self.client.get_job(match[1])
        if self.spec["type"] == "mltable" and (uris := await remote_uris(self.client, path)):
            self.spec["referenced_uris"] = uris

    async def _upload_and_create(self, source: Source, token: str) -> AssetVersion:
        datastore = await self.client.get_datastore(self.spec.get("datastore"))
        prefix = f"airflow/{self.kind}/{self.spec['name']}/{token}"
        async with Container(self.client, datastore) as container:
            try:
                content = await Upload(source, container, prefix, log=log).run()
            except BaseException as error:
                if not _may_go_on(error) or not self.task_run.will_be_retried:
                    await _remove(container, prefix)
                raise
            below = prefix if source.is_folder else f"{prefix}/{source.files[0].name}"
            try:
                return await self._create(f"azureml://datastores/{datastore.name}/paths/{below}", content)
            except (RequestRefusedError, SpecError):
                await _remove(container, prefix)
                raise

    async def _create(self, uri: str, content: str = "") -> AssetVersion:
        """
        Take the version that was asked for, or the next one that nobody else takes at the same time.

        :param content: the checksum of what was uploaded; it is kept with the version.
        """
        body = self._body(uri, content)
        if explicit := self.spec.get("version"):
            made = await self._put(explicit, body)
            return made or self._same_or_error(await self._existing(explicit), None)
        version = await self._next_version()
        while (made := await self._put(version, body)) is None:
            log.info("Version %s of %s is taken; taking the next.", version, self.spec["name"])
            version = await self._following(version)
        log.info("Registered %s %s:%s at %s.", self.kind, made.name, made.version, made.path)
        return made

    async def _next_version(self) -> str:
        return await self.client.get_next_version(self.kind, self.spec["name"])

    async def _following(self, version: str) -> str:
        """Return the next version but one that turned out to be taken: what the service hands out may lag behind."""
        following = await self.client.get_next_version(self.kind, self.spec["name"])
        return max(following, str(int(version) + 1), key=int)

    def _body(self, uri: str, content: str) -> dict[str, Any]:
        spec = self.spec
        if content:
            spec = {**spec, "properties": {**spec.get("properties", {}), CONTENT_PROPERTY: content}}
        return asset_version_body(self.kind, spec, self._as_sdk_writes(uri), self.task_run.tags())

    def _as_sdk_writes(self, uri: str) -> str:
        """Return a path as azure-ai-ml sends it: of a model with its workspace, of a data asset as it is written."""
        if self.kind is Kind.MODEL and uri.startswith("azureml://datastores/"):
            return f"{self.client.connection.workspace.uri}/{uri.removeprefix('azureml://')}"
        return uri

    async def _existing(self, version: str) -> AssetVersion:
        return await self.client.get_version(self.kind, self.spec["name"], version)

    async def _put(self, version: str, body: dict[str, Any]) -> AssetVersion | None:
        """Make this version and return it, or None if it is somebody else's."""
        self.task_run.remember(version=version)
        deadline = time.monotonic() + _PATIENCE
        pause = 1.0
        while True:
            # A PUT would overwrite the tags of a version that exists, so look first; and an attempt that got no answer
            # may have acted, so look again after each.
            if existing := await self._find(version):
                return existing if self._is_ours(existing) else None
            try:
                return await self.client.put_version(self.kind, self.spec["name"], version, body)
            except RequestRefusedError as error:
                if error.status in _REFUSED_FOR_EXISTING and await self._find(version):
                    continue
                raise
            except TransientError as error:
                wait = max(pause, error.retry_after or 0)
                if time.monotonic() + wait > deadline:
                    raise
                log.warning("%s Looking again in %.0f s.", error, wait)
                await asyncio.sleep(wait)
                pause = min(pause * 2, 30)


def _may_go_on(error: BaseException) -> bool:
    """Return whether a retry may finish an upload that this ended, so that what is there is worth keeping."""
    return isinstance(error, (TransientError, asyncio.CancelledError))


async def _remove(container: Container, prefix: str) -> None:
    """Delete what will never be registered. Does what it can in seconds: a leftover costs storage, no more."""
    try:
        async with asyncio.timeout(_SECONDS_TO_REMOVE):
            await container.delete_all(prefix)
    except Exception as error:  # noqa: BLE001 - the reason why it is removed must be told
        log.warning("Some of what was uploaded may be left at %s: %s", prefix, type(error).__name__)


def _comparable(path: str) -> str:
    """Return a path as the service stores it: the short form for this workspace, without case in Azure's names."""
    short = re.sub(
        r"^azureml://subscriptions/[^/]+/resourcegroups/[^/]+/workspaces/[^/]+/", "azureml://", path, flags=re.I
    )
    return short.rstrip("/")
