"""What operators watch, in the Prometheus text format. One registry per service, so tests can make many."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from rag.types import Done, HandOver, Refused

_SECONDS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)


class Metrics:
    """Turns by how they ended, how long they took, how many are on their way."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.turns = Counter(
            "shoptalk_turns", "Turns by channel, outcome and rung", ("channel", "outcome", "rung"), registry=self.registry
        )
        self.failures = Counter(
            "shoptalk_failures", "Turns answered without a rung whose part failed", ("channel", "rung"), registry=self.registry
        )
        self.seconds = Histogram(
            "shoptalk_turn_seconds",
            "Question to last word, queue included",
            ("channel",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.rejected = Counter(
            "shoptalk_rejected", "Turns refused because the queue was full", ("channel",), registry=self.registry
        )
        self.admitted = Gauge("shoptalk_admitted", "Turns running or waiting", registry=self.registry)
        self.running = Gauge("shoptalk_running", "Turns running", registry=self.registry)

    def count(self, step: object, channel: str, seconds: float) -> None:
        """Take note of a step; only finished turns count."""
        if isinstance(step, Done | Refused | HandOver):
            self.turns.labels(channel, step.answer.outcome.value, step.answer.rung).inc()
            self.seconds.labels(channel).observe(seconds)
            if step.answer.failed:
                self.failures.labels(channel, step.answer.failed).inc()

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)
