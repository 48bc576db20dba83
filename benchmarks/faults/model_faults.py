"""Mistakes in models and losses."""

from __future__ import annotations

from bases import (
    CONV,
    DEEP,
    DIGITS,
    NORMED,
    PUZZLE,
    RESNET,
    SCANS,
    VIT,
    damaged,
    epochs,
    with_part,
)
from case import Fault, fault
from written import shapes_as

DIGITS_CONV = (*DIGITS, *CONV)
DIGITS_DEEP = (*DIGITS, *DEEP)
DIGITS_NORMED = (*DIGITS, *NORMED)
HEAD_ONLY = "procedure.train.trainable=head"

ENDS: list[Fault] = [
    fault(
        "softmax_conv",
        "softmax before cross-entropy",
        damaged(DIGITS_CONV, "softmax"),
        "probabilities_before_loss",
    ),
    fault(
        "softmax_resnet",
        "softmax before cross-entropy",
        damaged(RESNET, "softmax"),
        "probabilities_before_loss",
        prepare=shapes_as(),
    ),
    fault(
        "softmax_scan_lines",
        "softmax before cross-entropy",
        damaged(SCANS, "softmax"),
        "probabilities_before_loss",
    ),
    fault(
        "sigmoid_vit",
        "sigmoid before cross-entropy",
        damaged(VIT, "sigmoid"),
        "probabilities_before_loss",
        prepare=shapes_as(),
    ),
    fault(
        "sigmoid_conv",
        "sigmoid before cross-entropy",
        damaged(DIGITS_CONV, "sigmoid"),
        "probabilities_before_loss",
    ),
    fault(
        "one_class_too_many",
        "wrong output size",
        damaged(DIGITS_CONV, "too_many_outputs"),
        refusal="wants",
    ),
    fault(
        "head_weights_hundredfold",
        "bad final layer",
        damaged((*DIGITS_NORMED, "optimizer=sgd"), "huge_head"),
        "initial_loss",
    ),
    fault(
        "head_weights_hundredfold_vit",
        "bad final layer",
        damaged(VIT, "huge_head"),
        "initial_loss",
        prepare=shapes_as(),
    ),
    fault(
        "head_bias_of_30",
        "bad final layer",
        damaged((*DIGITS_CONV, "optimizer=sgd"), "biased_head"),
        "initial_loss",
    ),
]

PARTS: list[Fault] = [
    fault(
        "features_detached",
        "detached part",
        damaged(DIGITS_CONV, "detached"),
        "detached_parameters",
    ),
    fault(
        "features_detached_vit",
        "detached part",
        damaged(VIT, "detached"),
        "detached_parameters",
        prepare=shapes_as(),
    ),
    fault(
        "first_half_detached",
        "detached part",
        damaged(RESNET, "detached_start"),
        "detached_parameters",
        prepare=shapes_as(),
    ),
    fault(
        "random_backbone_frozen",
        "frozen random backbone",
        (*DIGITS_CONV, HEAD_ONLY),
        "frozen_parameters",
    ),
    fault(
        "random_resnet_frozen",
        "frozen random backbone",
        (*RESNET, HEAD_ONLY),
        "frozen_parameters",
        prepare=shapes_as(),
    ),
    fault(
        "frozen_by_the_model_itself",
        "frozen random backbone",
        damaged(SCANS, "frozen_backbone"),
        "frozen_parameters",
    ),
    fault(
        "nothing_trainable",
        "nothing trainable",
        damaged(DIGITS_CONV, "all_frozen"),
        refusal="fails",
    ),
    fault(
        "optimizer_of_copies",
        "optimizer over wrong parameters",
        with_part(DIGITS_CONV, "optimizer._target_=broken_parts.of_copies"),
        "optimizer_misses_parameters",
    ),
    fault(
        "optimizer_of_last_layer",
        "optimizer over wrong parameters",
        with_part(DIGITS_DEEP, "optimizer._target_=broken_parts.of_last_layer"),
        "optimizer_misses_parameters",
    ),
    fault(
        "optimizer_of_last_layer_resnet",
        "optimizer over wrong parameters",
        with_part(RESNET, "optimizer._target_=broken_parts.of_last_layer"),
        "optimizer_misses_parameters",
        prepare=shapes_as(),
    ),
    fault(
        "optimizer_of_every_other",
        "optimizer over wrong parameters",
        with_part(SCANS, "optimizer._target_=broken_parts.of_weights_only"),
        "optimizer_misses_parameters",
    ),
]

