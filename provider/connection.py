"""From an Airflow connection to the coordinates of a workspace and a credential for it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..datasets.workspace import Registry, Workspace
from .errors import AzureMachineLearningError, ConnectionConfigurationError
from .sign_in import METHODS, SignIn, sign_in_refused

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from azure.core.credentials import TokenCredential
    from azure.core.credentials_async import AsyncTokenCredential

CONN_TYPE = "azure_machine_learning"
DEFAULT_CONN_ID = "azure_machine_learning_default"

# Connections of the `azure` type, of apache-airflow-providers-microsoft-azure, can be referred to for who signs in.
AZURE_CONN_TYPE = "azure"


@dataclass(frozen=True, slots=True)
class Cloud:
    """The hosts of one Azure cloud. Source: Microsoft's documentation of its sovereign clouds."""

    sdk_name: str
    authority: str
    resource_manager: str
    storage: str
    studio: str
    registry_discovery: str
    services: tuple[str, ...]

    def owns(self, host: str) -> bool:
        """Return whether Resource Manager or one of AzureML's services answers at a host."""
        names = (self.resource_manager.removeprefix("https://"), *self.services)
        return any(host == name or host.endswith(f".{name}") for name in names)

    @property
    def arm_scope(self) -> str:
        """The OAuth scope for Azure Resource Manager."""
        return f"{self.resource_manager}/.default"

    @property
    def storage_scope(self) -> str:
        """The OAuth scope for storage, the same in all clouds."""
        return "https://storage.azure.com/.default"

    @property
    def ml_scope(self) -> str:
        """The OAuth scope for AzureML's own services: batch endpoints ask for it."""
        return f"{self.studio.replace('//studio.', '//')}/.default"


CLOUDS = {
    "AzurePublicCloud": Cloud(
        "AzureCloud",
        "https://login.microsoftonline.com",
        "https://management.azure.com",
        "core.windows.net",
        "https://ml.azure.com",
        "https://eastus.api.azureml.ms",
        ("azureml.ms", "azureml.net", "ml.azure.com"),
    ),
    "AzureChinaCloud": Cloud(
        "AzureChinaCloud",
        "https://login.chinacloudapi.cn",
        "https://management.chinacloudapi.cn",
        "core.chinacloudapi.cn",
        "https://studio.ml.azure.cn",
        "https://chinaeast2.api.ml.azure.cn",
        ("ml.azure.cn",),
    ),
    "AzureUSGovernment": Cloud(
        "AzureUSGovernment",
        "https://login.microsoftonline.us",
        "https://management.usgovcloudapi.net",
        "core.usgovcloudapi.net",
        "https://ml.azure.us",
        "https://usgovarizona.api.ml.azure.us",
        ("ml.azure.us",),
    ),
}

# The connection form in Airflow's UI (provider info, "conn-fields"): key in the connection's extra -> label, help.
FORM_FIELDS = {
    "subscriptionId": ("Subscription ID", "GUID of the Azure subscription"),
    "resource_group_name": ("Resource group", "Resource group that the workspace is in"),
    "workspace_name": ("Workspace", "Name of the AzureML workspace"),
    "tenantId": ("Tenant ID", "Microsoft Entra tenant; required with a client secret or certificate"),
    "auth": ("Sign in with", "Empty: by what is filled in"),
    "certificate_path": ("Certificate file", "On workers and triggerers: certificate and private key, PEM or PKCS12"),
    "certificate_data": ("Certificate", "Instead of the file: PEM, or base64 of PEM or PKCS12"),
    "certificate_password": ("Certificate password", "If the private key is encrypted"),
    "managed_identity_client_id": ("Managed identity client ID", "The user-assigned managed identity to use"),
    "workload_identity_tenant_id": ("Workload identity tenant ID", "The tenant of the workload identity"),
    "federated_token_file": ("Federated token file", "Of a workload identity; empty: AZURE_FEDERATED_TOKEN_FILE"),
    "azure_conn_id": ("Azure connection", "Id of a connection of type azure that says who signs in, instead of this"),
    "registry_name": ("Registry", "Name of an AzureML registry, instead of a workspace"),
    "cloud_environment": ("Azure cloud", "The Azure cloud that the workspace is in; empty: AzurePublicCloud"),
}
REQUIRED_FIELDS = ("subscriptionId", "resource_group_name", "workspace_name")
SECRET_FIELDS = ("certificate_data", "certificate_password")
CHOICES = {"auth": tuple(METHODS), "cloud_environment": tuple(CLOUDS)}
UNCHOSEN = {"auth": "by what is filled in", "cloud_environment": "AzurePublicCloud, as nothing is chosen"}


