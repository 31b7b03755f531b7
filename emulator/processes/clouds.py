"""Azure's clouds: the same services under other host names.

Within the emulator everything has the names of the public cloud. The host of a call says which cloud is meant, and what
comes in and goes out is changed for that cloud's names at the edge (`wire/application.py`).

Sources: azure-ai-ml's table of clouds; Microsoft's pages on national clouds and on the DNS names of AzureML's private
endpoints. What `experiments` and `models` are called outside the public cloud is not documented; clients take it from
what the service answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cloud:
    """The names of one cloud, in the order of the public cloud's; `tokens` is the resource of AzureML's own tokens."""

    login: str
    resource_manager: str
    storage: str
    services: str
    experiments: str
    models: str
    endpoints: str
    notebooks: str
    studio: str
    tokens: str

    @property
    def names(self) -> tuple[str, ...]:
        """What differs from cloud to cloud in addresses; with slashes where a part of a name is a name, too."""
        services = (self.services, self.experiments, self.models, self.endpoints, self.notebooks)
        return (self.login, self.resource_manager, self.storage, *services, f"//{self.studio}")

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names for certificates; `*` stands for one part of a name."""
        storage = (f"*.{service}.{self.storage}" for service in ("blob", "queue", "table"))
        return (
            *(self.login, self.resource_manager),
            *(f"*.{name}" for name in (self.services, self.experiments, self.endpoints)),
            *storage,
        )

    @property
    def audiences(self) -> tuple[str, ...]:
        """The resources of tokens that only this cloud has: those of Resource Manager (two names) and of AzureML."""
        manager = self.resource_manager
        return (f"https://{manager}", f"https://{manager.replace('.', '.core.', 1)}", f"https://{self.tokens}")

    def inward(self, text: str) -> str:
        """Return a text with the public cloud's names in place of this one's."""
        return _renamed(text, self, PUBLIC)

    def outward(self, text: str) -> str:
        """Return a text with this cloud's names in place of the public one's."""
        return _renamed(text, PUBLIC, self)


def _renamed(text: str, old: Cloud, new: Cloud) -> str:
    if old is new:
        return text
    names = dict(zip(old.names, new.names, strict=True))
    return re.sub("|".join(map(re.escape, names)), lambda found: names[found[0]], text)


PUBLIC = Cloud(
    login="login.microsoftonline.com",
    resource_manager="management.azure.com",
    storage="core.windows.net",
    services="api.azureml.ms",
    experiments="experiments.azureml.net",
    models="modelmanagement.azureml.net",
    endpoints="inference.ml.azure.com",
    notebooks="notebooks.azure.net",
    studio="ml.azure.com",
    tokens="ml.azure.com",
)
CHINA = Cloud(
    login="login.chinacloudapi.cn",
    resource_manager="management.chinacloudapi.cn",
    storage="core.chinacloudapi.cn",
    services="api.ml.azure.cn",
    experiments="experiments.ml.azure.cn",
    models="modelmanagement.ml.azure.cn",
    endpoints="inference.ml.azure.cn",
    notebooks="notebooks.chinacloudapi.cn",
    studio="studio.ml.azure.cn",
    tokens="ml.azure.cn",
)
US_GOVERNMENT = Cloud(
    login="login.microsoftonline.us",
    resource_manager="management.usgovcloudapi.net",
    storage="core.usgovcloudapi.net",
    services="api.ml.azure.us",
    experiments="experiments.ml.azure.us",
    models="modelmanagement.ml.azure.us",
    endpoints="inference.ml.azure.us",
    notebooks="notebooks.usgovcloudapi.net",
    studio="ml.azure.us",
    tokens="ml.azure.us",
)
CLOUDS = (PUBLIC, CHINA, US_GOVERNMENT)


def cloud_of(host: str) -> Cloud:
    """Return the cloud that a host belongs to; the public one for any other."""
    return next((cloud for cloud in CLOUDS if host.endswith(cloud.names[:-1])), PUBLIC)


def home_of(resource: str) -> Cloud | None:
    """Return the cloud that alone has tokens for a resource; None where all have them, as for storage."""
    return next((cloud for cloud in CLOUDS if resource.rstrip("/").lower() in cloud.audiences), None)
