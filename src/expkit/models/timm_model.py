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
from expkit.models.timm_names import check_timm_name

if TYPE_CHECKING:
    from torch import nn

CONNECT_SECONDS = 3.0


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
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_timm_name(self.name)
        if self.weights is not None and self.pretrained:
            raise UserError(
                "a model starts from one set of weights",
                where=f"model.pretrained=true, model.weights={self.weights}",
                fix="model.pretrained=false   (or model.weights=null)",
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
        known = timm.get_pretrained_cfg(self.name, allow_unregistered=True)
        if known is not None and known.fixed_input_size:
            options["img_size"] = tuple(size)
        options |= self.options
        overlay = self._find_weights(known)
        if overlay:
            options["pretrained_cfg_overlay"] = overlay
        try:
            net: nn.Module = timm.create_model(
                self.name, pretrained=self.pretrained or overlay is not None, **options
            )
        except RuntimeError as error:
            if self.weights is None:
                raise
            raise self._do_not_fit(str(error)) from error
        return net

    def _find_weights(self, known: Any) -> dict[str, Any] | None:
        """What to tell timm of a file that is here; None where it finds its own, or needs none."""
        if self.weights is not None:
            return self._describe(self.weights, known)
        if not self.pretrained:
            return None
        if known is None or not known.has_weights:
            raise UserError(
                f"timm has no pretrained weights for {self.name}",
                where="model.pretrained=true",
                fix="model.pretrained=false   (or model.weights=FILE)",
            )
        cached = find_cached(known)
        if cached is None:
            self._check_reachable()
        return None if cached is None else {"file": cached}

    def _describe(self, weights: str, known: Any) -> dict[str, Any]:
        """What timm must know of a file, so that it converts what differs and nothing else."""
        import pickle

        import timm
        from safetensors import SafetensorError

        told: dict[str, Any] = {"file": weights}
        try:
            state = timm.models.load_state_dict(weights)
            if known is not None:
                bias = state.get(f"{known.classifier}.bias")
                told["num_classes"] = None if bias is None else len(bias)
                first = state.get(f"{known.first_conv}.weight")
                if first is not None:
                    told["input_size"] = (first.shape[1], *known.input_size[1:])
        except (OSError, RuntimeError, ValueError, AttributeError, TypeError, EOFError) as error:
            raise self._unreadable(error) from error
        except (pickle.UnpicklingError, SafetensorError) as error:
            raise self._unreadable(error) from error
        return told

    def _unreadable(self, error: Exception) -> UserError:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return UserError(
            f"'{self.weights}' cannot be read as weights: {first:.200}",
            where=f"model.weights={self.weights}",
            allowed="a .safetensors file, or a .pt or .pth that holds weights only",
        )

    def _do_not_fit(self, reason: str) -> UserError:
        """Which keys did not fit, as torch lists them, on one screen."""
        lines = [line.strip() for line in reason.splitlines()[1:]]
        shown = [line if len(line) < 300 else f"{line[:300]} ..." for line in lines[:8]]
        more = [f"... and {len(lines) - 8} more"] if len(lines) > 8 else []
        return UserError(
            f"the weights in '{self.weights}' do not fit {self.name}",
            where="\n".join([f"model.weights={self.weights}", *shown, *more]),
            fix="give the model that they were saved from: model.name=...",
        )

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
            raise UserError(
                f"the pretrained weights of {self.name} are not on this machine, "
                f"and their server cannot be reached: {error}",
                where="model.pretrained=true",
                fix="model.pretrained=false   (random weights)\n"
                "model.pretrained=false model.weights=FILE   (.safetensors, or weights-only .pt)",
            ) from error


def find_cached(known: Any) -> str | None:
    """The file of pretrained weights in the local cache, where an earlier run has left it."""
    from huggingface_hub import try_to_load_from_cache

    if not known.hf_hub_id:
        return None
    names = [known.hf_hub_filename] if known.hf_hub_filename else []
    for name in [*names, "model.safetensors", "pytorch_model.bin"]:
        found = try_to_load_from_cache(known.hf_hub_id, name)
        if isinstance(found, str):
            return found
    return None
