"""What owns assets and all else: workspaces and registries, and what a path means by one."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass

from .arm import PROVIDER, gateway_error
from .store import Store

REGION = "westeurope"


@dataclass(frozen=True, slots=True)
class Owner:
    """A workspace, or a registry (which has no jobs, computes and so on)."""

    subscription: str
    group: str
    name: str
    guid: str
    location: str = REGION
    created: float = 0.0
    created_by: str = ""
    created_by_kind: str = "User"
    segment: str = "workspaces"

    @property
    def id(self) -> str:
        """The ARM id, spelled as it was created."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
            f"/providers/{PROVIDER}/{self.segment}/{self.name}"
        )

    @property
    def asset_id(self) -> str:
        """What the ids of assets begin with: a registry's have a short form."""
        return self.id if self.segment == "workspaces" else f"azureml://registries/{self.name}"

    @property
    def key(self) -> str:
        """The id as ARM compares it; collections of the store hang below it."""
        return self.id.lower()

    @property
    def type(self) -> str:
        """The resource type, e.g. Microsoft.MachineLearningServices/workspaces."""
        return f"{PROVIDER}/{self.segment}"

    @property
    def container(self) -> str:
        """The blob container of the default datastore."""
        return f"azureml-blobstore-{self.guid}"

    @property
    def artifact_container(self) -> str:
        """The blob container of the artifact store, where jobs keep their logs."""
        return "azureml"


class Owners:
    """All workspaces and registries, kept at hand because every call looks one up."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known = {entry.name: Owner(**entry.document) for entry in store.entries("owners", newest_first=False)}

    def add(self, owner: Owner) -> Owner:
        """Create a workspace or registry."""
        self._known[owner.key] = owner
        self._store.put("owners", owner.key, asdict(owner), owner.created)
        return owner

    def remove(self, owner: Owner) -> None:
        """Delete a workspace and all that is in it."""
        del self._known[owner.key]
        self._store.delete("owners", owner.key)
        self._store.delete_below(owner.key)

    def find(self, path: str) -> Owner | None:
        """Return the one with this ARM id, or None."""
        return self._known.get(path.lower())

    def all(self) -> list[Owner]:
        """Return all, oldest first."""
        return list(self._known.values())

    def require(self, path: str, whole_path: str, method: str) -> Owner:
        """Return the one with this ARM id, or answer as ARM's gateway does when it or a parent is missing."""
        owner = self.find(path)
        if owner is not None:
            return owner
        _, _, subscription, _, group, _, _, segment, name = path.split("/")[:9]
        if not any(known.subscription.lower() == subscription.lower() for known in self._known.values()):
            raise gateway_error(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")
        if not any(known.key.startswith(path.lower().partition("/providers/")[0] + "/") for known in self.all()):
            raise gateway_error(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")
        below = whole_path[len(path) :].strip("/").split("/")
        if below != [""]:
            noun = "/".join([segment, *below[::2]])
            verb = "read" if method == "GET" else "write"
            raise gateway_error(
                404,
                "ParentResourceNotFound",
                f"Failed to perform '{verb}' on resource(s) of type '{noun}', because the parent resource "
                f"'{path}' could not be found.",
            )
        raise gateway_error(
            404,
            "ResourceNotFound",
            f"The Resource '{PROVIDER}/{segment}/{name}' under resource group '{group}' was not found. "
            "For more details please go to https://aka.ms/ARMResourceNotFoundFix",
        )


def new_owner(
    *,
    subscription: str,
    group: str,
    name: str,
    now: float,
    location: str = REGION,
    created_by: str = "Emulator",
    segment: str = "workspaces",
) -> Owner:
    """Make up a workspace or registry with a guid of its own."""
    return Owner(subscription, group, name, str(uuid.uuid4()), location, now, created_by, "User", segment)
