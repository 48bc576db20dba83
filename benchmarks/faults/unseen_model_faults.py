"""Mistakes in models and losses that no rule was tuned on."""

from __future__ import annotations

from bases import SCANS, epochs
from case import Fault
from unseen_bases import (
    BLOBS,
    BOARDS,
    BYOB,
    FULL,
    GLYPHS,
    GRATINGS,
    MLP,
    MOONS,
    PHOTOGRAPHS,
    SEPARABLE,
    TRUST,
    UNET,
    adamw,
    batch,
    net,
    sgd,
    timm,
    unseen_fault,
)


def flawed(name: str, flaw: str, count: int = 15, **options: object) -> tuple[str, ...]:
    return net(name, count, flaw=flaw, **options)


ENDS: list[Fault] = [
    unseen_fault(
        "functional_softmax_mlp",
        "softmax before cross-entropy",
        flawed("Mlp", "softmax"),
        "probabilities_before_loss",
        prepare=MOONS,
    ),
    unseen_fault(
        "functional_softmax_dilated",
        "softmax before cross-entropy",
        (*flawed("Dilated", "softmax"), *sgd(0.03), FULL),
        "probabilities_before_loss",
        prepare=GRATINGS,
    ),
    unseen_fault(
        "functional_sigmoid",
        "sigmoid before cross-entropy",
        flawed("Separable", "sigmoid"),
        "probabilities_before_loss",
        prepare=PHOTOGRAPHS,
    ),
    unseen_fault(
        "thousand_outputs",
        "wrong output size",
        flawed("Mlp", "thousand"),
        refusal="wants",
        prepare=BLOBS,
    ),
    unseen_fault(
        "background_not_counted",
        "wrong output size",
        flawed("Mlp", "one_less"),
        refusal="wants",
        prepare=BLOBS,
    ),
    unseen_fault(
        "temperature_the_wrong_way",
        "bad final layer",
        (*flawed("Mlp", "temperature"), *sgd(0.02)),
        "initial_loss",
        "exploding_gradients",
        prepare=BLOBS,
    ),
]

PARTS: list[Fault] = [
    unseen_fault(
        "body_without_gradients",
        "detached part",
        (*flawed("Dilated", "no_grad"), *adamw(0.003)),
        "detached_parameters",
        prepare=GRATINGS,
    ),
    unseen_fault(
        "through_numpy",
        "detached part",
        (*flawed("Mlp", "numpy"), "device.compile=false"),
        "detached_parameters",
        prepare=MOONS,
    ),
    unseen_fault(
        "layers_detached_one_by_one",
        "detached part",
        flawed("RowsAttention", "detached"),
        "detached_parameters",
        prepare=GLYPHS,
    ),
    unseen_fault(
        "random_body_frozen_by_name",
        "frozen random backbone",
        flawed("Separable", "frozen_by_name"),
        "frozen_parameters",
        prepare=GRATINGS,
    ),
    unseen_fault(
        "random_byobnet_frozen_up_to",
        "frozen random backbone",
        (*BYOB, "procedure.train.frozen_up_to=stages"),
        "frozen_parameters",
        prepare=BOARDS,
    ),
    unseen_fault(
        "only_norms_trainable",
        "frozen random backbone",
        (*UNET, "procedure.train.trainable=[norms.*]", FULL),
        "frozen_parameters",
        prepare=GLYPHS,
    ),
    unseen_fault(
        "optimizer_of_vectors",
        "optimizer over wrong parameters",
        (*UNET[:-2], "optimizer._target_=unseen_parts.of_vectors", "optimizer.lr=0.003"),
        "optimizer_misses_parameters",
        prepare=GLYPHS,
    ),
    unseen_fault(
        "optimizer_of_first_half",
        "optimizer over wrong parameters",
        (*net("RowsGru", 15), FULL, "optimizer._target_=unseen_parts.of_first_half"),
        "optimizer_misses_parameters",
        prepare=GLYPHS,
    ),
]

SAMPLES: list[Fault] = [
    unseen_fault(
        "gru_with_time_first",
        "samples mixed",
        flawed("RowsGru", "time_first"),
        "samples_mixed",
        prepare=GLYPHS,
    ),
    unseen_fault(
        "attention_softmax_over_batch",
        "samples mixed",
        flawed("RowsAttention", "softmax_over_batch"),
        "samples_mixed",
        prepare=GLYPHS,
    ),
    unseen_fault(
        "normalized_along_the_batch",
        "samples mixed",
        (*flawed("Dilated", "over_batch"), *adamw(0.003), FULL),
        "samples_mixed",
        prepare=GRATINGS,
    ),
    unseen_fault(
        "centred_with_the_batch_unet",
        "samples mixed",
        flawed("SmallUnet", "over_batch"),
        "samples_mixed",
        prepare=BOARDS,
    ),
    unseen_fault(
        "batch_norm_of_two_byobnet",
        "batch norm, tiny batch",
        (*BYOB, batch(2), epochs(4), FULL),
        "batch_norm_small_batch",
        prepare=BOARDS,
    ),
    unseen_fault(
        "batch_norm_of_two_separable",
        "batch norm, tiny batch",
        (*SEPARABLE, batch(2), epochs(5)),
        "batch_norm_small_batch",
        prepare=GLYPHS,
    ),
    unseen_fault(
        "train_mode_never_set",
        "batch norm in the wrong mode",
        (*flawed("Separable", "never_trains", 10), *sgd(0.02)),
        "batch_norm_mode",
        prepare=PHOTOGRAPHS,
    ),
    unseen_fault(
        "eval_mode_never_set",
        "batch norm in the wrong mode",
        (*flawed("Separable", "always_trains", 10), *adamw(0.004)),
        "batch_norm_mode",
        "samples_mixed",
        prepare=GRATINGS,
    ),
    unseen_fault(
        "running_statistics_off",
        "batch norm in the wrong mode",
        (*flawed("Separable", "untracked", 10), *adamw(0.004)),
        "batch_norm_mode",
        "samples_mixed",
        prepare=PHOTOGRAPHS,
    ),
]

