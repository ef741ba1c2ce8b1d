"""What modules do under each policy: the four ways played through."""

import errno

import pytest

from bpfemu.btf import Btf, BtfBuilder
from bpfemu.kernel.btf_notifier import ModuleBlob
from bpfemu.kernel.module_file import ModuleFile
from bpfemu.kernel.policy import POLICIES, KfuncFate, play
from bpfemu.kernel.registration import KfuncId, KfuncSet
from bpfemu.proto.flags import KF_ITER_NEW
from tests.kernel.btf_parts import broken_module, own_ids, plain_module, vmlinux
from tests.kernel.test_modules import distilled_module

EAGER, IGNORE, REPLAY, LAZY = (policy.name for policy in POLICIES)


def module(name, data, *kfuncs, base=b""):
    """A module file whose one set has these (function, flags)."""
    ids = own_ids(Btf.parse(data, Btf.parse(base) if base else vmlinux()))
    kset = KfuncSet("common", tuple(KfuncId(ids[name], flags) for name, flags in kfuncs))
    return ModuleFile(name, ModuleBlob(data, base), (kset,) if kfuncs else ())


GOOD = module("good", plain_module(vmlinux(), "f", "g"), ("f", 0), ("g", 4))
BAD = module("bad", broken_module(vmlinux(), "f"), ("f", 0), ("bpf_iter_bad_new", KF_ITER_NEW))
JUNK = ModuleFile("junk", ModuleBlob(b"nonsense" * 8))
BARE = ModuleFile("bare", None)
WHY = "kfunc bpf_iter_bad_new: struct bpf_iter_bad has 4 bytes, must fill 8-byte slots"


def fates(*files):
    return {(fate.module, fate.policy.name): fate for fate in play(files, vmlinux())}


def shown(fate):
    return fate.errno, fate.btf, fate.btf_id, [one.why for one in fate.kfuncs]


def test_a_good_module_works_under_every_policy_but_the_one_that_ignores_early_btf():
    found = fates(GOOD)

    assert shown(found["good", EAGER]) == (0, "parsed", 2, ["", ""])
    assert shown(found["good", IGNORE]) == (0, "ignored", 0, ["the module has no BTF"] * 2)
    assert shown(found["good", REPLAY]) == (0, "kept", 2, ["", ""])
    assert shown(found["good", LAZY]) == (0, "kept", 2, ["", ""])
    assert not any(fate.defective for fate in found.values())


def test_a_broken_module_is_refused_eagerly_and_loses_one_kfunc_lazily():
    found = fates(BAD)

    assert shown(found["bad", EAGER]) == (errno.EINVAL, "parsed", 0, ["", WHY])
    assert found["bad", REPLAY].kfuncs == (
        KfuncFate("f", "calling kernel function f is not allowed: its set was refused"),
        KfuncFate("bpf_iter_bad_new", WHY),
    )
    assert "registering its kfuncs failed: -22" in found["bad", REPLAY].log[0]
    assert shown(found["bad", LAZY]) == (0, "kept", 2, ["", WHY])
    assert [found["bad", name].defective for name in (EAGER, IGNORE, REPLAY, LAZY)] == [
        True,
        False,
        True,
        True,
    ]


def test_a_module_whose_btf_is_wrong_is_refused_eagerly_and_stays_otherwise():
    found = fates(JUNK)

    assert shown(found["junk", EAGER]) == (errno.EINVAL, "rejected", 0, [])
    assert found["junk", EAGER].log[-1] == "failed to validate module [junk] BTF: -22"
    assert shown(found["junk", IGNORE]) == (0, "ignored", 0, [])
    for name in (REPLAY, LAZY):
        assert shown(found["junk", name]) == (0, "rejected", 0, [])
        assert found["junk", name].defective


def test_a_module_without_btf_is_the_same_everywhere():
    assert {shown(fate)[:3] for fate in fates(BARE).values()} == {(0, "none", 0)}


def test_modules_come_in_the_order_given():
    found = play([BAD, GOOD], vmlinux())

    assert [fate.module for fate in found] == ["bad"] * 4 + ["good"] * 4
    assert [fate.btf_id for fate in found if fate.policy.name == LAZY] == [2, 3]
    assert [fate.btf_id for fate in found if fate.policy.name == EAGER] == [
        0,
        3,
    ]  # 2 was the refused one's


def test_of_two_modules_of_one_name_the_second_is_refused():
    found = [fate for fate in play([GOOD, GOOD], vmlinux()) if fate.policy.name == LAZY]

    assert [(fate.errno, fate.btf) for fate in found] == [(0, "kept"), (errno.EEXIST, "none")]


def test_a_raw_blobs_tagged_functions_are_its_kfuncs():
    b = BtfBuilder(vmlinux())
    b.decl_tag("bpf_kfunc", b.func("tagged", b.func_proto(0), 0))
    b.func("plain", b.func_proto(0), 0)

    found = fates(ModuleFile("raw", ModuleBlob(b.encode())))

    assert found["raw", LAZY].kfuncs == (KfuncFate("tagged"),)


def test_a_module_with_a_distilled_base():
    data, base = distilled_module()

    found = fates(module("far", data, ("mine", 0), base=base))

    assert shown(found["far", EAGER]) == (0, "parsed", 2, [""])
    assert shown(found["far", LAZY]) == (0, "kept", 2, [""])


def test_an_id_that_is_no_function():
    kset = KfuncSet("common", (KfuncId(9999),))

    found = fates(ModuleFile("odd", GOOD.blob, (kset,)))

    why = "BTF id 9999 is not a function"
    assert found["odd", LAZY].kfuncs == (KfuncFate("id 9999", why),)
    assert found["odd", EAGER].errno == errno.EINVAL


def test_a_prototype_that_no_program_may_call():
    b = BtfBuilder(vmlinux())
    b.func("wide", b.func_proto(0, [("a", 1)] * 13), 0)

    found = fates(module("odd", b.encode(), ("wide", 0)))

    for name in (EAGER, LAZY):
        assert found["odd", name].kfuncs[0].why == "The function wide has 13 arguments. Too many."


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_says_in_words_what_it_is(policy):
    assert policy.name in (EAGER, IGNORE, REPLAY, LAZY)
    assert len(policy.text) > 20
