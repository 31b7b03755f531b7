"""What Airflow sees of the operators that the SDK works for, when it parses a DAG."""

from __future__ import annotations

import json
import subprocess
import sys
from pydoc import locate

import pytest
from airflow.sdk import DAG

from airflow_provider_azureml.datasets import Kind, Workspace
from airflow_provider_azureml.provider import sdk
from airflow_provider_azureml.provider.operators.compute import AzureMachineLearningCreateComputeResourceOperator
from airflow_provider_azureml.provider.operators.endpoint import AzureMachineLearningDeployEndpointOperator
from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator
from airflow_provider_azureml.provider.rest.states import provisioning_failed, same_state
from airflow_provider_azureml.provider.triggers.job import AzureMachineLearningJobTrigger
from airflow_provider_azureml.provider.triggers.resource import AzureMachineLearningResourceTrigger

WS = Workspace("12345678-1234-1234-1234-123456789abc", "ml", "fraud-prod")
JOB = {"command": "echo", "outputs": {"model": {"type": "mlflow_model", "name": "fraud"}, "log": {"type": "uri_file"}}}


def entity() -> object:
    """Something whose class claims to be of the SDK, with a text that is another each time."""
    return type("PipelineJob", (), {"__module__": "azure.ai.ml.entities", "__str__": lambda self: str(id(self))})()


def test_parsing_a_dag_again_gives_the_same_serialised_dag():
    """Whatever form a spec has: a DAG that changes on each parse gets a new version on each."""
    from airflow.serialization.serialized_objects import DagSerialization

    def parse() -> str:
        with DAG("d", schedule=None) as dag:
            AzureMachineLearningCreateJobOperator(task_id="a", workspace=WS, waiting=True, job=JOB)
            AzureMachineLearningCreateJobOperator(task_id="b", job=entity())
            AzureMachineLearningCreateJobOperator(task_id="c", job=lambda: JOB)
            AzureMachineLearningCreateComputeResourceOperator(task_id="e", compute="compute.yml")
            AzureMachineLearningDeployEndpointOperator(task_id="f", deployment=entity())
        return json.dumps(DagSerialization.serialize_dag(dag), sort_keys=True, default=str)

    assert parse() == parse()
    assert "azure-ai-ml PipelineJob" in parse()


def test_parsing_does_not_import_the_sdk():
    source = "import sys; import airflow_provider_azureml.provider.operators.job, airflow_provider_azureml.sensors"

    code = f"{source}; assert 'azure.ai.ml' not in sys.modules"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


@pytest.mark.parametrize(
    ("spec", "outlets"),
    [
        (JOB, [WS.model("fraud")]),
        ({"outputs": {"m": {"type": "mlflow_model", "name": "m-{{ ds }}"}}}, [WS.alias(Kind.MODEL)]),
        ("job.yml", [WS.alias(Kind.MODEL), WS.alias(Kind.DATA)]),
        ({"command": "echo"}, []),
    ],
)
def test_a_jobs_named_outputs_are_outlets(spec, outlets):
    operator = AzureMachineLearningCreateJobOperator(task_id="t", workspace=WS, waiting=True, job=spec)
    assert operator.outlets == outlets


@pytest.mark.parametrize(
    "trigger",
    [
        AzureMachineLearningJobTrigger(conn_id="c", poll_interval=60, job_name="j", task_run_id="me", deadline=5.5),
        AzureMachineLearningResourceTrigger(
            conn_id="c", poll_interval=60, path=("computes", "c"), state="Running", not_before=5.5
        ),
    ],
)
def test_a_trigger_survives_airflows_database(trigger):
    path, fields = trigger.serialize()
    again = locate(path)(**json.loads(json.dumps(fields)))
    assert again.serialize() == trigger.serialize()


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (
            'Validation failed:\n {"command": ["Missing data."], "a": {"b": ["Unknown field."]}} see https://x',
            "\n- command: Missing data.\n- a.b: Unknown field.",
        ),
        ("Unsupported job type: magic.", "Unsupported job type: magic."),
        ("\x1b[31mred\x1b[0m\n\nblack", "red black"),
        (
            '{"errors": [{"path": "jobs.a.x", "message": "{\'b\': [\'Unknown\']}; Not a string.; Not a string."}]}',
            "jobs.a.x: Not a string.",
        ),
    ],
)
def test_what_the_sdk_says_is_readable(report, text):
    assert sdk._text(ValueError(report)) == text


@pytest.mark.parametrize(
    ("state", "failed", "running"),
    [("Failed", True, False), ("Unusable", True, False), ("JobRunning", False, True), (None, False, False)],
)
def test_what_a_provisioning_state_means(state, failed, running):
    assert (provisioning_failed(state), same_state(state, "Running")) == (failed, running)
