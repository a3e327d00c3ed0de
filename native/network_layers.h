// network_layers.h - the two kinds of layers of the decoder-side network, 1x1 and depthwise 3x3, for each instruction set.
//
//   out = saturate16((bias + sum of weight * in) >> shift), the rounding half being part of bias
//
// 16-bit activations and weights, 32-bit sums that cannot overflow (`network_fits`), so the order of additions is free.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include <cstring>

#include "network_job.h"
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace laconic {
namespace LACONIC_ISA {

enum Finish { kStore, kRelu, kAdd };

inline int16_t clamp16(int32_t v) { return int16_t(v > 32767 ? 32767 : v < -32768 ? -32768 : v); }

inline int16_t finished(int32_t sum, int shift, Finish finish, int16_t before) {
  int16_t v = clamp16(sum >> shift);
  if (finish == kRelu && v < 0) v = int16_t(v >> 3);
  return finish == kAdd ? clamp16(int32_t(v) + before) : v;
}

// Vectors of samples. `low_pairs` and `high_pairs` interleave two of them, of which `multiply_add` makes sums of 32 bits:
// two taps at a time. Both work within 128-bit lanes, as `packed` does, so packed sums come out in the order of the samples;
// `store_pairs` puts them in order as they are.
#if defined(__SSE2__)
#if defined(__AVX512BW__)
using Samples = __m512i;
inline Samples added(Samples a, Samples b) { return _mm512_add_epi32(a, b); }
inline Samples load(const void* p) { return _mm512_loadu_si512(p); }
inline Samples repeated(int32_t v) { return _mm512_set1_epi32(v); }
inline void store(void* p, Samples v) { _mm512_storeu_si512(p, v); }
inline Samples low_pairs(Samples a, Samples b) { return _mm512_unpacklo_epi16(a, b); }
inline Samples high_pairs(Samples a, Samples b) { return _mm512_unpackhi_epi16(a, b); }
inline Samples no_samples() { return _mm512_setzero_si512(); }
inline Samples multiply_add(Samples sum, Samples a, Samples b) {
#if defined(__AVX512VNNI__) && defined(__GNUC__)
  // Not the intrinsic: GCC 12 keeps its sums in memory, which costs half the speed.
  asm("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  return sum;
#elif defined(__AVX512VNNI__)
  return _mm512_dpwssd_epi32(sum, a, b);
#else
  return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
#endif
}
inline Samples packed(Samples low, Samples high, __m128i shift) {
  return _mm512_packs_epi32(_mm512_sra_epi32(low, shift), _mm512_sra_epi32(high, shift));
}
inline Samples in_order(Samples packed) {
  return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), packed);
}
inline Samples not_negative(Samples v) { return _mm512_max_epi16(v, no_samples()); }
inline void store_pairs(int32_t* to, Samples low, Samples high) {
  store(to, _mm512_permutex2var_epi64(low, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), high));
  store(to + 16, _mm512_permutex2var_epi64(low, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), high));
}
#elif defined(__AVX2__)
using Samples = __m256i;
inline Samples added(Samples a, Samples b) { return _mm256_add_epi32(a, b); }
inline Samples load(const void* p) { return _mm256_loadu_si256(static_cast<const Samples*>(p)); }
inline Samples repeated(int32_t v) { return _mm256_set1_epi32(v); }
inline void store(void* p, Samples v) { _mm256_storeu_si256(static_cast<Samples*>(p), v); }
inline Samples low_pairs(Samples a, Samples b) { return _mm256_unpacklo_epi16(a, b); }
inline Samples high_pairs(Samples a, Samples b) { return _mm256_unpackhi_epi16(a, b); }
inline Samples no_samples() { return _mm256_setzero_si256(); }
inline Samples multiply_add(Samples sum, Samples a, Samples b) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
}
inline Samples packed(Samples low, Samples high, __m128i shift) {
  return _mm256_packs_epi32(_mm256_sra_epi32(low, shift), _mm256_sra_epi32(high, shift));
}
inline Samples in_order(Samples packed) { return _mm256_permute4x64_epi64(packed, 0xd8); }
inline Samples not_negative(Samples v) { return _mm256_max_epi16(v, no_samples()); }
inline void store_pairs(int32_t* to, Samples low, Samples high) {
  store(to, _mm256_permute2x128_si256(low, high, 0x20)), store(to + 8, _mm256_permute2x128_si256(low, high, 0x31));
}
#else
using Samples = __m128i;
inline Samples added(Samples a, Samples b) { return _mm_add_epi32(a, b); }
inline Samples load(const void* p) { return _mm_loadu_si128(static_cast<const Samples*>(p)); }
inline Samples repeated(int32_t v) { return _mm_set1_epi32(v); }
inline void store(void* p, Samples v) { _mm_storeu_si128(static_cast<Samples*>(p), v); }
inline Samples low_pairs(Samples a, Samples b) { return _mm_unpacklo_epi16(a, b); }
inline Samples high_pairs(Samples a, Samples b) { return _mm_unpackhi_epi16(a, b); }
inline Samples no_samples() { return _mm_setzero_si128(); }
inline Samples multiply_add(Samples sum, Samples a, Samples b) { return _mm_add_epi32(sum, _mm_madd_epi16(a, b)); }
inline Samples packed(Samples low, Samples high, __m128i shift) {
  return _mm_packs_epi32(_mm_sra_epi32(low, shift), _mm_sra_epi32(high, shift));
}
inline Samples in_order(Samples packed) { return packed; }
inline Samples not_negative(Samples v) { return _mm_max_epi16(v, no_samples()); }
inline void store_pairs(int32_t* to, Samples low, Samples high) { store(to, low), store(to + 4, high); }
#endif
#endif

