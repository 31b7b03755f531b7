"""An AutoML job: AzureML looks for a good model by itself."""

from airflow.sdk import DAG
from fraud import CONN_ID

from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator

with DAG("example_automl_job", schedule=None):
    AzureMachineLearningCreateJobOperator(
        task_id="classify",
        conn_id=CONN_ID,
        waiting=True,
        deferrable=True,
        poll_interval=5,
        job={
            "type": "automl",
            "task": "classification",
            "primary_metric": "accuracy",
            "target_column_name": "kind",
            "training_data": {"type": "mltable", "path": "files/flowers"},
            "compute": "azureml:cpu",
            "limits": {"max_trials": 3, "timeout_minutes": 30},
        },
    )
