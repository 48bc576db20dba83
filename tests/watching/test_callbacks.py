"""The loops of PyTorch Lightning and of transformers' Trainer, watched by their callbacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from watched_loops import NUM_CLASSES, make_loader, make_model, make_samples

from expkit.records.run.reader import Run

SERIOUS = ("fatal", "warning")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Lightning's own, of a small training on a CPU
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_fit_of_lightning(tmp_path: Path, accumulate: int) -> None:
    """Each epoch is recorded with its validation; nothing is found in it."""
    lightning = pytest.importorskip("pytorch_lightning")
    from expkit.watching.lightning import WatchCallback

    class Classifier(lightning.LightningModule):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = make_model()
            self.criterion = nn.CrossEntropyLoss()

        def training_step(self, batch: Any, _: int) -> Tensor:
            images, targets = batch
            return self.criterion(self.net(images), targets)  # type: ignore[no-any-return]

        def validation_step(self, batch: Any, _: int) -> None:
            self.net(batch[0])

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.01, momentum=0.9)

    module = Classifier()
    callback = WatchCallback(module.criterion, module="net", to=tmp_path, plots=False)
    trainer = lightning.Trainer(
        max_epochs=3,
        accelerator="cpu",
        callbacks=[callback],
        accumulate_grad_batches=accumulate,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, make_loader(), make_loader(64))
    watch = callback.watch
    assert watch is not None
    assert watch.failure is None
    assert watch.path is not None
    run = Run(watch.path)
    assert run.status == "finished"
    assert [record["step"] for record in run.history] == [10 // accumulate * n for n in (1, 2, 3)]
    assert all("val/accuracy" in record for record in run.history)
    assert [each.rule for each in watch.findings if each.severity in SERIOUS] == []
    assert any(signal["kind"] == "model" for signal in run.signals)
    assert not module.net._forward_hooks


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_training_of_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    from transformers.modeling_outputs import ImageClassifierOutput

    from expkit.watching.transformers import WatchCallback

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = make_model()

        def forward(self, pixel_values: Tensor, labels: Tensor | None = None) -> Any:
            logits = self.net(pixel_values)
            loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
            return ImageClassifierOutput(loss=loss, logits=logits)

    def dataset(count: int, seed: int) -> list[dict[str, Any]]:
        images, targets = make_samples(count, seed)
        return [
            {"pixel_values": image, "labels": int(target)}
            for image, target in zip(images, targets, strict=True)
        ]

    callback = WatchCallback(to=tmp_path, plots=False)
    model = Classifier()
    trainer = transformers.Trainer(
        model=model,
        args=transformers.TrainingArguments(
            output_dir=str(tmp_path / "hf"),
            num_train_epochs=3,
            per_device_train_batch_size=16,
            eval_strategy="epoch",
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            learning_rate=0.01,
            disable_tqdm=True,
        ),
        train_dataset=dataset(160, 1),
        eval_dataset=dataset(64, 2),
        callbacks=[callback],
    )
    trainer.train()
    watch = callback.watch
    assert watch is not None
    assert watch.failure is None
    assert watch.path is not None
    run = Run(watch.path)
    assert run.status == "finished"
    assert [record["step"] for record in run.history] == [10, 20, 30]
    assert len(run.predictions["val"].targets) == 64
    assert run.dataset.num_classes == NUM_CLASSES
    assert [each.rule for each in watch.findings if each.severity in SERIOUS] == []
    assert not model._forward_hooks
