"""Runs that do not belong together are refused by their records, before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ensemble_members import CONV, METADATA, NUMBERS, every_split, guessed, member, predicted

from expkit.commands.ensemble import choose_members
from expkit.config.targets.check import check_part
from expkit.errors import UserError
from expkit.records.run.checkpoint_digests import note_digest
from expkit.records.run.ensemble import EnsembleRecord, Member
from expkit.records.run.reader import Run
from expkit.runner.ensemble_members import (
    ENSEMBLE,
    check_members,
    choosing_split,
    figures_of,
    have_common_start,
    open_members,
)
from expkit.runner.loaded_inputs import without_downloads

Make = Callable[[Path], Run]


def refusal(runs: list[Run], combine: str = "probabilities") -> UserError:
    with pytest.raises(UserError) as caught:
        check_members(runs, combine)
    return caught.value


def test_runs_of_the_same_data_go_together(tmp_path: Path) -> None:
    """Also those of other nets, where their outputs are averaged."""
    other = {"_target_": "expkit.models.timm_model.TimmModel", "name": "resnet18"}
    runs = [member(tmp_path, "a"), member(tmp_path, "b", model=other)]
    for combine in ("probabilities", "logits"):
        check_members(runs, combine)


@pytest.mark.parametrize("count", [0, 1])
def test_an_ensemble_of_one_is_refused(tmp_path: Path, count: int) -> None:
    error = refusal([member(tmp_path, "a")][:count])
    assert "two members or more" in error.what
    assert "seed=0,1,2" in (error.details["do"] or "")


def test_the_same_run_twice_is_refused_by_whatever_path(tmp_path: Path) -> None:
    run = member(tmp_path, "a")
    (tmp_path / "link").symlink_to(run.path)
    assert "'link' is named twice" in refusal([run, Run(tmp_path / "link")]).what


def with_classes(parent: Path, names: tuple[str, ...]) -> Run:
    predictions = [replace(each, class_names=names) for each in every_split()]  # type: ignore[arg-type]
    return member(parent, "b", predictions, replace(METADATA, class_names=names))


PREPROCESSING = METADATA.preprocessing
OTHER_DECODING = {**PREPROCESSING, "decoding": {"size": [4, 4], "channels": 1, "resize": "squash"}}
NORMALIZER = {"by": "channel", "scale": [2.0], "shift": [0.0]}
ELSEWHERE = {
    "failed or cut off": (
        lambda parent: member(parent, "b", stages=1),
        "is interrupted, and is no member",
        "expkit resume",
    ),
    "other classes": (
        lambda parent: with_classes(parent, ("cat", "owl")),
        "the classes of 'b' are not those of 'a'",
        "b: cat, owl",
    ),
    "another order": (
        lambda parent: with_classes(parent, ("dog", "cat")),
        "not those of 'a', in another order",
        "b: dog, cat",
    ),
    "numbers": (
        lambda parent: member(
            parent, "b", [guessed(split, [0.5] * 8) for split in METADATA.splits], NUMBERS
        ),
        "the outputs of 'b' are not those of 'a'",
        "b: x",
    ),
    "another size": (
        lambda parent: member(parent, "b", metadata=replace(METADATA, image_shape=(1, 8, 8))),
        "the images of 'b' are not those of 'a'",
        "channels, height, width: [1, 8, 8], not [1, 4, 4]",
    ),
    "another decoding": (
        lambda parent: member(
            parent, "b", metadata=replace(METADATA, preprocessing=OTHER_DECODING)
        ),
        "the images of 'b' are not those of 'a'",
        "resize: squash, not None",
    ),
    "another normalizer": (
        lambda parent: member(
            parent,
            "b",
            metadata=replace(METADATA, preprocessing={**PREPROCESSING, "normalizer": NORMALIZER}),
        ),
        "the normalizers of 'b' are not those of 'a'",
        "scale: [2.0], not [1.0]",
    ),
    "an ensemble": (
        lambda parent: member(parent, "b", model={"_target_": ENSEMBLE, "members": [CONV, CONV]}),
        "'b' is an ensemble itself",
        "name its members",
    ),
    "without predictions": (
        lambda parent: member(parent, "b", []),
        "was not evaluated",
        "predictions.csv",
    ),
}


@pytest.mark.parametrize("case", ELSEWHERE)
def test_what_does_not_belong_together_is_refused(tmp_path: Path, case: str) -> None:
    """With what differs, on one screen."""
    make, what, shown = ELSEWHERE[case]
    error = refusal([member(tmp_path, "a"), make(tmp_path)])
    assert what in error.what
    assert shown in error.screen()


def test_other_samples_are_refused_by_the_splits_that_differ(tmp_path: Path) -> None:
    splits = {**METADATA.splits, "test": replace(METADATA.splits["test"], fingerprint="other")}
    other = member(tmp_path, "b", metadata=replace(METADATA, splits=splits))
    error = refusal([member(tmp_path, "a"), other])
    assert "have other samples" in error.what
    assert error.details["where"] == "they differ in test"


def test_folds_are_refused_as_a_leak(tmp_path: Path) -> None:
    """The val samples of one are what the other has learnt: three of them by their names."""
    splits = {
        name: replace(split, fingerprint=f"{split.fingerprint}_other") if name != "test" else split
        for name, split in METADATA.splits.items()
    }
    names = [*(f"val_{place}" for place in range(3)), *(f"other_{place}" for place in range(5))]
    train = replace(predicted("train", [0] * 8), samples=names)
    other = [replace(train), predicted("val", [0] * 8), predicted("test", [0] * 8)]
    other[1] = replace(other[1], samples=[f"new_{place}" for place in range(8)])
    fold = member(tmp_path, "b", other, replace(METADATA, splits=splits))
    error = refusal([member(tmp_path, "a"), fold])
    assert "judged by what one of them has learnt" in error.what
    assert "3 val samples of a are training samples of b" in (error.details["where"] or "")


def test_an_evaluation_is_refused_with_the_run_that_it_is_of(tmp_path: Path) -> None:
    run = member(tmp_path, "a")
    again = member(tmp_path, "b", evaluates=str(run.path))
    assert f"name the run that was trained: {run.path}" == refusal([run, again]).details["do"]


def test_labels_of_its_own_are_refused(tmp_path: Path) -> None:
    """They are of one run's mistakes, and no other has learnt them."""
    procedure = {
        "train": {"_target_": "x.Training", "max_epochs": 2, "labels_from": "collect"},
        "evaluate": {"_target_": "expkit.runner.stages.evaluation.Evaluation"},
    }
    run = member(tmp_path, "b", procedure=procedure)
    labels = '{"class_names": ["cat", "dog", "maybe"], "targets": [0, 0, 0, 0, 1, 1, 1, 2]}'
    (run.path / "labels.json").write_text(labels)
    assert "labels that a stage of its own gave" in refusal([run, member(tmp_path, "a")]).what


