"""From dev to prod: a version is shared with a registry, approved by a tag, deployed, and taken back if it fails."""

from dataclasses import replace

from airflow.sdk import DAG, task
from fraud import CONN_ID, workspace

from airflow_provider_azureml.datasets import Registry, asset_versions
from airflow_provider_azureml.provider.operators.endpoint import (
    AzureMachineLearningCreateEndpointOperator,
    AzureMachineLearningDeployEndpointOperator,
)
from airflow_provider_azureml.provider.operators.invoke import AzureMachineLearningInvokeOnlineEndpointOperator
from airflow_provider_azureml.provider.operators.moving import AzureMachineLearningShareAssetOperator
from airflow_provider_azureml.provider.operators.traffic import AzureMachineLearningSetEndpointTrafficOperator
from airflow_provider_azureml.provider.operators.version import AzureMachineLearningSetTagsOperator
from airflow_provider_azureml.sensors import watch

dev, registry = replace(workspace, name="fraud-dev"), Registry("shared")

with DAG("share_credit", schedule=None, params={"version": "1"}):
    share = AzureMachineLearningShareAssetOperator(
        task_id="share",
        conn_id="azureml_dev",
        workspace=dev,
        registry=registry,
        kind="model",
        asset_name="credit",
        version="{{ params.version }}",
        if_exists="reuse",
    )
    # A gate of your own belongs here: compare the metrics with those of the version in production, or ask somebody.
    approve = AzureMachineLearningSetTagsOperator(
        task_id="approve",
        conn_id=CONN_ID,
        workspace=registry,
        kind="model",
        asset_name="credit",
        version="{{ ti.xcom_pull('share')['version'] }}",
        tags={"stage": "prod"},
    )
    share >> approve

approved = watch(registry.model("credit"), conn_id=CONN_ID, tags={"stage": "prod"}, poll_interval=5)

with DAG("deploy_credit", schedule=[approved], max_active_runs=1, default_args={"conn_id": CONN_ID}):

    @task(multiple_outputs=True)
    def choose(*, triggering_asset_events):
        """Return the newest of the approved versions, and how it is to be deployed."""
        version = asset_versions(triggering_asset_events)[-1]
        name = f"version-{version.version}"
        return {"model": version.id, "deployment": name, "traffic": {name: 100}}

    @task
    def traffic_of(facts):
        """Return the traffic that an endpoint had before this run."""
        return facts["traffic"]

    @task
    def done():
        """Without this last task, a run that was rolled back would count as a success."""

    chosen = choose()
    endpoint = AzureMachineLearningCreateEndpointOperator(  # one that exists stays as it is
        task_id="endpoint", poll_interval=5, endpoint={"name": "credit", "auth_mode": "key"}
    )
    before = traffic_of(endpoint.output)
    deploy = AzureMachineLearningDeployEndpointOperator(
        task_id="deploy",
        poll_interval=5,
        deployment={
            "name": "{{ ti.xcom_pull('choose')['deployment'] }}",
            "endpoint_name": "credit",
            "model": "{{ ti.xcom_pull('choose')['model'] }}",  # read from the registry: no copy in the workspace
            "instance_type": "Standard_DS3_v2",
            "instance_count": 1,
        },
    )
    roll_out = AzureMachineLearningSetEndpointTrafficOperator(
        task_id="roll_out",
        poll_interval=5,
        endpoint_name="credit",
        traffic=chosen["traffic"],
        step=50,
        step_interval=5,  # seconds; minutes for a real endpoint
    )
    smoke_test = AzureMachineLearningInvokeOnlineEndpointOperator(
        task_id="smoke_test", endpoint_name="credit", request={"input_data": [[1, 2, 3]]}
    )
    roll_back = AzureMachineLearningSetEndpointTrafficOperator(
        task_id="roll_back",
        poll_interval=5,
        endpoint_name="credit",
        traffic=before,
        trigger_rule="one_failed",
    )
    chosen >> endpoint >> before >> deploy >> roll_out >> smoke_test >> done()
    [roll_out, smoke_test] >> roll_back
