"""Every public operation of MLClient is called once: none of them asks what the emulator has no answer for."""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.filterwarnings("ignore")

ENVIRONMENT = "azureml://registries/azureml/environments/sklearn/versions/1"
NOT_WALKED = {
    "data.mount": "needs azureml-dataprep, and FUSE",
    "data.list_materialization_status": "fails in azure-ai-ml 1.35.2 by itself (jobs.list has no `asset_name`)",
    "datastores.mount": "needs azureml-dataprep, and FUSE",
    "indexes.build_index": "needs azureml-rag",
    "serverless_endpoints.begin_regenerate_keys": "fails in azure-ai-ml 1.35.2 by itself (an argument is missing)",
    "feature_sets.get_feature": "reads a specification from storage, of which other operations see to",
    "feature_sets.list_features": "the same",
    "components.prepare_for_sign": "asks nothing",
    "evaluators.create_or_update": "fails in azure-ai-ml 1.35.2 by itself (`_model_dataplane_operation`)",
    "evaluators.download": "the same",
    "evaluators.get": "the same",
    "evaluators.list": "the same",
}
"""Operations that are left out, and why."""


class Walk:
    """What the walks of all nouns use: the SDK's client, one for a registry, a folder, a cluster."""

    def __init__(self, ml: Any, registry: Any, emulator: Any, folder: Path) -> None:
        self.ml, self.registry, self.emulator, self.folder = ml, registry, emulator, folder

    def command(self, **fields: Any) -> Any:
        from azure.ai.ml import command

        return command(**{"command": "echo", "environment": ENVIRONMENT, **fields})

    def job(self, *script: Any, **fields: Any) -> str:
        """Submit a job that goes as `script` says; return its name."""
        self.emulator.script_jobs(list(script) or ["Completed"])
        return str(self.ml.jobs.create_or_update(self.command(**fields)).name)

    def cluster(self, name: str = "cpu") -> Any:
        from azure.ai.ml.entities import AmlCompute

        return self.ml.compute.begin_create_or_update(AmlCompute(name=name, size="Standard_DS2_v2")).result()

    def archive_and_restore(self, operations: Any, *names: str) -> None:
        operations.archive(*names)
        operations.restore(*names)


def walk_jobs(walk: Walk) -> None:
    ml, name = walk.ml, walk.job()
    ml.jobs.get(name)
    list(ml.jobs.list())
    ml.jobs.validate(walk.command())
    ml.jobs.update(name, properties={"a": "b"})
    ml.jobs.stream(name)
    ml.jobs.download(name, download_path=walk.folder / "got")
    walk.archive_and_restore(ml.jobs, name)
    running = walk.job(("Running", None))
    ml.jobs.show_services(running)
    ml.jobs.begin_cancel(running).result()
    ml.jobs.begin_delete(name).result()


def walk_models(walk: Walk) -> None:
    from azure.ai.ml.entities import AzureMLOnlineInferencingServer, Model, ModelConfiguration, ModelPackage

    ml = walk.ml
    ml.models.create_or_update(Model(name="fraud", version="1", path=str(walk.folder)))
    ml.models.get("fraud", "1")
    ml.models.get("fraud", label="latest")
    list(ml.models.list("fraud"))
    # The SDK does not download where the default datastore's secret is refused, as it is in every other workspace.
    walk.emulator.configure(answers={"registry import": "done", "paths of job outputs": "resolved"})
    logs = f"azureml://jobs/{walk.job()}/outputs/artifacts/paths/user_logs"
    ml.models.create_or_update(Model(name="logs", version="1", path=logs))
    ml.models.download("logs", "1", download_path=walk.folder / "got")
    walk.archive_and_restore(ml.models, "fraud", "1")
    walk.archive_and_restore(ml.models, "fraud")
    ml.models.share(
        "fraud", "1", registry_name=walk.registry.models._registry_name, share_with_name="s", share_with_version="1"
    )
    server = AzureMLOnlineInferencingServer()
    configuration = ModelConfiguration(mode="Copy")
    ml.models.package(
        "fraud",
        "1",
        ModelPackage(target_environment="packed", inferencing_server=server, model_configuration=configuration),
    )


