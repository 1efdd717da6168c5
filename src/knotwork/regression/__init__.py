"""A table → candidate formulas, without a network: structures of curves, ridge functions, dimensionless groups."""
