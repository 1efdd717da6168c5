"""Measurements of speed and memory: our layers, MLPs with as many parameters, and other libraries."""
