"""Specs as people write them in Python: azure-ai-ml's objects, each made by a function named after what is in it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

FILES = Path(__file__).parent / "files"
OBJECTS: dict[str, tuple[str, Callable[[], Any]]] = {}
"""Name -> noun and function."""


def of(noun: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Add a function to the corpus."""

    def add(function: Callable[[], Any]) -> Callable[[], Any]:
        OBJECTS[function.__name__] = noun, function
        return function

    return add


def _train(**more: Any) -> Any:
    from azure.ai.ml import Input, command

    return command(
        code=FILES / "src",
        command="python train.py --data ${{inputs.data}} --rate ${{inputs.rate}} --kind ${{inputs.kind}}",
        environment="tools@latest",
        inputs={
            "data": Input(type="uri_file", path="https://example.blob.core.windows.net/data/iris.csv"),
            "rate": 0.9,
            "kind": "gbdt",
        },
        compute="cpu-cluster",
        experiment_name="testing",
        display_name="training",
        **more,
    )


def _component(name: str) -> Any:
    from azure.ai.ml import load_component

    return load_component(FILES / "components" / f"{name}.yml")


def _folder(path: str = "azureml:sales:1", **more: Any) -> Any:
    from azure.ai.ml import Input

    return Input(**{"type": "uri_folder", "path": path, **more})


def _table() -> Any:
    return _folder(str(FILES / "mltable"), type="mltable")


@of("job")
def command_job() -> Any:
    return _train()


@of("job")
def command_with_everything() -> Any:
    from azure.ai.ml import MpiDistribution, Output, UserIdentityConfiguration
    from azure.ai.ml.entities import JupyterLabJobService, VsCodeJobService

    job = _train(
        distribution=MpiDistribution(process_count_per_instance=2),
        environment_variables={"A": "b"},
        outputs={"model": Output(type="mlflow_model", name="fraud_of_command")},
        instance_count=2,
        instance_type="Standard_DS3_v2",
        docker_args="--ipc=host",
        shm_size="4g",
        timeout=100,
        identity=UserIdentityConfiguration(),
        services={"lab": JupyterLabJobService(), "code": VsCodeJobService(nodes="all")},
        tags={"a": "b"},
        properties={"p": "q"},
        description="all of it",
    )
    job.set_queue_settings(job_tier="standard", priority="high")
    return job


@of("job")
def command_with_environment_object() -> Any:
    from azure.ai.ml import PyTorchDistribution, command
    from azure.ai.ml.entities import BuildContext, Environment

    return command(
        command="echo",
        environment=Environment(build=BuildContext(path=str(FILES / "environment"))),
        compute="cpu-cluster",
        distribution=PyTorchDistribution(process_count_per_instance=1),
    )


@of("job")
def sweep_of_a_command() -> Any:
    from azure.ai.ml.sweep import Choice, Uniform

    node = _train()(rate=Uniform(min_value=0.01, max_value=0.9), kind=Choice(values=["gbdt", "dart"]))
    sweep = node.sweep(compute="cpu-cluster", sampling_algorithm="random", primary_metric="loss", goal="Minimize")
    sweep.set_limits(max_total_trials=20, max_concurrent_trials=10, timeout=7200)
    sweep.experiment_name = "testing"
    return sweep


@of("job")
def sweep_with_early_termination() -> Any:
    from azure.ai.ml.sweep import BanditPolicy, LogUniform, QUniform, RandomSamplingAlgorithm

    node = _train()(rate=LogUniform(-6, -1), kind=QUniform(1, 10, 2))
    sweep = node.sweep(sampling_algorithm=RandomSamplingAlgorithm(seed=3), primary_metric="auc", goal="maximize")
    sweep.compute = "gpu-cluster"
    sweep.early_termination = BanditPolicy(slack_factor=0.15, evaluation_interval=1, delay_evaluation=10)
    sweep.set_limits(max_total_trials=4)
    return sweep


@of("job")
def pipeline_with_literals_and_defaults() -> Any:
    from azure.ai.ml.dsl import pipeline

    prepare, fit = _component("prepare"), _component("fit")

    @pipeline(default_compute="cpu-cluster", description="With literals.", tags={"a": "b"})
    def literals(raw, rows=20, rate=1.8, mode="fast", quick=True):
        cleaned = prepare(raw=raw, rows=rows, mode=mode)
        cleaned.outputs.clean.mode = "upload"
        fitted = fit(data=cleaned.outputs.clean, rate=rate, quick=quick)
        fitted.compute = "gpu-cluster"
        return {"model": fitted.outputs.model, "clean": cleaned.outputs.clean}

    return literals(raw=_folder(str(FILES / "data")), rows=10, rate=0.5)


