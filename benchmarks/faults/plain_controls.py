"""Sound runs as a careful person starts them: every model, data set, optimizer and schedule."""

from __future__ import annotations

from bases import (
    CONV,
    DEEP,
    DIGITS,
    NORMED,
    PUZZLE,
    RESNET,
    RESNET_10,
    SCAN_MODEL,
    SCANS,
    VIT,
    VIT_DIGITS,
    epochs,
)
from case import Control, control
from images import shapes
from written import Arrays, digits_as, shape_files_as

DIGITS_CONV = (*DIGITS, *CONV)
MANY_SHAPES = Arrays(lambda: shapes({"train": 200, "val": 40, "test": 40}))

MODELS: list[Control] = [
    control("digits_conv", DIGITS_CONV),
    control("digits_conv_seed_1", (*DIGITS_CONV, "seed=1")),
    control("digits_conv_seed_2", (*DIGITS_CONV, "seed=2")),
    control("digits_kaiming_deep_head", (*DIGITS, *DEEP)),
    control("digits_batch_norm", (*DIGITS, *NORMED)),
    control("digits_group_norm", (*DIGITS, *CONV, "model.norm=group")),
    control("digits_resnet", (*DIGITS, *RESNET)),
    control("digits_vit", (*DIGITS, *VIT_DIGITS, epochs(20))),
    control("digits_scan_line", (*DIGITS, *SCAN_MODEL, epochs(15))),
    control("shapes_batch_norm", (*NORMED, epochs(30)), prepare=MANY_SHAPES, least=0.8),
    control("shapes_resnet", (*RESNET, epochs(20)), prepare=MANY_SHAPES, least=0.8),
    control("shapes_resnet_files", (*RESNET, epochs(20)), prepare=shape_files_as(), least=0.7),
    control("shapes_resnet10t", RESNET_10, prepare=MANY_SHAPES, least=0.8),
    control("shapes_vit", (*VIT, epochs(15)), prepare=MANY_SHAPES, least=0.7),
    control("scans", SCANS, least=0.8),
    control(
        "scans_causal_mean",
        (*SCANS, "model.causal=true", "model.pooling=mean", epochs(25)),
        least=0.75,
    ),
    control("puzzle", PUZZLE, least=0.95),
    control(
        "puzzle_batch_norm",
        (*PUZZLE, "model.norm=batch", "model.init=default", epochs(60)),
        least=0.95,
    ),
    control("puzzle_rotation", (*PUZZLE, "dataset.target=rotation", epochs(150)), least=0.8),
    control(
        "puzzle_position",
        (*PUZZLE, "dataset.target=position", "loss=mse", epochs(150)),
        most_loss=0.03,
    ),
    control("puzzle_quick_recipe", ("experiment=puzzle_larger_backbone_quick",), least=0.98),
    control(
        "digits_arrays_unit", (*DEEP, "dataset.normalize=unit", epochs(20)), prepare=digits_as()
    ),
    control(
        "shapes_imagenet_scale",
        (*RESNET, "dataset.normalize=imagenet", epochs(20)),
        prepare=MANY_SHAPES,
        least=0.8,
    ),
    control("digits_normalized_by_sample", (*DIGITS_CONV, "dataset.normalize=sample")),
]

LEARNING: list[Control] = [
    control("digits_sgd", (*DIGITS_CONV, "optimizer=sgd", "optimizer.lr=0.05")),
    control(
        "digits_adamw_cosine",
        (*DIGITS_CONV, "optimizer=adamw", "optimizer.lr=0.003", "schedule=cosine"),
    ),
    control("digits_one_cycle", (*DIGITS, *NORMED, "optimizer.lr=0.01", "schedule=one_cycle")),
    control(
        "digits_step_schedule",
        (*DIGITS_CONV, "optimizer.lr=0.003", "schedule=step", "schedule.every_epochs=7"),
    ),
    control(
        "digits_plateau",
        (*DIGITS_CONV, "optimizer.lr=0.003", "schedule=plateau", "schedule.patience=3", epochs(30)),
    ),
    control("digits_linear", (*DIGITS_CONV, "optimizer.lr=0.003", "schedule=linear")),
    control("digits_lion", (*DIGITS_CONV, "optimizer=lion", "optimizer.lr=0.0005")),
    control("digits_radam", (*DIGITS_CONV, "optimizer=radam", "optimizer.lr=0.003")),
    control("digits_ranger", (*DIGITS, *NORMED, "optimizer=ranger", "optimizer.lr=0.005")),
    control("digits_rmsprop", (*DIGITS_CONV, "optimizer=rmsprop")),
    control(
        "scans_warm_up_cosine",
        (*SCANS, "optimizer=adamw", "schedule=cosine", "schedule.warmup_epochs=4", epochs(20)),
        least=0.8,
    ),
    control(
        "digits_accumulated_batches",
        (
            *DIGITS_CONV,
            "procedure.train.batches_per_step=4",
            "procedure.train.batch_size=8",
            epochs(20),
        ),
    ),
    control(
        "digits_batch_256",
        (*DIGITS_CONV, "procedure.train.batch_size=256", "optimizer.lr=0.005", epochs(30)),
    ),
    control("digits_clipped_now_and_then", (*DIGITS_CONV, "procedure.train.max_gradient_norm=5")),
    control(
        "scans_clipped_at_1",
        (*SCANS, "optimizer=adamw", "procedure.train.max_gradient_norm=1.0"),
        least=0.8,
    ),
    control("digits_bf16", (*DIGITS_CONV, "device.precision=bf16", epochs(20))),
    control("digits_deterministic", (*DIGITS_CONV, "device.deterministic=true")),
    control(
        "shapes_light_augmentation",
        (*RESNET, "augment=light", epochs(30)),
        prepare=MANY_SHAPES,
        least=0.75,
    ),
    control("scans_augmented", (*SCANS, "augment=scan_line", epochs(20)), least=0.75),
    control("digits_fold", (*DIGITS_CONV, "dataset.fold=1")),
    control(
        "vit_layer_decay",
        (*VIT_DIGITS, *DIGITS, "procedure.train.layer_decay=0.8", epochs(20)),
        least=0.75,
    ),
    control("digits_no_gates", (*DIGITS_CONV, "procedure=full")),
]

CONTROLS = [*MODELS, *LEARNING]
