"""Fused, compiled loops for NumPy's arrays, where Numba is installed: files of the same names as the plain kernels'.

`kernel` says when they are compiled and used, `compiler` how, `store` where they are kept, and `team` runs them on
several threads. Nothing here imports Numba before a kernel has to be compiled.
"""
