"""Rules on labels: unrelated, numbered otherwise, and wrong in a share; and none on sound data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from damaged_data import change, digits, evidence_of, flip, metadata_of, of_arrays
from rule_findings import findings
from sure_predictions import answers
from synthetic_evidence import make_evidence, make_history, make_metadata, make_signal

from expkit.data.datasets.scan_lines import ScanLines
from expkit.data.store.progress import silent
from expkit.data.store.samples import Dataset
from expkit.diagnosis.evidence import Evidence


def curves(train: Sequence[float], val: Sequence[float], **others: Any) -> Evidence:
    """Accuracies of the epochs of a training on ten even classes, 1,000 and 200 samples."""
    return make_evidence(history=make_history(train__accuracy=train, val__accuracy=val), **others)


LABEL_RULES = ("labels_unrelated", "class_map_differs", "label_noise")


@pytest.mark.slow
@pytest.mark.parametrize("rule", LABEL_RULES)
@pytest.mark.parametrize("dataset", [digits(), ScanLines(num_samples=600, size=64).read(silent)])
def test_sound_data_is_not_suspected(rule: str, dataset: Dataset) -> None:
    """Neither digits, nor scans that their neighbours hardly tell apart."""
    assert findings(rule, evidence_of(dataset)) == []


@pytest.mark.parametrize("share", [0.1, 0.2, 0.4])
def test_wrong_labels_are_counted_before_training(share: float) -> None:
    """A tenth, a fifth or two fifths of the digits' labels: told to four points."""
    dataset = change(digits(), "train", targets=lambda targets: flip(targets, share))
    (found,) = findings("label_noise", evidence_of(dataset))
    assert found.evidence["departing_where_clearest"] == pytest.approx(share, abs=0.04)
    assert found.evidence["suspects"]


def overlapping(num_classes: int, distance: float) -> Dataset:
    """Normal clouds in a plane of the images' 64 dimensions, which overlap."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, num_classes, 2000)
    angles = 2 * np.pi * labels / num_classes
    centres = distance / 2 * np.stack([np.cos(angles), np.sin(angles)], 1)
    points = centres + rng.normal(size=(2000, 2))
    plane = np.linalg.qr(rng.normal(size=(64, 2)))[0]
    pixels = 128 + 60 * points @ plane.T + rng.normal(size=(2000, 64))
    images = np.clip(pixels, 0, 255).astype(np.uint8).reshape(-1, 8, 8, 1)
    return of_arrays(train=(images[:1500], labels[:1500]), val=(images[1500:], labels[1500:]))


@pytest.mark.parametrize(("num_classes", "distance"), [(2, 1.7), (3, 2.2), (4, 2.8)])
def test_overlapping_classes_have_no_wrong_labels(num_classes: int, distance: float) -> None:
    """The best that can be is 80 % right: two clouds at 1.7 spreads have 2 * 10 % beyond 0.85."""
    evidence = evidence_of(overlapping(num_classes, distance))
    assert findings("label_noise", evidence) == []
    assert findings("class_map_differs", evidence) == []


def test_imbalance_is_not_taken_for_wrong_labels() -> None:
    """Of 95 to 5 with images of noise all votes agree, and a twentieth departs, as it must."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (1000, 8, 8, 1), dtype=np.uint8)
    labels = (np.arange(1000) % 20 == 0).astype(np.int64)
    dataset = of_arrays(train=(images[:800], labels[:800]), val=(images[800:], labels[800:]))
    assert findings("label_noise", evidence_of(dataset)) == []


def looks_at(accuracies: Sequence[float], shares: Sequence[float], count: int) -> Evidence:
    """Epochs of ten classes, with the errors among the answers that the net is surest of."""
    signals = [
        make_signal(
            "epoch", epoch=i + 1, confident_error={"val": {"fraction": share, "count": count}}
        )
        for i, share in enumerate(shares)
    ]
    loss = {"label_smoothing": 0.0}
    return curves(accuracies, accuracies, signals=signals, loss=loss)


