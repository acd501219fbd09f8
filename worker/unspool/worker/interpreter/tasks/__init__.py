"""The interpreters of the task kinds, by the class of the compiled body."""

from collections.abc import Mapping
from typing import Final

from unspool.definitions.plan import Body
from unspool.definitions.tasks.call_asyncapi import Subscribe
from unspool.definitions.tasks.call_function import CallExternalFunction, CallFunction
from unspool.definitions.tasks.do import Do
from unspool.definitions.tasks.emit import Emit
from unspool.definitions.tasks.for_each import For, ParallelFor
from unspool.definitions.tasks.fork import Fork
from unspool.definitions.tasks.listen import Listen
from unspool.definitions.tasks.raise_error import Raise
from unspool.definitions.tasks.request import Request, Unsupported
from unspool.definitions.tasks.run_workflow import RunWorkflow
from unspool.definitions.tasks.set import Set
from unspool.definitions.tasks.switch import Switch
from unspool.definitions.tasks.try_catch import Try
from unspool.definitions.tasks.wait import Wait
from unspool.worker.interpreter.decision_builder import TaskInterpreter
from unspool.worker.interpreter.tasks.call_function import CallFunctionInterpreter
from unspool.worker.interpreter.tasks.do import DoInterpreter
from unspool.worker.interpreter.tasks.emit import EmitInterpreter
from unspool.worker.interpreter.tasks.for_each import ForInterpreter
from unspool.worker.interpreter.tasks.fork import ForkInterpreter
from unspool.worker.interpreter.tasks.listen import ListenInterpreter
from unspool.worker.interpreter.tasks.parallel_for import ParallelForInterpreter
from unspool.worker.interpreter.tasks.raise_error import RaiseInterpreter
from unspool.worker.interpreter.tasks.request import RequestInterpreter, UnsupportedInterpreter
from unspool.worker.interpreter.tasks.run_workflow import RunWorkflowInterpreter
from unspool.worker.interpreter.tasks.set import SetInterpreter
from unspool.worker.interpreter.tasks.subscribe import SubscribeInterpreter
from unspool.worker.interpreter.tasks.switch import SwitchInterpreter
from unspool.worker.interpreter.tasks.try_catch import TryInterpreter
from unspool.worker.interpreter.tasks.wait import WaitInterpreter

INTERPRETERS: Final[Mapping[type[Body], TaskInterpreter]] = {
    CallExternalFunction: CallFunctionInterpreter(),
    CallFunction: CallFunctionInterpreter(),
    Do: DoInterpreter(),
    Emit: EmitInterpreter(),
    For: ForInterpreter(),
    Fork: ForkInterpreter(),
    Listen: ListenInterpreter(),
    ParallelFor: ParallelForInterpreter(),
    Unsupported: UnsupportedInterpreter(),
    Raise: RaiseInterpreter(),
    Request: RequestInterpreter(),
    RunWorkflow: RunWorkflowInterpreter(),
    Set: SetInterpreter(),
    Subscribe: SubscribeInterpreter(),
    Switch: SwitchInterpreter(),
    Try: TryInterpreter(),
    Wait: WaitInterpreter(),
}
