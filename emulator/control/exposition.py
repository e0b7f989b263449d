"""``expose``, which writes metrics in the text formats of Prometheus.

Prometheus's client library for Python writes the formats, and reads the metrics of the process. The emulator
does not use the library for its own counters, because each change of a counter would take a lock and several
calls, and because importing the library takes as long as importing the whole control API.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.utils import floatToGoString

from emulator.control.readings import Metric, Reading, Values
from emulator.durations import BOUNDS, Histogram

LIMITS = (*map(floatToGoString, BOUNDS), "+Inf")
"""The values of the label ``le`` of a histogram."""


def expose(reading: Reading, accept: str) -> tuple[bytes, str]:
    """Return the metrics of ``reading`` and of the process as text, and the media type of the text.

    ``accept`` is the header ``Accept``, which chooses between the text format of Prometheus and OpenMetrics.
    """
    registry = CollectorRegistry()
    registry.register(_Collector(reading))
    ProcessCollector(registry=registry)
    try:
        encoder, media_type = choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is not a number
        encoder, media_type = choose_encoder("")
    return encoder(registry), media_type


class _Collector:
    """Converts metrics to the types of the library."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Family]:
        """Yield the metrics."""
        for metric, values in self._reading.items():
            yield _family(metric, values)


def _family(metric: Metric, values: Values) -> Family:
    if metric.kind == "histogram":
        histograms = HistogramMetricFamily(metric.name, metric.text, labels=metric.labels)
        for labels, value in sorted(values.items()):
            if isinstance(value, Histogram):
                buckets = list(zip(LIMITS, value.at_most, strict=True))
                histograms.add_metric(labels, buckets, value.sum_s)
        return histograms
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.text, labels=metric.labels)
    for labels, value in sorted(values.items()):
        if not isinstance(value, Histogram):
            family.add_metric(labels, value)
    return family
