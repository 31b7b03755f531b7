"""ARM bodies to the values that this provider speaks of, and back. Pure; source of the shapes: the ARM REST API."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ...datasets.events import AssetVersion
from ...datasets.workspace import Kind
from ..errors import JobFailedError, RequestRefusedError, TransientError
from .states import JobOutcome, job_outcome

if TYPE_CHECKING:
    from ..connection import Cloud

_TYPE_FIELD = {Kind.MODEL: "modelType", Kind.DATA: "dataType"}
_URI_FIELD = {Kind.MODEL: "modelUri", Kind.DATA: "dataUri"}
_BLOB = re.compile(r"(https://[^/?]+\.blob\.[^/?]+)/([^/?]+)(?:/([^?]*))?", re.IGNORECASE)
_JOB_OUTPUT = re.compile(r"azureml://jobs/([^/]+)/outputs/", re.IGNORECASE)


def asset_version(kind: Kind, body: dict[str, Any]) -> AssetVersion:
    """Return the version that an ARM body of ``.../versions/V`` describes."""
    properties, system = body.get("properties") or {}, body.get("systemData") or {}
    # .../models/NAME/versions/VERSION: "name" in the body is the version's.
    name, version = body["id"].split("/")[-3], body["id"].split("/")[-1]
    return AssetVersion(
        kind=kind.value,
        name=name,
        version=version,
        id=body["id"],
        path=properties.get(_URI_FIELD[kind]) or "",
        type=properties.get(_TYPE_FIELD[kind]) or "",
        description=properties.get("description") or "",
        tags=properties.get("tags") or {},
        properties=properties.get("properties") or {},
        stage=properties.get("stage"),
        job_name=properties.get("jobName"),
        created_at=system.get("createdAt") or "",
        created_by=system.get("createdBy") or "",
    )


# key of a spec -> member of the body, where there is nothing to send without the key
_OPTIONAL_MEMBERS = {
    "description": "description",
    "stage": "stage",
    "auto_delete_setting": "autoDeleteSetting",
    "referenced_uris": "referencedUris",
}


def asset_version_body(kind: Kind, spec: dict[str, Any], uri: str, tags: dict[str, str]) -> dict[str, Any]:
    """
    Return the ARM body that makes a version: the members that azure-ai-ml sends, and no others.

    :param spec: a checked spec (specs.py).
    :param uri: where the bytes are.
    :param tags: put beside the spec's own tags.
    """
    properties: dict[str, Any] = {
        _TYPE_FIELD[kind]: spec["type"],
        _URI_FIELD[kind]: uri,
        "tags": {**spec.get("tags", {}), **tags},
        "properties": spec.get("properties", {}),
        "isAnonymous": False,
        "isArchived": False,
    }
    for key, member in _OPTIONAL_MEMBERS.items():
        if spec.get(key) is not None:
            properties[member] = spec[key]
    if isinstance(setting := properties.get("autoDeleteSetting"), dict):
        first, *others = str(setting.get("condition", "")).split("_")  # created_greater_than
        condition = first[:1].lower() + first[1:] + "".join(map(str.title, others))
        properties["autoDeleteSetting"] = {**setting, "condition": condition}
    if kind is Kind.MODEL:
        if flavors := spec.get("flavors"):
            properties["flavors"] = {name: {"data": data} for name, data in flavors.items()}
        if template := spec.get("default_deployment_template"):
            properties["defaultDeploymentTemplate"] = {"assetId": template.get("asset_id")}
        if templates := spec.get("allowed_deployment_templates"):
            properties["allowedDeploymentTemplates"] = [{"assetId": each.get("asset_id")} for each in templates]
        if template or templates:
            properties.pop("stage", None)  # the SDK sends either
        if job := _JOB_OUTPUT.match(uri):
            properties["jobName"] = job[1]
    return {"properties": properties}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """
    An AzureML job's facts.

    :param inputs: name -> ``{"type", "uri"}`` of what it reads; literals are left out.
    :param outputs: name -> ``{"type", "uri", "asset_name", "asset_version"}``; what AzureML does not say is None.
    :param created_at: ISO 8601.
    """

    name: str
    id: str
    status: str
    type: str = ""
    display_name: str = ""
    experiment_name: str = ""
    studio_url: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    created_at: str = ""
    created_by: str = ""

    @classmethod
    def from_body(cls, body: dict[str, Any]) -> Job:
        """Return the job that an ARM body of ``.../jobs/NAME`` describes."""
        properties, system = body.get("properties") or {}, body.get("systemData") or {}
        studio = (properties.get("services") or {}).get("Studio") or {}
        return cls(
            name=body["name"],
            id=body["id"],
            status=properties.get("status") or "",
            type=properties.get("jobType") or "",
            display_name=properties.get("displayName") or "",
            experiment_name=properties.get("experimentName") or "",
            studio_url=studio.get("endpoint") or "",
            tags=properties.get("tags") or {},
            inputs={
                name: {"type": value.get("jobInputType"), "uri": value["uri"]}
                for name, value in (properties.get("inputs") or {}).items()
                if value and value.get("uri")
            },
            outputs={
                name: {
                    "type": output.get("jobOutputType"),
                    "uri": output.get("uri") or f"azureml://jobs/{body['name']}/outputs/{name}",
                    "asset_name": output.get("assetName"),
                    "asset_version": output.get("assetVersion"),
                }
                for name, output in (properties.get("outputs") or {}).items()
                if output
            },
            created_at=system.get("createdAt") or "",
            created_by=system.get("createdBy") or "",
        )

    @property
    def outcome(self) -> JobOutcome:
        """What its status means to somebody who waits for it."""
        return job_outcome(self.status)

    @property
    def has_ended(self) -> bool:
        """Whether its status will not change any more."""
        return self.outcome.is_end

    def to_dict(self) -> dict[str, Any]:
        """Return all facts as JSON: what sensors return as XCom."""
        return asdict(self)

    def as_version(self) -> AssetVersion:
        """Return the job as what it is to its experiment: one of its versions, with the job's status as stage."""
        return AssetVersion(
            kind=Kind.EXPERIMENT.value,
            name=self.experiment_name,
            version=self.name,
            id=self.id,
            path=f"azureml://jobs/{self.name}",
            type=self.type,
            tags=self.tags,
            stage=self.status,
            job_name=self.name,
            created_at=self.created_at,
            created_by=self.created_by,
        )

    def failure(self, reason: str) -> JobFailedError:
        """Return the error for a job that did not end well, with the service's own reason."""
        return JobFailedError(
            f"AzureML job {self.name!r} is {self.status}. {reason} See {self.studio_url or self.id}", job=self.to_dict()
        )


