"""One pipeline, made of components in YAML, in the workspaces of two subscriptions: the same object is given twice."""

from __future__ import annotations

import os

import pendulum
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from azure.ai.ml import Input, load_component
from azure.ai.ml.dsl import pipeline

from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator

with DAG(dag_id="old_two_subscriptions", schedule=None, start_date=pendulum.datetime(2021, 1, 1, tz="UTC")) as dag:
    folder = os.path.dirname(os.path.abspath(__file__))
    train = load_component(source=folder + "/train.yml")
    score = load_component(source=folder + "/score.yml")

    @pipeline()
    def train_and_score(training_input, test_input, rate=1.8):
        """Train, then score."""
        trained = train(flowers=training_input, rate=rate)
        scored = score(model=trained.outputs.model, flowers=test_input)
        scored.outputs.scores.mode = "upload"
        return {"trained_model": trained.outputs.model, "scored_data": scored.outputs.scores}

    flowers = os.path.join(folder, "..", "specs", "files", "data/")
    job = train_and_score(
        training_input=Input(type="uri_folder", path=flowers),
        test_input=Input(type="uri_folder", path=flowers),
        rate=1.8,
    )
    job.settings.default_compute = "old-cpu"

    here = AzureMachineLearningCreateJobOperator(task_id="here", job=job, waiting=True, conn_id="AML_TEST_CONNECTION")
    there = AzureMachineLearningCreateJobOperator(task_id="there", job=job, waiting=True, conn_id="AML_2ND_SUB")
    EmptyOperator(task_id="start") >> [here, there] >> EmptyOperator(task_id="success")