def test_wrong_labels_show_in_the_surest_answers() -> None:
    """At 20 % the net is wrong in a fifth of what it is surest of, look after look."""
    (found,) = findings("label_noise", looks_at([0.4, 0.7, 0.74, 0.75], [0.4, 0.2, 0.19, 0.2], 250))
    assert (found.stage, found.epoch, found.severity) == ("train", 4, "warning")
    assert found.evidence["confident_error"] == pytest.approx(0.2)
    assert list(found.remedies) == [["loss.label_smoothing=0.1"]]


@pytest.mark.parametrize(
    ("accuracies", "shares", "count"),
    [
        ([0.78] * 4, [0.05] * 4, 250),  # hard, but right where it is sure
        ([0.3] * 4, [0.6] * 4, 250),  # knows too little to judge labels
        ([0.78] * 4, [0.21] * 4, 20),  # too few answers
        ([0.97] * 4, [0.03] * 4, 250),  # hardly any
        ([0.78] * 2, [0.21] * 2, 250),  # two probe epochs, which luck can bring
    ],
)
def test_hard_or_early_epochs_are_not_suspected(
    accuracies: list[float], shares: list[float], count: int
) -> None:
    """Of the signs of wrong labels one is missing each time."""
    assert findings("label_noise", looks_at(accuracies, shares, count)) == []


def test_a_small_net_on_cherries_has_no_wrong_labels() -> None:
    """Five epochs as they were measured, of two classes that it half knows."""
    accuracy = {"train": [0.68, 0.76, 0.77, 0.77, 0.78], "val": [0.76, 0.76, 0.72, 0.79, 0.77]}
    sure = {"train": [0.19, 0.14, 0.14, 0.14, 0.12], "val": [0.17, 0.15, 0.13, 0.19, 0.14]}
    counts = {"train": 919, "val": 306}
    signals = [
        make_signal(
            "epoch",
            epoch=i + 1,
            confident_error={s: {"fraction": sure[s][i], "count": counts[s]} for s in counts},
        )
        for i in range(5)
    ]
    metadata = make_metadata(train=(1978, 1698), val=(660, 566))
    evidence = curves(accuracy["train"], accuracy["val"], signals=signals, metadata=metadata)
    assert findings("label_noise", evidence) == []


def test_wrong_labels_show_in_held_out_answers() -> None:
    """A fifth of all answers wrong, sure or not; where the sure ones are right, none."""
    targets = np.arange(400) % 10
    sure = np.linspace(0.3, 0.95, 400)
    evenly = np.where(np.arange(400) % 5 == 0, (targets + 1) % 10, targets)
    unsure = np.where(np.arange(400) < 80, (targets + 1) % 10, targets)
    given = {"val": answers("val", targets, evenly, sure)}
    (found,) = findings("label_noise", make_evidence(predictions=given))
    assert found.evidence["confident_error"] == pytest.approx(0.2)
    given = {"val": answers("val", targets, unsure, sure)}
    assert findings("label_noise", make_evidence(predictions=given)) == []


def test_labels_learnt_by_heart_are_unrelated() -> None:
    """From 10 to 90 % in train, and 9 to 11 % of 200 held-out samples: chance."""
    evidence = curves([0.1, 0.3, 0.5, 0.7, 0.9], [0.1, 0.09, 0.11, 0.1, 0.1])
    (found,) = findings("labels_unrelated", evidence)
    assert (found.severity, found.epoch) == ("warning", 5)
    assert found.evidence["val/accuracy"] == pytest.approx(0.1)


