"""What the DAGs of this folder share: the workspace and its assets, named once, so that all of them mean the same.

Naming them asks Azure nothing, so a DAG file that imports this one stays fast to parse.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from airflow_provider_azureml.datasets import AssetVersion, Workspace
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook

CONN_ID = "azureml"

# Or in full: Workspace(subscription_id="12345678-...", resource_group="ml", name="fraud-prod")
workspace = Workspace.from_id(os.environ["AZUREML_WORKSPACE_ID"])

sales = workspace.data("sales")
model = workspace.model("fraud")


def checksum(path: str | Path) -> str:
    """Return a SHA-256 over the names and bytes of a file, or of all files in a folder."""
    digest = hashlib.sha256()
    root = Path(path)
    for file in [root] if root.is_file() else sorted(root.rglob("*")):
        if file.is_file():
            digest.update(file.relative_to(root.parent if root.is_file() else root).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def fetch_and_check(version: AssetVersion) -> str:
    """Download a version from the workspace's storage; fail unless its bytes are those that were published."""
    with TemporaryDirectory() as folder:
        files = AzureMachineLearningHook(CONN_ID, workspace=workspace).download(version, folder)
        found = checksum(Path(folder) / files[0] if version.type == "uri_file" else folder)
    if found != version.tags["sha256"]:
        raise ValueError(f"{version.name}:{version.version} in storage is not what was published: {version.path}")
    return f"{version.name}:{version.version} fetched back, {len(files)} files, bytes as published"
