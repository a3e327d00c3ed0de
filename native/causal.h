// causal.h - the context model: which frequency table each symbol is coded with, encoder and decoder side by side.
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
#include <cstdlib>
#include <cstring>

#include "tile.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

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

// What surrounds a band: finished contexts of the band's own size; null where there is none.
struct Sources {
  const Context *parent, *sibling[2], *color[2];
  const Context* sign_source;  // the plane coded just before; without one the northwest neighbor serves
};

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
}

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

inline unsigned sign_context(const Context& own, const Sources& src, int y, int x) {
  const ptrdiff_t at = ptrdiff_t(y) * own.stride + x;
  const unsigned third = src.sign_source ? src.sign_source->sign[ptrdiff_t(y) * src.sign_source->stride + x]
                                         : own.sign[at - own.stride - 1];
  return 9u * own.sign[at - 1] + 3u * own.sign[at - own.stride] + third;
}

// The parent band, each coefficient repeated 2 x 2, cut or zero-filled to h x w.
inline void upsample(Context& up, const Context& parent) {
  for (int y = -1; y <= up.h; ++y) {
    uint8_t* to = up.mag + ptrdiff_t(y) * up.stride;
    const int py = y >> 1;
    up.busy[y] = py >= 0 && py < parent.h ? parent.busy[py] : 0;
    if (!up.busy[y]) continue;
    const uint8_t* from = parent.mag + ptrdiff_t(py) * parent.stride;
    // Columns -1 and w lie in the padding; the parent's own padding supplies the zeros they need.
    for (int x = -2; x < up.w + 2; x += 2) to[x] = to[x + 1] = from[x >> 1];
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

// ---------------------------------------------------------------------------------------------------- decoding

// The token whose interval holds `slot`, knowing that it is not 0.
inline unsigned find_token(const uint16_t* cum, uint32_t slot) {
#if defined(__AVX2__)
  const __m256i bounds = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(cum + 1));
  const __m256i above = _mm256_cmpgt_epi16(bounds, _mm256_set1_epi16(short(slot)));
  return unsigned(__builtin_ctz(unsigned(_mm256_movemask_epi8(above)))) / 2;
#else
  unsigned t = 1;
  while (cum[t + 1] <= slot) ++t;
  return t;
#endif
}

constexpr unsigned kMaxEscapeBits = 20;
// Far above any symbol, and yet m * 64 * step stays below 2^63 for every step of 32 bits.
constexpr uint32_t kMaxMagnitude = 1u << 24;
constexpr uint32_t kInvalid = ~0u;

// What follows a token: escape and low bits. Returns the magnitude, or kInvalid for an escape no encoder writes.
inline uint32_t pop_rest(RansReader& r, unsigned token, unsigned shift) {
  uint32_t m = token;
  if (token == kEscape) {
    const unsigned n = r.take_raw(5);
    if (n > kMaxEscapeBits) return kInvalid;
    uint32_t bits = 0;
    for (unsigned left = n; left > 0;) {
      const unsigned part = left < 8 ? left : 8;
      bits = bits << part | r.take_raw(part);
      left -= part;
    }
    m = (1u << n) + bits - 1;
    if (m << shift >= kMaxMagnitude) return kInvalid;
  }
  return shift ? m << shift | r.take_raw(shift) : m;
}

template <class T, bool kLowest>
inline DecodeStatus decode_band(RansReader& reader, const BandModel& m, const int16_t* ll_pred, Context& own,
                                const Sources& src, uint16_t* base, int32_t* lowest, T* out, ptrdiff_t out_stride,
                                uint32_t step) {
  RansReader r = reader;  // a local copy stays in registers
  const uint32_t w1 = m.weight[kTapOwn + 11], w2 = m.weight[kTapOwn + 10];
  for (int y = 0; y < own.h; ++y) {
    uint8_t* mag = own.mag + ptrdiff_t(y) * own.stride;
    uint8_t* sign = own.sign + ptrdiff_t(y) * own.stride;
    T* to = out + y * out_stride;
    uint8_t busy = 0;
    row_base(base, m, own, src, y);
    for (int x0 = 0; x0 < own.w; x0 += kGroup) {
      const int x1 = x0 + kGroup < own.w ? x0 + kGroup : own.w;
      unsigned kind = 0;
      if ((mag[x0 - 1] | mag[x0 - 2]) == 0) {
        const uint32_t mean = group_mean(base, x0, own.w);
        if (mean <= m.group_limit) {
          const uint32_t zero = m.group_freq[group_bucket(mean)];
          if (r.slot() < zero) {
            r.take(0, zero);
            if constexpr (kLowest)
              for (int x = x0; x < x1; ++x) {
                int32_t* q = lowest + ptrdiff_t(y) * own.w + x;
                *q = predict_lowest(q, y, x, own.w, ll_pred);
                to[x] = saturate<T>(*q < 0 ? -dequantize(-int64_t(*q), 0, step) : dequantize(*q, 0, step));
              }
            continue;
          }
          r.take(zero, kProbTotal - zero);
          kind = kBuckets;
        }
      }
      for (int x = x0; x < x1; ++x) {
        const unsigned row = kind + bucket_of(base[x] + w1 * mag[x - 1] + w2 * mag[x - 2]);
        const uint16_t* cum = m.cum[row];
        const uint32_t slot = r.slot();
        int32_t value = 0;
        uint32_t magnitude = 0;
        const unsigned shift = m.shift[row - kind];
        if (slot < cum[1] && shift == 0) {
          r.take(0, cum[1]);
        } else {
          const unsigned token = slot < cum[1] ? 0 : find_token(cum, slot);
          r.take(cum[token], cum[token + 1] - cum[token]);
          magnitude = pop_rest(r, token, shift);
          if (magnitude == kInvalid) return kBadEscape;
          if (magnitude > 0) {
            const uint32_t negative = m.sign_freq[sign_context(own, src, y, x)];
            const bool minus = r.slot() < negative;
            if (minus)
              r.take(0, negative);
            else
              r.take(negative, kProbTotal - negative);
            sign[x] = minus ? 2 : 1;
            mag[x] = companded(magnitude);
            value = minus ? -int32_t(magnitude) : int32_t(magnitude);
            busy = 1;
            if constexpr (!kLowest) {
              const int64_t c = dequantize(magnitude, m.recon[row][recon_index(magnitude)], step);
              to[x] = saturate<T>(minus ? -c : c);
            }
            kind = 0;
          }
        }
        if constexpr (kLowest) {
          int32_t* q = lowest + ptrdiff_t(y) * own.w + x;
          *q = clamp_lowest(int64_t(predict_lowest(q, y, x, own.w, ll_pred)) + value);
          to[x] = saturate<T>(*q < 0 ? -dequantize(-int64_t(*q), 0, step) : dequantize(*q, 0, step));
        }
      }
    }
    own.busy[y] = busy;
    if (r.overran()) return kOverran;
  }
  reader = r;
  return kDecoded;
}

// ---------------------------------------------------------------------------------------------------- encoding

inline bool push(OpList& ops, uint32_t op) {
  if (ops.size == ops.capacity) {
    const size_t capacity = ops.capacity ? ops.capacity * 2 : 4096;
    uint32_t* data = static_cast<uint32_t*>(std::realloc(ops.data, capacity * sizeof(uint32_t)));
    if (!data) return false;
    ops.data = data, ops.capacity = capacity;
  }
  ops.data[ops.size++] = op;
  return true;
}

// The token of a magnitude; one that training never saw has no interval of its own and takes the escape.
inline unsigned token_of(const uint16_t* cum, uint32_t m, unsigned shift) {
  const uint32_t t = m >> shift;
  return t < kEscape && cum[t + 1] > cum[t] ? t : kEscape;
}

inline uint32_t magnitude_cost(const BandModel& m, unsigned row, uint32_t magnitude) {
  const unsigned shift = m.shift[row % kBuckets];
  const unsigned token = token_of(m.cum[row], magnitude, shift);
  uint32_t cost = m.cost[row][token] + (shift << 8);
  if (token == kEscape) cost += (5 + 31u - unsigned(__builtin_clz((magnitude >> shift) + 1))) << 8;
  return cost;
}

inline bool push_symbol(OpList& ops, const BandModel& m, unsigned row, uint32_t magnitude, bool minus, unsigned sign) {
  const uint16_t* cum = m.cum[row];
  const unsigned shift = m.shift[row % kBuckets];
  const unsigned token = token_of(cum, magnitude, shift);
  bool ok = push(ops, pack_op(cum[token], uint32_t(cum[token + 1] - cum[token])));
  if (token == kEscape) {
    const uint32_t v = (magnitude >> shift) + 1;
    const unsigned n = 31u - unsigned(__builtin_clz(v));
    ok &= push(ops, raw_op(n, 5));
    for (unsigned left = n; left > 0;) {
      const unsigned part = left < 8 ? left : 8;
      left -= part;
      ok &= push(ops, raw_op((v >> left) & ((1u << part) - 1), part));
    }
  }
  if (shift) ok &= push(ops, raw_op(magnitude & ((1u << shift) - 1), shift));
  if (magnitude) {
    const uint32_t negative = m.sign_freq[sign];
    ok &= push(ops, minus ? pack_op(0, negative) : pack_op(negative, kProbTotal - negative));
  }
  return ok;
}

// Magnitudes in 1/64 step. Steps are at least 1/16 of a transform unit, so a 15-bit magnitude stays below 2^31.
template <class T>
inline void scale_row(uint32_t* v, const T* c, int n, uint32_t step) {
  if (step == 0) {
    for (int x = 0; x < n; ++x) v[x] = uint32_t(c[x] < 0 ? -int32_t(c[x]) : int32_t(c[x])) << 6;
    return;
  }
  if constexpr (sizeof(T) == 2) {
    // 2^(14 + s) / step with s chosen so that the reciprocal has 16 bits: 15 + 16 bits fit the product.
    unsigned s = 0;
    while (s < 31 && ((uint64_t{1} << (15 + s)) + step / 2) / step < 65536) ++s;
    const uint32_t inverse = uint32_t(((uint64_t{1} << (14 + s)) + step / 2) / step);
    for (int x = 0; x < n; ++x) {
      const uint32_t a = uint32_t(c[x] < 0 ? -int32_t(c[x]) : int32_t(c[x]));
      v[x] = (a * inverse) >> s;
    }
  } else {
    for (int x = 0; x < n; ++x) v[x] = uint32_t((uint64_t(c[x] < 0 ? -int64_t(c[x]) : int64_t(c[x])) << 14) / step);
  }
}

// Squared error of reconstructing v (1/64 step) as magnitude q, 1/4096 of a squared step.
inline uint64_t distortion(uint32_t v, uint32_t q, int delta) {
  const int64_t e = int64_t(v) - (q ? int64_t(q) * 64 - delta : 0);
  return uint64_t(e * e);
}

struct Choice {
  uint32_t magnitude;
  uint64_t cost;  // distortion + lambda * bits, 1/4096 of a squared step
};

// Of the magnitudes near v, the one with the least distortion + lambda * bits, its effect on later contexts taxed.
inline Choice choose(const BandModel& m, unsigned row, uint32_t v, bool minus, unsigned sign, uint32_t lambda,
                     uint32_t tax) {
  const uint32_t top = (v + 40) >> 6;
  Choice best{0, distortion(v, 0, 0) + (uint64_t(lambda) * magnitude_cost(m, row, 0) >> 8)};
  if (top == 0) return best;
  const uint32_t from = top > 2 ? top - 1 : 1;
  if (top > 2) best.cost = ~uint64_t{0};
  for (uint32_t q = from; q <= top; ++q) {
    const uint32_t bits = magnitude_cost(m, row, q) + m.sign_cost[sign][minus] + tax * (q < 2 ? q : 2);
    const uint64_t cost = distortion(v, q, m.recon[row][recon_index(q)]) + (uint64_t(lambda) * bits >> 8);
    if (cost < best.cost) best = {q, cost};
  }
  return best;
}

template <class T>
inline bool encode_lowest(OpList& ops, const BandModel& m, const int16_t* ll_pred, Context& own, const Sources& src,
                          uint16_t* base, int32_t* lowest, const T* in, ptrdiff_t in_stride, uint32_t step,
                          int32_t* symbols, ptrdiff_t symbol_stride) {
  const uint32_t w1 = m.weight[kTapOwn + 11], w2 = m.weight[kTapOwn + 10];
  int32_t residual[kGroup];
  bool ok = true;
  for (int y = 0; y < own.h; ++y) {
    uint8_t* mag = own.mag + ptrdiff_t(y) * own.stride;
    uint8_t* sign = own.sign + ptrdiff_t(y) * own.stride;
    row_base(base, m, own, src, y);
    own.busy[y] = 0;
    for (int x0 = 0; x0 < own.w; x0 += kGroup) {
      const int n = x0 + kGroup < own.w ? kGroup : own.w - x0;
      bool any = false;
      for (int i = 0; i < n; ++i) {
        int32_t* q = lowest + ptrdiff_t(y) * own.w + x0 + i;
        const int64_t c = in[y * in_stride + x0 + i];
        const int64_t a = c < 0 ? -c : c;
        const int64_t rounded = step ? ((a << 8) + step / 2) / step : a;
        *q = clamp_lowest(c < 0 ? -rounded : rounded);
        if (symbols) symbols[y * symbol_stride + x0 + i] = *q;
        residual[i] = *q - predict_lowest(q, y, x0 + i, own.w, ll_pred);
        any |= residual[i] != 0;
      }
      unsigned kind = 0;
      const uint32_t mean = group_mean(base, x0, own.w);
      if ((mag[x0 - 1] | mag[x0 - 2]) == 0 && mean <= m.group_limit) {
        const uint32_t zero = m.group_freq[group_bucket(mean)];
        ok &= push(ops, any ? pack_op(zero, kProbTotal - zero) : pack_op(0, zero));
        if (!any) continue;
        kind = kBuckets;
      }
      for (int i = 0; i < n; ++i) {
        const int x = x0 + i;
        const unsigned row = kind + bucket_of(base[x] + w1 * mag[x - 1] + w2 * mag[x - 2]);
        const bool minus = residual[i] < 0;
        const uint32_t magnitude = uint32_t(minus ? -residual[i] : residual[i]);
        ok &= push_symbol(ops, m, row, magnitude, minus, sign_context(own, src, y, x));
        if (!magnitude) continue;
        mag[x] = companded(magnitude), sign[x] = minus ? 2 : 1;
        own.busy[y] = 1, kind = 0;
      }
    }
  }
  return ok;
}

template <class T>
inline bool encode_band(OpList& ops, const BandModel& m, Context& own, const Sources& src, uint16_t* base, uint32_t* v,
                        const T* in, ptrdiff_t in_stride, uint32_t step, uint32_t lambda, uint32_t rounding,
                        uint32_t tax, int32_t* symbols, ptrdiff_t symbol_stride) {
  const uint32_t w1 = m.weight[kTapOwn + 11], w2 = m.weight[kTapOwn + 10];
  const uint32_t quiet = lambda ? 24 : 64 - rounding;  // below it a coefficient can only become zero
  bool ok = true;
  for (int y = 0; y < own.h; ++y) {
    uint8_t* mag = own.mag + ptrdiff_t(y) * own.stride;
    uint8_t* sign = own.sign + ptrdiff_t(y) * own.stride;
    const T* c = in + y * in_stride;
    row_base(base, m, own, src, y);
    scale_row(v, c, own.w, step);
    own.busy[y] = 0;
    for (int x0 = 0; x0 < own.w; x0 += kGroup) {
      const int x1 = x0 + kGroup < own.w ? x0 + kGroup : own.w;
      uint32_t peak = 0;
      for (int x = x0; x < x1; ++x) peak = v[x] > peak ? v[x] : peak;
      unsigned kind = 0;
      const size_t mark = ops.size;
      uint64_t coded = 0, zeroed = 0;
      if ((mag[x0 - 1] | mag[x0 - 2]) == 0) {
        const uint32_t mean = group_mean(base, x0, own.w);
        if (mean <= m.group_limit) {
          const unsigned bucket = group_bucket(mean);
          const uint32_t zero = m.group_freq[bucket];
          if (peak < quiet) {
            ok &= push(ops, pack_op(0, zero));
            continue;
          }
          ok &= push(ops, pack_op(zero, kProbTotal - zero));
          kind = kBuckets;
          coded = uint64_t(lambda) * m.group_cost[bucket][0] >> 8;
          zeroed = uint64_t(lambda) * m.group_cost[bucket][1] >> 8;
        }
      }
      const bool flagged = kind != 0;
      bool any = false;
      for (int x = x0; x < x1; ++x) {
        const unsigned row = kind + bucket_of(base[x] + w1 * mag[x - 1] + w2 * mag[x - 2]);
        const bool minus = c[x] < 0;
        uint32_t magnitude = 0;
        unsigned sign_row = 0;
        if (v[x] < quiet) {
          if (flagged) coded += distortion(v[x], 0, 0) + (uint64_t(lambda) * magnitude_cost(m, row, 0) >> 8);
        } else {
          sign_row = sign_context(own, src, y, x);
          if (lambda) {
            const Choice best = choose(m, row, v[x], minus, sign_row, lambda, tax);
            magnitude = best.magnitude, coded += best.cost;
          } else {
            magnitude = (v[x] + rounding) >> 6;
          }
        }
        if (flagged) zeroed += distortion(v[x], 0, 0);
        ok &= push_symbol(ops, m, row, magnitude, minus, sign_row);
        if (symbols) symbols[y * symbol_stride + x] = minus ? -int32_t(magnitude) : int32_t(magnitude);
        if (!magnitude) continue;
        mag[x] = companded(magnitude), sign[x] = minus ? 2 : 1;
        any = true, kind = 0;
      }
      if (flagged && (!any || (lambda && zeroed <= coded))) {
        // The whole group as zeros is the better deal (or the only one): take back what was written.
        ops.size = mark;
        const unsigned bucket = group_bucket(group_mean(base, x0, own.w));
        ok &= push(ops, pack_op(0, m.group_freq[bucket]));
        for (int x = x0; x < x1; ++x) mag[x] = sign[x] = 0;
        if (symbols)
          for (int x = x0; x < x1; ++x) symbols[y * symbol_stride + x] = 0;
        continue;
      }
      if (any) own.busy[y] = 1;
    }
  }
  return ok;
}

}  // namespace LACONIC_ISA
}  // namespace laconic
