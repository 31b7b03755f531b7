"""AutoML: text with fixed parameters, text with a search, and forecasting; local MLTables."""

from __future__ import annotations

import os

import pendulum
from airflow.sdk import DAG
from azure.ai.ml import Input, automl
from azure.ai.ml.automl import SearchSpace
from azure.ai.ml.constants import AssetTypes, NlpLearningRateScheduler, NlpModels
from azure.ai.ml.sweep import BanditPolicy, Choice, Uniform

from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator

with DAG(dag_id="old_automl_job", schedule=None, start_date=pendulum.datetime(2021, 1, 1, tz="UTC")) as dag:
    table = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "specs", "files", "mltable")
    training_data = Input(type=AssetTypes.MLTABLE, path=table)
    validation_data = Input(type=AssetTypes.MLTABLE, path=table)

    fixed = automl.text_ner(
        compute="old-cpu",
        experiment_name="old-style",
        display_name="fixed",
        training_data=training_data,
        validation_data=validation_data,
        tags={"team": "language"},
    )
    fixed.set_limits(timeout_minutes=60, max_nodes=2)
    fixed.set_training_parameters(
        model_name=NlpModels.ROBERTA_BASE.value,  # .value: the SDK no longer takes its own name for a model
        learning_rate_scheduler=NlpLearningRateScheduler.LINEAR,
        warmup_ratio=0.1,
    )

    searched = automl.text_ner(
        compute="old-cpu",
        experiment_name="old-style",
        training_data=training_data,
        validation_data=validation_data,
    )
    searched.set_limits(timeout_minutes=120, max_trials=4, max_concurrent_trials=1, max_nodes=4)
    searched.extend_search_space(
        [
            SearchSpace(model_name=Choice([NlpModels.BERT_BASE_CASED, NlpModels.ROBERTA_BASE])),
            SearchSpace(model_name=Choice([NlpModels.DISTILROBERTA_BASE]), weight_decay=Uniform(0.01, 0.1)),
        ]
    )
    searched.set_sweep(
        sampling_algorithm="Random",
        early_termination=BanditPolicy(evaluation_interval=2, slack_factor=0.05, delay_evaluation=6),
    )

    forecast = automl.forecasting(
        compute="old-cpu",
        experiment_name="old-style",
        training_data=training_data,
        target_column_name="demand",
        primary_metric="NormalizedRootMeanSquaredError",
        n_cross_validations=3,
        enable_model_explainability=True,
    )
    forecast.set_limits(timeout_minutes=1200, trial_timeout_minutes=40, max_trials=10, enable_early_termination=True)
    forecast.set_forecast_settings(
        time_column_name="timeStamp",
        forecast_horizon=48,
        frequency="H",
        target_lags=[12],
        target_rolling_window_size=4,
    )
    forecast.set_training(blocked_training_algorithms=["ExtremeRandomTrees"])

    for name, job in {"fixed": fixed, "searched": searched, "forecast": forecast}.items():
        AzureMachineLearningCreateJobOperator(task_id=name, job=job, waiting=True, conn_id="AML_TEST_CONNECTION")
