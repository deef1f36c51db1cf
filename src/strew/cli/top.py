"""`strew top`: the fleet on a whole terminal."""

from strew.cli.call import command_app
from strew.cli.connection import connected, resolve
from strew.cli.ending import interruptible
from strew.cli.flags import ClientFlags, ConfigFlags, ReferenceArgument, configuration
from strew.cli.output import Output
from strew.content.reference import parse_reference
from strew.errors import ConfigurationError, UsageError

app = command_app(
    "top",
    "Show transfers on a whole terminal: machines to sort, the map of chunks, who lags and why.\n\n"
    "Needs the extra 'top': pip install 'strew[top]'. Without it, 'strew status REF --watch' shows "
    "the same in less space.",
)


@app.default
async def top(
    reference: ReferenceArgument | None = None,
    /,
    *,
    client: ClientFlags = ClientFlags(),
    file: ConfigFlags = ConfigFlags(),
    out: Output = Output(),
) -> None:
    """Begin with the list of transfers, or with what the reference names."""
    import sys

    if out.json or not sys.stdout.isatty():
        raise UsageError(
            "'strew top' needs a terminal", hint="'strew status REF --json' is for programs"
        )
    try:
        from strew.cli.fullscreen import Top
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "textual":
            raise
        raise ConfigurationError(
            "'strew top' needs textual, which is not installed",
            hint="pip install 'strew[top]', or use 'strew status REF --watch'",
        ) from None
    settings = configuration("client", file, client).settings
    wanted = parse_reference(reference) if reference is not None else None
    async with interruptible(), connected(settings, wanted) as tracker:
        if wanted is None:
            await tracker.nodes()  # nobody there is told on the command line, not on a page
            page = Top(tracker)
        else:
            found = await resolve(tracker, wanted)
            page = Top(tracker, found.artifact, found.shown)
        failure = await page.run_async()
    if failure is not None:
        raise failure
