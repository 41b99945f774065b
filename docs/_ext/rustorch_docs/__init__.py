"""What builds rustorch's site beyond Sphinx: pages of the reference, tables, and the gallery of examples."""
