"""How many octets a value is in MessagePack: the measure for what the log needs for it."""
import re

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
TIMESTAMP_BYTES = 10  # timestamp 64
UUID_BYTES = 18  # 16 octets, as bin 8


def head_bytes(length, *limits):
    """Of a header that is an octet and as many more as the length needs."""
    return 1 + next(more for limit, more in zip(limits, (0, 1, 2, 4)) if limit is not None and length < limit)


def integer_bytes(n):
    if -32 <= n < 128:
        return 1
    return next(1 + width for width in (1, 2, 4, 8) if -(1 << (8 * width - 1)) <= n < 1 << (8 * width))


def packed_bytes(value):
    """Ids and times, which JSON has as text, count in the short form that MessagePack has for them."""
    if value is None or isinstance(value, bool):
        return 1
    if isinstance(value, int):
        return integer_bytes(value)
    if isinstance(value, float):
        return 9
    if isinstance(value, str):
        if UUID.match(value):
            return UUID_BYTES
        if TIME.match(value):
            return TIMESTAMP_BYTES
        length = len(value.encode())
        return head_bytes(length, 32, 1 << 8, 1 << 16, 1 << 32) + length
    if isinstance(value, list):
        return head_bytes(len(value), 16, None, 1 << 16, 1 << 32) + sum(map(packed_bytes, value))
    return (head_bytes(len(value), 16, None, 1 << 16, 1 << 32)
            + sum(packed_bytes(k) + packed_bytes(v) for k, v in value.items()))
