"""Run folders whose recorded config asks for code, for files elsewhere, or for the impossible.

Nothing that builds parts from it may run the code, read the environment, or leave the folder.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hostile_arena import LONG, REFUSED, Arena
from hostile_folders import (
    BUILDING,
    COMMANDS,
    DEEP,
    READING,
    YAML_BOMB,
    Gift,
    ask_of_gift,
    pickled,
    torch_pickled,
)

pytestmark = pytest.mark.broad(2)

ENV = "${oc.env:EXPKIT_CANARY}"
Edit = Callable[[dict[str, Any], Gift], object]


def at(path: str, value: Any) -> Edit:
    """Put a value at a dotted path; `{gift}`, `{beside}`, `{module}` in texts are filled in."""

    def edit(config: dict[str, Any], gift: Gift) -> None:
        *parents, last = path.split("/")
        node: Any = config
        for name in parents:
            node = node[name]
        node[last] = _filled(value, gift)

    return edit


def _filled(value: Any, gift: Gift) -> Any:
    if isinstance(value, dict):
        return {_filled(key, gift): _filled(each, gift) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, gift) for each in value]
    if not isinstance(value, str):
        return value
    arena = gift.arena
    known = {"gift": gift.path, "beside": arena.beside, "module": arena.module, "ran": arena.ran}
    return re.sub(r"\{(gift|beside|module|ran)\}", lambda m: str(known[m[1]]), value)


def spoilt(edit: Edit) -> Callable[[Gift], None]:
    def spoil(gift: Gift) -> None:
        (gift.path / "bomb.pkl").write_bytes(pickled(gift.arena))
        (gift.path / "bomb.pt").write_bytes(torch_pickled(gift.arena))
        gift.config(lambda config: edit(config, gift))

    return spoil


BUILT = ("predict", "evaluate", "resume")  # latency builds as predict does

# each is refused by everything that builds the run's parts
INTERPOLATIONS = {
    "the environment in the data's root": at("dataset/root", ENV),
    "the environment in the middle of a text": at("dataset/root", f"images{ENV}x"),
    "the environment in the hypothesis": at("hypothesis", ENV),
    "the environment in a name": at("name", ENV),
    "the environment in a deep list": at("reference", {"source": "x", "figures": {"a": [[ENV]]}}),
    "the environment in a key": at("reference", {"source": "x", "figures": {ENV: 1}}),
    "the environment in a list": at("compared_with", [ENV]),
    "the environment as a target": at("model/_target_", ENV),
    "the environment in a width": at("model/widths", [ENV]),
    "the environment in a stage": at("procedure/train/monitor", ENV),
    "the environment in the output folder": at("output_dir", f"outputs/{ENV}"),
    "a default for the environment": at("dataset/root", "${oc.env:NOT_SET,images}"),
    "a part that is made": at(
        "dataset/root",
        "${oc.create:{_target_: pandas.read_pickle, filepath_or_buffer: '{gift}/bomb.pkl'}}",
    ),
    "a target that is made": at("model", "${oc.create:{_target_: os.system, command: x}}"),
    "a text that is decoded": at("dataset/root", "${oc.decode:'${oc.env:EXPKIT_CANARY}'}"),
    "another key": at("dataset/root", "${output_dir}"),
    "a key of its own": at("dataset/root", "${dataset.root}"),
    "a relative key": at("dataset/root", "${.size}"),
    "Hydra's runtime": at("dataset/root", "${hydra:runtime.cwd}"),
    "a nested one": at("dataset/root", "${oc.env:${name}}"),
    "one that is escaped": at("dataset/root", "\\${oc.env:EXPKIT_CANARY}"),
    "one that is escaped twice": at("dataset/root", "\\\\${oc.env:EXPKIT_CANARY}"),
    "one that is open": at("dataset/root", "${"),
}


@pytest.mark.parametrize("name", INTERPOLATIONS)
def test_an_interpolation_is_not_resolved(name: str, arena: Arena) -> None:
    """Recorded configs are plain data; what an evaluation leaves out of one, it need not refuse."""
    ask_of_gift(arena, BUILT, spoilt(INTERPOLATIONS[name]), refused=("predict", "resume"))


APPEND = "expkit.records.files.append_line"


def model(target: str, **arguments: Any) -> Edit:
    return at("model", {"_target_": target, **arguments})


TARGETS = {
    "a shell": model("os.system", command="echo x >> {ran}"),
    "a process": model("subprocess.run", args=["touch", "{ran}"]),
    "exec": model("builtins.exec", source="open('{ran}', 'w')"),
    "eval": model("builtins.eval", source="open('{ran}', 'w')"),
    "open": model("builtins.open", file="{ran}", mode="w"),
    "import": model("importlib.import_module", name="{module}"),
    "run_path": model("runpy.run_path", path_name="{gift}/code.py"),
    "rmtree": model("shutil.rmtree", path="{beside}"),
    "unlink": model("pathlib.Path.unlink", _args_=["{beside}/precious.txt"]),
    "pickle": model("pickle.loads", data="x"),
    "pandas' pickle": model("pandas.read_pickle", filepath_or_buffer="{gift}/bomb.pkl"),
    "torch's pickle": model("torch.load", f="{gift}/bomb.pt", weights_only=False),
    "torch's hub": model("torch.hub.load", repo_or_dir="{gift}", model="make", source="local"),
    "torch through its layers": model("torch.nn.functional.torch.load", f="{gift}/bomb.pt"),
    "torch through its optimizers": model(
        "torch.optim.optimizer.torch.load", f="{gift}/bomb.pt", weights_only=False
    ),
    "timm's pickle": model(
        "timm.models.load_state_dict", checkpoint_path="{gift}/bomb.pt", weights_only=False
    ),
    "timm's checkpoint": model(
        "timm.models.load_checkpoint", model=None, checkpoint_path="{gift}/bomb.pt"
    ),
    "timm's hub": model("timm.models._hub.os.system", command="touch {ran}"),
    "timm's log": model("timm.utils.setup_default_logging", log_path="{beside}/new.log"),
    "timm's table": model(
        "timm.utils.update_summary",
        epoch=1,
        train_metrics={"a": 1},
        eval_metrics={"a": 1},
        filename="{beside}/new.csv",
        write_header=True,
    ),
    "timm's own checkpoint of a model": at(
        "model",
        {
            "_target_": "expkit.models.timm_model.TimmModel",
            "name": "resnet18",
            "weights": "{gift}/bomb.pt",
        },
    ),
    "timm's options": at(
        "model",
        {
            "_target_": "expkit.models.timm_model.TimmModel",
            "name": "resnet18",
            "options": {"checkpoint_path": "{gift}/bomb.pt"},
        },
    ),
    "timm's options for elsewhere": at(
        "model",
        {
            "_target_": "expkit.models.timm_model.TimmModel",
            "name": "resnet18",
            "options": {"pretrained": True, "pretrained_cfg": {"file": "{gift}/bomb.pt"}},
        },
    ),
    "timm's hub name": at(
        "model",
        {"_target_": "expkit.models.timm_model.TimmModel", "name": "local-dir:{gift}"},
    ),
    "kornia's writer": model("kornia.io.write_image", path_file="{beside}/new.jpg", image=None),
    "kornia's downloads": model("kornia.utils.download.load_state_dict_from_url", url="file://x"),
    "torchvision's weights": model("torchvision.models.get_model", name="resnet18", weights="x"),
    "torchvision's writer": model("torchvision.io.write_file", filename="{beside}/n", data=None),
    "the writer of a record": model(APPEND, path="{beside}/precious.txt", text="owned"),
    "the writer of a file": model(
        "expkit.records.files.write_aside", path="{beside}/precious.txt", data="owned"
    ),
    "the command line": model(
        "expkit.cli.dispatch", words=["train", "trust=[{module}]", "model._target_={module}.make"]
    ),
    "a run of the tool": model("expkit.runner.run.run_request", request=None),
    "the builder of parts": model(
        "expkit.config.instantiate.build_part", node={"_target_": "os.system"}, key="x"
    ),
    "the tool's os": model("expkit.records.files.os.system", command="touch {ran}"),
    "the tool's pathlib": model("expkit.records.run.reader.Path", _args_=["/etc"]),
    "the tool's builtins": model("expkit.cli.__builtins__", _args_=["eval"]),
    "Hydra's builder": model("hydra.utils.instantiate", config={"_target_": "os.system"}),
    "Hydra's finder": model("hydra.utils.get_method", path="os.system"),
    "Hydra's finder of classes": model("hydra._internal.utils._locate", path="{module}.make"),
    "a class of a class": model("torch.nn.Linear.__class__", _args_=["x", [], {}]),
    "a subclass hook": model("torch.nn.Module.__init_subclass__"),
    "a state that is set": model("torch.nn.Linear.__setstate__", state={}),
    "a function for a class": model("torch.nn.functional.relu", input=1),
    "a module's modules": model("torch.nn.modules.module.torch.serialization.load", f="x"),
    "a module beside the gift": model("{module}.make"),
    "a module in the gift": model("gift.{module}.make"),
    "a module in its package": model("gift_{module}.make"),
    "no target": at("model", {"widths": [4]}),
    "an empty target": model(""),
    "a target of dots": model("..."),
    "a target of one word": model("print"),
    "a target of a list": at("model/_target_", ["os.system"]),
    "a target of a mapping": at("model/_target_", {"a": 1}),
    "a target of a number": at("model/_target_", 7),
    "a very long target": model(f"torch.nn.{LONG}"),
    "a target of terminal codes": model("torch.nn.\x1b[2J"),
    "a target right to left": model("torch.nn.\u202eraeniL"),
    "a target with a NUL": model("torch.nn.Linear\0"),
    "a target within an argument": at(
        "model/widths", [{"_target_": "os.system", "command": "touch {ran}"}]
    ),
    "a target within the optimizer": at(
        "optimizer/lr", {"_target_": "os.system", "command": "touch {ran}"}
    ),
    "a target within a transform": at(
        "augment/transforms", {"x": {"_target_": "os.system", "command": "touch {ran}"}}
    ),
    "a target in the dataset's root": at(
        "dataset/root", {"_target_": APPEND, "path": "{beside}/precious.txt", "text": "x"}
    ),
    "a target in the device": at(
        "device/name", {"_target_": "os.system", "command": "touch {ran}"}
    ),
    "arguments by place": at("model/_args_", ["{gift}"]),
    "trust in itself": lambda config, gift: (
        config.update(trust=[gift.arena.module]),
        config.update(model={"_target_": f"{gift.arena.module}.make"}),
    ),
    "trust in builtins": lambda config, gift: (
        config.update(trust=["builtins", "os"]),
        config.update(model={"_target_": "os.system", "command": f"touch {gift.arena.ran}"}),
    ),
    # the right prefix, in the wrong role
    "an optimizer for a model": model("torch.optim.Adam", lr=0.1),
    "a dataset for a model": model("expkit.data.datasets.digits.Digits"),
    "a stage for a model": model("expkit.runner.stages.training.Training", max_epochs=1),
    "a function of the package for a model": model(
        "expkit.records.run.find_run.find_run", text="gift"
    ),
    "a model for a dataset": at("dataset", {"_target_": "torch.nn.Linear", "in_features": 1}),
    "a model for a device": at("device", {"_target_": "torch.nn.Identity"}),
}
# what only those can refuse that build that part
PARTS = {
    "a model for an optimizer": at("optimizer", {"_target_": "torch.nn.Linear", "_partial_": True}),
    "an optimizer for a loss": at("loss", {"_target_": "torch.optim.Adam", "_partial_": True}),
    "a loss for a schedule": at("schedule", {"_target_": "torch.nn.CrossEntropyLoss"}),
    "a record's writer for a loss": at(
        "loss", {"_target_": APPEND, "path": "{beside}/precious.txt", "text": "x"}
    ),
    "a record's writer for a schedule": at(
        "schedule", {"_target_": APPEND, "path": "{beside}/precious.txt", "text": "x"}
    ),
    "a record's writer for a stage": at(
        "procedure/evaluate", {"_target_": APPEND, "path": "{beside}/precious.txt", "text": "x"}
    ),
    "a record's writer for a transform": at(
        "augment/transforms",
        {"x": {"_target_": APPEND, "path": "{beside}/precious.txt", "text": "x"}},
    ),
    "a model for a stage": at("procedure/evaluate", {"_target_": "expkit.models.conv.ConvNet"}),
    "a stranger's stage": at("procedure/evaluate", {"_target_": "{module}.make"}),
    "a stranger's loss": at("loss", {"_target_": "{module}.make"}),
}


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_is_not_called(name: str, arena: Arena) -> None:
    """Allowed by role, not by prefix; and one's own code only from where the user chose."""
    module = arena.module
    for place in (f"{module}.py", f"gift_{module}/__init__.py"):
        path = arena.beside / place  # a module of nobody: not in the working directory
        path.parent.mkdir(exist_ok=True)
        path.write_text(arena.stranger())

    def spoil(gift: Gift) -> None:
        spoilt(TARGETS[name])(gift)
        (gift.path / f"{module}.py").write_text(arena.stranger())
        (gift.path / "code.py").write_text(arena.stranger())
        (gift.path / "hubconf.py").write_text(arena.stranger())
        (gift.path / "__init__.py").write_text(arena.stranger())

    ask_of_gift(arena, BUILT, spoil, refused=BUILT)