@dataclass(frozen=True, slots=True)
class WorkspaceConnection:
    """
    What an Airflow connection says: which workspace or registry, which cloud, and who asks.

    Its text form holds no secret.

    :param conn_id: the connection's id, for messages. Two that differ in it alone are equal: they ask the same.
    :param owner: the workspace, or the registry, that it points to.
    :param cloud: the Azure cloud.
    :param sign_in: who signs in, and how.
    """

    conn_id: str = field(compare=False)
    owner: Workspace | Registry
    cloud: Cloud = CLOUDS["AzurePublicCloud"]
    sign_in: SignIn = field(default_factory=SignIn)
    api_version: str | None = None

    @classmethod
    def from_airflow(cls, connection: Connection, azure: Connection | None = None) -> WorkspaceConnection:
        """
        Read an Airflow connection of type ``azure_machine_learning``.

        ``login`` is the client id and ``password`` its secret; the extra holds the keys of ``FORM_FIELDS``, plainly or
        with the prefix ``extra__azure_machine_learning__``. ``api_version`` there replaces the table of
        ``rest/api_versions.py``, for a cloud that does not serve one of them.

        :param azure: the connection of type ``azure`` that ``azure_conn_id`` names; it says who signs in.
        :raises ConnectionConfigurationError: a field is missing or wrong; the message names it and the connection.
        """
        conn_id, extra = connection.conn_id, read_extra(connection)
        signing, fields = (azure, read_extra(azure)) if azure is not None else (connection, extra)
        if azure is not None and (connection.login or connection.password):
            raise ConnectionConfigurationError(
                f"Connection {conn_id!r} has a login or password of its own, and an azure_conn_id: take one away."
            )
        cloud = extra.get("cloud_environment") or fields.get("cloud_environment") or "AzurePublicCloud"
        if cloud not in CLOUDS:
            raise ConnectionConfigurationError(
                f"Connection {conn_id!r}: cloud_environment {cloud!r} is not one of {', '.join(CLOUDS)}."
            )
        return cls(
            conn_id=conn_id,
            owner=_owner(conn_id, {"subscriptionId": fields.get("subscriptionId", ""), **extra}),
            cloud=CLOUDS[cloud],
            sign_in=SignIn.from_fields(
                signing.conn_id, login=signing.login or None, password=signing.password or None, extra=fields
            ),
            api_version=extra.get("api_version"),
        )

    @property
    def workspace(self) -> Workspace:
        """
        The workspace.

        :raises ConnectionConfigurationError: the connection points to a registry alone.
        """
        if isinstance(self.owner, Workspace):
            return self.owner
        raise ConnectionConfigurationError(
            f"Connection {self.conn_id!r} points to registry {self.owner.name!r} alone, and this needs a workspace: "
            "use a connection with 'subscriptionId', 'resource_group_name' and 'workspace_name' in its extra."
        )

    @property
    def tenant_id(self) -> str | None:
        """The Microsoft Entra tenant, if it is known."""
        return self.sign_in.tenant_id

    @property
    def who(self) -> str:
        """The connection and what it points to, for messages."""
        noun = "workspace" if isinstance(self.owner, Workspace) else "registry"
        return f"Connection {self.conn_id!r} ({noun} {self.owner.label.removeprefix('registries/')})"

    @property
    def identity(self) -> tuple[str | None, ...]:
        """The principal, as Azure sees it: the same for all its connections, whatever workspaces they point to."""
        return (self.cloud.authority, *self.sign_in.identity)

    def for_owner(self, owner: Workspace | Registry | None) -> WorkspaceConnection:
        """
        Return the connection to what a task's ``workspace=`` says.

        A registry is reached as the identity that a connection signs in, also one to a workspace.

        :param owner: the workspace or registry; None: what the connection points to.
        :raises ConnectionConfigurationError: the connection points to another one. Assets would announce what is
            elsewhere.
        """
        if owner is None or owner == self.owner:
            return self
        if isinstance(owner, Registry):
            if isinstance(self.owner, Workspace):
                return replace(self, owner=owner)
            raise ConnectionConfigurationError(
                f"workspace= names registry {owner.name!r}, but connection {self.conn_id!r} points to registry "
                f"{self.owner.name!r}. Use another connection. Nothing was changed."
            )
        raise ConnectionConfigurationError(
            f"workspace= names {owner.id}, but connection {self.conn_id!r} points to {self.workspace.id}. "
            "Use the connection of that workspace, or the Workspace of that connection. Nothing was changed."
        )

    def sign_in_refused(self, error: Exception) -> AzureMachineLearningError:
        """Return the error for a sign-in that failed, of what azure-identity raised."""
        return sign_in_refused(self.sign_in, self.who, self.cloud.authority, error)

    def credential(self) -> TokenCredential:
        """Return a new credential for synchronous Azure clients; the caller closes it."""
        return self.sign_in.credential(self.conn_id, self.cloud.authority)

    def async_credential(self) -> AsyncTokenCredential:
        """Return a new credential for asynchronous Azure clients; the caller closes it."""
        return self.sign_in.async_credential(self.conn_id, self.cloud.authority)


