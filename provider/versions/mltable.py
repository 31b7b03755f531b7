"""What an MLTable names that is in Azure or on the web already: read where it is, as azure-ai-ml reads it."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from azure.core import AsyncPipelineClient
from azure.core.exceptions import AzureError
from azure.core.pipeline.policies import UserAgentPolicy
from azure.core.rest import HttpRequest

from ..errors import AzureMachineLearningError, NotFoundError
from ..rest.transport import USER_AGENT
from ..specs import paths_in_mltable
from ..storage.container import Container
from ..storage.places import find_place

if TYPE_CHECKING:
    from ..rest.client import WorkspaceClient

log = logging.getLogger(__name__)

_IN_DATASTORE = re.compile(r"azureml://(.*/)?datastores/", re.I)
_LONGEST = 1 << 20  # bytes; it is a few lines of YAML
_CONNECT, _READ = 5, 20  # seconds; a worker need not reach what AzureML reaches


async def remote_uris(client: WorkspaceClient, path: str) -> list[str] | None:
    """
    Return the files, folders and patterns that the file ``MLTable`` in a folder names.

    :param path: the folder: in a datastore of blobs of the workspace, or ``https://`` that anybody may read.
    :return: None if it was not to be read here: AzureML may be able to, and azure-ai-ml goes on without it, too.
    :raises SpecError: it was read, and is no such file.
    """
    try:
        content = await _content(client, path)
    except (AzureMachineLearningError, AzureError) as error:
        log.info("The MLTable at %s is not looked into: %s", path.partition("?")[0], error)
        return None
    return None if content is None else paths_in_mltable(content, where=f"{path.partition('?')[0].rstrip('/')}/MLTable")


async def _content(client: WorkspaceClient, path: str) -> bytes | None:
    if path.startswith("https://"):
        return await _of_web(urljoin(path, "MLTable"))
    if not _IN_DATASTORE.match(path):
        return None
    place = await find_place(client, path)
    async with Container(client, place.datastore) as container:
        blob = f"{place.path.rstrip('/')}/MLTable".lstrip("/")
        stream = await (await container.client()).download_blob(blob, offset=0, length=_LONGEST)
        return bytes(await stream.readall())


async def _of_web(url: str) -> bytes:
    web: AsyncPipelineClient[Any, Any] = AsyncPipelineClient(
        url, policies=[UserAgentPolicy(USER_AGENT)], connection_timeout=_CONNECT, read_timeout=_READ
    )
    async with web:
        response = await web.send_request(HttpRequest("GET", url))
        if response.status_code != 200:
            raise NotFoundError(f"{urlsplit(url).hostname} answered {response.status_code}.")
        return bytes(response.content)[:_LONGEST]
