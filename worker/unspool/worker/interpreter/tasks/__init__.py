"""What each kind of task does, and the table that says which is which."""

from collections.abc import Mapping
from typing import Final

from unspool.definitions.plan import Body
from unspool.definitions.tasks.do import Do
from unspool.definitions.tasks.for_each import For
from unspool.definitions.tasks.fork import Fork
from unspool.definitions.tasks.raise_error import Raise
from unspool.definitions.tasks.request import Request, Unsupported
from unspool.definitions.tasks.set import Set
from unspool.definitions.tasks.switch import Switch
from unspool.definitions.tasks.try_catch import Try
from unspool.definitions.tasks.wait import Wait
from unspool.worker.interpreter.tasks.do import DoBehaviour
from unspool.worker.interpreter.tasks.for_each import ForBehaviour
from unspool.worker.interpreter.tasks.fork import ForkBehaviour
from unspool.worker.interpreter.tasks.raise_error import RaiseBehaviour
from unspool.worker.interpreter.tasks.request import RequestBehaviour, UnsupportedBehaviour
from unspool.worker.interpreter.tasks.set import SetBehaviour
from unspool.worker.interpreter.tasks.switch import SwitchBehaviour
from unspool.worker.interpreter.tasks.try_catch import TryBehaviour
from unspool.worker.interpreter.tasks.wait import WaitBehaviour
from unspool.worker.interpreter.turn import Behaviour

BEHAVIOURS: Final[Mapping[type[Body], Behaviour]] = {
    Do: DoBehaviour(),
    For: ForBehaviour(),
    Fork: ForkBehaviour(),
    Unsupported: UnsupportedBehaviour(),
    Raise: RaiseBehaviour(),
    Request: RequestBehaviour(),
    Set: SetBehaviour(),
    Switch: SwitchBehaviour(),
    Try: TryBehaviour(),
    Wait: WaitBehaviour(),
}
