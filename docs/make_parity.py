"""Write docs/parity.md: what Linux 6.18 has, what bpfemu has of it, and the test that proves it.

``python docs/make_parity.py`` rewrites the file; ``--check`` exits 1 when it is not up to date.
A tick needs both a definition and a test that names it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

# The kfunc sets of 6.18, by hook; module and network-driver metadata sets are left out.
KFUNCS: dict[str, str] = {
    "common": """
        bpf_cast_to_kern_ctx bpf_rdonly_cast bpf_rcu_read_lock bpf_rcu_read_unlock
        bpf_dynptr_slice bpf_dynptr_slice_rdwr bpf_dynptr_adjust bpf_dynptr_is_null
        bpf_dynptr_is_rdonly bpf_dynptr_size bpf_dynptr_clone bpf_dynptr_copy bpf_dynptr_memset
        bpf_iter_num_new bpf_iter_num_next bpf_iter_num_destroy
        bpf_iter_task_vma_new bpf_iter_task_vma_next bpf_iter_task_vma_destroy
        bpf_iter_css_task_new bpf_iter_css_task_next bpf_iter_css_task_destroy
        bpf_iter_css_new bpf_iter_css_next bpf_iter_css_destroy
        bpf_iter_task_new bpf_iter_task_next bpf_iter_task_destroy
        bpf_iter_bits_new bpf_iter_bits_next bpf_iter_bits_destroy
        bpf_iter_kmem_cache_new bpf_iter_kmem_cache_next bpf_iter_kmem_cache_destroy
        bpf_iter_dmabuf_new bpf_iter_dmabuf_next bpf_iter_dmabuf_destroy
        bpf_wq_init bpf_wq_set_callback_impl bpf_wq_start
        bpf_preempt_disable bpf_preempt_enable bpf_local_irq_save bpf_local_irq_restore
        bpf_copy_from_user_str bpf_copy_from_user_task_str bpf_copy_from_user_dynptr
        bpf_copy_from_user_str_dynptr bpf_copy_from_user_task_dynptr
        bpf_copy_from_user_task_str_dynptr bpf_probe_read_user_dynptr
        bpf_probe_read_user_str_dynptr bpf_probe_read_kernel_dynptr
        bpf_probe_read_kernel_str_dynptr bpf_get_kmem_cache bpf_modify_return_test_tp __bpf_trap
        bpf_strcmp bpf_strcasecmp bpf_strchr bpf_strchrnul bpf_strnchr bpf_strrchr bpf_strlen
        bpf_strnlen bpf_strspn bpf_strcspn bpf_strstr bpf_strnstr bpf_cgroup_read_xattr
        bpf_stream_vprintk_impl bpf_task_work_schedule_signal_impl
        bpf_task_work_schedule_resume_impl bpf_arena_alloc_pages bpf_arena_free_pages
        bpf_arena_reserve_pages bpf_map_sum_elem_count bpf_res_spin_lock bpf_res_spin_unlock
        bpf_res_spin_lock_irqsave bpf_res_spin_unlock_irqrestore""",
    "tracing, tc, xdp, struct_ops, syscall, cgroup": """
        crash_kexec bpf_obj_new_impl bpf_percpu_obj_new_impl bpf_obj_drop_impl
        bpf_percpu_obj_drop_impl bpf_refcount_acquire_impl bpf_list_push_front_impl
        bpf_list_push_back_impl bpf_list_pop_front bpf_list_pop_back bpf_list_front bpf_list_back
        bpf_rbtree_remove bpf_rbtree_add_impl bpf_rbtree_first bpf_rbtree_root bpf_rbtree_left
        bpf_rbtree_right bpf_task_acquire bpf_task_release bpf_task_from_pid bpf_task_from_vpid
        bpf_task_under_cgroup bpf_task_get_cgroup1 bpf_cgroup_acquire bpf_cgroup_release
        bpf_cgroup_ancestor bpf_cgroup_from_id bpf_throw bpf_send_signal_task bpf_lookup_user_key
        bpf_lookup_system_key bpf_key_put bpf_verify_pkcs7_signature""",
    "tracing, struct_ops, syscall": """
        bpf_cpumask_create bpf_cpumask_release bpf_cpumask_acquire bpf_cpumask_first
        bpf_cpumask_first_zero bpf_cpumask_first_and bpf_cpumask_set_cpu bpf_cpumask_clear_cpu
        bpf_cpumask_test_cpu bpf_cpumask_test_and_set_cpu bpf_cpumask_test_and_clear_cpu
        bpf_cpumask_setall bpf_cpumask_clear bpf_cpumask_and bpf_cpumask_or bpf_cpumask_xor
        bpf_cpumask_equal bpf_cpumask_intersects bpf_cpumask_subset bpf_cpumask_empty
        bpf_cpumask_full bpf_cpumask_copy bpf_cpumask_any_distribute
        bpf_cpumask_any_and_distribute bpf_cpumask_weight bpf_cpumask_populate""",
    "tracing": """
        css_rstat_updated css_rstat_flush bpf_sock_destroy bpf_get_task_exe_file bpf_put_file
        bpf_path_d_path bpf_get_dentry_xattr bpf_get_file_xattr bpf_set_dentry_xattr
        bpf_remove_dentry_xattr""",
    "kprobe": "bpf_session_is_return bpf_session_cookie",
    "syscall": "bpf_crypto_ctx_create bpf_crypto_ctx_release bpf_crypto_ctx_acquire",
    "networking": """
        bpf_crypto_encrypt bpf_crypto_decrypt bpf_dynptr_from_skb bpf_dynptr_from_skb_meta
        bpf_dynptr_from_xdp bpf_xdp_pull_data bpf_sock_addr_set_sun_path bpf_sk_assign_tcp_reqsk
        bpf_sock_ops_enable_tx_tstamp""",
    "sched_ext": "bpf_iter_scx_dsq_new bpf_iter_scx_dsq_next bpf_iter_scx_dsq_destroy",
}
ITERATORS = (
    "num",
    "bits",
    "task",
    "task_vma",
    "css",
    "css_task",
    "kmem_cache",
    "dmabuf",
    "scx_dsq",
)
# Relocation → what it is used for, and the test that loads objects with it.
RELOCATIONS = {
    "R_BPF_64_64": ("ldimm64: maps, data, externs, functions", "tests/bind/test_relocate.py"),
    "R_BPF_64_ABS64": ("initial slots of maps", "tests/elf/test_maps.py"),
    "R_BPF_64_ABS32": ("debug information, skipped", "tests/elf/test_objects.py"),
    "R_BPF_64_NODYLD32": (".BTF and .BTF.ext, ignored by loaders", "tests/elf/test_objects.py"),
    "R_BPF_64_32": ("calls", "tests/bind/test_link.py"),
}
# CO-RE kind → what the tests of bind call it.
CORE_KINDS = {
    "byte_off": "BYTE_OFF",
    "byte_sz": "BYTE_SIZE",
    "field_exists": "FIELD_EXISTS",
    "signed": "SIGNED",
    "lshift_u64": "LSHIFT",
    "rshift_u64": "RSHIFT",
    "local_type_id": "LOCAL_ID",
    "target_type_id": "TARGET_ID",
    "type_exists": "TYPE_EXISTS",
    "type_size": "TYPE_SIZE",
    "enumval_exists": "ENUM_EXISTS",
    "enumval_value": "ENUM_VALUE",
    "type_matches": "TYPE_MATCHES",
}
OTHER_INSNS = {
    "byte swaps": "bswap",
    "64-bit immediate": "ll",
    "goto": "goto",
    "gotol": "gotol",
    "may_goto": "may_goto",
    "callx": "callx",
    "load-acquire": "load_acquire",
    "store-release": "store_release",
    "addr_space_cast": "addr_space_cast",
    "LD_ABS, LD_IND": "skb[",
}


@cache
def texts() -> tuple[tuple[str, str], ...]:
    """(name, text) of every file below tests/ and every C program."""
    files = [p for p in (ROOT / "tests").rglob("*") if p.suffix in (".py", ".data")]
    files += (ROOT / "programs").rglob("*.bpf.c")
    return tuple((p.relative_to(ROOT).as_posix(), p.read_text()) for p in sorted(files))


def proof(*words: str, prefer: str = "") -> str:
    """The test or program that names one of the words: below ``prefer`` first, then elsewhere."""
    ends = [(word, "(?![A-Za-z0-9_])" if word[-1].isalnum() else "") for word in words]
    wanted = re.compile("|".join(re.escape(word) + end for word, end in ends))
    hits = [name for name, text in texts() if wanted.search(text)]
    hits = [name for name in hits if "/builders/" not in name and name != "tests/test_parity.py"]
    hits.sort(key=lambda name: (not name.startswith(prefer), not name.startswith("tests/"), name))
    return hits[0] if hits else ""


def table(title: str, rows: Iterable[tuple[str, bool, str, str]]) -> list[str]:
    """A section: name, there or not, note, proof."""
    rows = [(n, t and bool(p), note, p) for n, t, note, p in rows]
    done = sum(1 for row in rows if row[1])
    out = [f"## {title}: {done} of {len(rows)}", "", "| | | | test |", "|---|---|---|---|"]
    for name, there, note, test in rows:
        out.append(f"| {'✓' if there else ' '} | `{name}` | {note} | {test if there else ''} |")
    return [*out, ""]


def instructions() -> list[str]:
    """One row an operation, from the tables of ``isa`` and those of the interpreter."""
    from bpfemu.isa.ops import AluOp, AtomicOp, JmpOp

    rows = [
        (f"ALU {op.name}", True, "32 and 64 bits", proof(op.symbol, prefer="tests/conformance/"))
        for op in AluOp
    ]
    rows += [
        (f"JMP {op.name}", True, "32 and 64 bits", proof(op.symbol, prefer="tests/conformance/"))
        for op in JmpOp
    ]
    for size in (1, 2, 4, 8):
        u = f"*(u{8 * size} *)"
        rows.append((f"LDX {size}", True, "", proof(u, prefer="tests/conformance/")))
        rows.append((f"ST, STX {size}", True, "", proof(u, prefer="tests/conformance/")))
        if size < 8:
            rows.append(
                (
                    f"LDX {size} signed",
                    True,
                    "",
                    proof(f"*(s{8 * size} *)", prefer="tests/conformance/"),
                )
            )
    for atomic in AtomicOp:
        word = (
            atomic.name.lower()
            .replace("load_acq", "load_acquire")
            .replace("store_rel", "store_release")
        )
        rows.append(
            (f"ATOMIC {atomic.name}", True, "", proof(word, "lock *", prefer="tests/conformance/"))
        )
    rows += [
        (name, True, "", proof(word, prefer="tests/conformance/"))
        for name, word in OTHER_INSNS.items()
    ]
    return table("Instructions", rows)


def kfuncs() -> list[str]:
    """Every kfunc of the sets above."""
    from bpfemu.proto.catalog import Catalog
    from bpfemu.proto.profile import PROFILES
    from bpfemu.session import make_catalog

    catalog = make_catalog()
    out: list[str] = []
    rows = []
    for hook, names in KFUNCS.items():
        for name in names.split():
            there = [p.name for p in PROFILES.values() if catalog.find_kfunc(name, p)]
            rows.append((name, bool(there), hook, proof(name, prefer="tests/kfuncs/")))
    iterators = [_iterator(catalog.kfuncs, name) for name in ITERATORS]
    module = Catalog.discover("bpfemu.modules").kfuncs
    iterators.append(_iterator(module, "testmod_seq", "module bpf_testmod"))
    out += table("Open-coded iterators", iterators)
    return out + table("kfuncs", rows)


def _iterator(known: Mapping[str, object], name: str, note: str = "") -> tuple[str, bool, str, str]:
    parts = [f"bpf_iter_{name}_{part}" for part in ("new", "next", "destroy")]
    test = proof(parts[0], prefer="tests/modules/" if note else "tests/kfuncs/")
    return name, all(part in known for part in parts), note, test


def helpers() -> list[str]:
    """Every helper of the uapi list."""
    from bpfemu.bind.helper_names import HELPER_NAMES
    from bpfemu.session import make_catalog

    catalog = make_catalog()
    rows = [
        (
            f"bpf_{name}",
            number in catalog.helpers,
            str(number),
            proof(f"bpf_{name}", prefer="tests/kernel/helpers/"),
        )
        for number, name in enumerate(HELPER_NAMES)
        if number
    ]
    return table("Helpers", rows)


def map_types() -> list[str]:
    """Every map type."""
    from bpfemu.kernel.maps.types import MAP_TYPES
    from bpfemu.session import make_catalog

    known = make_catalog().map_types
    rows = []
    for number, name in sorted(MAP_TYPES.items()):
        test = proof(name, name.removeprefix("BPF_MAP_TYPE_"), prefer="tests/kernel/maps/")
        rows.append((name, number in known, str(number), test))
    return table("Map types", rows)


def prog_types() -> list[str]:
    """Every program type; its test runs one."""
    from bpfemu.kernel.progs.types import PROG_TYPE_NAMES
    from bpfemu.session import make_catalog

    known = make_catalog().prog_types
    tests = {name.rsplit("test_", 1)[-1]: name for name, _ in texts() if "kernel/progs" in name}
    rows = []
    for number, name in sorted(PROG_TYPE_NAMES.items()):
        cls = known.get(number)
        module = cls.__module__.rsplit(".", 1)[-1] if cls else ""
        test = tests.get(f"{module}.py") or tests.get("skb.py", "") if cls else ""
        rows.append((name, cls is not None, str(number), test))
    return table("Program types", rows[1:])


def relocations() -> list[str]:
    """ELF relocations and CO-RE kinds."""
    rows = [(name, True, note, test) for name, (note, test) in RELOCATIONS.items()]
    kinds = [
        (name, True, "", proof(word, name, prefer="tests/bind/test_core"))
        for name, word in CORE_KINDS.items()
    ]
    return table("ELF relocations", rows) + table("CO-RE relocations", kinds)


SECTIONS: tuple[Callable[[], list[str]], ...] = (
    instructions,
    relocations,
    kfuncs,
    helpers,
    map_types,
    prog_types,
)


def render() -> str:
    """The whole page."""
    lines = [
        "# Parity with Linux 6.18",
        "",
        "Generated by `docs/make_parity.py`. A tick means that bpfemu has it and that the named "
        "test or program uses it; no tick means that programs which need it are refused by name "
        "before anything runs.",
        "",
    ]
    for section in SECTIONS:
        lines += section()
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    page = ROOT / "docs" / "parity.md"
    text = render()
    if "--check" in sys.argv[1:]:
        sys.exit(0 if page.exists() and page.read_text() == text else "docs/parity.md is stale")
    page.write_text(text)
