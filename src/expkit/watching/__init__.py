"""Our diagnosis on any PyTorch loop: expkit.watch."""
