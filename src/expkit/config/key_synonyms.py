"""The words that users bring from other tools, and the names that the same things have here."""

from __future__ import annotations

from collections.abc import Mapping

_SPELLINGS: Mapping[str, str] = {
    "max_epochs": "epochs epoch num_epochs n_epochs nepochs total_epochs num_train_epochs",
    "batch_size": "bs batch batchsize train_batch_size per_device_train_batch_size",
    "batches_per_step": "accum accumulate accumulation_steps grad_accum gradient_accumulation_steps"
    " accumulate_grad_batches",
    "lr": "learning_rate learningrate lr0 base_lr init_lr max_lr",
    "weight_decay": "wd decay l2 weightdecay",
    "size": "image_size img_size imgsz imsize input_size resolution crop_size image_shape",
    "piece_size": "size image_size img_size imgsz imsize input_size resolution",
    "seed": "random_seed manual_seed rng random_state",
    "patience": "early_stopping early_stop earlystop early_stopping_patience",
    "max_gradient_norm": "clip grad_clip clip_grad max_norm max_grad_norm gradient_clip_val"
    " clip_grad_norm",
    "warmup_epochs": "warmup num_warmup_epochs",
    "label_smoothing": "smoothing",
    "class_weights": "class_weight weight weights",
    "mixup_alpha": "mixup",
    "cutmix_alpha": "cutmix",
    "dropout": "drop drop_rate dropout_rate",
    "ema_decay": "ema model_ema model_ema_decay",
    "val_fraction": "val_split validation_split val_size valid_size val_ratio",
    "test_fraction": "test_split test_size test_ratio",
    "num_folds": "folds n_folds kfold k_fold n_splits cv",
    "normalize": "normalise normalization norm_images",
    "precision": "dtype amp_dtype",
    "threads": "num_threads torch_threads",
    "compile": "torch_compile torchcompile",
    "deterministic": "determinism cudnn_deterministic",
    "output_dir": "output out out_dir outdir output_folder save_dir results log_dir logdir",
    "name": "exp_name experiment_name run_name",
    "optimizer": "opt optim optimiser",
    "schedule": "scheduler sched lr_scheduler lr_schedule",
    "loss": "criterion loss_fn loss_function objective",
    "augment": "aug augs augmentation augmentations transforms",
    "model": "arch architecture backbone net network model_name model_type",
    "dataset": "data data_set dataset_name",
    "root": "data_dir data_path datapath data_root path dataset_path folder img_dir image_dir"
    " images train_dir",
    "table": "csv csv_file csv_path labels_csv labels_file annotations annotation_file manifest",
    "trust": "trusted trust_remote_code",
}

# What other tools set and nobody need set here, and the words that do the nearest thing.
NOT_SET: Mapping[str, str] = {
    **dict.fromkeys(
        ["workers", "num_workers", "n_workers"],
        "leave it out: images are decoded once and stay in memory, no worker loads them",
    ),
    **dict.fromkeys(
        ["num_classes", "n_classes", "classes", "nc"], "leave it out: the dataset tells it"
    ),
    **dict.fromkeys(
        ["resume", "checkpoint", "ckpt", "ckpt_path", "resume_from"],
        "a run that was cut off goes on by: expkit resume last",
    ),
}

DEVICES: Mapping[str, str] = {
    **dict.fromkeys(["gpu", "gpus", "cuda", "use_cuda", "use_gpu", "n_gpu", "ngpu"], "device=cuda"),
    **dict.fromkeys(["cpu", "use_cpu", "no_cuda"], "device=cpu"),
    **dict.fromkeys(["mps", "use_mps"], "device=mps"),
    **dict.fromkeys(["amp", "bf16", "mixed_precision", "use_amp"], "device.precision=bf16"),
    **dict.fromkeys(["fp16", "half"], "device.precision=fp16"),
    "fp32": "device.precision=fp32",
}

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")  # of tables that list images

CHOICES: Mapping[str, Mapping[str, str]] = {
    "device": {"gpu": "cuda", "metal": "mps"},
    "loss": {"ce": "cross_entropy", "xent": "cross_entropy", "l2": "mse", "bce": "cross_entropy"},
    "schedule": {"none": "constant", "cosineannealinglr": "cosine", "steplr": "step",
                 "reducelronplateau": "plateau", "onecyclelr": "one_cycle", "linearlr": "linear",
                 "constantlr": "constant"},
    "dataset": {"folder": "image_folder", "images": "image_folder", "imagefolder": "image_folder",
                "csv": "table", "tsv": "table", "jsonl": "table", "manifest": "table"},
}  # fmt: skip


def names_for(word: str) -> list[str]:
    """The names that keys have here for what a word of another tool means; itself first."""
    plain = word.lower().replace("-", "_")
    return [word, *(name for name, others in _SPELLINGS.items() if plain in others.split())]


def squeezed(word: str) -> str:
    """A word without case and separators, as `ResNet-18` and `resnet18` mean the same."""
    return word.lower().replace("-", "").replace("_", "").replace(" ", "")