def walk_data(walk: Walk) -> None:
    from azure.ai.ml.data_transfer import Database
    from azure.ai.ml.entities import Data, DataImport

    ml = walk.ml
    ml.data.create_or_update(Data(name="sales", version="1", path=str(walk.folder), type="uri_folder"))
    ml.data.get("sales", "1")
    ml.data.get("sales", label="latest")
    list(ml.data.list("sales"))
    walk.archive_and_restore(ml.data, "sales", "1")
    walk.archive_and_restore(ml.data, "sales")
    ml.data.share(
        "sales", "1", registry_name=walk.registry.data._registry_name, share_with_name="s", share_with_version="1"
    )
    source = Database(query="select 1", connection="azureml:warehouse")
    path = "azureml://datastores/workspaceblobstore/paths/${{name}}"
    ml.data.import_data(DataImport(name="imported", source=source, path=path))


def walk_environments(walk: Walk) -> None:
    from azure.ai.ml.entities import Environment

    ml = walk.ml
    ml.environments.create_or_update(Environment(name="e", version="1", image="python:3.11"))
    ml.environments.get("e", "1")
    ml.environments.get("e", label="latest")
    list(ml.environments.list("e"))
    walk.archive_and_restore(ml.environments, "e", "1")
    walk.archive_and_restore(ml.environments, "e")
    ml.environments.share(
        "e", "1", registry_name=walk.registry.environments._registry_name, share_with_name="s", share_with_version="1"
    )


def walk_components(walk: Walk) -> None:
    ml = walk.ml
    component = walk.command(name="train", version="1", code=str(walk.folder)).component
    ml.components.validate(component)
    ml.components.create_or_update(component)
    ml.components.get("train", "1")
    ml.components.download("train", walk.folder / "got", version="1")
    list(ml.components.list(name="train"))
    walk.archive_and_restore(ml.components, "train", "1")
    walk.archive_and_restore(ml.components, "train")


def walk_compute(walk: Walk) -> None:
    from azure.ai.ml.entities import ComputeInstance, VirtualMachineCompute, VirtualMachineSshSettings

    ml, cluster = walk.ml, walk.cluster()
    ml.compute.get("cpu")
    list(ml.compute.list())
    list(ml.compute.list_nodes("cpu"))
    list(ml.compute.list_sizes())
    list(ml.compute.list_usage())
    cluster.max_instances = 3
    ml.compute.begin_update(cluster).result()
    ml.compute.begin_create_or_update(ComputeInstance(name="ci", size="Standard_DS2_v2")).result()
    for act in (ml.compute.begin_stop, ml.compute.begin_start, ml.compute.begin_restart):
        act("ci").result()
    ml.compute.enable_sso(name="ci", enable_sso=True)
    machine = f"/subscriptions/{ml.subscription_id}/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm"
    access = VirtualMachineSshSettings(admin_username="someone", admin_password="not-a-password")
    ml.compute.begin_attach(VirtualMachineCompute(name="vm", resource_id=machine, ssh_settings=access)).result()
    ml.compute.begin_delete("cpu").result()


def walk_datastores(walk: Walk) -> None:
    from azure.ai.ml.entities import AzureBlobDatastore

    ml = walk.ml
    ml.datastores.create_or_update(AzureBlobDatastore(name="mine", account_name="a", container_name="c"))
    ml.datastores.get("mine")
    ml.datastores.get_default()
    list(ml.datastores.list())
    ml.datastores.delete("mine")


def walk_online_endpoints(walk: Walk) -> None:
    from azure.ai.ml.entities import ManagedOnlineDeployment, ManagedOnlineEndpoint

    ml, request = walk.ml, walk.folder / "request.json"
    request.write_text("{}")
    ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name="scorer", auth_mode="key")).result()
    ml.online_endpoints.get("scorer")
    list(ml.online_endpoints.list())
    ml.online_endpoints.get_keys("scorer")
    ml.online_endpoints.begin_regenerate_keys("scorer", key_type="secondary").result()
    model = "azureml:fraud:1"
    ml.models.create_or_update(_mlflow_model(walk))
    deployment = ManagedOnlineDeployment(name="blue", endpoint_name="scorer", model=model, instance_count=1)
    deployment.instance_type = "Standard_DS2_v2"
    ml.online_deployments.begin_create_or_update(deployment).result()
    ml.online_deployments.get("blue", "scorer")
    list(ml.online_deployments.list("scorer"))
    ml.online_deployments.get_logs("blue", "scorer", lines=10)
    ml.online_endpoints.invoke("scorer", request_file=str(request), deployment_name="blue")
    ml.online_deployments.begin_delete("blue", "scorer").result()
    ml.online_endpoints.begin_delete("scorer").result()


