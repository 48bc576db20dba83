"""Mistakes in how a sound model learns from sound data."""

from __future__ import annotations

from bases import CONV, DEEP, DIGITS, NORMED, RESNET, SCANS, VIT, epochs, with_part
from case import Fault, fault
from written import shapes_as

DIGITS_CONV = (*DIGITS, *CONV)
DIGITS_DEEP = (*DIGITS, *DEEP)
TOO_HIGH = ("learning_rate_too_high", "diverged")

RATES: list[Fault] = [
    fault("adam_at_1", "rate far too high", (*DIGITS_CONV, "optimizer.lr=1.0"), *TOO_HIGH),
    fault(
        "adam_at_1_resnet",
        "rate far too high",
        (*RESNET, "optimizer.lr=1.0"),
        *TOO_HIGH,
        prepare=shapes_as(),
    ),
    fault(
        "adam_at_01_vit",
        "rate far too high",
        (*VIT, "optimizer.lr=0.1"),
        *TOO_HIGH,
        "warmup_missing",
        prepare=shapes_as(),
    ),
    fault(
        "sgd_at_20",
        "rate far too high",
        (*DIGITS_CONV, "optimizer=sgd", "optimizer.lr=20"),
        *TOO_HIGH,
    ),
    fault(
        "adam_at_03_scan",
        "rate far too high",
        (*SCANS, "optimizer.lr=0.3"),
        *TOO_HIGH,
        "warmup_missing",
    ),
    fault(
        "adam_at_1e-7",
        "rate far too low",
        (*DIGITS_CONV, "optimizer.lr=1e-7"),
        "learning_rate_too_low",
    ),
    fault(
        "sgd_at_1e-6",
        "rate far too low",
        (*DIGITS, *NORMED, "optimizer=sgd", "optimizer.lr=1e-6"),
        "learning_rate_too_low",
    ),
    fault(
        "adam_at_1e-7_vit",
        "rate far too low",
        (*VIT, "optimizer.lr=1e-7"),
        "learning_rate_too_low",
        prepare=shapes_as(),
    ),
    fault(
        "adam_at_005_oscillates",
        "rate oscillates",
        (*DIGITS_CONV, "optimizer.lr=0.05"),
        "learning_rate_oscillates",
        "learning_rate_too_high",
    ),
    fault(
        "sgd_at_05_oscillates",
        "rate oscillates",
        (*DIGITS_DEEP, "optimizer=sgd", "optimizer.lr=0.4"),
        "learning_rate_oscillates",
        "learning_rate_too_high",
        "diverged",
    ),
    fault(
        "adam_at_001_scan_oscillates",
        "rate oscillates",
        (*SCANS, "optimizer.lr=0.02"),
        "learning_rate_oscillates",
        "learning_rate_too_high",
        "warmup_missing",
    ),
    fault(
        "no_warm_up",
        "warm-up missing",
        (
            "dataset=scan_lines",
            "dataset.size=32",
            "dataset.num_samples=600",
            "model=vit_scanline",
            "model.layers=8",
            "model.width=96",
            "model.heads=4",
            "model.feed_forward=384",
            "optimizer.lr=0.005",
            epochs(10),
        ),
        "warmup_missing",
        "learning_rate_too_high",
    ),
]

SCHEDULES: list[Fault] = [
    fault(
        "schedule_counted_in_steps",
        "schedule ends early",
        with_part(DIGITS_CONV, "schedule._target_=broken_parts.EndsEarly"),
        "schedule_ends_early",
    ),
    fault(
        "step_every_epoch",
        "schedule ends early",
        (*DIGITS_CONV, "schedule=step", "schedule.every_epochs=1", "schedule.factor=0.05"),
        "schedule_ends_early",
    ),
    fault(
        "schedule_ends_early_vit",
        "schedule ends early",
        with_part(VIT, "schedule._target_=broken_parts.EndsEarly"),
        "schedule_ends_early",
        prepare=shapes_as(),
    ),
    fault(
        "decay_upside_down",
        "diverges later",
        with_part(DIGITS_CONV, "schedule._target_=broken_parts.Explodes"),
        *TOO_HIGH,
        "learning_rate_oscillates",
    ),
    fault(
        "one_cycle_of_5000",
        "diverges later",
        (*DIGITS_DEEP, "schedule=one_cycle", "schedule.peak_scale=5000"),
        *TOO_HIGH,
        "learning_rate_oscillates",
    ),
    fault(
        "warm_up_into_too_much",
        "diverges later",
        (*RESNET, "optimizer=sgd", "optimizer.lr=100", "schedule.warmup_epochs=6"),
        *TOO_HIGH,
        prepare=shapes_as(),
    ),
]

