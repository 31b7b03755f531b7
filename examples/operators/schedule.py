"""Keep an AzureML schedule in code: made, switched off and on, asked for a job at once, and taken away."""

from airflow.sdk import DAG
from fraud import CONN_ID

from airflow_provider_azureml.provider.operators.schedule import (
    AzureMachineLearningCreateScheduleOperator,
    AzureMachineLearningDeleteScheduleOperator,
    AzureMachineLearningDisableScheduleOperator,
    AzureMachineLearningEnableScheduleOperator,
    AzureMachineLearningTriggerScheduleOperator,
)
from airflow_provider_azureml.sensors import AzureMachineLearningJobSensor

NIGHTLY = {
    "name": "example-nightly",
    "trigger": {"type": "cron", "expression": "0 2 * * *", "time_zone": "UTC"},
    "create_job": "files/pipeline.yml",
}

with DAG("example_schedule", schedule=None, default_args={"conn_id": CONN_ID}):
    waits = {"schedule_name": "example-nightly", "poll_interval": 5}
    create = AzureMachineLearningCreateScheduleOperator(task_id="create", schedule=NIGHTLY, poll_interval=5)
    disable = AzureMachineLearningDisableScheduleOperator(task_id="disable", **waits)
    enable = AzureMachineLearningEnableScheduleOperator(task_id="enable", **waits)
    now = AzureMachineLearningTriggerScheduleOperator(task_id="now", schedule_name="example-nightly")
    done = AzureMachineLearningJobSensor(
        task_id="done", job_name="{{ ti.xcom_pull('now')['job_name'] }}", deferrable=True, poke_interval=5
    )
    delete = AzureMachineLearningDeleteScheduleOperator(task_id="delete", **waits)
    create >> disable >> enable >> now >> done >> delete
