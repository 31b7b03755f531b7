"""Deploy a model version blue/green: a new deployment beside the old one, a tenth of the traffic, then step by step."""

from airflow.sdk import DAG
from fraud import CONN_ID

from airflow_provider_azureml.provider.operators.endpoint import (
    AzureMachineLearningCreateEndpointOperator,
    AzureMachineLearningDeleteEndpointOperator,
    AzureMachineLearningDeployEndpointOperator,
)
from airflow_provider_azureml.provider.operators.traffic import AzureMachineLearningSetEndpointTrafficOperator


def deploy(name: str) -> AzureMachineLearningDeployEndpointOperator:
    """Return the task that deploys the model version of the DAG run."""
    return AzureMachineLearningDeployEndpointOperator(
        task_id=name,
        deferrable=True,
        deployment={
            "name": name,
            "endpoint_name": "example-flowers",
            "model": "azureml:flowers:{{ params.version }}",
            "instance_type": "Standard_DS3_v2",
            "instance_count": 1,
        },
    )


def share(task_id: str, step: int | None = None, **traffic: int) -> AzureMachineLearningSetEndpointTrafficOperator:
    """Return the task that shares the endpoint's traffic, in steps of so many percent if one is given."""
    return AzureMachineLearningSetEndpointTrafficOperator(
        task_id=task_id, endpoint_name="example-flowers", traffic=traffic, step=step, step_interval=2
    )


with DAG(
    "example_endpoint", schedule=None, params={"version": "1"}, default_args={"conn_id": CONN_ID, "poll_interval": 5}
):
    create = AzureMachineLearningCreateEndpointOperator(
        task_id="create", endpoint={"name": "example-flowers", "auth_mode": "key"}
    )
    delete_blue = AzureMachineLearningDeleteEndpointOperator(
        task_id="delete_blue", endpoint_name="example-flowers", deployment_name="blue"
    )
    delete = AzureMachineLearningDeleteEndpointOperator(task_id="delete", endpoint_name="example-flowers")
    green = deploy("green")
    create >> deploy("blue") >> share("all_blue", blue=100) >> green
    green >> share("a_tenth", blue=90, green=10) >> share("all_green", step=45, green=100) >> delete_blue >> delete
