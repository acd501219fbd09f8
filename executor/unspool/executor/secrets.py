"""The sources of the values of secrets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import orjson

from unspool.definitions.json_value import Json
from unspool.eventstore.records import DEFAULT_TENANT
from unspool.eventstore.regular_files import read_regular

PREFIX: Final = "UNSPOOL_SECRET_"
_NOT_IN_VARIABLE: Final = re.compile(r"[^A-Z0-9]")
_FILE_NAME: Final = re.compile(r"(?!\.)[^/\\\0]{1,255}")
_MAX_FILE_BYTES: Final = 1024 * 1024


class SecretProvider(Protocol):
    """Returns the values of secrets. Any thread may call it, and it may block."""

    def secret(self, name: str) -> Json:
        """The value of a secret: text, or a JSON object or array. None if there is no such secret."""


@dataclass(frozen=True, slots=True)
class LocalSecrets:
    """Secrets from environment variables, or from files in a directory.

    A file is read at each use, so a changed value needs no restart.
    """

    environment: Mapping[str, str]
    directory: str = ""
    """A directory with one file for each secret, as Kubernetes mounts them; empty for none."""

    def secret(self, name: str) -> Json:
        """See `SecretProvider`."""
        text = self.environment.get(variable(name)) or self._file(name)
        return None if text is None else _value(text)

    def _file(self, name: str) -> str | None:
        if not self.directory or not _FILE_NAME.fullmatch(name):
            return None
        try:
            content = read_regular(Path(self.directory) / name, _MAX_FILE_BYTES)
        except OSError:
            return None
        return content.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")


@runtime_checkable
class TenantSecrets(Protocol):
    """A provider whose tenants have secrets of their own."""

    def of_tenant(self, tenant: str) -> SecretProvider:
        """The secrets that the workflows of a tenant may use."""


@dataclass(frozen=True, slots=True)
class SecretsByTenant:
    """The tenant `default` has all local secrets; every other one the files in a directory with its name.

    Environment variables belong to `default` alone: tenants whose names differ in case would share them.
    """

    default: LocalSecrets

    def secret(self, name: str) -> Json:
        """A secret of the tenant `default`."""
        return self.default.secret(name)

    def of_tenant(self, tenant: str) -> SecretProvider:
        """See `TenantSecrets`."""
        if tenant == DEFAULT_TENANT:
            return self.default
        directory = self.default.directory and str(Path(self.default.directory) / tenant)
        return LocalSecrets({}, directory)


def local_secrets(environment: Mapping[str, str], directory: str, *, shared: bool) -> SecretProvider:
    """The secrets in the environment and in a directory; `shared` gives all of them to every tenant."""
    local = LocalSecrets(environment, directory)
    return local if shared else SecretsByTenant(local)


def secrets_of(provider: SecretProvider, tenant: str) -> SecretProvider:
    """What a provider has for a tenant: everything, if it does not tell tenants apart."""
    return provider.of_tenant(tenant) if isinstance(provider, TenantSecrets) else provider


def variable(name: str) -> str:
    """The environment variable of a secret: in upper case, with `_` for other characters than A-Z and 0-9."""
    return PREFIX + _NOT_IN_VARIABLE.sub("_", name.upper())


def _value(text: str) -> Json:
    """The parsed value if the text is a JSON object or array; otherwise the text."""
    if text.lstrip()[:1] not in {"{", "["}:
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
