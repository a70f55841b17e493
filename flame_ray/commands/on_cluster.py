"""The signatures of the commands that send a job to a cluster and look after it. `cli.py` has those of all others."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flame_ray.commands.options import JobFile, Set
from flame_ray.report.console import standard_output

if TYPE_CHECKING:
    from flame_ray.cluster.job_server import JobServer

app = typer.Typer(rich_markup_mode=None)
PANEL = "On a cluster"

Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        help="The dashboard of the head, such as http://10.0.0.1:8265; or else RAY_API_SERVER_ADDRESS or RAY_ADDRESS.",
    ),
]
Run = Annotated[str, typer.Argument(help="A run: its id, or its folder.")]
ControlStore = Annotated[
    str | None, typer.Option("--address", help="Ray's control store, such as 10.0.0.1:6379; else RAY_ADDRESS, or the Ray here.")
]
NodeId = Annotated[
    str | None, typer.Option("--node-id", help="The node by its id in Ray; if left out, the one on this machine.")
]


@app.command(rich_help_panel=PANEL)
def submit(
    job: JobFile,
    set_: Set = None,
    address: Address = None,
    resume: Annotated[
        str | None, typer.Option("--resume", help="Resume an unfinished run, as a new job: its id, or its folder.")
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option("--env", help="A variable of this shell that the job gets too; Ray logs it in clear. May be repeated."),
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not follow the log until the run ends.")] = False,
) -> None:
    """Check a job, send it with this folder to a cluster, and follow its log until the run ends. Exits as the run does."""
    from flame_ray.config.load import load_config

    load_config(job, tuple(set_ or ()))  # what is wrong in it is said before anything heavy is loaded
    from flame_ray.cluster.job_server import connect
    from flame_ray.commands.submit import SubmitRequest
    from flame_ray.commands.submit import submit as send

    request = SubmitRequest(Path(job), tuple(set_ or ()), resume, tuple(env or ()), not no_wait)
    raise typer.Exit(send(request, connect(address), standard_output()))


@app.command(rich_help_panel=PANEL)
def status(run: Run, address: Address = None) -> None:
    """Say where a run stands, by its folder and by the cluster that it was submitted to."""
    from flame_ray.commands.jobs import status as show

    show(run, _server(run, address), standard_output())


@app.command(rich_help_panel=PANEL)
def logs(
    run: Run,
    address: Address = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until the run ends; then exit as it does.")] = False,
) -> None:
    """Show the log of a submitted run."""
    from flame_ray.cluster.job_server import connect
    from flame_ray.commands.jobs import logs as show

    raise typer.Exit(show(run, connect(address), follow, standard_output()))


@app.command(rich_help_panel=PANEL)
def stop(run: Run, address: Address = None) -> None:
    """Stop a run, here or on a cluster, and wait until it has stored its state. Fails if it was killed before that."""
    from flame_ray.commands.jobs import stop as end

    raise typer.Exit(end(run, _server(run, address), standard_output()))


@app.command(rich_help_panel=PANEL)
def watch_node(
    cloud: Annotated[str, typer.Argument(help="The cloud that this node is on: aws or gcp.")],
    node_id: NodeId = None,
    address: ControlStore = None,
    metadata: Annotated[
        str | None, typer.Option("--metadata", help="The URL of the metadata service, if it is not where the cloud has it.")
    ] = None,
) -> None:
    """Wait until the cloud says that this node is about to go, then drain it, so that its workers move in time."""
    from flame_ray.commands.leave_node import NodeToLeave
    from flame_ray.commands.leave_node import watch_node as watch

    watch(cloud, NodeToLeave(node_id, address), metadata)


@app.command(rich_help_panel=PANEL)
def leave_node(
    within: Annotated[
        float | None, typer.Option("--within", min=0, help="Seconds until the node goes, if that is known.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for Ray's log.")] = "told to go by flame-ray leave-node",
    node_id: NodeId = None,
    address: ControlStore = None,
) -> None:
    """Drain this node: its workers move to others, and no new ones come. Ray ends here once the node is idle."""
    from flame_ray.cluster.notices import Notice
    from flame_ray.commands.leave_node import NodeToLeave
    from flame_ray.commands.leave_node import leave_node as leave

    left = leave(Notice(reason, within), NodeToLeave(node_id, address))
    standard_output().print(f"node {left} drains", highlight=False)


def _server(run: str, address: str | None) -> "JobServer | None":
    """The job server, if an address is given."""
    from flame_ray.cluster.job_server import address_given, connect
    from flame_ray.commands.jobs import reached

    if address_given(address) is None:
        return None
    return reached(lambda: connect(address), run, address is not None, standard_output())
