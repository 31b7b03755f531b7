"""DAGs that watch what somebody outside Airflow makes, while everything around them fails."""

import os

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_provider_azureml.datasets import Workspace
from airflow_provider_azureml.sensors import watch

ws = Workspace.from_id(os.environ["AZUREML_WORKSPACE_ID"])
model = ws.model("hardship")
watched = {
    # Polled seldom: what is heard sooner was said by the event queue.
    "active": watch(model, conn_id="azureml", poll_interval=20, event_queue=os.environ["EVENT_QUEUE"]),
    "paused": watch(model, conn_id="azureml", poll_interval=5, consumer="paused"),
    "promoted": watch(model, conn_id="azureml", poll_interval=5, tags={"stage": "production"}),
    "rows": watch(ws.data("hardship"), conn_id="azureml", poll_interval=5),
    "jobs": watch(ws.experiment("hardship"), conn_id="azureml", poll_interval=5),
}
for name, asset in watched.items():
    # A task that does nothing is not even sent to a worker: the events count.
    with DAG(f"hardship_{name}", schedule=[asset], max_active_runs=100):
        EmptyOperator(task_id="nothing")
