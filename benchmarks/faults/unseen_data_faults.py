"""Mistakes in data and labels that no rule was tuned on."""

from __future__ import annotations

import damage as d
import unseen_data as u
from bases import epochs
from case import Fault
from unseen_bases import (
    ATTENTION,
    BLOBS,
    CONVNEXT,
    DILATED,
    FULL,
    GLYPHS,
    GRATINGS,
    GRU,
    MLP,
    MOBILE,
    MOONS,
    SEPARABLE,
    UNET,
    net,
    sgd,
    timm,
    unseen_fault,
)
from unseen_data import blobs, boards, glyphs, gratings, moons, of, photographs

TWELVE = "ABCDEFGHIJKL"
# as text sorts them: 0 1 10 11 2 ...
AS_TEXT = [sorted(map(str, range(12))).index(str(i)) for i in range(12)]

LABELS: list[Fault] = [
    unseen_fault(
        "labels_sorted_pictures_not",
        "labels shuffled",
        MLP,
        "labels_unrelated",
        prepare=of(blobs, u.sort_labels(["train"])),
    ),
    unseen_fault(
        "labels_read_from_the_end",
        "labels shuffled",
        (*GRU, FULL),
        "labels_unrelated",
        prepare=of(glyphs, u.reverse_labels(d.ALL)),
    ),
    unseen_fault(
        "labels_rolled_by_7_boards",
        "labels shuffled",
        (*SEPARABLE, epochs(25)),
        "labels_unrelated",
        prepare=of(boards, d.roll_labels(d.ALL, 7)),
    ),
    unseen_fault(
        "noise_25_gratings",
        "label noise",
        (*SEPARABLE, epochs(30)),
        "label_noise",
        prepare=of(gratings, d.mislabel(0.25), per_class=120),
    ),
    unseen_fault(
        "noise_15_blobs_everywhere",
        "label noise",
        MLP,
        "label_noise",
        prepare=of(blobs, d.mislabel(0.15, d.ALL), per_class=120),
    ),
    unseen_fault(
        "noise_35_glyphs_gru",
        "label noise",
        (*GRU, epochs(30)),
        "label_noise",
        prepare=of(glyphs, d.mislabel(0.35), per_class=120),
    ),
    unseen_fault(
        "noise_20_of_two_moons",
        "label noise",
        (*MLP, epochs(30), FULL),
        "label_noise",
        prepare=of(moons, d.mislabel(0.2), per_class=400),
    ),
    unseen_fault(
        "class_missing_in_val_of_12",
        "class missing in a split",
        UNET,
        "missing_classes",
        prepare=of(glyphs, d.drop_classes(["val"], [4]), letters=TWELVE),
    ),
    unseen_fault(
        "class_missing_in_train_arrays",
        "class missing in a split",
        MLP,
        refusal="train lacks",
        prepare=of(blobs, d.drop_classes(["train"], [4])),
    ),
    unseen_fault(
        "names_in_capitals_in_val",
        "class names differ",
        MLP,
        refusal="train lacks",
        prepare=u.Keras(
            moons,
            names={"train": ["up", "down"], "val": ["Up", "down"], "test": ["up", "down"]},
        ),
    ),
    unseen_fault(
        "val_classes_sorted_as_text",
        "class map differs",
        UNET,
        "class_map_differs",
        prepare=of(glyphs, d.renumber(d.HELD_OUT, AS_TEXT), letters=TWELVE),
    ),
    unseen_fault(
        "val_counts_from_one",
        "class map differs",
        SEPARABLE,
        "class_map_differs",
        prepare=of(gratings, d.renumber(d.HELD_OUT, [1, 2, 3, 4, 5, 0])),
    ),
    unseen_fault(
        "two_classes_swapped_in_val_convnext",
        "class map differs",
        CONVNEXT,
        "class_map_differs",
        prepare=of(blobs, d.renumber(d.HELD_OUT, [0, 2, 1, 3, 4]), size=32),
    ),
]

