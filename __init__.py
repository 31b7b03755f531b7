"""Apache Airflow provider for Azure Machine Learning (AzureML), centred on sensors and assets."""

from __future__ import annotations

import pkgutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

__version__ = version("airflow-provider-azureml")

_INTEGRATION = "Azure Machine Learning"


def get_provider_info() -> dict[str, Any]:
    """
    Return what Airflow wants to know of a provider (entry point ``apache_airflow_provider``).

    Source: Airflow's ``provider_info.schema.json``; ``conn-fields`` and ``ui-field-behaviour`` draw the connection
    form.
    """
    from .provider.configuration import provider_config
    from .provider.connection import CHOICES, CONN_TYPE, FORM_FIELDS, REQUIRED_FIELDS, SECRET_FIELDS, UNCHOSEN

    package = __name__
    fields: dict[str, Any] = {}
    for key, (label, text) in FORM_FIELDS.items():
        schema: dict[str, Any] = {"type": "string" if key in REQUIRED_FIELDS else ["string", "null"]}
        if key in CHOICES:
            schema["enum"] = [None, *CHOICES[key]]
            schema["values_display"] = {"null": UNCHOSEN[key]}
        if key in SECRET_FIELDS:
            schema["format"] = "password"
        fields[key] = {"label": label, "description": text, "schema": schema}
    return {
        "package-name": "airflow-provider-azureml",
        "name": "Azure Machine Learning",
        "description": "Sensors, watchers, asset events and operators for Azure Machine Learning.",
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://learn.microsoft.com/azure/machine-learning/",
                "logo": "/docs/images/logo.svg",
                "how-to-guide": [
                    "/docs/how-to/data-aware-scheduling.md",
                    "/docs/how-to/external-runs.md",
                    "/docs/how-to/deploy-from-the-registry.md",
                ],
                "tags": ["azure"],
            }
        ],
        "operators": _modules("provider", "operators"),
        "sensors": _modules("sensors"),
        "hooks": [{"integration-name": _INTEGRATION, "python-modules": [f"{package}.provider.hook"]}],
        "triggers": _modules("provider", "triggers"),
        "connection-types": [
            {
                "connection-type": CONN_TYPE,
                "hook-class-name": f"{package}.provider.hook.AzureMachineLearningHook",
                "hook-name": "Azure Machine Learning",
                "conn-fields": fields,
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "port", "host"],
                    "relabeling": {"login": "Client ID", "password": "Client secret"},
                    "placeholders": {"login": "of an app registration; empty for a managed identity"},
                },
            }
        ],
        "asset-uris": [
            {
                "schemes": ["azureml"],
                "handler": f"{package}.datasets.uri.sanitize_uri",
                "factory": f"{package}.datasets.uri.create_asset",
                "to_openlineage_converter": f"{package}.datasets.uri.convert_asset_to_openlineage",
            }
        ],
        "cli": [f"{package}.provider.cli.definition.commands"],
        "config": provider_config(),
        "extra-links": [f"{package}.provider.links.AzureMachineLearningStudioLink"],
    }


def _modules(*folders: str) -> list[dict[str, Any]]:
    """Return what a folder offers: its modules, but for those with bases alone."""
    found = pkgutil.iter_modules([str(Path(__file__).parent.joinpath(*folders))])
    names = [".".join((__name__, *folders, module.name)) for module in found if not module.name.startswith("base")]
    return [{"integration-name": _INTEGRATION, "python-modules": sorted(names)}]
