"""Sound runs that look strange: small, uneven, slow, noisy, strongly held back, or very short."""

from __future__ import annotations

from pathlib import Path

import damage as d
from bases import CONV, DEEP, DIGITS, NORMED, PUZZLE, RESNET, SCANS, VIT_DIGITS, epochs
from case import Control, control
from images import shapes
from written import Arrays, digits_as

DIGITS_CONV = (*DIGITS, *CONV)
MANY_SHAPES = Arrays(lambda: shapes({"train": 200, "val": 40, "test": 40}))
FEW_OF_SOME = d.thin_out([1, 0.1, 1, 0.1, 1, 0.1, 1, 0.1, 1, 0.1], ["train"])
TWO_UNEVEN = d.drop_classes(d.ALL, [2, 3, 4, 5, 6, 7, 8, 9])


def pretrained(folder: Path) -> list[str]:
    """Weights that were trained on other shapes of the same kind, and new shapes to probe."""
    import timm
    import torch
    from safetensors.torch import save_file
    from torch.nn import functional

    torch.manual_seed(0)
    net = timm.create_model("test_resnet", num_classes=5)
    images, labels = shapes({"train": 300}, seed=7)["train"]
    inputs = torch.from_numpy(images).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    targets = torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    for _ in range(12):
        for rows in torch.randperm(len(targets)).split(64):
            functional.cross_entropy(net(inputs[rows]), targets[rows]).backward()
            optimizer.step()
            optimizer.zero_grad()
    state = net.state_dict()
    save_file({k: v for k, v in state.items() if "fc" not in k}, folder / "w.safetensors")
    return [*MANY_SHAPES(folder), "model.weights=w.safetensors"]


SMALL: list[Control] = [
    control(
        "tiny_digits_8_a_class",
        (*DIGITS_CONV, "dataset.fraction=0.065", "optimizer.lr=0.003", epochs(40)),
        least=0.7,
    ),
    control(
        "tiny_shapes",
        (*NORMED, epochs(40)),
        prepare=Arrays(lambda: shapes({"train": 40, "val": 30, "test": 30}, noise=4)),
        least=0.5,
    ),
    control(
        "tiny_puzzle", (*PUZZLE, "dataset.rows=2", "dataset.columns=3", epochs(100)), least=0.99
    ),
    control("two_digits", (*CONV, epochs(10)), prepare=digits_as(TWO_UNEVEN)),
    control("short_2_epochs", (*DIGITS, *NORMED, "optimizer.lr=0.003", epochs(2)), least=0.7),
    control("short_3_epochs", (*DIGITS, *CONV, "optimizer.lr=0.003", epochs(3)), least=0.6),
    control("short_3_epochs_scans", (*SCANS, epochs(3)), least=0.55),
    control("one_epoch", (*DIGITS, *RESNET, epochs(1)), least=0.4),
    control("gates_alone", (*DIGITS, "model=simple_conv", "procedure=overfit"), least=0.99),
    control("gates_alone_puzzle", ("model=larger_backbone", "procedure=overfit"), least=0.99),
    control(
        "one_sample_a_class_950",
        (
            "model=larger_backbone",
            "model.init=kaiming",
            "model.norm=batch",
            "procedure.train.batch_size=64",
            epochs(12),
        ),
        least=0.5,
    ),
    control(
        "main_job_shortened",
        (epochs(70), "procedure.train.stop_at={train/accuracy: '>= 0.5'}"),
        least=0.3,
    ),
]

UNEVEN: list[Control] = [
    control(
        "imbalance_10_weighted",
        (*NORMED, "loss.class_weights=balanced"),
        prepare=digits_as(FEW_OF_SOME),
        least=0.8,
    ),
    control(
        "imbalance_10_sampled",
        (*NORMED, "procedure.train.balanced_sampling=true"),
        prepare=digits_as(FEW_OF_SOME),
        least=0.8,
    ),
    control(
        "imbalance_20_weighted_two",
        (*CONV, "loss.class_weights=balanced", epochs(20)),
        prepare=digits_as(TWO_UNEVEN, d.thin_out([1, 0.06] + [0] * 8, ["train"])),
    ),
    control(
        "imbalance_20_sampled_two",
        (*CONV, "procedure.train.balanced_sampling=true", epochs(20)),
        prepare=digits_as(TWO_UNEVEN, d.thin_out([0.06, 1] + [0] * 8, ["train"])),
    ),
    control(
        "imbalance_3_left_alone",
        NORMED,
        prepare=digits_as(d.thin_out([1, 1, 0.35, 1, 1, 0.35, 1, 1, 1, 1])),
    ),
    control("scans_weighted", (*SCANS, "loss.class_weights=balanced"), least=0.75),
    control(
        "oversampled_class",
        NORMED,
        prepare=digits_as(
            d.thin_out([1, 0.3, 1, 1, 1, 1, 1, 1, 1, 1], ["train"]), d.repeat_class(1, 3)
        ),
    ),
    control(
        "grey_in_three_channels",
        (*NORMED, epochs(12)),
        prepare=digits_as(d.change_images(d.ALL, lambda images: images.repeat(3, axis=-1))),
    ),
    control("dark_pictures", CONV, prepare=digits_as(d.change_images(d.ALL, d.darken))),
]