@pytest.mark.parametrize("name", PARTS)
def test_a_part_in_the_wrong_role_is_refused(name: str, arena: Arena) -> None:
    """By what goes on with the run, which needs all its parts."""
    ask_of_gift(arena, BUILT, spoilt(PARTS[name]), refused=("resume",))


LAYER = {"_target_": "torch.nn.Identity"}
VALUES = {
    "ten thousand layers": at("model/widths", [4] * 10_000),
    "a value that is missing": at("dataset/root", "???"),
    "a conversion that is none": at("model/_convert_", "object7"),
    "threads of a billion": at("device/threads", 10**9),
    "threads of 400 digits": at("device/threads", 10**400),
    "a width of a billion": at("model/widths", [10**9]),
    "a width of 400 digits": at("model/widths", [10**400]),
    "a width of infinity": at("model/widths", [float("inf")]),
    "widths of a text": at("model/widths", "four"),
    "images of a million": at("dataset/size", 10**6),
    "images of another size": at("dataset/size", [8, 9]),
    "images of no size": at("dataset/size", []),
    "a root that is a number": at("dataset/root", 7),
    "a root with a NUL": at("dataset/root", "images\0"),
    "a root of terminal codes": at("dataset/root", "\x1b[2J\x07"),
    "a root elsewhere": at("dataset/root", "{beside}"),
    "a root of devices": at("dataset/root", "/dev"),
    "a root of processes": at("dataset/root", "/proc/self"),
    "a very long root": at("dataset/root", LONG),
    "a cache elsewhere": at("dataset/cache_dir", "{beside}/cache"),
    "a cache that is a file": at("dataset/cache_dir", "{beside}/precious.txt"),
    "a batch of 400 digits": at("procedure/train/batch_size", 10**400),
    "a batch below none": at("procedure/evaluate/batch_size", -1),
    "epochs of 400 digits": at("procedure/train/max_epochs", 10**400),
    "weights that are none": at("procedure/evaluate/weights", "../../../../beside/precious"),
    "weights of a list": at("procedure/evaluate/weights", [1]),
    "weights of another stage": at("procedure/evaluate/of", "../../../beside"),
    "a start from a pickle": at("procedure/train/start_from", "{gift}/bomb.pt"),
    "a start from outside": at("procedure/train/start_from", "{beside}/precious.txt"),
    "a start from a run elsewhere": at("procedure/train/start_from_run", "{beside}"),
    "a start from a run of a NUL": at("procedure/train/start_from_run", "a\0b"),
    "a start from a run of a list": at("procedure/train/start_from_run", [1]),
    "a start from itself": at("procedure/train/start_from_run", "{gift}"),
    "a start from terminal codes": at("procedure/train/start_from_run", "\x1b[2J\x07"),
    "labels from outside": at("procedure/train/labels_from", "../../beside"),
    "a seed of a text": at("seed", "x"),
    "a seed of 400 digits": at("seed", 10**400),
    "a name of a path": at("name", "../../beside/x"),
    "a name of terminal codes": at("name", "\x1b]0;owned\x07"),
    "a name right to left": at("name", "\u202egnp.exe"),
    "a name of a NUL": at("name", "a\0b"),
    "a very long name": at("name", LONG),
    "a name of null": at("name", None),
    "a name of a list": at("name", ["a"]),
    "a hypothesis of markup": at("hypothesis", "![x](http://a.b/c) <script>x</script> \x1b[2J"),
    "a hypothesis of a list": at("hypothesis", [[1]]),
    "an output folder elsewhere": at("output_dir", "{beside}"),
    "an output folder above": at("output_dir", "../beside/new"),
    "an output folder of a device": at("output_dir", "/dev/null"),
    "criteria of code": at("criteria", {"accuracy": "> __import__('os')"}),
    "criteria of a list": at("criteria", [1]),
    "criteria of a path": at("criteria", {"../../accuracy": "> 0.5"}),
    "a reference of a text": at("reference", "x"),
    "a comparison with paths": at("compared_with", ["../../beside", "/etc"]),
    "compared with a number": at("compared_with", 7),
    "compared with null": at("compared_with", [None]),
    "an evaluation of itself": at("evaluates", "{gift}"),
    "an evaluation of a device": at("evaluates", "/dev/zero"),
    "an evaluation of the user's files": at("evaluates", "{beside}"),
    "an evaluation of a list": at("evaluates", ["a"]),
    "an evaluation of a NUL": at("evaluates", "a\0b"),
    "an evaluation of a number": at("evaluates", 7),
    "a very long evaluation": at("evaluates", LONG),
    "no procedure": at("procedure", {}),
    "a procedure of null": at("procedure", None),
    "a procedure of a list": at("procedure", ["train"]),
    "a stage of null": at("procedure/train", None),
    "a stage of a text": at("procedure/train", "x"),
    "a stage of a list": at("procedure/train", [1]),
    "a stage with a path for a name": at("procedure/..\\..", {"_target_": "x"}),
    "a stage that lies outside": lambda config, gift: config["procedure"].update(
        {"../../../beside": config["procedure"]["train"]}
    ),
    "a stage at the root": lambda config, gift: config["procedure"].update(
        {f"{gift.arena.beside}": config["procedure"]["train"]}
    ),
    "a stage of terminal codes": lambda config, gift: config["procedure"].update(
        {"\x1b[2J": config["procedure"]["evaluate"]}
    ),
    "a very long stage": lambda config, gift: config["procedure"].update(
        {LONG: config["procedure"]["evaluate"]}
    ),
    "a stage that is a number": lambda config, gift: config["procedure"].update(
        {7: config["procedure"]["evaluate"]}
    ),
    "a key that is null": lambda config, gift: config.update({None: 1}),
    "a key that is a number": lambda config, gift: config["model"].update({7: 1}),
    "a key of terminal codes": lambda config, gift: config.update({"\x1b[2J": 1}),
    "a key that is none": at("frobnicate", 1),
    "Hydra's keys": at("hydra", {"run": {"dir": "{beside}/new"}}),
    "Hydra's defaults": at("defaults", [{"model": "../../etc"}]),
    "a launcher": at("launcher", {"_target_": "os.system", "command": "touch {ran}"}),
    "a rule of a path": at("diagnosis/ignore", ["../../etc/passwd"]),
    "rules of null": at("diagnosis", None),
    "a diagnosis of a text": at("diagnosis", "never"),
    "a date": at("name", __import__("datetime").date(2026, 1, 1)),
    "bytes": at("name", b"\x00\xff"),
    "a set": at("compared_with", {"a"}),
    "no model": lambda config, gift: config.pop("model"),
    "no dataset": lambda config, gift: config.pop("dataset"),
    "no optimizer": lambda config, gift: config.pop("optimizer"),
    "no name": lambda config, gift: config.pop("name"),
    "no device": lambda config, gift: config.pop("device"),
    "no diagnosis": lambda config, gift: config.pop("diagnosis"),
    "a model of null": at("model", None),
    "a model of a list": at("model", [1]),
    "a dataset of a text": at("dataset", "digits"),
    "an optimizer of a number": at("optimizer", 3),
}