SAMPLES: list[Fault] = [
    fault(
        "features_centred_on_batch",
        "samples mixed",
        damaged(DIGITS_CONV, "centred_on_batch"),
        "samples_mixed",
    ),
    fault(
        "softmax_over_batch",
        "samples mixed",
        damaged(RESNET, "softmax_over_batch"),
        "samples_mixed",
        prepare=shapes_as(),
    ),
    fault(
        "attention_over_batch",
        "samples mixed",
        damaged(SCANS, "attention_over_batch"),
        "samples_mixed",
    ),
    fault(
        "batch_norm_of_two",
        "batch norm, tiny batch",
        (*RESNET, "procedure.train.batch_size=2", epochs(5)),
        "batch_norm_small_batch",
        prepare=shapes_as(),
    ),
    fault(
        "batch_norm_of_two_digits",
        "batch norm, tiny batch",
        (*DIGITS_NORMED, "procedure.train.batch_size=2", "dataset.fraction=0.5", epochs(5)),
        "batch_norm_small_batch",
    ),
    fault(
        "batch_norm_never_trains",
        "batch norm in the wrong mode",
        damaged(RESNET, "norm_never_trains"),
        "batch_norm_mode",
        prepare=shapes_as(),
    ),
    fault(
        "batch_norm_always_trains",
        "batch norm in the wrong mode",
        damaged((*DIGITS_NORMED, "procedure=full"), "norm_always_trains"),
        "batch_norm_mode",
        "samples_mixed",
    ),
]

UNITS: list[Fault] = [
    fault("dead_convolution", "dead rectifiers", damaged(DIGITS_CONV, "dead"), "dead_units"),
    fault("dead_hidden_layer", "dead rectifiers", damaged(DIGITS_DEEP, "dead_head"), "dead_units"),
    fault(
        "tanh_saturated", "saturated units", damaged(DIGITS_DEEP, "saturated"), "saturated_units"
    ),
    fault(
        "deep_sigmoids",
        "vanishing gradients",
        damaged((*DIGITS_CONV, "model.hidden=[64,64,64,64,64,64]"), "sigmoids"),
        "vanishing_gradients",
        "collapsed_features",
        "saturated_units",
    ),
    fault(
        "deep_sigmoids_puzzle",
        "vanishing gradients",
        damaged((*PUZZLE, "model.hidden=[64,64,64,64]"), "sigmoids"),
        "vanishing_gradients",
        "collapsed_features",
        "saturated_units",
    ),
    fault(
        "weights_tenfold",
        "exploding gradients",
        damaged((*DIGITS_DEEP, "optimizer=sgd"), "tenfold"),
        "exploding_gradients",
        "initial_loss",
    ),
    fault(
        "weights_tenfold_scan",
        "exploding gradients",
        damaged((*SCANS, "optimizer=sgd"), "tenfold"),
        "exploding_gradients",
        "initial_loss",
        "saturated_units",
    ),
    fault(
        "deep_head_of_log_1",
        "collapsed features",
        (
            "model=deep_head",
            "dataset=puzzle",
            "dataset.piece_size=32",
            "dataset.normalize=unit",
            epochs(12),
        ),
        "collapsed_features",
    ),
    fault(
        "weights_far_too_small",
        "collapsed features",
        damaged(DIGITS_DEEP, "tiny_weights"),
        "collapsed_features",
        "vanishing_gradients",
    ),
    fault(
        "weights_zero",
        "collapsed features",
        damaged(DIGITS_DEEP, "zeros"),
        "collapsed_features",
        "dead_units",
        "vanishing_gradients",
    ),
    fault(
        "no_activations",
        "activation missing",
        damaged((*DIGITS_DEEP,), "linear"),
        "missing_activation",
    ),
    fault(
        "no_activations_in_scan_lines",
        "activation missing",
        damaged(SCANS, "linear_feed_forward"),
        "missing_activation",
    ),
    fault("nan_in_a_weight", "not finite", damaged(DIGITS_CONV, "nan_weight"), "non_finite_layer"),
    fault("log_of_zero", "not finite", damaged(DIGITS_CONV, "log_of_zero"), "non_finite_layer"),
    fault(
        "spread_without_slope",
        "not finite",
        damaged(DIGITS_CONV, "spread_without_slope"),
        "non_finite_layer",
        "diverged",
        "exploding_gradients",
    ),
    fault(
        "half_precision_overflows",
        "fp16 overflow",
        damaged((*DIGITS_CONV, "device.precision=fp16"), "overflowing"),
        "half_precision_range",
        "non_finite_layer",
    ),
    fault(
        "denormal_weights",
        "denormals",
        damaged((*DIGITS_CONV, "device.flush_denormals=false", epochs(6)), "denormal"),
        "denormals",
        "collapsed_features",
    ),
]


