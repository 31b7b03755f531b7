"""A pipeline from YAML, with components from YAML beside it."""

from airflow.sdk import DAG
from fraud import CONN_ID

from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator

with DAG("example_pipeline", schedule=None):
    AzureMachineLearningCreateJobOperator(
        task_id="pipeline", conn_id=CONN_ID, waiting=True, deferrable=True, poll_interval=5, job="files/pipeline.yml"
    )
