"""What is run first on a machine with a GPU, and tests of it that need none."""
