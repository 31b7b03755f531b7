"""What AzureML takes of texts about a version, checked before anything is uploaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..arguments import NO_VALUE
from ..errors import SpecError
from ..task_run import TAG_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

# Source: "Service limits in Azure Machine Learning", of runs and experiments; models and data are not listed by
# themselves. Of the two that it gives for a tag's name, the greater.
_TAGS, _TAG_NAME, _TAG_VALUE, _DESCRIPTION = 50, 250, 1000, 5000
_OUR_TAGS = 4


def check_limits(spec: dict[str, Any]) -> None:
    """
    Refuse a data or model spec that AzureML would refuse after the upload, or that a template left empty.

    :param spec: a checked spec.
    :raises SpecError: it names what is too long, or what is the text ``None``.
    """
    what = f"{spec['name']!r}"
    for key in ("name", "path", "version"):
        if key in spec and (str(spec[key]) == "None" or str(spec[key]).startswith("azureml://jobs/None/")):
            raise SpecError(f"The {key} is the text {str(spec[key])!r}: {NO_VALUE}.")
    description = str(spec.get("description") or "")
    if len(description) > _DESCRIPTION:
        raise SpecError(
            f"The description of {what} has {len(description):,} characters; AzureML takes {_DESCRIPTION:,}."
        )
    check_tag_limits(what, spec.get("tags") or {})


def check_tag_limits(what: str, tags: Mapping[str, Any], *, total: int | None = None, there: int = 0) -> None:
    """
    Refuse tags of a version or job that are more, or longer, than AzureML takes.

    :param what: of what they are, for messages.
    :param tags: those that a DAG gives.
    :param total: how many there would be in all; None: these, and those that tell which task made it.
    :param there: how many there are already. If these are too many, the service does not keep to the limit.
    :raises SpecError: it says which.
    """
    ours = f", and {_OUR_TAGS} of them ({TAG_PREFIX}*) tell which task made it" if total is None else ""
    if (len(tags) + _OUR_TAGS if total is None else total) > max(_TAGS, there):
        raise SpecError(f"{what} has {len(tags) if total is None else total} tags; AzureML takes {_TAGS}{ours}.")
    for name, value in tags.items():
        if not 0 < len(name) <= _TAG_NAME:
            raise SpecError(
                f"The tag {name[:60]!r} of {what} has a name of {len(name)} characters; it can have 1 to {_TAG_NAME}."
            )
        if len(str(value)) > _TAG_VALUE:
            length = f"{len(str(value)):,} characters"
            raise SpecError(f"The tag {name!r} of {what} has a value of {length}; AzureML takes {_TAG_VALUE:,}.")
