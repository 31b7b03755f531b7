"""DAGs of airflow-provider-azure-machinelearning run after what docs/migration.md says, and nothing more.

Those in `old_dags/` are written as its examples are: SDK entities made when the file is parsed, its connections, its
arguments.
"""

from __future__ import annotations

import contextlib
import gc
import json
import runpy
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import task as airflow_task

from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.operators.compute import AzureMachineLearningCreateComputeResourceOperator
from airflow_provider_azureml.provider.operators.endpoint import AzureMachineLearningDeployEndpointOperator

from .conftest import TaskRunner

DAGS = Path(__file__).parent / "old_dags"
MIGRATION = (Path(__file__).parents[2] / "docs" / "migration.md").read_text()


def old_connection(connection: dict[str, Any], **others: str) -> str:
    """Return a connection as the predecessor's form stored it, each field below a prefix."""
    extra = {**connection["extra"], **others}
    prefixed = {f"extra__azure_machine_learning__{key}": value for key, value in extra.items()}
    return json.dumps({**connection, "extra": prefixed})


@pytest.fixture
def workspaces(azureml_emulator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two subscriptions, with a cluster in each, a job that has run, and the predecessor's connections to them."""
    from azure.ai.ml import command
    from azure.ai.ml.entities import AmlCompute

    other = str(uuid.uuid4())
    azureml_emulator.grant(scope=f"/subscriptions/{other}")
    second = azureml_emulator.create_workspace(subscription_id=other)
    connections = {
        "AML_TEST_CONNECTION": old_connection(azureml_emulator.connection),
        "AML_2ND_SUB": old_connection(azureml_emulator.connection_for(second), subscriptionId=other),
    }
    azureml_emulator.configure(operation_seconds=0.2)
    azureml_emulator.script_jobs([("Running", 0.1), "Completed"])
    for name, connection in connections.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", connection)
        ml = AzureMachineLearningHook(name).get_client()
        ml.compute.begin_create_or_update(AmlCompute(name="old-cpu", size="Standard_DS3_v2")).wait()
    ml = AzureMachineLearningHook("AML_TEST_CONNECTION").get_client()
    environment = "azureml://registries/azureml/environments/e/versions/1"
    ml.jobs.create_or_update(command(name="old_job", command="echo", environment=environment))


def run(dag: Any) -> dict[str, Any]:
    """Run a DAG's tasks in their order and return what each returned."""
    returned = {}
    for operator in dag.topological_sort():
        if hasattr(operator, "python_callable"):
            returned[operator.task_id] = operator.python_callable(*operator.op_args)
        elif type(operator).__name__ != "EmptyOperator":
            operator.poll_interval = 0.1
            returned[operator.task_id] = TaskRunner(lambda operator=operator: operator).run()
    return returned


SHAPES = {
    "assets": {"data", "environment", "component"},
    "automl_job": {"fixed", "searched", "forecast"},
    "command_job": {"first", "second"},
    "compute": {f"{verb}_{noun}" for verb in ("create", "work_on", "delete") for noun in ("cluster", "instance")},
    "endpoint": {
        *("register_online", "create_online", "deploy_online", "delete_online", "register_batch", "create_batch"),
        *("create_compute", "deploy_batch", "invoke_batch", "delete_batch", "delete_compute"),
    },
    "hook": {"train_tune_and_serve"},
    "parallel_job": {"pipeline"},
    "shared_job": {"called_1", "called_2", "same_1", "same_2", "from_file"},
    "sweep_job": {"training", "tuning"},
    "two_subscriptions": {"here", "there"},
}


@pytest.mark.filterwarnings("ignore:This class is intended as a base class:UserWarning")  # the SDK, of BatchDeployment
@pytest.mark.usefixtures("workspaces")
@pytest.mark.parametrize("name", SHAPES)
def test_an_old_dag_runs(name, azureml_emulator):
    dag = runpy.run_path(str(DAGS / f"{name}.py"))["dag"]
    returned = run(dag)
    assert set(returned) == SHAPES[name]
    waited = {op.task_id for op in dag.tasks if getattr(op, "waiting", False) and hasattr(op, "job")}
    assert {returned[each]["status"] for each in waited} <= {"Completed"}
    assert azureml_emulator.unknown_routes == []


def test_no_old_dag_is_left_out():
    assert {path.stem for path in DAGS.glob("*.py")} == set(SHAPES)


@pytest.mark.usefixtures("workspaces")
def test_the_job_goes_to_each_of_two_subscriptions(azureml_emulator):
    run(runpy.run_path(str(DAGS / "two_subscriptions.py"))["dag"])
    made = [call["path"].split("/jobs/")[0] for call in azureml_emulator.calls("PUT", "/jobs/")]
    assert len({path.split("/")[2] for path in made}) == 2


@pytest.mark.usefixtures("workspaces")
def test_the_sdk_itself_refuses_its_names_of_language_models_as_the_page_says():
    from azure.ai.ml import Input, automl
    from azure.ai.ml.constants import NlpModels
    from azure.ai.ml.exceptions import MlException

    table = Input(type="mltable", path=str(DAGS.parent / "specs" / "files" / "mltable"))
    job = automl.text_ner(compute="old-cpu", experiment_name="e", training_data=table, validation_data=table)
    job.set_training_parameters(model_name=NlpModels.ROBERTA_BASE)
    ml = AzureMachineLearningHook("AML_TEST_CONNECTION").get_client()
    with pytest.raises((TypeError, MlException), match="NlpModels is not JSON serializable"):
        ml.jobs.create_or_update(job)
    assert "`NlpModels.ROBERTA_BASE.value`" in MIGRATION


@pytest.mark.parametrize("method", ["get_conn", "get_client"])
def test_the_client_outlives_its_hook(ws, method, submit):
    job = submit(["Completed"])
    ml = getattr(AzureMachineLearningHook("azureml"), method)()
    gc.collect()
    assert {ml.jobs.get(job).status for _ in range(20)} == {"Completed"}


def test_a_part_of_the_client_outlives_the_client(ws, submit):
    job = submit(["Completed"])
    jobs = AzureMachineLearningHook("azureml").get_conn().jobs
    gc.collect()
    assert jobs.get(job).name == job


def test_the_hook_gives_the_same_client_under_both_names(ws):
    hook = AzureMachineLearningHook("azureml")
    assert hook.get_client() is hook.get_conn() is hook.get_conn()


def open_sockets() -> set[str]:
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(str(descriptor.readlink()))
    return {name for name in found if name.startswith("socket:")}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs a list of the process's open sockets")
def test_a_client_that_is_let_go_closes_its_connections(ws, submit):
    job = submit(["Completed"])
    gc.collect()
    before = open_sockets()
    ml = AzureMachineLearningHook("azureml").get_conn()
    ml.jobs.get(job)
    assert open_sockets() - before
    del ml
    gc.collect()
    assert open_sockets() - before == set()


def test_the_client_works_in_a_decorated_task(ws, submit):
    job = submit(["Completed"])

    @airflow_task
    def status(name):
        from airflow_provider_azureml.provider.hook import AzureMachineLearningHook

        return AzureMachineLearningHook("azureml").get_client().jobs.get(name).status

    runner = TaskRunner(lambda: status(job).operator)
    assert runner.operator.python_callable(*runner.operator.op_args) == "Completed"


@pytest.mark.parametrize(
    ("make", "gone"),
    [
        (lambda **argument: AzureMachineLearningHook(**argument), "azure_machine_learning_conn_id"),
        (
            lambda **argument: AzureMachineLearningDeployEndpointOperator(task_id="it", deployment={}, **argument),
            "set_default",
        ),
    ],
)
def test_an_argument_that_is_gone_is_refused_by_name_and_is_on_the_page(make: Callable[..., Any], gone: str):
    with pytest.raises(TypeError, match=gone):
        make(**{gone: "x"})
    assert f"`{gone}=" in MIGRATION


def test_an_operator_without_waiting_waits_for_the_compute_as_it_did():
    assert AzureMachineLearningCreateComputeResourceOperator(task_id="it", compute={}).waiting
