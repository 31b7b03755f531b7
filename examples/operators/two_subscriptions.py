"""The same job in two subscriptions, each with an Airflow connection of its own."""

from airflow.sdk import DAG

from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator

with DAG("example_two_subscriptions", schedule=None):
    AzureMachineLearningCreateJobOperator.partial(
        task_id="job",
        waiting=True,
        deferrable=True,
        poll_interval=5,
        job={
            "type": "command",
            "command": "echo 42",
            "environment": "azureml://registries/azureml/environments/sklearn-1.5/versions/1",
        },
    ).expand(conn_id=["azureml", "azureml_other"])
