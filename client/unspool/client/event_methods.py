"""The part of the client for published events and schedules."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from uuid import uuid4

import orjson

from unspool.client.connection import Request, path_of
from unspool.client.operation_records import Publication, PublishedEvent, Reception, Schedule
from unspool.client.records import Json, time_of
from unspool.client.requests import Requests, short_pause


class EventMethods(Requests):
    """Publishes and receives events; operates schedules."""

    async def publish(self, *events: Mapping[str, Json]) -> int:
        """Publishes CloudEvents, all or none, as `publish_batch`; returns how many were accepted."""
        return (await self.publish_batch(events)).accepted

    async def publish_batch(self, events: Iterable[Mapping[str, Json]]) -> Publication:
        """Publishes CloudEvents, all or none.

        An event without `specversion` gets `1.0`, one without `id` a random one. If a reply is lost, the
        client sends the events again, and the answer to that counts all of them as duplicates.

        Raises:
            Invalid: an event is not valid.
        """
        whole = [{"specversion": "1.0", "id": str(uuid4()), **event} for event in events]
        kind = "application/cloudevents-batch+json"
        request = Request("POST", path_of("events"), {}, orjson.dumps(whole), kind, safe=True)
        answer = await self._api.json(request)
        return Publication(answer["accepted"], answer.get("duplicates"))

    async def published_events(
        self, *, type: str | None = None, source: str | None = None, after: str | None = None
    ) -> AsyncGenerator[PublishedEvent, None]:
        """Yields events as they are published, without end. If the connection breaks, it resumes.

        Args:
            type: only events of this type.
            source: only events of this source.
            after: the id of the last event that you have; None begins with the next event. Until it has
                yielded one, a connection that breaks can lose what is published meanwhile.
        """
        path, filters = path_of("events", "stream"), {"type": type, "source": source}
        while True:
            live = await self._api.live(path, filters, after)
            if live is not None:
                async with aclosing(live) as frames:
                    async for frame in frames:
                        after = frame.id
                        published_at = time_of(frame.published or None)
                        yield PublishedEvent(frame.id, orjson.loads(frame.data), published_at)
            await short_pause()

    async def published_event(self, id: str) -> Reception:
        """Returns an event by its id in the stream, with the executions that accepted it or nearly did.

        Raises:
            NotFound: the store does not have it any more.
        """
        return Reception.of(await self._get("events", id))

    async def schedules(self) -> list[Schedule]:
        """Lists the schedules of the deployed workflows."""
        return [Schedule.of(item) for item in await self._items("schedules")]

    async def pause_schedule(
        self, id: str, *, reason: str | None = None, wait: float | None = None
    ) -> Schedule:
        """Pauses a schedule; with `wait`, waits so many seconds for it to take effect."""
        return Schedule.of(await self._post("schedules", id, "pause", wait=wait, reason=reason))

    async def resume_schedule(
        self, id: str, *, reason: str | None = None, wait: float | None = None
    ) -> Schedule:
        """Continues a paused schedule; with `wait`, waits so many seconds for it to take effect."""
        return Schedule.of(await self._post("schedules", id, "resume", wait=wait, reason=reason))