def test_weights_that_are_gone_damaged_or_a_link_are_refused(tmp_path: Path) -> None:
    """Each by its file; nothing is read through a link."""
    run, other = member(tmp_path, "a"), member(tmp_path, "b")
    weights = other.weights
    note_digest(weights, weights)
    check_members([run, Run(other.path)], "probabilities")
    weights.write_bytes(b"flipped")
    assert "not what was written" in refusal([run, Run(other.path)]).what
    weights.unlink()
    assert "no trained weights" in refusal([run, Run(other.path)]).what
    weights.symlink_to(run.weights)
    assert "is a link" in refusal([run, Run(other.path)]).what


@pytest.mark.parametrize("combine", ["soup", "greedy_soup"])
def test_a_soup_of_other_architectures_is_refused(tmp_path: Path, combine: str) -> None:
    """With the setting that differs; another start of the same net is none."""
    runs = [member(tmp_path, "a"), member(tmp_path, "b", model={**CONV, "widths": [2, 4]})]
    error = refusal(runs, combine)
    assert error.details["where"] == "model.widths: [2, 4], not [2]"
    assert "--combine probabilities" in (error.details["do"] or "")
    check_members([runs[0], member(tmp_path, "c", model={**CONV, "init": "kaiming"})], combine)


def test_numbers_have_no_probabilities(tmp_path: Path) -> None:
    runs = [
        member(tmp_path, name, [guessed(split, [0.5] * 8) for split in METADATA.splits], NUMBERS)
        for name in "ab"
    ]
    assert "no probabilities" in refusal(runs, "probabilities").what
    check_members(runs, "logits")


def without_val(parent: Path, name: str) -> Run:
    splits = {split: each for split, each in METADATA.splits.items() if split != "val"}
    predictions = [each for each in every_split() if each.split != "val"]
    return member(parent, name, predictions, replace(METADATA, splits=splits))


def test_a_greedy_soup_needs_val(tmp_path: Path) -> None:
    runs = [without_val(tmp_path, name) for name in "ab"]
    assert "needs val" in refusal(runs, "greedy_soup").what
    check_members(runs, "soup")
    assert choosing_split(runs[0]) == "test"


def test_members_are_ranked_on_val(tmp_path: Path) -> None:
    """7 and 8 of 8 are right there, whatever test says."""
    right = [0, 0, 0, 0, 1, 1, 1, 1]
    first = [*(predicted(split, right) for split in ("train", "test"))]
    first.append(predicted("val", [1, *right[1:]]))
    runs = [member(tmp_path, "a", first), member(tmp_path, "b")]
    assert figures_of(runs) == [7 / 8, 1.0]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([{"seed": 0}, {"seed": 0}], True),
        ([{"seed": 0}, {"seed": 1}], False),
        ([{"seed": 0, "model": {**CONV, "pretrained": True}}, {"seed": 1}], False),
        ([{"seed": seed, "model": {**CONV, "pretrained": True}} for seed in (0, 1)], True),
        ([{"seed": 0, "model": {**CONV, "weights": name}} for name in "ab"], False),
    ],
)
def test_a_common_start_is_a_seed_or_the_same_weights(
    tmp_path: Path, changes: list[dict[str, Any]], expected: bool
) -> None:
    runs = [member(tmp_path, f"run{place}", **each) for place, each in enumerate(changes)]
    assert have_common_start(runs) is expected


