"""Mistakes that type checkers must find. Read by mypy --strict and by pyright; never run."""

from __future__ import annotations

from tests.typing.calls import add, app, log_in, plain, shout

add.enqueue("one")  # type: ignore[arg-type]
add.enqueue()  # type: ignore[call-arg]
add.enqueue(1, middle=2)  # type: ignore[call-arg]
add.using(run_after=60).enqueue("one")  # type: ignore[arg-type]
add.call(None)  # type: ignore[arg-type]
add.using(run_afer=60)  # type: ignore[call-arg]
shout.enqueue("hi", 2)  # type: ignore[call-arg]
log_in.enqueue("hunter2")  # type: ignore[arg-type]
add.using(priority="high")  # type: ignore[arg-type]
add.using(on_conflict="skip")  # type: ignore[arg-type]
add.using(priority=1)("one")  # type: ignore[arg-type]
app.using(prioriti=1)  # type: ignore[call-arg]
app.using(priority="high")  # type: ignore[arg-type]
app.enqueue(plain, "three")  # type: ignore[call-overload]
app.using(priority=1).enqueue(plain, "three")  # type: ignore[call-overload]
app.enqueue_many([add])  # type: ignore[arg-type]
app.task(retri=None)  # type: ignore[call-overload]
text: str = add.enqueue(1).result()  # type: ignore[assignment]
called: str = add(1)  # type: ignore[assignment]
words: list[int] = shout.enqueue("hi").result()  # type: ignore[assignment]
add.enqueue(1).result(timeout="long")  # type: ignore[arg-type]
app.message_queue("numbers", type=int).put("one")  # type: ignore[arg-type]
