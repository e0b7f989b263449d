"""Messages between the server and a worker process, over two pipes."""

from __future__ import annotations

import io
import pickle
import struct
import sys
from typing import Any, BinaryIO

if sys.platform == "linux":
    from fcntl import F_SETPIPE_SZ, fcntl

PIPE_BYTES = 1 << 20
"""Capacity of a pipe on Linux. With the default of 64 KiB, a picture takes more reads."""

_APART_BYTES = 1 << 16

_COUNT = struct.Struct("<I")
_LENGTH = struct.Struct("<Q")


class Channel:
    """Sends and receives Python objects as pickles.

    Long ``bytes`` objects, such as pictures, are sent after the pickle instead of in it. So they are not
    copied in this process. Copies would hold the interpreter lock and delay polls.

    Parameters
    ----------
    reading, writing : binary file
        Pipes from and to the other process.
    """

    def __init__(self, reading: BinaryIO, writing: BinaryIO) -> None:
        self._reading = reading
        self._writing = writing
        for pipe in (reading, writing):
            _enlarge(pipe)

    def send(self, value: object, *, is_flat: bool = False) -> None:
        """Send a value.

        With ``is_flat``, long ``bytes`` objects are only in tuples, not inside of other objects. If there are
        none, the pickle takes a third of the time.

        Raises
        ------
        Exception
            If the value cannot be pickled. In this case, nothing is sent.
        OSError
            If the other process has closed its pipe.
        """
        if is_flat and not _has_long_bytes(value):
            parts: list[bytes | memoryview] = [pickle.dumps(value, pickle.HIGHEST_PROTOCOL)]
        else:
            pickled = io.BytesIO()
            pickler = _Pickler(pickled)
            pickler.dump(value)
            parts = [pickled.getbuffer(), *pickler.apart]
        self._writing.write(_COUNT.pack(len(parts)) + b"".join(_LENGTH.pack(len(part)) for part in parts))
        for part in parts:
            self._writing.write(part)
        self._writing.flush()

    def receive(self) -> Any:
        """Return the next value.

        Raises
        ------
        EOFError
            If the other process has closed its pipe.
        """
        (count,) = _COUNT.unpack(self._read(_COUNT.size))
        lengths = _LENGTH.iter_unpack(self._read(count * _LENGTH.size))
        pickled, *apart = [self._read(length) for (length,) in lengths]
        return _Unpickler(io.BytesIO(pickled), apart).load()

    def _read(self, size: int) -> bytes:
        data = self._reading.read(size)
        if len(data) < size:
            raise EOFError
        return data


class _Pickler(pickle.Pickler):
    """A pickler that leaves out long ``bytes`` objects, and lists them in ``apart``."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.apart: list[bytes] = []

    def persistent_id(self, value: object) -> int | None:
        if type(value) is not bytes or len(value) < _APART_BYTES:  # called for each object
            return None
        self.apart.append(value)
        return len(self.apart) - 1


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, apart: list[bytes]) -> None:
        super().__init__(file)
        self._apart = apart

    def persistent_load(self, index: int) -> bytes:
        return self._apart[index]


def _has_long_bytes(value: object) -> bool:
    """Return whether a value is a long ``bytes`` object, or a tuple with such an object."""
    if isinstance(value, tuple):
        return any(map(_has_long_bytes, value))
    return type(value) is bytes and len(value) >= _APART_BYTES


def _enlarge(pipe: BinaryIO) -> None:
    if sys.platform == "linux":
        try:
            fcntl(pipe.fileno(), F_SETPIPE_SZ, PIPE_BYTES)
        except OSError:
            # The user has too many large pipes, or the kernel does not support this.
            return
