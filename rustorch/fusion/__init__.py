"""Functions of the user's as one loop: `fuse`.

- `function`: what `fuse` returns, the arguments of its calls, and the errors;
- `captured`: the numbers that a function reads from outside;
- `operation`: a traced function, its loops, and the loops of its gradients;
- `tracing`: running a function on symbols;
- `explanation`: how a call runs, in words.
"""

from __future__ import annotations

from .function import FusedFunction, fuse

__all__ = ["FusedFunction", "fuse"]
