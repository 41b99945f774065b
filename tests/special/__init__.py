"""Differentiable functions, activations and losses at special values, compared with arithmetic of thousands of bits."""
