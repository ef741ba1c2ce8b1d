"""What each load reads through, and which registers may be unset (verifier notes, section 4)."""

from __future__ import annotations

import errno

import pytest

from bpfemu.errors import BindError
from bpfemu.object import MapDef
from tests.bind.small import HASH, KERNEL, image, kinds, kinds_of

# In SEC("tp_btf/sched_switch") the second argument is a trusted task_struct.
TASK = "r1 = *(u64 *)(r1 + 8);"


def test_the_context_the_stack_and_globals_are_told_apart() -> None:
    text = (
        "r2 = *(u64 *)(r1 + 0); *(u64 *)(r10 - 8) = r2; r3 = &.data ll; r0 = *(u32 *)(r3 + 4); exit"
    )
    assert kinds(text, data={".data": bytes(8)}) == ["CTX", "STACK", "MAP_VALUE"]


def test_a_map_lookup_yields_a_map_value() -> None:
    text = """
        *(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r1 = &hash ll; call bpf_map_lookup_elem
        if r0 == 0 goto out; r0 = *(u64 *)(r0 + 0); out: exit
    """
    assert kinds(text, maps=[HASH]) == ["STACK", "MAP_VALUE"]


def test_a_lookup_in_a_map_of_maps_yields_a_map() -> None:
    outer = MapDef("outer", 12, 4, 4, 2, inner=HASH)
    text = """
        *(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r1 = &outer ll; call bpf_map_lookup_elem
        if r0 == 0 goto out; r1 = r0; r2 = r10; r2 += -4; call bpf_map_lookup_elem
        if r0 == 0 goto out; r0 = *(u64 *)(r0 + 0); out: exit
    """
    assert kinds(text, maps=[outer]) == ["STACK", "MAP_VALUE"]


def test_ring_buffer_records_are_memory() -> None:
    text = """
        r1 = &rb ll; r2 = 16; r3 = 0; call bpf_ringbuf_reserve; if r0 == 0 goto out
        *(u64 *)(r0 + 8) = 1; r1 = r0; r2 = 0; call bpf_ringbuf_submit; out: r0 = 0; exit
    """
    assert kinds(text, maps=[MapDef("rb", 27, max_entries=4096)]) == ["MEM"]


def test_elements_of_int_iterators_are_memory() -> None:
    text = "r1 = r10; r1 += -8; call bpf_iter_num_next; r0 = *(u32 *)(r0 + 0); exit"
    assert kinds(text) == ["MEM"]


# ---- BTF pointers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "kind"),
    [
        ("tp_btf/sched_switch", "BTF"),
        ("iter/task", "BTF"),
        ("lsm/task_alloc", "BTF"),
        ("fentry/do_fork", "PROBE"),
        ("fexit/do_fork", "PROBE"),
    ],
)
def test_only_fentry_like_arguments_probe(section: str, kind: str) -> None:
    at = 8 if section.startswith("tp_btf") else 0
    text = f"r1 = *(u64 *)(r1 + {at}); r0 = *(u32 *)(r1 + 0); exit"
    assert kinds(text, section=section) == ["CTX", kind]


def test_arguments_beyond_the_prototype_and_odd_offsets_are_numbers() -> None:
    text = """
        r2 = *(u64 *)(r1 + 80); r3 = *(u32 *)(r1 + 8)
        r0 = *(u8 *)(r2 + 0); r0 = *(u8 *)(r3 + 0); exit
    """
    assert kinds(text) == ["CTX", "CTX", "UNKNOWN", "UNKNOWN"]


