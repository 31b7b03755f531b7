"""Work on a job's results in a Python environment of its own, whose packages need not agree with Airflow's."""

import os
import sys

from airflow.sdk import DAG, task
from fraud import CONN_ID

from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator

with DAG("example_python_environment", schedule=None):
    job = AzureMachineLearningCreateJobOperator(
        task_id="job",
        conn_id=CONN_ID,
        waiting=True,
        deferrable=True,
        poll_interval=5,
        job={
            "type": "command",
            "command": "echo 42",
            "environment": "azureml://registries/azureml/environments/sklearn-1.5/versions/1",
        },
    )

    @task.external_python(python=os.environ.get("EXAMPLE_PYTHON", sys.executable), expect_airflow=False)
    def report(facts):
        """Know the job from what the operator returned: plain JSON, for which no package is needed."""
        return f"{facts['name']} is {facts['status']}: {sorted(facts['outputs'])}"

    report(job.output)