constexpr int kRowsAtOnce = 6;  // positions computed together; runs are padded to a multiple

#if defined(__AVX512BW__)

template <int kVectors>
inline void dense_columns(const Dense& d, const int16_t* in, int n, int column, Finish finish, int16_t* out) {
  for (int p = 0; p < n; p += kRowsAtOnce) {
    __m512i acc[kRowsAtOnce][kVectors];
    for (int i = 0; i < kRowsAtOnce; ++i)
      for (int j = 0; j < kVectors; ++j) acc[i][j] = _mm512_loadu_si512(d.bias + column + 16 * j);
    const int16_t* a = in + ptrdiff_t(p) * d.in;
    const int16_t* w = d.weight + 2 * column;
    for (int k = 0; k < d.in / 2; ++k, w += 2 * d.out) {
      __m512i b[kVectors];
      for (int j = 0; j < kVectors; ++j) b[j] = _mm512_loadu_si512(w + 32 * j);
      for (int i = 0; i < kRowsAtOnce; ++i) {
        int32_t pair;
        memcpy(&pair, a + ptrdiff_t(i) * d.in + 2 * k, 4);
        const __m512i x = _mm512_set1_epi32(pair);
        for (int j = 0; j < kVectors; ++j) acc[i][j] = multiply_add(acc[i][j], x, b[j]);
      }
    }
    const __m128i shift = _mm_cvtsi32_si128(d.shift);
    for (int i = 0; i < kRowsAtOnce; ++i) {
      for (int j = 0; j + 1 < kVectors; j += 2) {
        Samples v = in_order(packed(acc[i][j], acc[i][j + 1], shift));
        int16_t* to = out + ptrdiff_t(p + i) * d.out + column + 16 * j;
        if (finish == kRelu) v = _mm512_max_epi16(v, _mm512_srai_epi16(v, 3));
        if (finish == kAdd) v = _mm512_adds_epi16(v, load(to));
        store(to, v);
      }
      for (int j = kVectors & ~1; j < kVectors; ++j) {
        __m256i v = _mm512_cvtsepi32_epi16(_mm512_sra_epi32(acc[i][j], shift));
        auto* to = reinterpret_cast<__m256i*>(out + ptrdiff_t(p + i) * d.out + column + 16 * j);
        if (finish == kRelu) v = _mm256_max_epi16(v, _mm256_srai_epi16(v, 3));
        if (finish == kAdd) v = _mm256_adds_epi16(v, _mm256_loadu_si256(to));
        _mm256_storeu_si256(to, v);
      }
    }
  }
}

inline void dense(const Dense& d, const int16_t* in, int n, Finish finish, int16_t* out) {
  int column = 0;
  for (; column + 64 <= d.out; column += 64) dense_columns<4>(d, in, n, column, finish, out);
  for (; column + 32 <= d.out; column += 32) dense_columns<2>(d, in, n, column, finish, out);
  for (; column + 16 <= d.out; column += 16) dense_columns<1>(d, in, n, column, finish, out);
}

#elif defined(__AVX2__)