def test_the_result_of_fexit_follows_the_arguments() -> None:
    found = image("r0 = 0; exit", section="fexit/do_fork")
    assert [name for name, _ in found.ctx_args] == ["task", "flags", "return"]


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ("call bpf_get_current_task_btf", "BTF"),
        ("r1 = 1; call bpf_task_from_pid", "PROBE"),  # acquired: a reference, but no flag
        ("call bpf_plain_task", "PROBE"),
        ("call bpf_rcu_task", "BTF"),
        ("r1 = r10; r1 += -8; call bpf_iter_task_next", "BTF"),
        ("r1 = r10; r1 += -8; call bpf_iter_css_next", "BTF"),
        ("call bpf_void_pointer", "UNKNOWN"),
        ("r1 = 0; r2 = 0; call bpf_rdonly_cast", "PROBE"),
        (f"r1 = 0; r2 = {KERNEL.task}; call bpf_rdonly_cast", "PROBE"),
        (f"r1 = 0; r2 = {KERNEL.int}; call bpf_rdonly_cast", "PROBE"),
        ("r1 = 0; r2 = 99999; call bpf_rdonly_cast", "PROBE"),
    ],
)
def test_results_are_trusted_as_the_verifier_trusts_them(call: str, kind: str) -> None:
    assert kinds(f"{call}; r0 = *(u32 *)(r0 + 0); exit") == [kind]


@pytest.mark.parametrize(
    ("offset", "kind"),
    [
        (8, "PROBE"),  # mm: no list has it
        (16, "BTF"),  # real_parent: safe under RCU
        (24, "BTF"),  # tagged __rcu
        (32, "PROBE"),  # __user
        (40, "UNKNOWN"),  # __percpu: refused
        (48, "PROBE"),  # within a union
        (56, "PROBE"),  # void *: untrusted memory
        (64, "PROBE"),  # element 0 of an array of pointers
        (72, "PROBE"),  # element 1
        (88, "PROBE"),  # a pointer in element 0 of an array of structs
        (104, "PROBE"),  # … in element 1
        (80, "UNKNOWN"),  # a number in such a struct
        (12, "UNKNOWN"),  # in the middle of a pointer
        (112, "UNKNOWN"),  # characters
        (200, "UNKNOWN"),  # beyond the struct
    ],
)
def test_members_of_a_trusted_struct(offset: int, kind: str) -> None:
    text = f"{TASK} r1 = *(u64 *)(r1 + {offset}); r0 = *(u32 *)(r1 + 0); exit"
    assert kinds(text)[1:] == ["BTF", kind]


def test_a_pointer_read_in_halves_is_a_number() -> None:
    text = f"{TASK} w1 = *(u32 *)(r1 + 8); r0 = *(u32 *)(r1 + 0); exit"
    assert kinds(text)[1:] == ["BTF", "UNKNOWN"]


def test_members_of_a_plain_pointer_stay_plain() -> None:
    text = f"{TASK} r1 = *(u64 *)(r1 + 8); r1 = *(u64 *)(r1 + 8); r0 = *(u32 *)(r1 + 0); exit"
    assert kinds(text)[1:] == ["BTF", "PROBE", "PROBE"]


def test_members_of_an_untrusted_pointer_stay_untrusted() -> None:
    text = f"r1 = 0; r2 = {KERNEL.task}; call bpf_rdonly_cast; r1 = *(u64 *)(r0 + 16)"
    assert kinds(f"{text}; r0 = *(u32 *)(r1 + 0); exit") == ["PROBE", "PROBE"]


def test_sleepable_programs_trust_rcu_members_only_in_a_read_section() -> None:
    walk = "r2 = *(u64 *)(r6 + 16); r0 = *(u32 *)(r2 + 0);"
    text = f"""
        r6 = *(u64 *)(r1 + 0); {walk}
        call bpf_rcu_read_lock; {walk} r7 = r2; call bpf_rcu_read_unlock
        r0 = *(u32 *)(r7 + 0); exit
    """
    found = kinds(text, section="lsm.s/task_alloc")
    assert found == ["CTX", "BTF", "PROBE", "BTF", "BTF", "PROBE"]


def test_rcu_locks_in_ordinary_programs_change_nothing() -> None:
    text = f"{TASK} r6 = *(u64 *)(r1 + 16); call bpf_rcu_read_lock; call bpf_rcu_read_unlock"
    assert kinds(f"{text}; r0 = *(u32 *)(r6 + 0); exit")[1:] == ["BTF", "BTF"]


def test_pointers_moved_by_a_constant_are_walked_there() -> None:
    text = f"{TASK} r1 += 8; r1 = *(u64 *)(r1 + 8); r0 = *(u32 *)(r1 + 0); exit"
    assert kinds(text)[1:] == ["BTF", "BTF"]  # 8 + 8: real_parent


