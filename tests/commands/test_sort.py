"""`expkit sort` as a user types it: what it leaves, and what it refuses and leaves no trace of."""

from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from running_expkit import Expkit

from expkit.data.datasets.image_folder import ImageFolder
from expkit.data.datasets.table import Table
from expkit.data.sorting.properties import SIDE
from expkit.data.store.progress import silent
from expkit.data.synthetic.logos import KINDS, draw_logo
from expkit.reports import sorted_folder

NUM_PER_KIND = 12
RULES = "classes: {dark: {brightness: '< 0.5'}, light: {brightness: '>= 0.5'}}\n"


@pytest.fixture(scope="module")
def logos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw folder of 48 logos, whose names start with their kinds."""
    folder = tmp_path_factory.mktemp("logos") / "raw"
    folder.mkdir()
    for kind, name in enumerate(KINDS):
        for number in range(NUM_PER_KIND):
            image = draw_logo(kind, 64, np.random.default_rng([9, kind, number]))
            Image.fromarray(image).save(folder / f"{name}_{number}.png")
    return folder


@pytest.fixture
def greys(tmp_path: Path) -> Path:
    """Ten dark and ten light images, in folders below."""
    for place in range(20):
        level = 20 + 3 * place if place < 10 else 150 + 3 * place
        path = tmp_path / "raw" / f"{place % 3}" / f"{place:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (level, level, level)).save(path)
    (tmp_path / "rules.yaml").write_text(RULES)
    return tmp_path / "raw"


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_rules_sort_logos_mostly_right(logos: Path, run_here: Expkit) -> None:
    """On logos that the rules never saw: 84 % of 800 when written, 93 % of the surest 400."""
    done = run_here("sort", str(logos), "--to", "sorted", "--rules", "logos")
    assert done.code == 0, done.err
    rows = [row for row in rows_of(Path("sorted")) if row["label"]]
    right = [row["label"] == Path(row["path"]).name.partition("_")[0] for row in rows]
    assert len(rows) > 0.8 * 4 * NUM_PER_KIND
    assert np.mean(right) > 0.7
    for name in KINDS:
        with Image.open(f"sorted/sheets/{name}.png") as sheet:
            assert sheet.width > 8 * 64


def test_manifest_says_everything_of_every_image(greys: Path, run_here: Expkit) -> None:
    """Label, split, score and reason; paths lead from the manifest to the images; nothing moved."""
    before = sorted(greys.rglob("*"))
    done = run_here("sort", "raw", "--to", "out/sorted", "--rules", "rules.yaml")
    assert done.code == 0, done.err
    rows = rows_of(Path("out/sorted"))
    assert list(rows[0]) == ["path", "label", "split", "score", "reason"]
    paths = [(Path("out/sorted") / row["path"]).resolve() for row in rows]
    assert paths == sorted(greys.resolve().rglob("*.png"))
    assert Counter((row["label"], row["split"]) for row in rows) == {
        (label, split): count
        for label in ("dark", "light")
        for split, count in (("train", 7), ("val", 2), ("test", 1))
    }
    assert {row["reason"].partition(" 0.")[0] for row in rows} == {"brightness"}
    assert sorted(greys.rglob("*")) == before
    assert sorted(each.name for each in Path("out/sorted").iterdir()) == ["manifest.csv", "sheets"]
    dataset = Table(table="out/sorted/manifest.csv", cache_dir="cache").read(silent)
    assert {name: dataset.class_counts(name) for name in dataset.splits} == {
        "train": (7, 7),
        "val": (2, 2),
        "test": (1, 1),
    }


def test_sorting_twice_gives_the_same_bytes(greys: Path, run_here: Expkit) -> None:
    """Another seed splits otherwise."""
    texts = []
    for to, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        run_here("sort", "raw", "--to", to, "--rules", "rules.yaml", "--seed", seed)
        texts.append(Path(to, "manifest.csv").read_bytes())
    assert texts[0] == texts[1] != texts[2]


def test_the_surest_of_each_class_are_taken(greys: Path, run_here: Expkit) -> None:
    """Three of each: the darkest and the lightest; the others are set aside, and it is said why."""
    words = ("--rules", "rules.yaml", "--per-class", "3", "--split", "0.67,0.33")
    done = run_here("sort", "raw", "--to", "sorted", *words)
    assert "14 more than 3 of" not in done.out
    rows = rows_of(Path("sorted"))
    taken = {Path(row["path"]).name for row in rows if row["label"]}
    assert taken == {f"{place:02d}.png" for place in (0, 1, 2, 17, 18, 19)}
    assert Counter(row["split"] for row in rows) == {"train": 4, "val": 2, "aside": 14}
    assert sum(row["reason"].startswith("more than 3 of dark: ") for row in rows) == 7


def test_unreadable_and_repeated_images_are_set_aside(greys: Path, run_here: Expkit) -> None:
    """A copy can stand in no other split; what is no image is listed with the reason."""
    (greys / "copy.png").write_bytes((greys / "0" / "00.png").read_bytes())
    (greys / "broken.png").write_text("no image")
    run_here("sort", "raw", "--to", "sorted", "--rules", "rules.yaml")
    reasons = {
        Path(row["path"]).name: row["reason"]
        for row in rows_of(Path("sorted"))
        if row["split"] == "aside"
    }
    assert reasons["copy.png"] == "the same image as 0/00.png"
    assert reasons["broken.png"].startswith("unreadable: ")


def test_unsure_images_are_set_aside(greys: Path, run_here: Expkit) -> None:
    """Too near to the bound, of no class, or of two."""
    Path("rules.yaml").write_text(
        "classes: {dark: {brightness: '< 0.15'}, light: {brightness: '> 0.74'}, "
        "pale: {brightness: ['> 0.6', '< 0.77']}}\n"
    )
    words = ("--rules", "rules.yaml", "--split", "1", "--min-score", "0.05")
    run_here("sort", "raw", "--to", "sorted", *words)
    rows = {Path(row["path"]).name: row for row in rows_of(Path("sorted"))}
    assert rows["00.png"]["label"] == "dark"
    assert rows["07.png"]["reason"] == (  # a level of 41
        "fits no class; nearest dark: brightness 0.161 is not < 0.15"
    )
    assert rows["14.png"]["reason"].startswith("unsure: fits pale and light")  # 192
    assert {rows[name]["split"] for name in ("07.png", "14.png")} == {"aside"}


@pytest.mark.parametrize("way", ["link", "copy"])
def test_images_are_placed_where_it_is_asked(greys: Path, run_here: Expkit, way: str) -> None:
    """As links or copies, in the folders that image_folder reads; equal names do not clash."""
    for place, folder in enumerate(("x", "y")):
        (greys / folder).mkdir()
        Image.new("RGB", (40, 30), (90 + place, 0, 0)).save(greys / folder / "same.png")
    done = run_here("sort", "raw", "--to", "sorted", "--rules", "rules.yaml", f"--{way}")
    assert done.code == 0, done.err
    files = list(Path("sorted/images").rglob("*.png"))
    assert len(files) == 22
    assert {path.is_symlink() for path in files} == {way == "link"}
    dataset = ImageFolder(root="sorted/images", cache_dir="cache").read(silent)
    assert sum(len(samples) for samples in dataset.splits.values()) == 22


@pytest.mark.parametrize("way", ["link", "copy"])
def test_names_that_become_one_are_told_apart(greys: Path, run_here: Expkit, way: str) -> None:
    """`p/q.png` and `p__q.png` of one class are two images afterwards, too."""
    (greys / "p").mkdir()
    for place, name in enumerate(("p/q.png", "p__q.png", "p__q_2.png")):
        Image.new("RGB", (40, 30), (90 + place, 0, 0)).save(greys / name)
    words = ("--rules", "rules.yaml", "--split", "1", f"--{way}")
    done = run_here("sort", "raw", "--to", "sorted", *words)
    assert done.code == 0, done.err
    placed = [path.read_bytes() for path in Path("sorted/images/train/dark").iterdir()]
    assert len(set(placed)) == 13


def test_names_that_no_table_holds_are_told_in_safe_letters(greys: Path, run_here: Expkit) -> None:
    """No escape reaches a terminal from the manifest, which is UTF-8; links' targets count too."""
    bad = [b"esc\x1b[31m.png", b"line\nend.png", b"no_utf8\xff.png"]
    for place, name in enumerate(bad):
        path = greys / os.fsdecode(name)
        Image.new("RGB", (40, 30), (90 + place, 0, 0)).save(path, format="PNG")
    Image.new("RGB", (40, 30), (95, 0, 0)).save("target\x1b.png")
    (greys / "plain.png").symlink_to(Path("target\x1b.png").resolve())
    done = run_here("sort", "raw", "--to", "sorted", "--rules", "rules.yaml")
    assert done.code == 0, done.err
    assert b"\x1b" not in Path("sorted/manifest.csv").read_bytes()
    aside = [row["path"] for row in rows_of(Path("sorted")) if row["split"] == "aside"]
    assert aside == [
        "../raw/esc\\x1b[31m.png",
        "../raw/line\\nend.png",
        "../raw/no_utf8\\udcff.png",
        "../target\\x1b.png",
    ]
    dataset = Table(table="sorted/manifest.csv", cache_dir="cache").read(silent)
    assert sum(len(samples) for samples in dataset.splits.values()) == 20


