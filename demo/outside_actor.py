"""Somebody else: submits a command job and registers a model when it is done. Plain azure-ai-ml, no Airflow.

Reads AZUREML_WORKSPACE_ID and, as azure-identity does, AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET.
Says what it did as one JSON object per line.
"""

import argparse
import hashlib
import json
import os
import sys
import time
from pathlib import Path

from azure.ai.ml import MLClient, command  # noqa: TID253 - a script of its own
from azure.ai.ml.entities import Environment, Model  # noqa: TID253
from azure.identity import EnvironmentCredential

FINISHED = {"Completed", "Failed", "Canceled", "NotResponding"}


def main() -> int:
    """Submit, wait, register."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder with the model that the job is said to make")
    parser.add_argument("--name", required=True, help="name of the model")
    parser.add_argument("--approval", type=Path, required=True, help="file that must exist before it registers")
    arguments = parser.parse_args()

    # /subscriptions/S/resourceGroups/G/providers/Microsoft.MachineLearningServices/workspaces/W
    _, _, subscription, _, group, _, _, _, workspace = os.environ["AZUREML_WORKSPACE_ID"].split("/")
    with EnvironmentCredential() as credential:
        client = MLClient(credential, subscription, group, workspace, show_progress=False)
        job = client.jobs.create_or_update(
            command(
                command="python -c 'print(42)'",
                environment=Environment(image="mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04"),
                compute="serverless",
                experiment_name="fraud",
            )
        )
        say(text=f"submitted job {job.name}", job=job.name)
        while (status := client.jobs.get(job.name).status) not in FINISHED:
            time.sleep(1)
        if status != "Completed":
            sys.exit(f"The job {job.name} is not Completed but {status}.")
        say(text=f"job {job.name} is Completed")
        while not arguments.approval.exists():
            time.sleep(0.2)
        model = client.models.create_or_update(
            Model(
                name=arguments.name,
                path=arguments.model,
                type="custom_model",
                tags={"job": job.name, "sha256": checksum(arguments.model)},
            )
        )
        say(text=f"registered model {model.name}:{model.version}", model=model.version)
    return 0


def checksum(folder: Path) -> str:
    """Return what `examples/fraud.py` compares the bytes with; somebody else has code of their own."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        digest.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()


def say(**facts: str) -> None:
    """Print a line of JSON."""
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    sys.exit(main())
