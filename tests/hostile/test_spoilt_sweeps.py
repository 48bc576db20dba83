"""Sweep folders of strangers: plans with commands, jobs outside, odd digests and torn records."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile_arena import LONG, Arena, remove
from hostile_folders import DEEP, INSTEAD, Gift, in_turn

pytestmark = pytest.mark.broad(2)

COMMANDS = {
    "show": ("show", "gift"),
    "plot": ("plot", "gift"),
    "diagnose": ("diagnose", "gift"),
    "compare": ("compare", "gift"),
    "report": ("report", "gift", "--to", "page"),
    "resume": ("resume", "gift"),
    "resume --missing": ("resume", "gift", "--missing"),
    "resume --failed": ("resume", "gift", "--failed"),
}
READING = ("show", "compare", "diagnose", "plot")
Change = Callable[[Any], object]


def ask(arena: Arena, commands: tuple[str, ...], spoil: Callable[[Path], object]) -> None:
    """Each on a freshly spoilt sweep."""
    for command in in_turn(commands):
        path = arena.give("sweep")
        spoil(path)
        arena.ask(*COMMANDS[command], keeps=command.startswith(("plot", "resume")))


def edit_json(path: Path, change: Change) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def edit_lines(path: Path, change: Change) -> None:
    """Change the last record."""
    *others, last = path.read_text().splitlines()
    record = json.loads(last)
    change(record)
    path.write_text("\n".join([*others, json.dumps(record)]) + "\n")


def forget_runs(path: Path) -> None:
    """As if no job had begun, so that a resumed sweep would run them."""
    for each in (path / "jobs").iterdir():
        each.unlink()
    for each in path.glob("2*"):
        remove(each)


def put(key: str, value: object) -> Change:
    return lambda record: record.update({key: value})


def add(*words: str) -> Change:
    """Further words to the command that began the sweep."""
    return lambda record: record["command"].extend(words)


FACTS: dict[str, Change] = {
    "a launcher of Hydra's that runs code": add("hydra.launcher._target_=os.system"),
    "a sweeper of Hydra's that runs code": add("hydra.sweeper._target_=os.system"),
    "a callback of Hydra's": add("+hydra.callbacks.x={_target_: os.system, command: touch x}"),
    "a searchpath of Hydra's": add("hydra.searchpath=[file://gift/conf]"),
    "a folder of choices": add("--config-dir", "gift/conf"),
    "a folder of configs": add("--config-path", "gift/conf"),
    "another config": add("--config-name", "x"),
    "trust": add("trust=[os,builtins]"),
    "a target": add("model._target_=os.system"),
    "a target that is new": add("+model.x={_target_: os.system}"),
    "a launcher": add("launcher._target_=os.system"),
    "a record's writer": add(
        "launcher={_target_: expkit.records.files.append_line, path: ../beside/x, text: y}"
    ),
    "a choice outside": add("model=../../../gift/conf/x"),
    "an absolute choice": add("model=/etc/passwd"),
    "an output folder outside": add("output_dir=../beside/new"),
    "a sweep folder outside": add("hydra.sweep.dir=../beside/new"),
    "a run folder outside": add("hydra.run.dir=../beside/new"),
    "Hydra's own outputs": add("hydra.output_subdir=.hydra"),
    "a change of folder": add("hydra.job.chdir=true"),
    "the environment": add("name=${oc.env:EXPKIT_CANARY}"),
    "a part that is made": add("name=${oc.create:{_target_: os.system}}"),
    "a cache outside": add("dataset.cache_dir=../beside/cache"),
    "a start from a pickle": add("procedure.train.start_from=gift/bomb.pt"),
    "a sbatch script": add("hydra/launcher=slurm", "hydra.launcher.setup=['touch x']"),
    "a word of codes": add("name=\x1b[2J"),
    "a word of a NUL": add("name=a\0b"),
    "a very long word": add(f"name={LONG}"),
    "a word of surrogates": add("name=\udcff"),
    "a billion jobs": add("seed=range(0,1000000000)"),
    "a word of nothing": add(""),
    "a flag of help": add("--help"),
    "a flag of Hydra's help": add("--hydra-help"),
    "a flag of a shell": add("--shell-completion", "install=bash"),
    "a flag of info": add("--info", "all"),
    "words of numbers": add(7, None),  # type: ignore[arg-type]
    "a command of a text": put("command", "expkit train -m seed=1,2; touch x"),
    "a command of nothing": put("command", []),
    "a command of null": put("command", None),
    "a command of lists": put("command", [["a"]]),
    "a command of a mapping": put("command", {"a": 1}),
    "an objective of codes": put("objective", "\x1b[2J"),
    "an objective of a list": put("objective", ["a"]),
    "an objective that is none": put("objective", "nothing/nowhere"),
    "an objective of slashes": put("objective", "////"),
    "a folder that is none": put("cwd", "/nowhere"),
    "a folder of a list": put("cwd", [1]),
    "a host of codes": put("host", "\x1b[2J"),
    "a start of codes": put("started", "\x1b[2J"),
    "a start of a number": put("started", 1e400),
    "versions of a list": put("versions", [1]),
    "nothing": lambda record: record.clear(),
}


@pytest.mark.parametrize("name", FACTS)
def test_a_sweep_that_was_begun_by_other_words(name: str, arena: Arena) -> None:
    """sweep.json names the words that resume composes again."""

    def spoil(path: Path) -> None:
        conf = path / "conf"
        conf.mkdir()
        (conf / "x.yaml").write_text(f"# x\n_target_: {arena.module}.make\n")
        (path / f"{arena.module}.py").write_text(arena.stranger())
        edit_json(path / "sweep.json", FACTS[name])

    arena.have()
    ask(arena, ("show", "resume"), spoil)


PLANS: dict[str, Change] = {
    "a job of a path": put("job", "../../../beside/x"),
    "a job of a list": put("job", [1]),
    "a job of capitals": put("job", "ABCDEF0123456789"),
    "a job of codes": put("job", "\x1b[2J"),
    "a number of a text": put("number", "x"),
    "a number below none": put("number", -1),
    "a number of 400 digits": put("number", 10**400),
    "overrides of codes": put("overrides", ["\x1b[2J=\u202e"]),
    "overrides of lists": put("overrides", [[1]]),
    "very long overrides": put("overrides", [f"a={LONG}"]),
    "a config of a list": put("config", [1]),
    "a config of nothing": put("config", {}),
    "a config of another job": put("config", {"name": "x", "seed": 7}),
    "a config of a target": lambda record: record["config"]["model"].update(
        _target_="os.system", command="touch x"
    ),
    "a config of the environment": lambda record: record["config"].update(
        hypothesis="${oc.env:EXPKIT_CANARY}"
    ),
    "a config of trust": lambda record: record["config"].update(trust=["os", "builtins"]),
    "a change of codes": put("change", "\x1b[2J"),
    "a change of a list": put("change", [1]),
    "choices of a list": put("choices", {"model": [1]}),
    "choices of codes": put("choices", {"\x1b[2J": "\x1b[2J"}),
    "nothing": lambda record: record.clear(),
}


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_that_no_sweep_makes(name: str, arena: Arena) -> None:
    """plan.jsonl names jobs, whose ids and runs become paths."""
    ask(
        arena,
        ("show", "plot", "resume"),
        lambda path: edit_lines(path / "plan.jsonl", PLANS[name]),
    )


EVENTS: dict[str, Change] = {
    "a run of a path": lambda record: record.update(event="run", run="../../beside"),
    "a run of dots": lambda record: record.update(event="run", run=".."),
    "a run of nothing": lambda record: record.update(event="run", run=""),
    "a run of a NUL": lambda record: record.update(event="run", run="a\0b"),
    "a very long run": lambda record: record.update(event="run", run=LONG),
    "a run of a list": lambda record: record.update(event="run", run=[1]),
    "a run taken over from the user's files": lambda record: record.update(
        event="reused", run="../../beside"
    ),
    "a run taken over from a device": lambda record: record.update(event="reused", run="/dev/zero"),
    "an event that is none": lambda record: record.update(event="conquered"),
    "an event of codes": lambda record: record.update(event="\x1b[2J"),
    "an event of a list": lambda record: record.update(event=[1]),
    "a status that is none": put("status", "conquered"),
    "a status of codes": put("status", "\x1b[2J"),
    "a reason of codes": lambda record: record.update(status="raised", reason="\x1b[2J\u202e"),
    "a reason of a list": lambda record: record.update(status="raised", reason=[1]),
    "a very long reason": lambda record: record.update(status="raised", reason=LONG),
    "seconds of a text": put("seconds", "x"),
    "seconds that are none": put("seconds", float("nan")),
    "seconds of infinity": put("seconds", float("inf")),
    "seconds of 400 digits": put("seconds", 10**400),
    "a time of a text": put("at", "x"),
    "a process of a text": put("pid", "x"),
    "nothing": lambda record: record.clear(),
}


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_that_no_job_notes(name: str, arena: Arena) -> None:
    """jobs/ID.jsonl, whose last word counts."""

    def spoil(path: Path) -> None:
        for events in (path / "jobs").glob("*.jsonl"):
            edit_lines(events, EVENTS[name])

    ask(arena, READING, spoil)


FILES = ("sweep.json", "plan.jsonl", "jobs", "jobs/{job}.jsonl", "sweep.md", "sweep.csv", "plots")
KINDS = (
    "a link outside",
    "a link to itself",
    "a FIFO",
    "a folder",
    "nothing",
    "binary garbage",
    "a list",
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FILES)
def test_something_else_lies_where_a_sweeps_file_should(name: str, kind: str, arena: Arena) -> None:
    """Links and pipes are not followed; what is torn is told."""

    def spoil(path: Path) -> None:
        job = json.loads((path / "plan.jsonl").read_text().splitlines()[0])["job"]
        place = path / name.format(job=job)
        remove(place)
        INSTEAD[kind](place, arena)

    ask(arena, ("show", "plot", "resume"), spoil)


def test_torn_and_deep_plans(arena: Arena) -> None:
    """A last line that was cut off is passed over; others are told."""

    def torn(path: Path) -> None:
        plan = path / "plan.jsonl"
        plan.write_text(plan.read_text()[:-40])

    def deep(path: Path) -> None:
        plan = path / "plan.jsonl"
        plan.write_text(f"{DEEP}\n{plan.read_text()}")

    def twice(path: Path) -> None:
        plan = path / "plan.jsonl"
        plan.write_text(plan.read_text() * 2)

    for spoil in (torn, deep, twice):
        ask(arena, ("show", "plot", "compare"), spoil)


def test_runs_of_a_sweep_are_links(arena: Arena) -> None:
    """A run of it that lies elsewhere is another's."""

    def spoil(path: Path) -> None:
        for run in path.glob("2*"):
            target = arena.beside / "gone" / run.name
            remove(target)
            target.parent.mkdir(exist_ok=True)
            run.rename(target)
            run.symlink_to(target)

    for command in (*READING, "resume"):
        remove(arena.beside / "gone")
        ask(arena, (command,), spoil)


def test_the_runs_of_a_sweep_are_spoilt(arena: Arena) -> None:
    """One broken run does not hide the others."""

    def spoil(path: Path) -> None:
        run = min(path.glob("2*"))
        for name in ("digest.json", "summary.json", "dataset.json", "history.jsonl"):
            (run / name).write_text(DEEP)

    ask(arena, (*READING, "report", "resume"), spoil)


def test_a_job_in_a_strangers_sweep_does_not_choose_its_config(arena: Arena) -> None:
    """The run's own config is held against its job's."""

    def spoil(path: Path) -> None:
        for run in path.glob("2*"):
            gift = Gift(run, arena)
            gift.config(lambda config: config.update(model={"_target_": "os.system"}))
            (run / "stages.jsonl").unlink()
            gift.without_summaries()
        for events in (path / "jobs").glob("*.jsonl"):
            edit_lines(events, lambda record: record.update(status="interrupted"))

    ask(arena, ("show", "resume", "resume --missing"), spoil)
