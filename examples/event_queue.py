"""Start within seconds of a new version, with few requests: a queue that Event Grid fills says when to look.

Without `AZUREML_EVENT_QUEUE` it is met by polling alone, within a quarter of an hour.
"""

import os

from airflow.sdk import DAG, task
from fraud import CONN_ID, workspace

from airflow_provider_azureml.datasets import asset_versions
from airflow_provider_azureml.sensors import watch

registered = watch(
    workspace.model("churn"),
    conn_id=CONN_ID,
    poll_interval=900,
    event_queue=os.environ.get("AZUREML_EVENT_QUEUE"),  # "https://mlevents.queue.core.windows.net/azureml-events"
    start="all",  # also what is there when this DAG is new
)

with DAG("evaluate", schedule=[registered]):

    @task
    def evaluate(*, triggering_asset_events):
        """Evaluate each new version."""
        return [f"{version.name}:{version.version}" for version in asset_versions(triggering_asset_events)]

    evaluate()