HELD_BACK: list[Control] = [
    control("smoothing_02", (*DIGITS_CONV, "loss.label_smoothing=0.2")),
    control("focal_2", (*DIGITS_CONV, "loss=focal")),
    control("focal_5", (*DIGITS, *NORMED, "loss=focal", "loss.gamma=5")),
    control("mixup", (*DIGITS_CONV, "augment=mixup", epochs(25))),
    control(
        "mixup_strong", (*DIGITS, *NORMED, "augment=mixup", "augment.mixup_alpha=1.0", epochs(25))
    ),
    control("cutmix", (*DIGITS, *NORMED, "augment=cutmix", epochs(30)), least=0.85),
    control("dropout_half", (*DIGITS, *DEEP, "model.dropout=0.5", epochs(25))),
    control(
        "dropout_07",
        (*DIGITS, *DEEP, "model.hidden=[128]", "model.dropout=0.7", epochs(30)),
        least=0.85,
    ),
    control("weight_decay_03", (*DIGITS_CONV, "optimizer=adamw", "optimizer.weight_decay=0.3")),
    control("dropout_vit", (*DIGITS, *VIT_DIGITS, "model.dropout=0.3", epochs(25))),
    control("averaged_weights", (*DIGITS_CONV, "procedure.train.ema_decay=0.98")),
    control(
        "noisy_pictures",
        (*NORMED, epochs(15)),
        prepare=digits_as(d.add_noise(d.ALL, 40)),
        least=0.8,
    ),
    control(
        "hard_pictures",
        (*RESNET, epochs(12), "optimizer.lr=0.001"),
        prepare=Arrays(lambda: shapes({"train": 400, "val": 80, "test": 80}, noise=150)),
        least=0.5,
    ),
]

RATES: list[Control] = [
    control(
        "slow_start", (*DIGITS, *CONV, "optimizer=sgd", "optimizer.lr=0.004", epochs(40)), least=0.8
    ),
    control("slow_rate", (*DIGITS_CONV, "optimizer.lr=2e-4", epochs(40)), least=0.85),
    control(
        "warm_up_from_1e-6",
        (*SCANS, "schedule.warmup_epochs=5", "schedule.warmup_start_scale=0.001", epochs(20)),
        least=0.75,
    ),
    control(
        "warm_up_half_of_it",
        (*DIGITS, *CONV, "schedule.warmup_epochs=8", "optimizer.lr=0.003", epochs(16)),
    ),
    control(
        "large_rate_sgd", (*DIGITS, *NORMED, "optimizer=sgd", "optimizer.lr=0.3", "schedule=cosine")
    ),
    control("large_rate_adam", (*DIGITS, *NORMED, "optimizer.lr=0.02", "schedule=cosine")),
    control("large_rate_conv", (*DIGITS_CONV, "optimizer.lr=0.008", "schedule=linear")),
    control("noisy_loss_batch_4", (*DIGITS_CONV, "procedure.train.batch_size=4", epochs(6))),
    control(
        "noisy_loss_batch_8_dropout",
        (*DIGITS, *DEEP, "model.dropout=0.3", "procedure.train.batch_size=8", epochs(10)),
    ),
    control(
        "batch_1_low_rate",
        (
            *DIGITS_CONV,
            "procedure.train.batch_size=1",
            "optimizer.lr=3e-4",
            "dataset.fraction=0.5",
            epochs(6),
        ),
        least=0.8,
    ),
    control(
        "momentum_095",
        (*DIGITS_CONV, "optimizer=sgd", "optimizer.lr=0.02", "optimizer.momentum=0.95"),
    ),
    control(
        "patience_ends_it",
        (*DIGITS_CONV, "optimizer.lr=0.003", "procedure.train.patience=6", epochs(60)),
    ),
    control(
        "stops_when_good",
        (
            *DIGITS_CONV,
            "optimizer.lr=0.003",
            "procedure.train.stop_at={val/accuracy: '>= 0.95'}",
            epochs(60),
        ),
    ),
    control(
        "criterion_met",
        (
            *DIGITS_CONV,
            "optimizer.lr=0.003",
            "criteria=classification",
            "criteria.accuracy='> 0.85'",
        ),
    ),
]

FROZEN: list[Control] = [
    control(
        "probe_of_pretrained",
        (*RESNET, "procedure.train.trainable=head", epochs(20)),
        prepare=pretrained,
        least=0.7,
    ),
    control(
        "fine_tuned_pretrained",
        (*RESNET, "procedure.train.groups={head: {}, *: {lr: 0.0002}}", epochs(10)),
        prepare=pretrained,
        least=0.7,
    ),
    control(
        "frozen_start_pretrained",
        (*RESNET, "procedure.train.frozen_up_to=layer1", epochs(12)),
        prepare=pretrained,
        least=0.7,
    ),
    control(
        "head_then_everything",
        (
            *RESNET[:2],
            "procedure=frozen_then_full",
            "procedure.head.max_epochs=3",
            "procedure.full.max_epochs=8",
        ),
        prepare=pretrained,
        least=0.7,
    ),
    control(
        "start_from_earlier_stage",
        (
            "model=simple_conv",
            "procedure=full",
            "~procedure.evaluate",
            "+stage@procedure.again=train",
            "+stage@procedure.evaluation=evaluate",
            "procedure.again.start_from=train",
            "procedure.again.max_epochs=6",
            "procedure.again.groups={*: {lr: 0.0002}}",
            *DIGITS,
            epochs(12),
        ),
    ),
]

CONTROLS = [*SMALL, *UNEVEN, *HELD_BACK, *RATES, *FROZEN]