def _mlflow_model(walk: Walk) -> Any:
    from azure.ai.ml.entities import Model

    (walk.folder / "MLmodel").write_text("flavors: {}\n")
    return Model(name="fraud", version="1", path=str(walk.folder), type="mlflow_model")


def walk_batch_endpoints(walk: Walk) -> None:
    from azure.ai.ml import Input
    from azure.ai.ml.entities import BatchEndpoint, ModelBatchDeployment

    ml = walk.ml
    walk.cluster()
    ml.models.create_or_update(_mlflow_model(walk))
    ml.batch_endpoints.begin_create_or_update(BatchEndpoint(name="nightly")).result()
    ml.batch_endpoints.get("nightly")
    list(ml.batch_endpoints.list())
    deployment = ModelBatchDeployment(name="blue", endpoint_name="nightly", model="azureml:fraud:1", compute="cpu")
    ml.batch_deployments.begin_create_or_update(deployment).result()
    ml.batch_deployments.get("blue", "nightly")
    list(ml.batch_deployments.list("nightly"))
    ml.batch_endpoints.invoke("nightly", deployment_name="blue", input=Input(path="https://example.org/rows/"))
    list(ml.batch_endpoints.list_jobs("nightly"))
    list(ml.batch_deployments.list_jobs("nightly", name="blue"))
    ml.batch_deployments.begin_delete("blue", "nightly").result()
    ml.batch_endpoints.begin_delete("nightly").result()


def walk_schedules(walk: Walk) -> None:
    from azure.ai.ml import load_job
    from azure.ai.ml.entities import CronTrigger, JobSchedule

    ml = walk.ml
    walk.cluster()
    step = {"command": "echo", "environment": ENVIRONMENT, "type": "command", "compute": "azureml:cpu"}
    job = load_job(_yaml({"type": "pipeline", "jobs": {"a": step}}))
    schedule = JobSchedule(name="daily", trigger=CronTrigger(expression="0 8 * * *"), create_job=job)
    ml.schedules.begin_create_or_update(schedule).result()
    ml.schedules.get("daily")
    list(ml.schedules.list())
    ml.schedules.trigger("daily")
    ml.schedules.begin_disable("daily").result()
    ml.schedules.begin_enable("daily").result()
    ml.schedules.begin_disable("daily").result()
    ml.schedules.begin_delete("daily").result()


def _yaml(value: Any) -> io.StringIO:
    import yaml

    return io.StringIO(yaml.safe_dump(value))


def walk_workspaces(walk: Walk) -> None:
    from azure.ai.ml.entities import FqdnDestination, Hub, Workspace

    ml, name = walk.ml, f"made-{walk.emulator.workspace_name}"
    made = ml.workspaces.begin_create(Workspace(name=name, description="it", tags={"k": "v"})).result()
    assert (made.name, made.description, made.tags["k"]) == (name, "it", "v")
    assert ml.workspaces.begin_create(Hub(name=f"hub-{name}")).result()._kind == "hub"
    ml.workspaces.get(name)
    list(ml.workspaces.list())
    ml.workspaces.get_keys(name)
    ml.workspaces.begin_update(made, description="other").result()
    ml.workspaces.begin_diagnose(name).result()
    ml.workspaces.begin_sync_keys(name).result()
    ml.workspaces.begin_provision_network(workspace_name=name, include_spark=True).result()
    rules = ml.workspace_outbound_rules
    rule = FqdnDestination(name="pypi", destination="*.example.org")
    rules.begin_create(name, rule).result()
    rules.begin_update(name, rule).result()
    assert rules.get(name, "pypi").destination == "*.example.org"
    assert [one.name for one in rules.list(name)] == ["pypi"]
    rules.begin_remove(name, "pypi").result()
    ml.workspaces.begin_delete(name, delete_dependent_resources=False).result()


