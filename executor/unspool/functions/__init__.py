"""What authors of functions in Python import (docs/functions.md). It needs only the standard library.

from unspool.functions import function

@function("greet", version="1.0.0")
def greet(name: str) -> str:
    return f"Hello {name}"

The function stays a plain function, so that a test can call it.
"""

from unspool.functions.context import Cancelled, Context
from unspool.functions.declaration import function
from unspool.functions.errors import TaskError

__all__ = ["Cancelled", "Context", "TaskError", "function"]
