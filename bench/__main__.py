"""``python -m bench``: every benchmark, one after the other."""

from __future__ import annotations

from importlib import import_module

ALL = ("bench.start", "bench.bench_interp", "bench.btf_open")

if __name__ == "__main__":
    for name in ALL:
        print(f"== {name}")
        import_module(name).main()
        print()