def test_pointers_moved_by_a_variable_or_backwards_yield_numbers() -> None:
    away = f"{TASK} r2 = *(u32 *)(r1 + 0); r1 += r2; r1 = *(u64 *)(r1 + 16); r0 = *(u8 *)(r1); exit"
    assert kinds(away)[1:] == ["BTF", "BTF", "UNKNOWN"]
    back = f"{TASK} r1 += -8; r1 = *(u64 *)(r1 + 0); r0 = *(u8 *)(r1 + 0); exit"
    assert kinds(back)[1:] == ["BTF", "UNKNOWN"]


def test_stores_never_probe() -> None:
    text = "call bpf_plain_task; *(u32 *)(r0 + 0) = 1; r1 = 0; r2 = 0; call bpf_rdonly_cast"
    assert kinds(f"{text}; *(u8 *)(r0 + 0) = 1; r0 = 0; exit") == ["BTF", "UNKNOWN"]


def test_the_kernels_own_context_is_trusted() -> None:
    text = "call bpf_cast_to_kern_ctx; r0 = *(u32 *)(r0 + 0); exit"
    assert kinds(text, section="kprobe/x") == ["BTF"]  # struct pt_regs
    assert kinds(text, section="raw_tp/x") == ["CTX"]


# ---- spills, merges ----------------------------------------------------------------------------


def test_spilled_pointers_keep_their_kind() -> None:
    text = f"{TASK} *(u64 *)(r10 - 8) = r1; call bpf_ktime_get_ns; r1 = *(u64 *)(r10 - 8)"
    assert kinds(f"{text}; r0 = *(u32 *)(r1 + 0); exit")[1:] == ["STACK", "STACK", "BTF"]


@pytest.mark.parametrize(
    "overwrite",
    ["*(u8 *)(r10 - 5) = 0", "*(u64 *)(r10 - 12) = 0", "*(u64 *)(r10 - 4) = 0"],
)
def test_an_overwritten_spill_is_a_number(overwrite: str) -> None:
    text = f"{TASK} *(u64 *)(r10 - 8) = r1; {overwrite}; r1 = *(u64 *)(r10 - 8)"
    assert kinds(f"{text}; r0 = *(u32 *)(r1 + 0); exit")[-1] == "UNKNOWN"


def test_a_spill_that_a_helper_wrote_over_is_a_number() -> None:
    text = f"""
        {TASK} *(u64 *)(r10 - 8) = r1; r1 = r10; r1 += -8; r2 = 8; r3 = 0
        call bpf_probe_read_kernel; r1 = *(u64 *)(r10 - 8); r0 = *(u32 *)(r1 + 0); exit
    """
    assert kinds(text)[-1] == "UNKNOWN"


def test_part_of_a_spill_is_a_number() -> None:
    text = f"{TASK} *(u64 *)(r10 - 8) = r1; w1 = *(u32 *)(r10 - 8); r0 = *(u32 *)(r1 + 0); exit"
    assert kinds(text)[-1] == "UNKNOWN"


def test_atomics_on_the_stack_forget_or_exchange() -> None:
    spill = f"{TASK} *(u64 *)(r10 - 8) = r1;"
    added = f"{spill} r2 = 1; lock *(u64 *)(r10 - 8) += r2; r1 = *(u64 *)(r10 - 8)"
    assert kinds(f"{added}; r0 = *(u32 *)(r1 + 0); exit")[-1] == "UNKNOWN"
    swapped = f"{spill} r2 = 0; r2 = xchg_64(r10 - 8, r2)"
    assert kinds(f"{swapped}; r0 = *(u32 *)(r2 + 0); exit")[-1] == "BTF"


def merged(one: str, other: str) -> str:
    """r6 is one thing or the other, depending on the time; then it is read."""
    return f"""
        r7 = r1; call bpf_ktime_get_ns; if r0 == 1 goto other
        {one}; goto both; other: {other}; both: r0 = *(u32 *)(r6 + 0); exit
    """


