"""The second rANS decoder, written to be read: one stream of `spec/coder.md`, operation by operation.

Plain Python, no native code; the sentence of the specification stands above the line that obeys it. `coder/rans.py` and
`native/rans.h` are the fast ones.
"""

from __future__ import annotations

from laconic.errors import CorruptStream

__all__ = ["RansReader"]


class RansReader:
    """Takes the operations of one stream in order.

    Parameters
    ----------
    stream : bytes-like
    lanes : int
        Number of states: 2, and 8 in the long planes of `spec/arrays.md`.

    Raises
    ------
    CorruptStream
        The stream cannot begin like this.
    """

    def __init__(self, stream: bytes | memoryview, lanes: int = 2) -> None:
        data = bytes(stream)
        # "A stream that is not empty has at least 8 bytes and an even number of them."
        if len(data) < 4 * lanes or len(data) % 2:
            raise CorruptStream("stream", 0, f"at least {4 * lanes} bytes, an even number", len(data))
        # "It begins with the two states, each a u32 ..."
        self.states = [int.from_bytes(data[at : at + 4], "little") for at in range(0, 4 * lanes, 4)]
        # "... of at least 2^16; ..."
        if min(self.states) < 1 << 16:
            raise CorruptStream("start states", 0, "at least 65536", min(self.states))
        # "... the rest are the words, u16, in the order in which the decoder takes them."
        self.words = [int.from_bytes(data[at : at + 2], "little") for at in range(4 * lanes, len(data), 2)]
        self.next_word = 0
        self.operations = 0

    def slot(self) -> int:
        """Return the slot, 0 .. 16383, of the next operation: it says which interval that one has."""
        # "Operation i belongs to state i mod 2. Its slot is the state modulo 2^14."
        return self.states[self.operations % len(self.states)] % (1 << 14)

    def take(self, start: int, freq: int) -> None:
        """Take the next operation, whose interval is [start, start + freq).

        Raises
        ------
        CorruptStream
            It needs a word and none is left.
        """
        state = self.states[self.operations % len(self.states)]
        # "The state becomes freq * floor(state / 2^14) + slot - start."
        state = freq * (state >> 14) + self.slot() - start
        # "If that is below 2^16, the next word moves in from below: state * 2^16 + word."
        if state < 1 << 16:
            if self.next_word == len(self.words):
                raise CorruptStream("words", None, "enough words for every symbol", "fewer")
            state = (state << 16) + self.words[self.next_word]
            self.next_word += 1
        self.states[self.operations % len(self.states)] = state
        self.operations += 1

    def take_raw(self, bits: int) -> int:
        """Take the next operation as a raw number of 1 .. 8 bits."""
        # "A raw number v of n bits is the interval [v * 2^(14 - n), (v + 1) * 2^(14 - n))."
        value = self.slot() >> (14 - bits)
        self.take(value << (14 - bits), 1 << (14 - bits))
        return value

    def finish(self) -> None:
        """Require the end of the stream.

        Raises
        ------
        CorruptStream
            The states are not where the encoder started, or words are left.
        """
        # "After the last operation both states must be 2^16 and no word may be left."
        if set(self.states) != {1 << 16} or self.next_word != len(self.words):
            raise CorruptStream("end states", None, "65536 and no words left", "another end")
