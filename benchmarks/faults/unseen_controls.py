"""Sound runs that no rule was tuned on, plain ones and awkward ones."""

from __future__ import annotations

from pathlib import Path

import damage as d
from bases import SCANS, epochs
from case import Control
from unseen_bases import (
    ATTENTION,
    BLOBS,
    BOARDS,
    BYOB,
    CONVNEXT,
    DILATED,
    FULL,
    GLYPHS,
    GRATINGS,
    GRU,
    MLP,
    MOBILE,
    MOONS,
    PHOTOGRAPHS,
    SEPARABLE,
    UNET,
    VIT_8,
    adamw,
    batch,
    net,
    sgd,
    timm,
    unseen_control,
)
from unseen_data import blobs, boards, glyphs, gratings, moons, of

sound = unseen_control
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
WARM = ("schedule=cosine", "schedule.warmup_epochs=1")
MANY_GRATINGS = of(gratings, per_class=150)


def pretrained_on_letters(folder: Path) -> list[str]:
    """A small net that has learnt other letters than those that it is to tell."""
    import timm as models
    import torch
    from safetensors.torch import save_file
    from torch.nn import functional

    torch.manual_seed(0)
    net = models.create_model("test_efficientnet", num_classes=10, in_chans=1)
    images, labels = glyphs("IJKLMNOPQR", per_class=60)["train"]
    inputs = torch.from_numpy(images).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    targets = torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(net.parameters(), 4e-3)
    for _ in range(12):
        for rows in torch.randperm(len(targets)).split(50):
            functional.cross_entropy(net(inputs[rows]), targets[rows]).backward()
            optimizer.step()
            optimizer.zero_grad()
    state = {k: v for k, v in net.state_dict().items() if not k.startswith("classifier")}
    save_file(state, folder / "letters.safetensors")
    return [*of(glyphs, per_class=150)(folder), "model.weights=letters.safetensors"]


BASES: list[Control] = [
    sound("moons_mlp", MLP, prepare=MOONS),
    sound("blobs_mlp", (*MLP, *sgd(0.02)), prepare=BLOBS),
    sound("gratings_dilated", DILATED, prepare=GRATINGS),
    sound("gratings_separable", SEPARABLE, prepare=GRATINGS),
    sound("glyphs_unet", UNET, prepare=GLYPHS),
    sound("glyphs_gru", GRU, prepare=GLYPHS, least=0.85),
    sound("glyphs_attention", ATTENTION, prepare=GLYPHS, least=0.8),
    sound("blobs_gru", (*GRU, FULL), prepare=BLOBS),
    sound("boards_byobnet", BYOB, prepare=BOARDS),
    sound("boards_convnext", CONVNEXT, prepare=BOARDS, least=0.8),
    sound("blobs_vit", (*VIT_8, *WARM), prepare=of(blobs, size=32), least=0.85),
    sound("photographs_separable", SEPARABLE, prepare=PHOTOGRAPHS, least=0.85),
    sound(
        "photographs_mobilenet",
        MOBILE,
        prepare=PHOTOGRAPHS,
        least=0.8,
    ),
    sound("scans_gru", (*SCANS[:3], *GRU), least=0.6),
    sound(
        "scans_efficientnet",
        (
            *SCANS[:3],
            "dataset.num_samples=1500",
            *timm("test_efficientnet", 8),
            "augment=scan_line",
        ),
        least=0.6,
    ),
    sound(
        "photographs_convnext_atto",
        (*timm("convnext_atto", 4), *adamw(0.001), *WARM, FULL),
        prepare=PHOTOGRAPHS,
        least=0.75,
    ),
]