def walk_registries(walk: Walk) -> None:
    from azure.ai.ml.entities import Registry, RegistryRegionDetails, SystemCreatedStorageAccount

    ml, name = walk.ml, f"w{walk.emulator.workspace_name.replace('-', '')}"
    storage = SystemCreatedStorageAccount(storage_account_hns=False, storage_account_type="Standard_LRS")
    region = RegistryRegionDetails(location="westeurope", storage_config=storage)
    ml.registries.begin_create(Registry(name=name, location="westeurope", replication_locations=[region])).result()
    ml.registries.get(name)
    list(ml.registries.list())
    ml.registries.begin_delete(name=name).result()


def walk_connections(walk: Walk) -> None:
    from azure.ai.ml.entities import ApiKeyConfiguration, WorkspaceConnection

    ml, key = walk.ml, ApiKeyConfiguration(key="not-a-key")
    ml.connections.create_or_update(
        WorkspaceConnection(name="mine", type="custom", target="https://example.org", credentials=key)
    )
    assert ml.connections.get("mine", populate_secrets=True).credentials.key == "not-a-key"
    list(ml.connections.list())
    list(ml.azure_openai_deployments.list("mine"))
    ml.connections.delete("mine")


def walk_feature_sets(walk: Walk) -> None:
    from azure.ai.ml.entities import DataColumn, FeatureSet, FeatureSetSpecification, FeatureStoreEntity

    entities, sets = walk.ml.feature_store_entities, walk.ml.feature_sets
    entity = FeatureStoreEntity(name="account", version="1", index_columns=[DataColumn(name="id", type="string")])
    entities.begin_create_or_update(entity).result()
    assert entities.get("account", "1").index_columns[0].name == "id"
    list(entities.list())
    walk.archive_and_restore(entities, "account", "1")
    specification = walk.folder / "specification"
    specification.mkdir()
    (specification / "FeatureSetSpec.yaml").write_text(SPECIFICATION)
    made = FeatureSet(
        name="transactions",
        version="1",
        entities=["azureml:account:1"],
        specification=FeatureSetSpecification(path=str(specification)),
    )
    sets.begin_create_or_update(made).result()
    sets.get("transactions", "1")
    list(sets.list())
    sets.begin_backfill(name="transactions", version="1", data_status=["NONE"]).result()
    list(sets.list_materialization_operations("transactions", "1"))
    walk.archive_and_restore(sets, "transactions", "1")


SPECIFICATION = """
source: {type: parquet, path: "abfss://c@a.dfs.core.windows.net/x", timestamp_column: {name: at, format: "%Y"}}
features: [{name: amount, type: double}]
index_columns: [{name: id, type: string}]
"""


def walk_feature_stores(walk: Walk) -> None:
    stores, name = walk.ml.feature_stores, f"fs-{walk.emulator.workspace_name}"
    from azure.ai.ml.entities import FeatureStore

    stores.begin_create(FeatureStore(name=name), grant_materialization_permissions=False).result()
    store = stores.get(name)
    assert name in [one.name for one in stores.list()]
    assert "/blobServices/default/containers/" in store.offline_store.target
    assert store.materialization_identity.resource_id
    assert store.online_store is None
    store.description = "it"
    stores.begin_update(store).result()
    stores.begin_provision_network(feature_store_name=name).result()
    stores.begin_delete(name).result()


def walk_indexes(walk: Walk) -> None:
    from azure.ai.ml.entities import Index

    ml = walk.ml
    ml.indexes.create_or_update(Index(name="faq", version="1", path=str(walk.folder)))
    assert ml.indexes.create_or_update(Index(name="faq", path=str(walk.folder))).version == "2"
    assert ml.indexes.get("faq", label="latest").version == "2"
    assert [one.version for one in ml.indexes.list("faq")] == ["2", "1"]
    list(ml.indexes.list())


def walk_serverless_endpoints(walk: Walk) -> None:
    from azure.ai.ml.entities import MarketplaceSubscription, ServerlessEndpoint

    ml, model = walk.ml, "azureml://registries/azureml-meta/models/Llama"
    subscriptions, endpoints = ml.marketplace_subscriptions, ml.serverless_endpoints
    subscriptions.begin_create_or_update(MarketplaceSubscription(name="llama", model_id=model)).result()
    assert subscriptions.get("llama").model_id == model
    list(subscriptions.list())
    endpoints.begin_create_or_update(ServerlessEndpoint(name="llama-1", model_id=model)).result()
    assert endpoints.get("llama-1").scoring_uri
    list(endpoints.list())
    assert endpoints.get_keys("llama-1").primary_key
    endpoints.begin_delete("llama-1").result()
    subscriptions.begin_delete("llama").result()


