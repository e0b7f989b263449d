"""``face-emulator credentials``."""

from __future__ import annotations

from typing import Annotated

import typer

from emulator.commands.connection import BASE_URL, Url, connected
from emulator.commands.failure import CallFailed
from emulator.commands.output import AsJson, print_list

group = typer.Typer(
    no_args_is_help=True, help="List and set the states of credentials, such as valid or expired."
)


@group.command("list")
def list_credentials(url: Url = BASE_URL, *, as_json: AsJson = False) -> None:
    """List the credentials that have a state, including those from the settings."""
    with connected(url) as client:
        print_list(
            client.credentials(), lambda found: f"{found.state:<14} {found.credential}", as_json=as_json
        )


@group.command("set")
def set_credential(
    listed: Annotated[str, typer.Argument(metavar="CREDENTIAL", help="Credential, as a client sends it.")],
    state: Annotated[
        str, typer.Argument(help="valid, revoked, expired, restricted, no_balance or other_region.")
    ],
    url: Url = BASE_URL,
) -> None:
    """Set the state of a credential.

    Credentials without a state are valid, unless FACE_EMULATOR_STRICT is set.
    """
    from emulator.world.credentials import CredentialState

    with connected(url) as client:
        if state not in tuple(CredentialState):
            raise CallFailed(f"there is no state {state}; choose one of {', '.join(CredentialState)}")
        client.list_credential(listed, CredentialState(state))


@group.command("remove")
def remove_credential(
    listed: Annotated[str, typer.Argument(metavar="CREDENTIAL", help="Credential, as a client sends it.")],
    url: Url = BASE_URL,
) -> None:
    """Remove the state of a credential; a state from the settings applies again."""
    with connected(url) as client:
        client.unlist_credential(listed)
