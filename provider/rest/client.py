"""The provider's own client of AzureML's REST API: all reads, asset versions, cancel. Asynchronous, without the SDK."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from ...datasets.events import parse_time
from ...datasets.workspace import Kind
from ..errors import NotFoundError, SpecError, TransientError
from .api_versions import api_version
from .bodies import Datastore, Job, asset_version, items_of, next_link
from .run_history import RunHistory
from .transport import Answer, Transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from ...datasets.events import AssetVersion
    from ..connection import WorkspaceConnection

_PAGE_TRIES = 6


class WorkspaceClient:
    """
    One workspace, over ARM REST.

    ::

        async with WorkspaceClient(connection) as client:
            job = await client.get_job("keen_gold_abc")

    Its methods raise the errors of ``errors.py``. Source: REST API reference of Azure Machine Learning.

    :param connection: which workspace, and who asks.
    :param transport: a pipeline to share; it is then not closed here.
    :param retry: whether a request is repeated when the service is busy. Waiters, who come again anyway, say no.
    :param reader: on whose behalf it reads; readers take turns at the budget of reads (``read_budget.py``).
    """

    def __init__(
        self,
        connection: WorkspaceConnection,
        *,
        transport: Transport | None = None,
        retry: bool = True,
        reader: str = "",
    ) -> None:
        self.connection = connection
        self._transport = transport or Transport(connection)
        self._owns_transport = transport is None
        self._retry = retry
        self._reader = reader
        self.pages = 0  # of lists, that were read
        self.history = RunHistory(self)
        """The workspace's run history, which is looked for once."""

    async def __aenter__(self) -> Self:
        if self._owns_transport:
            await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owns_transport:
            await self._transport.__aexit__(kind, error, trace)

    async def _root(self) -> str:
        """Return what the paths of all requests begin with."""
        return self.connection.workspace.id

    def _api_version(self, path: str, asked: str | None) -> str:
        """Return the api-version of a path below the workspace: the connection's, else the caller's or the table's."""
        own = None if path.startswith("/providers/") else self.connection.api_version  # those are other services
        return own or asked or api_version(path)

    async def _send(
        self, method: str, path: str, *, params: dict[str, str] | None = None, json: Any = None, retry: bool = True
    ) -> Answer:
        params = params or {}
        return await self._transport.request(
            method,
            f"{await self._root()}{path}",
            params={**params, "api-version": self._api_version(path, params.get("api-version"))},
            json=json,
            retry=retry and self._retry,
            reader=self._reader,
        )

    async def _get(self, path: str, params: dict[str, str] | None = None) -> dict[str, Any]:
        body = (await self._send("GET", path, params=params)).body
        if not isinstance(body, dict):
            raise TransientError(f"GET {path} was answered in another shape than documented: {str(body)[:60]!r}.")
        return body

    async def _list(self, path: str, params: dict[str, str]) -> AsyncIterator[dict[str, Any]]:
        async for page in self._pages(path, params):
            for item in page:
                yield item

    async def _pages(self, path: str, params: dict[str, str]) -> AsyncIterator[list[dict[str, Any]]]:
        page = await self._get(path, params)
        self.pages += 1
        links: set[str] = set()
        while True:
            yield items_of(page)
            if not (link := next_link(page, links)):
                return
            page = await self._next_page(link)
            self.pages += 1

    async def _next_page(self, link: str) -> dict[str, Any]:
        """
        Return a further page of a list, in several tries if need be.

        Listing anew begins with page one: a long list in which a page is refused now and then would never end.
        """
        for tries_left in reversed(range(_PAGE_TRIES)):
            try:
                page = (await self._transport.request("GET", link, retry=self._retry, reader=self._reader)).body
                return page if isinstance(page, dict) else {}
            except TransientError as error:
                if not tries_left:
                    raise
                await asyncio.sleep(1.0 if error.retry_after is None else error.retry_after)
        raise AssertionError("unreachable")

    async def request(
        self, method: str, url: str, *, params: dict[str, str] | None = None, json: Any = None
    ) -> dict[str, Any]:
        """Ask one of AzureML's other services, at an absolute URL, and return its JSON; nothing is changed by it."""
        answer = await self._transport.request(
            method, url, params=params, json=json, retry=self._retry, reader=self._reader
        )
        body = answer.body
        return body if isinstance(body, dict) else {}

    async def get_resource(self, *path: str, params: dict[str, str] | None = None) -> dict[str, Any]:
        """
        Return anything below the workspace as ARM describes it: ``get_resource("computes", "cpu")``.

        :param params: query parameters, another api-version among them.
        :raises NotFoundError: it does not exist.
        """
        return await self._get("".join(f"/{_segment(part)}" for part in path), params)

    async def get_permissions(self) -> list[dict[str, Any]]:
        """
        Return what each role of the caller allows in the workspace: ``[{"actions": [...], "notActions": [...]}]``.

        Source: ARM's "Permissions - List For Resource".
        """
        path = "/providers/Microsoft.Authorization/permissions"
        return list((await self._get(path, {"api-version": "2022-04-01"})).get("value") or ())

    async def find_resource(self, *path: str, params: dict[str, str] | None = None) -> dict[str, Any] | None:
        """Return the same, or None if it does not exist."""
        try:
            return await self.get_resource(*path, params=params)
        except NotFoundError:
            return None

    async def get_page(self, *path: str, params: dict[str, str], link: str | None = None) -> dict[str, Any]:
        """
        Return a page of a list as it is: ``{"value": [...], "nextLink": ...}``.

        :param path: of the list, below the workspace.
        :param link: the page's address, as the page before it gave it; None: the first page.
        """
        if link is None:
            return await self._get("".join(f"/{_segment(part)}" for part in path), params)
        page = (await self._transport.request("GET", link, retry=self._retry, reader=self._reader)).body
        return page if isinstance(page, dict) else {}

    async def change_resource(
        self, method: str, *path: str, json: Any = None, params: dict[str, str] | None = None, retry: bool = True
    ) -> Answer:
        """
        Make, change, delete or act on something below the workspace.

        :param retry: whether it is repeated when the service is busy or the answer is lost: for what may be done twice.
        """
        where = "".join(f"/{_segment(part)}" for part in path)
        return await self._send(method, where, json=json, params=params, retry=retry)

    # Workspace and datastores

    async def get_workspace(self) -> dict[str, Any]:
        """Return the workspace as ARM describes it."""
        return await self._get("")

    async def get_datastore(self, name: str | None = None) -> Datastore:
        """
        Return a blob datastore.

        :param name: its name; None for the workspace's default datastore.
        :raises NotFoundError: there is none of that name.
        :raises SpecError: it is not of blobs, so nothing can be uploaded there.
        """
        if name is None:
            body = await anext(self._list("/datastores", {"isDefault": "true"}), None)
            if body is None:
                raise NotFoundError(f"Workspace {self.connection.workspace.label} has no default datastore.")
        else:
            body = await self._get(f"/datastores/{_segment(name)}")
        if (datastore := Datastore.from_body(body, self.connection.cloud)) is None:
            raise SpecError(
                f"Datastore {body['name']!r} is of type {body['properties'].get('datastoreType')}; "
                "uploads need one of Azure Blob Storage."
            )
        return datastore

    async def list_datastores(self) -> AsyncIterator[tuple[str, Datastore | None]]:
        """Yield the name of each datastore, and where it is if it is of blobs."""
        async for body in self._list("/datastores", {}):
            yield body["name"], Datastore.from_body(body, self.connection.cloud)

    async def get_datastore_secret(self, name: str) -> str:
        """
        Return the shared access signature or account key that the workspace keeps for a datastore.

        It asks for one that expires in an hour, as the SDK does; the service answers with a SAS.
        """
        answer = await self._send(
            "POST", f"/datastores/{_segment(name)}/listSecrets", json={"expirableSecret": True, "expireAfterHours": 1}
        )
        return str(answer.body.get("sasToken") or answer.body.get("key") or "")

    # Model and data versions

    async def get_version(self, kind: Kind, name: str, version: str) -> AssetVersion:
        """
        Return a version, archived or not.

        :raises NotFoundError: it does not exist.
        """
        return asset_version(kind, await self._get(_versions(kind, name, version)))

    async def list_versions(self, kind: Kind, name: str, *, top: int | None = None) -> AsyncIterator[AssetVersion]:
        """
        Yield the versions that are not archived, newest first.

        :param top: how many the caller will take at most, or None.
        :raises NotFoundError: there is no asset of that name.
        """
        params = {"$orderBy": "createdtime desc", "listViewType": "ActiveOnly"} | ({"$top": str(top)} if top else {})
        async for body in self._list(_versions(kind, name), params):
            yield asset_version(kind, body)

    async def find_newest(self, kind: Kind, name: str) -> AssetVersion | None:
        """
        Return the newest version that is not archived, or None if there is none.

        A list may not show yet what was made a moment ago; the asset itself, read by its name, tells its latest
        version. Whichever of the two was made later counts.
        """
        try:
            listed = await anext(self.list_versions(kind, name, top=1), None)
        except NotFoundError:
            return None
        asset = await self.find_resource(kind.collection, name) or {}
        latest = (asset.get("properties") or {}).get("latestVersion")
        if not latest or (listed and listed.version == latest):
            return listed
        body = await self.find_resource(kind.collection, name, "versions", str(latest)) or {}
        if not body or body["properties"].get("isArchived"):
            return listed
        told = asset_version(kind, body)
        return told if listed is None or parse_time(told.created_at) > parse_time(listed.created_at) else listed

    async def list_changed_versions(self, kind: Kind, name: str) -> AsyncIterator[tuple[AssetVersion, str]]:
        """
        Yield the versions that are not archived, each with when it was last changed (ISO 8601, or empty).

        What changed last comes first, if the service does as it is asked: the specification has the order for data, and
        for models just "ordering of list".

        :raises RequestRefusedError: the service knows no such order.
        """
        params = {"$orderBy": "modifiedtime desc", "listViewType": "ActiveOnly"}
        async for body in self._list(_versions(kind, name), params):
            yield asset_version(kind, body), str((body.get("systemData") or {}).get("lastModifiedAt") or "")

    async def list_all_versions(self, kind: Kind, name: str) -> AsyncIterator[tuple[AssetVersion, bool]]:
        """
        Yield all versions, newest first, each with whether it is archived.

        :raises NotFoundError: there is no asset of that name.
        """
        async for body in self._list(_versions(kind, name), {"$orderBy": "createdtime desc", "listViewType": "All"}):
            yield asset_version(kind, body), bool((body.get("properties") or {}).get("isArchived"))

    async def list_fingerprints(self, kind: Kind) -> AsyncIterator[tuple[str, str]]:
        """
        Yield the name of each asset with a text that changes when it gets a version: one (paged) request for all.

        Archived names are left out. The text holds all that ARM says of the container and its newest version, which
        it begins with: ``LATEST|...``.
        """
        async for body in self._list(f"/{kind.collection}", {"listViewType": "ActiveOnly"}):
            yield body["name"], _fingerprint(body)

    async def find_fingerprint(self, kind: Kind, name: str) -> str | None:
        """Return the same text for one name, or None if it does not exist."""
        body = await self.find_resource(kind.collection, name)
        return None if body is None else _fingerprint(body)

    async def get_next_version(self, kind: Kind, name: str) -> str:
        """Return the version that AzureML would give to the next one; ``"1"`` for a name that does not exist yet."""
        try:
            container = await self._get(f"/{kind.collection}/{_segment(name)}")
        except NotFoundError:
            return "1"
        return str((container.get("properties") or {}).get("nextVersion") or "1")

    async def put_version(self, kind: Kind, name: str, version: str, body: dict[str, Any]) -> AssetVersion:
        """
        Make a version, or update one that exists (AzureML does not tell them apart beforehand).

        Never repeated here: the caller must first check whether an attempt that got no answer acted after all.
        """
        answer = await self._send("PUT", _versions(kind, name, version), json=body, retry=False)
        return asset_version(kind, answer.body)

    async def update_version(self, kind: Kind, name: str, version: str, properties: dict[str, Any]) -> AssetVersion:
        """Change a version that exists to have these properties, and return it."""
        body = {"properties": properties}
        return asset_version(kind, (await self._send("PUT", _versions(kind, name, version), json=body)).body)

    # Jobs

    async def get_job(self, name: str) -> Job:
        """
        Return a job.

        Of a pipeline's step ARM says nothing but that it exists; run history knows its status.

        :raises NotFoundError: there is none of that name.
        """
        job = Job.from_body(await self._get(f"/jobs/{_segment(name)}"))
        return job if job.status else await self.history.completed_job(job)

    async def find_job(self, name: str) -> Job | None:
        """Return a job, or None if there is none of that name."""
        try:
            return await self.get_job(name)
        except NotFoundError:
            return None

    async def list_jobs(self, *, tag: str | None = None) -> AsyncIterator[Job]:
        """
        Yield the workspace's jobs that are not archived, in the service's order (newest first; not documented).

        :param tag: only those that have a tag of this name, whatever its value.
        """
        async for page in self.list_job_pages(tag=tag):
            for job in page:
                yield job

    async def list_job_pages(self, *, tag: str | None = None) -> AsyncIterator[list[Job]]:
        """Yield the same page by page, for those who care what each costs."""
        async for page in self._pages("/jobs", {"listViewType": "ActiveOnly"} | ({"tag": tag} if tag else {})):
            yield [Job.from_body(body) for body in page]

    async def cancel_job(self, name: str) -> None:
        """Ask AzureML to cancel a job; it becomes Canceled a while later."""
        await self._send("POST", f"/jobs/{_segment(name)}/cancel")


def _segment(name: str) -> str:
    return quote(name, safe="")


def _fingerprint(body: dict[str, Any]) -> str:
    properties, system = body.get("properties") or {}, body.get("systemData") or {}
    marks = (properties.get("latestVersion"), properties.get("nextVersion"), system.get("createdAt"))
    return "|".join(str(mark) for mark in (*marks, system.get("lastModifiedAt")))


def _versions(kind: Kind, name: str, version: str | None = None) -> str:
    path = f"/{kind.collection}/{_segment(name)}/versions"
    return path if version is None else f"{path}/{_segment(version)}"
