"""What is set to fail does, what is not does not, and everything met is written down."""

from __future__ import annotations

from errno import EAGAIN, EFAULT, EINVAL, ENOMEM
from typing import Any

import pytest

from bpfemu.errors import InputError
from bpfemu.image import MapSlot
from bpfemu.kernel.fault_attr import FaultAttr
from bpfemu.kernel.fault_check import StackFrame
from bpfemu.machine.machine import code_address
from bpfemu.machine.stop import StopKind
from bpfemu.object import MapDef
from tests.kernel.doubles import ARENA_BASE, Bench, bench
from tests.kernel.test_scenarios import END, NEW, NEXT, lab, results, text

ALWAYS = FaultAttr(probability=100, times=-1)
TWICE = text(NEW, NEXT, END, NEW, NEXT, END)


def points(b: Bench) -> list[tuple[str, int]]:
    return [(met.point, met.call) for met in b.kernel.faults.met]


# ---- nothing set


def test_a_kernel_without_faults_makes_no_table_and_hooks_nothing():
    b = lab()

    outcome = b.run(TWICE)

    assert b.kernel.fault_table is None
    assert outcome.injected == ()
    allocator = b.kernel.services["mem_alloc"]
    assert allocator.alloc_fails is None and allocator.units.slab_fails is None
    assert b.kernel.locks.trylock_fails is None


def test_hooks_are_only_where_something_is_set():
    b = lab()
    b.kernel.faults.set("fail_lock/mmap_lock", ALWAYS)
    b.run(TWICE)

    assert b.kernel.services["mem_alloc"].alloc_fails is None
    assert b.kernel.locks.trylock_fails is not None
    assert points(b) == [("fail_lock/mmap_lock", 1), ("fail_lock/mmap_lock", 2)]


def test_a_function_that_nothing_is_set_for_keeps_its_own_body():
    b = lab()
    b.kernel.faults.function("bpf_iter_num_new", retval=-EINVAL)
    spec = b.kernel.catalog.find_kfunc("bpf_iter_task_vma_new", b.kernel.config.profile)
    assert spec is not None

    assert b.kernel.faults.body(spec) is spec.body


# ---- setting and clearing


def test_faults_in_the_configuration_are_set_from_the_start():
    b = lab(faults={"fail_bpf_mem_alloc": FaultAttr(fail_nth=1)})

    assert results(b.run(TWICE)) == [-ENOMEM, 0]


def test_wrong_faults_in_the_configuration_are_refused():
    with pytest.raises(InputError, match="no fault point 'fail_everything'"):
        lab(faults={"fail_everything": FaultAttr()})


def test_what_is_no_attribute_record_is_refused():
    with pytest.raises(InputError, match="'1,100,0,1' is no FaultAttr"):
        lab().kernel.faults.set("failslab", "1,100,0,1")  # type: ignore[arg-type]


def test_faults_set_between_runs_hold_for_the_next_and_clear_ends_them():
    b = lab()
    image = b.image(TWICE)
    first = results(b.run(image))
    b.kernel.faults.function("bpf_iter_task_vma_new", retval=-EAGAIN, times=-1)
    second = results(b.run(image))
    b.kernel.faults.clear()

    assert (first, second, results(b.run(image))) == ([0, 0], [-EAGAIN, -EAGAIN], [0, 0])
    assert b.kernel.faults.attributes == {}
    assert b.kernel.faults.met == ()


def test_times_count_down_over_runs_as_they_do_in_debugfs():
    b = lab()
    b.kernel.faults.set("fail_bpf_mem_alloc", FaultAttr(probability=100, times=3))

    assert [results(b.run(TWICE)) for _ in range(2)] == [[-ENOMEM, -ENOMEM], [-ENOMEM, 0]]
    assert b.kernel.faults.attributes["fail_bpf_mem_alloc"].times == 0


def test_an_allocator_made_later_is_hooked_too():
    b = lab(faults={"fail_bpf_mem_alloc": ALWAYS})

    made = b.kernel.new_allocator(24, False, "elements")

    assert made.alloc_fails is not None
    assert made.cache_alloc() != 0  # outside any run nothing is made to fail


