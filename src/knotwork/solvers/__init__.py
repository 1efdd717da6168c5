"""Damped Gauss-Newton loops for nonlinear least squares: one problem, or many small ones at once."""