STACK = "r6 = r10; r6 += -8"
VALUE = "r6 = &.data ll"
CONTEXT = "r6 = r7"
TRUSTED = "r6 = *(u64 *)(r7 + 8)"
PLAIN = "call bpf_plain_task; r6 = r0"
CAST = "r1 = 0; r2 = 0; call bpf_rdonly_cast; r6 = r0"
ELEMENT = "r1 = r10; r1 += -8; call bpf_iter_num_next; r6 = r0"
NULL = "r6 = 0"
NUMBER = "r6 = r0"


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        (STACK, VALUE, "UNKNOWN"),  # the kernel lets both through; each is checked when run
        (STACK, ELEMENT, "UNKNOWN"),
        (STACK, "r6 = r10; r6 += -16", "STACK"),
        (VALUE, "r6 = &.data+4 ll", "MAP_VALUE"),
        (VALUE, "r6 = &.bss ll", "MAP_VALUE"),
        (TRUSTED, PLAIN, "PROBE"),
        (PLAIN, CAST, "PROBE"),
        (TRUSTED, CAST, "PROBE"),
        (ELEMENT, CAST, "PROBE"),
        (ELEMENT, TRUSTED, "MEM"),
        (TRUSTED, NULL, "BTF"),
        (NULL, CONTEXT, "CTX"),
        (NUMBER, VALUE, "UNKNOWN"),
        (NUMBER, NULL, "UNKNOWN"),
    ],
)
def test_what_two_ways_have_in_common(one: str, other: str, kind: str) -> None:
    data = {".data": bytes(8), ".bss": bytes(8)}
    assert kinds(merged(one, other), data=data)[-1] == kind


@pytest.mark.parametrize(
    ("one", "other"), [(CONTEXT, STACK), (CONTEXT, VALUE), (TRUSTED, STACK), (CONTEXT, TRUSTED)]
)
def test_pointers_that_the_kernel_keeps_apart_are_refused_in_its_words(
    one: str, other: str
) -> None:
    with pytest.raises(
        BindError, match="same insn cannot be used with different pointers"
    ) as caught:
        image(merged(one, other), data={".data": bytes(8)})
    assert caught.value.errno == errno.EINVAL and caught.value.slot is not None


def test_a_mixture_that_is_not_read_through_is_no_mistake() -> None:
    text = merged(CONTEXT, STACK).replace("r0 = *(u32 *)(r6 + 0)", "r0 = r6")
    assert kinds(text, data={".data": bytes(8)}) == []


# ---- subprograms and callbacks -----------------------------------------------------------------


def test_arguments_and_results_cross_calls() -> None:
    text = f"{TASK} call walk; r0 = *(u32 *)(r0 + 0); exit"
    subs = {"walk": "r0 = *(u64 *)(r1 + 16); exit"}
    assert kinds(text, subs=subs) == ["CTX", "BTF", "BTF"]


def test_the_contexts_of_all_call_sites_are_merged() -> None:
    text = "r6 = r10; r1 = r10; r1 += -8; call read; r1 = &.data ll; call read; exit"
    subs = {"read": "r0 = *(u32 *)(r1 + 0); exit"}
    assert kinds(text, subs=subs, data={".data": bytes(8)}) == ["UNKNOWN"]


def test_a_callees_stack_is_not_its_callers() -> None:
    text = f"{TASK} *(u64 *)(r10 - 8) = r1; call scratch; r1 = *(u64 *)(r10 - 8)"
    text += "; r0 = *(u32 *)(r1 + 0); exit"
    subs = {"scratch": "*(u64 *)(r10 - 8) = 0; r0 = 0; exit"}
    assert kinds(text, subs=subs)[-2:] == ["BTF", "STACK"]  # main's last, then the subprogram's


def test_pointers_to_the_callers_stack_are_followed() -> None:
    text = f"{TASK} *(u64 *)(r10 - 8) = r1; r1 = r10; r1 += -8; call read; exit"
    subs = {"read": "r1 = *(u64 *)(r1 + 0); r0 = *(u32 *)(r1 + 0); exit"}
    assert kinds(text, subs=subs)[-2:] == ["STACK", "BTF"]


def test_what_a_callee_writes_on_its_callers_stack_is_forgotten() -> None:
    text = f"{TASK} *(u64 *)(r10 - 8) = r1; r1 = r10; r1 += -8; call clear"
    text += "; r1 = *(u64 *)(r10 - 8); r0 = *(u32 *)(r1 + 0); exit"
    subs = {"clear": "*(u64 *)(r1 + 0) = 0; r0 = 0; exit"}
    assert kinds(text, subs=subs)[3] == "UNKNOWN"


