"""Everything that a store has, as bytes in which tests look for what must not be there."""

from pathlib import Path

import redis


def everything_in_redis(url: str) -> bytes:
    client = redis.Redis.from_url(url)
    readers = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        b"stream": client.xrange,
        # The key has expired after the scan.
        b"none": lambda _: None,
    }
    with client:
        keys = list(client.scan_iter())
        return b"".join(key + repr(readers[client.type(key)](key)).encode() for key in keys)


def everything_in(url: str, tmp_path: Path) -> bytes:
    """Returns all data of a store."""
    if url.startswith("redis"):
        return everything_in_redis(url)
    files = sorted((tmp_path / "data").rglob("*"))
    return b"".join(file.read_bytes() for file in files if file.is_file())
