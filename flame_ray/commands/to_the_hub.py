"""The signatures of the commands that give models to others. `cli.py` has those of all others."""

from typing import Annotated

import typer

from flame_ray.report.console import PlainConsole

app = typer.Typer(rich_markup_mode=None)


@app.command()
def push(
    run: Annotated[str, typer.Argument(help="A run of flame-ray run or flame-ray sft: its id, or its folder.")],
    repo: Annotated[str, typer.Argument(metavar="REPO_ID", help="The repo on the hub, such as owner/name.")],
    round_: Annotated[
        str | None,
        typer.Option("--round", help="A round's number, or best. By default the best one, or the last if none was chosen."),
    ] = None,
    private: Annotated[bool, typer.Option("--private/--public", help="Who can see the repo.")] = True,
    merged: Annotated[bool, typer.Option("--merged", help="The whole model, in place of the adapter.")] = False,
    base: Annotated[
        str | None,
        typer.Option("--base", metavar="OWNER/NAME", help="The repo of the base model, for an adapter trained on a folder."),
    ] = None,
) -> None:
    """Upload a model of a run to the Hugging Face Hub, with its card. It needs HF_TOKEN, or a login by `hf auth login`."""
    from flame_ray.commands.push import PushRequest
    from flame_ray.commands.push import push as upload

    upload(PushRequest(run, repo, round_, private, merged, base), PlainConsole(stderr=True))
