"""The order in which networks, grids, knots and time windows are solved; each strategy is a file."""
