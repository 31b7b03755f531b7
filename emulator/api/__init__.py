"""From a path to its answer: one file for each noun of AzureML. Importing this adds the routes of all."""

from . import (
    code_assets,
    components,
    computes,
    data,
    datastores,
    endpoints,
    environments,
    jobs,
    login,
    mlflow,
    models,
    operations,
    registries,
    run_history,
    schedules,
    workspaces,
)

__all__ = [
    "code_assets",
    "components",
    "computes",
    "data",
    "datastores",
    "endpoints",
    "environments",
    "jobs",
    "login",
    "mlflow",
    "models",
    "operations",
    "registries",
    "run_history",
    "schedules",
    "workspaces",
]
