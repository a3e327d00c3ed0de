// causal.h - the context model: which frequency table each symbol is coded with.
// causal_encoder.h and causal_decoder.h are its two users.
//
// For each coefficient the activity is a weighted sum of the magnitudes around it that are already known: 12 causal
// neighbors in its own band, 3x3 in the parent band, 3x3 in each orientation of the level already coded, 3x3 in the
// same band of the planes already coded. The logarithm of the activity picks one of 48 tables. Everything is integer
// arithmetic on symbols already decoded, so every machine picks the same table (spec/entropy.md).
//
// All taps but the two in the coefficient's own row read finished rows: they are added up for a whole row at once
// (`base`, plain loops that the compiler turns into SIMD). What remains per symbol is two multiplications, a
// logarithm and one rANS step. Rows are cut in groups of 16; where all around is quiet one flag says that the whole
// group is zero, which is most of a photograph's finest bands.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include <cstring>

#include "tile.h"

namespace laconic {
namespace LACONIC_ISA {

// Magnitudes kept for contexts: exact below 16, eight steps an octave above, at most 127.
inline uint8_t companded(uint32_t m) {
  if (m < 16) return uint8_t(m);
  const unsigned e = 31u - unsigned(__builtin_clz(m));
  const unsigned c = 16 + (e - 4) * 8 + ((m >> (e - 3)) & 7);
  return uint8_t(c < kMaxCompanded ? c : kMaxCompanded);
}

// 16 <= activity <= 65535 -> 0 .. 47, four buckets an octave.
inline unsigned bucket_of(uint32_t activity) {
  const unsigned e = 31u - unsigned(__builtin_clz(activity));
  return (e - 4) * 4 + ((activity >> (e - 2)) & 3);
}

constexpr int kPad = 32;  // zeros left of a row; as many or more right of it, so that row sums need no borders
inline int padded(int n) { return (n + 31) & ~31; }

// The magnitudes (companded) and signs (0 zero, 1 positive, 2 negative) of one band of one tile, inside zeros.
struct Context {
  uint8_t *mag, *sign;  // at row 0, column 0
  uint8_t* busy;        // per row, -2 .. h: whether it holds a nonzero
  int h, w, stride;
};

inline size_t context_bytes(int h, int w) { return size_t(h + 3) * size_t(padded(w) + 2 * kPad) * 2 + size_t(h + 3); }

inline uint8_t* place_context(Context& c, uint8_t* at, int h, int w) {
  c.h = h, c.w = w, c.stride = padded(w) + 2 * kPad;
  const size_t area = size_t(h + 3) * size_t(c.stride);
  c.mag = at + 2 * size_t(c.stride) + kPad;
  c.sign = at + area + 2 * size_t(c.stride) + kPad;
  c.busy = at + 2 * area + 2;
  return at + 2 * area + size_t(h + 3);
}

inline void add_row3(uint16_t* acc, const uint8_t* s, const uint8_t* w, int n) {
  const uint16_t a = w[0], b = w[1], c = w[2];
  for (int x = 0; x < n; ++x) acc[x] = uint16_t(acc[x] + a * s[x - 1] + b * s[x] + c * s[x + 1]);
}

inline void add_row5(uint16_t* acc, const uint8_t* s, const uint8_t* w, int n) {
  const uint16_t a = w[0], b = w[1], c = w[2], d = w[3], e = w[4];
  for (int x = 0; x < n; ++x)
    acc[x] = uint16_t(acc[x] + a * s[x - 2] + b * s[x - 1] + c * s[x] + d * s[x + 1] + e * s[x + 2]);
}

inline void add_3x3(uint16_t* acc, const Context& c, int y, const uint8_t* w, int n) {
  for (int dy = -1; dy <= 1; ++dy)
    if (c.busy[y + dy]) add_row3(acc, c.mag + ptrdiff_t(y + dy) * c.stride, w + 3 * (dy + 1), n);
}

// What is foretold of a band (details.h): magnitudes in 1/8 step, kMaxForetold at most, and the sign times how far from zero, 0 to
// kSides. Rows lie `stride` apart.
struct Foretold {
  const uint8_t* mag;
  const int8_t* side;
  ptrdiff_t stride;
};

// Where a network that sees the context keeps what is farther away in a row: kFarInputs rows, `stride` apart, and as many
// of sums of columns with kPad zeros on either side.
struct FarRows {
  uint8_t* row;
  ptrdiff_t stride;
  uint16_t* columns;
  int8_t* signed_row;  // kSignedRows of them, kPad columns on either side
};
constexpr int kSignedRows = 20;

struct PlaceViews;

// What surrounds a band: finished contexts of the band's own size; null where there is none.
struct Sources {
  Foretold foretold;
  const Context *parent, *sibling[2], *color[2];
  const Context* sign_source;  // the plane coded just before; without one the northwest neighbor serves
  // For a network that sees the context: what is foretold of HL, LH and HH of luma, or magnitudes of the planes before
  // chroma, in zeros; the parents of all three, and where it keeps sums over rows.
  const uint8_t* told[3];
  ptrdiff_t told_stride;
  const int8_t* told_side[3];
  const Context* parents[3];
  FarRows far;
  const ContextWeights* network;
  PlaceViews* views;  // where a search keeps what it saw of a row through the network
};

inline void add_foretold(uint16_t* acc, const BandModel& m, const Foretold& foretold, int y, int n) {
  const uint8_t* mag = foretold.mag + y * foretold.stride;
  for (int x = 0; x < n; ++x) acc[x] = uint16_t(acc[x] + m.detail_weight * mag[x]);
}

// base[x] = bias + every tap that is not in the coefficient's own row, for x in 0 .. padded(w).
inline void row_base(uint16_t* base, const BandModel& m, const Context& own, const Sources& src, int y) {
  const int n = padded(own.w);
  for (int x = 0; x < n; ++x) base[x] = m.bias;
  if (own.busy[y - 2]) add_row5(base, own.mag + ptrdiff_t(y - 2) * own.stride, m.weight + kTapOwn, n);
  if (own.busy[y - 1]) add_row5(base, own.mag + ptrdiff_t(y - 1) * own.stride, m.weight + kTapOwn + 5, n);
  if (src.parent && m.uses_parent) add_3x3(base, *src.parent, y, m.weight + kTapParent, n);
  for (int s = 0; s < 2; ++s) {
    if (src.sibling[s] && m.uses_sibling[s]) add_3x3(base, *src.sibling[s], y, m.weight + kTapSibling + 9 * s, n);
    if (src.color[s] && m.uses_color[s]) add_3x3(base, *src.color[s], y, m.weight + kTapColor + 9 * s, n);
  }
  if (src.foretold.mag) add_foretold(base, m, src.foretold, y, own.w);
}

// The same sums one source at a time, for sets that mix: the own band's rows above, parent, siblings, planes before.
struct RowSums {
  uint16_t *whole, *part[kMixParts];
};

inline void row_sums(const RowSums& sums, const BandModel& m, const Context& own, const Sources& src, int y) {
  const int n = padded(own.w);
  for (int i = 0; i < kMixParts; ++i) memset(sums.part[i], 0, size_t(n) * sizeof(uint16_t));
  if (own.busy[y - 2]) add_row5(sums.part[0], own.mag + ptrdiff_t(y - 2) * own.stride, m.weight + kTapOwn, n);
  if (own.busy[y - 1]) add_row5(sums.part[0], own.mag + ptrdiff_t(y - 1) * own.stride, m.weight + kTapOwn + 5, n);
  if (src.parent && m.uses_parent) add_3x3(sums.part[1], *src.parent, y, m.weight + kTapParent, n);
  for (int s = 0; s < 2; ++s) {
    if (src.sibling[s] && m.uses_sibling[s]) add_3x3(sums.part[2], *src.sibling[s], y, m.weight + kTapSibling + 9 * s, n);
    if (src.color[s] && m.uses_color[s]) add_3x3(sums.part[3], *src.color[s], y, m.weight + kTapColor + 9 * s, n);
  }
  if (src.foretold.mag) add_foretold(sums.part[3], m, src.foretold, y, own.w);  // luma has no planes before it
  for (int x = 0; x < n; ++x)
    sums.whole[x] = uint16_t(m.bias + sums.part[0][x] + sums.part[1][x] + sums.part[2][x] + sums.part[3][x]);
}

LACONIC_INLINE void row_activity(const RowSums& sums, const BandModel& m, bool mixes, const Context& own,
                                 const Sources& src, int y) {
  if (mixes)
    row_sums(sums, m, own, src, y);
  else
    row_base(sums.whole, m, own, src, y);
}

// The buckets of one position, the whole activity's first; `west` is what the own row adds.
struct Buckets {
  unsigned of[kMixInputs];
  LACONIC_INLINE Buckets(const RowSums& sums, int x, uint32_t west) {
    of[0] = bucket_of(sums.whole[x] + west);
    of[1] = bucket_of(16 + sums.part[0][x] + west);
    for (int i = 1; i < kMixParts; ++i) of[i + 1] = bucket_of(16u + sums.part[i][x]);
  }
};

// The mean of base over a group, the missing positions of a short one counting as 0.
inline uint32_t group_mean(const uint16_t* base, int x, int w) {
  uint32_t sum = 0;
  if (w - x >= kGroup)
    for (int i = 0; i < kGroup; ++i) sum += base[x + i];
  else
    for (int i = x; i < w; ++i) sum += base[i];
  return sum / kGroup;
}

inline unsigned group_bucket(uint32_t mean) { return bucket_of(mean < 16 ? 16 : mean); }

// The table of a sign, and whether its letters change places: where a side is foretold, signs are told from it.
struct SignPlace {
  unsigned row;
  bool flips;
};
LACONIC_INLINE unsigned side_of(unsigned sign, bool flips) { return flips && sign ? 3 - sign : sign; }
LACONIC_INLINE SignPlace sign_place(unsigned west, unsigned north, unsigned third, int side) {
  const bool flips = side < 0;
  return {unsigned(flips ? -side : side) * kSigns + 9 * side_of(west, flips) + 3 * side_of(north, flips) + side_of(third, flips),
          flips};
}

inline SignPlace sign_context(const Context& own, const Sources& src, int y, int x) {
  const ptrdiff_t at = ptrdiff_t(y) * own.stride + x;
  const unsigned third = src.sign_source ? src.sign_source->sign[ptrdiff_t(y) * src.sign_source->stride + x]
                                         : own.sign[at - own.stride - 1];
  const int side = src.foretold.mag ? src.foretold.side[y * src.foretold.stride + x] : 0;
  return sign_place(own.sign[at - 1], own.sign[at - own.stride], third, side);
}

// The parent band, each coefficient repeated 2 x 2, cut or zero-filled to h x w.
inline void upsample(Context& up, const Context& parent) {
  for (int y = -1; y <= up.h; ++y) {
    uint8_t* to = up.mag + ptrdiff_t(y) * up.stride;
    const int py = y >> 1;
    up.busy[y] = py >= 0 && py < parent.h ? parent.busy[py] : 0;
    if (!up.busy[y]) continue;
    const uint8_t *from = parent.mag + ptrdiff_t(py) * parent.stride, *sign = parent.sign + ptrdiff_t(py) * parent.stride;
    uint8_t* signs = up.sign + ptrdiff_t(y) * up.stride;
    // Columns -1 and w lie in the padding; the parent's own padding supplies the zeros they need.
    for (int x = -2; x < up.w + 2; x += 2) {
      to[x] = to[x + 1] = from[x >> 1];
      signs[x] = signs[x + 1] = sign[x >> 1];
    }
  }
}

// Symbols of the lowest band and their predictions stay within 20 bits: no sum overflows and every residual has an
// escape.
constexpr int32_t kMaxLowest = (1 << 20) - 1;
inline int32_t clamp_lowest(int64_t q) {
  return int32_t(q > kMaxLowest ? kMaxLowest : q < -kMaxLowest ? -kMaxLowest : q);
}

// Weighted sum of the west, north, northwest and northeast symbols; a missing neighbor is replaced by one that is there.
inline int32_t predict_lowest(const int32_t* q, int y, int x, int w, const int16_t* weight) {
  if (y == 0 && x == 0) return 0;
  int64_t W, N, NW, NE;
  if (y == 0) {
    W = N = NW = NE = q[-1];
  } else {
    N = q[-w];
    W = x > 0 ? q[-1] : N;
    NW = x > 0 ? q[-w - 1] : N;
    NE = x + 1 < w ? q[-w + 1] : N;
  }
  return clamp_lowest((weight[0] * W + weight[1] * N + weight[2] * NW + weight[3] * NE + 128) >> 8);
}

inline int64_t dequantize(int64_t m, int delta, uint32_t step) {
  return step ? ((m * 64 - delta) * int64_t(step)) >> 14 : m;
}

// A magnitude whose step was masked (masking.h).
inline int64_t masked(int64_t magnitude, uint32_t factor) {
  return factor == kNoMask ? magnitude : (magnitude * int64_t(factor) + kNoMask / 2) / kNoMask;
}

inline unsigned recon_index(uint32_t m) { return (m < 3 ? m : 3) - 1; }

template <class T>
inline T saturate(int64_t v);
template <>
inline int16_t saturate<int16_t>(int64_t v) {
  return int16_t(v > 32767 ? 32767 : v < -32768 ? -32768 : v);
}
// 2^24 leaves the inverse lifting seven bits of headroom; no picture of 16 bits comes near.
template <>
inline int32_t saturate<int32_t>(int64_t v) {
  return int32_t(v > (1 << 24) ? 1 << 24 : v < -(1 << 24) ? -(1 << 24) : v);
}

// A coefficient of the lowest band.
template <class T>
inline T restored_lowest(int32_t symbol, uint32_t step) {
  const int64_t q = symbol;
  return saturate<T>(q < 0 ? -dequantize(-q, 0, step) : dequantize(q, 0, step));
}

}  // namespace LACONIC_ISA
}  // namespace laconic
