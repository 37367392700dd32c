"""What HTCondor's bindings answered in a scene of a real pool: recorded, and given again.

A scene is a directory: ``scene.json`` has its jobs, ``answers.jsonl`` a line for each question
that was asked. A question asked more than once gets its answers in turn, the last one for ever.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from hotslot_plugin.child_process import ChildFailed
from hotslot_plugin.condor_pool import Asker

ANSWERS = "answers.jsonl"


class Recorder:
    """Asks somebody else, and keeps what is answered."""

    def __init__(self, asker: Asker, scene: Path) -> None:
        self._asker = asker
        self._scene = scene
        scene.mkdir(parents=True, exist_ok=True)

    @property
    def greeting(self) -> Mapping[str, object]:
        return self._asker.greeting

    def ask(
        self, question: Mapping[str, object], timeout_s: float | None = None
    ) -> dict[str, object]:
        answer = self._asker.ask(question, timeout_s)
        kept = {"question": _timeless(question), "answer": answer}
        with (self._scene / ANSWERS).open("a") as file:
            file.write(json.dumps({"greeting": dict(self.greeting), **kept}) + "\n")
        return answer

    def close(self) -> None:
        self._asker.close()


class Replayed:
    """Answers as the bindings once did; a question that was never asked is a failure."""

    def __init__(self, scene: Path) -> None:
        self.greeting: dict[str, object] = {}
        self._scene = scene.name
        self._answers: dict[str, list[dict[str, object]]] = {}
        for line in (scene / ANSWERS).read_text().splitlines():
            kept = json.loads(line)
            self.greeting = kept["greeting"]
            self._answers.setdefault(json.dumps(kept["question"]), []).append(kept["answer"])

    def ask(
        self, question: Mapping[str, object], timeout_s: float | None = None
    ) -> dict[str, object]:
        answers = self._answers.get(json.dumps(_timeless(question)))
        if not answers:
            raise ChildFailed(f"fake: {self._scene} has no answer to {_timeless(question)}")
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def close(self) -> None:
        pass


def _timeless(question: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in question.items() if name != "limit_s"}
