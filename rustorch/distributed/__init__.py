"""Several processes: groups of ranks, and the exchanges between them."""
