"""The YAML of a dataset and of a first experiment, with the reasons as comments."""

from __future__ import annotations

import json
from pathlib import Path

from expkit.errors import UserError
from expkit.projects.image_source import ImageSource
from expkit.projects.look import Look
from expkit.projects.proposal import Proposal
from expkit.sanitize import one_line


def dataset_yaml(look: Look, name: str) -> str:
    """The dataset as `dataset=NAME` chooses it."""
    source = look.source
    title = one_line(
        f"{look.num_read:,} images of {len(look.class_names)} classes in {source.place.name}"
    )
    lines = [
        f"# {title}",
        f"defaults: [{source.choice}, _self_]",
        f"{source.key}: {_quoted(_written_path(source))}",
        f"size: {look.settings['size']}  # pixels; the files are {look.sizes.describe()}",
        f"resize: {look.settings['resize']}",
        f"channels: {look.settings['channels']}",
    ]
    if look.num_files > look.num_read:
        lines.append(f"on_error: skip  # {look.num_files - look.num_read} cannot be read")
    return "\n".join(lines) + "\n"


def _written_path(source: ImageSource) -> str:
    """A path within this folder as it stands from here, any other in full."""
    place = source.place.resolve()
    here = Path.cwd().resolve()
    text = str(place.relative_to(here) if place.is_relative_to(here) else place)
    if "${" in text or one_line(text) != text:
        raise UserError(
            "a config cannot name this path: it has ${ or control characters in it",
            where=text,
            fix="rename the folder",
        )
    return text


def _quoted(text: str) -> str:
    """A text as YAML has it, whatever it holds."""
    return json.dumps(text, ensure_ascii=False)


def experiment_yaml(look: Look, proposal: Proposal, name: str) -> str:
    """The experiment as `experiment=NAME` chooses it."""
    hypothesis = f"a small net learns more of {name} than which class is the largest"
    weights = [
        "loss:",
        f"  class_weights: balanced  # the largest class has {proposal.imbalance:.1f} times the "
        "images of the smallest",
    ]
    settings = [f"  {key}: {value}" for key, value in proposal.model_settings.items()]
    lines = [
        "# @package _global_",
        f"# A first experiment on {name}, proposed by what its images are like",
        "#",
        f"# Hypothesis     {hypothesis}",
        "# Compared with  nothing: it is the baseline",
        f"# Criteria       {proposal.metric} > {proposal.least:g} on {look.judged_split}:",
        f"#                {one_line(proposal.criterion_reason)},",
        "#                and luck alone reaches the bound once in forty times",
        f"# Command        expkit train experiment={name}",
        "defaults:",
        f"  - override /model: {proposal.model}  # {proposal.model_reason}",
        f"  - override /dataset: {name}",
        f"  - override /augment: {proposal.augment}"
        + (
            "  # flips, too: without them where left and right matter"
            if proposal.augment != "none"
            else ""
        ),
        "  - override /optimizer: adamw",
        "  - override /schedule: one_cycle",
        "",
        f"name: {name}",
        f"hypothesis: {hypothesis}",
        "criteria:",
        f'  {proposal.metric}: "> {proposal.least:g}"',
        "",
        *(["model:", *settings] if settings else []),
        *(weights if proposal.weighs_classes else []),
        "optimizer:",
        "  lr: 0.003",
        "procedure:",
        "  train:",
        f"    max_epochs: {proposal.max_epochs}",
        f"    batch_size: {proposal.batch_size}",
    ]
    return "\n".join(lines) + "\n"
