// grid_kernels.cpp - records of latents: contexts, prediction and the decoder; CMake compiles it once per instruction set.
#include "grid_records.h"

namespace laconic {
namespace LACONIC_ISA {
namespace {

constexpr size_t kSums = (kMostSide + kVector - 1) / kVector * kVector;

typedef uint8_t Vector __attribute__((vector_size(kVector)));

inline Vector load(const uint8_t* from) {
  Vector v;
  memcpy(&v, from, kVector);
  return v;
}

inline uint8_t* magnitude_row(const RecordView& view, uint8_t* scratch, size_t channel, ptrdiff_t y) {
  return scratch + channel * view.plane + size_t(y + kReach) * view.stride + kReach;
}

// The table of every symbol of a row, within its family. All loops run over whole vectors; what is read past a row is
// within the scratch, and what comes of it is not looked at.
LACONIC_INLINE void row_contexts(const RecordView& view, const uint8_t* row, size_t channel, uint8_t* which) {
  const int32_t *first = view.offsets + view.first_offset[channel], *last = view.offsets + view.first_offset[channel + 1];
  for (size_t x0 = 0; x0 < view.columns; x0 += kVector) {
    Vector sum = {}, bucket = {};
    for (const int32_t* offset = first; offset < last; ++offset) sum += load(row + x0 + *offset);
    for (int b = 0; b < kBounds; ++b) bucket -= Vector(sum > view.bound[b]);  // true is -1
    memcpy(which + x0, &bucket, kVector);
  }
}

// `symbols` are zero past the row, and so are the magnitudes.
LACONIC_INLINE void row_magnitudes(const int8_t* symbols, size_t n, uint8_t* row) {
  for (size_t x0 = 0; x0 < n; x0 += kVector) {
    const Vector s = load(reinterpret_cast<const uint8_t*>(symbols) + x0);
    const Vector negative = Vector(s > 127);
    const Vector m = (s ^ negative) - negative;
    const Vector large = Vector(m > kMagnitudeCap);
    const Vector capped = (m & ~large) | (large & kMagnitudeCap);
    memcpy(row + x0, &capped, kVector);
  }
}

inline int predict(int west, int north, int corner) {
  const int high = west > north ? west : north, low = west > north ? north : west;
  const int plane = west + north - corner;  // within low .. high exactly where the corner is
  return plane > high ? high : plane < low ? low : plane;
}

inline void to_differences(const int8_t* channel, const RecordView& view, int8_t* out) {
  const ptrdiff_t n = ptrdiff_t(view.columns);
  for (ptrdiff_t y = 0; y < ptrdiff_t(view.rows); ++y)
    for (ptrdiff_t x = 0; x < n; ++x) {
      const int8_t* at = channel + y * n + x;
      const int west = x ? at[-1] : y ? at[-n] : 0, north = y ? at[-n] : west;
      out[y * n + x] = int8_t(uint8_t(*at - predict(west, north, x && y ? at[-n - 1] : north)));
    }
}

inline void from_differences(int8_t* channel, const RecordView& view) {
  const ptrdiff_t n = ptrdiff_t(view.columns);
  int west = 0;
  for (ptrdiff_t x = 0; x < n; ++x) channel[x] = int8_t(uint8_t(west = int8_t(uint8_t(channel[x] + west))));
  for (ptrdiff_t y = 1; y < ptrdiff_t(view.rows); ++y) {
    int8_t* row = channel + y * n;
    const int8_t* above = row - n;
    int corner = above[0];
    west = above[0];
    for (ptrdiff_t x = 0; x < n; ++x) {
      const int north = above[x];
      row[x] = int8_t(uint8_t(west = int8_t(uint8_t(row[x] + predict(west, north, corner)))));
      corner = north;
    }
  }
}

void walk_record(const RecordView& view, const int8_t* record, uint8_t* scratch, int8_t* coded, uint32_t* out) {
  uint8_t which[kSums];
  int8_t row[kSums] = {};
  const size_t n = view.columns;
  for (size_t c = 0; c < view.channels; ++c) {
    const int8_t* symbols = record + c * view.rows * n;
    if (view.low[c]) {
      to_differences(symbols, view, coded);
      symbols = coded;
    }
    for (size_t y = 0; y < view.rows; ++y, symbols += n) {
      uint8_t* m = magnitude_row(view, scratch, c, ptrdiff_t(y));
      row_contexts(view, m, c, which);
      for (size_t x = 0; x < n; ++x) {
        row[x] = symbols[x];
        *out++ = (uint32_t{view.base[c]} + which[x]) << 8 | uint8_t(symbols[x]);
      }
      row_magnitudes(row, n, m);
    }
  }
}

LACONIC_INLINE uint32_t load16(const uint8_t* p) { return uint32_t(p[0]) | uint32_t(p[1]) << 8; }

// A call of memcpy for few bytes would take longer.
LACONIC_INLINE void copy_row(const int8_t* row, size_t n, int8_t* out) {
  size_t x = 0;
  for (; x + 8 <= n; x += 8) memcpy(out + x, row + x, 8);
  for (; x < n; ++x) out[x] = row[x];
}

// The symbols of one row. Every index of a state is known to the compiler, so states stay in registers. With kGuarded
// words past the end are zero, and are counted all the same; without it the caller knows that there are enough, and no
// branch depends on what a coin decides.
template <bool kGuarded>
LACONIC_INLINE void take_row(const uint32_t* family, const uint8_t* which, size_t n, uint32_t* states,
                             const uint8_t* words, size_t count, size_t& at, int8_t* row) {
  uint32_t state[kRecordLanes];
  for (int k = 0; k < kRecordLanes; ++k) state[k] = states[k];
  size_t used = at;
  const auto step = [&](uint32_t& lane, size_t x) {
    const uint32_t entry = family[size_t{which[x]} << kRecordBits | (lane & (kRecordTotal - 1))];
    row[x] = int8_t(uint8_t(entry));
    const uint32_t next = (entry >> 20) * (lane >> kRecordBits) + (entry >> 8 & 0xfff);
    const uint32_t more = next < kStateLow;
    const uint32_t word = !kGuarded || used < count ? load16(words + 2 * used) : 0;
    lane = next << (more << 4) | (word & (0u - more));
    used += more;
  };
  size_t x = 0;
  for (; x + kRecordLanes <= n; x += kRecordLanes) {
#pragma GCC unroll 16
    for (int k = 0; k < kRecordLanes; ++k) step(state[k], x + size_t(k));
  }
  const size_t rest = n - x;
#pragma GCC unroll 16
  for (int k = 0; k < kRecordLanes - 1; ++k)
    if (size_t(k) < rest) step(state[k], x + size_t(k));
  for (int k = 0; k < kRecordLanes; ++k) states[k] = state[k];
  at = used;
}

bool parse_record(const RecordView& view, const uint32_t* slots, const uint8_t* stream, size_t size, size_t channels,
                  uint8_t* scratch, int8_t* record) {
  if (size < 4 * kRecordLanes || size % 2) return false;
  uint32_t state[kRecordLanes];
  for (int s = 0; s < kRecordLanes; ++s) {
    const uint8_t* p = stream + 4 * s;
    state[s] = uint32_t(p[0]) | uint32_t(p[1]) << 8 | uint32_t(p[2]) << 16 | uint32_t(p[3]) << 24;
    if (state[s] < kStateLow) return false;
  }
  const uint8_t* words = stream + 4 * kRecordLanes;
  const size_t count = (size - 4 * kRecordLanes) / 2, n = view.columns;
  size_t at = 0;
  uint8_t which[kSums];
  int8_t row[kSums] = {};
  int8_t* out = record;
  for (size_t c = 0; c < channels; ++c) {
    const uint32_t* family = slots + (size_t{view.base[c]} << kRecordBits);
    for (size_t y = 0; y < view.rows; ++y, out += n) {
      uint8_t* m = magnitude_row(view, scratch, c, ptrdiff_t(y));
      row_contexts(view, m, c, which);
      // A row takes at most one word for each symbol.
      if (at + n <= count)
        take_row<false>(family, which, n, state, words, count, at, row);
      else
        take_row<true>(family, which, n, state, words, count, at, row);
      row_magnitudes(row, n, m);
      copy_row(row, n, out);
    }
    if (at > count) return false;
    if (view.low[c]) from_differences(out - view.rows * n, view);
  }
  if (channels < view.channels) return true;
  bool done = at == count;
  for (const uint32_t x : state) done = done && x == kStateLow;
  return done;
}

}  // namespace
}  // namespace LACONIC_ISA

#define LACONIC_JOIN_(a, b) a##b
#define LACONIC_JOIN(a, b) LACONIC_JOIN_(a, b)

extern const GridKernels LACONIC_JOIN(grid_kernels_, LACONIC_ISA);
const GridKernels LACONIC_JOIN(grid_kernels_, LACONIC_ISA) = {LACONIC_ISA::walk_record, LACONIC_ISA::parse_record};

}  // namespace laconic
