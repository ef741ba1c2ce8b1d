#!/bin/sh
# Rebuilds the objects next to this file from typed.c; verifier_log.py records what a kernel says.
set -e
cd "$(dirname "$0")"
flags="-target bpf -g -O2 -Wall -fdebug-compilation-dir=."
for cpu in v2 v3 v4; do
	clang-19 $flags -mcpu=$cpu -c typed.c -o typed.$cpu.o
	llvm-strip -g typed.$cpu.o
done
clang-14 $flags -mcpu=v3 -c typed.c -o typed.clang14.o
llvm-strip -g typed.clang14.o
