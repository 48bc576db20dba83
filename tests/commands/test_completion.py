"""Tab completion: what an unfinished line may become, and switching it on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from running_expkit import Expkit

from expkit.terminal.completion.candidates import find_candidates
from expkit.terminal.completion.scripts import SCRIPTS


@pytest.mark.parametrize(
    ("line", "candidates"),
    [
        ("expkit tr", ["train"]),
        ("expkit smo", ["smoke"]),
        ("expkit train model=la", ["model=larger_backbone"]),
        ("expkit train model=simple_conv optimizer=sg", ["optimizer=sgd"]),
        ("expkit train -m model=simple_conv,la", ["model=simple_conv,larger_backbone"]),
        ("expkit train procedure.train.max_e", ["procedure.train.max_epochs="]),
        ("expkit train optimizer=sgd optimizer.mom", ["optimizer.momentum="]),
        ("expkit train optimizer=adam optimizer.mom", []),
        ("expkit train experiment=puzzle_s", ["experiment=puzzle_simple_conv"]),
        ("expkit train experiment=cherry_resnet18 model.pre", ["model.pretrained="]),
        ("expkit train experiment=cherry_resnet18 dataset.roo", ["dataset.root="]),
        ("expkit train 'diagnosis.ignore=[dead", []),
        ("expkit train diagnosis.ignore=[dead", ["diagnosis.ignore=[dead_units"]),
        ("expkit train sweep.objective=macro_f", ["sweep.objective=macro_f1"]),
        ("expkit smoke experiment=puzzle_s", ["experiment=puzzle_simple_conv"]),
        ("expkit compare a b --metric balanced", ["balanced_accuracy"]),
        ("expkit runs --sort log_", ["log_loss"]),
        ("expkit runs --where model=resnet1", ["model=resnet18"]),
        ("expkit list proc", ["procedure"]),
        ("expkit list diag", ["diagnosis"]),
        ("expkit so", ["sort"]),
        ("expkit sort ", []),
        ("expkit init ", []),
        ("expkit completion f", ["fish"]),
        ("expkit completion --i", ["--install"]),
        ("expkit show ", ["last"]),
        ("expkit nonsense ", []),
    ],
)
def test_candidates(
    line: str, candidates: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands, groups, choices, nested keys, recipes, rules, metrics and runs."""
    monkeypatch.chdir(tmp_path)
    assert find_candidates(line) == candidates


def test_groups_and_keys_of_the_same_name_are_both_offered() -> None:
    """`model` is a group to choose from and a mapping to reach into."""
    assert find_candidates("expkit train mod") == ["model.", "model="]


def test_the_newest_of_many_runs_are_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hundred of three hundred, those within a sweep too, and none that only looks like one."""
    monkeypatch.chdir(tmp_path)
    for number in range(300):
        folder = tmp_path / "outputs" / f"20260101_{number:06}_net"
        folder.mkdir(parents=True)
        (folder / "config.yaml").touch()
        (folder / "environment.json").touch()
    sweep = tmp_path / "outputs" / "20270101_000000_1_sweep"
    (sweep / "20270101_000001_in_it").mkdir(parents=True)
    (sweep / "sweep.json").touch()
    for name in ("config.yaml", "environment.json"):
        (sweep / "20270101_000001_in_it" / name).touch()
    (tmp_path / "outputs" / "20280101_notes").mkdir()
    found = find_candidates("expkit show 20")
    assert found[-3:] == [
        "20260101_000299_net",
        "20270101_000000_1_sweep",
        "20270101_000001_in_it",
    ]
    assert len(found) == 199  # the folder that is no run was one of the newest 200


def test_an_answer_needs_neither_torch_nor_hydra(tmp_path: Path) -> None:
    """They would take longer than a person waits for a key."""
    heavy = ("torch", "hydra", "omegaconf", "pandas", "numpy", "matplotlib")
    program = (
        "import sys; from expkit.cli import dispatch\n"
        "line = 'expkit train experiment=cherry_resnet18 model.pre'\n"
        "dispatch(['completion', '--answer', line])\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["model.pretrained=", "[]"]


@pytest.mark.parametrize("shell", sorted(SCRIPTS))
def test_the_scripts_parse(shell: str, tmp_path: Path) -> None:
    """Each shell that is installed reads its script without complaint."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "completion"
    script.write_text(SCRIPTS[shell])
    done = subprocess.run([shell, "-n", str(script)], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.mark.parametrize("start", [".bashrc", ".zshrc"])
def test_installing_twice_adds_one_line(home: Path, run_here: Expkit, start: str) -> None:
    """What stood in the start file stays, also without a line break at its end."""
    (home / start).write_text("alias ll='ls -l'")
    shell = start[1:-2]
    first, second = (run_here("completion", "--install", shell) for _ in range(2))
    lines = (home / start).read_text().splitlines()
    assert (first.code, second.code, len(lines)) == (0, 0, 2)
    assert lines[0] == "alias ll='ls -l'"
    script = home / ".local/share/expkit" / f"completion.{shell}"
    assert str(script) in lines[1]
    assert SCRIPTS[shell] in script.read_text()
    assert f"wrote      {script}" in first.out, "it says what it wrote, and where"
    assert "wrote" not in second.out


def test_bash_reads_what_was_installed(home: Path, run_here: Expkit) -> None:
    """A new bash has a completion for expkit then."""
    run_here("completion", "--install", "bash")
    done = subprocess.run(
        ["bash", "--rcfile", str(home / ".bashrc"), "-i", "-c", "complete -p expkit"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.stdout.strip() == "complete -o default -F _expkit expkit"


def test_a_linked_start_file_stays_a_link(home: Path, run_here: Expkit) -> None:
    """Those who keep such files in a repository of their own link them."""
    kept = home / "dotfiles"
    kept.mkdir()
    (kept / "bashrc").write_text("# mine\n")
    (home / ".bashrc").symlink_to(kept / "bashrc")
    assert run_here("completion", "--install", "bash").code == 0
    assert (home / ".bashrc").is_symlink()
    assert (kept / "bashrc").read_text().startswith("# mine\n[ -r ")


def test_anothers_file_is_not_overwritten(home: Path, run_here: Expkit) -> None:
    """Fish has one file a command, which may be the user's own."""
    file = home / ".config/fish/completions/expkit.fish"
    file.parent.mkdir(parents=True)
    file.write_text("# mine\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHELL", "/usr/bin/fish")
        done = run_here("completion", "--install")
    assert done.code == 2
    assert file.read_text() == "# mine\n"


@pytest.mark.parametrize("shell", ["/bin/csh", ""])
def test_an_unknown_shell_is_refused(
    home: Path, run_here: Expkit, shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The advice is taken: with a name it works."""
    monkeypatch.setenv("SHELL", shell)
    done = run_here("completion", "--install")
    assert (done.code, "bash, zsh, fish" in done.err) == (2, True)
    assert run_here("completion", "--install", "bash").code == 0
