"""The screen on what was seen of images, and what was chosen for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from expkit.diagnosis.finding import counted, listed
from expkit.metrics.percentages import percent
from expkit.projects.look import Look, memory_share
from expkit.projects.proposal import Proposal
from expkit.reports import formatting
from expkit.sanitize import one_line


def screen_lines(look: Look, proposal: Proposal, name: str, paths: Sequence[Path]) -> Iterator[str]:
    """What was seen, what was chosen, and what to do next."""
    counts = {split: sum(look.counts(split).values()) for split in look.dataset.splits}
    sizes = ", ".join(f"{count:,} {split}" for split, count in counts.items())
    yield f"images    {look.source.place}: {sizes}"
    yield f"classes   {counted(len(look.class_names), 'class', 'classes')}: {_class_line(look)}"
    colour = "colour" if look.settings["channels"] == 3 else "grey"
    size = look.settings["size"]
    shown = f"{size} x {size}" if isinstance(size, int) else f"{size[0]} x {size[1]}"
    yield (
        f"pixels    {look.sizes.describe()}, {colour}; trained at {shown} "
        f"({look.settings['resize']})"
    )
    fits = "they stay in memory" if look.fits_memory else "mapped from a file, as memory is short"
    share = memory_share(look)
    yield f"memory    {formatting.memory(look.num_bytes)}, {percent(share, 1)} of all: {fits}"
    for line in _notes(look):
        yield f"note      {line}"
    weighted = "balanced class weights" if proposal.weighs_classes else "no class weights"
    yield (
        f"chosen    {proposal.model}, batch {proposal.batch_size}, {proposal.max_epochs} epochs, "
        f"augment={proposal.augment}"
    )
    yield f"          {weighted}: the largest class has {proposal.imbalance:.1f} x the smallest"
    yield f"criterion {proposal.metric} > {proposal.least:g}: {one_line(proposal.criterion_reason)}"
    yield from (f"wrote     {path}" for path in paths)
    yield f"next      expkit train experiment={name}"


def _class_line(look: Look) -> str:
    """The classes with their images in train, the largest first."""
    counts = look.counts("train")
    ordered = sorted(counts, key=lambda name: -counts[name])
    return listed([f"{one_line(each)} {counts[each]:,}" for each in ordered], most=6)


def _notes(look: Look) -> Iterator[str]:
    """What is odd about the images."""
    yield from map(one_line, look.dataset.remarks)
    across = look.profile["duplicates"]["across"]
    if across["count"]:
        pairs = across["pairs"][:1]
        shown = "".join(f"{pair[0]} {pair[1]} = {pair[2]} {pair[3]}" for pair in pairs)
        yield (
            f"{counted(across['count'], 'image')} of one split in another, too "
            f"({across['exact']} to the last pixel), as {one_line(shown)}"
        )
    conflicting = look.profile["duplicates"].get("conflicting") or {}
    if conflicting.get("count"):
        yield f"{counted(conflicting['count'], 'image')} twice in train, with different labels"
    described = look.profile["splits"]["train"]
    names = "red", "green", "blue"
    for channel in described["constant_channels"]:
        level = described["min"][channel]
        word = f"{names[channel]} channel" if look.settings["channels"] == 3 else "images"
        yield f"the {word} is {level:g} in all of train: nothing is learnt from it"
    if described["constant_images"]["count"]:
        yield f"{counted(described['constant_images']['count'], 'image')} of one level throughout"
