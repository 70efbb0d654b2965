"""Arguments, results and messages to bytes and back: JSON by annotations, and nothing that runs code (S1).

arguments.py   ArgumentCodec: a task's arguments     results.py     what it returns
messages.py    ValueCodec: a message queue's values  redaction.py   what of it may be shown
custom.py      a codec of one's own                  signature.py   a function's parameters
payload.py     the Structs behind a payload          shape.py       one annotation, compiled
wire.py        JSON for the types msgspec leaves to us, and error texts without values
roundtrip.py   what a trip through JSON changes      leaves.py      what lies inside a value
"""

from .arguments import ArgumentCodec
from .custom import Codec, check_codec
from .messages import ValueCodec
from .redaction import redacted
from .wire import UndecodablePayload, UnencodableResult

__all__ = [
    "ArgumentCodec",
    "Codec",
    "UndecodablePayload",
    "UnencodableResult",
    "ValueCodec",
    "check_codec",
    "redacted",
]