def test_what_a_callees_callee_writes_is_forgotten_too() -> None:
    text = f"{TASK} *(u64 *)(r10 - 8) = r1; r1 = r10; r1 += -8; call middle"
    text += "; r1 = *(u64 *)(r10 - 8); r0 = *(u32 *)(r1 + 0); exit"
    subs = {"middle": "call clear; exit", "clear": "*(u64 *)(r1 + 0) = 0; r0 = 0; exit"}
    assert kinds(text, subs=subs)[3] == "UNKNOWN"


def test_a_loop_callback_sees_its_context() -> None:
    text = f"""
        {TASK} *(u64 *)(r10 - 8) = r1; r1 = 4; r2 = &each ll; r3 = r10; r3 += -8; r4 = 0
        call bpf_loop; exit
    """
    subs = {"each": "r1 = *(u64 *)(r2 + 0); r0 = *(u32 *)(r1 + 0); r0 = 0; exit"}
    assert kinds(text, subs=subs)[-2:] == ["STACK", "BTF"]


def test_a_map_callback_gets_map_key_value_and_context() -> None:
    text = (
        "r1 = &hash ll; r2 = &each ll; r3 = r10; r3 += -8; r4 = 0; call bpf_for_each_map_elem; exit"
    )
    subs = {
        "each": "r0 = *(u32 *)(r2 + 0); r0 = *(u64 *)(r3 + 0); r0 = *(u64 *)(r4 + 0); r0 = 0; exit"
    }
    assert kinds(text, subs=subs, maps=[HASH]) == ["MEM", "MAP_VALUE", "STACK"]


def test_a_timer_callback_gets_the_map_of_its_value() -> None:
    text = "r1 = &.data ll; r2 = &fire ll; call bpf_timer_set_callback; exit"
    subs = {"fire": "r0 = *(u32 *)(r2 + 0); r0 = *(u64 *)(r3 + 0); r0 = 0; exit"}
    assert kinds(text, subs=subs, data={".data": bytes(8)}) == ["MEM", "MAP_VALUE"]


def test_a_vma_callback_gets_trusted_structs() -> None:
    text = f"{TASK} r2 = 0; r3 = &seen ll; r4 = r10; r4 += -8; r5 = 0; call bpf_find_vma; exit"
    subs = {
        "seen": "r0 = *(u32 *)(r1 + 0); r0 = *(u64 *)(r2 + 0); r0 = *(u64 *)(r3 + 0); r0 = 0; exit"
    }
    assert kinds(text, subs=subs)[1:] == ["BTF", "BTF", "STACK"]


def test_callbacks_of_other_functions_get_unknown_arguments() -> None:
    text = "r1 = &each ll; call bpf_call_me; exit"
    assert kinds(text, subs={"each": "r0 = *(u32 *)(r1 + 0); exit"}) == ["UNKNOWN"]
    tree = "r1 = r10; r2 = r10; r3 = &less ll; call bpf_rbtree_add_impl; exit"
    assert kinds(tree, subs={"less": "r0 = *(u64 *)(r2 + 0); exit"}) == ["MEM"]


def test_recursion_ends_the_pass_too() -> None:
    text = "call again; exit"
    subs = {"again": "if r1 == 0 goto out; r1 = *(u64 *)(r1 + 0); call again; out: r0 = 0; exit"}
    assert kinds(text, subs=subs) == ["UNKNOWN"]


def test_a_call_through_a_register_of_a_known_function_is_a_call() -> None:
    text = f"{TASK} r6 = &read ll; callx r6; exit"
    assert kinds(text, subs={"read": "r0 = *(u32 *)(r1 + 0); exit"})[-1] == "BTF"
    unknown = "r6 = *(u64 *)(r1 + 80); callx r6; r0 = *(u32 *)(r0 + 0); exit"
    assert kinds(unknown) == ["CTX", "UNKNOWN"]


# ---- registers that may be unset ---------------------------------------------------------------