@of("job")
def pipeline_without_optional_inputs() -> Any:
    from azure.ai.ml import Input
    from azure.ai.ml.dsl import pipeline

    prepare = _component("prepare")

    @pipeline()
    def optional(raw, extra: Input(type="uri_file", optional=True) = None):
        prepare(raw=raw)
        prepare(raw=raw, extra=extra)

    job = optional(raw=_folder())
    job.settings.default_compute = "cpu-cluster"
    job.settings.continue_on_step_failure = True
    job.settings.force_rerun = True
    return job


@of("job")
def pipeline_with_a_sweep() -> Any:
    from azure.ai.ml.dsl import pipeline
    from azure.ai.ml.sweep import Choice, Uniform

    fit = _component("fit")

    @pipeline(default_compute="cpu-cluster")
    def swept(data):
        node = fit(data=data, rate=Uniform(min_value=0.1, max_value=0.9), quick=Choice([True, False]))
        sweep = node.sweep(primary_metric="loss", goal="minimize", sampling_algorithm="bayesian", compute="gpu-cluster")
        sweep.set_limits(max_total_trials=3, max_concurrent_trials=2, timeout=600)
        after = fit(data=data)
        after.compute = "gpu-cluster"
        after.environment_variables = {"A": "b"}
        return {"best": sweep.outputs.model}

    return swept(data=_folder())


@of("job")
def pipeline_in_pipeline() -> Any:
    from azure.ai.ml import Input
    from azure.ai.ml.dsl import pipeline

    prepare, fit, whole = _component("prepare"), _component("fit"), _component("prepare_and_fit")

    @pipeline()
    def inner(raw: Input(type="uri_folder"), rate=0.1):
        cleaned = prepare(raw=raw)
        return {"model": fit(data=cleaned.outputs.clean, rate=rate).outputs.model}

    @pipeline(default_compute="cpu-cluster")
    def outer(raw: Input(type="uri_folder")):
        first, second = inner(raw=raw), inner(raw=raw, rate=0.7)
        third = whole(raw=raw)
        return {"a": first.outputs.model, "b": second.outputs.model, "c": third.outputs.model}

    return outer(raw=_folder())


@of("job")
def pipeline_of_commands() -> Any:
    from azure.ai.ml import Input, Output, command
    from azure.ai.ml.dsl import pipeline
    from azure.ai.ml.entities import Environment

    first = command(
        name="first",
        command="echo ${{inputs.n}} ${{inputs.word}} > ${{outputs.out}}/n",
        environment=Environment(image="ubuntu:22.04", conda_file=FILES / "environment" / "conda.yml"),
        inputs={"n": Input(type="integer"), "word": Input(type="string", default="x")},
        outputs={"out": Output(type="uri_folder", mode="rw_mount")},
    )
    second = command(
        name="second", command="ls ${{inputs.a}}", environment="tools:2", inputs={"a": Input(type="uri_folder")}
    )

    @pipeline(name="commands", display_name="Commands", experiment_name="testing", compute="cpu-cluster")
    def commands(n):
        one = first(n=n)
        one.outputs.out = Output(path="azureml://datastores/workspaceblobstore/paths/fixed/", type="uri_folder")
        two = second(a=one.outputs.out)
        two.resources = {"instance_count": 2}
        two.compute = "gpu-cluster"

    return commands(n=3)


@of("job")
def pipeline_with_parallel_nodes() -> Any:
    from azure.ai.ml import Input, Output
    from azure.ai.ml.dsl import pipeline
    from azure.ai.ml.entities import Environment
    from azure.ai.ml.parallel import RunFunction, parallel_run_function

    score = parallel_run_function(
        name="score",
        inputs={"table": Input(type="mltable"), "model": Input(type="uri_folder")},
        outputs={"out": Output(type="mltable")},
        input_data="${{inputs.table}}",
        instance_count=2,
        max_concurrency_per_instance=1,
        mini_batch_size="1",
        mini_batch_error_threshold=1,
        retry_settings={"max_retries": 2, "timeout": 60},
        logging_level="DEBUG",
        task=RunFunction(
            code=str(FILES / "src"),
            entry_script="score.py",
            program_arguments="--out ${{outputs.out}}",
            append_row_to="${{outputs.out}}",
            environment=Environment(image="ubuntu:22.04", conda_file=FILES / "environment" / "conda.yml"),
        ),
    )

    @pipeline()
    def scored(table, model):
        node = score(table=table, model=model)
        node.inputs.table.mode = "eval_mount"
        node.outputs.out.type = "uri_file"
        return {"out": node.outputs.out}

    job = scored(table=_table(), model=_folder(str(FILES / "model"), mode="download"))
    job.outputs.out.type = "uri_file"
    job.settings.default_compute = "cpu-cluster"
    return job


