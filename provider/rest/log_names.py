"""Which of a job's many log files holds what its own code wrote."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# The likeliest first; source: JobLogPattern of azure-ai-ml. Of several nodes the first one's, of the older logs
# 70_driver_log.txt; while an image is built for the job, the log of that.
_FIRST_NODE = re.compile(r"user_logs/std_log[\D]*[0]*(?:_ps)?\.txt")
_EACH_NODE = re.compile(r"user_logs/std_log.*\.txt")
_OTHERS = (
    re.compile(r"azureml-logs/7\d.+\.txt"),
    re.compile(r"azureml-logs/\d{2}.+\.txt"),
    re.compile(r"azureml-logs/hyperdrive\.txt"),
    re.compile(r"logs/azureml/executionlogs\.txt"),
)


def own_logs(names: Iterable[str], *, all_nodes: bool = False) -> list[str]:
    """
    Return the names of a job's own log, in order: one for each node if asked, else the first node's.

    :param names: of all its log files.
    """
    names = sorted(names)
    for kind in (_EACH_NODE if all_nodes else _FIRST_NODE, *_OTHERS):
        if found := [name for name in names if kind.fullmatch(name)]:
            return found if all_nodes else found[:1]
    return []
