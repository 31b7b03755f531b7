"""Making one version of an environment or a component with the SDK: never two for one run of a task."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ...datasets.workspace import ASSET_NAME
from ..arguments import check_name
from ..errors import RequestRefusedError, SpecError, TransientError
from ..sdk import quietly, sdk_errors
from ..task_run import TASK_RUN_TAG, TaskRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..hook import AzureMachineLearningHook
    from ..rest.client import WorkspaceClient

log = logging.getLogger(__name__)

_PATIENCE, _PAUSE = 600.0, 5.0  # seconds that a version which was asked for has to appear


@dataclass(frozen=True, slots=True)
class SdkVersion:
    """
    One version to make.

    :param client: the workspace.
    :param hook: for the SDK's client of the same workspace.
    :param task_run: for whom; its memory makes a retry find what an earlier try made.
    :param collection: of what: the word in ARM's paths, and the attribute of ``MLClient``.
    :param load: returns it as an SDK entity. Only called if there is something to make.
    :param properties: that it gets beside its own.
    """

    client: WorkspaceClient
    hook: AzureMachineLearningHook
    task_run: TaskRun
    collection: Literal["environments", "components"]
    load: Callable[[], Any]
    properties: dict[str, str] = field(default_factory=dict)

    async def run(self) -> dict[str, Any]:
        """
        Return the version, as ARM describes it: the one that an earlier try made, or a new one.

        A version that the spec names and that exists is used as it is: AzureML's versions cannot be changed.

        :raises SpecError: the spec has no name.
        :raises AzureMachineLearningError: Azure refused.
        """
        memory = self.task_run.remember()
        earlier = memory.get("version")
        if earlier and (made := await self._find(*earlier)) and self._is_ours(made):
            log.info("An earlier try of this task made %s; it is used.", made["id"])
            return made
        entity = await asyncio.to_thread(self.load)
        if not entity.name or getattr(entity, "_is_anonymous", False):
            raise SpecError(f"The {self.collection[:-1]} needs a 'name'.")
        check_name(self.collection[:-1], entity.name)
        explicit = entity.version
        if explicit and not ASSET_NAME.fullmatch(str(explicit)):
            what = f"The {self.collection[:-1]}'s version {str(explicit)!r}"
            raise SpecError(f"{what} is invalid: use only the characters A-Z a-z 0-9 _ - . in it.")
        # The version that an earlier try asked for, though it cannot be seen: a registry may be making it.
        asked = earlier[1] if earlier and earlier[0] == entity.name else None
        version = str(explicit or asked or await self._next_version(entity.name))
        while existing := await self._find(entity.name, version):
            if explicit:
                log.info("%s exists already; it is used as it is.", existing["id"])
                return existing
            version = _after(version)
        entity.version = version
        _add_to_body(entity, self.task_run.tags(), self.properties, spec_has_version=bool(explicit))
        self.task_run.remember(version=[entity.name, version])
        made = await self._made(entity, version, asked_before=asked == version)
        log.info("Made %s.", made["id"])
        return made

    async def _made(self, entity: Any, version: str, *, asked_before: bool) -> dict[str, Any]:
        deadline = time.monotonic() + _PATIENCE
        try:
            await asyncio.to_thread(self._create, entity)
        except RequestRefusedError as error:
            # 400: what an earlier try asked for came meanwhile, with other code as far as AzureML can see.
            came = asked_before and error.status == 400 and await self._find(entity.name, version)
            if error.status != 409 and not came:
                raise
            # A registry that is making what an earlier try asked for has it, and does not show it yet.
            log.info("%s Looking for it.", error)
        while True:
            if made := await self._find(entity.name, version):
                return made
            if time.monotonic() > deadline:
                raise TransientError(f"{self.collection[:-1]} {entity.name}:{version} was made and cannot be seen.")
            await asyncio.sleep(_PAUSE)

    async def _find(self, name: str, version: str) -> dict[str, Any] | None:
        return await self.client.find_resource(self.collection, name, "versions", version)

    def _is_ours(self, body: dict[str, Any]) -> bool:
        return bool((body["properties"].get("tags") or {}).get(TASK_RUN_TAG) == self.task_run.remember()["id"])

    async def _next_version(self, name: str) -> str:
        container = await self.client.find_resource(self.collection, name) or {}
        return str((container.get("properties") or {}).get("nextVersion") or "1")

    def _create(self, entity: Any) -> None:
        noun = self.collection[:-1]
        with quietly(), sdk_errors(noun, self.client.connection), self.hook.ml_client() as ml:
            getattr(ml, self.collection).create_or_update(entity)


def _add_to_body(entity: Any, tags: dict[str, str], properties: dict[str, str], *, spec_has_version: bool) -> None:
    """
    Add tags and properties to what is sent, and to nothing else.

    On a component itself they would go into its specification, and so into the hash by which AzureML's pipelines know a
    step that has run before; so would a version that the user did not write.
    """
    write = entity._to_rest_object

    def with_tags() -> Any:
        body = write()
        body.properties.tags = {**(body.properties.tags or {}), **tags}
        if properties:
            body.properties.properties = {**(body.properties.properties or {}), **properties}
        if (specification := getattr(body.properties, "component_spec", None)) and not spec_has_version:
            specification.pop("version", None)
        return body

    entity._to_rest_object = with_tags


def _after(version: str) -> str:
    return str(int(version) + 1) if version.isdecimal() else f"{version}-1"
