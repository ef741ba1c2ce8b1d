"""Real objects: the same source through several clangs and cpu versions says the same things."""

from __future__ import annotations

import hashlib
import itertools
import shutil
import subprocess
from pathlib import Path

import pytest

from bpfemu.btf import kinds as k
from bpfemu.elf import read_object
from bpfemu.isa.insn import CallSub, LoadImm64
from bpfemu.object import BpfObject, MapDef

OBJECTS = Path(__file__).parent / "objects"
TOURS = sorted(OBJECTS.glob("tour.*.o"))


@pytest.fixture(params=TOURS, ids=lambda path: path.name)
def tour(request: pytest.FixtureRequest) -> BpfObject:
    return read_object(request.param)


def by_name(found: BpfObject) -> dict[str, MapDef]:
    return {definition.name: definition for definition in found.maps}


def test_objects_of_four_clangs_and_four_cpu_versions_are_there() -> None:
    names = {path.name.split(".")[1] for path in TOURS}
    assert {"clang14", "clang16", "clang19", "clang22", "v1", "v2", "v4", "dwarf"} <= names


def test_functions_come_sorted_by_section_and_offset(tour: BpfObject) -> None:
    sections = [(f.section, f.name) for f in tour.functions]

    assert sections == [
        (".text", "chained"),
        (".text", "twice"),
        (".text", "each"),
        ("raw_tp/sys_enter", "tour"),
        ("?tp_btf/sched_switch", "switched"),
    ]
    text = [f for f in tour.functions if f.section == ".text"]
    assert [f.offset for f in text] == [0, len(text[0].code), sum(len(f.code) for f in text[:2])]


def test_linkage_is_that_of_the_source(tour: BpfObject) -> None:
    binding = {f.name: f.binding for f in tour.functions}

    assert binding == {
        "chained": "global",
        "twice": "local",
        "each": "local",
        "tour": "global",
        "switched": "global",
    }


def test_licence_version_and_digest_are_read(tour: BpfObject) -> None:
    assert tour.license == "Dual BSD/GPL"
    assert tour.kern_version == 0x060C00
    assert tour.digest == hashlib.sha256(Path(tour.path).read_bytes()).hexdigest()
    assert tour.name == "tour"


def test_maps_have_what_their_types_say(tour: BpfObject) -> None:
    maps = by_name(tour)

    assert set(maps) == {"counts", "records", "inner_one", "inner_two", "outer"}
    counts = maps["counts"]
    assert (counts.type, counts.key_size, counts.value_size, counts.max_entries) == (1, 4, 8, 64)
    assert tour.btf is not None
    assert tour.btf.size_of(counts.key_type) == 4 and tour.btf.size_of(counts.value_type) == 8
    assert (maps["records"].type, maps["records"].max_entries) == (27, 5000)


def test_a_map_of_maps_has_its_template_and_its_first_contents(tour: BpfObject) -> None:
    outer = by_name(tour)["outer"]

    assert (outer.type, outer.key_size, outer.value_size, outer.max_entries) == (12, 4, 4, 3)
    assert outer.inner is not None
    assert (outer.inner.type, outer.inner.max_entries, outer.inner.value_size) == (2, 4, 8)
    assert outer.slots == ((0, "inner_one"), (2, "inner_two"))


def test_data_sections_have_their_first_bytes(tour: BpfObject) -> None:
    data = {section.name: section for section in tour.data}

    assert list(data) == [".rodata", ".rodata.name", ".data", ".bss", ".kconfig"]
    assert data[".rodata"].data == (3).to_bytes(4, "little") and not data[".rodata"].writable
    assert data[".rodata.name"].data == b"tour\0"
    assert data[".data"].data == (5).to_bytes(4, "little") and data[".data"].writable
    assert data[".bss"].data == bytes(48)  # zeros[4], hidden_count and quiet: six u64
    assert data[".bss"].mmapable and data[".kconfig"].mmapable


def test_datasecs_get_their_sizes_and_offsets_from_the_symbols(tour: BpfObject) -> None:
    assert tour.btf is not None
    bss = tour.btf.type(next(s.btf_id for s in tour.data if s.name == ".bss"))
    assert isinstance(bss, k.DataSec)
    names = {tour.btf.type(entry.type).name: entry for entry in bss.entries}  # type: ignore[union-attr]

    assert bss.size == 48
    assert set(names) == {"zeros", "hidden_count", "quiet"}
    assert sorted(entry.size for entry in bss.entries) == [8, 8, 32]
    ends = [(entry.offset, entry.offset + entry.size) for entry in bss.entries]
    assert ends == sorted(ends)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ends))


def test_a_hidden_global_becomes_static(tour: BpfObject) -> None:
    assert tour.btf is not None
    quiet = tour.btf.type(tour.btf.find("quiet", k.Var) or 0)
    zeros = tour.btf.type(tour.btf.find("zeros", k.Var) or 0)

    assert isinstance(quiet, k.Var) and quiet.linkage == k.Linkage.STATIC
    assert isinstance(zeros, k.Var) and zeros.linkage == k.Linkage.GLOBAL