def unset(text: str, **keywords: object) -> set[int]:
    return set(image(text, **keywords).uninit)


def test_registers_start_unset_but_the_context_and_the_frame() -> None:
    assert unset("r0 = r1; r0 = r10; exit") == set()
    assert unset("r0 = r2; r0 = r6; exit") == {0, 1}


def test_an_exit_reads_r0() -> None:
    assert unset("exit") == {0}


def test_calls_scratch_their_arguments() -> None:
    assert unset("r6 = r1; call bpf_ktime_get_ns; r1 = r6; r0 = r1; exit") == set()
    assert unset("call bpf_ktime_get_ns; r0 = r1; exit") == {1}


def test_calls_read_as_many_arguments_as_they_have() -> None:
    assert unset("r1 = r10; call bpf_iter_num_new; exit") == {1}
    assert unset("r1 = r10; r2 = 0; r3 = 0; call bpf_iter_num_new; exit") == set()


def test_a_call_that_returns_nothing_leaves_r0_unset() -> None:
    assert unset("r1 = r10; call bpf_iter_num_destroy; exit") == {2}


def test_one_way_that_leaves_a_register_unset_is_enough() -> None:
    text = "call bpf_ktime_get_ns; if r0 == 1 goto out; r6 = 1; out: r0 = r6; exit"
    assert unset(text) == {3}


def test_a_callee_sees_the_callers_arguments_but_not_its_saved_registers() -> None:
    text = "r6 = 1; r2 = 2; call sub; exit"
    assert unset(text, subs={"sub": "r0 = r2; exit"}) == set()
    assert unset(text, subs={"sub": "r0 = r6; exit"}) == {4}
    assert unset(text, subs={"sub": "r0 = r3; exit"}) == {4}
    assert unset("call sub; r0 = r6; exit", subs={"sub": "r6 = 1; r0 = 0; exit"}) == {1}


def test_a_static_subprogram_may_return_nothing_as_long_as_nobody_looks() -> None:
    assert unset("call sub; r0 = 0; exit", subs={"sub": "exit"}) == set()
    assert unset("call sub; exit", subs={"sub": "exit"}) == {1}


def test_a_global_subprogram_and_a_callback_must_return_something() -> None:
    assert unset("call sub; r0 = 0; exit", subs={"sub": "exit"}, global_subs=["sub"]) == {3}
    text = "r1 = &each ll; call bpf_call_me; exit"
    assert unset(text, subs={"each": "exit"}) == {4}


def test_atomics_read_what_they_add_and_compare() -> None:
    assert unset("lock *(u64 *)(r10 - 8) += r6; r0 = 0; exit") == {0}
    assert unset("r0 = cmpxchg_64(r10 - 8, r0, r1); exit") == {0}
    assert unset("r0 = load_acquire((u64 *)(r10 - 8)); exit") == set()


def test_packet_loads_read_the_context_and_scratch_arguments() -> None:
    text = "r6 = r1; r0 = *(u16 *)skb[12]; r1 = r2; exit"
    assert unset(text, section="socket") == {2}
    assert unset("r6 = r1; r0 = *(u8 *)skb[r7 + 0]; exit", section="socket") == {1}


def test_swaps_casts_and_arithmetic_read_what_they_change() -> None:
    assert unset("r6 = be16 r6; r7 += 1; r8 = -r8; r0 = 0; exit") == {0, 1, 2}


# ---- the context's narrow pointers -------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "offset", "wide"),
    [
        ("xdp", 0, 256),
        ("xdp", 4, 264),
        ("xdp", 8, 272),
        ("tc", 76, 408),
        ("tc", 80, 416),
        ("tc", 140, 536),
    ],
)
def test_pointers_in_u32_fields_are_loaded_whole_from_their_own_place(
    section: str, offset: int, wide: int
) -> None:
    # 8 bytes at 256 + 2 * field of the context block
    found = image(f"r2 = *(u32 *)(r1 + {offset}); r0 = 0; exit", section=section)
    load = found.code[0]
    assert (getattr(load, "size", 0), getattr(load, "offset", 0)) == (8, wide)


