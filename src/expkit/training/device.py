"""Devices and precision: chosen by name, refused where they are not, never silently swapped."""

from __future__ import annotations

import ctypes
import functools
import os
import resource
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from expkit.data.store.memory_limits import count_memory_bytes, count_own_bytes
from expkit.errors import UserError
from expkit.training import arguments
from expkit.training.bf16_convolutions import guard_bf16_convolutions

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class Device:
    """An opened device with everything that depends on it."""

    torch_device: torch.device
    precision: Precision
    channels_last: bool
    compile: bool
    reason: str  # one line: what was chosen, and why

    def place(self, model: nn.Module) -> nn.Module:
        """The model on the device, its weights laid out as the images are."""
        placed = model.to(self.torch_device)
        if self.torch_device.type == "cpu" and self.precision != "fp32":
            guard_bf16_convolutions(placed)
        return placed.to(memory_format=torch.channels_last) if self.channels_last else placed

    def arrange(self, images_BCHW: Tensor) -> Tensor:
        """Images as the weights are laid out; they come channels last, as they are stored."""
        return images_BCHW if self.channels_last else images_BCHW.contiguous()

    def autocast(self) -> AbstractContextManager[None]:
        if self.precision == "fp32":
            return nullcontext()
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float16
        return torch.autocast(self.torch_device.type, dtype=dtype)

    def memory_bytes(self) -> dict[str, int]:
        """Return the memory in use and in all: of a CUDA GPU, else of this machine."""
        if self.torch_device.type == "cuda":
            free, total = torch.cuda.mem_get_info()
            return {"used": total - free, "total": total}
        return {"used": count_own_bytes(), "total": count_memory_bytes()}

    def peak_memory_bytes(self) -> int:
        """The most that was held at once on a CUDA GPU, else by this process so far."""
        if self.torch_device.type == "cuda":
            return torch.cuda.max_memory_allocated()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


@dataclass(frozen=True)
class DeviceChoice(arguments.DeviceChoice):
    """A device as the config asks for it."""

    def open(self) -> Device:
        found = available_devices()
        if self.name != "auto" and self.name not in found:
            raise UserError(
                f"this machine has no {self.name} device that torch can use",
                where=f"device={self.name}",
                allowed="\n".join(f"{name}: {what}" for name, what in found.items()),
                fix=f"expkit train device={next(iter(found))}   (or device=auto)",
            )
        name = next(iter(found)) if self.name == "auto" else self.name
        why = "asked for" if self.name != "auto" else _why_chosen(name, found)
        precision, why_precision = self._choose_precision(name)
        self._set_globals()
        keep_freed_memory()
        return Device(
            torch_device=torch.device(name),
            precision=precision,
            channels_last=self.channels_last,
            compile=self.compile,
            reason=f"{name} ({found[name]}; {why}), {precision} ({why_precision})",
        )

    def _choose_precision(self, name: str) -> tuple[Precision, str]:
        if self.precision != "auto":
            return self.precision, "asked for"
        if has_bf16(name):
            return "bf16", "the hardware has it"
        return "fp32", "no bf16 in hardware"

    def _set_globals(self) -> None:
        for kind in (np.float32, np.float64):
            np.finfo(kind)  # and keep it: once denormals are flushed, numpy before 2.4 warns
        torch.set_flush_denormal(self.flush_denormals)  # before threads start, which inherit it
        torch.set_num_threads(self.threads or _initial_threads())
        if self.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        if self.compile:
            torch.use_deterministic_algorithms(self.deterministic)
        else:  # the same, but that it tells the compiler, whose import takes over a second
            torch.set_deterministic_debug_mode("error" if self.deterministic else "default")
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()  # of an earlier job of this process


@functools.cache
def keep_freed_memory() -> None:
    """Let glibc reuse the large blocks that every step frees, instead of asking the kernel anew.

    The kernel clears each page it hands out: on small nets that was 7 % of an epoch.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's alone
    if sys.platform == "linux" and mallopt is not None:
        trim_threshold, mmap_threshold = -1, -3  # as malloc.h numbers them
        mallopt(trim_threshold, 1 << 30)
        mallopt(mmap_threshold, 32 << 20)  # more it does not take


@functools.cache
def _initial_threads() -> int:
    """The number of threads that torch chose itself, before any run of this process set it."""
    return torch.get_num_threads()


def available_devices() -> dict[str, str]:
    """The devices of this machine, best first, each with what it is."""
    found = {}
    if torch.cuda.is_available():
        found["cuda"] = torch.cuda.get_device_name()
    if torch.backends.mps.is_available():
        found["mps"] = "Apple GPU"
    return {**found, "cpu": f"{os.cpu_count()} cores"}


def _why_chosen(name: str, found: dict[str, str]) -> str:
    return "the best of " + ", ".join(found) if len(found) > 1 else "no GPU that torch can use"


def has_bf16(name: str) -> bool:
    """Tell whether bf16 is fast there, not merely emulated."""
    if name == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if name == "mps":
        return False  # M1 emulates it and cannot be told from later ones
    read_capabilities = getattr(torch.cpu, "get_capabilities", dict)  # not in every torch
    capabilities: dict[str, object] = read_capabilities()
    return any(capabilities.get(flag) for flag in ("avx512_bf16", "amx_bf16", "bf16"))
