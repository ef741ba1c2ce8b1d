"""The kernel's own BTF, built in or a module: the state machine of BTF notes 5.4."""

import errno
import threading
import time

import pytest

from bpfemu.btf import Btf
from bpfemu.errors import InputError
from bpfemu.kernel.btf_objects import BtfObjects
from bpfemu.kernel.vmlinux_state import BtfLink, BtfState, VmlinuxBtf, parse_kernel_btf
from tests.kernel.btf_parts import plain_module, vmlinux

BLOB = vmlinux().raw


class Supply:
    """A provider that counts and whose blob can be changed."""

    def __init__(self, blob=BLOB):
        self.blob = blob
        self.asked = 0

    def __call__(self):
        self.asked += 1
        if isinstance(self.blob, Exception):
            raise self.blob
        return self.blob


def make(supply, **options):
    log = []
    return VmlinuxBtf(supply, BtfObjects(), log.append, **options), log


def test_built_in_btf_is_parsed_at_the_first_need_and_once():
    supply = Supply()
    state, log = make(supply)
    assert (state.state, state.ready, supply.asked) == (BtfState.AVAILABLE, None, 0)

    first, second = state.get(), state.get()

    assert first is second is state.ready
    assert (first.id, first.name, first.btf.find("task_struct")) == (1, "vmlinux", 2)
    assert (state.state, state.parses, supply.asked, log) == (BtfState.READY, 1, 1, [])


def test_a_malformed_built_in_btf_is_an_error_that_is_kept_for_ever():
    supply = Supply(BLOB[:-1])
    state, log = make(supply)

    for _ in range(2):
        with pytest.raises(OSError, match=rf"Errno {errno.EINVAL}\]"):
            state.get()
    supply.blob = BLOB
    with pytest.raises(OSError, match=rf"Errno {errno.EINVAL}\]"):
        state.get()

    assert (state.state, state.errno, state.parses) == (BtfState.FAILED, errno.EINVAL, 1)
    assert len(log) == 1


def test_a_kernel_without_btf_has_none():
    state, _ = make(None)
    assert (state.state, state.get()) == (BtfState.ABSENT, None)

    state, _ = make(Supply(None))
    assert (state.get(), state.state) == (None, BtfState.ABSENT)


def test_btf_in_a_module_is_loaded_at_the_first_need():
    supply = Supply()
    state, log = make(supply, module=True)
    assert state.state is BtfState.AVAILABLE

    found = state.get()

    assert found is state.get()
    assert (state.state, state.parses, supply.asked, log) == (BtfState.READY, 1, 1, [])


def test_a_missing_carrier_is_a_kernel_without_btf_until_it_appears():
    supply = Supply(None)
    state, log = make(supply, module=True)

    assert state.get() is None
    assert (state.state, state.errno) == (BtfState.FAILED, errno.ENOENT)
    assert state.get() is None
    assert supply.asked == 2
    assert len(log) == 1

    supply.blob = BLOB
    assert state.get().name == "vmlinux"
    assert (state.state, state.errno, state.parses) == (BtfState.READY, 0, 1)


def test_a_provider_that_cannot_read_is_a_missing_carrier():
    state, _ = make(Supply(OSError(errno.EIO, "no disk")), module=True)

    assert state.get() is None
    assert state.errno == errno.EIO


def test_a_provider_can_appear_later():
    state, _ = make(None, module=True)
    assert (state.state, state.get()) == (BtfState.ABSENT, None)

    state.provide(Supply())

    assert state.state is BtfState.AVAILABLE
    assert state.get().name == "vmlinux"
    state.provide(Supply(b""))
    assert state.state is BtfState.READY


def test_a_corrupt_carrier_is_refused_and_may_be_tried_again():
    supply = Supply(b"nonsense" * 10)
    state, log = make(supply, module=True)

    assert state.get() is None
    assert (state.state, state.errno) == (BtfState.FAILED, errno.EINVAL)
    assert "Invalid magic" in log[0] or "btf_header" in log[0]

    supply.blob = BLOB
    assert state.get().btf.find("task_struct") == 2


@pytest.mark.parametrize("other", [BLOB + b"\0", BLOB[:-2] + b"X\0"])
def test_a_blob_of_another_size_or_hash_is_refused(other):
    state, _ = make(Supply(other), module=True, link=BtfLink.of(BLOB))

    assert state.get() is None
    assert (state.state, state.errno, state.parses) == (BtfState.FAILED, errno.EINVAL, 0)
    assert state.accept(BLOB).name == "vmlinux"


def test_the_link_record_is_size_and_sha256():
    link = BtfLink.of(b"abc")

    assert link.size == 3
    assert link.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_carrier_loaded_twice_is_eexist():
    state, _ = make(None, module=True)
    state.accept(BLOB)

    with pytest.raises(OSError, match=rf"Errno {errno.EEXIST}\]"):
        state.accept(BLOB)


def test_what_waits_is_done_once_when_the_btf_is_ready():
    state, _ = make(Supply(), module=True)
    seen = []
    state.when_ready(lambda: seen.append(state.state))
    assert seen == []

    state.get()
    state.get()

    assert seen == [BtfState.READY]


def test_many_that_need_it_at_once_share_one_load():
    """While the blob is on its way the state says so, and nobody parses a second time."""
    states = []

    def slow():
        states.append(state.state)
        time.sleep(0.02)
        return BLOB

    state, _ = make(slow, module=True)
    found = []
    threads = [threading.Thread(target=lambda: found.append(state.get())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert states == [BtfState.LOADING]
    assert len(found) == 8
    assert len(set(map(id, found))) == 1
    assert state.parses == 1


def test_an_error_of_the_parser_without_an_errno_is_einval():
    def parse(data):
        raise InputError("no")

    state, _ = make(Supply(), module=True, parse=parse)

    assert state.get() is None
    assert state.errno == errno.EINVAL


def test_kernel_btf_is_parsed_as_the_kernel_parses_its_own():
    """Dangling references pass; a bad name does not, with the kernel's errno and words."""
    base = vmlinux()
    assert parse_kernel_btf(plain_module(base, "f"), base, "m").find("f")

    with pytest.raises(InputError, match="m: Invalid name") as caught:
        parse_kernel_btf(plain_module(base, "no name"), base, "m")
    assert caught.value.errno == errno.EINVAL
    assert isinstance(Btf.parse(plain_module(base, "no name"), base), Btf)
