"""Promote a new model version only if it is better than the one in production, by the metrics of their jobs; or stop.

The event brings the metrics of the job that made the version. The DAG that deploys watches for the tag (`promote.py`).
"""

from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowSkipException
from fraud import CONN_ID, workspace

from airflow_provider_azureml.datasets import asset_versions
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.operators.version import AzureMachineLearningSetTagsOperator
from airflow_provider_azureml.sensors import watch

METRIC = "f1"
PRODUCTION = {"stage": "production"}

candidates = watch(workspace.model("lapse"), conn_id=CONN_ID, metrics=True, poll_interval=10, consumer="gate")

with DAG("gate", schedule=[candidates], max_active_runs=1):

    @task
    def compare(*, triggering_asset_events):
        """Return the best of the new versions; skip what follows unless it is better than what is in production."""
        measured = [v for v in asset_versions(triggering_asset_events) if v.metrics.get(METRIC) is not None]
        if not measured:
            raise AirflowSkipException(f"No new version has the metric {METRIC}: nothing is promoted.")
        best = max(measured, key=lambda version: version.metrics[METRIC])
        hook = AzureMachineLearningHook(CONN_ID, workspace=workspace)
        now = hook.find_version("model", best.name, tags=PRODUCTION, metrics=True)
        standing = now and now.metrics.get(METRIC)
        if standing is not None and best.metrics[METRIC] <= standing:
            raise AirflowSkipException(f"{best.metrics[METRIC]} is not better than {standing} in production.")
        return best.version

    AzureMachineLearningSetTagsOperator(
        task_id="promote",
        conn_id=CONN_ID,
        kind="model",
        asset_name="lapse",
        version=compare(),
        tags=PRODUCTION,
    )
