"""What the last word of an unfinished command line may become; no torch, no Hydra, no pandas."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from expkit.terminal.command_list import COMMANDS
from expkit.terminal.completion.scripts import SCRIPTS

TAKE_NO_RUNS = frozenset({"train", "smoke", "init", "sort", "list", "completion", "runs"})
TAKE_OVERRIDES = ("train", "smoke")
TAKE_METRICS = ("--metric", "--sort", "--where")
MOST_RUNS = 200  # the newest: more is no list to choose from


def find_candidates(line: str) -> list[str]:
    """List the completions of a command line's last word."""
    _, *words = line.split(" ")
    if len(words) < 2:
        return [name for name in COMMANDS if name.startswith("".join(words))]
    command, *_, last = words
    if flag := _metric_flag(words):
        return _complete_metric(last, with_settings=flag == "--where")
    if command in TAKE_OVERRIDES:
        from expkit.config.completion import complete_override

        return complete_override(words[1:])
    if command == "list":
        from expkit.config.paths import conf_folders, list_groups

        return [group for group in list_groups(conf_folders()) if group.startswith(last)]
    if command == "completion":
        return [each for each in (*SCRIPTS, "--install") if each.startswith(last)]
    if command in COMMANDS and command not in TAKE_NO_RUNS:
        return _complete_run(last)
    return []


def _metric_flag(words: Sequence[str]) -> str | None:
    """The flag that takes the last word as a metric; several words may follow one of them."""
    flags = [word for word in words[:-1] if word.startswith("--")]
    return flags[-1] if flags and flags[-1] in TAKE_METRICS else None


def _complete_metric(last: str, *, with_settings: bool) -> list[str]:
    from expkit.metrics.names import METRICS

    if with_settings and "=" in last:
        from expkit.config.completion import complete_override

        return complete_override([last])
    names = [name for known in METRICS.values() for name in known]
    if with_settings:
        names += ["model=", "dataset=", "status="]
    return [name for name in names if name.startswith(last)]


def _complete_run(last: str) -> list[str]:
    """Runs and sweeps by name, the newest last, and exported models by their path."""
    from expkit.config.user_code import is_run
    from expkit.records.exported import is_exported

    outputs = Path("outputs")
    sweeps = [path.parent for path in outputs.glob("[!.]*/sweep.json")]
    folders = [outputs, *sweeps]
    fitting = [path for each in folders for path in each.glob("[!.]*") if _fits(path, last)]
    newest = sorted(fitting, key=lambda path: path.name)[-MOST_RUNS:]
    runs = ["last"] if "last".startswith(last) else []
    runs += [path.name for path in newest if is_run(path)]
    beside = [path for path in (*Path().glob("[!.]*"), *outputs.glob("[!.]*")) if path.is_dir()]
    return runs + sorted(
        str(path) for path in beside if str(path).startswith(last) and is_exported(path)
    )


def _fits(path: Path, last: str) -> bool:
    return path.name.startswith(last)
