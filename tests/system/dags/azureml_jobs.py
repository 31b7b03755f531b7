"""Jobs whose task the tests kill, in both ways of waiting."""

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator

for way in ("deferred", "in_place"):
    with DAG(f"job_submitted_{way}", schedule=None):
        AzureMachineLearningCreateJobOperator(
            task_id="outlived",
            conn_id="azureml",
            job={
                "type": "command",
                "command": "train",
                "environment": "azureml://registries/azureml/environments/sklearn/versions/1",
                "tags": {"run": "{{ run_id }}"},
            },
            waiting=True,
            deferrable=way == "deferred",
            poll_interval=1,
            retries=2,
            retry_delay=timedelta(seconds=1),
        )
