"""Times training steps on one GPU against PyTorch eager: until the call returns, and until the GPU has finished."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import rustorch

from . import adam, cnn, gpt, lstm, mlp
from .steps import torch_on
from .timing import queued_and_done

#: The steps that are timed, by title.
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
    "Adam's update in this step": lambda: adam.updates("cuda"),
}


def versions() -> str:
    """The GPU, the versions of its software, and whether products may use TF32's ten bits."""
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


def _make_wait() -> Callable[[], None]:
    """A function that waits until the GPU has finished the work of both libraries."""
    torch = torch_on("cuda")
    if torch is None:
        return rustorch.cuda.synchronize

    def wait() -> None:
        rustorch.cuda.synchronize()
        torch.cuda.synchronize()

    return wait


def run(rounds: int) -> int:
    """Time every case and print its figures. If a case fails, print the error and go on with the next one.

    Returns
    -------
    int
        How many cases failed.
    """
    print(f"\n{versions()}", flush=True)
    wait, failed = _make_wait(), 0
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
