"""Benchmarks against PyTorch, JAX, autograd and MyGrad: ``python -m benchmarks``."""
