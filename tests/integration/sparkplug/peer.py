"""An edge node of another implementation (pysparkplug), as the other side of the test in mod.rs.

    peer.py PORT

It is truck-7 of the group fleet, with a device gps, and publishes with QoS 0. It prints `ready` once it has published its
births and hears commands, and `rebirth` when it was asked for them again. A line on the standard input is what to tell,
`latitude=50.5 longitude=8`; with the end of it, the connection is cut.
"""

import os
import sys
import threading
import time

import paho.mqtt.client as mqtt
import pysparkplug as peer
from pysparkplug import DataType, Metric

ALIASES = {"latitude": 1, "longitude": 2}


def topic(kind, device=False):
    return f"spBv1.0/fleet/{kind}/truck-7" + ("/gps" if device else "")


def metric(name, value, datatype=DataType.DOUBLE, alias=None):
    return Metric(timestamp=now(), name=name, datatype=datatype, value=value, alias=alias)


def now():
    return time.time_ns() // 1_000_000


class Node:
    def __init__(self):
        self.lock = threading.Lock()
        self.seq = 0
        self.words = {}
        self.values = {"latitude": None, "longitude": None}
        self.bd_seq = metric("bdSeq", 11, DataType.INT64)
        self.client = mqtt.Client(client_id="truck-7")
        death = peer.NDeath(timestamp=now(), bd_seq_metric=self.bd_seq)
        self.client.will_set(topic("NDEATH"), death.encode(), qos=1)
        self.client.on_connect = lambda *_: self.client.subscribe(topic("NCMD"), qos=1)
        self.client.on_subscribe = lambda *_: self.birth("ready")
        self.client.on_publish = lambda _client, _data, mid: self.published(mid)
        self.client.on_message = lambda _client, _data, message: self.command(message.payload)

    def publish(self, payload, kind, device=False):
        self.client.publish(topic(kind, device), payload.encode())
        self.seq = (self.seq + 1) % 256

    def birth(self, word):
        with self.lock:
            self.seq = 0
            control = metric("Node Control/Rebirth", False, DataType.BOOLEAN)
            self.publish(peer.NBirth(timestamp=now(), seq=self.seq, metrics=(self.bd_seq, control)), "NBIRTH")
            metrics = tuple(
                metric(f"Position/{name.capitalize()}", value, alias=ALIASES[name])
                for name, value in self.values.items()
            )
            self.publish(peer.DBirth(timestamp=now(), seq=self.seq, metrics=metrics), "DBIRTH", True)
        # The broker takes one message after the other: with this one it has those before.
        self.words[self.client.publish("peer/truck-7", word, qos=1).mid] = word

    def published(self, mid):
        if mid in self.words:
            print(self.words[mid], flush=True)

    def command(self, payload):
        metrics = peer.NCmd.decode(payload).metrics
        if any(asked.name == "Node Control/Rebirth" and asked.value is True for asked in metrics):
            self.birth("rebirth")

    def tell(self, values):
        with self.lock:
            self.values.update(values)
            metrics = tuple(metric(None, value, alias=ALIASES[name]) for name, value in values.items())
            self.publish(peer.DData(timestamp=now(), seq=self.seq, metrics=metrics), "DDATA", True)


node = Node()
node.client.connect("127.0.0.1", int(sys.argv[1]))
node.client.loop_start()
for line in sys.stdin:
    node.tell({name: float(value) for name, value in (word.split("=") for word in line.split())})
os._exit(0)