def test_a_class_that_is_called_unsure_keeps_its_sheet(greys: Path, run_here: Expkit) -> None:
    """Beside the sheet of those of no class, which then has another name."""
    Path("rules.yaml").write_text(
        "classes: {unsure: {brightness: '< 0.15'}, light: {brightness: '>= 0.5'}}"
    )
    run_here("sort", "raw", "--to", "sorted", "--rules", "rules.yaml", "--split", "1")
    sheets = {path.stem for path in Path("sorted/sheets").iterdir()}
    assert sheets == {"unsure", "light", "set aside"}


def test_offered_splits_can_be_taken(greys: Path, run_here: Expkit) -> None:
    """Two of a class fill no 0.8,0.2, and three do."""
    words = ("sort", "raw", "--rules", "rules.yaml")
    done = run_here(*words, "--to", "out", "--per-class", "2")
    assert "do       --split 1   (train alone)" in done.err
    assert run_here(*words, "--to", "one", "--per-class", "2", "--split", "1").code == 0
    done = run_here(*words, "--to", "out", "--per-class", "3")
    assert "do       --split 0.8,0.2 " in done.err
    assert run_here(*words, "--to", "two", "--per-class", "3", "--split", "0.8,0.2").code == 0


def test_a_score_at_the_bound_is_0_and_not_below(greys: Path, run_here: Expkit) -> None:
    """A width of 40 meets '<= 40' by nothing, which is no -0.0000."""
    Path("rules.yaml").write_text(
        "classes: {a: {width: '<= 40', brightness: '< 0.5'}, b: {brightness: '>= 0.5'}}"
    )
    words = ("--rules", "rules.yaml", "--min-score", "0", "--split", "1")
    run_here("sort", "raw", "--to", "sorted", *words)
    scores = {row["score"] for row in rows_of(Path("sorted")) if row["label"] == "a"}
    assert scores == {"0.0000"}


