"""The on-disk index: what is found with it, and what it takes to be believed."""

import os
import shutil
import struct
import subprocess
import sys
import tracemalloc
from array import array
from concurrent.futures import ThreadPoolExecutor
from zlib import crc32

import pytest

from bpfemu.btf import Btf, BtfBuilder, index, types
from bpfemu.errors import ObjectError
from tests.btf.samples import PAIR_STRINGS, blob, pair_blob, words

HEADER = 28  # bytes: magic 8, order, types_size, crc32 of the types, count, crc32 of the rest


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own, and indexes for blobs of any size."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("BPFEMU_CACHE", str(folder))
    monkeypatch.setattr(types, "_EAGER_WALK", 0)
    return folder / "btf"


@pytest.fixture
def pair(tmp_path):
    path = tmp_path / "pair.btf"
    path.write_bytes(pair_blob())
    return path


def only_file(cache):
    (found,) = cache.iterdir()
    return found


def is_indexed(btf):
    """Whether the walk of a Btf was taken from an index: nobody has asked for a type yet."""
    return btf._walk.finished


def test_the_first_opening_writes_the_index_when_its_btf_is_given_up(pair, cache):
    btf = Btf.open(pair)
    assert not is_indexed(btf)
    assert not cache.exists()

    del btf

    data = only_file(cache).read_bytes()
    assert array("I", data[HEADER:]).tolist() == [0, 4, 7, 1, 0, 5]  # starts, then name offsets


def test_the_second_opening_walks_no_more_and_finds_the_same(pair, cache):
    first = Btf.open(pair).find("pair")  # the Btf is gone at once: its index is written

    btf = Btf.open(pair)

    assert is_indexed(btf)
    assert btf.find("pair") == first == 3
    assert btf.type(3).members[1].name == "b"
    assert btf.find("int") == 1
    assert btf.find("in") is None
    assert btf.type_count == 4
    assert list(btf.starts) == [0, 4, 7]


def test_an_index_is_written_at_the_latest_when_the_process_ends(pair, cache):
    code = (
        "import sys; from bpfemu.btf import Btf, types; types._EAGER_WALK = 0;"
        "kept = Btf.open(sys.argv[1])"
    )

    subprocess.run([sys.executable, "-c", code, str(pair)], check=True)

    assert is_indexed(Btf.open(pair))


def test_two_kernels_of_the_same_size_do_not_share_an_index(tmp_path, cache):
    """The same number of bytes, but the records lie elsewhere."""
    ptr, func_proto = 2 << 24, 13 << 24
    one = words(0, ptr, 0, 0, ptr, 0, 0, func_proto | 1, 0, 0, 0)
    two = words(0, func_proto | 1, 0, 0, 0, 0, ptr, 0, 0, ptr, 0)
    assert len(one) == len(two)
    (tmp_path / "one").write_bytes(blob(one, b"\0"))
    (tmp_path / "two").write_bytes(blob(two, b"\0"))

    for name in ("one", "two"):
        Btf.open(tmp_path / name)

    assert list(Btf.open(tmp_path / "one").starts) == [0, 3, 6]
    assert list(Btf.open(tmp_path / "two").starts) == [0, 5, 8]
    assert len(list(cache.iterdir())) == 2


def damages(data):
    """Every way in which a file can be wrong that this test thinks of."""
    yield b""
    yield data[:10]
    yield data[:HEADER]
    yield data[:-1]
    yield data[:-4]
    yield data + bytes(4)
    yield bytes(len(data))
    yield b"\xff" * len(data)
    for at in range(len(data)):
        flipped = bytearray(data)
        flipped[at] ^= 1 << at % 8
        yield bytes(flipped)


def test_a_damaged_index_is_never_used_and_always_rewritten(pair, cache):
    Btf.open(pair)
    path = only_file(cache)
    good = path.read_bytes()

    for bad in damages(good):
        path.write_bytes(bad)
        btf = Btf.open(pair)
        assert not is_indexed(btf)
        assert btf.find("pair") == 3
        del btf
        assert path.read_bytes() == good


def forged(key, starts, names):
    """An index whose checksums are right, whatever is in it."""
    body = array("I", [*starts, *names]).tobytes()
    head = (b"bpfbtf\x00\x01", 0x01020304, *key, len(starts), crc32(body))
    return struct.pack("=8s5I", *head) + body


@pytest.mark.parametrize(
    ("starts", "names"),
    [
        ([], []),
        ([0], [1]),
        ([0, 4], [1, 0]),
        ([4, 7], [0, 5]),
        ([0, 3, 7], [1, 0, 5]),
        ([0, 4, 7], [1, 0, 1]),
        ([0, 4, 7, 15], [1, 0, 5, 0]),
        ([0, 4, 7, 1 << 31], [1, 0, 5, 0]),
    ],
)
def test_an_index_of_other_types_with_right_checksums_is_not_believed(pair, cache, starts, names):
    Btf.open(pair)
    path = only_file(cache)
    key = struct.unpack_from("=II", path.read_bytes(), 12)

    path.write_bytes(forged(key, starts, names))

    assert not is_indexed(Btf.open(pair))


def test_an_index_from_a_host_of_the_other_byte_order_is_not_believed(pair, cache):
    Btf.open(pair)
    path = only_file(cache)
    magic, *numbers = struct.unpack("=8s5I", path.read_bytes()[:HEADER])
    body = array("I", path.read_bytes()[HEADER:])
    body.byteswap()
    path.write_bytes(struct.pack(">8s5I", magic, *numbers) + body.tobytes())

    assert not is_indexed(Btf.open(pair))


