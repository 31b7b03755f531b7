"""The commands ``airflow azureml ...``. Airflow imports this with each of its commands: nothing heavy here."""

from __future__ import annotations

from typing import Any

from airflow.cli.cli_config import ActionCommand, Arg, CLICommand, GroupCommand, lazy_load_command

from .permissions import PURPOSES

_COMMANDS = f"{__package__}.commands"
_WATCHERS = f"{__package__}.watchers"


def _arg(flags: tuple[str, ...], **options: Any) -> Arg:
    return Arg(flags, **options)  # type: ignore[no-untyped-call]


def _purposes(text: str) -> list[str]:
    purposes = [purpose.strip() for purpose in text.split(",")]
    if wrong := [purpose for purpose in purposes if purpose not in PURPOSES]:
        raise ValueError(f"{wrong[0]!r} is not one of {', '.join(PURPOSES)}")
    return purposes


_CONN_ID = _arg(("conn_id",), help="id of a connection of type azure_machine_learning")
_OUTPUT = _arg(("-o", "--output"), help="table or json", choices=("table", "json"), default="table")
_ANY_OUTPUT = _arg(("-o", "--output"), help="of these", choices=("table", "json", "yaml", "plain"), default="table")
_WATCHED = _arg(("asset",), help="name or URI of a watched asset, as `airflow azureml watchers` lists it")
_FOR = _arg(("--for",), dest="purposes", type=_purposes, default=[], help=f"one or more of {', '.join(PURPOSES)}")
_FOR_ROLE = _arg(
    ("--for",), dest="purposes", type=_purposes, required=True, help=f"one or more of {', '.join(PURPOSES)}"
)


def commands() -> list[CLICommand]:
    """Return what this provider adds to the ``airflow`` command."""
    return [
        GroupCommand(
            name="azureml",
            help="Azure Machine Learning",
            subcommands=[
                ActionCommand(
                    name="check",
                    help="Try what a connection leads to, piece by piece; exits with 1 if anything fails",
                    func=lazy_load_command(f"{_COMMANDS}.check"),
                    args=(
                        _CONN_ID,
                        _FOR,
                        _arg(("--registry",), help="name of a registry to read as well"),
                        _arg(("--event-queue",), help="URL of the Storage Queue that watch() is given"),
                        _OUTPUT,
                    ),
                ),
                ActionCommand(
                    name="role",
                    help="Print a custom Azure role, for `az role definition create --role-definition`",
                    func=lazy_load_command(f"{_COMMANDS}.role"),
                    args=(_FOR_ROLE, _arg(("--scope",), required=True, help="id of the workspace or of what holds it")),
                ),
                ActionCommand(
                    name="watchers",
                    help="List what is watched, by which DAGs, where it stands, and since when and why it fails",
                    func=lazy_load_command(f"{_WATCHERS}.list_watchers"),
                    args=(_ANY_OUTPUT,),
                ),
                ActionCommand(
                    name="replay",
                    help="Announce versions of a watched asset again",
                    func=lazy_load_command(f"{_WATCHERS}.replay"),
                    args=(
                        _WATCHED,
                        _arg(("--since",), help="what was made since then, ISO 8601, in UTC if it has no time zone"),
                        _arg(("--from-version",), help="this version and what was made after it"),
                    ),
                ),
                ActionCommand(
                    name="forget",
                    help="Forget what was announced on a watched asset: it is watched as if for the first time",
                    func=lazy_load_command(f"{_WATCHERS}.forget"),
                    args=(_WATCHED,),
                ),
            ],
        )
    ]
