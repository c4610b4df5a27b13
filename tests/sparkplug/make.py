"""Messages of an edge node as two other implementations of Sparkplug B encode them, for the decoder's tests.

    pip install pysparkplug==0.6.1 sparkplug-b-packets==0.12.2025
    python3 make.py > peers.txt

pysparkplug is an implementation of its own; sparkplug-b-packets carries the Python code of Eclipse Tahu. Both leave the
bytes to Google's protobuf. A line is `topic payload`, the payload in hexadecimal digits.
"""

import contextlib
import datetime
import sys

import pysparkplug as peer
from pysparkplug import DataType, Metric
from sparkplub_b_packets.core import sparkplug_b as tahu
from sparkplub_b_packets.core.sparkplug_b import MetricDataType

NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z
GROUP, NODE, DEVICE = "fleet", "truck-7", "gps"


def line(kind, payload, device=None):
    levels = ["spBv1.0", GROUP, kind, NODE] + ([device] if device else [])
    print("/".join(levels), payload.hex())


def metric(at, value, datatype, name=None, alias=None, **flags):
    return Metric(timestamp=at, name=name, datatype=datatype, value=value, alias=alias, **flags)


def by_pysparkplug():
    bd_seq = metric(NOON, 41, DataType.INT64, "bdSeq")
    rebirth = metric(NOON, False, DataType.BOOLEAN, "Node Control/Rebirth")
    line("NBIRTH", peer.NBirth(timestamp=NOON, seq=0, metrics=(bd_seq, rebirth)).encode())
    born = (
        metric(NOON, 52.5, DataType.DOUBLE, "Position/Latitude", 1),
        metric(NOON, 13.25, DataType.DOUBLE, "Position/Longitude", 2),
        metric(NOON, 34.5, DataType.FLOAT, "Position/Altitude", 3),
        metric(NOON, -7, DataType.INT8, "Engine/Temperature", 4),
        metric(NOON, 36, DataType.UINT16, "Speed", 5),
        metric(NOON, True, DataType.BOOLEAN, "Ignition", 6),
        metric(NOON, "diesel", DataType.STRING, "Engine/Fuel", 7),
        metric(NOON, (1, -2, 3), DataType.INT16_ARRAY, "Engine/Cylinders", 8),
        metric(
            NOON,
            datetime.datetime.fromtimestamp(NOON / 1000, datetime.timezone.utc),
            DataType.DATETIME,
            "Engine/Serviced",
            9,
        ),
        metric(NOON, None, DataType.UINT8, "Battery", 10),
    )
    line("DBIRTH", peer.DBirth(timestamp=NOON + 10, seq=1, metrics=born).encode(), DEVICE)

    def data(seq, at, *metrics):
        payload = peer.DData(timestamp=at, seq=seq, metrics=metrics)
        line("DDATA", payload.encode(include_dtypes=False), DEVICE)

    both = NOON + 10_000
    data(2, both, metric(both, 52.501, DataType.DOUBLE, alias=1), metric(both, 13.251, DataType.DOUBLE, alias=2))
    lat = NOON + 20_000
    data(3, lat, metric(lat, 52.502, DataType.DOUBLE, alias=1), metric(lat, 72, DataType.UINT16, alias=5))
    other = NOON + 30_000
    data(4, other, metric(other, -128, DataType.INT8, alias=4), metric(other, False, DataType.BOOLEAN, alias=6))
    past = [NOON + 12_000, NOON + 14_000]
    held = [
        metric(at, value, DataType.DOUBLE, alias=alias, is_historical=True)
        for alias, values in ((1, (52.5012, 52.5014)), (2, (13.2512, 13.2514)))
        for at, value in zip(past, values)
    ]
    data(5, NOON + 40_000, *held)
    lost = NOON + 50_000
    data(6, lost, metric(lost, None, DataType.DOUBLE, alias=1), metric(lost, None, DataType.DOUBLE, alias=2))
    line("DDEATH", peer.DDeath(timestamp=NOON + 60_000, seq=7).encode(), DEVICE)
    line("NDEATH", peer.NDeath(timestamp=NOON, bd_seq_metric=bd_seq).encode())


def by_tahu():
    # It says something of its own on standard output.
    with contextlib.redirect_stdout(sys.stderr):
        death = tahu.getNodeDeathPayload()
    death.metrics[0].timestamp = NOON + 100_000
    payload = tahu.getNodeBirthPayload()
    payload.timestamp = NOON + 100_000
    for added in payload.metrics:
        added.timestamp = NOON + 100_000
    tahu.addMetric(payload, "lat", 1, MetricDataType.Float, 50.5)
    tahu.addMetric(payload, "lon", 2, MetricDataType.Float, 8.25)
    tahu.addMetric(payload, "Offset", 3, MetricDataType.Int32, -70_000)
    table = tahu.initDatasetMetric(payload, "Trip", 4, ["stop", "km"], [MetricDataType.String, MetricDataType.Int32])
    row = table.rows.add()
    row.elements.add().string_value = "yard"
    row.elements.add().int_value = 12
    template = tahu.initTemplateMetric(payload, "Engine", 5, "engine_t")
    tahu.addMetric(template, "RPM", None, MetricDataType.Int32, 900, NOON)
    for added in payload.metrics:
        added.timestamp = NOON + 100_000
    line("NBIRTH", payload.SerializeToString())
    data = tahu.getDdataPayload()
    data.timestamp = NOON + 110_000
    tahu.addMetric(data, None, 1, MetricDataType.Float, 50.501953125)
    tahu.addMetric(data, None, 5, MetricDataType.Int32, 0)
    for added in data.metrics:
        added.timestamp = NOON + 110_000
    line("NDATA", data.SerializeToString())
    line("NDEATH", death.SerializeToString())


by_pysparkplug()
by_tahu()
