"""Instructions: what one is, how it is encoded, how it reads."""
