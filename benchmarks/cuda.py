"""Training steps on one GPU, against PyTorch eager on the same card: when a step returns, and when the GPU has finished
it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import rustorch

from . import adam, cnn, gpt, lstm, mlp
from .steps import torch_on
from .timing import queued_and_done

#: What is timed, by what is printed before its figures.
CASES: dict[str, Callable[[], dict[str, Callable[[], object]]]] = {
    **{
        f"MLP {sizes}, batch {batch}": partial(
            lambda sizes, batch: mlp.step(sizes, batch).functions("cuda"), sizes, batch
        )
        for sizes, batch in (
            ([2, 4, 2], 32),
            ([784, 256, 128, 10], 64),
            ([1024, 1024, 1024, 10], 1024),
            ([4096, 4096, 4096, 10], 4096),
        )
    },
    "CNN, batch 64": lambda: cnn.step(64).functions("cuda"),
    "CNN, batch 1024": lambda: cnn.step(1024).functions("cuda"),
    "GPT with SGD": lambda: gpt.step("SGD").functions("cuda"),
    "GPT with AdamW": lambda: gpt.step("AdamW").functions("cuda"),
    "LSTM": lambda: lstm.step().functions("cuda"),
    f"MLP {adam.SIZES}, batch {adam.BATCH}, with Adam": lambda: adam.step().functions("cuda"),
    "Adam's update of that alone": lambda: adam.updates("cuda"),
}


def versions() -> str:
    """The card, what drives it, and which products may be computed with TF32's ten bits."""
    import cupy

    runtime = cupy.cuda.runtime
    card = runtime.getDeviceProperties(0)["name"].decode()
    lines = [
        f"on {card}: CuPy {cupy.__version__}, CUDA {runtime.runtimeGetVersion()}, driver {runtime.driverGetVersion()}, "
        f"CUPY_TF32 {os.environ.get('CUPY_TF32', 'not set')}"
    ]
    if torch := torch_on("cuda"):
        matmul, convolution = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
        lines.append(f"PyTorch {torch.__version__}; TF32 in products {_on(matmul)}, in convolutions {_on(convolution)}")
    else:
        lines.append("PyTorch is not installed, or has no CUDA: rustorch alone")
    return "\n".join(lines)


def _on(switch: bool) -> str:
    return "on" if switch else "off"


def _waiting() -> Callable[[], None]:
    """What waits until the GPU has finished all that either library asked of it."""
    torch = torch_on("cuda")
    if torch is None:
        return rustorch.cuda.synchronize

    def wait() -> None:
        rustorch.cuda.synchronize()
        torch.cuda.synchronize()

    return wait


def run(rounds: int) -> int:
    """Time every case and print its figures. A case that fails says why, and the next one runs.

    Returns
    -------
    int
        How many failed.
    """
    print(f"\n{versions()}", flush=True)
    wait, failed = _waiting(), 0
    for name, make in CASES.items():
        try:
            results = queued_and_done(make(), wait, rounds)
        except Exception as error:
            failed += 1
            print(f"{name:44}FAILED {type(error).__name__}: {' '.join(str(error).split())[:300]}", flush=True)
            continue
        text = [f"{who}: queued {a * 1e6:9.0f} us, done {b * 1e6:9.0f} us" for who, (a, b, _) in results.items()]
        text += [f"ratio {ratio:.2f}" for who, (_, _, ratio) in results.items() if who != "rustorch"]
        print(f"{name:44}" + "   ".join(text), flush=True)
    return failed
