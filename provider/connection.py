"""From an Airflow connection to the coordinates of a workspace and a credential for it."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..datasets.workspace import Workspace
from .errors import ConnectionConfigurationError

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from azure.core.credentials import TokenCredential
    from azure.core.credentials_async import AsyncTokenCredential

CONN_TYPE = "azure_machine_learning"
DEFAULT_CONN_ID = "azure_machine_learning_default"

# The provider that this one succeeds stored its extras under prefixed keys; connections made for it keep working.
_LEGACY_PREFIX = f"extra__{CONN_TYPE}__"


@dataclass(frozen=True, slots=True)
class Cloud:
    """The hosts of one Azure cloud. Source: Microsoft's documentation of its sovereign clouds."""

    sdk_name: str
    authority: str
    resource_manager: str
    storage_scope: str
    studio: str
    registry_discovery: str

    @property
    def arm_scope(self) -> str:
        """The OAuth scope for Azure Resource Manager."""
        return f"{self.resource_manager}/.default"

    @property
    def ml_scope(self) -> str:
        """The OAuth scope for AzureML's own services: batch endpoints ask for it."""
        return f"{self.studio.replace('//studio.', '//')}/.default"


CLOUDS = {
    "AzurePublicCloud": Cloud(
        "AzureCloud",
        "https://login.microsoftonline.com",
        "https://management.azure.com",
        "https://storage.azure.com/.default",
        "https://ml.azure.com",
        "https://eastus.api.azureml.ms",
    ),
    "AzureChinaCloud": Cloud(
        "AzureChinaCloud",
        "https://login.chinacloudapi.cn",
        "https://management.chinacloudapi.cn",
        "https://storage.azure.com/.default",
        "https://studio.ml.azure.cn",
        "https://chinaeast2.api.ml.azure.cn",
    ),
    "AzureUSGovernment": Cloud(
        "AzureUSGovernment",
        "https://login.microsoftonline.us",
        "https://management.usgovcloudapi.net",
        "https://storage.azure.com/.default",
        "https://ml.azure.us",
        "https://usgovarizona.api.ml.azure.us",
    ),
}

# The connection form in Airflow's UI (provider info, "conn-fields"): key in the connection's extra -> label, help.
FORM_FIELDS = {
    "tenantId": ("Tenant ID", "Microsoft Entra tenant; needed together with a client ID"),
    "subscriptionId": ("Subscription ID", "GUID of the Azure subscription"),
    "resource_group_name": ("Resource group", "Resource group that the workspace is in"),
    "workspace_name": ("Workspace", "Name of the AzureML workspace"),
    "managed_identity_client_id": (
        "Managed identity client ID",
        "Without a client ID above: the user-assigned managed identity to use",
    ),
    "workload_identity_tenant_id": (
        "Workload identity tenant ID",
        "Without a client ID above: the tenant of the workload identity",
    ),
}


