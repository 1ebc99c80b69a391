"""Quadrature along a path, in NumPy alone: points, integrators, refinement to a stated error."""
