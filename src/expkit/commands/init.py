"""expkit init: a project of one's own, or the configs of a folder of images."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from expkit.terminal.arguments import Parser, place

DESCRIPTION = """\
Make a project of your own that trains at once: conf/ with an experiment, a model and a dataset of
yours with their tests, and CI. With --from, look at a folder of images instead, and write the
dataset and a first experiment into the conf/ of this folder."""

EXAMPLES = """\
  expkit init birds                      a new project in birds/
  expkit init                            in this folder, which is empty
  expkit init --from ~/images/birds      conf/dataset/birds.yaml and conf/experiment/birds.yaml
  expkit init wings --from labels.csv    the same of the images that a table lists, as wings"""


def main(words: Sequence[str]) -> int:
    parser = Parser(
        "expkit init",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "name", nargs="?", type=place, help="of the project's folder; with --from, of the dataset"
    )
    parser.add_argument(
        *("--from",), dest="images", type=place, metavar="FOLDER",
        help="root/{train,val,test}/CLASS/*, root/CLASS/*, or a table of paths and labels",
    )  # fmt: skip
    given = parser.parse_args(words)
    if given.images is None:
        return _make_project(given.name or Path())
    from expkit.projects.from_images import write_configs

    print(write_configs(given.images, None if given.name is None else str(given.name)))
    return 0


def _make_project(folder: Path) -> int:
    from expkit.projects.create import create_project

    files = create_project(folder)
    print(f"project   {folder.resolve()}: {len(files)} files")
    for path in files:
        if path.suffix in (".py", ".yaml", ".yml"):
            print(f"          {path}")
    print("next      ", end="")
    if folder.resolve() != Path.cwd():
        print(f"cd {shlex.quote(str(folder))}\n          ", end="")
    print("expkit train experiment=baseline\n          expkit smoke\n          pytest")
    return 0
