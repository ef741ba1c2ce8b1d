"""The whole line: what an image holds, what is refused, what is dead code."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from bpfemu.bind import bind, bind_all
from bpfemu.bind.check import map_type_name
from bpfemu.btf import BtfBuilder
from bpfemu.elf import read_object
from bpfemu.errors import BindError
from bpfemu.isa.insn import Call
from bpfemu.object import CoreRelo, Extern, MapDef
from bpfemu.record import replace
from tests.bind.small import HASH, KERNEL, image, kinds, obj, options

TOURS = sorted((Path(__file__).parent.parent / "elf" / "objects").glob("tour.*.o"))


def refused(text: str, **keywords: object) -> BindError:
    with pytest.raises(BindError) as caught:
        image(text, **keywords)
    return caught.value


# ---- programs and sections ---------------------------------------------------------------------


def test_an_image_says_what_the_section_says() -> None:
    found = image("r0 = 0; exit", section="?fentry.s/do_fork")
    assert (found.name, found.section) == ("main", "fentry.s/do_fork")
    assert (found.prog_type, found.attach_type, found.attach_to) == (26, 24, "do_fork")
    assert found.sleepable and found.gpl and found.entry == 0
    assert found.attach_btf_id == KERNEL.btf.find("do_fork")


def test_a_program_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(BindError, match="no program 'other' in small; there are: main") as caught:
        bind(obj("exit"), "other", options())
    assert caught.value.errno == errno.EINVAL


def test_a_subprogram_is_no_program() -> None:
    with pytest.raises(BindError, match="no program 'sub'"):
        bind(obj("call sub; exit", subs={"sub": "exit"}), "sub", options())


def test_a_section_that_says_no_type_is_refused_in_libbpfs_words() -> None:
    error = refused("exit", section="xdp/foo")
    assert error.errno == errno.EINVAL
    assert "missing BPF prog type, check ELF section name 'xdp/foo'" in str(error)


def test_all_programs_but_the_excused_are_bound_together() -> None:
    found = obj("r0 = 0; exit")
    main = found.functions[0]
    excused = replace(main, name="excused", section="?raw_tp/x")
    second = replace(main, name="second", section="raw_tp/x")
    images = bind_all(replace(found, functions=(main, excused, second)), options())
    assert list(images) == ["main", "second"]
    assert images["main"].arena_base == images["second"].arena_base


def test_the_digest_follows_the_code_and_its_addresses() -> None:
    text = "r1 = &.data ll; r0 = *(u32 *)(r1 + 0); exit"
    data = {".data": bytes(4)}
    first = image(text, data=data)
    assert first.digest == image(text, data=data).digest
    assert first.digest != image(text, data=data, bound={"seed": 1}).digest
    assert first.digest != image(text.replace("u32", "u16"), data=data).digest


# ---- attach targets ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "number", "words"),
    [
        ("fentry/nowhere", errno.ESRCH, "failed to find kernel BTF type ID of 'nowhere'"),
        ("tp_btf/nowhere", errno.ESRCH, "btf_trace_nowhere"),
        ("iter/nowhere", errno.ESRCH, "bpf_iter_nowhere"),
        ("lsm/nowhere", errno.ESRCH, "bpf_lsm_nowhere"),
        ("fentry/mod:do_fork", errno.ESRCH, "failed to find"),
        ("fentry", errno.EINVAL, "no BTF-based attach target is specified"),
        ("freplace/x", errno.EINVAL, "freplace needs a program"),
        ("fentry/" + "x" * 128, errno.ENAMETOOLONG, "128 characters"),
    ],
)
def test_attach_targets_that_are_not_there(section: str, number: int, words: str) -> None:
    error = refused("r0 = 0; exit", section=section)
    assert error.errno == number and words in str(error)


def test_arguments_of_a_tracepoint_start_after_its_own_data() -> None:
    found = image("r0 = 0; exit", section="tp_btf/sched_switch")
    assert [name for name, _ in found.ctx_args] == ["preempt", "prev"]
    assert found.attach_btf_id == KERNEL.btf.find("btf_trace_sched_switch")


def test_a_prefix_names_a_module_by_its_beginning() -> None:
    # libbpf compares as many characters as were given
    found = image(
        "r0 = 0; exit", section="fentry/nf:do_fork", bound={"modules": {"nfnetlink": KERNEL.btf}}
    )
    assert found.attach_btf_id == KERNEL.btf.find("do_fork")


# ---- shape -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("goto +5; exit", "jump out of range from insn 0 to 6"),
        ("r0 = 0", "last insn is not an exit or jmp"),
        ("goto +1; r0 = 0; exit", "unreachable insn 1"),
        ("if r1 == 0 goto +1; r0 = 0 ll; exit", "jump into the middle of ldimm64 insn 1"),
    ],
)
def test_bad_control_flow_is_refused_in_the_kernels_words(text: str, words: str) -> None:
    error = refused(text)
    assert error.errno == errno.EINVAL and words in str(error) and error.program == "main"


def test_257_functions_are_too_many() -> None:
    subs = {f"s{n}": "r0 = 0; exit" for n in range(256)}
    text = "; ".join(f"call s{n}" for n in range(256)) + "; exit"
    error = refused(text, subs=subs)
    assert error.errno == errno.E2BIG and "too many subprograms" in str(error)


def test_a_million_slots_are_the_most() -> None:
    found = obj("exit")
    (main,) = found.functions
    long = replace(main, code=main.code * 1_000_001)
    with pytest.raises(BindError, match="1000001 insns") as caught:
        bind(replace(found, functions=(long,)), "main", options())
    assert caught.value.errno == errno.E2BIG


# ---- maps --------------------------------------------------------------------------------------


def test_a_map_type_that_is_not_emulated_is_named_where_it_is_reached() -> None:
    queue = MapDef("queue", 22, 0, 4, 8)
    error = refused("r1 = &queue ll; exit", maps=[queue])
    assert "map 'queue': map type queue (22) is not emulated" in str(error)
    assert (error.errno, error.slot, error.symbol) == (errno.ENOTSUP, 0, "queue")


def test_a_map_type_that_no_kernel_has_is_named_by_its_number() -> None:
    error = refused("r1 = &later ll; exit", maps=[MapDef("later", 77, 0, 4, 8)])
    assert "map 'later': map type 77 is not emulated" in str(error)


def test_a_map_that_nobody_reaches_is_left_out_of_the_image() -> None:
    queue = MapDef("queue", 22, 0, 4, 8, offset=32)
    found = image("r0 = 0; exit", maps=[HASH, queue])
    assert [slot.definition.name for slot in found.maps] == ["hash"]
    dead = image("r0 = 0; if r0 == 0 goto out; r1 = &queue ll; out: exit", maps=[queue])
    assert dead.maps == ()


def test_65_maps_in_a_program_are_too_many() -> None:
    maps = [replace(HASH, name=f"m{n}", offset=32 * n) for n in range(65)]
    text = "; ".join(f"r1 = &m{n} ll" for n in range(65)) + "; exit"
    error = refused(text, maps=maps)
    assert error.errno == errno.E2BIG and "limit of 64" in str(error)


@pytest.mark.parametrize(
    ("number", "name"),
    [(1, "hash"), (2, "array"), (11, "lpm_trie"), (27, "ringbuf"), (33, "arena"), (99, "type 99")],
)
def test_map_types_have_bpftools_names(number: int, name: str) -> None:
    assert map_type_name(number) == name


# ---- dead code ---------------------------------------------------------------------------------

HIDDEN = "call 36; out: r0 = 0; exit"  # bpf_probe_write_user, which the small kernel lacks


def is_dead(text: str, **keywords: object) -> bool:
    """Is the call of a helper that is not there found to be unreachable?"""
    try:
        found = image(text, **keywords)
    except BindError as error:
        assert "bpf_probe_write_user#36 is not emulated" in str(error)
        return False
    return any(isinstance(insn, Call) and insn.imm == 36 for insn in found.code)


@pytest.mark.parametrize(
    ("load", "test", "dead"),
    [
        ("*(u32 *)(r1 + 0)", "r2 == 7", True),
        ("*(u32 *)(r1 + 0)", "r2 != 7", False),
        ("*(u8 *)(r1 + 1)", "r2 == 0", True),
        ("*(s8 *)(r1 + 4)", "r2 s< 0", True),
        ("*(u64 *)(r1 + 0)", "r2 == 0", False),
        ("*(u32 *)(r1 + 8)", "r2 == 0", False),  # beyond the section: nothing is known
    ],
)
def test_branches_on_read_only_globals_are_decided(load: str, test: str, dead: bool) -> None:
    text = f"r1 = &.rodata ll; r2 = {load}; if {test} goto out; {HIDDEN}"
    data = {".rodata": b"\x07\0\0\0\xff\0\0\0"}
    assert is_dead(text, data=data) is dead


def test_replaced_read_only_globals_decide_too() -> None:
    text = f"r1 = &.rodata ll; r2 = *(u32 *)(r1 + 0); if r2 == 7 goto out; {HIDDEN}"
    bound = {"rodata": {".rodata": b"\x07\0\0\0"}}
    assert is_dead(text, data={".rodata": bytes(4)}, bound=bound)
    assert not is_dead(text, data={".rodata": bytes(4)})


def test_writable_globals_decide_nothing() -> None:
    text = f"r1 = &.data ll; r2 = *(u32 *)(r1 + 0); if r2 == 7 goto out; {HIDDEN}"
    assert not is_dead(text, data={".data": b"\x07\0\0\0"})


@pytest.mark.parametrize(
    ("code", "dead"),
    [
        ("r1 = 5; r1 += 2; if r1 == 7 goto out", True),
        ("r1 = 5; r1 -= 6; if r1 s< 0 goto out", True),
        ("r1 = 5; r1 *= 3; r1 &= 8; if r1 == 8 goto out", True),
        ("r1 = 1; r1 <<= 40; r1 >>= 39; if r1 == 2 goto out", True),
        ("r1 = -8; r1 s>>= 2; if r1 == -2 goto out", True),
        ("r1 = 6; r1 |= 9; r1 ^= 1; if r1 > 13 goto out", True),
        ("r1 = 6; r1 = -r1; if r1 s<= -6 goto out", True),
        ("w1 = -1; if r1 == -1 goto out", False),  # 32 bits are zero-extended
        ("w1 = -1; w1 += 1; if r1 == 0 goto out", True),
        ("r1 = 255; r1 = (s8)r1; if r1 == -1 goto out", True),
        ("r1 = 3; r1 /= 2; if r1 == 1 goto out", False),  # quotients are not followed
        ("r1 = 5; if r1 & 4 goto out", True),
        ("r1 = 5; if r1 >= 6 goto out", False),
        ("r1 = 5; if r1 < 6 goto out", True),
        ("r1 = 5; if r1 <= 4 goto out", False),
        ("r1 = 5; if r1 s> 4 goto out", True),
        ("r1 = 5; if r1 s>= 6 goto out", False),
        ("r1 = 0x100000005 ll; if w1 == 5 goto out", True),
        ("r1 = r10; if r1 != 0 goto out", True),
        ("if r1 != 0 goto out", True),  # the context
        ("if r1 == 0 goto out", False),
        ("r2 = r1; r2 -= r10; if r2 != 0 goto out", False),
    ],
)
def test_branches_on_constants_are_decided(code: str, dead: bool) -> None:
    assert is_dead(f"{code}; {HIDDEN}") is dead


def test_constants_that_differ_between_two_ways_decide_nothing() -> None:
    text = (
        f"call bpf_ktime_get_ns; r6 = 1; if r0 == 0 goto +1; r6 = 2; if r6 == 1 goto out; {HIDDEN}"
    )
    assert not is_dead(text)
    same = (
        f"call bpf_ktime_get_ns; r6 = 1; if r0 == 0 goto +1; r6 = 1; if r6 == 1 goto out; {HIDDEN}"
    )
    assert is_dead(same)


def test_spilled_constants_decide_until_somebody_may_have_written_there() -> None:
    spilled = "*(u64 *)(r10 - 8) = 7;"
    test = f"r1 = *(u64 *)(r10 - 8); if r1 == 7 goto out; {HIDDEN}"
    assert is_dead(f"{spilled} {test}")
    read = "r1 = r10; r1 += -16; r2 = 16; r3 = 0; call bpf_probe_read_kernel;"
    assert not is_dead(f"{spilled} {read} {test}")
    unknown = "r6 = r1; *(u64 *)(r10 - 8) = 7; r1 = r10; r1 += -8; r2 = *(u64 *)(r6 + 0); r3 = 0;"
    assert not is_dead(f"{unknown} call bpf_probe_read_kernel; {test}")
    moved = "r2 = r10; call bpf_ktime_get_ns; r2 = r10; r2 += r0; *(u8 *)(r2 + 0) = 0;"
    assert not is_dead(f"{spilled} {moved} {test}")
    through = f"{spilled} r1 = r10; r1 += -8; call set; {test}"
    writes = "r2 = *(u32 *)(r10 - 4); r1 += r2; *(u8 *)(r1 + 0) = 0; r0 = 0; exit"
    assert not is_dead(through, subs={"set": writes})


@pytest.mark.parametrize(
    ("call", "at", "dead"),
    [
        ("r1 = r10; r2 = 0; r3 = 0; r4 = r10; r4 += -8; call bpf_strtol", -8, False),
        ("r1 = r10; r2 = 0; r3 = 0; r4 = r10; r4 += -8; call bpf_strtol", -16, True),
        ("r1 = r10; r1 += -8; call bpf_fill_pointer", -8, False),
        ("r1 = r10; r1 += -8; call bpf_fill_pointer", -16, True),
    ],
)
def test_a_call_overwrites_what_its_pointers_point_at_and_no_more(
    call: str, at: int, dead: bool
) -> None:
    text = f"*(u64 *)(r10 {at}) = 7; {call}; r1 = *(u64 *)(r10 {at}); if r1 == 7 goto out; {HIDDEN}"
    assert is_dead(text) is dead


def test_a_constant_argument_decides_in_the_callee() -> None:
    subs = {"sub": f"if r1 == 1 goto out; {HIDDEN}"}
    assert is_dead("r1 = 1; call sub; exit", subs=subs)
    assert not is_dead("r1 = 1; call sub; r1 = 2; call sub; exit", subs=subs)


def test_a_constant_result_decides_in_the_caller() -> None:
    assert is_dead(f"call one; if r0 == 1 goto out; {HIDDEN}", subs={"one": "r0 = 1; exit"})


def test_what_follows_a_throw_is_dead() -> None:
    assert is_dead(f"r1 = 0; call bpf_throw; {HIDDEN}")


def test_what_follows_a_call_that_never_returns_is_dead() -> None:
    subs = {"never": "here: r0 = 0; goto here"}
    assert is_dead(f"call never; {HIDDEN}", subs=subs)


def test_an_existing_kfunc_decides_that_it_is_there() -> None:
    externs = [Extern("bpf_throw", "kfunc", True, 0), Extern("bpf_gone", "kfunc", True, 0)]
    assert is_dead(f"r1 = &bpf_throw ll; if r1 != 0 goto out; {HIDDEN}", externs=externs)
    assert is_dead(f"r1 = &bpf_gone ll; if r1 == 0 goto out; {HIDDEN}", externs=externs)


def test_dead_loads_have_no_kind() -> None:
    assert kinds("r0 = 0; if r0 == 0 goto out; r0 = *(u64 *)(r10 - 8); out: exit") == ["UNKNOWN"]


# ---- CO-RE -------------------------------------------------------------------------------------


def test_a_poisoned_instruction_is_a_call_that_says_why() -> None:
    found = image(
        "r0 = 0; r1 = 0; exit",
        section="raw_tp/x",
        btf=KERNEL.btf,
        relos=[CoreRelo(1, KERNEL.mm, "0:0", 0)],
        bound={"kernel_btf": BtfBuilder().build("empty")},
    )
    (target,) = found.calls
    assert isinstance(found.code[1], Call) and target.poisoned
    assert target.name == "<invalid CO-RE relocation>"
    assert "failed to resolve CO-RE relocation <byte_off>" in target.why
    assert "struct mm_struct.count" in target.why


# ---- real objects ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", TOURS, ids=lambda path: path.name)
def test_every_compilers_tour_binds_alike(path: Path) -> None:
    found = read_object(path)
    images = {name: bind(found, name, options()) for name in ("tour", "switched")}

    tour = images["tour"]
    assert [sub.name for sub in tour.subprogs] == ["tour", "each", "twice", "chained"]
    assert {call.name for call in tour.calls if call.poisoned} == {"bpf_is_not_there___v2"}
    assert [segment.name for segment in tour.segments] == [
        ".rodata",
        ".rodata.name",
        ".data",
        ".bss",
        ".kconfig",
    ]
    kconfig = tour.segments[-1].data
    assert kconfig[:9] == (1000).to_bytes(4, "little") + bytes([0, 12, 6, 0, 1])
    assert tour.uninit == frozenset()
    assert any("tour.c" in tour.line_text(slot) for slot in range(len(tour.code)))
    switched = images["switched"]
    offsets = [getattr(insn, "offset", None) for insn in switched.code[1:3]]
    assert offsets == [16, 0]  # real_parent and pid in the small kernel's task_struct
