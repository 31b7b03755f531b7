"""Create a cluster and an instance, stop and start the instance, and delete both, also when something failed."""

from airflow.sdk import DAG
from fraud import CONN_ID

from airflow_provider_azureml.provider.operators.compute import (
    AzureMachineLearningCreateComputeResourceOperator,
    AzureMachineLearningDeleteComputeResourceOperator,
    AzureMachineLearningStartComputeOperator,
    AzureMachineLearningStopComputeOperator,
)

with DAG("example_compute", schedule=None, default_args={"conn_id": CONN_ID, "poll_interval": 5}):
    cluster = AzureMachineLearningCreateComputeResourceOperator(
        task_id="cluster",
        compute={"name": "example-cluster", "type": "amlcompute", "size": "Standard_DS3_v2", "max_instances": 2},
        on_difference="update",
    )
    instance = AzureMachineLearningCreateComputeResourceOperator(
        task_id="instance",
        compute={"name": "example-instance", "type": "computeinstance", "size": "Standard_DS3_v2"},
        deferrable=True,
    )
    stop = AzureMachineLearningStopComputeOperator(task_id="stop", compute_name="example-instance")
    start = AzureMachineLearningStartComputeOperator(task_id="start", compute_name="example-instance")
    delete = [
        AzureMachineLearningDeleteComputeResourceOperator(
            task_id=f"delete_{name}", compute_name=f"example-{name}", trigger_rule="all_done"
        )
        for name in ("cluster", "instance")
    ]
    cluster >> delete[0]
    instance >> stop >> start >> delete[1]