@dataclass(frozen=True, slots=True)
class WorkspaceConnection:
    """
    What an Airflow connection says: which workspace, which cloud, and who asks.

    Its text form holds no secret.

    :param conn_id: the connection's id, for messages.
    :param workspace: the workspace that it points to.
    :param cloud: the Azure cloud.
    :param tenant_id: the Microsoft Entra tenant of the client, if there is one.
    :param client_id: the service principal; None means DefaultAzureCredential.
    :param client_secret: its secret.
    """

    conn_id: str
    workspace: Workspace
    cloud: Cloud = CLOUDS["AzurePublicCloud"]
    tenant_id: str | None = None
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    managed_identity_client_id: str | None = None
    workload_identity_tenant_id: str | None = None

    @classmethod
    def from_airflow(cls, connection: Connection) -> WorkspaceConnection:
        """
        Read an Airflow connection of type ``azure_machine_learning``.

        ``login`` is the client id and ``password`` its secret; the extra holds the keys of ``FORM_FIELDS``, plainly or
        with the prefix ``extra__azure_machine_learning__``, and ``cloud_environment`` (``AzurePublicCloud``,
        ``AzureChinaCloud`` or ``AzureUSGovernment``). Without a client id, azure-identity's DefaultAzureCredential is
        used.

        :raises ConnectionConfigurationError: a field is missing or wrong; the message names it and the connection.
        """
        conn_id = connection.conn_id
        extra = _extra(connection)

        def required(key: str, why: str = "") -> str:
            if value := extra.get(key):
                return value
            raise ConnectionConfigurationError(
                f"Connection {conn_id!r} has no {key!r} in its extra ({FORM_FIELDS[key][0]}{why})."
            )

        coordinates = [required(key) for key in ("subscriptionId", "resource_group_name", "workspace_name")]
        if connection.login and not connection.password:
            raise ConnectionConfigurationError(
                f"Connection {conn_id!r} has a client id as login but no client secret as password. "
                "Give both, or neither to use azure-identity's DefaultAzureCredential."
            )
        cloud_name = extra.get("cloud_environment", "AzurePublicCloud")
        if cloud_name not in CLOUDS:
            raise ConnectionConfigurationError(
                f"Connection {conn_id!r}: cloud_environment {cloud_name!r} is not one of {', '.join(CLOUDS)}."
            )
        try:
            workspace = Workspace(*coordinates)
        except ValueError as error:
            raise ConnectionConfigurationError(f"Connection {conn_id!r}: {error}") from None
        return cls(
            conn_id=conn_id,
            workspace=workspace,
            cloud=CLOUDS[cloud_name],
            tenant_id=required("tenantId", ", needed with a client id") if connection.login else extra.get("tenantId"),
            client_id=connection.login or None,
            client_secret=connection.password if connection.login else None,
            managed_identity_client_id=extra.get("managed_identity_client_id"),
            workload_identity_tenant_id=extra.get("workload_identity_tenant_id"),
        )

    @property
    def principal(self) -> str:
        """Who asks, for messages."""
        return f"client id {self.client_id}" if self.client_id else "DefaultAzureCredential"

    @property
    def identity(self) -> tuple[str | None, ...]:
        """Who asks, for Azure: the same for all connections of one principal, whatever workspaces they point to."""
        if self.client_id:
            return (self.cloud.authority, self.tenant_id, self.client_id.lower())
        return (self.cloud.authority, None, self.managed_identity_client_id, self.workload_identity_tenant_id)

    def check_workspace(self, workspace: Workspace | None) -> None:
        """
        Refuse to go on if a task is meant for another workspace than the connection's.

        :param workspace: what the task's ``workspace=`` says; None agrees with all.
        :raises ConnectionConfigurationError: they differ. Its assets would announce what is elsewhere.
        """
        if workspace is not None and workspace != self.workspace:
            raise ConnectionConfigurationError(
                f"workspace= names {workspace.id}, but connection {self.conn_id!r} points to {self.workspace.id}. "
                "Use the connection of that workspace, or the Workspace of that connection. Nothing was changed."
            )

    def credential(self) -> TokenCredential:
        """Return a new credential for synchronous Azure clients; the caller closes it."""
        from azure.identity import ClientSecretCredential, DefaultAzureCredential

        return self._credential(ClientSecretCredential, DefaultAzureCredential)  # type: ignore[no-any-return]

    def async_credential(self) -> AsyncTokenCredential:
        """Return a new credential for asynchronous Azure clients; the caller closes it."""
        from azure.identity.aio import ClientSecretCredential, DefaultAzureCredential

        return self._credential(ClientSecretCredential, DefaultAzureCredential)  # type: ignore[no-any-return]

    def _credential(self, client_secret_credential: Any, default_credential: Any) -> Any:
        _quieten_azure_logging()
        if self.client_id:
            return client_secret_credential(
                self.tenant_id, self.client_id, self.client_secret, authority=self.cloud.authority
            )
        chosen = {
            "managed_identity_client_id": self.managed_identity_client_id,
            "workload_identity_tenant_id": self.workload_identity_tenant_id,
        }
        # Arguments that are None would switch off what azure-identity reads from the environment.
        return default_credential(
            authority=self.cloud.authority, **{key: value for key, value in chosen.items() if value}
        )


def _quieten_azure_logging() -> None:
    """Keep azure-core's record of each request, 15 lines at INFO, out of task logs; a level that somebody set stays."""
    for name in ("azure.core.pipeline.policies.http_logging_policy", "azure.identity"):
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)


def _extra(connection: Connection) -> dict[str, str]:
    """Return the connection's extra, old prefixed keys under their plain names, without empty values."""
    try:
        # Not connection.extra_dejson: it turns broken JSON into an empty extra, and it may not be used in an event
        # loop.
        raw = json.loads(connection.extra or "{}")
    except ValueError:
        raise ConnectionConfigurationError(f"Connection {connection.conn_id!r}: its extra is not JSON.") from None
    if not isinstance(raw, dict):
        raise ConnectionConfigurationError(f"Connection {connection.conn_id!r}: its extra is not a JSON object.")
    plain = {key: value for key, value in raw.items() if not key.startswith(_LEGACY_PREFIX)}
    legacy = {key.removeprefix(_LEGACY_PREFIX): raw[key] for key in raw if key.startswith(_LEGACY_PREFIX)}
    merged = {**legacy, **{key: value for key, value in plain.items() if value}}
    return {key: str(value).strip() for key, value in merged.items() if value}
