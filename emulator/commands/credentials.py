"""``face-emulator credentials``."""

from __future__ import annotations

import click

from emulator.commands.connection import connected, url_option
from emulator.commands.failure import CallFailed
from emulator.commands.group import CommandGroup
from emulator.commands.output import json_option, print_list

group = CommandGroup(help="List and set the states of credentials, such as valid or expired.")


@group.command("list")
@url_option
@json_option
def list_credentials(*, url: str, as_json: bool) -> None:
    """List the credentials that have a state, including those from the settings."""
    with connected(url) as client:
        print_list(
            client.credentials(), lambda found: f"{found.state:<14} {found.credential}", as_json=as_json
        )


@group.command("set")
@click.argument("listed", metavar="CREDENTIAL", help="Credential, exactly as clients send it.")
@click.argument("state", help="valid, revoked, expired, restricted, no_balance or other_region.")
@url_option
def set_credential(*, listed: str, state: str, url: str) -> None:
    """Set the state of a credential.

    Credentials without a state are valid, unless FACE_EMULATOR_STRICT is true.
    """
    from face_api_emulator.client.models import CredentialState

    with connected(url) as client:
        if state not in tuple(CredentialState):
            raise CallFailed(f"there is no state {state}; choose one of {', '.join(CredentialState)}")
        client.list_credential(listed, CredentialState(state))


@group.command("remove")
@click.argument("listed", metavar="CREDENTIAL", help="Credential, exactly as clients send it.")
@url_option
def remove_credential(*, listed: str, url: str) -> None:
    """Remove the state of a credential. If the settings have a state for it, that state applies again."""
    with connected(url) as client:
        client.unlist_credential(listed)
