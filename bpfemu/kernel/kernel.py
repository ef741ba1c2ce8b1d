"""The emulated kernel: boots its services when they are first needed, loads images, starts and
closes runs.

::

    Kernel(catalog, config)      an arena, nothing else
      .load(image)               map handles, values and global data at the image's addresses
      .start(image, options)     enters the context → Machine and r1… for an engine
      .close(stop)               leaves it again, names what leaked → Outcome

Runs may be nested: what starts while another run is open interrupts it on its CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from bpfemu.errors import InputError
from bpfemu.image import ProgramImage
from bpfemu.kernel.clock import EmulatedClock
from bpfemu.kernel.closing import close_run
from bpfemu.kernel.config import KernelConfig, RunOptions
from bpfemu.kernel.context import CtxBlock, place_context
from bpfemu.kernel.cpu import Cpus
from bpfemu.kernel.gate import Gate, GateParts
from bpfemu.kernel.ledger import Ledger
from bpfemu.kernel.locks import LockTable
from bpfemu.kernel.mem_alloc import BpfMemAlloc
from bpfemu.kernel.placing import place_image
from bpfemu.kernel.printk import TraceBuffer
from bpfemu.kernel.random import RandomStream
from bpfemu.kernel.rcu import ReadCopyUpdate
from bpfemu.kernel.run import Run, RunningProgram
from bpfemu.kernel.services import Services
from bpfemu.kernel.symbol_places import kernel_layouts
from bpfemu.kernel.unlock_work import UnlockWorks
from bpfemu.machine.frame import FRAME_COUNT, STACK_SIZE
from bpfemu.machine.machine import Machine
from bpfemu.machine.memory import FREED, KERNEL, READ_ONLY, Memory, RegionKind
from bpfemu.machine.stop import Stop, StopKind
from bpfemu.outcome import Outcome
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.space import Space

if TYPE_CHECKING:
    from bpfemu.btf import Btf
    from bpfemu.kernel.faults import FaultTable
    from bpfemu.kernel.heap import HeapView
    from bpfemu.kernel.kernel_btf import KernelBtf
    from bpfemu.kernel.maps.table import MapTable
    from bpfemu.kernel.modules import ModuleTable
    from bpfemu.kernel.pressure import Pressure
    from bpfemu.kernel.sysfs import Sysfs
    from bpfemu.kernel.variables import PlacedVariables

__all__ = ["Kernel", "Services"]

ARENA_ALIGN: Final = 64  # bytes: where stacks start
OF_WORLD: Final = ("tasks", "vmas", "files", "cgroups", "slabs", "dmabufs", "scx")


class Kernel:
    """One emulated kernel with its memory."""

    def __init__(
        self,
        catalog: Catalog,
        config: KernelConfig,
        *,
        kernel_btf: Btf | None,
        arena_base: int,
        arena_size: int,
    ) -> None:
        self.catalog = catalog
        self.config = config
        self.memory = Memory(arena_base, arena_size)
        self.space = Space(self.memory, kernel_layouts(catalog, kernel_btf))
        self.cpus = Cpus(config.cpus, preempt_rt=config.profile.preempt_rt)
        self.rcu = ReadCopyUpdate()
        self.cpus.in_rcu_section = self.rcu.in_section
        self.clock = EmulatedClock(config.seed, config.profile.hz)
        self.locks = LockTable(self.memory)
        self.printk = TraceBuffer()
        self.services = Services(self._makers())
        self.random: RandomStream = self.services["random"]
        self._gates: dict[int, tuple[ProgramImage, Gate]] = {}
        self._placed: dict[int, str] = {}
        self._stacks: list[tuple[int, ...]] = []
        self._runs: list[Run] = []
        self.last_run: Run | None = None
        self.allocators: list[BpfMemAlloc] = []
        self.fault_table: FaultTable | None = None
        self.running = RunningProgram(self._runs)
        self._btf: KernelBtf | None = None
        if config.faults:
            self.faults.set_all(config.faults)

    def _makers(self) -> dict[str, Callable[[], Any]]:
        config = self.config
        return {
            "mem_alloc": lambda: self.new_allocator(0, False, "bpf_global_ma"),
            "cpu": lambda: self.cpus,
            "rcu": lambda: self.rcu,
            "locks": lambda: self.locks,
            "unlock_work": lambda: UnlockWorks(
                self.cpus, self.locks, preempt_rt=config.profile.preempt_rt
            ),
            "world": self._make_world,
            **{name: self._of_world(name) for name in OF_WORLD},
            "probe_read": self._make_probe_read,
            "profile": lambda: config.profile,
            "space": lambda: self.space,
            "memory": lambda: self.memory,
            "clock": lambda: self.clock,
            "random": lambda: RandomStream(config.seed, "random"),
            "printk": lambda: self.printk,
            "maps": self._make_maps,
            "run": lambda: self.running,
            "kern_ctx": self._make_kern_ctx,
            "variables": self._make_variables,
        }

    # ---- services made on demand --------------------------------------------------------------

    def new_allocator(self, size: int, percpu: bool, name: str) -> BpfMemAlloc:
        """A bpf_mem_alloc: every class for size 0, else one of ``size`` bytes."""
        state = READ_ONLY if self.config.stale_units else FREED
        made = BpfMemAlloc(
            self.memory, self.cpus, self.rcu, size=size, percpu=percpu, name=name, freed_state=state
        )
        self.allocators.append(made)
        if self.fault_table is not None:
            self.fault_table.follow(made)
        return made

    def _make_maps(self) -> MapTable:
        from bpfemu.kernel.maps.base import MapEnv
        from bpfemu.kernel.maps.table import MapTable

        env = MapEnv(
            memory=self.memory,
            space=self.space,
            cpus=self.cpus,
            rcu=self.rcu,
            clock=self.clock,
            random=self.random,
            new_allocator=self.new_allocator,
        )
        return MapTable(env, self.catalog)

    def _of_world(self, name: str) -> Callable[[], Any]:
        return lambda: getattr(self.services["world"], name)

    def _make_world(self) -> Any:
        from bpfemu.kernel.objects import PlacedWorld

        random = RandomStream(self.config.seed, "world")
        return PlacedWorld(
            self.space,
            self.config.world,
            self.config.profile,
            random,
            locks=self.locks,
            rcu=self.rcu,
        )

    def _make_kern_ctx(self) -> Any:
        from bpfemu.kernel.kern_ctx import KernelContexts

        return KernelContexts(self.space, self.running)

    def _make_probe_read(self) -> Any:
        from bpfemu.kernel.probe_read import NoFaultReader

        return NoFaultReader(
            self.memory,
            self.config.profile,
            lambda task: self.services["world"].user_memory(task),
        )

    def _make_variables(self) -> PlacedVariables:
        from bpfemu.kernel.variables import place_variables

        return place_variables(self)

    # ---- loading ----------------------------------------------------------------------------

    def load(self, image: ProgramImage) -> None:
        """Put the image's maps and data where it wants them; once per object."""
        if image.arena_base != self.memory.base or image.arena_size != self.memory.size:
            raise InputError(
                f"{image.name}: bound for an arena at {image.arena_base:#x}, this kernel's is at "
                f"{self.memory.base:#x}"
            )
        if self._btf is not None or not self.config.types_at_hand:
            self.btf.admit(image)
        new = place_image(image, self.memory, self._placed)
        for slot in new:
            self.services["maps"].create(slot, image.btf)
        if image.ksyms:
            self.services["variables"].place_all(image.ksyms)

    @property
    def btf(self) -> KernelBtf:
        """The kernel's types, modules and kfuncs; made when first asked for."""
        if self._btf is None:
            from bpfemu.kernel.kernel_btf import KernelBtf

            self._btf = KernelBtf(
                self.config,
                self.catalog,
                self.space.layouts.btf,
                place=self._place_variable,
                symbols=lambda name: self.services["variables"].symbols.find(name),
            )
        return self._btf

    @property
    def faults(self) -> FaultTable:
        """What is to fail on purpose."""
        if self.fault_table is None:
            from bpfemu.kernel.faults import FaultTable

            self.fault_table = FaultTable(self, self._runs, self._gates)
        return self.fault_table

    @property
    def pressure(self) -> Pressure:
        """States of bpf_global_ma that a busy kernel gets into by itself."""
        from bpfemu.kernel.pressure import Pressure

        return Pressure(self.cpus, self.services["mem_alloc"])

    def heap(self) -> HeapView:
        """bpf_global_ma as it stands: lists, counters, who owns what."""
        from bpfemu.kernel.heap import view_heap

        return view_heap(self.services["mem_alloc"])

    @property
    def has_modules(self) -> bool:
        """Whether any module is loaded; asking makes nothing."""
        return self._btf is not None and len(self._btf.modules) > 0

    @property
    def sysfs(self) -> Sysfs:
        """/sys/kernel/btf of this kernel."""
        return self.btf.sysfs

    @property
    def modules(self) -> ModuleTable:
        """The modules of this kernel: load, unload, look at."""
        return self.btf.modules

    def _place_variable(self, name: str, data: bytes) -> int:
        """A module's variable in memory; its address."""
        region = self.memory.allocate(len(data), RegionKind.DATA, name, state=READ_ONLY)
        self.memory.write(region.addr, data)
        return region.addr

    def find_map(self, name: str) -> Any:
        """The map of that name; InputError lists those there are."""
        table = list(self.services["maps"])
        for found in table:
            if found.name == name:
                return found
        names = ", ".join(sorted(found.name for found in table)) or "none"
        raise InputError(f"no map {name!r} is loaded; there are {names}")

    # ---- running ----------------------------------------------------------------------------

    def start(
        self, image: ProgramImage, options: RunOptions | None = None
    ) -> tuple[Machine, tuple[int, ...]]:
        """Enter the program's context; the machine and r1… for an engine."""
        options = options or RunOptions()
        if image.sleepable and options.context != "task":
            raise InputError(
                f"{image.name} is sleepable: it runs in task context, not in {options.context}"
            )
        depth = len(self._runs)
        cpu = self.cpus.here if depth else self.cpus.state(options.cpu)
        stack = self._stack(depth)
        run = Run(image, options, self.config, self.clock, Ledger(self.memory, stack))
        gate = self._gate(image)
        run.gate = gate
        run.machine = Machine(self.memory, gate, stack, options.budget or self.config.budget)
        block = self._context(run)
        run.ctx_block, run.ctx = block, block.addr
        run.packet = block.packet
        run.arena = self._arena(image)
        if "mem_alloc" in self.services:
            allocator: BpfMemAlloc = self.services["mem_alloc"]
            run.stats_before = allocator.snapshot()
            run.serial_before = allocator.units.serial
        self.memory.clobbered.clear()
        self._runs.append(run)
        self.cpus.switch(cpu.id)
        if "variables" in self.services:
            self.services["variables"].begin(cpu.id, image.prog_type)
        self._enter(run)
        self._resume(run)
        return run.machine, block.args

    def close(self, stop: Stop) -> Outcome:
        """Leave the program's context and say what happened."""
        run = self.running.now
        try:
            return close_run(self, run, stop)
        finally:
            self.last_run = self._runs.pop()
            self._restore_task(run)
            if self._runs:
                self._resume(self._runs[-1])

    def abort(self) -> None:
        """Leave the context of a run that an exception has ended; nothing when none is open."""
        if self._runs:
            self.close(Stop(StopKind.BUDGET, 0, 0))

    def _context(self, run: Run) -> CtxBlock:
        """The run's context, placed while its task is the current one."""
        if run.options.task is not None:
            before = self.services["world"].tasks.current_pid
            self.services["world"].set_current(run.options.task)
            run.task_before = before
        try:
            return place_context(self, run.image, run.options)
        except BaseException:
            self._restore_task(run)
            raise

    def _restore_task(self, run: Run) -> None:
        if run.task_before is not None:
            self.services["world"].tasks.current_pid = run.task_before

    def _resume(self, run: Run) -> None:
        """This run goes on: calls are its, time passes with it."""
        assert run.gate is not None
        run.gate.begin(run)
        self.clock.follow(run.elapsed)
        self.cpus.program_sleepable = run.image.sleepable

    def _enter(self, run: Run) -> None:
        """Where the program runs: iterator notes, sections 4.1 and 4.3."""
        if run.image.sleepable:
            self.rcu.trace += 1
        else:
            self.rcu.implicit += 1
        self.cpus.migrate_disable()
        self.cpus.here.enter(run.options.context)

    def _stack(self, depth: int) -> tuple[int, ...]:
        """The tops of the frames' stacks for a nesting depth, all closed."""
        if depth == len(self._stacks):
            regions = [
                self.memory.allocate(
                    STACK_SIZE,
                    RegionKind.STACK,
                    f"stack of frame {FRAME_COUNT - 1 - index}",
                    align=ARENA_ALIGN,
                    state=KERNEL,
                )
                for index in range(FRAME_COUNT)
            ]
            self._stacks.append(tuple(region.end for region in reversed(regions)))
        stack = self._stacks[depth]
        for top in stack:
            self.memory.set_state(top - STACK_SIZE, STACK_SIZE, KERNEL)
        return stack

    def _gate(self, image: ProgramImage) -> Gate:
        """The gate of an image, kept from run to run."""
        kept = self._gates.get(id(image))
        if kept is None:
            parts = GateParts(
                config=self.config,
                memory=self.memory,
                space=self.space,
                services=self.services,
                cpus=self.cpus,
                rcu=self.rcu,
                locks=self.locks,
                clock=self.clock,
                random=self.random,
                faults=lambda: self.fault_table,
            )
            kept = self._gates[id(image)] = image, Gate(image, parts)
        return kept[1]

    def _arena(self, image: ProgramImage) -> Any:
        """The program's arena map, if it has one."""
        for slot in image.maps:
            if slot.definition.type == BPF_MAP_TYPE_ARENA:
                return self.services["maps"].at(slot.addr)
        return None


BPF_MAP_TYPE_ARENA: Final = 33
