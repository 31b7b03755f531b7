"""What AzureML takes of texts about a version, checked before anything is uploaded."""

from __future__ import annotations

from typing import Any

from ..errors import SpecError
from ..task_run import TAG_PREFIX

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
        if str(spec.get(key)) == "None" and key in spec:
            raise SpecError(
                f"The {key} is the text 'None': a template found no value, e.g. no XCom of an earlier task."
            )
    description = str(spec.get("description") or "")
    if len(description) > _DESCRIPTION:
        raise SpecError(
            f"The description of {what} has {len(description):,} characters; AzureML takes {_DESCRIPTION:,}."
        )
    tags = spec.get("tags") or {}
    if len(tags) > _TAGS - _OUR_TAGS:
        raise SpecError(
            f"{what} has {len(tags)} tags; AzureML takes {_TAGS}, and {_OUR_TAGS} of them ({TAG_PREFIX}...) tell which "
            "task made the version."
        )
    for name, value in tags.items():
        if not 0 < len(name) <= _TAG_NAME:
            raise SpecError(
                f"The tag {name[:60]!r} of {what} has a name of {len(name)} characters; it can have 1 to {_TAG_NAME}."
            )
        if len(value) > _TAG_VALUE:
            raise SpecError(
                f"The tag {name!r} of {what} has a value of {len(value):,} characters; AzureML takes {_TAG_VALUE:,}."
            )
