"""Write bpfemu/include/vmlinux.h: the emulated kernel's BTF as C.

``make -C programs vmlinux`` runs it after a change to the types in ``bpfemu/world`` or ``kfuncs``;
a test says when the header has fallen behind.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = ROOT / "bpfemu" / "include" / "vmlinux.h"
PROFILE = "6.18.44"  # the newest kernel: it has every type that the others have
END = "#endif /* __VMLINUX_H__ */\n"


def render() -> str:
    """The header's text: what ``bpftool btf dump … format c`` would print, and uapi.h."""
    from bpfemu.btf.render import dump_c
    from bpfemu.kernel.vmlinux import vmlinux_btf
    from bpfemu.proto.profile import find_profile
    from bpfemu.session import make_catalog

    text = dump_c(vmlinux_btf(make_catalog(), find_profile(PROFILE)))
    body, end, rest = text.rpartition(END)
    assert end and not rest, "dump_c ends its text in another way"
    return (
        "/* The emulated kernel's types.  Written by programs/gen_vmlinux_h.py. */\n"
        f"{body}/* Constants that no type of the kernel's BTF carries. */\n"
        f"#include <bpfemu/uapi.h>\n\n{END}"
    )


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    HEADER.write_text(render())
