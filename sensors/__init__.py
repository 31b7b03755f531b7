"""Everything that waits: task sensors and watchers."""

from __future__ import annotations

from .compute import AzureMachineLearningComputeSensor
from .data import AzureMachineLearningDataVersionSensor
from .endpoint import AzureMachineLearningEndpointSensor
from .job import AzureMachineLearningJobSensor
from .model import AzureMachineLearningModelVersionSensor
from .watchers import watch

__all__ = [
    "AzureMachineLearningComputeSensor",
    "AzureMachineLearningDataVersionSensor",
    "AzureMachineLearningEndpointSensor",
    "AzureMachineLearningJobSensor",
    "AzureMachineLearningModelVersionSensor",
    "watch",
]
