"""What a thread makes before it is asked for."""

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Made = TypeVar("Made")

THREAD_NAME = "ahead"


def made_ahead(make: Callable[[int], Made], count: int, ahead: int) -> Generator[Made, None, None]:
    """`make(0)` to `make(count - 1)` in this order, made by a thread, up to `ahead` in advance.

    What `make` raises is raised here, in its place. The thread ends with the generator, which is to
    be closed where it isn't used up.
    """
    waiting: deque[Future[Made]] = deque()
    # One thread: it takes in order what is submitted.
    with ThreadPoolExecutor(1, thread_name_prefix=THREAD_NAME) as thread:
        try:
            for place in range(count):
                for coming in range(place + len(waiting), min(place + ahead + 1, count)):
                    waiting.append(thread.submit(make, coming))
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
