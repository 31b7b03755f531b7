"""Where AzureML assets live: workspaces and registries, as frozen identities that make Airflow assets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from airflow.sdk import Asset, AssetAlias

_SUBSCRIPTION = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_RESOURCE_GROUP = re.compile(r"[-\w.()]{0,89}[-\w()]")
_WORKSPACE = re.compile(r"[a-z0-9][a-z0-9_-]{1,32}")
ASSET_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")
"""What the service takes as a name; `check_asset_name` says the source."""
_ARM_ID = re.compile(
    r"(?:azureml:/)?/subscriptions/([^/]+)/resourcegroups/([^/]+)"
    r"(?:/providers/Microsoft\.MachineLearningServices)?/workspaces/([^/]+)/?",
    re.IGNORECASE,
)

_REGISTRY = "azureml://registries/"


class Kind(StrEnum):
    """The kinds of AzureML thing that have an Airflow asset."""

    MODEL = "model"
    DATA = "data"
    EXPERIMENT = "experiment"

    @property
    def collection(self) -> str:
        """The word for many of them in AzureML's ids and in ARM's paths: ``models``, ``data``, ``experiments``."""
        return "data" if self is Kind.DATA else f"{self}s"

    @property
    def noun(self) -> str:
        """The word for one of them in a sentence: ``model``, ``data asset``, ``experiment``."""
        return "data asset" if self is Kind.DATA else self.value

    @classmethod
    def of_collection(cls, collection: str) -> Kind | None:
        """Return the kind whose collection has this name in any case, or None."""
        return next((kind for kind in cls if kind.collection == collection.lower()), None)


def kind_of_type(io_type: object) -> Kind:
    """Return what a job's input or output is a version of, by its type: ``mlflow_model``, ``uri_folder`` ..."""
    return Kind.MODEL if str(io_type or "").endswith("_model") else Kind.DATA


def check_asset_name(kind: Kind, name: object) -> str:
    """
    Return ``name`` if AzureML can have an asset of that name.

    :raises ValueError: it is not a string of 1 to 255 letters, digits, ``_``, ``-`` and ``.`` that begins with a
        letter, digit or ``_``. Source: the service's own refusal, "Resource name can only contain alphanumeric
        characters, dashes, and underscores, with a limit of 255 characters"; models that MLflow registers may hold
        dots as well.
    """
    if not isinstance(name, str) or not ASSET_NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is invalid as the name of an AzureML {kind} asset: use 1 to 255 of the characters "
            "A-Z a-z 0-9 _ - . and begin with a letter, a digit or _."
        )
    return name


class _Owner:
    """What Workspace and Registry share: they own assets."""

    @property
    def uri(self) -> str:
        raise NotImplementedError

    @property
    def label(self) -> str:
        raise NotImplementedError

    def asset(self, kind: Kind, name: str) -> Asset:
        """
        Return the Airflow asset of one AzureML asset.

        Nothing else builds one, so that name, URI and group always agree.

        :param kind: which kind of asset.
        :param name: the AzureML name, without a version: the version is in each event, not in the identity.
        :raises ValueError: AzureML cannot have an asset of that name, or it is a registry's experiment.
        """
        from airflow.sdk import Asset

        if kind is Kind.EXPERIMENT and isinstance(self, Registry):
            raise ValueError(f"Registry {self.name!r} has no experiment {name!r}: jobs run in workspaces.")
        check_asset_name(kind, name)
        return Asset(
            name=f"{kind.collection}/{name}@{self.label}",
            uri=f"{self.uri}/{kind.collection}/{name}",
            group=f"azureml-{kind}",
        )

    def alias(self, kind: Kind) -> AssetAlias:
        """
        Return the alias through which assets are announced whose name is only known when the task runs.

        A DAG scheduled on it starts for each of them; a DAG scheduled on the asset itself starts too.
        """
        from airflow.sdk import AssetAlias

        return AssetAlias(name=f"{kind.collection}@{self.label}", group=f"azureml-{kind}")

    def model(self, name: str) -> Asset:
        """Return the asset of a model: what its producers have as outlet and its consumers as schedule."""
        return self.asset(Kind.MODEL, name)

    def data(self, name: str) -> Asset:
        """Return the asset of a data asset: what its producers have as outlet and its consumers as schedule."""
        return self.asset(Kind.DATA, name)


