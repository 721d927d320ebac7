"""An engine as its caller sees it: connected or refused in one sentence, tasks sent, watched, cancelled, answered."""

import logging
import secrets
import socket
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import contextmanager
from queue import SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any

from fnet_core.engine.naming import GPU, VERSION, Address, check_installed, named
from fnet_core.engine.task import Answer, perform, went_wrong
from fnet_core.engine.tls import check_folder, context, security
from fnet_core.errors import RequestError
from fnet_core.progress import POLL_SECONDS

if TYPE_CHECKING:
    from distributed import Client

ANSWER_SECONDS = 4.0
"""How long a scheduler may take to answer the first time."""
UNSERVED_SECONDS = 60.0
"""How long tasks wait for a worker once all workers are gone."""
_LOOK_SECONDS = 5.0
"""Between two looks at which workers there are."""
_PREFIX, _LONGEST_GREETING = 8, 2**20
"""Bytes that say how long a message is, and more than the first one of a scheduler has."""

Told = Callable[[int, str, float], None]
"""Called with the number of a call, the stage it is in and its fraction there, 0 to 1; may raise to stop everything."""

log = logging.getLogger(__name__)


class Engine:
    """A scheduler with workers of this version."""

    def __init__(self, client: "Client", address: Address) -> None:
        self._client = client
        self.address = address
        self._needs = needs(workers_of(client), address)
        self.workers = self._count()
        """Workers that get tasks, as counted when it was connected."""

    def _count(self) -> int:
        return sum(_takes(each, self._needs) for each in workers_of(self._client).values())

    def held(self, value: Any) -> Any:
        """What stands for a value in calls, so that it is sent once; it outlives the worker that has it."""
        return self._client.submit(_itself, value, pure=False, resources=self._needs)

    def ready(
        self,
        function: Callable[..., Any],
        calls: Iterable[Sequence[Any]],
        *,
        told: Told = lambda number, stage, fraction: None,
        go_on: Callable[[], None] = lambda: None,
        ahead: int | None = None,
    ) -> Generator[tuple[int, Answer], None, None]:
        """What `function(*call, report)` gives on some worker for each call, with the call's number, as they end.

        `go_on` is asked every tenth of a second and may raise to stop; what still runs is cancelled then, and when the
        iterator is closed. `ahead` is the most calls that are sent before they are answered. A task whose worker dies
        is done again by another. RequestError once the scheduler or every worker is gone.
        """
        where = f"{function.__module__}:{function.__qualname__}"
        topic = f"fnet-{secrets.token_hex(8)}"
        heard: SimpleQueue[tuple[int, str, float]] = SimpleQueue()
        self._client.subscribe_topic(topic, lambda event: heard.put(event[1]))
        executor = self._client.get_executor(pure=False, resources=self._needs)
        left = enumerate(calls)
        pending: dict[Future[Answer], int] = {}
        served = monotonic()
        looked = served
        try:
            while True:
                while ahead is None or len(pending) < ahead:
                    number, call = next(left, (-1, ()))
                    if number < 0:
                        break
                    pending[executor.submit(perform, where, call, topic, number)] = number
                if not pending:
                    return
                done, _ = wait(pending, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
                while not heard.empty():
                    told(*heard.get())
                go_on()
                now = monotonic()
                if now - looked > _LOOK_SECONDS:
                    looked = now
                    served = now if self._served() else served
                    if now - served > UNSERVED_SECONDS:
                        raise RequestError(
                            f"The engine at {self.address} has no worker left; start some and ask again."
                        )
                for future in done:
                    yield pending.pop(future), self._answer(future)
        finally:
            for future in pending:
                future.cancel()
            if self._client.status == "running":
                self._client.unsubscribe_topic(topic)

    def in_order(
        self,
        function: Callable[..., Any],
        calls: Iterable[Sequence[Any]],
        *,
        go_on: Callable[[], None] = lambda: None,
    ) -> Generator[Any, None, None]:
        """What each call gives, in the order of the calls, two per worker on their way; raises as `Answer.result`."""
        early: dict[int, Answer] = {}
        turn = 0
        for number, answer in self.ready(function, calls, go_on=go_on, ahead=2 * self.workers):
            early[number] = answer
            while turn in early:
                yield early.pop(turn).result()
                turn += 1

    def _served(self) -> bool:
        try:
            return self._count() > 0
        except (OSError, TimeoutError, RuntimeError):
            return False

    def _answer(self, future: "Future[Answer]") -> Answer:
        from distributed.scheduler import KilledWorker

        try:
            return future.result()
        except CancelledError as error:
            raise RequestError(
                f"The engine at {self.address} stopped answering; see that its scheduler runs, and ask again."
            ) from error
        except KilledWorker:
            return Answer(why="It ended every worker that it was given to, as a model too large for their memory does.")
        except Exception as error:
            return Answer(why=went_wrong(error))


@contextmanager
def engine_at(given: str | None = None, tls: str | None = None) -> Iterator[Engine | None]:
    """The engine that is given or that FNET_ENGINE names, connected; None where neither names one.

    RequestError, within a few seconds, for one that does not answer, has no workers, or none of this version.
    """
    address = named(given, tls)
    if address is None:
        yield None
        return
    client = connect(address)
    try:
        engine = Engine(client, address)
        log.info("engine %s: %d workers", address, engine.workers)
        yield engine
    finally:
        client.close(timeout=ANSWER_SECONDS)


def connect(address: Address) -> "Client":
    """A client of the scheduler at this address; RequestError where none answers."""
    check_installed()
    if address.tls:
        check_folder(address.tls)
    check_answers(address)
    from distributed import Client

    for name in ("distributed", "distributed.client", "distributed.comm"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return Client(
            str(address), timeout=ANSWER_SECONDS, security=security(address.tls), set_as_default=False, name="fnet"
        )
    except (OSError, TimeoutError, ValueError, RuntimeError) as error:
        log.debug("No answer from %s", address, exc_info=True)
        raise RequestError(_silent(address)) from error


def check_answers(address: Address) -> None:
    """RequestError where nobody greets at the address as Dask does; no library is loaded for that."""
    greeting = b""
    try:
        plain = socket.create_connection((address.host, address.port), timeout=ANSWER_SECONDS)
        with plain, context(address.tls).wrap_socket(plain) if address.tls else plain as connection:
            while len(greeting) < _PREFIX and (more := connection.recv(_PREFIX - len(greeting))):
                greeting += more
    except OSError as error:
        raise RequestError(_silent(address)) from error
    if len(greeting) < _PREFIX or not 0 < int.from_bytes(greeting, "little") < _LONGEST_GREETING:
        raise RequestError(_silent(address))


def _silent(address: Address) -> str:
    return (
        f"The engine at {address} does not answer; see that its scheduler runs there "
        f"(fnet worker {address} --scheduler){' and has the same certificate' if address.tls else ''}, or leave the "
        "engine out."
    )


def _itself(value: Any) -> Any:
    return value


def workers_of(client: "Client") -> Mapping[str, Mapping[str, Any]]:
    """What the scheduler knows of each of its workers, by their addresses."""
    return client.scheduler_info(n_workers=-1)["workers"]


def needs(workers: Mapping[str, Mapping[str, Any]], address: Address) -> dict[str, float]:
    """The resources that a task asks for: a worker of this version, with a GPU where any has one.

    RequestError with both versions where no worker is of this version; a warning where some are not.
    """
    if not workers:
        raise RequestError(f"The engine at {address} has no workers; start some with: fnet worker {address}.")
    own = [each for each in workers.values() if VERSION in each["resources"]]
    others = sorted({_version(each) for each in workers.values()} - {VERSION})
    if not own:
        raise RequestError(
            f"The workers at {address} run {' and '.join(others)}, and this is {VERSION}, so that they are refused; "
            "install one version on both sides."
        )
    if others:
        log.warning(
            f"{len(workers) - len(own)} of {len(workers)} workers at {address} are refused: they run "
            f"{' and '.join(others)}, and this is {VERSION}."
        )
    wanted = {VERSION: 1.0}
    return wanted | {GPU: 1.0} if any(GPU in each["resources"] for each in own) else wanted


def _version(worker: Mapping[str, Any]) -> str:
    return next((name for name in worker["resources"] if name.startswith("FNet ")), "no FNet")


def _takes(worker: Mapping[str, Any], wanted: Mapping[str, float]) -> bool:
    return all(worker["resources"].get(name, 0) >= amount for name, amount in wanted.items())