def test_sizes_of_an_allocator_with_one_class_are_its_own():
    b = lab()
    made = b.kernel.new_allocator(24, False, "elements")
    b.kernel.faults.set("fail_bpf_mem_alloc/32", ALWAYS)
    b.enter(b.image("r0 = 0; exit"))

    assert made.cache_alloc() == 0
    assert points(b) == [("fail_bpf_mem_alloc/32", 1)]
    b.kernel.abort()


@pytest.mark.parametrize("setting", ["odds", "probabilty"])
def test_an_unknown_attribute_of_function_is_refused_by_name(setting):
    with pytest.raises(InputError, match=f"no attribute '{setting}'"):
        lab().kernel.faults.function("bpf_iter_num_new", **{setting: 1})


# ---- by size class, call site, n-th call


def test_another_size_class_does_not_fail():
    b = lab("6.12.0")
    b.kernel.faults.set("fail_bpf_mem_alloc/512", ALWAYS)

    assert results(b.run(TWICE)) == [0, 0]


def test_the_call_site_decides_with_a_stack_filter():
    """Lines of these programs are slots plus one; the second new is at slot 18 or later."""
    b = lab()
    b.kernel.faults.set(
        "fail_bpf_mem_alloc", FaultAttr(probability=100, times=-1, require=("prog:18-99",))
    )

    assert results(b.run(TWICE)) == [0, -ENOMEM]


def test_the_called_function_is_the_innermost_frame_of_the_stack():
    b = lab()
    attr = FaultAttr(probability=100, times=-1, require=("bpf_iter_task_vma_new",))
    b.kernel.faults.set("fail_bpf_mem_alloc", attr)

    assert results(b.run(TWICE)) == [-ENOMEM, -ENOMEM]


SUBPROG = """
    r1 = 0; call sub; r0 = 0; exit;
sub:
    r1 = r10; r1 += -8; r2 = 0; r3 = 1; call bpf_iter_num_new; r6 = r0;
    r1 = r10; r1 += -8; call bpf_iter_num_destroy; r0 = r6; exit
"""


def test_the_stack_names_the_frames_of_the_program_with_the_slots_of_their_calls():
    b = lab()
    b.kernel.faults.watch("fail_kfunc")
    b.run(SUBPROG)

    [met] = b.kernel.faults.met

    assert met.stack == (
        StackFrame("bpf_iter_num_new"),
        StackFrame("sub_4", 8, 9, "x.bpf.c:9: line 8;"),
        StackFrame("prog", 1, 2, "x.bpf.c:2: line 1;"),
    )
    assert (met.pc, met.line) == (8, "x.bpf.c:9: line 8;")


def test_fail_nth_is_swept_until_it_is_not_reached():
    """The kernel's idiom: raise N until the read-back is not 0."""
    b = lab()
    image, seen, n = b.image(TWICE), [], 1
    while True:
        b.kernel.faults.fail_nth(n)
        seen.append(results(b.run(image)))
        if b.kernel.faults.nth():
            break
        n += 1

    assert seen == [[-ENOMEM, 0], [0, -ENOMEM], [0, 0]]
    assert b.kernel.faults.nth("failslab") == 0


def test_fail_nth_keeps_the_points_other_attributes():
    b = lab()
    b.kernel.faults.set("fail_bpf_mem_alloc", FaultAttr(verbose=0))

    b.kernel.faults.fail_nth(1, contexts="task")

    attr = b.kernel.faults.attributes["fail_bpf_mem_alloc"]
    assert (attr.verbose, attr.fail_nth, attr.contexts) == (0, 1, "task")


@pytest.mark.parametrize(("contexts", "result"), [("all", -ENOMEM), ("task", 0)])
def test_in_an_nmi_fail_nth_counts_unless_it_is_the_kernels_own_rule(contexts, result):
    b = lab()
    b.kernel.faults.fail_nth(1, contexts=contexts)

    assert results(b.run(text(NEW, END), context="nmi")) == [result]