def test_clusters_find_what_is_alike(greys: Path, run_here: Expkit) -> None:
    """Two clusters of greys are the dark and the light ones, the larger one first."""
    Image.new("RGB", (40, 30), (19, 19, 19)).save(greys / "20.png")
    done = run_here("sort", "raw", "--to", "sorted", "--clusters", "2", "--split", "1")
    assert done.code == 0, done.err
    labels = {int(Path(row["path"]).stem): row["label"] for row in rows_of(Path("sorted"))}
    assert {labels[place] for place in range(10)} == {"cluster_1"} == {labels[20]}
    assert {labels[place] for place in range(10, 20)} == {"cluster_2"}


def test_clusters_by_a_model_of_timm(greys: Path, run_here: Expkit) -> None:
    """By its features; the weights may be a file's."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet", num_classes=0).state_dict(), "weights.safetensors")
    words = (
        "--clusters",
        "2",
        "--features",
        "timm:test_resnet",
        "--weights",
        "weights.safetensors",
    )
    done = run_here("sort", "raw", "--to", "sorted", *words, "--split", "1")
    assert done.code == 0, done.err
    assert {row["label"] for row in rows_of(Path("sorted"))} <= {"cluster_1", "cluster_2", ""}


def test_own_properties_are_measured(greys: Path, run_here: Expkit) -> None:
    """A function of the user's own module, named by the rules."""
    Path("my_properties.py").write_text(
        "def reddest(images):\n    return images[..., 0].max((1, 2))\n"
    )
    Path("rules.yaml").write_text(
        "properties: {reddest: my_properties.reddest}\n"
        "classes: {dark: {reddest: '< 128'}, light: {reddest: ['>= 128', '<= 255']}}\n"
    )
    done = run_here("sort", "raw", "--to", "sorted", "--rules", "rules.yaml")
    assert done.code == 0, done.err
    assert {row["reason"].partition(" ")[0] for row in rows_of(Path("sorted"))} == {"reddest"}


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ("classes: {a: {brightnes: '> 1'}, b: {width: '> 1'}}", "nearest  brightness"),
        ("classes: {a: {brightness: '= 1'}, b: {width: '> 1'}}", "'= 1' is no condition"),
        ("classes: {a: {width: '> 1'}}", "fewer than two classes"),
        ("classes: {a: {}, b: {width: '> 1'}}", "the class 'a' has no conditions"),
        ("classes: {a: {width: '> 1', width: '< 9'}, b: {width: '> 1'}}", "'width' stands there"),
        ("classes: {a: {width: []}, b: {width: '> 1'}}", "the class 'a' has no conditions"),
        ('classes: {"a\\e": {width: "< 1"}, b: {width: "> 1"}}', r"no class can be called 'a\x1b'"),
        (f"classes: {{{'a' * 300}: {{width: '< 1'}}, b: {{width: '> 1'}}}}", "no class can be c"),
        ("classes: {a/b: {width: '< 1'}, b: {width: '> 1'}}", "no class can be called 'a/b'"),
        ("classes: {a: {width: '> 1'}, b: {width: '> 50'}}", "no image is of the class b"),
        ("clases: {}", "these are no rules"),
        ("classes: {a: {width: '> 1'}, b: {width: '> 2'}}\nmore: 1", "rules have no 'more'"),
        ("classes: [", "is no YAML that can be read"),
        ("properties: {x: os.system}\nclasses: {a: {x: '> 1'}, b: {x: '< 1'}}", "--trust os"),
        ("properties: {x: none.such}\nclasses: {a: {x: '> 1'}, b: {x: '< 1'}}", "no module 'none'"),
        ("properties: {x: own_one.bad}\nclasses: {a: {x: '> 1'}, b: {x: '< 1'}}", "returns 1 num"),
        ("properties: {x: own_two.worse}\nclasses: {a: {x: '> 1'}, b: {x: '< 1'}}", "ZeroDivi"),
    ],
)  # fmt: skip
def test_bad_rules_are_refused(greys: Path, run_here: Expkit, rules: str, told: str) -> None:
    """Each on one screen, and no folder is left."""
    Path("own_one.py").write_text("def bad(images):\n    return [1.0]\n")
    Path("own_two.py").write_text("def worse(images):\n    1 / 0\n")
    Path("rules.yaml").write_text(rules)
    done = run_here("sort", "raw", "--to", "out/sorted", "--rules", "rules.yaml")
    assert (done.code, told in done.err) == (2, True), done.err
    assert len(done.err.splitlines()) < 24
    assert not Path("out").exists()


