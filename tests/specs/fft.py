"""The extension ``fft``."""

from __future__ import annotations

import rustorch
from tests.specs.spec import EMPTY, MATRIX, RC, Input, R, Spec, shaped


def _fft(name: str, dtypes: tuple[str, ...] = RC) -> list[Spec]:
    """A transform with every normalization, of even and odd sizes, cut and filled with zeros."""
    function = getattr(rustorch.fft, name)
    size = "s" if name.endswith("n") else "n"
    calls = [{"norm": "ortho"}, {"norm": "forward"}, *({size: (n,) if size == "s" else n} for n in (1, 2, 3, 6, 7))]
    return [
        shaped(
            f"fft.{name}",
            "-".join(map(str, options.values())).strip("(,)"),
            lambda x, options=options: function(x, **options),
            Input((2, 4)),
            dtypes=dtypes,
            shapes=(((3,),),) if size == "s" else (((3,),), ((0, 2),)),
            torch=lambda torch, x, options=options: getattr(torch.fft, name)(x, **options),
        )
        for options in ({}, *calls)
    ]


FFT = [
    *_fft("fft"), *_fft("ifft"), *_fft("fftn"), *_fft("ifftn"), *_fft("rfft", R), *_fft("irfft"), *_fft("rfftn", R),
    *_fft("irfftn"), *_fft("hfft"), *_fft("ihfft", R),
    *[shaped(f"fft.{name}", "axes", lambda x, name=name: getattr(rustorch.fft, name)(x, axes=(1, 0), s=(3, -1)),
             Input((2, 2, 1)), dtypes=dtypes,
             torch=lambda torch, x, name=name: getattr(torch.fft, name)(x, dim=(1, 0), s=(3, -1)))
      for name, dtypes in (("fftn", RC), ("ifftn", RC), ("rfftn", R), ("irfftn", RC))],
    *[shaped(f"fft.{name}", "axis", lambda x, name=name: getattr(rustorch.fft, name)(x, axis=0), Input((3, 2)),
             dtypes=dtypes, torch=lambda torch, x, name=name: getattr(torch.fft, name)(x, dim=0))
      for name, dtypes in (("fft", RC), ("ifft", RC), ("rfft", R), ("irfft", RC), ("hfft", RC), ("ihfft", R))],
    shaped("fft.fftshift", "", rustorch.fft.fftshift, MATRIX, shapes=EMPTY,
           torch=lambda torch, x: torch.fft.fftshift(x)),
    shaped("fft.fftshift", "axes", lambda x: rustorch.fft.fftshift(x, axes=(1,)), MATRIX),
    shaped("fft.ifftshift", "", rustorch.fft.ifftshift, MATRIX, shapes=EMPTY,
           torch=lambda torch, x: torch.fft.ifftshift(x)),
]  # fmt: skip
