"""Ids, descriptors, references and info of BTF objects: BTF notes 3.9, 6.7, 6.8."""

import errno

import pytest

from bpfemu.btf import Btf
from bpfemu.btf.distill import Relocated
from bpfemu.errors import ObjectError
from bpfemu.kernel import btf_objects
from bpfemu.kernel.btf_objects import BtfObject, BtfObjects, find_module_btfs
from tests.kernel.btf_parts import plain_module, vmlinux


def refused(number):
    return pytest.raises(OSError, match=rf"Errno {number}\]")


@pytest.fixture
def objects():
    """vmlinux 1, kvm 2, a program's BTF 3."""
    made = BtfObjects()
    base = vmlinux()
    made.add(BtfObject(base, "vmlinux"))
    made.add(BtfObject(Btf.parse(plain_module(base, "kvm_f"), base, "kvm"), "kvm"))
    made.add(BtfObject(vmlinux(), kernel=False))
    return made


def test_ids_are_walked_in_order(objects):
    assert [objects.next_id(id) for id in (0, 1, 2)] == [1, 2, 3]
    assert objects.ids() == [1, 2, 3]
    with refused(errno.ENOENT):
        objects.next_id(3)
    with refused(errno.EINVAL):
        objects.next_id((1 << 31) - 1)


def test_ids_are_not_used_again_at_once(objects):
    kvm = objects.at_fd(objects.fd_by_id(2))
    objects.free_id(kvm)

    added = objects.add(BtfObject(vmlinux()))

    assert added.id == 4
    assert objects.next_id(1) == 3


def test_ids_come_round_after_the_last_one(objects, monkeypatch):
    monkeypatch.setattr(btf_objects, "_MOST_IDS", 4)
    objects.free_id(objects.at_fd(objects.fd_by_id(2)))

    assert objects.add(BtfObject(vmlinux())).id == 4
    assert objects.add(BtfObject(vmlinux())).id == 2
    with refused(errno.ENOSPC):
        objects.add(BtfObject(vmlinux()))


def test_walking_ids_takes_cap_sys_admin(objects):
    with refused(errno.EPERM):
        objects.next_id(0, cap_sys_admin=False)
    with refused(errno.EPERM):
        objects.fd_by_id(1, cap_sys_admin=False)


@pytest.mark.parametrize("id", [0, 99])
def test_an_unknown_id_has_no_descriptor(objects, id):
    with refused(errno.ENOENT):
        objects.fd_by_id(id)


def test_a_descriptor_counts_as_a_reference(objects):
    fd, other = objects.fd_by_id(2), objects.fd_by_id(2)
    kvm = objects.at_fd(fd)
    assert (kvm.references, fd, other) == (3, 3, 4)

    objects.put(kvm)
    objects.close(fd)
    assert not kvm.freed
    objects.close(other)

    assert kvm.freed
    assert objects.ids() == [1, 3]


def test_descriptors_of_other_things_are_not_btf(objects):
    fd = objects.open("a map")

    with refused(errno.EINVAL):
        objects.at_fd(fd)
    objects.close(fd)
    with refused(errno.EBADF):
        objects.at_fd(fd)
    with refused(errno.EBADF):
        objects.close(fd)


def test_info_of_vmlinux_a_module_and_a_program(objects):
    fds = [objects.fd_by_id(id) for id in (1, 2, 3)]

    vm, kvm, own = (objects.info(fd, data_size=1 << 20, name=True, name_size=64) for fd in fds)

    assert (vm.id, vm.name, vm.name_len, vm.kernel_btf) == (1, "vmlinux", 7, True)
    assert (kvm.name, kvm.kernel_btf) == ("kvm", True)
    assert (own.name, own.name_len, own.kernel_btf) == ("", 0, False)
    assert vm.btf == own.btf == vmlinux().raw


def test_info_of_a_module_is_its_split_part_only(objects):
    blob = plain_module(vmlinux(), "kvm_f")
    fd = objects.fd_by_id(2)

    assert objects.info(fd).btf_size == len(blob)
    assert objects.info(fd).btf == b""
    assert objects.info(fd, data_size=10).btf == blob[:10]
    assert objects.info(fd, data_size=10).btf_size == len(blob)


def test_a_name_buffer_that_is_too_short_is_filled_and_enospc(objects):
    fd = objects.fd_by_id(1)

    exact = objects.info(fd, name=True, name_size=8)
    short = objects.info(fd, data_size=1 << 20, name=True, name_size=7)

    assert (exact.name, exact.errno) == ("vmlinux", 0)
    assert (short.name, short.name_len, short.errno) == ("vmlinu", 7, errno.ENOSPC)
    assert short.btf == vmlinux().raw


@pytest.mark.parametrize(("name", "size"), [(True, 0), (False, 8)])
def test_a_name_buffer_without_a_size_or_the_reverse_is_einval(objects, name, size):
    with refused(errno.EINVAL):
        objects.info(objects.fd_by_id(1), name=name, name_size=size)


def test_an_object_whose_module_is_gone_keeps_its_data_and_reports_id_0(objects):
    fd = objects.fd_by_id(2)
    objects.free_id(objects.at_fd(fd))

    found = objects.info(fd, data_size=1 << 20)

    assert found.id == 0
    assert found.btf == plain_module(vmlinux(), "kvm_f")
    with refused(errno.ENOENT):
        objects.fd_by_id(2)


def test_libbpf_finds_the_modules_and_keeps_their_descriptors(objects):
    found = find_module_btfs(objects, vmlinux())

    assert list(found) == ["kvm"]
    fd, btf = found["kvm"]
    assert objects.at_fd(fd).name == "kvm"
    assert btf.find("kvm_f")
    assert objects.at_fd(fd).references == 2
    assert find_module_btfs(objects, vmlinux(), cap_sys_admin=False) == {}


def test_a_module_that_libbpf_cannot_parse_fails_the_walk(objects):
    objects.at_fd(objects.fd_by_id(2)).btf._data = b"\0" * 40

    with pytest.raises(ObjectError, match=r"failed to load module \[kvm\]'s BTF object #2"):
        find_module_btfs(objects, vmlinux())


def test_ids_as_built_are_translated_where_the_base_was_distilled():
    base = vmlinux()
    plain = BtfObject(base, "m")
    moved = BtfObject(base, "m", relocated=Relocated(base, (0, 5), 3))

    assert plain.built_id(7) == 7
    assert [moved.built_id(id) for id in (0, 1, 2)] == [0, 5, 5]
    assert (plain.is_module, BtfObject(base, kernel=False).is_module) == (True, False)
    assert repr(plain) == "<BtfObject 0 m>"
    assert repr(BtfObject(base, kernel=False)) == "<BtfObject 0 of a program>"
