"""Code on the SDK's own client, in a task and in a function for a virtual environment; no operator."""

from __future__ import annotations

import os

import pendulum
from airflow.sdk import DAG, task


def train_tune_and_serve(folder):
    """Do all of it in one go. What it needs, it imports itself, as PythonVirtualenvOperator wants."""
    import os
    import time

    from azure.ai.ml import Input, command
    from azure.ai.ml.constants import AssetTypes
    from azure.ai.ml.entities import (
        AmlCompute,
        BuildContext,
        Data,
        Environment,
        ManagedOnlineDeployment,
        ManagedOnlineEndpoint,
        Model,
    )
    from azure.ai.ml.sweep import Choice, Uniform
    from azure.core import exceptions

    from airflow_provider_azureml.provider.hook import AzureMachineLearningHook

    hook = AzureMachineLearningHook("AML_TEST_CONNECTION")
    ml_client = hook.get_client()

    def wait_for(job_name):
        """Not `ml_client.jobs.stream`: of a job that has ended by then, the SDK signs the logs' addresses itself."""
        while (status := ml_client.jobs.get(job_name).status) != "Completed":
            assert status not in ("Failed", "Canceled")
            time.sleep(0.1)

    try:
        data = ml_client.data.get(name="old_flowers_csv", version="1")
    except Exception:
        ml_client.data.create_or_update(
            Data(
                path=os.path.join(folder, "from_python.csv"),
                type=AssetTypes.URI_FILE,
                name="old_flowers_csv",
                version="1",
            )
        )
        data = ml_client.data.get(name="old_flowers_csv", version="1")

    ml_client.environments.create_or_update(
        Environment(name="old_lightgbm", build=BuildContext(path=os.path.join(folder, "environment")))
    )
    cluster = AmlCompute(name="old-pyenv", size="Standard_D4s_v3", min_instances=0, max_instances=4)
    try:
        ml_client.compute.get(cluster.name)
    except exceptions.ResourceNotFoundError:
        ml_client.compute.begin_create_or_update(cluster).wait()

    job = command(
        code=os.path.join(folder, "src"),
        command="python train.py --flowers ${{inputs.flowers}} --rate ${{inputs.rate}} --mode ${{inputs.mode}}",
        environment="old_lightgbm@latest",
        inputs={"flowers": Input(type=AssetTypes.URI_FILE, path=data.id), "rate": 0.9, "mode": "gbdt"},
        compute=cluster.name,
        experiment_name="old-style",
    )
    trained = ml_client.jobs.create_or_update(job)
    assert trained.services["Studio"].endpoint
    wait_for(trained.name)

    trial = job(rate=Uniform(min_value=0.01, max_value=0.9), mode=Choice(values=["gbdt", "dart"]))
    sweep = trial.sweep(compute=cluster.name, sampling_algorithm="random", primary_metric="loss", goal="Minimize")
    sweep.set_limits(max_total_trials=4, max_concurrent_trials=2, timeout=7200)
    tuned = ml_client.jobs.create_or_update(sweep)
    wait_for(tuned.name)
    best = ml_client.jobs.get(tuned.name).properties["best_child_run_id"]
    ml_client.compute.begin_delete(cluster.name)

    endpoint = ManagedOnlineEndpoint(name="old-pyenv-endpoint", auth_mode="key")
    try:
        ml_client.online_endpoints.get(name=endpoint.name)
    except exceptions.ResourceNotFoundError:
        ml_client.online_endpoints.begin_create_or_update(endpoint=endpoint).wait()
    model = Model(
        path=f"azureml://jobs/{best}/outputs/artifacts/paths/model/", name="old-tuned-model", type="mlflow_model"
    )
    ml_client.models.create_or_update(model)
    blue = ManagedOnlineDeployment(
        name="blue", endpoint_name=endpoint.name, model=model, instance_type="Standard_DS3_v2", instance_count=1
    )
    ml_client.begin_create_or_update(blue).wait()
    endpoint.traffic = {blue.name: 100}
    ml_client.begin_create_or_update(endpoint).result()
    ml_client.online_endpoints.begin_delete(name=endpoint.name).wait()
    return trained.name


with DAG(dag_id="old_hook", schedule=None, start_date=pendulum.datetime(2021, 1, 1, tz="UTC")) as dag:
    files = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "specs", "files")
    task(train_tune_and_serve)(files)
