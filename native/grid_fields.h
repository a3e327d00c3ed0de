// grid_fields.h - records of latents in fields of few bits: no entropy coding, each channel with its own lowest value and
// width, and the few symbols beyond them listed behind (patched frame of reference: Zukowski et al., ICDE 2006).
//
//   record = for each channel, for each bit of its width, the lowest first: that bit of all its symbols less the lowest
//            value, eight to a byte, the first one in the lowest bit | positions of exceptions (u32 LE) | their symbols
//
// A position counts symbols of the whole record; positions rise. How many there are follows from the size.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels.h"

namespace laconic {

constexpr size_t kExceptionBytes = 5;

struct FieldLayout {
  size_t channels, cells;
  const int8_t* lowest;
  const uint8_t* widths;  // at most 8

  size_t row() const { return (cells + 7) / 8; }
  size_t fields() const {
    size_t bits = 0;
    for (size_t c = 0; c < channels; ++c) bits += widths[c];
    return bits * row();
  }
};

// A byte's bits, one to a byte: bit k in byte k.
constexpr std::array<uint64_t, 256> spread_bits() {
  std::array<uint64_t, 256> spread{};
  for (uint64_t byte = 0; byte < 256; ++byte)
    for (unsigned k = 0; k < 8; ++k) spread[byte] |= (byte >> k & 1) << 8 * k;
  return spread;
}
inline constexpr std::array<uint64_t, 256> kSpread = spread_bits();

// Bytes -> the first `channels` of a record. False: the bytes do not hold one.
inline bool unpack_fields(const FieldLayout& layout, const uint8_t* bytes, size_t size, size_t channels, int8_t* record) {
  const size_t fixed = layout.fields(), row = layout.row(), cells = layout.cells;
  if (size < fixed || (size - fixed) % kExceptionBytes) return false;
  const uint8_t* at = bytes;
  for (size_t c = 0; c < channels; ++c) {
    int8_t* out = record + c * cells;
    const unsigned width = layout.widths[c];
    for (size_t i = 0; i < row; ++i) {
      uint64_t eight = 0;
      for (unsigned bit = 0; bit < width; ++bit) eight |= kSpread[at[bit * row + i]] << bit;
      memcpy(out + 8 * i, &eight, 8 * i + 8 <= cells ? 8 : cells - 8 * i);
    }
    at += width * row;
    const uint8_t lowest = uint8_t(layout.lowest[c]);
    for (size_t i = 0; i < cells; ++i) out[i] = int8_t(uint8_t(uint8_t(out[i]) + lowest));
  }
  const size_t count = (size - fixed) / kExceptionBytes;
  const uint8_t *positions = bytes + fixed, *symbols = positions + 4 * count;
  uint64_t next = 0;
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* p = positions + 4 * i;
    const uint64_t position = uint32_t(p[0]) | uint32_t(p[1]) << 8 | uint32_t(p[2]) << 16 | uint64_t{p[3]} << 24;
    if (position < next || position >= layout.channels * cells) return false;
    if (position < channels * cells) record[position] = int8_t(symbols[i]);
    next = position + 1;
  }
  return true;
}

}  // namespace laconic
