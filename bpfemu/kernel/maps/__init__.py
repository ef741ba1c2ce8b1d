"""Maps: one file per map type, found by the catalog because it is there."""
