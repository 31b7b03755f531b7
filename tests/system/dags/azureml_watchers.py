"""DAGs that watch models which somebody outside of Airflow registers."""

import os

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, task

from airflow_provider_azureml.datasets import Registry, Workspace, asset_versions
from airflow_provider_azureml.sensors import watch

workspace = Workspace.from_id(os.environ["AZUREML_WORKSPACE_ID"])


@task
def roll_out(*, triggering_asset_events):
    return [version.to_dict() for version in asset_versions(triggering_asset_events)]


every = watch(workspace.model("watched"), conn_id="azureml", poll_interval=5)
with DAG("watch_any", schedule=[every]):
    roll_out()

promoted = watch(workspace.model("watched"), conn_id="azureml", poll_interval=5, tags={"stage": "production"})
with DAG("watch_promoted", schedule=[promoted]):
    roll_out()

with DAG("watch_counted", schedule=[watch(workspace.model("counted"), conn_id="azureml", poll_interval=5)]):
    EmptyOperator(task_id="nothing")

with DAG("watch_operated", schedule=[watch(workspace.model("operated"), conn_id="azureml", poll_interval=5)]):
    EmptyOperator(task_id="nothing")

# Polled every quarter of an hour: what comes sooner comes through the queue.
nudged = watch(
    workspace.model("nudged"), conn_id="azureml", poll_interval=900, start="all", event_queue=os.environ["EVENT_QUEUE"]
)
with DAG("watch_nudged", schedule=[nudged]):
    roll_out()

with DAG("watch_night", schedule=[watch(workspace.experiment("night"), conn_id="azureml", poll_interval=5)]):
    roll_out()

with DAG("watch_shared", schedule=[watch(Registry("shared").model("common"), conn_id="azureml", poll_interval=5)]):
    roll_out()
