"""Wait for a job that somebody else submitted, then for the model version that comes of it.

While they wait, the sensors are deferred: they take no worker slot.
"""

from airflow.sdk import DAG, Param
from fraud import CONN_ID, workspace

from airflow_provider_azureml.sensors.job import AzureMachineLearningJobSensor
from airflow_provider_azureml.sensors.model import AzureMachineLearningModelVersionSensor

with DAG(
    "wait",
    schedule=None,
    params={"job_name": Param(type="string", description="Name of an AzureML job")},
):
    job = AzureMachineLearningJobSensor(
        task_id="job",
        conn_id=CONN_ID,
        job_name="{{ params.job_name }}",
        deferrable=True,
        poke_interval=2,  # seconds; 60, the default, is a better choice for jobs that run for hours
        timeout=600,
    )
    # With workspace=, the version that it meets becomes an asset event: it starts the DAG `deploy`.
    version = AzureMachineLearningModelVersionSensor(
        task_id="version",
        conn_id=CONN_ID,
        workspace=workspace,
        model_name="fraud",
        tags={"job": "{{ params.job_name }}"},
        after_version=0,  # any with that tag, also one that is registered before this task begins
        deferrable=True,
        poke_interval=2,
        timeout=600,
    )
    job >> version
