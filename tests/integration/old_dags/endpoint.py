"""An online and a batch endpoint: models registered, deployed, the batch one invoked, all deleted again."""

from __future__ import annotations

import os

import pendulum
from airflow.sdk import DAG
from azure.ai.ml import Input
from azure.ai.ml.constants import AssetTypes, BatchDeploymentOutputAction
from azure.ai.ml.entities import (
    AmlCompute,
    BatchDeployment,
    BatchEndpoint,
    BatchRetrySettings,
    CodeConfiguration,
    Environment,
    ManagedOnlineDeployment,
    ManagedOnlineEndpoint,
    Model,
)

from airflow_provider_azureml.provider.operators.batch import AzureMachineLearningInvokeBatchEndpointOperator
from airflow_provider_azureml.provider.operators.compute import (
    AzureMachineLearningCreateComputeResourceOperator,
    AzureMachineLearningDeleteComputeResourceOperator,
)
from airflow_provider_azureml.provider.operators.endpoint import (
    AzureMachineLearningCreateEndpointOperator,
    AzureMachineLearningDeleteEndpointOperator,
    AzureMachineLearningDeployEndpointOperator,
)
from airflow_provider_azureml.provider.operators.model import AzureMachineLearningRegisterModelOperator

with DAG(
    dag_id="old_endpoint",
    schedule=None,
    start_date=pendulum.datetime(2021, 1, 1, tz="UTC"),
    default_args={"conn_id": "AML_TEST_CONNECTION"},
) as dag:
    files = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "specs", "files")

    # It is the output of a job that has run before.
    online_model = Model(
        path="azureml://jobs/old_job/outputs/artifacts/paths/model/",
        name="old-online-model",
        description="Model created from run.",
        type="mlflow_model",
    )
    register_online = AzureMachineLearningRegisterModelOperator(task_id="register_online", model=online_model)
    online_endpoint = ManagedOnlineEndpoint(name="old-online-endpoint", description="from Airflow", auth_mode="key")
    create_online = AzureMachineLearningCreateEndpointOperator(
        task_id="create_online", endpoint=online_endpoint, waiting=True
    )
    online_deployment = ManagedOnlineDeployment(
        name="online-deployment",
        endpoint_name=online_endpoint.name,
        model=online_model,
        instance_type="Standard_DS3_v2",
        instance_count=1,
    )
    deploy_online = AzureMachineLearningDeployEndpointOperator(
        task_id="deploy_online", deployment=online_deployment, waiting=True
    )
    delete_online = AzureMachineLearningDeleteEndpointOperator(
        task_id="delete_online", endpoint_name=online_endpoint.name, endpoint_type="online", waiting=True
    )
    [register_online, create_online] >> deploy_online >> delete_online

    batch_model = Model(
        name="old-batch-model",
        path=os.path.join(files, "model"),
        type=AssetTypes.MLFLOW_MODEL,
        description="a model of local files",
    )
    register_batch = AzureMachineLearningRegisterModelOperator(task_id="register_batch", model=batch_model)
    batch_endpoint = BatchEndpoint(name="old-batch-endpoint", description="from Airflow")
    create_batch = AzureMachineLearningCreateEndpointOperator(
        task_id="create_batch", endpoint=batch_endpoint, waiting=True
    )
    batch_compute = AmlCompute(name="old-batch-cluster", size="Standard_DS3_v2", min_instances=0, max_instances=4)
    create_compute = AzureMachineLearningCreateComputeResourceOperator(
        task_id="create_compute", compute=batch_compute, waiting=True
    )
    batch_deployment = BatchDeployment(
        name="batch-deployment",
        description="scores in batches",
        endpoint_name=batch_endpoint.name,
        model=batch_model,
        environment=Environment(
            conda_file=os.path.join(files, "environment", "conda.yml"),
            image="mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04:latest",
        ),
        code_configuration=CodeConfiguration(code=os.path.join(files, "src/"), scoring_script="score.py"),
        compute=batch_compute.name,
        instance_count=2,
        max_concurrency_per_instance=2,
        mini_batch_size=2,
        output_action=BatchDeploymentOutputAction.SUMMARY_ONLY,
        retry_settings=BatchRetrySettings(max_retries=3, timeout=300),
        logging_level="info",
    )
    # Of the old one, set_default=True has gone; deployment_name= of the next task has come.
    deploy_batch = AzureMachineLearningDeployEndpointOperator(
        task_id="deploy_batch", deployment=batch_deployment, waiting=True
    )
    flowers = Input(type=AssetTypes.URI_FILE, path="https://example.blob.core.windows.net/public/flowers.csv")
    invoke_batch = AzureMachineLearningInvokeBatchEndpointOperator(
        task_id="invoke_batch",
        endpoint_name=batch_endpoint.name,
        deployment_name="batch-deployment",
        inputs={"flowers": flowers},
        waiting=True,
    )
    delete_batch = AzureMachineLearningDeleteEndpointOperator(
        task_id="delete_batch", endpoint_name=batch_endpoint.name, endpoint_type="batch", waiting=True
    )
    delete_compute = AzureMachineLearningDeleteComputeResourceOperator(
        task_id="delete_compute", compute_name=batch_compute.name
    )
    [register_batch, create_batch, create_compute] >> deploy_batch >> invoke_batch >> [delete_batch, delete_compute]