@pytest.mark.parametrize("key", ["model", "dataset", "device", "seed"])
def test_a_config_that_lacks_a_part_is_refused(tmp_path: Path, key: str) -> None:
    """One screen, as of any other damage."""
    run = member(tmp_path, "b")
    run.__dict__["config"] = {name: value for name, value in run.config.items() if name != key}
    error = refusal([member(tmp_path, "a"), run])
    assert error.what == f"the config of 'b' has no {key}"


def test_a_member_that_has_gone_is_named(tmp_path: Path) -> None:
    """As a resumed ensemble would meet it."""
    paths = [str(member(tmp_path, "a").path), str(tmp_path / "gone")]
    with pytest.raises(UserError, match="not there any more") as caught:
        open_members(paths, "probabilities")
    assert caught.value.details["where"] == str(tmp_path / "gone")


def test_unfinished_runs_of_a_folder_are_left_out_and_a_named_one_is_not(tmp_path: Path) -> None:
    for name in ("a", "b"):
        member(tmp_path / "sweep", name)
    member(tmp_path / "sweep", "c", stages=1)
    runs, remarks = choose_members([str(tmp_path / "sweep")])
    assert sorted(run.name for run in runs) == ["a", "b"]
    assert remarks == ["left out: c (interrupted)"]
    runs, remarks = choose_members([str(tmp_path / "sweep" / name) for name in "ac"])
    assert ([run.name for run in runs], remarks) == (["a", "c"], [])


def record(parent: Path, **changes: Any) -> EnsembleRecord:
    members = [
        Member(name, str(parent / name), 2, "0" * 64, 10, 0.5, True, ["seed=1"]) for name in "ab"
    ]
    return EnsembleRecord("probabilities", members, 0, "val", 20, (2.0, 1.0), **changes)


def test_an_ensemble_as_a_member_is_refused_with_its_own_members_named(tmp_path: Path) -> None:
    """The advice can be taken as it stands."""
    both = [member(tmp_path, name) for name in "ab"]
    run = member(tmp_path, "e", model={"_target_": ENSEMBLE, "members": [CONV, CONV]})
    record(tmp_path).write(run.path)
    advice = refusal([run, both[0]]).details["do"]
    assert advice == f"name its members: expkit ensemble {tmp_path / 'a'} {tmp_path / 'b'}"
    assert Run(run.path).ensemble == record(tmp_path)


@pytest.mark.parametrize("text", ["[]", '{"combine": "votes"}', '{"combine": "soup"}', "{"])
def test_a_damaged_record_of_members_is_refused_by_its_file(tmp_path: Path, text: str) -> None:
    run = member(tmp_path, "e")
    (run.path / "ensemble.json").write_text(text)
    with pytest.raises(UserError, match=r"'ensemble.json' is damaged"):
        run.ensemble  # noqa: B018


@pytest.mark.parametrize("place", ["best", "members"])
def test_a_record_that_makes_no_sense_is_refused(tmp_path: Path, place: str) -> None:
    """A best member that is not there, or one member alone."""
    run, made = member(tmp_path, "e"), record(tmp_path)
    changed = replace(made, best=2) if place == "best" else replace(made, members=made.members[:1])
    changed.write(run.path)
    with pytest.raises(UserError, match="no members, or no best one"):
        run.ensemble  # noqa: B018


def test_members_begin_from_no_file_and_no_hub() -> None:
    """Their weights follow: a stranger's ensemble has nothing fetched, and no file opened."""
    timm = {"_target_": "expkit.models.timm_model.TimmModel", "name": "resnet18"}
    node = {"_target_": ENSEMBLE, "members": [{**timm, "pretrained": True, "weights": "x"}, CONV]}
    found = without_downloads({"model": node})["model"]
    assert found["members"] == [{**timm, "pretrained": False, "weights": None}, CONV]


def test_members_within_a_config_are_held_to_the_list_of_what_may_be_named() -> None:
    """A stranger's ensemble names no more than a stranger's run does; nor an ensemble in one."""
    node = {"_target_": ENSEMBLE, "_partial_": True, "members": [CONV, CONV]}
    check_part(node, "model")
    for target in ("os.system", ENSEMBLE, "expkit.runner.stages.combination.Combination"):
        inner = {"_target_": target, "_partial_": True}
        with pytest.raises(UserError, match=r"model\.members\[1\]"):
            check_part({**node, "members": [CONV, inner]}, "model")
    with pytest.raises(UserError, match=r"members cannot be"):
        check_part({**node, "members": [CONV]}, "model")
    with pytest.raises(UserError, match=r"no argument 'width'"):
        check_part({**node, "members": [CONV, {**CONV, "width": 3}]}, "model")
