"""expkit unseal: look at a sealed test set with a run's model, and count that look."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from expkit.commands import evaluate
from expkit.config.compose import compose_output_dir
from expkit.errors import UserError
from expkit.records.run.find_run import find_run
from expkit.records.run.metadata import SealedSplit
from expkit.records.run.reader import Run
from expkit.records.test_ledger import TestLedger
from expkit.reports.run.run_screen import handle
from expkit.terminal.arguments import Parser, add_json

MAX_SHOWN = 5  # looks, the last ones


def main(words: Sequence[str]) -> int:
    parser = Parser(
        "expkit unseal",
        description="Evaluate a run on the test set that dataset.sealed=true has kept from it, "
        "by the run's own criteria. Each look is counted, over all runs, and widens the intervals.",
    )
    parser.add_argument("run", help="a path, a unique part of a run's name, or last")
    parser.add_argument(
        "--looks", action="store_true", help="only say who has looked at this test set so far"
    )
    add_json(parser)
    arguments = parser.parse_args(words)
    if arguments.looks and arguments.json:
        raise UserError("--looks is no document", where="--json", fix="leave out --json")
    run = find_run(arguments.run)
    if run.trained.exported is not None:
        raise run.trained.exported.refuse(
            "looks at a test set are counted beside its run", "expkit unseal RUN"
        )
    sealed = run.trained.dataset_as_read.sealed
    if sealed is None:
        raise UserError(
            f"the test set of '{run.name}' is not sealed",
            where="dataset.sealed=false",
            fix=f"expkit evaluate {handle(run.path)}   (or seal it from the start: expkit train "
            "... dataset.sealed=true)",
        )
    print("\n".join(_looks(run.trained, sealed)))
    if arguments.looks:
        return 0
    name = f"--name={run.trained.config['name']}_unsealed"
    words = [arguments.run, "dataset.sealed=false", name]
    return evaluate.main([*words, "--json"] if arguments.json else words)


def _looks(run: Run, sealed: SealedSplit) -> list[str]:
    """Who has looked before."""
    ledgers = TestLedger.all_of_run(run, Path(compose_output_dir([])), sealed.identity)
    looks = max((each.looks() for each in ledgers if each.exists), key=len, default=[])
    head = f"test    {sealed.num_samples} samples, sealed; looked at {len(looks)} times so far"
    return [head, *(f"        {look['time']}  {look['run']}" for look in looks[-MAX_SHOWN:])]