def test_a_property_that_cannot_be_loaded_is_no_fault_of_a_training(
    greys: Path, run_here: Expkit
) -> None:
    """The advice was a train command, whose config has no properties."""
    Path("own_broken.py").write_text("1 / 0\n")
    rules = "properties: {x: own_broken.x}\nclasses: {a: {x: '> 1'}, b: {x: '< 1'}}"
    Path("rules.yaml").write_text(rules)
    done = run_here("sort", "raw", "--to", "out", "--rules", "rules.yaml")
    assert (done.code, "own_broken.py:1" in done.err) == (2, True), done.err
    assert "EXPKIT_TRACEBACK=1" in done.err
    assert "train" not in done.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nowhere", "--to", "out"), "the folder 'nowhere' is not there"),
        (("empty", "--to", "out"), "there are no images in 'empty'"),
        (("rules.yaml", "--to", "out"), "the folder 'rules.yaml' is a file"),
        (("raw", "--to", "raw"), "lies in the folder that is sorted"),
        (("raw", "--to", "raw/out"), "lies in the folder that is sorted"),
        (("raw", "--to", "link/out"), "lies in the folder that is sorted"),
        (("raw", "--to", "empty"), "'empty' is there already"),
        (("raw", "--to", "out", "--per-class", "11"), "--per-class 10"),
        (("raw", "--to", "out", "--per-class", "2"), "2 images of dark are too few for 3 splits"),
        (("raw", "--to", "out", "--split", "0.7,0.2"), "sum to 1"),
        (("raw", "--to", "out", "--min-score", "2"), "a number from 0 to 1"),
        (("raw", "--to", "out", "--features", "timm:resnet18"), "--features goes with --clusters"),
        (("raw", "--to", "out", "--link", "--copy"), "exclude each other"),
    ],
)
def test_bad_words_are_refused(
    greys: Path, run_here: Expkit, words: tuple[str, ...], told: str
) -> None:
    """Each on one screen; nothing is made, moved or overwritten."""
    Path("empty").mkdir()
    Path("link").symlink_to("raw")
    before = sorted(Path().rglob("*"))
    done = run_here("sort", *words, "--rules", "rules.yaml")
    assert (done.code, told in done.err) == (2, True), done.err
    assert sorted(Path().rglob("*")) == before


