"""What is wrong with a test, rather than with the workflow. Pytest reports these as failures."""


class UnmockedTask(AssertionError):
    """A task needs an executor, and the test says nothing about its result."""


class MockExhausted(AssertionError):
    """A task was called more often than its `sequence` has answers."""


class EndlessExecution(AssertionError):
    """The executions of a test do not come to an end."""


class NotJson(ValueError):
    """An output, an input or an event of a test is not JSON, so no service could have sent it."""


class UnknownMock(ValueError):
    """No task has the name, the pointer or the kind of a mock."""