def test_a_moved_context_pointer_still_finds_the_place() -> None:
    found = image("r1 += 4; r2 = *(u32 *)(r1 + 0); r0 = 0; exit", section="xdp")
    assert getattr(found.code[1], "offset", 0) == 264 - 4


def test_other_fields_and_program_types_are_left_alone() -> None:
    for section, offset in [("xdp", 12), ("tc", 0), ("raw_tp", 0)]:
        found = image(f"r2 = *(u32 *)(r1 + {offset}); r0 = 0; exit", section=section)
        assert (getattr(found.code[0], "size", 0), getattr(found.code[0], "offset", 0)) == (
            4,
            offset,
        )


def test_packet_pointers_are_packets() -> None:
    text = "r2 = *(u32 *)(r1 + 0); r3 = *(u32 *)(r1 + 4); r0 = *(u8 *)(r2 + 0); exit"
    assert kinds(text, section="xdp") == ["CTX", "CTX", "PACKET"]
    wide = "r2 = *(u64 *)(r1 + 0); r0 = *(u8 *)(r2 + 0); exit"
    assert kinds(wide, section="sk_msg") == ["CTX", "PACKET"]


# ---- stack depth -------------------------------------------------------------------------------


def test_the_stack_depth_is_the_deepest_byte_rounded_up() -> None:
    found = image("*(u8 *)(r10 - 1) = 0; r2 = r10; r2 += -20; r0 = 0; exit")
    assert [sub.stack_depth for sub in found.subprogs] == [24]


def test_every_function_has_its_own_depth() -> None:
    found = image("call sub; r0 = 0; exit", subs={"sub": "*(u64 *)(r10 - 64) = 0; exit"})
    assert [(sub.name, sub.stack_depth) for sub in found.subprogs] == [("main", 0), ("sub", 64)]
    assert kinds_of(found) == ["STACK"]


# ---- corners -----------------------------------------------------------------------------------


def test_a_number_plus_a_pointer_is_the_pointer() -> None:
    text = "r2 = -8; r2 += r10; *(u64 *)(r2 + 0) = 0; r0 = 0; exit"
    assert kinds(text) == ["STACK"]


def test_a_number_minus_a_pointer_is_a_number() -> None:
    assert kinds("r2 = 8; r2 -= r10; r0 = *(u8 *)(r2 + 0); exit") == ["UNKNOWN"]


def test_pointers_moved_too_far_keep_their_kind_but_not_their_place() -> None:
    far = f"{TASK} r2 = 0x40000000; r1 += r2; r1 = *(u64 *)(r1 + 16); r0 = *(u8 *)(r1 + 0); exit"
    assert kinds(far)[1:] == ["BTF", "UNKNOWN"]


def test_an_unknown_pointer_moved_is_still_unknown() -> None:
    text = merged(STACK, VALUE).replace("both:", "both: r6 += r6;")
    assert kinds(text, data={".data": bytes(8)})[-1] == "UNKNOWN"


def test_a_context_moved_by_a_variable_yields_numbers() -> None:
    text = "r2 = *(u64 *)(r1 + 0); r1 += r2; r1 = *(u64 *)(r1 + 8); r0 = *(u8 *)(r1 + 0); exit"
    assert kinds(text) == ["CTX", "CTX", "UNKNOWN"]


def test_a_context_read_in_bytes_yields_numbers() -> None:
    text = "r2 = *(u16 *)(r1 + 8); r0 = *(u8 *)(r2 + 0); exit"
    assert kinds(text) == ["CTX", "UNKNOWN"]


def test_a_lookup_in_an_unknown_map_yields_a_map_value() -> None:
    other = MapDef("other", 1, 4, 8, 8, offset=32)
    text = """
        r7 = r1; call bpf_ktime_get_ns; r1 = &hash ll; if r0 == 1 goto one; r1 = &other ll
        one: r2 = r10; r2 += -4; call bpf_map_lookup_elem; r0 = *(u64 *)(r0 + 0); exit
    """
    assert kinds(text, maps=[HASH, other]) == ["MAP_VALUE"]


def test_a_callback_that_is_no_function_is_left_alone() -> None:
    assert kinds("r1 = 5; call bpf_call_me; r0 = *(u8 *)(r10 - 1); exit") == ["STACK"]


