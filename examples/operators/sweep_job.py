"""A sweep job: the same training with several learning rates."""

from airflow.sdk import DAG
from fraud import CONN_ID

from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator

with DAG("example_sweep_job", schedule=None):
    AzureMachineLearningCreateJobOperator(
        task_id="sweep",
        conn_id=CONN_ID,
        waiting=True,
        deferrable=True,
        poll_interval=5,
        job={
            "type": "sweep",
            "sampling_algorithm": "random",
            "search_space": {"rate": {"type": "uniform", "min_value": 0.01, "max_value": 0.9}},
            "objective": {"goal": "maximize", "primary_metric": "accuracy"},
            "limits": {"max_total_trials": 3, "max_concurrent_trials": 2},
            "compute": "azureml:cpu",
            "inputs": {"flowers": {"type": "uri_folder", "path": "files/flowers"}},
            "trial": {
                "code": "files/src",
                "command": "python train.py --data ${{inputs.flowers}} --model ./outputs --rate ${{search_space.rate}}",
                "environment": "azureml://registries/azureml/environments/sklearn-1.5/versions/1",
            },
        },
    )
