"""Builders of small inputs: each writes the smallest thing that shows the case."""