def test_a_plan_names_the_calls_of_each_run():
    b = lab()
    b.kernel.faults.plan({"fail_bpf_mem_alloc/128": (2,), "fail_lock/mmap_lock": (1,)})

    runs = [results(b.run(TWICE)) for _ in range(2)]

    assert runs == [[-16, -ENOMEM]] * 2


def test_a_new_plan_replaces_the_one_before():
    b = lab()
    b.kernel.faults.plan({"fail_bpf_mem_alloc/128": (1,)})
    b.kernel.faults.plan({})

    assert results(b.run(TWICE)) == [0, 0]


# ---- tasks


def test_make_it_fail_marks_the_tasks_that_the_filter_lets_fail():
    b = lab()
    pid = b.kernel.services["tasks"].current_pid
    b.kernel.faults.set("fail_bpf_mem_alloc", FaultAttr(100, times=-1, task_filter=True))
    unmarked = results(b.run(TWICE))
    b.kernel.faults.make_it_fail(pid)
    marked = results(b.run(TWICE))
    b.kernel.faults.make_it_fail(pid, on=False)

    assert (unmarked, marked) == ([0, 0], [-ENOMEM, -ENOMEM])
    assert results(b.run(TWICE)) == [0, 0]


# ---- kfuncs and helpers


def test_a_kfunc_fails_once_with_the_chosen_errno_and_its_body_does_not_run():
    b = lab()
    b.kernel.faults.function("bpf_iter_task_vma_new", retval=-EAGAIN)

    outcome = b.run(TWICE)

    assert results(outcome) == [-EAGAIN, 0]
    assert [stats.allocs for stats in outcome.allocator] == [1]
    assert outcome.ok


@pytest.mark.parametrize("profile", ["6.12.0", "6.18.44"])
def test_without_a_choice_the_errno_is_einval(profile):
    b = lab(profile)
    b.kernel.faults.function("bpf_iter_task_vma_new")

    assert results(b.run(TWICE)) == [-EINVAL, 0]


def test_a_whole_kind_fails_with_what_each_of_it_can_return():
    b = lab()
    b.kernel.faults.set("fail_kfunc", ALWAYS)

    outcome = b.run(TWICE)

    assert results(outcome) == [-EINVAL, -EINVAL] and outcome.ok


def test_an_iterator_whose_new_was_made_to_fail_is_empty_whatever_zeros_mean_to_its_type():
    """bpf_iter_buf of the doubles hands its own slot out, also when it holds 0."""
    b = bench()
    b.kernel.faults.function("bpf_iter_buf_new")
    walk = (
        "r1 = r10; r1 += -8; r2 = 64; call bpf_iter_buf_new; "
        "r1 = r10; r1 += -8; call bpf_iter_buf_next; r6 = r0; "
        "r1 = r10; r1 += -8; call bpf_iter_buf_destroy; r0 = r6; exit"
    )

    first, second = b.run(walk), b.run(walk)

    assert first.r0 == 0 and second.r0 != 0
    assert first.ok and second.ok
    assert results(first) == [-EINVAL]


def test_what_an_acquiring_function_did_not_return_is_no_reference():
    b = bench()
    b.kernel.faults.function("bpf_thing_get")

    outcome = b.run("r1 = 4096; call bpf_thing_get; exit")

    assert outcome == 0 and outcome.ok


def test_a_helper_that_calls_back_fails_without_calling():
    b = bench()
    b.kernel.faults.function("bpf_loop", retval=-EINVAL)
    loop = f"r1 = 3; r2 = {code_address(7):#x} ll; r3 = 0; r4 = 0; call bpf_loop; exit"
    image = b.image(f"{loop}; r0 = 0; exit", starts=(7,))

    outcomes = [b.run(image) for _ in range(2)]

    assert [outcome.value for outcome in outcomes] == [-EINVAL, 3]


MAPS = (MapSlot(MapDef("counts", 1, 4, 8, 8), ARENA_BASE),)
UPDATE = f"""
    r1 = 1; *(u32 *)(r10 -4) = r1; r1 = 7; *(u64 *)(r10 -16) = r1;
    r1 = {ARENA_BASE:#x} ll; r2 = r10; r2 += -4; r3 = r10; r3 += -16; r4 = 0;
    call bpf_map_update_elem; exit
"""


