"""How the proposal of September 2020 wrote a kernel variable's BTF id, explained.

It put the symbol's address into the two immediates and the id into the two offset fields, low half
first.  What was merged (Linux 5.10) has the id in the first immediate, a module's BTF in the
second, and no offsets (BTF notes, section 7.1).
"""

from __future__ import annotations

from bpfemu.isa.insn import LoadImm64

__all__ = ["explain_offsets"]

_U16 = 0xFFFF
_U32 = 0xFFFF_FFFF


def explain_offsets(insn: LoadImm64) -> str:
    """What an immediate load with offsets meant; "" when it has none."""
    low, high = insn.offs
    if not (low or high):
        return ""
    meant = (high & _U16) << 16 | low & _U16
    read = (high << 16 | low) & _U32  # 16-bit fields are signed: no mask, so the sign spreads
    text = (
        f"off {low} and {high} are the 2020 proposal's encoding of a ksym: BTF id {meant} in the "
        f"offsets, address {insn.value:#x} in the immediates"
    )
    if read != meant:
        text += f" (its verifier sign-extended the low half and read id {read:#x})"
    return f"{text}; the merged encoding is what runs: id in the first imm, offsets 0"
