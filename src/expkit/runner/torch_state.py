"""Torch's settings that a whole process shares: a run has its own, and gives the caller's back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from expkit.probes.machine import flushes_denormals

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"  # is set where a run is to be deterministic


@contextmanager
def torch_left_as_it_was() -> Iterator[None]:
    """Let a run go on within another program of torch's, as in a process of its own.

    The caller's default type and device, autocast and no_grad do not reach into it, and what the
    run sets is undone: threads, denormals, determinism, and the state of the random generators.
    """
    threads, flushes = torch.get_num_threads(), flushes_denormals()
    determinism, dtype = torch.get_deterministic_debug_mode(), torch.get_default_dtype()
    cublas, on_mps = os.environ.get(CUBLAS), torch.backends.mps.is_available()
    mps_state = torch.mps.get_rng_state() if on_mps else None
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(list(gpus)))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda", "mps"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
            torch.set_num_threads(threads)
            torch.set_flush_denormal(flushes)
            torch.set_deterministic_debug_mode(determinism)
            if mps_state is not None:
                torch.mps.set_rng_state(mps_state)
            if cublas is None:
                os.environ.pop(CUBLAS, None)
            else:
                os.environ[CUBLAS] = cublas
