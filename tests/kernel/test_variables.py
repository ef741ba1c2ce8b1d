"""Kernel variables: addresses that need no kernel, values in memory, kallsyms."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from bpfemu.btf import BtfBuilder
from bpfemu.btf import kinds as k
from bpfemu.errors import InputError
from bpfemu.kernel.config import KernelConfig
from bpfemu.kernel.kernel import Kernel
from bpfemu.kernel.symbol_places import kernel_layouts
from bpfemu.kernel.variables import TEXT_BASE, KernelSymbols, PlacedVariables
from bpfemu.kernel.variables_btf import with_variables
from bpfemu.kernel.vmlinux import vmlinux_btf
from bpfemu.machine.memory import KERNEL, READ_ONLY, RegionKind
from bpfemu.proto.profile import PROFILES
from bpfemu.session import make_catalog
from bpfemu.world import KernelVariable, World

BASE, SIZE = 0xFFFF_8880_0010_0000, 4 << 20
CATALOG = make_catalog()
PROFILE = PROFILES["6.12.0"]


def kernel(*variables: KernelVariable, size: int = SIZE, **config: Any) -> Kernel:
    world = World(variables=variables)
    btf = with_variables(vmlinux_btf(CATALOG, PROFILE), [v for v in variables if not v.module])
    given = KernelConfig(profile=PROFILE, world=world, **config)
    return Kernel(CATALOG, given, kernel_btf=btf, arena_base=BASE, arena_size=size)


def variables_of(made: Kernel) -> PlacedVariables:
    found: PlacedVariables = made.services["variables"]
    return found


def placed(made: Kernel, name: str, module: str = "") -> int:
    """The address of a variable that an image refers to."""
    variables = variables_of(made)
    addr = variables.symbols.variables[module, name].addr
    variables.place_all([(name, addr, module)])
    return addr


def number(made: Kernel, addr: int, size: int) -> int:
    return made.memory.read_int(addr, size, signed=True)


# ---- addresses ---------------------------------------------------------------------------------


def test_addresses_do_not_depend_on_what_has_happened_in_the_kernel() -> None:
    made = kernel(KernelVariable("mine", "int"))
    made.memory.allocate(1000, RegionKind.MEMORY, "something")
    config = made.config
    layouts = kernel_layouts(CATALOG, made.space.layouts.btf)
    before = KernelSymbols(layouts, config, BASE + SIZE)
    for name in ("mine", "runqueues", "init_task", "jiffies"):
        assert variables_of(made).symbols.find(name) == before.find(name)


def test_variables_lie_apart_at_the_arenas_end() -> None:
    symbols = variables_of(kernel(cpus=4)).symbols
    ranges = []
    for variable in symbols.variables.values():
        starts = [variable.addr]
        if variable.percpu:
            starts += [symbols.copy(variable.addr, cpu) for cpu in range(4)]
        ranges += [(start, start + variable.size) for start in starts]
    ranges.sort()
    assert ranges[-1][1] < BASE + SIZE and ranges[0][0] > BASE
    for (_, end), (start, _) in pairwise(ranges):
        assert start - end >= 64


def test_all_variables_of_a_cpu_are_the_same_distance_away() -> None:
    symbols = variables_of(kernel()).symbols
    for name in ("runqueues", "bpf_prog_active"):
        addr = symbols.find(name)
        assert addr is not None
        assert addr - symbols.copy(addr, 0) == symbols.stride
        assert symbols.copy(addr, 0) - symbols.copy(addr, 1) == symbols.stride


def test_init_task_is_the_idle_task_of_the_world() -> None:
    made = kernel()
    assert placed(made, "init_task") == int(made.services["world"].tasks.init_task)


def test_what_is_allocated_stays_below() -> None:
    made = kernel()
    low = min(variables_of(made).symbols.copy(placed(made, "runqueues"), 1), BASE + SIZE)
    with pytest.raises(InputError, match="out of emulated memory"):
        made.memory.allocate(low - BASE, RegionKind.MEMORY, "too much")
    full = kernel(size=1 << 20)
    full.memory.allocate((1 << 20) - 1024, RegionKind.MEMORY, "nearly all")
    with pytest.raises(InputError, match=r"out of emulated memory: .* wants"):
        placed(full, "runqueues")


def test_variables_have_a_limit() -> None:
    big = KernelVariable("big", "long[1048576]", percpu=True)
    with pytest.raises(InputError, match="more than 1073741824 bytes"):
        variables_of(kernel(big, cpus=1000))


# ---- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("int", -5, (-5).to_bytes(4, "little", signed=True)),
        ("unsigned char", 300, bytes([44])),
        ("int[3]", (1, 2), b"\1\0\0\0\2\0\0\0\0\0\0\0"),
        ("char[2][3]", ((1, 2), (3,)), b"\1\2\0\3\0\0"),
        ("char[8]", b"name", b"name\0\0\0\0"),
        ("struct list_head", {"prev": 7}, bytes(8) + b"\7" + bytes(7)),
        ("struct list_head", 0, bytes(16)),
        ("struct task_struct *", 0x1234, b"\x34\x12" + bytes(6)),
        ("struct list_head[2]", (0, {"next": 1}), bytes(16) + b"\1" + bytes(15)),
    ],
)
def test_values_are_put_where_the_type_says(type_: str, value: Any, expected: bytes) -> None:
    made = kernel(KernelVariable("it", type_, value))
    addr = placed(made, "it")
    assert made.memory.read(addr, len(expected)) == expected
    assert made.memory.state_of(addr) == READ_ONLY


@pytest.mark.parametrize(
    ("type_", "value", "words"),
    [
        ("int", b"12345", "5 bytes do not fit 4"),
        ("int[2]", (1, 2, 3), "3 elements do not fit"),
        ("int", (1,), "1 elements do not fit"),
        ("int", {"a": 1}, "has no member 'a'"),
        ("struct list_head", {"next.x": 1}, "has no member 'next.x'"),
        ("struct list_head", {"nobody": 1}, "has no member 'nobody'"),
        ("struct list_head", 5, "is 5, but its type is struct list_head"),
        ("void *", "&nobody", "there is no variable 'nobody'"),
    ],
)
def test_values_that_do_not_fit_are_named(type_: str, value: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        placed(kernel(KernelVariable("it", type_, value)), "it")
    assert "variable 'it'" in str(caught.value) and caught.value.errno == 22


def test_pointers_to_variables_bring_them_along() -> None:
    made = kernel(
        KernelVariable("first", "struct list_head", {"next": "&second", "prev": "&first"}),
        KernelVariable("second", "struct list_head", {"next": "&first"}),
    )
    first = placed(made, "first")
    second = made.memory.read_int(first, 8)
    assert made.memory.read_int(second, 8) == first
    assert made.memory.read_int(first + 8, 8) == first


def test_each_cpu_has_its_copy_and_nobody_the_variable_itself() -> None:
    made = kernel(KernelVariable("hits", "long", percpu=(10, 20)), cpus=3)
    addr = placed(made, "hits")
    assert made.memory.state_of(addr) == KERNEL
    copies = [variables_of(made).per_cpu(addr, cpu) for cpu in range(3)]
    assert [number(made, copy or 0, 8) for copy in copies] == [10, 20, 20]
    assert variables_of(made).per_cpu(addr, 3) == 0
    assert variables_of(made).per_cpu(copies[0] or 0, 0) is None
    assert variables_of(made).per_cpu(placed(made, "jiffies"), 0) is None


def test_this_cpu_off_is_the_distance_to_each_cpus_variables() -> None:
    made = kernel()
    addr = placed(made, "this_cpu_off")
    for cpu in range(2):
        copy = variables_of(made).symbols.copy(addr, cpu)
        assert addr + number(made, copy, 8) == copy


def test_placing_twice_changes_nothing_and_other_symbols_are_passed_over() -> None:
    made = kernel(KernelVariable("it", "int", 3))
    addr = placed(made, "it")
    made.memory.write_int(addr, 4, 9)
    assert number(made, placed(made, "it"), 4) == 9
    variables_of(made).place_all([("bpf_throw", TEXT_BASE + 16, ""), ("elsewhere", 4096, "mod")])


def test_a_program_bound_to_another_kernels_addresses_is_refused() -> None:
    made = kernel(KernelVariable("it", "int"))
    with pytest.raises(InputError, match="bound for another one"):
        variables_of(made).place_all([("it", BASE + 4096, "")])


def test_a_user_may_replace_a_variable_but_not_the_idle_task() -> None:
    made = kernel(KernelVariable("nr_cpu_ids", "unsigned int", 77))
    assert number(made, placed(made, "nr_cpu_ids"), 4) == 77
    with pytest.raises(InputError, match="init_task is the idle task"):
        variables_of(kernel(KernelVariable("init_task", "struct task_struct", typed=False)))


@pytest.mark.parametrize(
    ("type_", "percpu", "words"),
    [
        ("int", True, "'runqueues': the kernel's BTF says that its type is struct rq"),
        ("struct rq", False, "'runqueues': the kernel's BTF says that it is a per-CPU variable"),
    ],
)
def test_a_description_that_the_kernels_btf_contradicts_is_refused(
    type_: str, percpu: bool, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        variables_of(kernel(KernelVariable("runqueues", type_, {}, percpu=percpu)))


def test_a_users_run_queues_replace_those_of_every_kernel() -> None:
    mine = KernelVariable("runqueues", "struct rq", percpu=({"nr_running": 3}, {"nr_running": 4}))
    made = kernel(mine)
    addr = placed(made, "runqueues")
    queues = [
        made.space.pointer(variables_of(made).per_cpu(addr, cpu) or 0, "rq") for cpu in (0, 1)
    ]
    assert [queue.nr_running for queue in queues] == [3, 4]


def test_a_variable_of_an_unknown_type_is_refused_without_btf_too() -> None:
    world = World(variables=(KernelVariable("it", "struct nobody", typed=False),))
    for btf in (vmlinux_btf(CATALOG, PROFILE), None):
        made = Kernel(
            CATALOG, KernelConfig(world=world), kernel_btf=btf, arena_base=BASE, arena_size=SIZE
        )
        with pytest.raises(InputError, match="the kernel's BTF has no type 'struct nobody'"):
            variables_of(made)


def test_per_cpu_variables_that_only_a_kernels_btf_knows_hold_zeros() -> None:
    found = BtfBuilder()
    base = vmlinux_btf(CATALOG, PROFILE)
    for _, known in base.types():
        found.add(known)
    var = found.var("irq_stat", base.find("unsigned int", k.Int) or 0)
    found.datasec(".data..percpu", 4, [(var, 0, 4)])
    section = base.find(".data..percpu", k.DataSec) or 0
    found.set(section, k.Typedef("was_percpu", 1))
    made = Kernel(
        CATALOG, KernelConfig(), kernel_btf=found.build("x"), arena_base=BASE, arena_size=SIZE
    )
    addr = placed(made, "irq_stat")
    assert number(made, variables_of(made).per_cpu(addr, 1) or 0, 4) == 0


# ---- what the kernel changes -------------------------------------------------------------------


def test_a_run_finds_time_passed_and_its_task_on_its_cpu() -> None:
    made = kernel()
    jiffies, queues = placed(made, "jiffies"), placed(made, "runqueues")
    active = placed(made, "bpf_prog_active")
    variables = variables_of(made)
    variables.begin(1, 2)  # a kprobe on CPU 1
    assert number(made, jiffies, 8) == made.clock.jiffies()
    copies = [variables.per_cpu(active, cpu) or 0 for cpu in (0, 1)]
    assert [number(made, copy, 4) for copy in copies] == [0, 1]
    queue = made.space.pointer(variables.per_cpu(queues, 1) or 0, "rq")
    assert int(queue.curr) == int(made.services["world"].tasks.current)
    variables.begin(1, 31)
    assert number(made, copies[1], 4) == 0


def test_a_users_own_variable_is_left_alone() -> None:
    made = kernel(KernelVariable("jiffies", "unsigned long", 5))
    addr = placed(made, "jiffies")
    variables_of(made).begin(0, 2)
    assert number(made, addr, 8) == 5


# ---- kallsyms ----------------------------------------------------------------------------------


def function() -> str:
    return "bpf_iter_num_new"


@pytest.mark.parametrize(
    ("kallsyms", "data", "shown", "code"),
    [("all", True, True, True), ("functions", False, False, True), ("restricted", True, 0, 0)],
)
def test_what_the_kernel_knows_and_what_it_shows(
    kallsyms: str, data: bool, shown: bool, code: bool
) -> None:
    symbols = variables_of(kernel(kallsyms=kallsyms)).symbols
    assert (symbols.find("jiffies") is not None) == data
    assert bool(symbols.shown("jiffies")) == (kallsyms != "functions")
    assert any(symbols.shown("jiffies")) == bool(shown)
    assert symbols.find(function()) is not None
    assert any(symbols.shown(function())) == bool(code)
    assert symbols.find("nobody") is None and symbols.shown("nobody") == ()


def test_kallsyms_is_one_of_three() -> None:
    with pytest.raises(InputError, match="must be one of all, functions, restricted"):
        KernelConfig(kallsyms="some")


def test_the_kernels_own_symbol_comes_before_a_modules() -> None:
    twice = KernelVariable("jiffies", "long", module="mod")
    symbols = variables_of(kernel(twice, KernelVariable("own", "int", module="mod"))).symbols
    assert symbols.find("jiffies") == symbols.variables["", "jiffies"].addr
    assert symbols.find("own") == symbols.variables["mod", "own"].addr
    assert len(symbols.shown("jiffies")) == 2
    assert symbols.shown("of_a_module", {"of_a_module": 64}.get) == (64,)


def test_modules_find_the_kernels_variables() -> None:
    made = kernel()
    assert made.btf.find_symbol("jiffies") == variables_of(made).symbols.find("jiffies")
