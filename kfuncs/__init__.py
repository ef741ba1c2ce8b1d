"""Kernel functions offered to programs: one file per family, found by folder."""
