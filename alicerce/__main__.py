"""The command line behind the Makefile: `python -m alicerce COMMAND`.

Each command imports what it needs itself, because `run` becomes the supervisor, which has to stay small.
"""

import argparse
import os
import sys
from collections.abc import Callable

from alicerce.services import ROOT, services, without_database
from kit.config import ConfigurationError

NOT_RUNNING_STATUS = 3  # as `systemctl status` answers


def run(arguments: argparse.Namespace) -> int:
    """Start everything and stay until a signal ends it."""
    from alicerce import control, supervise

    control.run(arguments.topology or supervise.TOPOLOGY())
    return 0


def start(arguments: argparse.Namespace) -> int:
    """Start everything in the background, and return when it is ready."""
    from alicerce import control, supervise

    control.start(arguments.topology or supervise.TOPOLOGY())
    return 0


def dev(arguments: argparse.Namespace) -> int:
    """Run, and start anew what changes in the source tree (of one service alone if it is named)."""
    from alicerce import control, supervise, watch

    if arguments.service and arguments.service not in services():
        raise ConfigurationError(f"There is no service {arguments.service}: there are {', '.join(services())}.")
    control.run(arguments.topology or supervise.TOPOLOGY(), watch.Watch(ROOT, arguments.service))
    return 0


def stop(arguments: argparse.Namespace) -> int:
    """End what runs here, and wait until it has gone."""
    from alicerce import control

    control.stop()
    return 0


def restart(arguments: argparse.Namespace) -> int:
    """Start the web processes anew, one after another."""
    from alicerce import control

    control.restart(arguments.service)
    return 0


def status(arguments: argparse.Namespace) -> int:
    """Show a row per process; exit status 3 when nothing runs."""
    from alicerce import control

    return 0 if control.status() else NOT_RUNNING_STATUS


def logs(arguments: argparse.Namespace) -> int:
    """Show the log and follow it."""
    from alicerce import control

    control.logs(arguments.service)
    return 0


def prepare(arguments: argparse.Namespace) -> int:
    """Make the keys, databases and roles that are missing, and migrate."""
    from alicerce import access, databases

    access.check(services())
    keys(arguments)
    if without_database(services()):
        # The file that this writes may have been read already: for this process the environment says it.
        os.environ.update(databases.prepare(databases.server_url(), services()))
    _migrate()
    return 0


def migrate(arguments: argparse.Namespace) -> int:
    """Bring the tables of every service up to date."""
    from alicerce import access

    _check_server()
    access.check(services())
    _migrate()
    return 0


def _migrate() -> None:
    from alicerce import access, databases

    late = databases.behind(services())
    external = [noun for noun in services() if noun not in without_database(services())]
    late += [noun for noun in external if noun not in late and not access.is_usable(noun)]
    if late:
        from alicerce.migrate import migrate as apply

        apply(late)


def keys(arguments: argparse.Namespace) -> int:
    """Make the signing keys that are missing."""
    from alicerce import keys as signing

    signing.ensure(signing.components())
    return 0


def rotate_keys(arguments: argparse.Namespace) -> int:
    """Replace the signing key of one component, or of all."""
    from alicerce import keys as signing

    signing.rotate(arguments.component)
    return 0


def admin(arguments: argparse.Namespace) -> int:
    """Make a registered person an administrator of the platform."""
    from alicerce.admin import promote

    _check_server()
    promote(arguments.email)
    return 0


def backup(arguments: argparse.Namespace) -> int:
    """Copy all databases, keys and secrets into a new folder of backups."""
    from alicerce.backup.make import backup as copy

    copy()
    return 0


def restore(arguments: argparse.Namespace) -> int:
    """Bring back what a backup holds, all of it or nothing."""
    from alicerce.backup.restore import restore as bring_back

    bring_back(arguments.source, force=arguments.force)
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    """Say what is wrong with this installation and how to mend it; exit status 1 when there is a problem."""
    from alicerce import doctor as checks

    return 0 if checks.doctor(as_json=arguments.json) else 1


def _check_server() -> None:
    """Say that the embedded Postgres does not run, rather than that a connection was refused."""
    if without_database(services()):
        from alicerce import databases

        databases.server_url()


def parser() -> argparse.ArgumentParser:
    """The commands, with the docstring of each as its help."""
    top = argparse.ArgumentParser(prog="python -m alicerce", description="Run and look after Alicerce.")
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, command: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
        added.set_defaults(command=command)
        return added

    watching = add("dev", dev)
    watching.add_argument("service", nargs="?")
    for command in (add("run", run), add("start", start), watching):
        command.add_argument("--topology", choices=("solo", "split"))
    add("stop", stop)
    add("restart", restart).add_argument("service", nargs="?")
    add("status", status)
    add("logs", logs).add_argument("service", nargs="?")
    add("prepare", prepare)
    add("migrate", migrate)
    add("keys", keys)
    add("rotate-keys", rotate_keys).add_argument("component", nargs="?", default="all")
    add("admin", admin).add_argument("email")
    add("backup", backup)
    restoring = add("restore", restore)
    restoring.add_argument("source", help="a folder, the name of one in backups, or latest")
    restoring.add_argument("--force", action="store_true", help="replace databases that hold rows")
    add("doctor", doctor).add_argument("--json", action="store_true", help="one JSON document instead of lines")
    return top


def main() -> int:
    """Run one command; a foreseeable fault is one sentence on standard error and exit status 1."""
    arguments = parser().parse_args()
    try:
        return int(arguments.command(arguments))
    except ConfigurationError as error:
        print(error, file=sys.stderr)
    except BrokenPipeError:
        # The reader (`| head`) has gone; Python would complain again when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        print(f"{error.filename or 'The system'} cannot be used: {error.strerror or error}.", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main())
