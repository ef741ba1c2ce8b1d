"""Error numbers are those of Linux, on any host."""

from __future__ import annotations

import errno
import sys

import pytest

from bpfemu.machine.errno import EAGAIN, EOPNOTSUPP, ERRNO_NAMES
from bpfemu.outcome import errno_name


def test_numbers_are_those_of_linux_whatever_the_host_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errno, "errorcode", {11: "EDEADLK", 35: "EAGAIN"})  # as on macOS

    assert (EAGAIN, EOPNOTSUPP) == (11, 95)
    assert errno_name(-11) == "-11 (-EAGAIN)"
    assert errno_name(-35) == "-35 (-EDEADLK)"
    assert errno_name(-95) == "-95 (-EOPNOTSUPP)"
    assert errno_name(-524) == "-524 (-ENOTSUPP)"
    assert errno_name(-133) == "-133 (-EHWPOISON)"
    assert (errno_name(-41), errno_name(-58), errno_name(-134)) == ("-41", "-58", "-134")


@pytest.mark.skipif(sys.platform != "linux", reason="the host's numbers are not Linux's")
def test_the_table_agrees_with_a_linux_host() -> None:
    assert all(getattr(errno, name, number) == number for number, name in ERRNO_NAMES.items())
    assert set(errno.errorcode) <= set(ERRNO_NAMES)
