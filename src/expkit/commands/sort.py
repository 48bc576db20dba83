"""expkit sort: a raw folder of images into classes and splits, by rules or by clusters."""

from __future__ import annotations

import argparse
import contextlib
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from expkit.errors import UserError, nearest_of
from expkit.terminal.arguments import Parser, count, fraction, fractions, place, seed

if TYPE_CHECKING:
    from expkit.data.sorting.manifest import Entry
    from expkit.data.sorting.properties import Property
    from expkit.data.sorting.raw_images import RawImages
    from expkit.data.sorting.rules import Rules, Sorted

DESCRIPTION = """\
Sort a folder of images into classes by rules over measured properties, or by clusters of what
looks alike; balance and split them, and write a manifest that dataset=table reads, with a contact
sheet of each class. The images stay where they are, unless --link or --copy is given."""


def main(words: Sequence[str]) -> int:
    given = _read_words(words)
    from expkit.reports.sorted_folder import check_target, whole_folder, write_sorted

    folder, to = given.folder, given.to
    check_target(folder, to)
    rules, own = _read_rules(given) if given.rules else (None, {})
    from expkit.data.sorting.manifest import make_manifest
    from expkit.data.sorting.raw_images import read_raw_images
    from expkit.records.run.writer import explain_disk_errors
    from expkit.terminal.progress import ReadingBar

    with contextlib.closing(ReadingBar()) as bar:
        raw = read_raw_images(folder, bar)
    found = _sort(raw, rules, own, given)
    entries = make_manifest(
        raw, found, per_class=given.per_class, fractions=given.split, seed=given.seed
    )
    with explain_disk_errors(to.parent), whole_folder(to) as aside:
        write_sorted(aside, to, entries, raw.images_NHWC, folder, given.place_images)
    _tell(entries, found.class_names, given)
    return 0


def _read_words(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        "expkit sort",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=place, help="of images, in it or in folders below")
    parser.add_argument("--to", type=place, required=True, metavar="FOLDER", help="a new folder")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--rules", metavar="NAME|YAML", help="of conf/sort, or a file: logos")
    how.add_argument("--clusters", type=count, metavar="N", help="of images that are alike")
    parser.add_argument(
        "--features", metavar="timm:MODEL", help="of clusters: by this model, not by properties"
    )
    parser.add_argument("--weights", metavar="FILE", help="of that model, not timm's own")
    parser.add_argument("--per-class", type=count, metavar="N", help="the surest N of each")
    parser.add_argument(
        "--split", type=fractions, default=(0.7, 0.2, 0.1), help="train,val,test (0.7,0.2,0.1)"
    )
    parser.add_argument(
        "--min-score", type=fraction, default=0.02, metavar="S", help="less is set aside (0.02)"
    )
    parser.add_argument("--seed", type=seed, default=0, help="of splits and clusters (0)")
    parser.add_argument(
        *("--link", "--copy"), dest="place_images", action=_Place, nargs=0, default=None,
        help="also make images/SPLIT/CLASS/*, which dataset=image_folder reads",
    )  # fmt: skip
    parser.add_argument(
        "--trust", action="append", default=[], help="a package whose code the rules may name"
    )
    given = parser.parse_args(words)
    if given.features is not None and given.clusters is None:
        parser.error("--features goes with --clusters")
    if given.clusters == 1:
        parser.error("--clusters cannot be 1: one class sorts nothing")
    if given.weights is not None and given.features is None:
        parser.error("--weights goes with --features")
    if given.features is not None and not given.features.startswith("timm:"):
        parser.error(f"--features cannot be '{given.features}': timm:MODEL, as timm:resnet18")
    return given


class _Place(argparse.Action):
    """The one of two flags that was given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        way = str(option_string).lstrip("-")
        if namespace.place_images not in (None, way):
            parser.error("--link and --copy exclude each other")
        namespace.place_images = way


def _read_rules(given: argparse.Namespace) -> tuple[Rules, Mapping[str, Property]]:
    """The rules, with the functions of the user's own properties, whose code was let in."""
    import yaml

    from expkit.config.paths import conf_folders, list_choices
    from expkit.data.sorting.rules import parse_rules
    from expkit.records.files import read_yaml
    from expkit.safe_yaml import refuse_repeats

    choices = list_choices("sort", conf_folders())
    path = choices.get(given.rules, Path(given.rules))
    where = f"--rules {given.rules}"
    if not path.is_file():
        raise UserError(
            f"there are no rules '{given.rules}'",
            where=where,
            nearest=nearest_of(given.rules, choices),
            allowed=f"{', '.join(choices)}, or a YAML file",
        )
    try:
        content = read_yaml(path)
        refuse_repeats(path.read_bytes())
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(f"'{path}' is no YAML that can be read: {error}", where=where) from error
    rules = parse_rules(content, where)
    return rules, _load_properties(rules.targets, given.trust)


def _load_properties(targets: Mapping[str, str], trusted: Sequence[str]) -> Mapping[str, Property]:
    if not targets:
        return {}
    from expkit.config.instantiate import build_part

    return {
        name: build_part({"_target_": target, "_partial_": True}, f"properties.{name}", trusted)
        for name, target in targets.items()
    }


def _sort(
    raw: RawImages, rules: Rules | None, own: Mapping[str, Property], given: argparse.Namespace
) -> Sorted:
    if rules is not None:
        from expkit.data.sorting.rules import sort_by_rules

        return sort_by_rules(raw, rules, own, given.min_score)
    from expkit.data.sorting.clusters import describe_plainly, sort_by_clusters

    if given.features is None:
        features = describe_plainly(raw)
    else:
        from expkit.runner.image_features import compute_features

        model = given.features.removeprefix("timm:")
        features = compute_features(model, given.weights, raw.chunks())
    return sort_by_clusters(features, given.clusters, given.seed, given.min_score)


def _tell(entries: Sequence[Entry], names: Sequence[str], given: argparse.Namespace) -> None:
    """Say how many images went where, and what can be done with them."""
    counts = Counter((entry.label, entry.split) for entry in entries if not entry.is_aside)
    splits = [split for split in ("train", "val", "test") if any(s == split for _, s in counts)]
    wide = max(len(name) for name in names)
    print(f"  {'':<{wide}}  " + "  ".join(f"{split:>6}" for split in splits))
    for name in names:
        print(f"  {name:<{wide}}  " + "  ".join(f"{counts[name, split]:>6}" for split in splits))
    aside = [entry for entry in entries if entry.is_aside]
    if aside:
        kinds = Counter(entry.reason.partition(":")[0].partition(";")[0] for entry in aside)
        listed = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common(4))
        print(f"  set aside {len(aside)} of {len(entries)}: {listed}")
    to = given.to
    print(f"  folder    {to}\n  look at   {to / 'sheets'}, and mend labels in manifest.csv")
    table = shlex.quote(str(to / "manifest.csv"))
    print(f"  next      expkit train dataset=table dataset.table={table}")
    if given.place_images is not None:
        root = shlex.quote(str(to / "images"))
        print(f"            expkit train dataset=image_folder dataset.root={root}")