UNITS: list[Fault] = [
    unseen_fault(
        "functional_relu_dead",
        "dead rectifiers",
        (*net("Dilated", 15, init="negative_bias"), *adamw(0.001)),
        "dead_units",
        prepare=GRATINGS,
    ),
    unseen_fault(
        "mlp_relu_dead",
        "dead rectifiers",
        net("Mlp", 15, init="negative_bias"),
        "dead_units",
        prepare=BLOBS,
    ),
    unseen_fault(
        "tanh_of_unit_normals",
        "saturated units",
        (*net("Mlp", 15, depth=4, width=128, activation="tanh", init="normal_1"), *sgd(0.01)),
        "saturated_units",
        "initial_loss",
        prepare=GLYPHS,
    ),
    unseen_fault(
        "ten_sigmoid_layers",
        "vanishing gradients",
        (*net("Mlp", 15, depth=10, activation="sigmoid"), FULL),
        "vanishing_gradients",
        "collapsed_features",
        "saturated_units",
        prepare=BLOBS,
    ),
    unseen_fault(
        "relu_of_unit_normals",
        "exploding gradients",
        (*net("Mlp", 15, depth=5, init="normal_1"), *sgd(0.01)),
        "exploding_gradients",
        "initial_loss",
        prepare=BLOBS,
    ),
    unseen_fault(
        "deep_mlp_as_torch_begins_it",
        "collapsed features",
        (*net("Mlp", 15, depth=16), *sgd(0.01)),
        "collapsed_features",
        "vanishing_gradients",
        prepare=MOONS,
    ),
    unseen_fault(
        "spread_of_a_thousandth",
        "collapsed features",
        (*net("Mlp", 15, depth=4, init="normal_1e-3"), *sgd(0.02)),
        "collapsed_features",
        "vanishing_gradients",
        prepare=BLOBS,
    ),
    unseen_fault(
        "relu_line_deleted",
        "activation missing",
        (*flawed("Dilated", "relu_forgotten"), *adamw(0.003)),
        "missing_activation",
        prepare=GRATINGS,
    ),
    unseen_fault(
        "mlp_without_activation",
        "activation missing",
        flawed("Mlp", "no_activation", 25, depth=3),
        "missing_activation",
        prepare=GRATINGS,
    ),
    unseen_fault(
        "nan_in_a_bias",
        "not finite",
        net("Mlp", 10, init="uninitialized"),
        "non_finite_layer",
        prepare=MOONS,
    ),
    unseen_fault(
        "log_of_pooled_zeros",
        "not finite",
        (*flawed("Dilated", "log"), *adamw(0.003)),
        "non_finite_layer",
        prepare=BOARDS,
    ),
    unseen_fault(
        "summed_in_half_precision",
        "fp16 overflow",
        (*flawed("Dilated", "summed", width=32), *sgd(0.001), "device.precision=fp16"),
        "half_precision_range",
        "non_finite_layer",
        "initial_loss",
        "exploding_gradients",
        prepare=BOARDS,
    ),
]


def own_loss(how: str, words: tuple[str, ...]) -> tuple[str, ...]:
    return (*words, TRUST, "loss=mse", "loss._target_=unseen_parts.OwnLoss", f"+loss.how={how}")


LOSSES: list[Fault] = [
    unseen_fault(
        "class_number_regressed",
        "loss of the wrong kind",
        own_loss("regression_of_class", MLP),
        "loss_mismatch",
        prepare=BLOBS,
    ),
    unseen_fault(
        "kl_of_logits",
        "loss of the wrong kind",
        own_loss("kl_of_logits", UNET),
        "loss_mismatch",
        prepare=GLYPHS,
    ),
    unseen_fault(
        "margin_upside_down",
        "loss of the wrong kind",
        own_loss("margin_upside_down", (*timm("test_efficientnet", 10), FULL)),
        "loss_mismatch",
        prepare=BOARDS,
    ),
    unseen_fault(
        "targets_cleared_in_the_loss",
        "loss of the wrong kind",
        own_loss("always_class_0", (*SCANS[:3], *net("RowsGru", 10), FULL)),
        "loss_mismatch",
        "predicts_one_class",
    ),
    unseen_fault(
        "loss_detached",
        "loss of the wrong kind",
        own_loss("detached", MLP),
        "loss_mismatch",
        "detached_parameters",
        prepare=MOONS,
    ),
    unseen_fault(
        "mse_chosen_for_classes",
        "loss of the wrong kind",
        (*SEPARABLE, "loss=mse"),
        refusal="loss",
        prepare=BOARDS,
    ),
    unseen_fault(
        "smoothing_098_unet",
        "loss settings",
        (*UNET, "loss.label_smoothing=0.98"),
        "loss_settings",
        prepare=GLYPHS,
    ),
    unseen_fault(
        "focal_gamma_60_gru",
        "loss settings",
        (*net("RowsGru", 15), "loss=focal", "loss.gamma=60"),
        "loss_settings",
        prepare=GLYPHS,
    ),
    unseen_fault(
        "two_classes_weigh_nothing",
        "loss settings",
        (*MLP, "loss.class_weights=[0,1,0,1,1]"),
        refusal="class_weights",
        prepare=BLOBS,
    ),
]

FAULTS = [*ENDS, *PARTS, *SAMPLES, *UNITS, *LOSSES]
