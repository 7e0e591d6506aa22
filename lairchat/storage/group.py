"""Runs a group of units in one transaction on the writer's thread, and finds the one that breaks it.

What happens to each unit of a group:

==========================================  ====================================================
its run returns                             committed with the group
it raises Refusal before its first write    refused; the others do not notice
it raises anything else                     the group is undone and run again, each unit behind a
                                            savepoint: the culprit gets its error, the others
                                            commit
disk full, read-only, locked                the whole group fails with that refusal
I/O error, failed fsync, corrupt file       the same, and the writer stops for good
==========================================  ====================================================
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from lairchat.model.refusals import Refusal
from lairchat.storage.alchimia_shim import transaction
from lairchat.storage.unavailable import StorageUnavailable, storage_unavailable


class LateRefusalError(Exception):
    """A unit refused after it had written: a fault of ours, because the write must not stay."""


class Unit:
    """One caller's work in the writer's transaction.

    ``run`` may be called again after a rollback and a ``reset``, which has to forget all that a run
    keeps; and it lets
    the database's errors out (but for an IntegrityError that it expects), because a full disk
    that it swallowed would be taken for success.
    """

    __slots__ = ("refusal",)

    size: int = 256
    """bytes: about what the work writes, counted towards the group's bound."""
    family: "Family | None" = None
    """Runs neighbouring units of one family set-wise; a ``staticmethod``. None: each by ``run``."""
    refusal: Refusal | None
    """Why this unit was refused: None after ``reset``, set by the family or from ``run``."""

    def reset(self) -> None:
        """Forget what came of an earlier run: there was none yet, or it was undone."""
        self.refusal = None

    def run(self, connection: Connection) -> None:
        """Check, then write; on the writer's thread, inside the transaction.

        Raises Refusal before its first write or not at all.
        """
        family = self.family
        if family is None:
            raise NotImplementedError(f"{type(self).__name__} has neither run nor family")
        family(connection, (self,))

    def finish(self, error: BaseException | None) -> None:
        """Hear the outcome, on the reactor's thread, in the order of submission.

        error: None when the work is durable; a Refusal (StorageUnavailable is one) when nothing of
        it was stored; anything else is what ``run`` raised.
        """
        raise NotImplementedError


Family = Callable[[Connection, Sequence[Unit]], None]
"""Runs several units at once; sets ``refusal`` on those that it refuses, before writing for them."""


class Outcome(NamedTuple):
    """How a group went.

    done: how many units, from the front, were dealt with; the others ran out of time.
    errors: None when every unit's outcome is its ``refusal``, else one error or None each.
    fault: why the group could not be stored.
    rows: rows changed. again: whether it had to be run one by one.
    running, committing: seconds.
    """

    done: int
    errors: list[BaseException | None] | None
    fault: StorageUnavailable | None
    rows: int
    again: bool
    running: float
    committing: float


def run_group(
    connection: Connection,
    units: Sequence[Unit],
    seconds: Callable[[], float],
    budget: float,
) -> Outcome:
    """Run units in one transaction and commit it; see the table above.

    seconds: a monotonic clock. budget: seconds of running after which the rest must wait.
    """
    attempt = _Attempt(connection, units, seconds, budget)
    try:
        return attempt.together()
    except Exception as error:  # noqa: BLE001 - whoever caused it is found below and told
        fault = storage_unavailable(error)
        if fault is not None:
            return attempt.failed(fault, again=False)
    try:
        return attempt.one_by_one()
    except Exception as error:  # noqa: BLE001 - as above
        fault = storage_unavailable(error)
        if fault is not None:
            return attempt.failed(fault, again=True)
        # Only the COMMIT itself is left to fail. Nothing was stored, and nobody in particular is
        # to blame, so everybody hears of it.
        return attempt.outcome(len(units), [error] * len(units), again=True)


class _Attempt:
    def __init__(
        self,
        connection: Connection,
        units: Sequence[Unit],
        seconds: Callable[[], float],
        budget: float,
    ) -> None:
        self.connection = connection
        driver: Any = connection.connection.dbapi_connection
        self.driver = driver
        self.units = units
        self.seconds = seconds
        self.budget = budget
        self.rows = self.driver.total_changes
        self.started = self.ran = seconds()

    def together(self) -> Outcome:
        with transaction(self.connection):
            done = self._run_until(self.started + self.budget)
            self.ran = self.seconds()
        return self.outcome(done, None, again=False)

    def _run_until(self, deadline: float) -> int:
        units, count = self.units, len(self.units)
        done = 0
        while done < count:
            unit = units[done]
            family = unit.family
            if family is None:
                self._run_unit(unit)
                done += 1
            else:
                first = done
                done += 1
                while done < count and units[done].family == family:
                    done += 1
                family(self.connection, units[first:done])
            if self.seconds() >= deadline:
                break
        return done

    def _run_unit(self, unit: Unit) -> None:
        before = self.driver.total_changes
        try:
            unit.run(self.connection)
        except Refusal as refusal:
            if self.driver.total_changes != before:
                raise LateRefusalError(f"{type(unit).__name__}: {refusal.code}") from refusal
            unit.refusal = refusal

    def one_by_one(self) -> Outcome:
        # All behind savepoints in one transaction, not in one each: whoever can make a unit fail
        # could otherwise make everybody's group cost a thousand fsyncs.
        self.started = self.seconds()
        deadline = self.started + self.budget
        # All of them: those that there is no time for now begin afresh in the next group.
        for unit in self.units:
            unit.reset()
        errors: list[BaseException | None] = []
        with transaction(self.connection):
            for unit in self.units:
                errors.append(self._run_behind_savepoint(unit))
                if self.seconds() >= deadline:
                    break
            self.ran = self.seconds()
        return self.outcome(len(errors), errors, again=True)

    def _run_behind_savepoint(self, unit: Unit) -> BaseException | None:
        cursor = self.driver.cursor()
        cursor.execute("SAVEPOINT unit")
        try:
            self._run_unit(unit)
        except Exception as error:
            if storage_unavailable(error) is not None:
                raise
            cursor.execute("ROLLBACK TO SAVEPOINT unit")
            cursor.execute("RELEASE SAVEPOINT unit")
            return error
        cursor.execute("RELEASE SAVEPOINT unit")
        return unit.refusal

    def failed(self, fault: StorageUnavailable, *, again: bool) -> Outcome:
        return self.outcome(len(self.units), [fault] * len(self.units), again=again, fault=fault)

    def outcome(
        self,
        done: int,
        errors: list[BaseException | None] | None,
        *,
        again: bool,
        fault: StorageUnavailable | None = None,
    ) -> Outcome:
        return Outcome(
            done,
            errors,
            fault,
            self.driver.total_changes - self.rows,
            again,
            self.ran - self.started,
            self.seconds() - self.ran,
        )