template <int kVectors>
inline void dense_columns(const Dense& d, const int16_t* in, int n, int column, Finish finish, int16_t* out) {
  constexpr int kTogether = 3;  // 3 x 4 sums fit the sixteen registers with one vector of weights to spare
  static_assert(kRowsAtOnce % kTogether == 0);
  for (int p = 0; p < n; p += kTogether) {
    __m256i acc[kTogether][kVectors];
    for (int i = 0; i < kTogether; ++i)
      for (int j = 0; j < kVectors; ++j)
        acc[i][j] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(d.bias + column + 8 * j));
    const int16_t* a = in + ptrdiff_t(p) * d.in;
    const int16_t* w = d.weight + 2 * column;
    for (int k = 0; k < d.in / 2; ++k, w += 2 * d.out) {
      __m256i x[kTogether];
      for (int i = 0; i < kTogether; ++i) {
        int32_t pair;
        memcpy(&pair, a + ptrdiff_t(i) * d.in + 2 * k, 4);
        x[i] = _mm256_set1_epi32(pair);
      }
      for (int j = 0; j < kVectors; ++j) {
        const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + 16 * j));
        for (int i = 0; i < kTogether; ++i) acc[i][j] = _mm256_add_epi32(acc[i][j], _mm256_madd_epi16(x[i], b));
      }
    }
    const __m128i shift = _mm_cvtsi32_si128(d.shift);
    for (int i = 0; i < kTogether; ++i)
      for (int j = 0; j < kVectors; ++j) {
        const __m256i s = _mm256_sra_epi32(acc[i][j], shift);
        __m128i v = _mm_packs_epi32(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
        auto* to = reinterpret_cast<__m128i*>(out + ptrdiff_t(p + i) * d.out + column + 8 * j);
        if (finish == kRelu) v = _mm_max_epi16(v, _mm_srai_epi16(v, 3));
        if (finish == kAdd) v = _mm_adds_epi16(v, _mm_loadu_si128(to));
        _mm_storeu_si128(to, v);
      }
  }
}

inline void dense(const Dense& d, const int16_t* in, int n, Finish finish, int16_t* out) {
  int column = 0;
  for (; column + 32 <= d.out; column += 32) dense_columns<4>(d, in, n, column, finish, out);
  for (; column + 16 <= d.out; column += 16) dense_columns<2>(d, in, n, column, finish, out);
}

#elif defined(__SSE2__)

inline void dense(const Dense& d, const int16_t* in, int n, Finish finish, int16_t* out) {
  constexpr int kTogether = 3, kVectors = 4;
  static_assert(kRowsAtOnce % kTogether == 0);
  for (int column = 0; column < d.out; column += 4 * kVectors)
    for (int p = 0; p < n; p += kTogether) {
      __m128i acc[kTogether][kVectors];
      for (int i = 0; i < kTogether; ++i)
        for (int j = 0; j < kVectors; ++j)
          acc[i][j] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(d.bias + column + 4 * j));
      const int16_t* a = in + ptrdiff_t(p) * d.in;
      const int16_t* w = d.weight + 2 * column;
      for (int k = 0; k < d.in / 2; ++k, w += 2 * d.out) {
        __m128i b[kVectors];
        for (int j = 0; j < kVectors; ++j) b[j] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(w + 8 * j));
        for (int i = 0; i < kTogether; ++i) {
          int32_t pair;
          memcpy(&pair, a + ptrdiff_t(i) * d.in + 2 * k, 4);
          const __m128i x = _mm_set1_epi32(pair);
          for (int j = 0; j < kVectors; ++j) acc[i][j] = _mm_add_epi32(acc[i][j], _mm_madd_epi16(x, b[j]));
        }
      }
      const __m128i shift = _mm_cvtsi32_si128(d.shift);
      for (int i = 0; i < kTogether; ++i)
        for (int j = 0; j < kVectors; j += 2) {
          __m128i v = _mm_packs_epi32(_mm_sra_epi32(acc[i][j], shift), _mm_sra_epi32(acc[i][j + 1], shift));
          auto* to = reinterpret_cast<__m128i*>(out + ptrdiff_t(p + i) * d.out + column + 4 * j);
          if (finish == kRelu) v = _mm_max_epi16(v, _mm_srai_epi16(v, 3));
          if (finish == kAdd) v = _mm_adds_epi16(v, _mm_loadu_si128(to));
          _mm_storeu_si128(to, v);
        }
    }
}

#else

