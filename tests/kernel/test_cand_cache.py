"""The kernel's caches of CO-RE candidates: BTF notes 6.1 and 10.3."""

from zlib import crc32

from bpfemu.btf import BtfBuilder, Enum, Enum64, Struct
from bpfemu.kernel.btf_objects import BtfObject
from bpfemu.kernel.cand_cache import CandidateCache


def types(base=None, **structs):
    """Structs by name and size; ``x__`` stands for the flavour ``x___y``."""
    b = BtfBuilder(base)
    for name, size in structs.items():
        b.struct(name.replace("__", "___y") if name.endswith("__") else name, size, [])
    return b


class World:
    """vmlinux has task and its flavour; modules are added by the tests."""

    def __init__(self):
        self.vmlinux = BtfObject(types(task=8, task__=16).build("vmlinux"), "vmlinux")
        self.modules = []
        self.cache = CandidateCache(lambda: self.vmlinux, lambda: list(self.modules))

    def add(self, **structs):
        btf = types(self.vmlinux.btf, **structs).build("m")
        self.modules.append(BtfObject(btf, f"m{len(self.modules)}"))
        return self.modules[-1]


def test_all_flavours_of_the_kernels_own_types_are_candidates():
    world = World()

    assert world.cache.find("task", Struct) == ((world.vmlinux, 1), (world.vmlinux, 2))
    assert world.cache.find("task___mine", Struct) == world.cache.find("task", Struct.KIND)
    assert world.cache.searches == 1


def test_modules_are_asked_only_when_the_kernel_has_none_and_then_all_of_them():
    world = World()
    one, two = world.add(task=4, thing=4), world.add(thing=4, thing__=8)

    assert all(found is world.vmlinux for found, _ in world.cache.find("task", Struct))
    assert world.cache.find("thing", Struct) == ((one, 4), (two, 3), (two, 4))


def test_kinds_are_compared_strictly():
    world = World()
    b = BtfBuilder(world.vmlinux.btf)
    b.enum("few", 4, [("A", 1)])
    world.modules.append(BtfObject(b.build(), "m"))

    assert world.cache.find("few", Enum64) == ()
    assert world.cache.find("few", Enum) == ((world.modules[0], 3),)


def test_what_was_not_found_is_remembered_until_a_module_comes():
    world = World()
    assert world.cache.find("thing", Struct) == ()
    assert world.cache.find("thing", Struct) == ()
    assert world.cache.searches == 2  # the kernel and the modules, once

    new = world.add(thing=4)
    assert world.cache.find("thing", Struct) == ()
    world.cache.purge(None)

    assert world.cache.find("thing", Struct) == ((new, 3),)


def test_a_module_that_goes_takes_only_its_own_entries():
    world = World()
    one, two = world.add(first=4), world.add(second=4)
    world.cache.find("first", Struct)
    world.cache.find("second", Struct)
    searches = world.cache.searches

    world.modules.remove(one)
    world.cache.purge(one)

    assert world.cache.find("second", Struct) == ((two, 3),)
    assert world.cache.searches == searches
    assert world.cache.find("first", Struct) == ()


def test_a_name_that_falls_into_a_taken_slot_takes_it_over():
    """31 slots: another name of the same slot is searched anew, and so is the first then."""
    world = World()
    slot = crc32(b"task") % 31
    other = next(f"n{n}" for n in range(1000) if crc32(f"n{n}".encode()) % 31 == slot)

    world.cache.find("task", Struct)
    world.cache.find(other, Struct)
    before = world.cache.searches
    world.cache.find("task", Struct)

    assert world.cache.searches == before + 1


def test_a_kernel_without_btf_has_no_candidates():
    cache = CandidateCache(lambda: None, list)

    assert cache.find("task", Struct) == ()