def test_foreign_byte_order_is_indexed_like_our_own(tmp_path, cache):
    other = "big" if sys.byteorder == "little" else "little"
    builder = BtfBuilder(byteorder=other)
    builder.typedef("t", builder.int_("int", 4))
    (tmp_path / "other").write_bytes(builder.encode())
    Btf.open(tmp_path / "other")

    btf = Btf.open(tmp_path / "other")

    assert is_indexed(btf)
    assert (btf.find("t"), btf.find("int"), btf.byteorder) == (2, 1, other)


def test_malformed_btf_gets_no_index(tmp_path, cache):
    (tmp_path / "bad").write_bytes(blob(words(1, 31 << 24, 0, 0), PAIR_STRINGS))

    btf = Btf.open(tmp_path / "bad")
    with pytest.raises(ObjectError, match="not a known kind"):
        btf.find("int")
    del btf

    assert not cache.exists()


def test_many_writers_at_once_leave_one_whole_index(pair, cache):
    def open_and_drop(_):
        return Btf.open(pair).find("pair")

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(open_and_drop, range(100)))

    assert set(found) == {3}
    assert is_indexed(Btf.open(pair))
    assert len(list(cache.iterdir())) == 1


def test_a_cache_that_cannot_be_written_changes_nothing(pair, cache):
    cache.parent.write_bytes(b"a file where the folder should be")

    assert Btf.open(pair).find("pair") == 3
    assert Btf.open(pair).find("pair") == 3


def test_a_folder_of_the_index_name_is_no_index(pair, cache):
    Btf.open(pair)
    path = only_file(cache)
    path.unlink()
    path.mkdir()

    assert Btf.open(pair).find("pair") == 3

    assert path.is_dir()
    assert len(list(cache.iterdir())) == 1  # and no scratch file was left behind


def test_only_the_newest_indexes_are_kept(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(index, "_MOST_FILES", 3)
    for number in range(5):
        builder = BtfBuilder()
        builder.int_("int", 4, bits=number + 1)
        path = tmp_path / f"{number}.btf"
        path.write_bytes(builder.encode())
        Btf.open(path)
        newest = max(cache.iterdir(), key=lambda entry: entry.stat().st_mtime_ns)
        os.utime(newest, (number, number))

    assert [is_indexed(Btf.open(tmp_path / f"{n}.btf")) for n in (2, 3, 4)] == [True] * 3
    assert len(list(cache.iterdir())) == 3


def test_where_indexes_are_kept(monkeypatch):
    def folder(platform, **env):
        monkeypatch.setattr(sys, "platform", platform)
        for name in ("BPFEMU_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"HOME": "/home/u", **env}.items():
            monkeypatch.setenv(name, value)
        return index.cache_folder()

    assert folder("linux") == "/home/u/.cache/bpfemu/btf"
    assert folder("linux", XDG_CACHE_HOME="/x") == "/x/bpfemu/btf"
    assert folder("linux", XDG_CACHE_HOME="relative") == "/home/u/.cache/bpfemu/btf"
    assert folder("darwin") == "/home/u/Library/Caches/bpfemu/btf"
    assert folder("win32", LOCALAPPDATA="/l") == "/l/bpfemu/btf"
    assert folder("win32") is None
    assert folder("linux", BPFEMU_CACHE="/mine") == "/mine/btf"
    assert folder("linux", BPFEMU_CACHE="off") is None


def test_with_caching_off_nothing_is_kept(pair, cache, monkeypatch):
    monkeypatch.setenv("BPFEMU_CACHE", "off")

    assert Btf.open(pair).find("pair") == 3

    assert not cache.exists()


def test_a_small_blob_gets_no_index(pair, cache, monkeypatch):
    monkeypatch.setattr(types, "_EAGER_WALK", 1 << 20)

    Btf.open(pair)

    assert not cache.exists()


@pytest.mark.skipif(
    not os.path.exists("/sys/kernel/btf/vmlinux"), reason="this kernel offers no BTF"
)
def test_the_running_kernels_btf_reads_the_same_with_and_without_its_index(cache, monkeypatch):
    path = "/sys/kernel/btf/vmlinux"
    plain = Btf.open(path)
    names = ("task_struct", "bpf_iter_num_new", "no_such_name_anywhere", "list_head", "int")
    want = [plain.find(name) for name in names]
    want_all = plain.find_all("list_head")
    starts = list(plain.starts)
    del plain

    indexed = Btf.open(path)

    assert is_indexed(indexed)
    assert [indexed.find(name) for name in names] == want
    assert indexed.find_all("list_head") == want_all
    assert list(indexed.starts) == starts


@pytest.mark.skipif(
    not os.path.exists("/sys/kernel/btf/vmlinux"), reason="this kernel offers no BTF"
)
def test_opening_and_asking_take_less_memory_than_the_blob_again(tmp_path, cache):
    """With and without an index; the bytes of the file are the other half."""
    path = tmp_path / "vmlinux"
    shutil.copyfile("/sys/kernel/btf/vmlinux", path)
    size = path.stat().st_size

    for _ in range(2):
        tracemalloc.start()
        btf = Btf.open(path)
        for name in ("task_struct", "bpf_iter_num_new", "list_head", "no_such_name", "file"):
            for id in btf.find_all(name):
                btf.type(id)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        del btf
        assert peak < 2 * size
