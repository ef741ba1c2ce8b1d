"""What a run shows, where a test of the whole command would hide the case."""

from __future__ import annotations

from pathlib import Path

import pytest

from bpfemu.cli.show import outcome_dict, show_outcome
from bpfemu.elf import read_object
from bpfemu.record import replace
from bpfemu.session import Options
from bpfemu.skeleton import Skeleton

OBJECT = Path(__file__).parents[1] / "elf" / "objects" / "tour.clang19.o"
NO_MAP_TYPE = 250  # Linux 6.18 has 0 to 34


def test_a_map_of_a_type_that_the_kernel_lacks_is_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is no obstacle to a program that does not use it."""
    obj = read_object(OBJECT)
    maps = tuple(replace(m, type=NO_MAP_TYPE) if m.name == "counts" else m for m in obj.maps)
    skel = Skeleton(replace(obj, maps=maps), Options())
    for prog in skel.progs:
        prog.autoload = prog.name == "switched"

    outcome = skel.progs.switched.run()
    show_outcome(skel, outcome)

    assert "map counts" not in capsys.readouterr().out
    assert "counts" not in outcome_dict(skel, outcome)["maps"]