LEARNING: list[Control] = [
    sound("gratings_bf16", (*DILATED, "device.precision=bf16"), prepare=MANY_GRATINGS, least=0.85),
    sound("moons_rmsprop", (*MLP, "optimizer=rmsprop"), prepare=MOONS),
    sound("glyphs_lion", (*UNET, "optimizer=lion", "optimizer.lr=0.001"), prepare=GLYPHS),
    sound(
        "glyphs_radam", (*UNET, "optimizer=radam", "optimizer.lr=0.005"), prepare=GLYPHS, least=0.8
    ),
    sound(
        "gratings_one_cycle",
        (*SEPARABLE, *sgd(0.2), "schedule=one_cycle"),
        prepare=MANY_GRATINGS,
    ),
    sound(
        "gratings_large_rate",
        (*SEPARABLE, *sgd(0.5), "schedule=cosine"),
        prepare=MANY_GRATINGS,
        least=0.85,
    ),
    sound(
        "blobs_large_rate",
        (*SEPARABLE, *adamw(0.03), "schedule=linear"),
        prepare=of(blobs, per_class=150),
    ),
    sound(
        "deep_tanh_of_xavier",
        (*net("Mlp", 20, depth=5, activation="tanh", init="xavier"), *sgd(0.02)),
        prepare=BLOBS,
    ),
    sound("deep_relu_of_kaiming", net("Mlp", 15, depth=8, init="kaiming"), prepare=BLOBS),
    sound(
        "sigmoid_hidden_layer",
        (*net("Mlp", 40, depth=1, activation="sigmoid"), "optimizer.lr=0.003"),
        prepare=MOONS,
    ),
    sound(
        "warm_up_attention",
        (*ATTENTION, "schedule.warmup_epochs=6", "schedule.warmup_start_scale=0.0005"),
        prepare=GLYPHS,
        least=0.7,
    ),
    sound("slow_start_gru", (*GRU, "optimizer.lr=0.0005", epochs(20)), prepare=GLYPHS, least=0.6),
    sound("batch_of_4_mlp", (*MLP, batch(4), "optimizer.lr=5e-4", epochs(8)), prepare=BLOBS),
    sound("batch_of_400", (*SEPARABLE, batch(400), "optimizer.lr=0.01"), prepare=GRATINGS),
    sound(
        "clipped_at_1_gru", (*GRU, "procedure.train.max_gradient_norm=1"), prepare=GLYPHS, least=0.8
    ),
    sound(
        "long_past_convergence",
        (*MLP, epochs(100), "procedure.train.patience=15"),
        prepare=BLOBS,
    ),
    sound(
        "criteria_met",
        (*UNET, "criteria=classification", "criteria.accuracy='> 0.8'"),
        prepare=GLYPHS,
    ),
    sound(
        "averaged_plateau",
        (*SEPARABLE, "schedule=plateau", "schedule.patience=4", "procedure.train.ema_decay=0.95"),
        prepare=GRATINGS,
    ),
]

