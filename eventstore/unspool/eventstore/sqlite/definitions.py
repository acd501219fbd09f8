"""Definitions, stored as they were submitted."""

from unspool.eventstore.records import Definition, WorkflowRef
from unspool.eventstore.results import Stored
from unspool.eventstore.semver import order
from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.sqlite.mixin import StoreMixin


class SqliteDefinitions(StoreMixin):
    """The port's `Definitions`."""

    async def put_definition(self, tenant: str, definition: Definition) -> Stored:
        """See `Definitions`."""
        identity = (tenant, *definition.ref)

        def put(transaction: Transaction) -> Stored:
            inserted = transaction.execute(
                "INSERT INTO definitions (tenant, namespace, name, version, text, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (*identity, definition.text, definition.created_at),
            )
            if inserted.rowcount:
                return Stored.CREATED
            [text] = transaction.execute(
                "SELECT text FROM definitions"
                " WHERE tenant = ? AND namespace = ? AND name = ? AND version = ?",
                identity,
            ).fetchone()
            return Stored.SAME if text == definition.text else Stored.DIFFERENT

        return await self._database.write(put)

    async def definition(
        self, tenant: str, namespace: str, name: str, version: str | None = None
    ) -> Definition | None:
        """See `Definitions`."""

        def read(transaction: Transaction) -> Definition | None:
            resolved = version or _latest(transaction, tenant, namespace, name)
            row = transaction.execute(
                "SELECT namespace, name, version, text, created_at FROM definitions"
                " WHERE tenant = ? AND namespace = ? AND name = ? AND version = ?",
                (tenant, namespace, name, resolved),
            ).fetchone()
            return row and _definition(row)

        return await self._database.read(read)

    async def resolve(
        self, tenant: str, namespace: str, name: str, version: str | None = None
    ) -> WorkflowRef | None:
        """See `Definitions`."""

        def read(transaction: Transaction) -> WorkflowRef | None:
            resolved = version or _latest(transaction, tenant, namespace, name)
            row = transaction.execute(
                "SELECT namespace, name, version FROM definitions"
                " WHERE tenant = ? AND namespace = ? AND name = ? AND version = ?",
                (tenant, namespace, name, resolved),
            ).fetchone()
            return None if row is None else WorkflowRef(*row)

        return await self._database.read(read)

    async def definitions(
        self, tenant: str, namespace: str | None = None, name: str | None = None
    ) -> list[Definition]:
        """See `Definitions`."""

        def read(transaction: Transaction) -> list[Definition]:
            rows = transaction.execute(
                "SELECT namespace, name, version, text, created_at FROM definitions"
                " WHERE tenant = ? AND namespace = coalesce(?, namespace) AND name = coalesce(?, name)",
                (tenant, namespace, name),
            ).fetchall()
            return sorted((_definition(row) for row in rows), key=_in_order)

        return await self._database.read(read)


def _latest(transaction: Transaction, tenant: str, namespace: str, name: str) -> str | None:
    rows = transaction.execute(
        "SELECT version FROM definitions WHERE tenant = ? AND namespace = ? AND name = ?",
        (tenant, namespace, name),
    ).fetchall()
    return max((version for [version] in rows), key=order, default=None)


def _in_order(definition: Definition) -> tuple[object, ...]:
    ref = definition.ref
    return ref.namespace, ref.name, order(ref.version)


def _definition(row: tuple[str, str, str, str, int]) -> Definition:
    namespace, name, version, text, created_at = row
    return Definition(WorkflowRef(namespace, name, version), text, created_at)