@pytest.mark.parametrize(
    ("point", "attr", "result"),
    [
        ("fail_map_update", ALWAYS, -ENOMEM),
        ("fail_map_update/counts", FaultAttr(100, retval=-7), -7),
        ("fail_map_update/others", ALWAYS, 0),
        ("fail_helper/bpf_map_update_elem", FaultAttr(100, retval=-16), -16),
    ],
)
def test_an_update_of_a_map_fails_with_an_errno(point, attr, result):
    b = lab()
    image = b.image(UPDATE, maps=MAPS)
    b.kernel.load(image)
    b.kernel.faults.set(point, attr)

    assert b.run(image) == result
    assert len(b.kernel.find_map("counts").user_keys()) == (not result)


def test_user_space_itself_updates_without_failing():
    b = lab(faults={"fail_map_update": ALWAYS, "fail_bpf_mem_alloc": ALWAYS})
    b.kernel.load(b.image(UPDATE, maps=MAPS))

    assert b.kernel.find_map("counts").user_update(bytes(4), bytes(8)) == 0


READ_USER = "r1 = r10; r1 += -8; r2 = 8; r3 = 4096; call {}; exit"


@pytest.mark.parametrize("name", ["bpf_probe_read_user", "bpf_copy_from_user"])
def test_user_memory_faults(name):
    from tests.kfuncs.conftest import WORLD

    b = lab(world=WORLD)
    image = b.image(READ_USER.replace("4096", "0x402000").format(name), sleepable=True)
    good = b.run(image).value
    b.kernel.faults.set("fail_user_access", ALWAYS)

    assert (good, b.run(image).value) == (0, -EFAULT)
    assert points(b) == [("fail_user_access", 1)]
    b.kernel.faults.clear()
    assert b.run(image) == 0


def test_writes_to_user_memory_fault_too():
    from tests.kfuncs.conftest import WORLD

    b = lab(world=WORLD, faults={"fail_user_access": ALWAYS})
    program = "r1 = 5; *(u64 *)(r10 -8) = r1; r1 = 0x402000; r2 = r10; r2 += -8; r3 = 8; "

    assert b.run(program + "call bpf_probe_write_user; exit") == -EFAULT


# ---- what is written down


def test_the_log_has_the_kernels_words():
    b = lab()
    b.kernel.faults.set("fail_bpf_mem_alloc", FaultAttr(probability=100, times=2))

    b.run(text(NEW, END))

    assert b.kernel.faults.log.drain()[:3] == (
        "FAULT_INJECTION: forcing a failure.",
        "name fail_bpf_mem_alloc, interval 1, probability 100, space 0, times 2",
        "Call Trace:",
    )


def test_an_outcome_tells_each_injection_with_point_call_and_place():
    b = lab()
    b.kernel.faults.set("fail_bpf_mem_alloc", FaultAttr(probability=100, verbose=0))

    outcome = b.run(text(NEW, END))

    assert outcome.injected == (
        "FAULT_INJECTION: forcing a failure. "
        "name fail_bpf_mem_alloc, interval 1, probability 100, space 0, times 1; "
        "fail_bpf_mem_alloc/128 call 1 at call bpf_iter_task_vma_new at prog+6 "
        "(x.bpf.c:7: line 6;)",
    )
    assert b.kernel.faults.log.drain() == ()


def test_watching_notes_every_point_and_changes_nothing():
    plain = lab()
    b = lab()
    b.kernel.faults.watch()

    before, after = plain.run(TWICE), b.run(TWICE)

    assert after == before
    pair = [
        "fail_kfunc/bpf_iter_task_vma_new",
        "fail_bpf_mem_alloc/128",
        "fail_lock/mmap_lock",
        "fail_kfunc/bpf_iter_task_vma_next",
    ]
    slab = [("failslab/128", call) for call in range(1, 49)]  # one batch
    expected = [(point, call) for call in (1, 2) for point in pair]
    assert [met for met in points(b) if met not in slab] == expected
    assert [met for met in points(b) if met in slab] == slab