def _owner(conn_id: str, extra: dict[str, str]) -> Workspace | Registry:
    registry = extra.get("registry_name")
    if registry and extra.get("workspace_name"):
        raise ConnectionConfigurationError(
            f"Connection {conn_id!r} has a 'workspace_name' and a 'registry_name' in its extra: take one of them away."
        )
    try:
        if registry:
            return Registry(registry)
        for key in REQUIRED_FIELDS:
            if not extra.get(key):
                raise ConnectionConfigurationError(
                    f"Connection {conn_id!r} has no {key!r} in its extra ({FORM_FIELDS[key][0]})."
                )
        return Workspace(*(extra[key] for key in REQUIRED_FIELDS))
    except ValueError as error:
        raise ConnectionConfigurationError(f"Connection {conn_id!r}: {error}") from None


def azure_conn_id(connection: Connection) -> str | None:
    """Return the id of the connection of type ``azure`` that says who signs in, if this one names one."""
    return read_extra(connection).get("azure_conn_id")


def read_extra(connection: Connection) -> dict[str, str]:
    """
    Return a connection's extra, old prefixed keys under their plain names, without empty values.

    The form of Airflow 2 stored extras under keys with the connection type's prefix, and so did the provider that this
    one succeeds; connections made there keep working.

    :raises ConnectionConfigurationError: it is not a JSON object.
    """
    try:
        # Not connection.extra_dejson: it turns broken JSON into an empty extra, and it may not be used in an event
        # loop.
        raw = json.loads(connection.extra or "{}")
    except ValueError:
        raise ConnectionConfigurationError(f"Connection {connection.conn_id!r}: its extra is not JSON.") from None
    if not isinstance(raw, dict):
        raise ConnectionConfigurationError(f"Connection {connection.conn_id!r}: its extra is not a JSON object.")
    prefixes = tuple(f"extra__{conn_type}__" for conn_type in (CONN_TYPE, AZURE_CONN_TYPE))
    plain = {key: value for key, value in raw.items() if value and not key.startswith(prefixes)}
    old = {key.split("__", 2)[2]: value for key, value in raw.items() if value and key.startswith(prefixes)}
    return {key: str(value).strip() for key, value in {**old, **plain}.items() if str(value).strip()}