def test_unrelated_labels_are_fatal_where_neighbours_agree() -> None:
    """Shuffled digits: no neighbour knows, and no net but by heart."""
    rng = np.random.default_rng(0)
    dataset = change(digits(), "train", targets=rng.permutation)
    history = make_history(
        train__accuracy=[0.2, 0.5, 0.7, 0.9], val__accuracy=[0.1, 0.11, 0.09, 0.1]
    )
    (found,) = findings("labels_unrelated", evidence_of(dataset, history=history))
    assert found.severity == "fatal"
    assert findings("labels_unrelated", evidence_of(digits(), history=history)) == []


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ([0.3, 0.6, 0.9, 1.0], [0.15, 0.2, 0.22, 0.2]),  # overfits, and knows something
        ([0.1, 0.11, 0.12, 0.12], [0.1, 0.1, 0.1, 0.1]),  # has learnt nothing yet
        ([0.3, 0.6], [0.1, 0.1]),  # two epochs prove little
        ([0.3, 0.6, 0.9], [0.0, 0.0, 0.0]),  # far below chance: that is knowledge
    ],
)
def test_related_labels_are_left_alone(train: list[float], val: list[float]) -> None:
    """A net that overfits, that starts slowly, or that has just begun."""
    assert findings("labels_unrelated", curves(train, val)) == []


def test_tiny_held_out_data_proves_nothing() -> None:
    """At chance on 20 samples of two classes: the net may still know 20 points more."""
    metadata = make_metadata(train=(50, 50), val=(10, 10))
    evidence = curves([0.7, 0.9, 1.0, 1.0], [0.5, 0.55, 0.5, 0.5], metadata=metadata)
    assert findings("labels_unrelated", evidence) == []


def moving_looks() -> list[dict[str, Any]]:
    parameters = [{"name": "weight", "update_ratio": 1e-3}]
    return [make_signal("epoch", epoch=8, parameters=parameters)]


def test_nothing_learnt_of_shuffled_labels() -> None:
    """Chance in train after eight epochs of sound steps, and no neighbour knows more."""
    rng = np.random.default_rng(0)
    shuffled = change(digits(), "train", targets=rng.permutation)
    history = make_history(train__accuracy=[0.1] * 8, val__accuracy=[0.1] * 8)
    (found,) = findings("labels_unrelated", evidence_of(shuffled, moving_looks(), history=history))
    assert found.evidence["neighbours/accuracy"] < 0.15
    assert findings("labels_unrelated", evidence_of(shuffled, history=history)) == []
    sound = evidence_of(digits(), moving_looks(), history=history)
    assert findings("labels_unrelated", sound) == []


@pytest.mark.parametrize("numbering", [[1, 0, *range(2, 10)], [*range(1, 10), 0]])
def test_another_class_map_is_named_before_training(numbering: list[int]) -> None:
    """Two classes swapped, or all moved on by one."""
    dataset = change(digits(), "val", targets=lambda targets: np.array(numbering)[targets])
    (found,) = findings("class_map_differs", evidence_of(dataset))
    assert found.severity == "fatal"
    assert "0 is labelled 1" in found.evidence["moved"]


