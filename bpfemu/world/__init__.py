"""Kernel objects that programs may see: declarations, and plain data to describe a world."""