@of("job")
def pipeline_with_automl_nodes() -> Any:
    from azure.ai.ml import Output, automl
    from azure.ai.ml.dsl import pipeline

    @pipeline(default_compute="cpu-cluster")
    def automated(table):
        node = automl.classification(
            training_data=table,
            target_column_name="y",
            primary_metric="accuracy",
            outputs={"best_model": Output(type="mlflow_model")},
        )
        node.set_limits(max_trials=1)
        images = automl.image_classification(
            training_data=table, validation_data=table, target_column_name="label", compute="gpu-cluster"
        )
        images.set_limits(timeout_minutes=60)
        return {"model": node.outputs.best_model}

    return automated(table=_table())


@of("job")
def pipeline_with_spark() -> Any:
    from azure.ai.ml.dsl import pipeline

    clean = _component("spark_clean")

    @pipeline()
    def cleaned(raw):
        node = clean(raw=raw)
        node.identity = {"type": "managed"}
        node.resources = {"instance_type": "standard_e4s_v3", "runtime_version": "3.3"}
        node.outputs.clean.mode = "direct"

    raw = _folder("azureml://datastores/workspaceblobstore/paths/raw.csv", type="uri_file", mode="direct")
    return cleaned(raw=raw)


@of("job")
def pipeline_with_registered_component() -> Any:
    from azure.ai.ml import load_job

    job = load_job(FILES.parent / "job" / "pipeline_registered.yml")
    job.settings.default_compute = "cpu-cluster"
    return job


@of("job")
def spark_job() -> Any:
    from azure.ai.ml import Input, spark

    return spark(
        code=FILES / "src",
        entry={"file": "train.py"},
        driver_cores=1,
        driver_memory="2g",
        executor_cores=2,
        executor_memory="2g",
        executor_instances=2,
        inputs={"raw": Input(type="uri_file", path="azureml:sales:1", mode="direct")},
        args="--raw ${{inputs.raw}}",
        compute="cpu-cluster",
        identity={"type": "managed"},
    )


@of("job")
def automl_regression() -> Any:
    from azure.ai.ml import automl

    job = automl.regression(
        compute="cpu-cluster",
        training_data=_table(),
        target_column_name="y",
        primary_metric="R2Score",
        n_cross_validations=5,
        tags={"a": "b"},
    )
    job.set_limits(timeout_minutes=600, trial_timeout_minutes=20, max_trials=5, enable_early_termination=True)
    job.set_training(blocked_training_algorithms=["LightGBM"], enable_onnx_compatible_models=True)
    return job


@of("job")
def automl_forecasting() -> Any:
    from azure.ai.ml import automl

    job = automl.forecasting(
        compute="cpu-cluster",
        training_data=_table(),
        target_column_name="y",
        primary_metric="NormalizedRootMeanSquaredError",
        n_cross_validations="auto",
    )
    job.set_forecast_settings(time_column_name="day", forecast_horizon=48, frequency="H", target_lags=[12])
    return job


@of("job")
def automl_object_detection() -> Any:
    from azure.ai.ml import automl
    from azure.ai.ml.automl import SearchSpace
    from azure.ai.ml.sweep import BanditPolicy, Choice, Uniform

    job = automl.image_object_detection(
        compute="gpu-cluster",
        training_data=_table(),
        validation_data=_table(),
        target_column_name="label",
        primary_metric="mean_average_precision",
    )
    job.set_limits(timeout_minutes=60, max_trials=10, max_concurrent_trials=2)
    job.extend_search_space(
        [
            SearchSpace(model_name=Choice(["yolov5"]), learning_rate=Uniform(0.0001, 0.01)),
            SearchSpace(model_name=Choice(["fasterrcnn_resnet50_fpn"]), optimizer=Choice(["sgd", "adam"])),
        ]
    )
    policy = BanditPolicy(evaluation_interval=2, slack_factor=0.2, delay_evaluation=6)
    job.set_sweep(sampling_algorithm="Random", early_termination=policy)
    return job


@of("job")
def automl_text_classification() -> Any:
    from azure.ai.ml import automl

    job = automl.text_classification(
        compute="gpu-cluster", training_data=_table(), validation_data=_table(), target_column_name="y"
    )
    job.set_training_parameters(model_name="bert-base-cased", warmup_ratio=0.1)
    job.set_limits(timeout_minutes=60, max_nodes=2)
    return job


@of("component")
def component_of_a_command() -> Any:
    from azure.ai.ml import Input, command

    return command(
        name="from_python",
        version="4",
        command="echo ${{inputs.x}}",
        code=FILES / "src",
        environment="azureml:tools:2",
        inputs={"x": Input(type="number", default=1)},
    ).component


