"""Everything Shoptalk raises on purpose. Refusing to answer is not here: a refusal is a value (types.Refused).

ShoptalkError
├── SettingsError       a setting is unknown, misspelt or out of range
├── ModelMissing        the weights a setting names are nowhere on this machine
├── ModelFailed         a model was found but raised, hung or returned nothing usable
├── ClusterFailed       the cluster that ingest should run on cannot be reached, or cannot do it
├── DataError           a file the user handed over is not in the form asked for
│   ├── CorpusEmpty     a corpus folder holds nothing that can be read
│   ├── WrongFilter     a filter names a field there is not, or a value that no chunk has
│   └── Unreadable      one file of a corpus cannot be read (ingest reports it and goes on)
├── ServeError          the page or the service cannot take this turn now
│   ├── PortInUse       another program listens where Shoptalk should
│   ├── Starting        model and index are still loading
│   ├── TooBusy         as many turns run and wait as settings allow
│   └── Overdue         a turn took longer than answer.deadline_seconds
└── HomeError           something under SHOPTALK_HOME stands in the way
    ├── NoIndex         no generation is live
    ├── IndexMismatch   the live index was built with other models or settings
    ├── IndexDamaged    a generation does not hold what its manifest says
    ├── QualityFell     a new generation answers the gold questions worse than the live one
    └── HomeBusy        another process owns the home
"""

from __future__ import annotations

import copyreg
from typing import Any


class ShoptalkError(Exception):
    """An error a person can act on: what was expected, what was found, what to do."""

    def __init__(self, *, expected: str, found: str, remedy: str) -> None:
        self.expected, self.found, self.remedy = expected, found, remedy
        super().__init__(f"expected {expected}; found {found}; {remedy}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled without a second call of __init__, which takes no positional arguments."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class SettingsError(ShoptalkError):
    """A setting is unknown, misspelt or out of range."""


class ModelMissing(ShoptalkError):
    """The weights a setting names are nowhere on this machine."""


class ModelFailed(ShoptalkError):
    """A model was found but raised, hung or returned nothing usable."""


class ClusterFailed(ShoptalkError):
    """The cluster that ingest should run on cannot be reached, or cannot do it."""


class DataError(ShoptalkError):
    """A file the user handed over is not in the form asked for."""


class CorpusEmpty(DataError):
    """A corpus folder holds nothing that can be read."""


class Unreadable(DataError):
    """One file of a corpus cannot be read; ingest reports it and goes on with the rest."""


class WrongFilter(DataError):
    """A filter names a field there is not, or a value that no chunk has: searching with it could find nothing."""


class ServeError(ShoptalkError):
    """The page or the service cannot take this turn now."""


class PortInUse(ServeError):
    """Another program listens where Shoptalk should."""


class Starting(ServeError):
    """Model and index are still loading."""


class TooBusy(ServeError):
    """As many turns run and wait as settings allow; `wait` is when to come back, in seconds."""

    def __init__(self, *, expected: str, found: str, remedy: str, wait: int) -> None:
        super().__init__(expected=expected, found=found, remedy=remedy)
        self.wait = wait


class Overdue(ServeError):
    """A turn took longer than answer.deadline_seconds."""


class HomeError(ShoptalkError):
    """Something under SHOPTALK_HOME stands in the way."""


class NoIndex(HomeError):
    """No generation is live."""


class IndexMismatch(HomeError):
    """The live index was built with other models or settings."""


class IndexDamaged(HomeError):
    """A generation does not hold what its manifest says."""


class QualityFell(HomeError):
    """A new generation answers the gold questions worse than the live one; it did not go live."""


class HomeBusy(HomeError):
    """Another process owns the home."""
