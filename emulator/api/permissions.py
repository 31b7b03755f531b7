"""What the caller may do: ARM's "Permissions - List For Resource" (REST reference of Microsoft.Authorization)."""

from __future__ import annotations

from ..core.arm import Reply
from ..wire.exchange import Exchange
from ..wire.routing import ok, route


@route("GET", "{workspace}/providers/Microsoft.Authorization/permissions")
def list_permissions(exchange: Exchange) -> Reply:
    """List what each of the caller's roles allows here."""
    roles = exchange.service.directory.roles(exchange.principal, exchange.workspace.id)
    return ok(
        {
            "value": [
                {
                    "actions": list(role.actions),
                    "notActions": list(role.not_actions),
                    "dataActions": [],
                    "notDataActions": [],
                }
                for role in roles
            ]
        }
    )