def test_more_clusters_than_images_are_refused(greys: Path, run_here: Expkit) -> None:
    """With the number that there can be; and one alone."""
    done = run_here("sort", "raw", "--to", "out", "--clusters", "1")
    assert (done.code, "one class sorts nothing" in done.err) == (2, True), done.err
    done = run_here("sort", "raw", "--to", "out", "--clusters", "21")
    assert (done.code, "20 images that differ" in done.err) == (2, True), done.err
    words = ("--clusters", "2", "--features", "timm:resnet81", "--weights", "w")
    done = run_here("sort", "raw", "--to", "out", *words)
    assert (done.code, "resnet18" in done.err) == (2, True), done.err


def test_shipped_rules_are_offered(greys: Path, run_here: Expkit) -> None:
    """A name that is nearly one of conf/sort."""
    done = run_here("sort", "raw", "--to", "out", "--rules", "logo")
    assert (done.code, "nearest  logos" in done.err) == (2, True), done.err


def test_an_interruption_leaves_nothing(
    greys: Path, run_here: Expkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while images are copied: no folder, none half-made, and none hidden."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sorted_folder.shutil, "copy2", interrupt)
    before = sorted(Path().rglob("*"))
    done = run_here("sort", "raw", "--to", "out/deep/sorted", "--rules", "rules.yaml", "--copy")
    assert done.code == 130
    assert sorted(Path().rglob("*")) == before


def test_sizes_are_those_of_the_files(greys: Path, run_here: Expkit) -> None:
    """As they stand upright: an image that is turned by its EXIF is 30 wide and 40 high."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30), (7, 7, 7)).save(greys / "turned.jpg", exif=exif)
    Path("rules.yaml").write_text("classes: {wide: {aspect: '> 1'}, high: {aspect: '< 1'}}\n")
    run_here("sort", "raw", "--to", "out", "--rules", "rules.yaml", "--split", "1")
    high = [row["path"] for row in rows_of(Path("out")) if row["label"] == "high"]
    assert high == ["../raw/turned.jpg"]
    assert SIDE == 128  # as the help and the rules say


@pytest.mark.slow
def test_what_was_sorted_is_trained_evaluated_and_predicted(logos: Path, run_here: Expkit) -> None:
    """From a raw folder to a model, by the commands that are printed."""
    run_here("sort", str(logos), "--to", "sorted", "--rules", "logos", "--split", "0.7,0.3")
    done = run_here(
        *("train", "dataset=table", "dataset.table=sorted/manifest.csv", "dataset.size=32"),
        *("dataset.cache_dir=cache", "device=cpu", "device.threads=1", "~procedure.preflight"),
        *("procedure.train.max_epochs=2", "~procedure.overfit_1", "~procedure.overfit_10"),
    )
    assert done.code == 0, done.err
    assert run_here("evaluate", "last", "dataset.table=sorted/manifest.csv").code == 0
    # a table may stand elsewhere than the images, which lie in no folders of classes
    lines = [f"{path.name},{path.name.partition('_')[0]}" for path in sorted(logos.glob("*.png"))]
    Path("flat.csv").write_text("\n".join(["image,class", *lines]))
    done = run_here("evaluate", "last", "dataset.table=flat.csv", f"dataset.root={logos}")
    assert done.code == 0, done.err
    assert "48 samples evaluated" in done.out
    done = run_here("predict", "last", str(logos / "text_0.png"))
    assert done.code == 0, done.err
    assert "text_0.png" in done.out
