"""Webhooks on a laptop: events come to a local program without an address that others can reach."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import click

from infra.commands.options import password_options, read_password

if TYPE_CHECKING:
    from infra.listening import Api


@click.command("listen")
@click.option("--forward", "url", required=True, metavar="URL", help="Where to post, as http://127.0.0.1:3000/hook.")
@click.option("--after", type=click.IntRange(min=0), help="Begin after this number. Default: what happens from now on.")
@click.option("--types", help="Only these, with commas between them: file.completed,file.failed.")
@click.option("--secret", envvar="WEBHOOK_SECRET", help="Sign with this. Default: a new one, printed at the start.")
@click.option("--username", help="Log in with a password instead of an API key.")
@password_options
@click.option(
    "--base-url", envvar="BASE_URL", default="http://127.0.0.1:8000", show_default=True, help="Of the API to follow."
)
def listen(
    url: str,
    after: int | None,
    types: str | None,
    secret: str | None,
    username: str | None,
    password_stdin: bool,
    base_url: str,
) -> None:
    """Post an organisation's events, signed like webhooks, to a program on this machine.

    The API key is read from the variable STRONGROOM_API_KEY or asked for; it needs the scope files:read. An event that
    the program refuses is sent again, after pauses that grow to 30 seconds, before the next one is. Ctrl-C ends it.

    \b
    Examples:
      strongroom listen --forward http://127.0.0.1:3000/hook
      strongroom listen --forward http://127.0.0.1:3000/hook --username admin --after 0 --types file.completed
    """
    import httpx

    from chalicelib.webhooks.signatures import new_secret
    from infra.listening import (
        FEED_TIMEOUT_SECONDS,
        FORWARD_TIMEOUT_SECONDS,
        Api,
        FeedRefused,
        FeedUnavailable,
        Listener,
        LocalProgram,
    )

    _require_url(url, "--forward")
    _require_url(base_url, "--base-url")
    secret = _require_secret(secret) if secret else new_secret()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Also where a shell has started it in the background, and so with SIGINT ignored.
        signal.signal(number, signal.default_int_handler)
    feed_client = httpx.Client(base_url=base_url.rstrip("/") + "/", timeout=FEED_TIMEOUT_SECONDS)
    # A proxy of the environment is for the way out, and would not find the program.
    local_client = httpx.Client(timeout=FORWARD_TIMEOUT_SECONDS, trust_env=False)
    with feed_client, local_client:
        api = Api(feed_client)
        program = LocalProgram(local_client, url, secret)
        listener = Listener(api, program, types, click.echo, lambda line: click.echo(line, err=True))
        try:
            _sign_in(api, username, password_stdin)
            newest = api.newest_sequence(types)
            begin = newest if after is None else after
            click.echo(f"Signing secret: {secret}")
            click.echo(f"Posting what comes after event {begin} to {url}; Ctrl-C ends it.")
            listener.follow(begin)
        except FeedUnavailable as error:
            raise click.ClickException(str(error)) from None
        except FeedRefused as error:
            raise click.ClickException(f"{error}{_where_to_go_on(listener.after)}") from None
        except KeyboardInterrupt:
            click.echo(f"Stopped.{_where_to_go_on(listener.after)}")


def _where_to_go_on(after: int) -> str:
    return f" To go on from here: --after {after}" if after else ""


def _sign_in(api: Api, username: str | None, password_stdin: bool) -> None:
    if username is None:
        if password_stdin:
            raise click.UsageError("--password-stdin needs --username.")
        api.use(os.environ.get("STRONGROOM_API_KEY") or click.prompt("API key", hide_input=True))
        return
    asked = api.log_in(username, read_password(password_stdin, confirm=False))
    if asked is not None:
        api.complete_log_in(asked, click.prompt("Code of the second factor"))


def _require_url(url: str, option: str) -> None:
    """:raises UsageError: not an absolute http(s) URL."""
    import httpx

    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise click.UsageError(f"{option} takes an address as http://127.0.0.1:3000/hook.")


def _require_secret(secret: str) -> str:
    from chalicelib.webhooks.signatures import key_of

    try:
        key_of(secret)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return secret


COMMANDS = (listen,)