def test_the_points_of_the_last_run_replace_those_of_the_run_before():
    b = lab()
    b.kernel.faults.watch("fail_bpf_mem_alloc")
    b.run(TWICE)
    b.run(text(NEW, END))

    assert points(b) == [("fail_bpf_mem_alloc/128", 1)]


def test_watch_takes_kinds_only():
    with pytest.raises(InputError, match="watch takes kinds of points"):
        lab().kernel.faults.watch("fail_bpf_mem_alloc/128")


def test_a_refill_after_the_programs_end_has_no_place():
    b = lab()
    b.kernel.faults.watch("failslab")

    b.run(text(NEW, END), context="irqoff")

    assert {(met.pc, met.line, met.stack) for met in b.kernel.faults.met} == {(-1, "", ())}
    assert len(b.kernel.faults.met) == 48


def test_an_injection_after_the_programs_end_is_in_its_outcome():
    b = lab(faults={"failslab": ALWAYS})

    outcome = b.run(text(NEW, END), context="irqoff")

    [said] = outcome.injected
    assert said.endswith("; failslab/128 call 1")


def test_a_replay_names_the_calls_that_failed_and_what_they_returned():
    b = lab(seed=5)
    b.kernel.faults.function("bpf_iter_task_vma_new", retval=-EAGAIN, times=-1, interval=2)
    b.kernel.faults.set("failslab", FaultAttr(probability=100, times=-1, interval=3))
    first = b.run(TWICE)
    words = b.kernel.faults.replay()

    assert words == (
        "failslab/128=calls=3",
        "fail_kfunc/bpf_iter_task_vma_new=calls=2,retval=-11",
    )
    pairs = (word.partition("=") for word in words)
    again = lab(seed=5, faults={point: FaultAttr.parse(spec) for point, _, spec in pairs})
    second = again.run(TWICE)
    assert results(second) == results(first) == [0, -EAGAIN]
    assert second.allocator == first.allocator
    assert again.kernel.faults.replay() == words


def test_without_a_failure_there_is_nothing_to_replay():
    b = lab()
    b.kernel.faults.watch()
    b.run(TWICE)

    assert b.kernel.faults.replay() == ()


def test_a_run_inside_another_has_points_of_its_own():
    b = lab()
    b.kernel.faults.watch("fail_bpf_mem_alloc")
    b.enter(b.image("r0 = 0; exit"))
    b.run(text(NEW, END), context="nmi")
    inner = points(b)

    b.kernel.abort()

    assert b.kernel.last_run is not None and b.kernel.last_run.met == []
    assert inner == []  # the outer run is the open one
    assert points(b) == []


# ---- seeds


def play(seed: int, **attributes: Any) -> list[list[int]]:
    b = lab(seed=seed)
    b.kernel.faults.set("fail_bpf_mem_alloc", FaultAttr(50, times=-1, **attributes))
    image = b.image(TWICE)
    return [results(b.run(image)) for _ in range(8)]


def test_equal_seeds_fail_equally_and_different_ones_differently():
    runs = [play(seed) for seed in (3, 3, 4)]

    assert runs[0] == runs[1] != runs[2]


def test_the_dice_of_a_point_do_not_depend_on_other_points():
    b = lab(seed=3)
    b.kernel.faults.set("fail_bpf_mem_alloc", FaultAttr(50, times=-1))
    b.kernel.faults.set("failslab", FaultAttr(50, times=-1))
    image = b.image(TWICE)

    assert [results(b.run(image)) for _ in range(8)] == play(3)


# ---- the object's BTF


def test_loading_btf_fails_with_the_chosen_errno_once():
    b = lab(faults={"fail_btf_load": FaultAttr(100, retval=-7)})

    assert [b.kernel.faults.btf_load_error() for _ in range(2)] == [-7, 0]
    assert "name fail_btf_load" in b.kernel.faults.log.drain()[1]


def test_a_failure_ends_no_run_by_itself():
    b = lab(faults={"fail_kfunc": ALWAYS, "fail_bpf_mem_alloc": ALWAYS})

    assert b.run(TWICE).stop.kind is StopKind.EXIT
