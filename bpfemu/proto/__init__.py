"""How a C function is declared in Python."""
