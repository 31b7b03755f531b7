"""A pipeline with parallel nodes made by the SDK's function for them."""

from __future__ import annotations

import os

import pendulum
from airflow.sdk import DAG
from azure.ai.ml import Input, Output, load_component
from azure.ai.ml.constants import AssetTypes, InputOutputModes
from azure.ai.ml.dsl import pipeline
from azure.ai.ml.entities import Environment
from azure.ai.ml.parallel import RunFunction, parallel_run_function

from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator

with DAG(dag_id="old_parallel_job", schedule=None, start_date=pendulum.datetime(2021, 1, 1, tz="UTC")) as dag:
    folder = os.path.dirname(os.path.abspath(__file__))
    files = os.path.join(folder, "..", "specs", "files")
    prepare = load_component(source=folder + "/train.yml")
    by_file = parallel_run_function(
        name="by_file",
        display_name="Score files",
        inputs={"table": Input(type=AssetTypes.MLTABLE, description="what is split and scored")},
        outputs={"scores": Output(type=AssetTypes.MLTABLE)},
        input_data="${{inputs.table}}",
        instance_count=2,
        max_concurrency_per_instance=1,
        mini_batch_size="1",
        mini_batch_error_threshold=1,
        retry_settings={"max_retries": 2, "timeout": 60},
        logging_level="DEBUG",
        task=RunFunction(
            code=os.path.join(files, "src/"),
            entry_script="score.py",
            program_arguments="--scores ${{outputs.scores}}",
            environment="azureml:AzureML-sklearn-1.0-ubuntu20.04-py38-cpu:1",
        ),
    )
    by_row = parallel_run_function(
        name="by_row",
        inputs={"table": Input(type=AssetTypes.MLTABLE), "model": Input(type=AssetTypes.URI_FOLDER)},
        outputs={"scores": Output(type=AssetTypes.MLTABLE)},
        input_data="${{inputs.table}}",
        instance_count=2,
        max_concurrency_per_instance=2,
        mini_batch_size="100",
        mini_batch_error_threshold=5,
        logging_level="DEBUG",
        retry_settings={"max_retries": 2, "timeout": 60},
        task=RunFunction(
            code=os.path.join(files, "src/"),
            entry_script="score.py",
            environment=Environment(
                image="mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04",
                conda_file=os.path.join(files, "environment", "conda.yml"),
            ),
            program_arguments="--model ${{inputs.model}} --error_threshold 5 --allowed_failed_percent 30",
            append_row_to="${{outputs.scores}}",
        ),
    )

    @pipeline()
    def parallel_in_pipeline(table, model):
        prepared = prepare(flowers=table)
        prepared.outputs.model.type = AssetTypes.MLTABLE
        files_scored = by_file(table=prepared.outputs.model)
        files_scored.inputs.table.mode = InputOutputModes.EVAL_MOUNT
        files_scored.outputs.scores.type = AssetTypes.MLTABLE
        rows_scored = by_row(table=prepared.outputs.model, model=model)
        rows_scored.inputs.table.mode = InputOutputModes.DIRECT
        return {"of_files": files_scored.outputs.scores, "of_rows": rows_scored.outputs.scores}

    job = parallel_in_pipeline(
        table=Input(path=os.path.join(files, "mltable/"), type=AssetTypes.MLTABLE, mode=InputOutputModes.RO_MOUNT),
        model=Input(path=os.path.join(files, "model/"), type=AssetTypes.URI_FOLDER, mode=InputOutputModes.DOWNLOAD),
    )
    job.outputs.of_rows.type = AssetTypes.URI_FILE
    job.settings.default_compute = "old-cpu"
    AzureMachineLearningCreateJobOperator(task_id="pipeline", job=job, waiting=False, conn_id="AML_TEST_CONNECTION")
