"""How requests are written, by the wire contract: times, strict JSON, the shape of each body, queries.

Part of reference_ledger.py, which says what they mean. A body that is not as it must be is Refused here.
"""
import datetime
import json
import re
import urllib.parse
from decimal import Decimal, InvalidOperation

I64_MIN, I64_MAX = -2**63, 2**63 - 1
NESTING_MAX = 127
RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)")
ANY_REASON = "(any reason)"  # free text may be worded as the server likes


class Refused(Exception):
    def __init__(self, status, error, **fields):
        super().__init__(error)
        self.status, self.envelope = status, {"error": error, **fields}


def invalid(field, reason=ANY_REASON):
    return Refused(400, "invalid_draft", field=field, reason=reason)


# --- time ---

EPOCH = datetime.datetime(1970, 1, 1)
ERA_YEARS, ERA_SECONDS = 400, 146097 * 86400  # the calendar repeats itself; datetime begins with the year 1
FIRST_SECOND, LAST_SECOND = -62167219200, 253402300799  # of the years 0000 and 9999: what can be written in UTC


class Instant:
    """nanos: since the epoch. Second 60 comes after all of second 59, and before the next minute."""

    def __init__(self, seconds, nanos, leap=False):
        self.seconds, self.nanos, self.leap = seconds, nanos, leap

    @property
    def last_micro(self):
        """The last microsecond that is not later."""
        return self.seconds * 10**6 + (999999 if self.leap else self.nanos // 1000)

    def __str__(self):
        """UTC, with as few of 0, 3, 6 and 9 digits as hold it."""
        eras = 1 if self.seconds < 0 else 0
        date = EPOCH + datetime.timedelta(seconds=self.seconds + eras * ERA_SECONDS)
        whole = f"{date.year - eras * ERA_YEARS:04}" + date.strftime("-%m-%dT%H:%M:%S")
        digits = f"{self.nanos:09}"
        while digits.endswith("000"):
            digits = digits[:-3]
        return (whole[:-2] + "60" if self.leap else whole) + ("." + digits if digits else "") + "Z"


def parse_time(text):
    """An Instant, or ValueError."""
    match = RFC3339.fullmatch(text)
    if not match or not text.isascii():
        raise ValueError("no RFC 3339 date-time")
    year, month, day, hour, minute, second = (int(match[i]) for i in range(1, 7))
    leap = second == 60
    eras = 1 if year < ERA_YEARS else 0
    local = datetime.datetime(year + eras * ERA_YEARS, month, day, hour, minute, 59 if leap else second)
    offset = 0
    if match[8] not in "Zz":
        hours, minutes = int(match[8][1:3]), int(match[8][4:6])
        if hours > 23 or minutes > 59:
            raise ValueError("no offset")
        offset = (hours * 60 + minutes) * 60 * (-1 if match[8][0] == "-" else 1)
    seconds = (local - EPOCH) // datetime.timedelta(seconds=1) - eras * ERA_SECONDS - offset
    if not FIRST_SECOND <= seconds <= LAST_SECOND:
        raise ValueError("silent: in UTC it is in none of the years 0000 to 9999")
    return Instant(seconds, int((match[7] or "").ljust(9, "0")), leap)


# --- JSON, strictly ---

class JsonObject(dict):
    """An object that remembers which names came twice."""

    def __init__(self, pairs):
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.twice = {name for name in names if names.count(name) > 1} if len(self) < len(names) else ()


def refuse_constant(word):
    raise ValueError(word)


def check_value(value, levels):
    """No lone surrogate anywhere, and no more levels than these."""
    if isinstance(value, str):
        value.encode()  # UnicodeEncodeError is a ValueError
    elif isinstance(value, (dict, list)):
        if levels == 0:
            raise ValueError("too deep")
        for inner in value:
            check_value(inner, levels - 1)
        if isinstance(value, dict):
            for inner in value.values():
                check_value(inner, levels - 1)


def read_number(text):
    """Exactly; an exponent beyond all that Decimal knows is kept as it is written."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return ("number", text)


def read_json(body, nesting_max=NESTING_MAX):
    try:
        value = json.loads(body.decode(), parse_float=read_number, parse_constant=refuse_constant,
                           object_pairs_hook=JsonObject)
        check_value(value, nesting_max)
        return value
    except (ValueError, RecursionError):
        raise invalid("body") from None


def an_object(value):
    if not isinstance(value, dict):
        raise invalid("body")
    return value


def a_string(value):
    if not isinstance(value, str):
        raise invalid("body")
    return value


def an_integer(value, low=I64_MIN, high=I64_MAX):
    if type(value) is not int or not low <= value <= high:
        raise invalid("body")
    return value


def an_octet(value):
    return an_integer(value, 0, 255)


def a_direction(value):
    if value not in ("debit", "credit"):
        raise invalid("body")
    return value


def a_time(value):
    try:
        return parse_time(a_string(value))
    except ValueError:
        raise invalid("body") from None


def anything(value):
    return value


def an_array_of(read):
    def read_all(value):
        if not isinstance(value, list):
            raise invalid("body")
        return [read(item) for item in value]
    return read_all


class Field:
    def __init__(self, read, required=True, nullable=False, absent=None):
        self.read, self.required, self.nullable, self.absent = read, required, nullable, absent


def shape(**fields):
    """Reads an object: known fields once and of their type, unknown ones ignored."""
    def read(value):
        an_object(value)
        out = {}
        for name, field in fields.items():
            if name in value.twice or (field.required and name not in value):
                raise invalid("body")
            if name not in value:
                out[name] = field.absent
            elif value[name] is None and field.nullable:
                out[name] = None
            else:
                out[name] = field.read(value[name])
        return out
    return read


def optional(read, absent=None):
    return Field(read, required=False, absent=absent)


def nullable(read):
    return Field(read, required=False, nullable=True)


asset_draft = shape(id=Field(a_string), **{"class": Field(a_string)}, network=nullable(a_string),
                    native_id=nullable(a_string), precision=Field(an_octet), name=Field(a_string))
account_draft = shape(book=Field(a_string), path=Field(a_string), asset=Field(a_string), kind=Field(a_string),
                      normal_side=nullable(a_direction), min_balance=nullable(an_integer))
transaction_draft = shape(
    book=Field(a_string), idempotency_key=Field(a_string),
    postings=Field(an_array_of(shape(
        account=Field(a_string), direction=Field(a_direction),
        amount=Field(shape(minor=Field(an_integer), asset=Field(a_string)))))),
    external_refs=optional(an_array_of(shape(kind=Field(a_string), value=Field(a_string))), absent=[]),
    metadata=optional(anything), occurred_at=nullable(a_time))


# --- queries ---

def read_query(query, **readers):
    """The parameters that are known, each given once; others are ignored."""
    texts = {}
    for pair in query.split("&"):
        name, _, text = (urllib.parse.unquote_plus(part) for part in pair.partition("="))
        if name in readers and name in texts:
            raise invalid("query")
        texts[name] = text
    try:
        return {name: read(texts[name]) for name, read in readers.items() if name in texts}
    except ValueError:
        raise invalid("query") from None


def limit_number(text):
    if not re.fullmatch(r"\+?[0-9]+", text) or int(text) >= 2**64:
        raise ValueError(text)
    return int(text)


def signed_number(text):
    if not re.fullmatch(r"[+-]?[0-9]+", text) or not I64_MIN <= int(text) <= I64_MAX:
        raise ValueError(text)
    return int(text)