@pytest.mark.parametrize(
    "edit",
    [
        at("model/widths", [4] * 10_000),
        at("model", {"_target_": "torch.nn.Sequential", "_args_": [LAYER] * 1_000}),
        at("augment/transforms", {f"t{n}": LAYER for n in range(1_000)}),
    ],
    ids=["widths", "layers", "transforms"],
)
def test_thousands_of_layers_are_refused_unbuilt(edit: Edit, arena: Arena) -> None:
    """Before torch is asked for any of them, which would take a minute."""
    made: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("expkit.config.instantiate.build_part", lambda node, key: made.append(key))
        patch.setattr("expkit.runner.components.build_part", lambda node, key: made.append(key))
        ask_of_gift(arena, ("resume",), spoilt(edit), refused=("resume",))
    assert made == []


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_not_believed(name: str, arena: Arena) -> None:
    """Whatever stands in the config: answered or refused, by all that reads it."""
    ask_of_gift(arena, (*READING, "report", *BUILDING), spoilt(VALUES[name]))


TEXTS: dict[str, str | bytes] = {
    "an object of Python": "!!python/object/apply:os.system ['touch ran']\n",
    "a name of Python": "name: !!python/name:os.system\nprocedure: {}\n",
    "a module of Python": "name: !!python/module:antigravity\nprocedure: {}\n",
    "a tuple of Python": "procedure: !!python/tuple [1]\n",
    "a tag of its own": "procedure: !ruby/object:Gem {}\n",
    "anchors that multiply": YAML_BOMB + "procedure: {train: {a: *a11}}\nname: x\n",
    "an anchor within itself": "procedure: &a {train: *a}\nname: x\n",
    "a list within itself": "procedure: {train: {}}\nname: &a [*a]\n",
    "a merge of itself": "procedure: &a\n  <<: *a\n",
    "merges that multiply": "a: &a {x: 1}\nprocedure: {<<: [*a, *a, *a], train: {}}\n",
    "keys twice": "procedure: {train: {}}\nprocedure: {train: {}}\nname: x\n",
    "keys that are lists": "? [1, 2]\n: 3\nprocedure: {}\n",
    "keys that are mappings": "? {a: 1}\n: 3\nprocedure: {}\n",
    "deep brackets": f"procedure: {DEEP}\n",
    "deep lines": "".join(f"{' ' * n}a:\n" for n in range(2000)),
    "two documents": "procedure: {}\n---\nprocedure: {}\n",
    "a hundred thousand stages": "procedure:\n" + "".join(f"  s{n}: {{}}\n" for n in range(100000)),
    "a number of 10,000 digits": f"procedure: {{}}\nseed: {'9' * 10000}\n",
    "a number of sixties": f"procedure: {{}}\nseed: {':'.join(['59'] * 5000)}\n",
    "a float that is none": "procedure: {}\nseed: .nan\n",
    "a date that is none": "procedure: {}\nname: 2026-99-99\n",
    "binary that is none": "procedure: {}\nname: !!binary '%%%'\n",
    "a tab": "procedure:\n\ttrain: {}\n",
    "an open quote": "procedure: 'a\n",
    "a percent": "%YAML 9.9\n---\nprocedure: {}\n",
    "a scalar": "x\n",
    "a null": "~\n",
    "UTF-16": "procedure: {}\n".encode("utf-16"),
    "Latin-1": "procedure: {}\nname: \xe9\n".encode("latin-1"),
    "a NUL": "procedure: {}\nname: a\0b\n",
    "a surrogate": 'procedure: {}\nname: "\\ud800"\n',
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_that_is_no_config(name: str, arena: Arena) -> None:
    """YAML that would run code, never end, or be no mapping."""

    def spoil(gift: Gift) -> None:
        gift.config_text(TEXTS[name])
        gift.without_summaries()

    ask_of_gift(arena, ("show", "compare", "analyze", *BUILDING), spoil)


def test_the_gift_is_the_working_directory(arena: Arena) -> None:
    """Modules of the gift are not the user's own, though they lie here."""
    arena.have()
    path = arena.give()
    (path / f"{arena.module}.py").write_text(arena.stranger())
    (path / "conf" / "model").mkdir(parents=True)
    (path / "conf" / "model" / "x.yaml").write_text(f"# x\n_target_: {arena.module}.make\n")
    spoilt(model("{module}.make"))(Gift(path, arena))
    image = str(arena.work / "images" / "val" / "cat" / "0.png")
    for command, more in (("predict", (image,)), ("evaluate", ()), ("latency", ())):
        arena.ask(command, ".", *more, codes=(REFUSED,), cwd=path)


def test_modules_beside_the_gift_are_not_ones_own(arena: Arena) -> None:
    """A folder that came with runs in it may have come with modules, too."""
    arena.have()
    parcel = arena.work / "parcel"
    path = arena.give().rename(arena.work / "gift")
    parcel.mkdir()
    path = path.rename(parcel / "gift")
    (parcel / f"{arena.module}.py").write_text(arena.stranger())
    (parcel / "__init__.py").write_text(arena.stranger())
    gift = Gift(path, arena)
    spoilt(model(f"parcel.{arena.module}.make"))(gift)
    images = str(arena.work / "images" / "val")
    arena.ask("predict", "parcel/gift", images, codes=(REFUSED,))
    arena.ask("latency", "parcel/gift", codes=(REFUSED,))
    spoilt(model("{module}.make"))(gift)
    arena.ask("predict", "parcel/gift", images, codes=(REFUSED,))
    arena.ask("predict", "gift", images, codes=(REFUSED,), cwd=parcel)
    arena.ask("evaluate", "gift", codes=(REFUSED,), cwd=parcel)


def test_an_evaluation_in_a_circle(arena: Arena) -> None:
    """Two runs that each evaluate the other."""
    arena.have()
    first = arena.give().rename(arena.work / "first")
    second = arena.give().rename(arena.work / "second")
    for path, other in ((first, second), (second, first)):
        spoilt(at("evaluates", str(other)))(Gift(path, arena))
    for command in ("show", "predict", "evaluate", "latency", "compare", "diagnose"):
        arena.ask(command, *(w.replace("gift", "first") for w in COMMANDS[command][1:]))
