"""The event store on Redis Streams. `docs/decisions/0003-redis.md` explains its design."""
