"""tc classifiers and actions: the frame with its Ethernet header, readable and writable."""

from __future__ import annotations

from typing import Final

from bpfemu.image import ProgramImage
from bpfemu.kernel.config import RunOptions
from bpfemu.kernel.progs.base import Ctx, ProgEnv
from bpfemu.kernel.progs.skb import SOCKET_FIELDS, SkbType, place_skb
from bpfemu.proto.marks import prog_type

TC: Final = SkbType(
    hidden=SOCKET_FIELDS,
    writable=(
        "mark",
        "tc_index",
        "priority",
        "tc_classid",
        "cb",
        "tstamp",
        "queue_mapping",
    ),
    ethernet=True,
    direct=True,
)
"""tc_cls_act_is_valid_access."""


@prog_type(3)
class SchedCls:
    """BPF_PROG_TYPE_SCHED_CLS."""

    name = "sched_cls"

    @staticmethod
    def place(env: ProgEnv, image: ProgramImage, options: RunOptions) -> Ctx:
        """The frame and its context."""
        return place_skb(env, image, options, TC)


@prog_type(4)
class SchedAct:
    """BPF_PROG_TYPE_SCHED_ACT."""

    name = "sched_act"

    @staticmethod
    def place(env: ProgEnv, image: ProgramImage, options: RunOptions) -> Ctx:
        """The frame and its context."""
        return place_skb(env, image, options, TC)