def walk_capability_hosts(walk: Walk) -> None:
    from azure.ai.ml.entities import CapabilityHost, Hub

    ml, hub = walk.ml, f"hub-{walk.emulator.workspace_name}"
    ml.workspaces.begin_create(Hub(name=hub)).result()
    own = type(ml)(ml._credential, ml.subscription_id, ml.resource_group_name, hub)
    own.capability_hosts.begin_create_or_update(CapabilityHost(name="agents", capability_host_kind="Agents")).result()
    assert own.capability_hosts.get("agents").name == "agents"
    own.capability_hosts.begin_delete("agents").result()


def walk_deployment_templates(walk: Walk) -> None:
    from azure.ai.ml.entities import DeploymentTemplate

    templates = walk.registry.deployment_templates
    template = DeploymentTemplate(name="t", version="1", environment="azureml://registries/r/environments/e/versions/1")
    templates.create_or_update(template)
    templates.get("t", "1")
    list(templates.list())
    walk.archive_and_restore(templates, "t", "1")
    templates.delete("t", "1")


WALKS: dict[str, Callable[[Walk], None]] = {
    name.removeprefix("walk_"): walk for name, walk in list(globals().items()) if name.startswith("walk_")
}
ALONG = {
    "online_endpoints": ["online_deployments"],
    "batch_endpoints": ["batch_deployments"],
    "workspaces": ["workspace_outbound_rules"],
    "connections": ["azure_openai_deployments"],
    "feature_sets": ["feature_store_entities"],
    "serverless_endpoints": ["marketplace_subscriptions"],
}
"""Nouns that are walked together with another."""


@pytest.fixture
def walk(ml: Any, azureml_emulator: Any, folder: Path) -> Walk:
    from azure.ai.ml import MLClient

    return Walk(
        ml, MLClient(ml._credential, registry_name=azureml_emulator.create_registry()), azureml_emulator, folder
    )


@pytest.fixture
def called(ml: Any, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of the public operations that have been called."""
    seen: set[str] = set()
    for noun, operations in _operations(ml).items():
        for name in _public(operations):
            real = getattr(type(operations), name)

            def noted(self: Any, *args: Any, _what: str = f"{noun}.{name}", _real: Any = real, **kwargs: Any) -> Any:
                seen.add(_what)
                return _real(self, *args, **kwargs)

            monkeypatch.setattr(type(operations), name, noted)
    return seen


def _operations(ml: Any) -> dict[str, Any]:
    """Return the groups of public operations that a client has, by noun."""
    nouns = (noun for noun in dir(type(ml)) if not noun.startswith("_"))
    groups = {noun: getattr(ml, noun) for noun in nouns if isinstance(inspect.getattr_static(type(ml), noun), property)}
    return {noun: group for noun, group in groups.items() if type(group).__name__.endswith("Operations")}


def _public(operations: Any) -> list[str]:
    kind = type(operations)
    names = (name for name in dir(kind) if not name.startswith("_"))
    return [name for name in names if inspect.isfunction(inspect.getattr_static(kind, name))]


@pytest.mark.parametrize("noun", WALKS)
def test_each_operation_of_a_noun_is_walked_and_no_call_is_unknown(walk: Walk, called: set[str], noun: str) -> None:
    groups = _operations(walk.ml)
    every = {f"{one}.{name}" for one in (noun, *ALONG.get(noun, ())) for name in _public(groups[one])}
    WALKS[noun](walk)
    assert walk.emulator.unknown_routes == []
    assert every - called == {name for name in NOT_WALKED if name.partition(".")[0] in (noun, *ALONG.get(noun, ()))}


def test_every_noun_is_walked_but_those_that_are_said_not_to_be(ml: Any) -> None:
    walked = {*WALKS, *(noun for nouns in ALONG.values() for noun in nouns)}
    left = {
        f"{noun}.{name}" for noun, group in _operations(ml).items() if noun not in walked for name in _public(group)
    }
    assert left <= NOT_WALKED.keys()