inline void dense(const Dense& d, const int16_t* in, int n, Finish finish, int16_t* out) {
  constexpr int kColumns = 16;
  for (int column = 0; column < d.out; column += kColumns)
    for (int p = 0; p < n; ++p) {
      int32_t acc[kColumns];
      for (int j = 0; j < kColumns; ++j) acc[j] = d.bias[column + j];
      const int16_t* a = in + ptrdiff_t(p) * d.in;
      const int16_t* w = d.weight + 2 * column;
      for (int k = 0; k < d.in / 2; ++k, w += 2 * d.out) {
        const int32_t x = a[2 * k], y = a[2 * k + 1];
        for (int j = 0; j < kColumns; ++j) acc[j] += x * w[2 * j] + y * w[2 * j + 1];
      }
      int16_t* to = out + ptrdiff_t(p) * d.out + column;
      for (int j = 0; j < kColumns; ++j) to[j] = finished(acc[j], d.shift, finish, to[j]);
    }
}

#endif

// Depthwise 3x3: rows[0 .. 2] are the rows above, at and below (null outside the picture), each with a position before
// its first and after its last. Weights lie as [9][channels].
inline void depthwise_plain(const int16_t* const rows[3], int n, int channels, int first, const int16_t* weight,
                            const int32_t* bias, int shift, int16_t* out) {
  constexpr int kChannels = 16;
  for (int c0 = first; c0 < channels; c0 += kChannels)
    for (int p = 0; p < n; ++p) {
      int32_t acc[kChannels];
      for (int c = 0; c < kChannels; ++c) acc[c] = bias[c0 + c];
      for (int r = 0; r < 3; ++r) {
        if (!rows[r]) continue;
        for (int dx = 0; dx < 3; ++dx) {
          const int16_t* x = rows[r] + ptrdiff_t(p + dx - 1) * channels + c0;
          const int16_t* w = weight + ptrdiff_t(3 * r + dx) * channels + c0;
          for (int c = 0; c < kChannels; ++c) acc[c] += int32_t(x[c]) * w[c];
        }
      }
      int16_t* to = out + ptrdiff_t(p) * channels + c0;
      for (int c = 0; c < kChannels; ++c) to[c] = clamp16(acc[c] >> shift);
    }
}

#if defined(__SSE2__)

inline void depthwise_row(const int16_t* const rows[3], int n, int channels, const int16_t* weight, const int32_t* bias,
                          int shift, int16_t* out) {
  constexpr int kLanes = int(sizeof(Samples) / sizeof(int16_t)), kTaps = 9, kPairs = (kTaps + 1) / 2;
  const __m128i places = _mm_cvtsi32_si128(shift);
  int c0 = 0;
  for (; c0 + kLanes <= channels; c0 += kLanes) {
    // A row outside the picture counts for nothing: its weights are zero, whatever is read in its place.
    Samples taps[kTaps + 1], low_weight[kPairs], high_weight[kPairs];
    for (int t = 0; t <= kTaps; ++t)
      taps[t] = t < kTaps && rows[t / 3] ? load(weight + ptrdiff_t(t) * channels + c0) : no_samples();
    for (int i = 0; i < kPairs; ++i) {
      low_weight[i] = low_pairs(taps[2 * i], taps[2 * i + 1]);
      high_weight[i] = high_pairs(taps[2 * i], taps[2 * i + 1]);
    }
    int32_t start[2][kLanes / 2];
    for (int c = 0; c < kLanes; ++c) start[c / 4 % 2][c / 8 * 4 + c % 4] = bias[c0 + c];
    const int16_t* from[3];
    for (int r = 0; r < 3; ++r) from[r] = (rows[r] ? rows[r] : rows[1]) + c0 - channels;
    const auto sample = [&](int p, int t) { return load(from[t / 3] + ptrdiff_t(p + t % 3) * channels); };
    for (int p = 0; p < n; ++p) {
      Samples low = load(start[0]), high = load(start[1]);
      for (int i = 0; i < kPairs; ++i) {
        const Samples one = sample(p, 2 * i), two = 2 * i + 1 < kTaps ? sample(p, 2 * i + 1) : no_samples();
        low = multiply_add(low, low_pairs(one, two), low_weight[i]);
        high = multiply_add(high, high_pairs(one, two), high_weight[i]);
      }
      store(out + ptrdiff_t(p) * channels + c0, packed(low, high, places));
    }
  }
  if (c0 < channels) depthwise_plain(rows, n, channels, c0, weight, bias, shift, out);
}

#else

inline void depthwise_row(const int16_t* const rows[3], int n, int channels, const int16_t* weight, const int32_t* bias,
                          int shift, int16_t* out) {
  depthwise_plain(rows, n, channels, 0, weight, bias, shift, out);
}

#endif

}  // namespace LACONIC_ISA
}  // namespace laconic
