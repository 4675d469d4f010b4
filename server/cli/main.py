"""All commands by name. A command's module is imported only when it runs, so `--help` is fast."""

import importlib
import importlib.util

import click

from server.cli.setup_words import ABOUT, COMMANDS, both


class LazyCommands(click.Group):
    """Finds `command` in the module that COMMANDS names; lists only modules that are there."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in COMMANDS if importlib.util.find_spec(module_of(name))]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(module_of(name)).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, both(COMMANDS[name][1:], " · ")) for name in self.list_commands(ctx)]
            )


def module_of(name: str) -> str:
    return f"server.cli.{COMMANDS[name][0]}"


@click.command(
    cls=LazyCommands,
    help=both(ABOUT, "\n\n"),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name=None, version="0.1.0", prog_name="LingDa")
def main() -> None:
    """Shown text comes from ABOUT; each command explains itself with --help."""
