"""Mistakes in data and labels."""

from __future__ import annotations

import damage as d
from bases import CONV, DIGITS, NORMED, RESNET, SCANS, VIT, damaged, epochs
from case import Fault, fault
from images import shapes
from written import Arrays, digits_as, shape_files_as, shapes_as

HELD_OUT = d.HELD_OUT

LABELS: list[Fault] = [
    fault(
        "labels_shuffled_in_train",
        "labels shuffled",
        CONV,
        "labels_unrelated",
        prepare=digits_as(d.shuffle_labels(["train"])),
    ),
    fault(
        "labels_shuffled_everywhere",
        "labels shuffled",
        RESNET,
        "labels_unrelated",
        prepare=shapes_as(d.shuffle_labels(d.ALL)),
    ),
    fault(
        "labels_shuffled_vit",
        "labels shuffled",
        VIT,
        "labels_unrelated",
        prepare=shape_files_as(d.shuffle_labels(["train"])),
    ),
    fault(
        "labels_off_by_a_line",
        "labels shuffled",
        NORMED,
        "labels_unrelated",
        prepare=digits_as(d.roll_labels(d.ALL)),
    ),
    fault(
        "label_noise_10", "label noise", CONV, "label_noise", prepare=digits_as(d.mislabel(0.10))
    ),
    fault(
        "label_noise_20", "label noise", NORMED, "label_noise", prepare=digits_as(d.mislabel(0.20))
    ),
    fault(
        "label_noise_20_everywhere",
        "label noise",
        CONV,
        "label_noise",
        prepare=digits_as(d.mislabel(0.20, d.ALL)),
    ),
    fault(
        "label_noise_40", "label noise", RESNET, "label_noise", prepare=digits_as(d.mislabel(0.40))
    ),
    fault(
        "label_noise_30_shapes",
        "label noise",
        RESNET,
        "label_noise",
        prepare=shapes_as(d.mislabel(0.30)),
    ),
    fault(
        "one_class_half_confused",
        "label noise",
        NORMED,
        "label_noise",
        prepare=digits_as(
            d.confuse(3, 8, 0.45),
            d.confuse(1, 7, 0.45),
            d.confuse(5, 6, 0.45),
            d.confuse(0, 9, 0.45),
        ),
    ),
    fault(
        "labels_constant",
        "labels constant",
        CONV,
        refusal="class",
        prepare=digits_as(d.only_one_class),
    ),
    fault(
        "classes_missing_in_val",
        "class missing in a split",
        CONV,
        "missing_classes",
        prepare=digits_as(d.drop_classes(["val"], [7, 8, 9])),
    ),
    fault(
        "classes_missing_in_train_folder",
        "class missing in a split",
        RESNET,
        refusal="class",
        prepare=shape_files_as(d.drop_classes(["train"], [2])),
    ),
    fault(
        "val_labels_renumbered",
        "class map differs",
        CONV,
        "class_map_differs",
        prepare=digits_as(d.renumber(HELD_OUT, [0, 1, 3, 4, 5, 6, 7, 8, 9, 2])),
    ),
    fault(
        "val_folders_in_other_order",
        "class map differs",
        RESNET,
        "class_map_differs",
        prepare=shapes_as(d.renumber(HELD_OUT, [4, 3, 2, 1, 0])),
    ),
    fault(
        "two_classes_swapped_in_val",
        "class map differs",
        NORMED,
        "class_map_differs",
        prepare=digits_as(d.renumber(HELD_OUT, [0, 7, 2, 3, 4, 5, 6, 1, 8, 9])),
    ),
]

MINORITY = (1.0, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 1.0)
COUNTS: list[Fault] = [
    fault(
        "imbalance_50_to_1",
        "imbalance untreated",
        (*CONV, epochs(10)),
        "class_imbalance",
        "predicts_one_class",
        prepare=digits_as(d.thin_out(MINORITY, ["train"])),
    ),
    fault(
        "imbalance_50_to_1_shapes",
        "imbalance untreated",
        RESNET,
        "class_imbalance",
        "predicts_one_class",
        prepare=Arrays(
            lambda: shapes({"train": 300, "val": 30, "test": 30}),
            [d.thin_out([1, 0.02, 0.02, 1, 0.02], ["train"])],
        ),
    ),
    fault(
        "imbalance_weighted_backwards",
        "class weights upside down",
        (*CONV, "loss.class_weights=[10,10,10,10,10,0.1,0.1,0.1,0.1,0.1]"),
        "class_imbalance",
        "loss_settings",
        prepare=digits_as(d.thin_out([1, 1, 1, 1, 1, 0.2, 0.2, 0.2, 0.2, 0.2], ["train"])),
    ),
    fault(
        "two_samples_a_class",
        "too few samples",
        (*CONV, epochs(40)),
        "too_few_samples",
        prepare=digits_as(d.keep_first(2)),
    ),
    fault(
        "three_samples_a_class_shapes",
        "too few samples",
        (*RESNET, epochs(30)),
        "too_few_samples",
        prepare=shapes_as(d.keep_first(3)),
    ),
    fault(
        "leak_exact",
        "duplicates across splits",
        CONV,
        "duplicates_across_splits",
        prepare=digits_as(d.leak(0.4)),
    ),
    fault(
        "leak_few_exact_files",
        "duplicates across splits",
        RESNET,
        "duplicates_across_splits",
        prepare=shape_files_as(d.leak(0.05)),
    ),
    fault(
        "leak_recompressed",
        "near duplicates across splits",
        RESNET,
        "duplicates_across_splits",
        prepare=shapes_as(d.leak(0.3, d.nudge)),
    ),
    fault(
        "leak_resized",
        "near duplicates across splits",
        VIT,
        "duplicates_across_splits",
        prepare=shapes_as(d.leak(0.3, d.blur)),
    ),
    fault(
        "val_is_train",
        "duplicates across splits",
        NORMED,
        "duplicates_across_splits",
        prepare=digits_as(d.leak(1.0)),
    ),
    fault(
        "contradicting_copies",
        "conflicting duplicates",
        CONV,
        "conflicting_duplicates",
        prepare=digits_as(d.contradict(0.15)),
    ),
    fault(
        "contradicting_copies_shapes",
        "conflicting duplicates",
        RESNET,
        "conflicting_duplicates",
        prepare=shapes_as(d.contradict(0.3)),
    ),
]

