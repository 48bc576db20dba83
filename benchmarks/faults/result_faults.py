"""Runs whose result is not what it seems, and machines that are used wrongly."""

from __future__ import annotations

import damage as d
from bases import CONV, DEEP, DIGITS, NORMED, RESNET, VIT, epochs, with_part
from case import Fault, fault
from images import shapes
from written import Arrays, digits_as, shapes_as

DIGITS_CONV = (*DIGITS, *CONV)

RESULTS: list[Fault] = [
    fault(
        "overfits_40_samples",
        "overfitting",
        (*DIGITS, *DEEP, "model.hidden=[256,256]", "dataset.fraction=0.05", epochs(150)),
        "overfitting",
        "too_few_samples",
    ),
    fault(
        "overfits_noisy_shapes",
        "overfitting",
        (*RESNET, epochs(60)),
        "overfitting",
        prepare=Arrays(lambda: shapes({"train": 25, "val": 40, "test": 40}, noise=70)),
    ),
    fault(
        "overfits_vit",
        "overfitting",
        (*VIT, epochs(50)),
        "overfitting",
        prepare=Arrays(lambda: shapes({"train": 20, "val": 40, "test": 40}, noise=60)),
    ),
    fault(
        "three_features",
        "underfitting",
        (*DIGITS_CONV, "procedure=full", "model.widths=[3,3,3]", epochs(25)),
        "underfitting",
    ),
    fault(
        "one_feature_for_shapes",
        "underfitting",
        (*CONV, "model.widths=[1,1]", epochs(25)),
        "underfitting",
        "not_better_than_majority",
        "loss_at_chance",
        prepare=shapes_as(),
    ),
    fault(
        "criterion_just_missed",
        "criterion missed",
        (*DIGITS_CONV, "criteria=classification", "criteria.accuracy='> 0.999'"),
        "criterion_missed",
        at_least="info",  # the verdict has said it
    ),
    fault(
        "criterion_missed_vit",
        "criterion missed",
        (*VIT, "criteria=classification", "criteria.accuracy='> 0.995'"),
        "criterion_missed",
        prepare=shapes_as(),
        at_least="info",
    ),
    fault(
        "one_class_is_all",
        "predicts one class",
        CONV,
        "class_imbalance",
        "predicts_one_class",
        prepare=digits_as(d.thin_out([1, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03])),
    ),
    fault(
        "fine_tuned_too_hard",
        "best epoch first",
        (
            "model=simple_conv",
            "procedure=full",
            "~procedure.evaluate",
            "+stage@procedure.again=train",
            "+stage@procedure.evaluation=evaluate",
            "procedure.again.start_from=train",
            "procedure.again.max_epochs=12",
            "procedure.again.groups={*: {lr: 0.1}}",
            epochs(12),
        ),
        "best_epoch_first",
        "learning_rate_too_high",
        "overfitting",
        "learning_rate_oscillates",
        "diverged",
        prepare=digits_as(),
    ),
]

MACHINES: list[Fault] = [
    fault(
        "pictures_come_slowly",
        "data-bound",
        with_part(
            (*DIGITS, *CONV, epochs(4)), "+augment.transforms.slow={_target_: broken_parts.Slow}"
        ),
        "data_bound",
    ),
    fault(
        "pictures_come_slowly_resnet",
        "data-bound",
        with_part(
            (*RESNET, epochs(4)),
            "+augment.transforms.slow={_target_: broken_parts.Slow, seconds: 0.2}",
        ),
        "data_bound",
        prepare=shapes_as(),
    ),
    fault(
        "stretched_by_zero",
        "inputs not finite",
        with_part((*NORMED,), "+augment.transforms.stretch={_target_: broken_parts.Divides}"),
        "non_finite_inputs",
        prepare=digits_as(d.blacken(0.05, ["train"])),
    ),
    fault(
        "cuda_on_a_machine_without",
        "device not there",
        (*DIGITS_CONV, "device=cuda"),
        refusal="cuda",
    ),
]

FAULTS = [*RESULTS, *MACHINES]