@of("component")
def component_of_a_pipeline() -> Any:
    from azure.ai.ml import Input
    from azure.ai.ml.dsl import pipeline

    prepare = _component("prepare")

    @pipeline(name="pipeline_from_python", version="1")
    def steps(raw: Input(type="uri_folder")):
        prepare(raw=raw)

    return steps(raw=_folder()).component


@of("environment")
def environment() -> Any:
    from azure.ai.ml.entities import Environment

    return Environment(name="python-env", version="1.1", image="ubuntu:22.04", tags={"a": "b"}, description="An image.")


@of("environment")
def environment_of_a_dockerfile() -> Any:
    from azure.ai.ml.entities import BuildContext, Environment

    return Environment(name="python-docker", build=BuildContext(path=FILES / "environment"))


@of("data")
def data() -> Any:
    from azure.ai.ml.entities import Data

    return Data(name="python-data", version="1", type="uri_file", path=str(FILES / "from_python.csv"))


@of("data")
def data_that_expires() -> Any:
    from azure.ai.ml.entities import Data
    from azure.ai.ml.entities._assets.auto_delete_setting import AutoDeleteSetting

    path = "azureml://datastores/workspaceblobstore/paths/sales/"
    setting = AutoDeleteSetting(condition="last_accessed_greater_than", value="14d")
    return Data(name="expiring-data", type="uri_folder", path=path, auto_delete_setting=setting, tags={"year": 2026})


@of("data")
def table_in_a_datastore() -> Any:
    from azure.ai.ml.entities import Data

    return Data(
        name="python-table", type="mltable", path="azureml://datastores/workspaceblobstore/paths/tables/orders/"
    )


@of("model")
def model_with_deployment_template() -> Any:
    from azure.ai.ml.entities import Model
    from azure.ai.ml.entities._assets.default_deployment_template import DeploymentTemplateReference

    template = DeploymentTemplateReference(asset_id="azureml://registries/contoso/deploymenttemplates/small/versions/1")
    return Model(
        name="python-deployable", path=FILES / "model", type="mlflow_model", default_deployment_template=template
    )


@of("model")
def model() -> Any:
    from azure.ai.ml.entities import Model

    path = "azureml://jobs/some_job/outputs/artifacts/paths/model/"
    return Model(name="python-model", type="mlflow_model", path=path, description="From a run.")


@of("compute")
def cluster() -> Any:
    from azure.ai.ml.entities import AmlCompute, IdentityConfiguration

    identity = IdentityConfiguration(type="system_assigned")
    return AmlCompute(name="python-cluster", size="Standard_D4s_v3", max_instances=4, identity=identity)


@of("compute")
def instance() -> Any:
    from azure.ai.ml.entities import ComputeInstance

    return ComputeInstance(name="python-instance", size="Standard_DS3_v2", idle_time_before_shutdown_minutes=60)


@of("online_endpoint")
def online_endpoint() -> Any:
    from azure.ai.ml.entities import ManagedOnlineEndpoint

    return ManagedOnlineEndpoint(name="python-online", description="Made by Airflow.", auth_mode="key")


@of("batch_endpoint")
def batch_endpoint() -> Any:
    from azure.ai.ml.entities import BatchEndpoint

    return BatchEndpoint(name="python-batch", description="Made by Airflow.")


@of("online_deployment")
def online_deployment_with_objects() -> Any:
    from azure.ai.ml.entities import (
        CodeConfiguration,
        Environment,
        ManagedOnlineDeployment,
        Model,
        OnlineRequestSettings,
        ProbeSettings,
    )

    return ManagedOnlineDeployment(
        name="python",
        endpoint_name="online",
        model=Model(path=str(FILES / "model" / "model.pkl")),
        environment=Environment(image="ubuntu:22.04", conda_file=FILES / "environment" / "conda.yml"),
        code_configuration=CodeConfiguration(code=str(FILES / "src"), scoring_script="score.py"),
        instance_type="Standard_DS3_v2",
        instance_count=1,
        request_settings=OnlineRequestSettings(request_timeout_ms=90000),
        liveness_probe=ProbeSettings(initial_delay=20),
    )


@of("batch_deployment")
def batch_deployment_with_objects() -> Any:
    from azure.ai.ml.entities import BatchDeployment, BatchRetrySettings, CodeConfiguration, Environment

    return BatchDeployment(
        name="python",
        endpoint_name="batch",
        model="azureml:fraud:1",
        environment=Environment(image="ubuntu:22.04", conda_file=FILES / "environment" / "conda.yml"),
        code_configuration=CodeConfiguration(code=str(FILES / "src"), scoring_script="score.py"),
        compute="cpu-cluster",
        instance_count=2,
        max_concurrency_per_instance=2,
        mini_batch_size=2,
        output_action="summary_only",
        retry_settings=BatchRetrySettings(max_retries=3, timeout=300),
        logging_level="info",
    )