def blob_place(uri: str) -> tuple[str, str, str]:
    """
    Return account URL, container and path of a blob's or folder's address.

    :raises ValueError: it is no ``https://ACCOUNT.blob.HOST/CONTAINER/...``.
    """
    match = _BLOB.fullmatch(uri)
    if match is None:
        raise ValueError(f"{uri.partition('?')[0]!r} is not the address of a blob.")
    return match[1], match[2], unquote(match[3] or "")


@dataclass(frozen=True, slots=True)
class Datastore:
    """
    A blob datastore of the workspace.

    :param has_credentials: whether the workspace keeps a key or SAS for it; otherwise the caller's identity is used.
    """

    name: str
    account_url: str
    container: str
    has_credentials: bool

    @classmethod
    def from_body(cls, body: dict[str, Any], cloud: Cloud) -> Datastore | None:
        """
        Return the datastore that an ARM body of ``.../datastores/NAME`` describes; None if it is not of blobs.

        :param cloud: whose storage it is in where the body does not say.
        """
        properties = body["properties"]
        if properties.get("datastoreType") not in ("AzureBlob", "AzureDataLakeGen2"):
            return None
        credentials = (properties.get("credentials") or {}).get("credentialsType") or "None"
        host = f"{properties['accountName']}.blob.{properties.get('endpoint') or cloud.storage}"
        return cls(
            name=body["name"],
            account_url=f"{properties.get('protocol') or 'https'}://{host}",
            container=properties.get("containerName") or properties["filesystem"],
            has_credentials=credentials != "None",
        )


def items_of(page: dict[str, Any]) -> list[dict[str, Any]]:
    """
    Return what a page of a list holds.

    :raises TransientError: it is no such page.
    """
    items = page.get("value") or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise TransientError(f"A list came in another shape than documented: {str(items)[:60]!r}.")
    return items


def next_link(page: dict[str, Any], links: set[str]) -> str | None:
    """
    Return the address of the next page of a list, or None after the last.

    :param links: those of the pages before; this one is added.
    :raises RequestRefusedError: it is one of them: such a list has no end.
    """
    if not (link := page.get("nextLink")):
        return None
    if link in links:
        raise RequestRefusedError("A list leads back to a page that it led to before, so it has no end.", status=200)
    links.add(link)
    return str(link)