PICTURES: list[Fault] = [
    fault(
        "black_pictures",
        "constant images",
        NORMED,
        "constant_images",
        prepare=digits_as(d.blacken(0.15)),
    ),
    fault(
        "all_pictures_alike",
        "constant images",
        CONV,
        "constant_images",
        "repeated_images",
        "labels_unrelated",
        prepare=shapes_as(d.blacken(1.1)),
    ),
    fault(
        "black_files",
        "constant images",
        RESNET,
        "constant_images",
        prepare=shape_files_as(d.blacken(0.1)),
    ),
    fault(
        "channel_of_zeros",
        "constant channel",
        RESNET,
        "constant_channel",
        prepare=shapes_as(d.change_images(d.ALL, d.fill_channel(1, 0))),
        at_least="info",
    ),
    fault(
        "channel_of_255",
        "constant channel",
        VIT,
        "constant_channel",
        prepare=shapes_as(d.change_images(d.ALL, d.fill_channel(2, 255))),
        at_least="info",
    ),
    fault(
        "bytes_to_conv",
        "inputs not scaled",
        (*DIGITS, *CONV, "dataset.normalize=none", "optimizer=sgd", "optimizer.lr=0.05"),
        "unscaled_inputs",
    ),
    fault(
        "bytes_to_scan_lines",
        "inputs not scaled",
        (*SCANS, "dataset.normalize=none"),
        "unscaled_inputs",
    ),
    fault(
        "bytes_to_vit",
        "inputs not scaled",
        (*VIT, "dataset.normalize=none"),
        "unscaled_inputs",
        prepare=shapes_as(),
    ),
    fault(
        "divided_before_saving",
        "inputs scaled twice",
        (*CONV, "dataset.normalize=unit"),
        "inputs_scaled_twice",
        prepare=digits_as(d.change_images(d.ALL, d.to_unit_range)),
    ),
    fault(
        "divided_in_the_model_too",
        "inputs scaled twice",
        damaged((*DIGITS, *CONV, "dataset.normalize=unit"), "divided_again"),
        "inputs_scaled_twice",
        "collapsed_features",
    ),
    fault(
        "divided_in_the_scan_model_too",
        "inputs scaled twice",
        damaged((*SCANS, "dataset.normalize=unit"), "divided_again"),
        "inputs_scaled_twice",
        "collapsed_features",
    ),
    fault(
        "val_inverted",
        "val prepared differently",
        CONV,
        "splits_prepared_differently",
        prepare=digits_as(d.change_images(HELD_OUT, d.invert)),
    ),
    fault(
        "val_darkened",
        "val prepared differently",
        RESNET,
        "splits_prepared_differently",
        prepare=shapes_as(d.change_images(HELD_OUT, d.darken)),
    ),
    fault(
        "val_scaled_twice",
        "val prepared differently",
        NORMED,
        "splits_prepared_differently",
        prepare=digits_as(d.change_images(HELD_OUT, d.to_unit_range)),
    ),
    fault(
        "val_colours_swapped",
        "val prepared differently",
        VIT,
        "splits_prepared_differently",
        prepare=shapes_as(
            d.change_images(("train",), lambda i: (i * [1.0, 0.7, 0.4]).astype("uint8")),
            d.change_images(HELD_OUT, lambda i: (i * [0.4, 0.7, 1.0]).astype("uint8")),
        ),
    ),
    fault(
        "val_transposed",
        "val prepared differently",
        NORMED,
        "splits_prepared_differently",
        prepare=digits_as(d.change_images(HELD_OUT, d.turn)),
    ),
    fault(
        "pictures_of_noise",
        "no information",
        CONV,
        "labels_unrelated",
        prepare=digits_as(d.only_noise),
    ),
    fault(
        "pictures_of_noise_shapes",
        "no information",
        RESNET,
        "labels_unrelated",
        prepare=shapes_as(d.only_noise),
    ),
    fault(
        "train_noisier_than_val",
        "held-out easier",
        RESNET,
        "held_out_better_than_train",
        "splits_prepared_differently",
        prepare=shapes_as(d.add_noise(("train",), 90)),
    ),
    fault(
        "val_of_easy_classes",
        "held-out easier",
        (*CONV, epochs(8)),
        "held_out_better_than_train",
        "missing_classes",
        prepare=digits_as(d.drop_classes(HELD_OUT, [1, 3, 5, 8, 9]), d.mislabel(0.0)),
    ),
]

FAULTS = [*LABELS, *COUNTS, *PICTURES]
