#!/bin/sh
# Rebuilds the objects next to this file from tour.c; each name says compiler, cpu and what is left.
set -e
cd "$(dirname "$0")"
for clang in 14 16 19; do
	clang-$clang -target bpf -g -O2 -fdebug-compilation-dir=. -mcpu=v3 -c tour.c -o tour.clang$clang.o
	llvm-strip -g tour.clang$clang.o
done
for cpu in v1 v2 v4; do
	clang-19 -target bpf -g -O2 -fdebug-compilation-dir=. -mcpu=$cpu -c tour.c -o tour.$cpu.o
	llvm-strip -g tour.$cpu.o
done
clang-14 -target bpf -g -O2 -fdebug-compilation-dir=. -mcpu=v3 -c tour.c -o tour.dwarf.o
python3 -m ziglang cc -target bpfel-freestanding -g -O2 -fdebug-compilation-dir=. -mcpu=v3 -c tour.c -o tour.clang22.o
