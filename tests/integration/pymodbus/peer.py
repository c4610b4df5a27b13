"""pymodbus as the other side of the tests in mod.rs. What to do stands on the standard input, as one line of JSON.

    peer.py client    reads what is asked for, prints the values as one line of JSON, and ends
    peer.py server    serves the values, prints its port, and ends with the standard input
"""

import asyncio
import json
import ssl
import sys

from pymodbus import FramerType
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.server import ModbusTcpServer, ModbusTlsServer
from pymodbus.simulator import DataType, SimData, SimDevice

TYPES = AsyncModbusTcpClient.DATATYPE
FRAMERS = {"tcp": FramerType.SOCKET, "tls": FramerType.SOCKET, "rtu-over-tcp": FramerType.RTU}


def word_order(order):
    return "little" if order in ("dcba", "cdab") else "big"


def ordered(registers, order):
    """Of the bytes in a register pymodbus knows one order; the other one is made here."""
    if order in ("abcd", "cdab"):
        return registers
    return [int.from_bytes(register.to_bytes(2, "big"), "little") for register in registers]


def decode(registers, point):
    kind, order = point["type"], point["order"]
    if kind == "BITS":
        # Its first eight are those of the register's high byte.
        bits = AsyncModbusTcpClient.convert_from_registers(registers, TYPES.BITS)
        return bits[8:16] + bits[:8]
    words = word_order(order) if kind != "STRING" else "big"
    return AsyncModbusTcpClient.convert_from_registers(ordered(registers, order), TYPES[kind], words)


def encode(point):
    kind, order, value = point["type"], point["order"], point["value"]
    if kind == "BITS":
        value = value[8:16] + value[:8]
    words = word_order(order) if kind != "STRING" else "big"
    return ordered(AsyncModbusTcpClient.convert_to_registers(value, TYPES[kind], words), order)


async def client(task):
    if task["transport"] == "rtu":
        peer = AsyncModbusSerialClient(task["path"], framer=FramerType.RTU, baudrate=9600, parity="N")
    else:
        peer = AsyncModbusTcpClient("127.0.0.1", port=task["port"], framer=FRAMERS[task["transport"]])
    assert await peer.connect(), "no connection"
    read = {
        "holding": peer.read_holding_registers,
        "input": peer.read_input_registers,
        "coil": peer.read_coils,
        "discrete": peer.read_discrete_inputs,
    }
    values = []
    for point in task["points"]:
        answer = await read[point["table"]](point["address"], count=point["count"], device_id=task["unit"])
        assert not answer.isError(), f"{point}: {answer}"
        if point["table"] in ("coil", "discrete"):
            values.append(answer.bits[: point["count"]])
        else:
            values.append(decode(answer.registers, point))
    print(json.dumps(values), flush=True)
    peer.close()


async def server(task):
    tables = {"coil": [], "discrete": [], "holding": [], "input": []}
    for point in task["points"]:
        if point["table"] in ("coil", "discrete"):
            kind, values = DataType.BITS, point["value"]
        else:
            kind, values = DataType.REGISTERS, encode(point)
        tables[point["table"]].append(SimData(point["address"], values=values, datatype=kind))
    device = SimDevice(task["unit"], simdata=tuple(tables.values()))
    options = {"framer": FRAMERS[task["transport"]], "address": ("127.0.0.1", 0)}
    if task["transport"] == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(task["cert"], task["key"])
        context.load_verify_locations(task["client_ca"])
        context.verify_mode = ssl.CERT_REQUIRED
        peer = ModbusTlsServer(device, sslctx=context, **options)
    else:
        peer = ModbusTcpServer(device, **options)
    await peer.serve_forever(background=True)
    print(peer.transport.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await peer.shutdown()


asyncio.run({"client": client, "server": server}[sys.argv[1]](json.loads(sys.stdin.readline())))
