"""expkit report: an experiment's page in the notebook, made from its runs, and the index of all."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from expkit.errors import UserError
from expkit.records.run.find_run import list_runs
from expkit.records.run.reader import Run, is_run
from expkit.records.run.writer import explain_disk_errors
from expkit.records.sweep.folder import Sweep, find_run_or_sweep, is_sweep
from expkit.reports.html.written_page import write_notebook_page
from expkit.reports.notebook.index import Result, read_results, refuse_handwritten, write_index
from expkit.reports.notebook.page import write_notebook, write_sweep_notebook
from expkit.sanitize import file_stem
from expkit.terminal.arguments import Parser, place

NOTEBOOK = Path("experiments")
OUTPUTS = Path("outputs")


def main(words: Sequence[str]) -> int:
    parser = Parser(
        "expkit report",
        description="Write experiments/NAME/README.md from runs, and the index of all experiments; "
        "text under ## Notes stays. Without a run: every page whose runs are still there.",
    )
    parser.add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help="the run in question, then those it is compared with (those that it names are found); "
        "or a sweep",
    )
    parser.add_argument("--to", type=place, metavar="FOLDER", help="experiments/NAME")
    arguments = parser.parse_args(words)
    if not arguments.runs:
        return refresh_all(arguments.to or NOTEBOOK)
    found = [find_run_or_sweep(text) for text in arguments.runs]
    folder = arguments.to or NOTEBOOK / _name(found[0])
    with explain_disk_errors(folder):
        print(write_page(found, folder))
    return 0


def write_page(found: Sequence[Run | Sweep], folder: Path) -> Path:
    """The page, and the index where the folder stands among other experiments."""
    is_notebook = folder.absolute().parent != Path.cwd()
    if is_notebook:
        refuse_handwritten(folder.parent)
    first = found[0]
    if isinstance(first, Sweep):
        if len(found) > 1:
            raise UserError(
                "a page is about one sweep", fix=f"expkit report {shlex.quote(first.name)}"
            )
        page = write_sweep_notebook(first, folder)
    else:
        runs = [each for each in found if isinstance(each, Run)]
        page = write_notebook([*runs, *_named(first, runs)], folder)
    if is_notebook:
        write_index(folder.parent)
    return page


def refresh_all(notebook: Path) -> int:
    """Each page anew where its runs are still there, and the index."""
    results = read_results(notebook)
    if not results:
        raise UserError(
            f"'{notebook}' holds no experiment",
            where=str(notebook),
            fix="expkit report RUN   (writes the page of its experiment)",
        )
    with explain_disk_errors(notebook):
        for folder, result in results.items():
            found = _recorded(result)
            if found is None:
                write_notebook_page(folder / "README.md")
                print(f"kept  {folder}/README.md: its runs are no longer here")
            else:
                print(write_page(found, folder))
        print(write_index(notebook))
    return 0


def _recorded(result: Result) -> list[Run | Sweep] | None:
    """The runs that a page was made from, where all of them are where they were."""
    paths = [Path(text) for text in result["runs"]]
    paths = [path if path.exists() else OUTPUTS / path for path in paths]
    if not all(is_run(path) or is_sweep(path) for path in paths):
        return None
    return [Sweep(path) if is_sweep(path) else Run(path) for path in paths]


def _named(subject: Run, given: Sequence[Run]) -> list[Run]:
    """The newest runs of the experiments that it is compared with, but for those given."""
    names = {str(run.config.get("name")) for run in given}
    missing = [name for name in subject.config.get("compared_with") or [] if name not in names]
    paths = [*list_runs(OUTPUTS), *list_runs(subject.path.parent)] if missing else []
    found = (_newest(name, paths) for name in missing)
    return [run for run in found if run is not None]


def _newest(name: str, paths: Sequence[Path]) -> Run | None:
    """The last of an experiment's runs that came to its end.

    Its folder's name holds the experiment's, and so may another's.
    """
    for path in reversed(paths):
        run = Run(path)
        if (
            name in path.name
            and run.config.get("name") == name
            and run.status in ("finished", "failed")
        ):
            return run
    return None


def _name(found: Run | Sweep) -> str:
    if isinstance(found, Sweep):
        changes = [job.change for job in found.jobs]
        name = str(found.jobs[0].config.get("name")) if found.jobs else found.name
        return file_stem(f"{name}_{'ablation' if any(changes) else 'sweep'}")
    return file_stem(str(found.config.get("name") or found.name))