def test_a_callee_that_returns_its_callers_stack_returns_a_stack_pointer() -> None:
    text = "r1 = r10; r1 += -8; call same; *(u64 *)(r0 + 0) = 0; r0 = 0; exit"
    assert kinds(text, subs={"same": "r0 = r1; exit"}) == ["STACK"]


def test_a_callee_that_returns_its_own_stack_returns_nothing_known() -> None:
    text = "call own; *(u64 *)(r0 + 0) = 0; r0 = 0; exit"
    assert kinds(text, subs={"own": "r0 = r10; r0 += -8; exit"}) == ["UNKNOWN"]


def test_a_callee_that_ends_the_read_section_ends_it_for_its_caller() -> None:
    text = """
        r6 = *(u64 *)(r1 + 0); call bpf_rcu_read_lock; r7 = *(u64 *)(r6 + 16); call unlock
        r0 = *(u32 *)(r7 + 0); r1 = *(u64 *)(r6 + 16); r0 = *(u32 *)(r1 + 0); exit
    """
    subs = {"unlock": "call bpf_rcu_read_unlock; r0 = 0; exit"}
    found = kinds(text, section="lsm.s/task_alloc", subs=subs)
    assert found == ["CTX", "BTF", "PROBE", "BTF", "PROBE"]


def test_a_read_section_that_only_one_way_enters_is_none() -> None:
    text = """
        r6 = *(u64 *)(r1 + 0); call bpf_ktime_get_ns; if r0 == 0 goto both; call bpf_rcu_read_lock
        both: r1 = *(u64 *)(r6 + 16); r0 = *(u32 *)(r1 + 0); exit
    """
    assert kinds(text, section="lsm.s/task_alloc") == ["CTX", "BTF", "PROBE"]


def test_a_read_section_that_only_one_way_leaves_is_over() -> None:
    text = """
        r6 = *(u64 *)(r1 + 0); call bpf_rcu_read_lock; call bpf_ktime_get_ns; if r0 == 0 goto both
        call bpf_rcu_read_unlock
        both: r1 = *(u64 *)(r6 + 16); r0 = *(u32 *)(r1 + 0); exit
    """
    assert kinds(text, section="lsm.s/task_alloc") == ["CTX", "BTF", "PROBE"]


def test_writes_somewhere_in_a_callers_frame_reach_the_frames_above() -> None:
    spilled = "*(u64 *)(r10 - 8) = 7; r1 = r10; r1 += -16; call middle; r1 = *(u64 *)(r10 - 8)"
    text = f"{spilled}; if r1 == 7 goto out; r0 = *(u8 *)(r10 - 1); out: r0 = 0; exit"
    subs = {
        "middle": "call somewhere; exit",
        "somewhere": "r2 = *(u32 *)(r10 - 4); r1 += r2; *(u8 *)(r1 + 0) = 0; r0 = 0; exit",
    }
    # the byte load is alive: the constant may have been overwritten
    assert kinds(text, subs=subs) == ["STACK", "STACK", "STACK", "STACK", "STACK"]


def test_a_spill_that_two_ways_filled_alike_keeps_what_is_common() -> None:
    text = f"""
        {TASK} r6 = r1; *(u64 *)(r10 - 8) = r1; call bpf_ktime_get_ns; if r0 == 0 goto both
        call bpf_plain_task; *(u64 *)(r10 - 8) = r0; *(u64 *)(r10 - 16) = r6
        both: r1 = *(u64 *)(r10 - 8); r0 = *(u32 *)(r1 + 0)
        r1 = *(u64 *)(r10 - 16); r0 = *(u32 *)(r1 + 0); exit
    """
    assert kinds(text)[-4:] == ["STACK", "PROBE", "STACK", "UNKNOWN"]


def test_arena_casts_make_arena_pointers() -> None:
    text = "r2 = 5; r2 = addr_space_cast(r2, 0, 1); r0 = *(u8 *)(r2 + 0); exit"
    assert kinds(text) == ["ARENA"]


def test_a_read_only_frame_pointer_stays_where_it_is() -> None:
    assert kinds("r10 = 0; *(u64 *)(r10 - 8) = 1; r0 = 0; exit") == ["STACK"]
