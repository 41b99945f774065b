"""The first program to run on a machine with a GPU, and its tests, which need no GPU."""
