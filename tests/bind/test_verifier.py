"""Kinds of loads and stores as a real kernel's verifier decided them.

The verdicts were recorded from the log of Linux 6.18.44 (``verifier_log.py``), where the objects
were loaded with that kernel's own BTF; here they are bound to the emulated kernel's.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bpfemu.bind import BindOptions, bind
from bpfemu.elf import read_object
from bpfemu.kernel.vmlinux import vmlinux_btf
from bpfemu.machine.memory import LoadKind
from bpfemu.proto.profile import find_profile
from bpfemu.session import make_catalog
from tests.bind.verifier_log import verdicts

OBJECTS = sorted((Path(__file__).parent / "objects").glob("*.o"))
ORDINARY = {"UNKNOWN", "STACK", "MAP_VALUE", "MEM", "PACKET"}


def options() -> BindOptions:
    catalog, profile = make_catalog(), find_profile("6.18.44")
    return BindOptions(catalog, profile, vmlinux_btf(catalog, profile))


@pytest.mark.parametrize("path", OBJECTS, ids=lambda path: path.name)
def test_every_access_has_the_kind_that_the_real_verifier_gave_it(path: Path) -> None:
    record = json.loads(path.with_suffix(".json").read_text())
    assert record["kernel"] == "6.18.44" and len(record["programs"]) == 14
    found = read_object(path)

    wrong = []
    for name, wanted in record["programs"].items():
        image = bind(found, name, options())
        assert not image.uninit
        for slot, want in wanted.items():
            have = LoadKind(image.loads[int(slot)]).name
            if have != want and not (want == "ORDINARY" and have in ORDINARY):
                wrong.append((name, slot, want, have))

    assert not wrong


def test_a_log_is_read_for_what_each_access_went_through() -> None:
    log = [
        "0: R1=ctx() R10=fp0",
        "0: (79) r6 = *(u64 *)(r1 +8)         ; R1=ctx() R6=trusted_ptr_task_struct()",
        "1: (7b) *(u64 *)(r10 -8) = r6        ; R10=fp0 fp-8=trusted_ptr_task_struct()",
        "2: (79) r1 = *(u64 *)(r6 +16)   ; R1=rcu_ptr_task_struct() R6=trusted_ptr_task_struct()",
        "3: (85) call bpf_rcu_read_unlock#2   ;",
        "4: (61) r0 = *(u32 *)(r6 +0)         ; R0=scalar() R6=trusted_ptr_task_struct()",
        "from 0 to 4: R6=ptr_task_struct() R10=fp0",
        "4: (61) r0 = *(u32 *)(r6 +0)         ; R0=scalar()",
        "5: (95) exit",
    ]
    assert verdicts(log) == {0: "CTX", 1: "STACK", 2: "BTF", 4: "PROBE"}