COUNTS: list[Fault] = [
    unseen_fault(
        "rare_defect_2_in_100",
        "imbalance untreated",
        (*MLP, epochs(8), FULL),
        "class_imbalance",
        "predicts_one_class",
        prepare=of(blobs, d.thin_out([1, 0.02]), num_classes=2, per_class=500, noise=110),
    ),
    unseen_fault(
        "long_tail_of_letters",
        "imbalance untreated",
        GRU,
        "class_imbalance",
        prepare=of(glyphs, d.thin_out([1 / 2.2**i for i in range(8)], ["train"]), per_class=250),
    ),
    unseen_fault(
        "three_of_each_of_26",
        "too few samples",
        (*UNET, epochs(40)),
        "too_few_samples",
        prepare=of(
            glyphs,
            d.keep_first(3),
            letters="ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            per_class=30,
        ),
    ),
    unseen_fault(
        "four_pictures_copied_twentyfold",
        "images repeated",
        (*DILATED, epochs(15)),
        "repeated_images",
        "too_few_samples",
        prepare=of(gratings, u.repeat_all(4, 20)),
    ),
    unseen_fault(
        "test_set_taken_from_train",
        "duplicates across splits",
        MOBILE,
        "duplicates_across_splits",
        prepare=of(photographs, d.leak(0.5)),
    ),
    unseen_fault(
        "leak_of_6_in_192_letters",
        "duplicates across splits",
        ATTENTION,
        "duplicates_across_splits",
        prepare=of(glyphs, d.leak(0.032)),
    ),
    unseen_fault(
        "leak_saved_as_jpeg",
        "near duplicates across splits",
        SEPARABLE,
        "duplicates_across_splits",
        prepare=of(photographs, d.leak(0.4, u.compress)),
    ),
    unseen_fault(
        "leak_saved_as_jpeg_letters",
        "near duplicates across splits",
        UNET,
        "duplicates_across_splits",
        prepare=of(glyphs, d.leak(0.3, u.compress)),
    ),
    unseen_fault(
        "filed_under_two_names",
        "conflicting duplicates",
        (*SEPARABLE, epochs(25)),
        "conflicting_duplicates",
        prepare=of(photographs, d.contradict(0.2)),
    ),
]

PICTURES: list[Fault] = [
    unseen_fault(
        "empty_pages",
        "constant images",
        UNET,
        "constant_images",
        "repeated_images",
        "conflicting_duplicates",
        prepare=of(glyphs, u.whiten_some(0.12)),
    ),
    unseen_fault(
        "alpha_of_255",
        "constant channel",
        (*MLP, *sgd(0.02)),
        "constant_channel",
        prepare=of(blobs, d.change_images(d.ALL, u.with_alpha)),
        at_least="info",
    ),
    unseen_fault(
        "empty_pages_standardised",
        "inputs not finite",
        (*SEPARABLE, "+augment.transforms.own={_target_: unseen_parts.Standardise}"),
        "non_finite_inputs",
        prepare=of(gratings, u.whiten_some(0.04)),
    ),
    unseen_fault(
        "bytes_to_mlp_sgd",
        "inputs not scaled",
        (*net("Mlp", 15, activation="tanh"), *sgd(0.02), "dataset.normalize=none"),
        "unscaled_inputs",
        prepare=BLOBS,
    ),
    unseen_fault(
        "bytes_to_gru",
        "inputs not scaled",
        (*GRU, "dataset.normalize=none"),
        "unscaled_inputs",
        "saturated_units",
        prepare=GLYPHS,
    ),
    unseen_fault(
        "bytes_to_dilated_sgd",
        "inputs not scaled",
        (*net("Dilated", 15), *sgd(0.02), "dataset.normalize=none"),
        "unscaled_inputs",
        prepare=GRATINGS,
    ),
    unseen_fault(
        "centred_as_bytes_but_unit",
        "inputs scaled twice",
        (*net("Mlp", 15, flaw="centred_bytes"), *sgd(0.01), "dataset.normalize=unit"),
        "inputs_scaled_twice",
        "collapsed_features",
        prepare=MOONS,
    ),
    unseen_fault(
        "divided_by_255_again",
        "inputs scaled twice",
        (*net("SmallUnet", 12, flaw="scaled"), *sgd(0.01), "dataset.normalize=unit"),
        "inputs_scaled_twice",
        "collapsed_features",
        prepare=GLYPHS,
    ),
    unseen_fault(
        "val_in_grey",
        "val prepared differently",
        (*MLP, *sgd(0.02)),
        "splits_prepared_differently",
        prepare=of(blobs, d.change_images(d.HELD_OUT, u.to_grey)),
    ),
    unseen_fault(
        "val_of_thumbnails",
        "val prepared differently",
        DILATED,
        "splits_prepared_differently",
        prepare=of(gratings, d.change_images(d.HELD_OUT, u.coarsen)),
    ),
    unseen_fault(
        "val_upside_down",
        "val prepared differently",
        UNET,
        "splits_prepared_differently",
        prepare=of(glyphs, d.change_images(d.HELD_OUT, u.upside_down), letters="AFJLPRVY"),
    ),
    unseen_fault(
        "val_brighter",
        "val prepared differently",
        (*MLP, FULL),
        "splits_prepared_differently",
        prepare=of(moons, d.change_images(d.HELD_OUT, u.brighten)),
    ),
    unseen_fault(
        "cropped_to_the_margin",
        "no information",
        (*GRU, epochs(25)),
        "labels_unrelated",
        prepare=of(glyphs, u.bury(d.ALL)),
    ),
    unseen_fault(
        "noise_drowns_everything",
        "no information",
        (*timm("test_efficientnet", 20), "optimizer.lr=0.003"),
        "labels_unrelated",
        prepare=of(blobs, d.only_noise, size=24),
    ),
]

FAULTS = [*LABELS, *COUNTS, *PICTURES]
