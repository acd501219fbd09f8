"""Keeps the masks of secrets: making one takes longer than most tasks."""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Collection
from typing import Final

from unspool.definitions.json_value import Json
from unspool.executor.masking import Mask

_MOST: Final = 64
"""Masks that are kept."""

_MOST_CHARACTERS: Final = 64 * 1024 * 1024
"""Characters of the masks that are kept; the last one is kept whatever it has."""


class SecretMasks:
    """The masks that were used last. Any thread may call it."""

    def __init__(self) -> None:
        self._masks: OrderedDict[bytes, Mask] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, values: Collection[Json]) -> Mask:
        """The mask of values of secrets. It is made, which can take seconds, if it is not kept."""
        key = hashlib.sha256(json.dumps(list(values), sort_keys=True).encode()).digest()
        with self._lock:  # so that tasks that begin together do not each make it
            mask = self._masks.pop(key, None) or Mask(values)
            self._masks[key] = mask
            self._drop_old()
        return mask

    def _drop_old(self) -> None:
        while len(self._masks) > 1 and self._is_full():
            self._masks.popitem(last=False)

    def _is_full(self) -> bool:
        sizes = sum(mask.size for mask in self._masks.values())
        return len(self._masks) > _MOST or sizes > _MOST_CHARACTERS
