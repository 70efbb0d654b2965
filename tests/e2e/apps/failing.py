"""Enqueue on a disk that fails now and then: `python -m tests.e2e.apps.failing FILE`; a line for each answer."""

from __future__ import annotations

import sys

from comanda import BrokerError, Comanda, EnqueueUncertain
from comanda.ids import new_ids, to_text

JOBS = 16


def _note(number: int) -> int:
    return number


def main(path: str) -> None:
    """Enqueue JOBS jobs. Go on after each error, but repeat those in doubt until they are accepted."""
    app = Comanda(f"sqlite:///{path}")
    note = app.task(name="note")(_note)

    def enqueue(job_id: str) -> str:
        try:
            note.using(id=job_id).enqueue(0)
        except EnqueueUncertain as error:
            return f"uncertain {error}"
        except BrokerError as error:
            return f"refused {error}"
        return "accepted"

    for job_id in map(to_text, new_ids(JOBS)):
        answers = [enqueue(job_id)]
        while any(answer.startswith("uncertain") for answer in answers) and answers[-1] != "accepted":
            answers.append(enqueue(job_id))
        for answer in answers:
            sys.stdout.write(f"{job_id} {answer}\n")
    app.close()


if __name__ == "__main__":
    main(sys.argv[1])
