"""A pipeline with a parallel node: many files, scored in mini batches on several machines."""

from airflow.sdk import DAG
from fraud import CONN_ID

from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator

with DAG("example_parallel_job", schedule=None):
    AzureMachineLearningCreateJobOperator(
        task_id="score",
        conn_id=CONN_ID,
        waiting=True,
        deferrable=True,
        poll_interval=5,
        job={
            "type": "pipeline",
            "settings": {"default_compute": "azureml:cpu"},
            "inputs": {"flowers": {"type": "uri_folder", "path": "files/flowers"}},
            "jobs": {
                "score": {
                    "type": "parallel",
                    "mini_batch_size": "1",
                    "max_concurrency_per_instance": 2,
                    "resources": {"instance_count": 2},
                    "inputs": {"flowers": "${{parent.inputs.flowers}}"},
                    "outputs": {"scores": {"type": "uri_file"}},
                    "input_data": "${{inputs.flowers}}",
                    "task": {
                        "type": "run_function",
                        "code": "files/src",
                        "entry_script": "score.py",
                        "environment": "azureml://registries/azureml/environments/sklearn-1.5/versions/1",
                        "append_row_to": "${{outputs.scores}}",
                    },
                }
            },
        },
    )