def test_shuffled_labels_are_no_class_map() -> None:
    """In a cluster one of the shuffled labels prevails by luck: that numbers nothing."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        dataset = change(digits(), "train", targets=rng.permutation)
        assert findings("class_map_differs", evidence_of(dataset)) == []


def test_accuracy_far_below_chance_is_a_class_map() -> None:
    """Two classes at 4 % held out, while train is learnt; at 45 % it is merely bad."""
    metadata = make_metadata(train=(100, 100), val=(50, 50))
    (found,) = findings("class_map_differs", curves([0.8, 0.95], [0.1, 0.04], metadata=metadata))
    assert (found.epoch, found.severity) == (2, "fatal")
    assert findings("class_map_differs", curves([0.8, 0.95], [0.5, 0.45], metadata=metadata)) == []


def test_class_map_shows_in_the_answers() -> None:
    """Classes 0 and 1 taken for each other in val alone; a collapse onto one is no numbering."""
    targets = np.arange(200) % 10
    swapped = np.array([1, 0, *range(2, 10)])[targets]
    sure = np.full(200, 0.9)
    right = {"train": answers("train", targets, targets, sure)}
    wrong = {"val": answers("val", targets, swapped, sure)}
    (found,) = findings("class_map_differs", make_evidence(predictions={**right, **wrong}))
    assert sorted(found.evidence["moved"]) == [
        "class_0 is labelled class_1",
        "class_1 is labelled class_0",
    ]
    collapsed = {"val": answers("val", targets, np.zeros(200, int), sure)}
    assert findings("class_map_differs", make_evidence(predictions={**right, **collapsed})) == []


def test_held_out_picture_of_a_puzzle_needs_no_relation() -> None:
    """Cells of another image are at chance by their nature, and their layout says so."""
    from dataclasses import replace

    from expkit.records.run.metadata import Layout

    metadata = replace(metadata_of(digits()), layouts={"val": Layout("other.jpg", 1, 1, (0,))})
    assert findings("labels_unrelated", curves([0.5] * 5, [0.1] * 5, metadata=metadata)) == []


def test_mixed_pictures_prove_no_wrong_labels() -> None:
    """Mix-up makes training answers wrong at any confidence."""
    share = {"train": {"fraction": 0.4, "count": 300}}
    signals = [make_signal("epoch", epoch=i + 1, confident_error=share) for i in range(3)]
    sound = curves([0.6] * 3, [0.9] * 3, signals=signals)
    assert len(findings("label_noise", sound)) == 1
    augment = {**sound.config["augment"], "mixup_alpha": 1.0}
    mixed = replace(sound, config={**sound.config, "augment": augment})
    assert findings("label_noise", mixed) == []


def patches(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Four classes, each bright in a corner of its own, under noise that hardly hides it."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    images = rng.normal(100, 25, (count, 8, 8, 1))
    for place, label in enumerate(labels):
        row, column = 4 * (label // 2), 4 * (label % 2)
        images[place, row : row + 4, column : column + 4] += 90
    return images.clip(0, 255).astype(np.uint8), labels


def test_shuffled_labels_that_fit_a_class_by_chance_are_unrelated() -> None:
    """A third right in val, above chance; its votes are regular, and train's labels are not."""
    images, labels = patches(400, 0)
    given = np.random.default_rng(5).permutation(labels)  # of which val's votes are regular
    history = make_history(train__accuracy=[0.5, 0.9, 1.0, 1.0], val__accuracy=[0.34] * 4)
    shuffled = of_arrays(train=(images, given), val=patches(200, 1))
    sound = of_arrays(train=(images, labels), val=patches(200, 1))
    (found,) = findings("labels_unrelated", evidence_of(shuffled, history=history))
    assert found.evidence["val/accuracy"] == pytest.approx(0.34)
    assert findings("labels_unrelated", evidence_of(sound, history=history)) == []
    hard = (np.random.default_rng(2).integers(0, 255, images.shape).astype(np.uint8), labels)
    noise = of_arrays(train=hard, val=(hard[0][:200, ::-1], labels[:200]))
    assert findings("labels_unrelated", evidence_of(noise, history=history)) == []


def test_slow_learning_by_heart_is_unrelated_too() -> None:
    """A quarter right in train, a sixth of the way, and no sign of it in held-out samples."""
    evidence = curves([0.1, 0.2, 0.24, 0.25, 0.26], [0.1, 0.09, 0.11, 0.1, 0.1])
    assert len(findings("labels_unrelated", evidence)) == 1


def test_many_wrong_labels_show_where_held_out_ones_are_right() -> None:
    """Two fifths of the labels: halves disagree, and votes are right for the sound split."""
    noisy = change(digits(), "train", targets=lambda targets: flip(targets, 0.4))
    evidence = evidence_of(noisy)
    (record,) = evidence.of_kind("data")
    record["neighbours"]["train"]["agreement"] = 0.6
    assert len(findings("label_noise", evidence)) == 1
    record["neighbours"]["val"] = record["neighbours"]["train"]
    assert findings("label_noise", evidence) == []


def test_wrong_labels_by_neighbours_may_be_smoothed() -> None:
    """Where the loss can smooth labels, that is proposed beside a look at the suspects."""
    dataset = change(digits(), "train", targets=lambda targets: flip(targets, 0.2))
    evidence = evidence_of(dataset)
    loss = {**evidence.config["loss"], "label_smoothing": 0.0}
    (found,) = findings("label_noise", replace(evidence, config={**evidence.config, "loss": loss}))
    assert found.remedies == [["loss.label_smoothing=0.1"]]
    assert found.command == "look at the suspects beside their labels"
