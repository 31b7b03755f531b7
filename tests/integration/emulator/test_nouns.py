"""Everything else that the SDK does: components, other jobs, computes, endpoints, schedules, datastores, registries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning:azure", "ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def _every_route_is_known(azureml_emulator: Any) -> Any:
    yield
    assert azureml_emulator.unknown_routes == []


@pytest.fixture
def cpu(ml: Any) -> str:
    from azure.ai.ml.entities import AmlCompute

    ml.compute.begin_create_or_update(AmlCompute(name="cpu", size="Standard_DS2_v2", max_instances=2)).result()
    return "cpu"


def component(folder: Path) -> Any:
    from azure.ai.ml import Input, Output, command

    return command(
        name="train",
        version="1",
        command="python train.py --data ${{inputs.data}} --model ${{outputs.model}}",
        environment="azureml:env:1",
        code=str(folder),
        inputs={"data": Input(type="uri_folder"), "rate": Input(type="number", default=0.1)},
        outputs={"model": Output(type="uri_folder")},
    )


# Components and the other kinds of job -------------------------------------------------------------------------------


def test_components_are_registered_listed_and_archived(ml: Any, folder: Path) -> None:
    created = ml.components.create_or_update(component(folder).component)
    assert (created.name, created.version) == ("train", "1")

    found = ml.components.get("train", "1")
    assert (found.type, found.inputs["data"].type, found.inputs["rate"].default) == ("command", "uri_folder", 0.1)
    assert [one.version for one in ml.components.list(name="train")] == ["1"]
    ml.components.archive("train", version="1")
    assert list(ml.components.list(name="train")) == []


def test_the_name_of_a_component_alone_means_its_newest_version(ml: Any, folder: Path) -> None:
    first = component(folder).component
    ml.components.create_or_update(first)
    second = component(folder).component
    second.version = "2"
    ml.components.create_or_update(second)
    found = ml.components.get("train")
    assert found.version == "2"
    assert found.id.endswith("/components/train/labels/default")
    with pytest.raises(ResourceNotFoundError):
        ml.components.get("nothing")


def test_an_anonymous_component_keeps_its_own_name_and_version(ml: Any, folder: Path) -> None:
    made = ml.components.create_or_update(component(folder).component, is_anonymous=True)
    assert (made.name, made.version) == ("train", "1")
    assert "/components/azureml_anonymous/versions/" in made.id


def test_each_input_of_a_component_says_whether_it_is_optional(ml: Any, folder: Path) -> None:
    made = ml.components.create_or_update(component(folder).component)
    assert [one["optional"] for one in made._to_dict()["inputs"].values()] == [False, False]


def test_a_component_may_be_looked_at_by_arm_before_it_is_made(ml: Any, folder: Path) -> None:
    assert ml.components.validate(component(folder).component, skip_remote_validation=False).passed


@pytest.mark.parametrize(
    ("compute", "status"), [("DataFactory", 201), ("serverless", 201), ("${{parent.inputs.where}}", 201), ("none", 400)]
)
async def test_only_what_can_be_a_compute_is_looked_for(
    rest: Any, workspace_id: str, compute: str, status: int
) -> None:
    node = {"type": "command", "computeId": f"{workspace_id}/computes/{compute}"}
    answer = await rest("PUT", "/jobs/j", {"properties": {"jobType": "Pipeline", "jobs": {"node": node}}})
    assert answer.status_code == status


def pipeline(ml: Any, folder: Path, cpu: str) -> Any:
    from azure.ai.ml import Input, dsl

    step = ml.components.create_or_update(component(folder).component)

    @dsl.pipeline(default_compute=cpu)
    def flow(data):
        step(data=data)

    return flow(data=Input(type="uri_folder", path="azureml:sales:1"))


def test_a_pipeline_has_children_and_tells_which_failed(ml: Any, folder: Path, cpu: str, azureml_emulator: Any) -> None:
    azureml_emulator.script_jobs([("NotStarted", 1), ("Running", None)])
    job = ml.jobs.create_or_update(pipeline(ml, folder, cpu))
    azureml_emulator.advance(2)
    assert [child.status for child in ml.jobs.list(parent_job_name=job.name)] == ["Running"]
    assert [listed.name for listed in ml.jobs.list()] == [job.name]

    azureml_emulator.job(job.name).fail("UserError", "no such file")
    (child,) = ml.jobs.list(parent_job_name=job.name)
    assert child.status == "Failed"
    stages = json.loads(ml.jobs.get(job.name).properties["azureml.pipelines.stages"])
    assert stages["Execution"]["Status"] == "Failed"


def test_a_pipeline_with_a_missing_component_is_refused(ml: Any, cpu: str) -> None:
    from azure.ai.ml import load_job

    source = {
        "type": "pipeline",
        "jobs": {"one": {"type": "command", "component": "azureml:nothing:1", "compute": f"azureml:{cpu}"}},
    }
    job = load_job(source=_yaml(source))
    with pytest.raises(HttpResponseError, match="Not found component nothing"):
        ml.jobs.create_or_update(job)


def _yaml(value: dict[str, Any]) -> Any:
    import io

    import yaml

    return io.StringIO(yaml.safe_dump(value))


def test_a_sweep_runs_at_once_and_has_trials(ml: Any, folder: Path, cpu: str, azureml_emulator: Any) -> None:
    from azure.ai.ml import command
    from azure.ai.ml.sweep import Uniform

    base = command(
        command="train --lr ${{inputs.lr}}", environment="azureml:env:1", compute=cpu, inputs={"lr": Uniform(0.1, 0.9)}
    )
    sweep = base.sweep(primary_metric="accuracy", goal="maximize", sampling_algorithm="random", max_total_trials=2)
    job = ml.jobs.create_or_update(sweep)

    assert job.status == "Running"
    assert len(list(ml.jobs.list(parent_job_name=job.name))) == 2
    azureml_emulator.advance(60)
    assert ml.jobs.get(job.name).status == "Completed"


def test_an_automl_job(ml: Any, cpu: str, azureml_emulator: Any) -> None:
    from azure.ai.ml import Input, automl

    job = automl.classification(
        compute=cpu,
        experiment_name="automl",
        training_data=Input(type="mltable", path="azureml:table:1"),
        target_column_name="y",
        primary_metric="accuracy",
    )
    created = ml.jobs.create_or_update(job)
    assert created.status == "NotStarted"
    azureml_emulator.advance(60)
    found = ml.jobs.get(created.name)
    assert (found.status, found.type, found.target_column_name) == ("Completed", "automl", "y")


def test_a_spark_job(ml: Any, folder: Path, azureml_emulator: Any) -> None:
    from azure.ai.ml import spark

    (folder / "entry.py").write_text("")
    job = spark(
        code=str(folder),
        entry={"file": "entry.py"},
        driver_cores=1,
        driver_memory="2g",
        executor_cores=1,
        executor_memory="2g",
        executor_instances=1,
        resources={"instance_type": "Standard_E4S_V3", "runtime_version": "3.4"},
    )
    created = ml.jobs.create_or_update(job)
    azureml_emulator.advance(60)
    found = ml.jobs.get(created.name)
    assert (found.status, found.type, int(found.driver_cores)) == ("Completed", "spark", 1)


def test_a_parallel_step(ml: Any, folder: Path, cpu: str, azureml_emulator: Any) -> None:
    from azure.ai.ml import Input, Output, dsl
    from azure.ai.ml.parallel import RunFunction, parallel_run_function

    (folder / "score.py").write_text("")
    score = parallel_run_function(
        name="score",
        inputs={"rows": Input(type="uri_folder")},
        outputs={"out": Output(type="uri_file")},
        input_data="${{inputs.rows}}",
        instance_count=1,
        mini_batch_size="1",
        task=RunFunction(code=str(folder), entry_script="score.py", environment="azureml:env:1"),
    )

    @dsl.pipeline(default_compute=cpu)
    def flow(rows):
        score(rows=rows)

    created = ml.jobs.create_or_update(flow(rows=Input(type="uri_folder", path="azureml:sales:1")))
    azureml_emulator.advance(60)
    assert ml.jobs.get(created.name).status == "Completed"


def test_the_log_of_a_job_is_streamed_and_downloaded(ml: Any, tmp_path: Path, azureml_emulator: Any) -> None:
    from azure.ai.ml import command

    azureml_emulator.script_jobs([("Running", None)])
    name = ml.jobs.create_or_update(command(command="x", environment="azureml:env:1")).name
    azureml_emulator.job(name).complete(files={"default": {"outputs/model.txt": "weights"}})
    ml.jobs.stream(name)
    ml.jobs.download(name, download_path=str(tmp_path), all=True)

    assert (tmp_path / "artifacts" / "outputs" / "model.txt").read_text() == "weights"
    assert "Completed" in (tmp_path / "artifacts" / "user_logs" / "std_log.txt").read_text()


# Computes ------------------------------------------------------------------------------------------------------------


def test_a_cluster_is_created_changed_and_deleted(ml: Any, cpu: str) -> None:
    from azure.ai.ml.entities import AmlCompute

    found = ml.compute.get(cpu)
    assert (found.size, found.max_instances, found.provisioning_state) == ("STANDARD_DS2_V2", 2, "Succeeded")
    ml.compute.begin_create_or_update(AmlCompute(name=cpu, size="Standard_DS2_v2", max_instances=5)).result()
    assert [compute.max_instances for compute in ml.compute.list()] == [5]

    ml.compute.begin_delete(cpu).result()
    with pytest.raises(ResourceNotFoundError):
        ml.compute.get(cpu)


def test_an_instance_is_stopped_and_started(ml: Any) -> None:
    from azure.ai.ml.entities import ComputeInstance

    created = ml.compute.begin_create_or_update(ComputeInstance(name="ci", size="Standard_DS2_v2")).result()
    assert created.state == "Running"
    ml.compute.begin_stop("ci").result()
    assert ml.compute.get("ci").state == "Stopped"
    ml.compute.begin_start("ci").result()
    ml.compute.begin_restart("ci").result()
    assert ml.compute.get("ci").state == "Running"


@pytest.mark.parametrize("noun", ["compute", "online_endpoints"])
def test_an_operation_that_is_told_to_fail_fails_in_the_sdks_eyes(ml: Any, azureml_emulator: Any, noun: str) -> None:
    from azure.ai.ml.entities import AmlCompute, ManagedOnlineEndpoint

    azureml_emulator.misbehave("PUT", operation_fails=True, code="QuotaExceeded", message="0 cores left.")
    entity = AmlCompute(name="gpu") if noun == "compute" else ManagedOnlineEndpoint(name="scorer", auth_mode="key")
    with pytest.raises(HttpResponseError, match=r"QuotaExceeded.*0 cores left"):
        getattr(ml, noun).begin_create_or_update(entity).result()
    assert getattr(ml, noun).get(entity.name).provisioning_state == "Failed"


# Endpoints -----------------------------------------------------------------------------------------------------------


def test_an_online_endpoint_serves_by_its_traffic(ml: Any, folder: Path, tmp_path: Path) -> None:
    from azure.ai.ml.entities import CodeConfiguration, ManagedOnlineDeployment, ManagedOnlineEndpoint

    endpoint = ml.online_endpoints.begin_create_or_update(
        ManagedOnlineEndpoint(name="scorer", auth_mode="key")
    ).result()
    assert endpoint.provisioning_state == "Succeeded"
    (folder / "score.py").write_text("")
    deployment = ManagedOnlineDeployment(
        name="blue",
        endpoint_name="scorer",
        model="azureml:fraud:1",
        environment="azureml:env:1",
        code_configuration=CodeConfiguration(code=str(folder), scoring_script="score.py"),
        instance_type="Standard_DS2_v2",
        instance_count=1,
    )
    assert ml.online_deployments.begin_create_or_update(deployment).result().provisioning_state == "Succeeded"
    endpoint.traffic = {"blue": 100}
    ml.online_endpoints.begin_create_or_update(endpoint).result()

    request = tmp_path / "request.json"
    request.write_text('{"rows": [1]}')
    answer = json.loads(ml.online_endpoints.invoke("scorer", request_file=str(request)))
    assert answer == {"endpoint": "scorer", "deployment": "blue", "input": {"rows": [1]}}
    assert ml.online_endpoints.get_keys("scorer").primary_key
    assert ml.online_endpoints.get("scorer").traffic == {"blue": 100}
    assert [one.name for one in ml.online_deployments.list("scorer")] == ["blue"]
    assert "blue" in ml.online_deployments.get_logs("blue", "scorer", lines=10)

    with pytest.raises(HttpResponseError, match="has traffic"):
        ml.online_deployments.begin_delete("blue", "scorer")
    endpoint.traffic = {}
    ml.online_endpoints.begin_create_or_update(endpoint).result()
    ml.online_deployments.begin_delete("blue", "scorer").result()
    ml.online_endpoints.begin_delete("scorer").result()
    with pytest.raises(ResourceNotFoundError):
        ml.online_endpoints.get("scorer")


def test_a_batch_endpoint_makes_jobs(ml: Any, folder: Path, cpu: str, azureml_emulator: Any) -> None:
    from azure.ai.ml import Input
    from azure.ai.ml.entities import BatchEndpoint, CodeConfiguration, ModelBatchDeployment

    ml.batch_endpoints.begin_create_or_update(BatchEndpoint(name="nightly")).result()
    (folder / "score.py").write_text("")
    deployment = ModelBatchDeployment(
        name="blue",
        endpoint_name="nightly",
        model="azureml:fraud:1",
        environment="azureml:env:1",
        code_configuration=CodeConfiguration(code=str(folder), scoring_script="score.py"),
        compute=cpu,
    )
    ml.batch_deployments.begin_create_or_update(deployment).result()
    endpoint = ml.batch_endpoints.get("nightly")
    endpoint.defaults = {"deployment_name": "blue"}
    ml.batch_endpoints.begin_create_or_update(endpoint).result()

    job = ml.batch_endpoints.invoke("nightly", input=Input(type="uri_folder", path="https://example.org/rows/"))
    azureml_emulator.advance(60)
    assert ml.jobs.get(job.name).status == "Completed"
    assert [one.name for one in ml.batch_endpoints.list_jobs("nightly")] == [job.name]
    ml.jobs.download(job.name, download_path=str(folder / "scored"))
    assert (folder / "scored" / "part-0.csv").read_text()
    ml.batch_endpoints.begin_delete("nightly").result()


# Schedules, datastores, registries -----------------------------------------------------------------------------------


def test_a_schedule_is_created_triggered_disabled_and_deleted(
    ml: Any, folder: Path, cpu: str, lists_caught_up: Any
) -> None:
    from azure.ai.ml.entities import CronTrigger, JobSchedule

    job = ml.jobs.create_or_update(pipeline(ml, folder, cpu))
    schedule = JobSchedule(name="daily", trigger=CronTrigger(expression="0 8 * * *"), create_job=job.name)
    created = ml.schedules.begin_create_or_update(schedule).result()
    assert (created.is_enabled, created.provisioning_state) == (True, "Succeeded")

    triggered = ml.schedules.trigger("daily")
    assert ml.jobs.get(triggered.job_name).type == "pipeline"
    lists_caught_up()
    for filters in ({"schedule_defined": True}, {"scheduled_job_name": "daily"}):
        assert [one.name for one in ml.jobs.list(**filters)] == [triggered.job_name]
    assert [one.name for one in ml.jobs.list(schedule_defined=False)] == [job.name]
    assert list(ml.jobs.list(scheduled_job_name="weekly")) == []
    ml.schedules.begin_disable("daily").result()
    assert not ml.schedules.get("daily").is_enabled
    ml.schedules.begin_delete("daily").result()
    with pytest.raises(ResourceNotFoundError):
        ml.schedules.get("daily")


def test_datastores_are_created_and_listed(ml: Any, azureml_emulator: Any) -> None:
    from azure.ai.ml.entities import AccountKeyConfiguration, AzureBlobDatastore

    store = AzureBlobDatastore(
        name="mine",
        account_name=azureml_emulator.storage_account,
        container_name="mine",
        credentials=AccountKeyConfiguration(account_key=azureml_emulator.storage_key),
    )
    assert ml.datastores.create_or_update(store).name == "mine"
    assert ml.datastores.get("mine", include_secrets=True).credentials.sas_token.startswith("?sv=")
    assert ml.datastores.get_default().name == "workspaceblobstore"
    assert {found.name for found in ml.datastores.list()} >= {"mine", "workspaceblobstore", "workspaceartifactstore"}
    ml.datastores.delete("mine")


def test_models_and_data_are_registered_in_a_registry(
    ml: Any, azureml_emulator: Any, folder: Path, tmp_path: Path
) -> None:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import Data, Model
    from azure.identity import ClientSecretCredential

    emulator = azureml_emulator
    name = emulator.create_registry()
    with ClientSecretCredential(emulator.tenant_id, emulator.client_id, emulator.client_secret) as credential:
        registry = MLClient(credential, registry_name=name)
        model = registry.models.create_or_update(Model(name="fraud", version="1", path=str(folder)))
        data = registry.data.create_or_update(Data(name="sales", version="1", path=str(folder), type="uri_folder"))

        assert model.id == f"azureml://registries/{name}/models/fraud/versions/1"
        assert data.id == f"azureml://registries/{name}/data/sales/versions/1"
        assert registry.models.get("fraud", label="latest").version == "1"
        assert [found.name for found in registry.models.list()] == ["fraud"]
        assert [found.version for found in registry.data.list("sales")] == ["1"]
        registry.models.download("fraud", "1", download_path=str(tmp_path / "got"))
        assert (tmp_path / "got" / "fraud" / "source" / "nested" / "b.txt").read_text() == "beta"


def test_a_model_is_shared_with_a_registry(ml: Any, azureml_emulator: Any) -> None:
    from azure.ai.ml.entities import Model

    name = azureml_emulator.create_registry()
    ml.models.create_or_update(Model(name="fraud", version="3", path="azureml://jobs/j/outputs/m", tags={"k": "v"}))
    for version in ("1", "2"):  # the registry is done at once, or says where to ask
        ml.models.share("fraud", "3", registry_name=name, share_with_name="shared", share_with_version=version)

    statuses = {call["status"] for call in azureml_emulator.calls("POST", f"/registries/{name}/import")}
    assert statuses == {200, 202}


def test_workspaces_are_listed(ml: Any, azureml_emulator: Any) -> None:
    assert azureml_emulator.workspace_name in {workspace.name for workspace in ml.workspaces.list()}
    assert ml.workspaces.get(azureml_emulator.workspace_name).location == "westeurope"