STEPS: list[Fault] = [
    fault(
        "zero_grad_forgotten",
        "zero_grad forgotten",
        with_part((*DIGITS_CONV, "optimizer=sgd"), "optimizer._target_=broken_parts.NeverCleared"),
        "gradients_accumulate",
    ),
    fault(
        "zero_grad_forgotten_adam",
        "zero_grad forgotten",
        with_part(RESNET, "optimizer._target_=broken_parts.AdamNeverCleared"),
        "gradients_accumulate",
        prepare=shapes_as(),
    ),
    fault(
        "weight_decay_10",
        "weight decay crushes",
        (*DIGITS_CONV, "optimizer=adamw", "optimizer.weight_decay=10"),
        "weight_decay_crushes",
    ),
    fault(
        "weight_decay_l2_1",
        "weight decay crushes",
        (*DIGITS_CONV, "optimizer=sgd", "optimizer.weight_decay=0.5"),
        "weight_decay_crushes",
    ),
    fault(
        "weight_decay_20_scan",
        "weight decay crushes",
        (*SCANS, "optimizer=adamw", "optimizer.weight_decay=20"),
        "weight_decay_crushes",
    ),
    fault(
        "clipped_at_1e-5",
        "clipping always active",
        (*DIGITS_CONV, "optimizer=sgd", "procedure.train.max_gradient_norm=1e-5"),
        "clipping_always_active",
    ),
    fault(
        "clipped_at_1e-4_vit",
        "clipping always active",
        (*VIT, "optimizer=sgd", "procedure.train.max_gradient_norm=1e-4"),
        "clipping_always_active",
        prepare=shapes_as(),
    ),
    fault(
        "beta_1_of_0999",
        "momentum out of reason",
        (*SCANS, "optimizer.betas=[0.999,0.999]"),
        "momentum_out_of_reason",
    ),
    fault(
        "beta_2_of_01",
        "momentum out of reason",
        (*DIGITS_CONV, "optimizer.lr=0.01", "optimizer.betas=[0.999,0.1]"),
        "momentum_out_of_reason",
    ),
    fault(
        "momentum_0999",
        "momentum out of reason",
        (*DIGITS_DEEP, "optimizer=sgd", "optimizer.lr=0.05", "optimizer.momentum=0.999"),
        "momentum_out_of_reason",
    ),
    fault(
        "batch_1_high_rate",
        "batch too small for its rate",
        (
            *DIGITS_CONV,
            "optimizer.lr=0.02",
            "procedure.train.batch_size=1",
            "dataset.fraction=0.5",
            epochs(6),
        ),
        "batch_too_small_for_lr",
        "learning_rate_too_high",
    ),
    fault(
        "batch_2_high_rate",
        "batch too small for its rate",
        (
            *DIGITS_DEEP,
            "optimizer=sgd",
            "optimizer.lr=0.15",
            "procedure.train.batch_size=2",
            epochs(6),
        ),
        "batch_too_small_for_lr",
        "learning_rate_too_high",
        "diverged",
    ),
    fault(
        "dropout_095",
        "regularized too strongly",
        (*DIGITS_DEEP, "model.dropout=0.95"),
        "regularization_too_strong",
    ),
    fault(
        "dropout_09_scan",
        "regularized too strongly",
        (*SCANS, "model.dropout=0.95"),
        "regularization_too_strong",
    ),
    fault(
        "augmented_to_nothing",
        "augmentation destroys",
        with_part(DIGITS_CONV, "+augment.transforms.blank={_target_: broken_parts.Blank}"),
        "regularization_too_strong",
    ),
    fault(
        "nearly_all_is_erased",
        "augmentation destroys",
        (
            *RESNET,
            "+transform@augment.transforms.erasing=erasing",
            "augment.transforms.erasing.p=1.0",
            "augment.transforms.erasing.scale=[0.9,0.99]",
        ),
        "regularization_too_strong",
        prepare=shapes_as(),
    ),
]

FAULTS = [*RATES, *SCHEDULES, *STEPS]
