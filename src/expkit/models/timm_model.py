"""Any model of timm, fitted to the data: classes, channels and, where it matters, size."""

from __future__ import annotations

import os
import socket
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Lt

from expkit.errors import UserError
from expkit.models.timm_names import ELSEWHERE, check_timm_name
from expkit.models.timm_weights import load_file

if TYPE_CHECKING:
    from torch import nn

CONNECT_SECONDS = 3.0
# options of timm's that name where weights come from: a run that is opened loads its own alone
PLACES_OF_WEIGHTS = frozenset(
    {"pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir"}
)


@dataclass(frozen=True)
class TimmModel:
    """A model by timm's name; called with the data's shape it makes the net.

    `weights` is a file to start from, `pretrained` takes timm's own; `options` go to
    `timm.create_model` as they are.
    """

    name: str
    pretrained: bool = False
    weights: str | None = None
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    gradient_checkpointing: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_timm_name(self.name)
        if self.weights is not None and self.pretrained:
            raise UserError(
                "a model starts from one set of weights",
                where=f"model.pretrained=true, model.weights={self.weights}",
                fix="model.pretrained=false   (or model.weights=null)",
            )
        for name in sorted(PLACES_OF_WEIGHTS & set(self.options)):
            raise UserError(
                f"{name} is not for model.options to say",
                where=f"model.options.{name}",
                allowed="weights come from timm (model.pretrained) or from a file (model.weights)",
                fix=f"model.weights=FILE '~model.options.{name}'",
            )
        clashes = {"num_classes", "in_chans", *(["drop_rate"] if self.dropout else [])}
        for name in sorted(clashes & set(self.options)):
            raise UserError(
                f"{name} is not for model.options to say",
                where=f"model.options.{name}={self.options[name]}",
                allowed="classes and channels follow the data, drop_rate is model.dropout",
            )
        if self.weights is not None and not Path(self.weights).is_file():
            raise UserError(
                f"there is no file '{self.weights}'",
                where=f"model.weights={self.weights}",
                allowed="a .safetensors file, or a .pt or .pth that holds weights only",
            )

    def __call__(self, *, image_shape: tuple[int, int, int], num_outputs: int) -> nn.Module:
        import timm

        channels, *size = image_shape
        options: dict[str, Any] = {"num_classes": num_outputs, "in_chans": channels}
        if self.dropout:  # only where asked for: not every model knows it
            options["drop_rate"] = self.dropout
        known = None if self.is_elsewhere else timm.get_pretrained_cfg(self.name)
        if known is not None and known.fixed_input_size:
            options["img_size"] = tuple(size)
        cached = self._find_pretrained(known) if self.pretrained else None
        if cached is not None:
            options["pretrained_cfg_overlay"] = {"file": cached}
        try:
            net: nn.Module = timm.create_model(
                self.name, pretrained=self.pretrained, **{**options, **self.options}
            )
        except (OSError, IndexError) as error:  # IndexError: timm's own, of a hub out of reach
            raise self._out_of_reach(error) from error
        if self.weights is not None:
            load_file(net, self.name, Path(self.weights))
        if self.gradient_checkpointing:
            from expkit.models.gradient_checkpointing import checkpoint_blocks

            checkpoint_blocks(net, self.name)
        return net

    @property
    def is_elsewhere(self) -> bool:
        """Tell whether the name is a place that timm fetches the model and its config from."""
        return self.name.startswith(ELSEWHERE)

    def _find_pretrained(self, known: Any) -> str | None:
        """The file with timm's weights, where it is here; None where timm is to fetch it."""
        if self.is_elsewhere:
            return None
        if known is None or not known.has_weights:
            raise UserError(
                f"timm has no pretrained weights for {self.name}",
                where="model.pretrained=true",
                fix="model.pretrained=false   (or model.weights=FILE)",
            )
        if not known.hf_hub_id:
            return None
        cached = find_cached(known)
        if cached is None:
            self._check_reachable()
        return cached

    def _check_reachable(self) -> None:
        """timm would try for three quarters of a minute before it gave up."""
        from huggingface_hub import constants

        host = urllib.parse.urlsplit(constants.ENDPOINT)
        through_proxy = any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy"))
        try:
            if constants.HF_HUB_OFFLINE:
                raise OSError("HF_HUB_OFFLINE is set")
            if not through_proxy:
                socket.create_connection(
                    (host.hostname, host.port or 443), timeout=CONNECT_SECONDS
                ).close()
        except OSError as error:
            raise self._out_of_reach(error) from error

    def _out_of_reach(self, error: Exception) -> UserError:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if self.is_elsewhere:
            return UserError(
                f"the place that describes {self.name} cannot be read: {reason:.200}",
                where=f"model.name={self.name}",
                fix="a name of timm's own, such as model.name=resnet18",
            )
        return UserError(
            f"the pretrained weights of {self.name} are not on this machine, "
            f"and their server cannot be reached: {reason:.200}",
            where="model.pretrained=true",
            fix="model.pretrained=false   (random weights)\n"
            "model.pretrained=false model.weights=FILE   (.safetensors, or weights-only .pt)",
        )


def find_cached(known: Any) -> str | None:
    """The file of pretrained weights in the local cache, where an earlier run has left it."""
    from huggingface_hub import try_to_load_from_cache

    names = [known.hf_hub_filename] if known.hf_hub_filename else []
    for name in [*names, "model.safetensors", "pytorch_model.bin"]:
        found = try_to_load_from_cache(known.hf_hub_id, name)
        if isinstance(found, str):
            return found
    return None
