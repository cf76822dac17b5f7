"""The common part of the blocking client and the asyncio client."""

from __future__ import annotations

from typing import Any, Iterable

from . import calls, protocol
from .acquisition import Acquisition
from .address import Address, default_owner
from .deadline import Deadline
from .exchange import Steps
from .farewell import Farewells
from .records import Renewal


class ClientBase:
    """What needs no request, and the steps of some calls."""

    _farewells: Farewells

    def __init__(self, url: str | None, owner: str | None, timeout: float, patience: float):
        self._address = Address.parse(url)
        self._owner = owner
        self._settings = protocol.Settings(timeout, patience)

    @property
    def url(self) -> str:
        return self._address.url

    @property
    def owner(self) -> str:
        return self._owner or default_owner()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.url}>"

    def __reduce__(self) -> str:
        raise TypeError("A client has connections and cannot be pickled or copied; make one in "
                        "each process, with the same URL.")

    def _acquisition(self, path: calls.Resource | Iterable[calls.Resource], ttl: float | None,
                     wait: float | None, token: str | None, owner: str | None,
                     **options: Any) -> Acquisition:
        """Return an acquisition. A lease joined by a `token` keeps its TTL and its owner."""
        joins = token is not None
        wanted = calls.Wanted.of(path, ttl=None if joins else ttl,
                                 owner=owner if joins else owner or self.owner, **options)
        return Acquisition(self._settings, wanted, wait, token, is_alone=not joins)

    def _renewing(self, token: str, ttl: float | None) -> Steps[Renewal]:
        renewal = yield from protocol.call(self._settings, calls.renew(token, ttl), Renewal.parse)
        for tenure in self._farewells.tenures(token):
            tenure.renewed(Deadline(renewal.ttl, renewal.sent))
        return renewal

    def _releasing(self, token: str, path: str | None, releaser: object) -> Steps[None]:
        """Release a path or a lease. `releaser` is the calling thread or task."""
        tenures = self._farewells.tenures(token)
        if path is not None:
            request = calls.release_path(token, path)  # raises, where it is none
            for tenure in tenures:
                tenure.lose_path_by_release(path, releaser)  # before others can have it
            yield from protocol.call(self._settings, request, lambda answer: None)
            return
        yield from protocol.call(self._settings, calls.release_lease(token), lambda answer: None)
        for tenure in tenures:  # not before: else nobody would have it if that fails
            tenure.lose_by_release()
            self._farewells.done(tenure)
