"""What ARM itself and the provider tell of a subscription: its groups, and the sizes and quotas of a region.

Source: Microsoft's published models; nothing here was recorded. The sizes are a few that examples use.
"""

from __future__ import annotations

from typing import Any

from ..core.arm import Reply, gateway_error
from ..wire.exchange import Exchange
from ..wire.routing import ok, route

_SIZES = {
    "Standard_DS2_v2": (2, 7, 0),
    "Standard_DS3_v2": (4, 14, 0),
    "Standard_DS11_v2": (2, 14, 0),
    "Standard_E4s_v3": (4, 32, 0),
    "Standard_NC6s_v3": (6, 112, 1),
}
"""Cores, memory in GiB and GPUs."""
_FAMILIES = {"standardDSv2Family": 100, "standardESv3Family": 100, "standardNCSv3Family": 24}


def _subscriptions(exchange: Exchange) -> list[str]:
    return sorted({owner.subscription for owner in exchange.service.owners.all()})


def _subscription(exchange: Exchange, subscription: str) -> dict[str, Any]:
    tenant = exchange.service.directory.tenant
    return {
        "id": f"/subscriptions/{subscription}",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionId": subscription,
        "tenantId": tenant,
        "displayName": "The emulator's",
        "state": "Enabled",
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
    }


@route("GET", "/subscriptions")
def list_subscriptions(exchange: Exchange) -> Reply:
    """List the subscriptions that hold something."""
    return ok({"value": [_subscription(exchange, one) for one in _subscriptions(exchange)]})


@route("GET", "/subscriptions/{subscription}")
def get_subscription(exchange: Exchange, subscription: str) -> Reply:
    """Return one subscription."""
    for known in _subscriptions(exchange):
        if known.lower() == subscription.lower():
            return ok(_subscription(exchange, known))
    raise gateway_error(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")


def _groups(exchange: Exchange, subscription: str) -> dict[str, dict[str, Any]]:
    """Return the resource groups that hold something, by their names in lower case."""
    own = (one for one in exchange.service.owners.all() if one.subscription.lower() == subscription.lower())
    return {
        owner.group.lower(): {
            "id": f"/subscriptions/{owner.subscription}/resourceGroups/{owner.group}",
            "name": owner.group,
            "type": "Microsoft.Resources/resourceGroups",
            "location": owner.location,
            "tags": {},
            "properties": {"provisioningState": "Succeeded"},
        }
        for owner in own
    }


@route("GET", "/subscriptions/{subscription}/resourceGroups")
def list_groups(exchange: Exchange, subscription: str) -> Reply:
    """List a subscription's resource groups."""
    return ok({"value": list(_groups(exchange, subscription).values())})


@route("GET", "/subscriptions/{subscription}/resourceGroups/{group}")
def get_group(exchange: Exchange, subscription: str, group: str) -> Reply:
    """Return one resource group."""
    found = _groups(exchange, subscription).get(group.lower())
    if found is None:
        raise gateway_error(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")
    return ok(found)


@route("HEAD", "/subscriptions/{subscription}/resourceGroups/{group}")
def has_group(exchange: Exchange, subscription: str, group: str) -> Reply:
    """Say whether there is such a resource group."""
    return Reply(204 if group.lower() in _groups(exchange, subscription) else 404)


@route("GET", "{location}/vmSizes")
def list_sizes(exchange: Exchange) -> Reply:
    """List the sizes of machines that a region offers."""
    return ok(
        {
            "value": [
                {
                    "name": name,
                    "family": "standardDSv2Family" if "_DS" in name else "standardESv3Family",
                    "vCPUs": cores,
                    "gpus": gpus,
                    "osVhdSizeMB": 1047552,
                    "maxResourceVolumeMB": 1024 * memory,
                    "memoryGB": float(memory),
                    "lowPriorityCapable": True,
                    "premiumIO": True,
                    "estimatedVMPrices": None,
                    "supportedComputeTypes": ["AmlCompute", "ComputeInstance"],
                }
                for name, (cores, memory, gpus) in _SIZES.items()
            ]
        }
    )


@route("GET", "{location}/usages")
def list_usages(exchange: Exchange) -> Reply:
    """List what of a region's quotas is used: nothing."""
    place = exchange.path.rpartition("/")[0]
    return ok(
        {
            "value": [
                {
                    "id": f"{place}/usages/{family}",
                    "amlWorkspaceLocation": exchange.service.config.location,
                    "type": "Microsoft.MachineLearningServices/vmFamily/usages",
                    "unit": "Count",
                    "currentValue": 0,
                    "limit": limit,
                    "name": {"value": family, "localizedValue": family},
                }
                for family, limit in _FAMILIES.items()
            ]
        }
    )


@route("GET", "{location}/quotas")
def list_quotas(exchange: Exchange) -> Reply:
    """List a region's quotas."""
    place = exchange.path.rpartition("/")[0]
    return ok(
        {
            "value": [
                {
                    "id": f"{place}/quotas/{family}",
                    "amlWorkspaceLocation": exchange.service.config.location,
                    "type": "Microsoft.MachineLearningServices/vmFamily/quotas",
                    "name": {"value": family, "localizedValue": family},
                    "limit": limit,
                    "unit": "Count",
                }
                for family, limit in _FAMILIES.items()
            ]
        }
    )
