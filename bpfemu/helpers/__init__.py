"""Helpers for looking at an emulated kernel, with drgn's names in drgn's modules."""
