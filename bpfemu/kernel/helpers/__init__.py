"""Helpers: one file per family, found by the catalog because it is there."""