@dataclass(frozen=True, slots=True)
class Workspace(_Owner):
    """
    The identity of an AzureML workspace. Making one, and assets from it, needs no connection and no Azure package.

    ::

        ws = Workspace(subscription_id="12345678-...", resource_group="ml", name="fraud-prod")
        ws.model("fraud")  # Asset(name="models/fraud@fraud-prod/ml/12345678", uri="azureml://subscriptions/...")

    Azure compares these names without case, so they are kept in lower case: two spellings are one workspace.

    :param subscription_id: the Azure subscription's GUID.
    :param resource_group: the name of the resource group.
    :param name: the name of the workspace.
    :raises ValueError: a part is missing or is not what Azure allows for it.
    """

    subscription_id: str
    resource_group: str
    name: str

    def __post_init__(self) -> None:
        for field, pattern, rule in (
            ("subscription_id", _SUBSCRIPTION, "a GUID such as 12345678-1234-1234-1234-123456789abc"),
            ("resource_group", _RESOURCE_GROUP, "1 to 90 letters, digits and -_.() and must not end with a dot"),
            ("name", _WORKSPACE, "2 to 33 letters, digits, - and _, beginning with a letter or digit"),
        ):
            value = getattr(self, field)
            text = value.strip().lower() if isinstance(value, str) else ""
            if not pattern.fullmatch(text):
                raise ValueError(f"Workspace {field} {value!r} is not valid: it is {rule}.")
            object.__setattr__(self, field, text)

    @classmethod
    def from_id(cls, resource_id: str) -> Workspace:
        """
        Return the workspace with this ARM id (``/subscriptions/.../workspaces/NAME``, as the Azure portal shows it).

        AzureML's own long form ``azureml://subscriptions/...`` is understood as well.

        :raises ValueError: it is the id of something else.
        """
        match = _ARM_ID.fullmatch(resource_id.strip())
        if match is None:
            raise ValueError(
                f"{resource_id!r} is not the id of an AzureML workspace: it looks like "
                "/subscriptions/GUID/resourceGroups/NAME/providers/Microsoft.MachineLearningServices/workspaces/NAME."
            )
        return cls(*map(unquote, match.groups()))

    @property
    def id(self) -> str:
        """The ARM id: ``/subscriptions/.../providers/Microsoft.MachineLearningServices/workspaces/NAME``."""
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.name}"
        )

    @property
    def uri(self) -> str:
        """AzureML's own long form of the identity, in lower case; the URIs of the workspace's assets begin with it."""
        return (
            f"azureml://subscriptions/{self.subscription_id}/resourcegroups/{quote(self.resource_group, safe='()')}"
            f"/workspaces/{self.name}"
        )

    @property
    def label(self) -> str:
        """What a person recognises the workspace by: ``NAME/RESOURCE_GROUP/first 8 of the subscription``."""
        return f"{self.name}/{quote(self.resource_group, safe='()')}/{self.subscription_id[:8]}"

    def experiment(self, name: str) -> Asset:
        """Return the asset of an experiment: the jobs that run under its name."""
        return self.asset(Kind.EXPERIMENT, name)


@dataclass(frozen=True, slots=True)
class Registry(_Owner):
    """
    The identity of an AzureML registry, which shares models and data between workspaces.

    :param name: the name of the registry, e.g. ``azureml``.
    :raises ValueError: it is not what Azure allows.
    """

    name: str

    def __post_init__(self) -> None:
        text = self.name.strip().lower() if isinstance(self.name, str) else ""
        if not _WORKSPACE.fullmatch(text):
            raise ValueError(
                f"Registry name {self.name!r} is not valid: it is 2 to 33 letters, digits, - and _, "
                "beginning with a letter or digit."
            )
        object.__setattr__(self, "name", text)

    @property
    def uri(self) -> str:
        """AzureML's own form of the identity: what the URIs of the registry's assets begin with."""
        return f"{_REGISTRY}{self.name}"

    @property
    def label(self) -> str:
        """What a person recognises the registry by: ``registries/NAME``."""
        return f"registries/{self.name}"


def owner_of(uri: str) -> Workspace | Registry:
    """
    Return the workspace or registry whose ``uri`` this is.

    :raises ValueError: it is no such URI.
    """
    name = uri.removeprefix(_REGISTRY)
    return Workspace.from_id(uri) if name == uri else Registry(name)
