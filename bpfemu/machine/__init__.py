"""Where a program lives: memory, frames, how it stops, and the door it leaves by."""
