"""Where in storage something is: versions, datastore paths, outputs of jobs, to datastore and path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...datasets.events import AssetVersion
from ...datasets.workspace import Kind, Registry, Workspace, kind_of_type
from ..errors import NotFoundError, SpecError
from ..rest.bodies import Datastore, blob_place
from ..rest.registry_client import RegistryClient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ..rest.bodies import Job
    from ..rest.client import WorkspaceClient

_OWNER = (
    r"(?P<owner>azureml://subscriptions/[^/]+/resourcegroups/[^/]+(?:/providers/[^/]+)?/workspaces/[^/]+/|azureml://)"
)
_DATASTORE = re.compile(_OWNER + r"datastores/(?P<store>[^/]+)/(?:paths/)?(?P<path>.*)", re.I)
_JOB = re.compile(_OWNER + r"jobs/(?P<job>[^/]+)/outputs/(?P<output>[^/]+)/?(?:paths/)?(?P<path>.*)", re.I)
_VERSION = re.compile(
    r"(?:azureml:/?)?(?P<owner>/subscriptions/[^/]+/resourcegroups/[^/]+(?:/providers/[^/]+)?/workspaces/[^/]+)"
    r"/(?P<collection>models|data)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)/?",
    re.I,
)
_IN_REGISTRY = re.compile(
    r"azureml://registries/(?P<registry>[^/]+)/(?P<collection>models|data)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)/?",
    re.I,
)
_BY_GUID = re.compile(
    r"azureml://locations/[^/]+/workspaces/(?P<guid>[^/]+)"
    r"/(?P<collection>models|data)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)/?",
    re.I,
)
_ADLS = re.compile(r"(?:abfss?|wasbs?)://(?P<container>[^@/]+)@(?P<account>[^./]+)\.(?:dfs|blob)\.(?P<path>.+)", re.I)
# Where a job's own files are; source: JobOperations of azure-ai-ml, and the output `default` of recorded jobs.
_ARTIFACTS = ("artifacts", "default")
_ARTIFACT_STORE = "workspaceartifactstore"


@dataclass(frozen=True, slots=True)
class Place:
    """
    A path in a datastore of the workspace, or in a registry's storage.

    :param path: in the datastore's container, without a slash at its beginning.
    :param secret: gives a signature for a registry's storage, each time a new one.
    """

    datastore: Datastore
    path: str
    secret: Callable[[], Awaitable[str | None]] | None = None

    @property
    def abfss(self) -> str:
        """The path as adlfs (pandas), polars and others read it in place, with credentials of their own."""
        if self.secret is not None:
            raise SpecError(
                "It is in a registry, whose storage is read with the registry's signatures alone: download it."
            )
        host = self.datastore.account_url.partition("://")[2].replace(".blob.", ".dfs.", 1)
        return f"abfss://{self.datastore.container}@{host}/{self.path}"


async def find_place(client: WorkspaceClient, what: Any) -> Place:
    """
    Return where something is.

    :param what: an AssetVersion, or its dict (an XCom); the id of a version of data or a model, also as studio shows it
        (``azureml://locations/...``); a path of a datastore (``azureml://datastores/NAME/paths/...``, also in the long
        form); an output of a job (``azureml://jobs/NAME/outputs/OUTPUT/paths/...``; the job's own files, logs among
        them, are the output ``artifacts``); an address in Azure storage (``https://ACCOUNT.blob...``, ``abfss://``,
        ``wasbs://``), as versions have that were registered with one.
    :raises SpecError: it is none of these, of another workspace, or in a datastore that is not of blobs.
    :raises NotFoundError: it does not exist.
    """
    uri = _uri(what)
    if match := _IN_REGISTRY.fullmatch(uri):
        return await _of_registry(client, match)
    if match := _VERSION.fullmatch(uri):
        _check_owner(client, match["owner"], uri)
        return await _of_version(client, match)
    if match := _BY_GUID.fullmatch(uri):
        here = str((await client.get_workspace())["properties"].get("workspaceId") or "")
        if here.lower() != match["guid"].lower():
            raise SpecError(_elsewhere(client, uri))
        return await _of_version(client, match)
    if match := _DATASTORE.fullmatch(uri):
        _check_owner(client, match["owner"], uri)
        return Place(await client.get_datastore(match["store"]), match["path"].lstrip("/"))
    if match := _JOB.fullmatch(uri):
        _check_owner(client, match["owner"], uri)
        return await _of_job(client, match["job"], match["output"], match["path"])
    if address := _storage_address(uri):
        return await _at_address(client, *address)
    shown = uri.partition("?")[0]  # it may be signed
    raise SpecError(
        f"{shown!r} is invalid as what to download: give a version, its id (/subscriptions/.../versions/1 or "
        "azureml://registries/.../versions/1), a datastore's path (azureml://datastores/NAME/paths/...), a job's "
        "output (azureml://jobs/NAME/outputs/OUTPUT) or an address in Azure storage (https://ACCOUNT.blob.../..., "
        "abfss://..., without a signature)."
    )


def _uri(what: Any) -> str:
    if isinstance(what, Mapping):
        try:
            what = AssetVersion.from_dict(what)
        except ValueError as error:
            raise SpecError(str(error)) from None
    if isinstance(what, AssetVersion):
        return what.id if _IN_REGISTRY.fullmatch(what.id) else what.path or what.id
    if not isinstance(what, str) or what in ("", "None"):
        raise SpecError(
            f"There is nothing to download: {what!r} is no version and no URI. Did the task before return it?"
        )
    return what


def _check_owner(client: WorkspaceClient, owner: str, uri: str) -> None:
    here = client.connection.workspace
    if owner != "azureml://" and Workspace.from_id(owner) != here:
        raise SpecError(_elsewhere(client, uri))


def _elsewhere(client: WorkspaceClient, uri: str) -> str:
    here = client.connection.workspace
    return f"{uri} is of another workspace than connection {client.connection.conn_id!r} ({here.label})."


async def _of_version(client: WorkspaceClient, match: re.Match[str]) -> Place:
    kind = Kind.of_collection(match["collection"])
    assert kind is not None
    return await find_place(client, (await client.get_version(kind, match["name"], match["version"])).path)


def _storage_address(uri: str) -> tuple[str, str, str] | None:
    """Return account URL, container and path of an address in Azure storage."""
    if match := _ADLS.fullmatch(uri):
        suffix, _, path = match["path"].partition("/")
        return f"https://{match['account']}.blob.{suffix}", match["container"], path
    try:
        return blob_place(re.sub(r"^(https://[^./]+)\.dfs\.", r"\1.blob.", uri, flags=re.I))
    except ValueError:
        return None


async def _at_address(client: WorkspaceClient, account_url: str, container: str, path: str) -> Place:
    """Return a place in Azure storage: with the secret of the datastore that it is in, else as the identity."""
    if not isinstance(client, RegistryClient):
        async for _, datastore in client.list_datastores():
            if datastore and (datastore.account_url.lower(), datastore.container) == (account_url.lower(), container):
                return Place(datastore, path)
    return Place(Datastore(f"{account_url}/{container}", account_url, container, has_credentials=False), path)


async def _of_registry(client: WorkspaceClient, match: re.Match[str]) -> Place:
    kind = Kind.of_collection(match["collection"])
    assert kind is not None
    registry = RegistryClient.beside(client, Registry(match["registry"]))
    version = await registry.get_version(kind, match["name"], match["version"])
    try:
        _, _, path = blob_place(version.path)
    except ValueError as error:
        raise SpecError(f"The files of {version.id} are not in the registry's storage: {error}") from None
    files = (kind.collection, version.name, version.version, version.path)
    datastore, first = await registry.begin_download(*files)
    signatures = [first]

    async def secret() -> str | None:
        return signatures.pop() if signatures else (await registry.begin_download(*files))[1]

    return Place(datastore, path, secret)


async def _of_job(client: WorkspaceClient, name: str, output: str, path: str) -> Place:
    if output in _ARTIFACTS:
        await client.get_job(name)
        below = f"ExperimentRun/dcid.{name}/{path}".rstrip("/")
        return Place(await client.get_datastore(_ARTIFACT_STORE), below)
    job = await client.get_job(name)
    if output not in job.outputs:
        known = ", ".join(sorted(job.outputs)) or "none"
        raise NotFoundError(f"Job {name!r} has no output {output!r}; it has {known}, and its own files as 'artifacts'.")
    uri = str(job.outputs[output].get("uri") or "")
    # Where AzureML chose the place, ARM does not say which; run history names the version that the output became.
    if not _DATASTORE.fullmatch(uri) or "${{" in uri:
        uri = await _output_in_run_history(client, job, output)
    place = await find_place(client, uri)
    return Place(place.datastore, "/".join(part for part in (place.path.rstrip("/"), path) if part))


async def _output_in_run_history(client: WorkspaceClient, job: Job, output: str) -> str:
    if uri := await client.history.output_uri(job.name, output):
        return uri
    made = (await client.history.registered_outputs(job.name, job.type)).get(output)
    if made is None or not made.version:
        raise NotFoundError(
            f"Output {output!r} of job {job.name!r} has not been written: run history does not know it."
        )
    kind = made.kind or kind_of_type(job.outputs[output]["type"])
    return (await client.get_version(kind, made.name, made.version)).path