AWKWARD: list[Control] = [
    sound(
        "tiny_60_samples",
        (*MLP, *adamw(0.002), epochs(40)),
        prepare=of(blobs, num_classes=3, per_class=20),
    ),
    sound(
        "two_of_each_of_60",
        (*MLP, FULL, epochs(40), "optimizer.lr=0.003"),
        prepare=of(blobs, num_classes=60, per_class=2, noise=8, jitter=0.015),
        least=0.5,
    ),
    sound(
        "letters_26",
        (*UNET, epochs(8)),
        prepare=of(glyphs, letters=LETTERS, per_class=50),
        least=0.75,
    ),
    sound(
        "weighted_15_to_1",
        (*UNET, "loss.class_weights=balanced", epochs(15)),
        prepare=of(glyphs, d.thin_out([1, 0.067], ["train"]), letters="AB", per_class=300),
    ),
    sound(
        "sampled_20_to_1",
        (*SEPARABLE, "procedure.train.balanced_sampling=true"),
        prepare=of(
            gratings, d.thin_out([1, 1, 1, 0.05], ["train"]), angles=4, widths=1, per_class=200
        ),
        least=0.85,
    ),
    sound(
        "counts_differ_by_2",
        DILATED,
        prepare=of(gratings, d.thin_out([1, 0.5, 0.8, 0.6, 1, 0.7]), per_class=120),
        least=0.85,
    ),
    sound(
        "probe_of_gabor_filters",
        (*net("GaborNet", 20), "optimizer.lr=0.02"),
        prepare=GRATINGS,
        least=0.85,
    ),
    sound(
        "probe_of_other_letters",
        (
            *timm("test_efficientnet", 12),
            "procedure.train.trainable=head",
            "optimizer.lr=0.01",
            FULL,
        ),
        prepare=pretrained_on_letters,
        least=0.6,
    ),
    sound(
        "fine_tuned_letters",
        (*timm("test_efficientnet", 8), "procedure.train.groups={head: {}, *: {lr_scale: 0.2}}"),
        prepare=pretrained_on_letters,
        least=0.8,
    ),
    sound(
        "dropout_helps",
        (*net("Mlp", 25, width=256, dropout=0.5), *adamw(0.001)),
        prepare=of(blobs, noise=60),
        least=0.8,
    ),
    sound(
        "decay_and_smoothing",
        (*SEPARABLE, "optimizer.weight_decay=0.2", "loss.label_smoothing=0.1"),
        prepare=GRATINGS,
    ),
    sound("mixup_blobs", (*SEPARABLE, "augment=mixup"), prepare=of(blobs, per_class=120)),
    sound(
        "strong_augmentation",
        (
            *SEPARABLE,
            "augment=light",
            "+transform@augment.transforms.erasing=erasing",
            "+transform@augment.transforms.vertical=vertical_flip",
            "+transform@augment.transforms.noise=gaussian_noise",
            epochs(25),
        ),
        prepare=PHOTOGRAPHS,
        least=0.8,
    ),
    sound(
        "bytes_under_batch_norm",
        (*SEPARABLE, "dataset.normalize=unit"),
        prepare=GRATINGS,
    ),
    sound(
        "hard_but_honest",
        (*SEPARABLE, "optimizer.lr=0.002", epochs(12)),
        prepare=of(gratings, angles=8, widths=1, per_class=200, noise=220),
        least=0.3,
    ),
    sound("easy_in_one_epoch", (*UNET, epochs(4)), prepare=of(boards, num_classes=2)),
    sound("two_epochs", (*UNET, epochs(2)), prepare=of(glyphs, per_class=120), least=0.6),
    sound("three_epochs_no_gates", (*SEPARABLE, FULL, epochs(3)), prepare=PHOTOGRAPHS, least=0.6),
    sound(
        "twelve_pixels",
        MLP,
        prepare=of(blobs, size=12, num_classes=8),
    ),
    sound("sixty_four_pixels", (*SEPARABLE, epochs(10)), prepare=of(boards, size=64), least=0.8),
    sound("four_thousand", (*MLP, epochs(5)), prepare=of(moons, per_class=2000)),
    sound(
        "noisy_moons_overlap",
        (*MLP, "optimizer.lr=5e-4", epochs(8)),
        prepare=of(moons, per_class=400, noise=0.3),
        least=0.8,
    ),
    sound("relu_without_norms_sgd", (*net("Dilated", 25), *sgd(0.03)), prepare=BOARDS, least=0.8),
    sound(
        "attention_without_norms",
        (*net("RowsAttention", 15, normed="false"), "optimizer.lr=0.001"),
        prepare=BLOBS,
        least=0.8,
    ),
    sound(
        "groups_of_three_norms",
        (*timm("test_nfnet", 10), *adamw(0.003)),
        prepare=BOARDS,
        least=0.7,
    ),
    sound(
        "accumulated_seed_3",
        (*MLP, "seed=3", "procedure.train.batches_per_step=2"),
        prepare=BLOBS,
    ),
]

CONTROLS = [*BASES, *LEARNING, *AWKWARD]
