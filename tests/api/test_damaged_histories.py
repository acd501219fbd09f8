"""What the API answers when a stored history is damaged."""

import sqlite3
from contextlib import closing

from unspool.api.events import PAGE
from unspool.eventstore.opening import open_store
from unspool.eventstore.records import Status

VIEWS = ("", "/events", "/state", "/diagram", "/timeline", f"/events?limit={PAGE}")


async def test_a_damaged_history_hides_no_other(tmp_path, running_api, greet, caplog):
    store = await open_store(f"sqlite:///{tmp_path}/store.db", {})
    async with running_api(store) as api:
        await api.deploy(greet)
        for name in ("whole", "damaged"):
            await api.start(id=name, input={"name": "Ada"})
            await api.begin(name)
            await api.move(name, Status.COMPLETED)
        with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as connection:
            changed = "entry = CAST(replace(entry, 'Ada', 'Eve') AS BLOB)"
            connection.execute(f"UPDATE history SET {changed} WHERE execution = 'damaged'")
        for view in VIEWS:
            problem = await api.get(f"/executions/damaged{view}", 500)
            assert problem["detail"] == "the stored history is damaged; the server's log says where"
        items = {item["id"]: item for item in (await api.get("/executions"))["items"]}
        assert items["whole"]["output"] == {"greeting": "Hello Ada"}
        assert items["damaged"]["error"]["detail"] == "the stored history is damaged"
        assert items["damaged"]["input"] is None
    assert "history_damaged" in {getattr(record, "action", "") for record in caplog.records}
    await store.close()