def test_kconfig_is_laid_out_by_alignment_then_size_then_name(tour: BpfObject) -> None:
    # int and u32 align to 4 (CONFIG_HZ before LINUX_...), bool (1 byte) before char[8]
    assert tour.btf is not None
    section = tour.btf.type(tour.btf.find(".kconfig", k.DataSec) or 0)
    assert isinstance(section, k.DataSec)
    places = [(tour.btf.type(e.type).name, e.offset, e.size) for e in section.entries]  # type: ignore[union-attr]

    assert places == [
        ("CONFIG_HZ", 0, 4),
        ("LINUX_KERNEL_VERSION", 4, 4),
        ("CONFIG_BPF", 8, 1),
        ("CONFIG_LSM", 9, 8),
    ]
    assert section.size == 17


def test_externs_have_their_kinds(tour: BpfObject) -> None:
    externs = {extern.name: extern for extern in tour.externs}

    assert {e.name for e in tour.externs if e.kind == "kfunc"} == {
        "bpf_iter_num_new",
        "bpf_iter_num_next",
        "bpf_iter_num_destroy",
        "bpf_is_not_there___v2",
    }
    assert externs["bpf_is_not_there___v2"].weak and not externs["bpf_iter_num_new"].weak
    assert externs["some_symbol"].kind == "ksym" and externs["some_symbol"].typeless
    assert externs["CONFIG_LSM"].weak and not externs["CONFIG_HZ"].weak
    assert {e.name for e in tour.externs if e.kind == "kconfig"} == {
        "CONFIG_HZ",
        "LINUX_KERNEL_VERSION",
        "CONFIG_BPF",
        "CONFIG_LSM",
    }


def test_core_records_name_member_paths(tour: BpfObject) -> None:
    switched = next(f for f in tour.functions if f.name == "switched")

    assert [(r.kind, r.access) for r in switched.core_relos] == [(0, "0:1"), (0, "0:0")]
    assert [r.slot for r in switched.core_relos] == [1, 2]  # r1 = ctx[2]; two field loads


def test_functions_have_their_btf_and_lines(tour: BpfObject) -> None:
    assert tour.btf is not None
    for function in tour.functions:
        found = tour.btf.type(function.btf_id)
        assert isinstance(found, k.Func) and found.name == function.name
        assert function.lines[0].slot == 0
        assert [line.slot for line in function.lines] == sorted(
            line.slot for line in function.lines
        )
    switched = next(f for f in tour.functions if f.name == "switched")
    source = (OBJECTS / "tour.c").read_text().splitlines()
    last = switched.lines[-1]
    assert last.file.endswith("tour.c")
    assert last.text == source[last.line - 1] == "\treturn task->real_parent->pid;"


def test_relocations_stand_at_calls_and_wide_loads(tour: BpfObject) -> None:
    for function in tour.functions:
        for reloc in function.relocs:
            assert isinstance(function.code[reloc.slot], CallSub | LoadImm64)
    program = next(f for f in tour.functions if f.name == "tour")
    names = [r.symbol.name or r.symbol.section for r in program.relocs]
    assert {"bpf_iter_num_new", "counts", "limit", "CONFIG_HZ", "chained"} <= set(names)


def test_a_section_nobody_knows_is_noted_not_refused() -> None:
    found = read_object(OBJECTS / "tour.clang22.o")

    assert any(".eh_frame" in note for note in found.notes)


@pytest.mark.parametrize("cpu", ["v1", "v2", "v3", "v4"])
@pytest.mark.parametrize("clang", ["clang-14", "clang-16", "clang-19"])
def test_code_without_debug_information_loads(clang: str, cpu: str, tmp_path: Path) -> None:
    path = shutil.which(clang)
    if path is None:
        pytest.skip(f"no {clang} on PATH")
    if (clang, cpu) in [("clang-14", "v4"), ("clang-16", "v4")]:
        pytest.skip(f"{clang} does not know cpu {cpu}")
    source = tmp_path / "plain.c"
    source.write_text(
        "static int counter;\n"
        '__attribute__((section("socket"))) int plain(void *ctx) { return ++counter; }\n'
    )
    target = tmp_path / "plain.o"
    command = [path, "-target", "bpf", "-O2", f"-mcpu={cpu}", "-c", source, "-o", target]
    subprocess.run(command, check=True)

    found = read_object(target)

    assert found.btf is None and [f.name for f in found.functions] == ["plain"]
    assert found.functions[0].btf_id == 0 and found.functions[0].lines == ()
    assert [section.name for section in found.data] == [".bss"]


def test_the_objects_are_what_their_script_builds(tmp_path: Path) -> None:
    if shutil.which("clang-19") is None or shutil.which("llvm-strip") is None:
        pytest.skip("no clang-19 and llvm-strip on PATH")
    target = tmp_path / "tour.o"
    flags = ["-target", "bpf", "-g", "-O2", "-fdebug-compilation-dir=.", "-mcpu=v3"]
    subprocess.run(["clang-19", *flags, "-c", "tour.c", "-o", target], cwd=OBJECTS, check=True)
    subprocess.run(["llvm-strip", "-g", target], check=True)

    fresh, committed = read_object(target), read_object(OBJECTS / "tour.clang19.o")

    assert fresh.functions == committed.functions
    assert fresh.maps == committed.maps and fresh.data == committed.data
