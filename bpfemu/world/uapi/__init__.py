"""Numbers and structs of the user-space interface (include/uapi)."""
