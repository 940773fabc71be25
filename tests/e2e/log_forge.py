"""Logs with whole batches that no talead would have written: for tests of what must be noticed all the same."""
import hashlib
import struct

SEGMENT_HEADER = 128
BATCH_HEADER = 48
CHAIN = 32


def _table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


TABLE = _table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for octet in data:
        crc = TABLE[(crc ^ octet) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def batches(data):
    """(offset, length on disk, number of events, flags) of each whole batch of a segment's bytes."""
    at = SEGMENT_HEADER
    while data[at:at + 4] == b"TLBT":
        payload, events, flags = struct.unpack_from("<III", data, at + 4)
        length = (BATCH_HEADER + payload + CHAIN + 7) // 8 * 8
        yield at, length, events, flags
        at += length


def forge(path, edit):
    """Passes each payload of a lone segment through `edit` (same length), and makes CRCs and chain right again."""
    with open(path, "rb") as f:
        data = bytearray(f.read())
    chain = bytes(data[48:80])
    for at, _, _, _ in list(batches(data)):
        payload_at = at + BATCH_HEADER
        length, = struct.unpack_from("<I", data, at + 4)
        payload = edit(bytes(data[payload_at:payload_at + length]))
        assert len(payload) == length
        data[payload_at:payload_at + length] = payload
        struct.pack_into("<I", data, at + 44, crc32c(bytes(data[at:at + 44]) + payload))
        chain = hashlib.sha256(chain + bytes(data[at:payload_at]) + payload).digest()
        data[payload_at + length:payload_at + length + CHAIN] = chain
    with open(path, "wb") as f:
        f.write(data)


def set_version(path, version):
    """Makes a segment one of another format version, its header's CRC right."""
    with open(path, "r+b") as f:
        header = bytearray(f.read(SEGMENT_HEADER))
        struct.pack_into("<I", header, 8, version)
        struct.pack_into("<I", header, 124, crc32c(header[:124]))
        f.seek(0)
        f.write(header)


def flip(path, offset, mask=0x40):
    with open(path, "r+b") as f:
        f.seek(offset)
        octet = f.read(1)[0]
        f.seek(offset)
        f.write(bytes([octet ^ mask]))
