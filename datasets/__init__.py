"""What an AzureML asset is in Airflow: its identity, its URI and the events about it."""

from __future__ import annotations

from .events import AssetVersion, asset_versions
from .workspace import Kind, Registry, Workspace

__all__ = ["AssetVersion", "Kind", "Registry", "Workspace", "asset_versions"]
