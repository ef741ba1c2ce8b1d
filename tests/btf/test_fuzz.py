"""Hostile BTF: whatever the bytes, only a BpfemuError comes out, and soon."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bpfemu.btf import Btf
from bpfemu.btf.check import check
from bpfemu.btf.compat import fields_are_compat, types_are_compat, types_match
from bpfemu.btf.encode import encode
from bpfemu.btf.render import dump_c, dump_raw, format_value, python_to_bytes, type_name
from bpfemu.btf.render import value_to_python as read
from bpfemu.errors import BpfemuError
from tests.btf.samples import split_pair
from tests.btf.test_dump_c import cyclic, tricky_layouts
from tests.btf.test_dump_raw import one_of_each

SEEDS = [one_of_each().raw, cyclic().raw, tricky_layouts().raw]


def attempt(function, *args):
    """Call; errors of ours are an answer."""
    try:
        return function(*args)
    except BpfemuError:
        return None


def use_everything(btf: Btf) -> None:
    attempt(check, btf.raw, btf.base)
    attempt(dump_raw, btf)
    attempt(dump_c, btf)
    attempt(encode, btf)
    for id in list(btf.ids())[:60]:
        attempt(type_name, btf, id)
        attempt(btf.align_of, id)
        attempt(btf.members, id)
        attempt(btf.find_member, id, "a.b[1].c")
        attempt(btf.func_proto, id)
        attempt(btf.decl_tags, id)
        size = attempt(btf.size_of, id)
        if size is not None and size <= 4096:
            value = attempt(read, btf, id, bytes(size))
            attempt(format_value, btf, id, b"\x41" * size)
            attempt(python_to_bytes, btf, id, value)
        for function in (fields_are_compat, types_are_compat, types_match):
            attempt(function, btf, id, btf, id)
    for name in ("color", "s", "pair", ""):
        attempt(btf.find, name)
        attempt(btf.find_all, name)
        attempt(btf.find_beginning, name)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 1 << 14), st.binary(min_size=1, max_size=4)), max_size=6),
    st.integers(0, 40),
)
def test_mutated_blobs_only_raise_our_errors(seed, changes, cut):
    data = bytearray(seed)
    for at, piece in changes:
        at %= len(data)
        data[at : at + len(piece)] = piece
    check(bytes(data[: len(data) - cut]))
    btf = attempt(Btf.parse, bytes(data[: len(data) - cut]))

    if btf is not None:
        use_everything(btf)


@pytest.mark.parametrize("seed", range(20))
def test_types_wired_at_random_only_raise_our_errors(seed):
    """Records stay records, but every reference, count and offset may be any small number."""
    rng = random.Random(seed)
    original = SEEDS[seed % len(SEEDS)]
    data = bytearray(original)
    starts = Btf.parse(original).starts
    ends = [*starts[1:], Btf.parse(original)._place.types_size // 4]
    for start, end in zip(starts, ends, strict=True):
        for word in (start + 2, *range(start + 3, end)):
            if rng.random() < 0.3:
                number = rng.choice([0, 1, 8, 32, rng.randrange(len(starts) + 2), 0xFFFFFFFF])
                data[24 + 4 * word : 28 + 4 * word] = number.to_bytes(4, "little")

    use_everything(Btf.parse(bytes(data)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 200), st.binary(min_size=1, max_size=4))
def test_mutated_split_blobs_only_raise_our_errors(at, piece):
    base, split = split_pair()
    data = bytearray(split.raw)
    at %= len(data)
    data[at : at + len(piece)] = piece
    btf = attempt(Btf.parse, bytes(data), base)

    if btf is not None:
        use_everything(btf)