def wrong_loss(how: str, words: tuple[str, ...] = DIGITS_CONV) -> tuple[str, ...]:
    """The same run with a loss of the user's own."""
    bare = "loss=mse"  # a choice without settings, which the target replaces
    return with_part(words, bare, "loss._target_=broken_parts.WrongLoss", f"+loss.how={how}")


LOSSES: list[Fault] = [
    fault("mse_for_classes", "loss of the wrong kind", (*DIGITS_CONV, "loss=mse"), refusal="loss"),
    fault("nll_of_logits", "loss of the wrong kind", wrong_loss("nll_of_logits"), "loss_mismatch"),
    fault("loss_negated", "loss of the wrong kind", wrong_loss("negated"), "loss_mismatch"),
    fault(
        "loss_of_class_number",
        "loss of the wrong kind",
        wrong_loss("class_number", SCANS),
        "loss_mismatch",
    ),
    fault(
        "loss_against_other_labels",
        "loss of the wrong kind",
        wrong_loss("wrong_targets"),
        "loss_mismatch",
        "samples_mixed",
        "labels_unrelated",
    ),
    fault("loss_without_slope", "loss of the wrong kind", wrong_loss("accuracy"), refusal="fails"),
    fault(
        "loss_a_millionth",
        "loss scaled",
        wrong_loss("tiny", (*DIGITS_CONV, "optimizer=sgd")),
        "loss_mismatch",
        "loss_settings",
        "learning_rate_too_low",
        "vanishing_gradients",
    ),
    fault(
        "smoothing_095",
        "loss settings",
        (*DIGITS_CONV, "loss.label_smoothing=0.95"),
        "loss_settings",
    ),
    fault(
        "smoothing_099_scan",
        "loss settings",
        (*SCANS, "loss.label_smoothing=0.99"),
        "loss_settings",
    ),
    fault(
        "focal_gamma_50",
        "loss settings",
        (*DIGITS_CONV, "loss=focal", "loss.gamma=50"),
        "loss_settings",
    ),
    fault(
        "focal_gamma_30_resnet",
        "loss settings",
        (*RESNET, "loss=focal", "loss.gamma=30"),
        "loss_settings",
        prepare=shapes_as(),
    ),
    fault(
        "one_class_weighs_all",
        "loss settings",
        (*DIGITS_CONV, "loss.class_weights=[10000,1,1,1,1,1,1,1,1,1]"),
        "loss_settings",
        "predicts_one_class",
    ),
]

FAULTS = [*ENDS, *PARTS, *SAMPLES, *UNITS, *LOSSES]
