"""Columns that Arrow's CSV reader leaves as text, turned into lists and bytes, a column at a time."""

from __future__ import annotations

import struct
from array import array as numbers
from binascii import unhexlify

import pyarrow as pa
from pyarrow import compute, json


def convert(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """A column of texts as what they say. Raises ``pyarrow.ArrowInvalid`` for a text that ``kind`` cannot hold."""
    return pa.chunked_array([_convert_array(array, kind) for array in column.chunks], kind)


def _convert_array(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_list(kind):
        return _lists(array, kind)
    if pa.types.is_binary(kind):
        return _from_hex(array)
    if pa.types.is_time(kind):  # Arrow casts no text to a time of day
        moments = compute.binary_join_element_wise(_scalar("1970-01-01 "), array, _scalar(""))
        return compute.cast(compute.cast(moments, pa.timestamp("us")), kind)
    return compute.cast(array, kind)


def _lists(array: pa.Array, kind: pa.ListType) -> pa.Array:
    """JSON arrays of texts, read at once as lines of JSON."""
    whole = compute.binary_join_element_wise(
        _scalar('{"v":'), compute.fill_null(array, _scalar("null")), _scalar("}\n"), _scalar("")
    )
    lines = _content(whole)
    texts = json.read_json(
        pa.BufferReader(lines),
        read_options=json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
        parse_options=json.ParseOptions(
            explicit_schema=pa.schema([("v", pa.list_(pa.string()))]), unexpected_field_behavior="error"
        ),
    )["v"].combine_chunks()
    values = _convert_array(texts.values, kind.value_type)
    return pa.ListArray.from_arrays(texts.offsets, values, type=kind, mask=texts.is_null())


def _from_hex(array: pa.Array) -> pa.Array:
    r"""``\x0aff`` as bytes: the whole column's digits at once, each value's place halved."""
    digits = compute.utf8_slice_codeunits(array, 2)
    halved = pa.py_buffer(numbers("i", [place // 2 for place in _places(digits)]))
    raw = pa.py_buffer(unhexlify(_content(digits)))
    return pa.Array.from_buffers(pa.binary(), len(digits), [digits.buffers()[0], halved, raw])


def _places(array: pa.Array) -> memoryview:
    """Where each text begins in the content, and where the last one ends."""
    places = array.buffers()[1]
    return (
        memoryview(places).cast("i")[array.offset :][: len(array) + 1]
        if len(array)
        else memoryview(b"\0" * 4).cast("i")
    )


def _content(array: pa.Array) -> pa.Buffer:
    """All texts of an array one behind the other, as Arrow keeps them."""
    places = _places(array)
    data = array.buffers()[2]
    return data.slice(places[0], places[-1] - places[0]) if data is not None else pa.py_buffer(b"")


def _scalar(text: str) -> pa.StringScalar:
    """A constant. ``pa.scalar`` would load pandas where that is installed, which takes 50 MB."""
    raw = text.encode()
    return pa.StringArray.from_buffers(1, pa.py_buffer(struct.pack("=ii", 0, len(raw))), pa.py_buffer(raw))[0]
