"""Import every module of the installed package and print their number and where the package is.

Run by the Python of the environment in question, outside the checkout.
"""

import importlib
import pkgutil

import airflow_provider_azureml as package

NOT_FOR_IMPORT = (".__main__", ".pytest_plugin")

names = [module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
for name in names:
    if not name.endswith(NOT_FOR_IMPORT):
        importlib.import_module(name)
print(len(names), package.__file__)
