// narrow_layers.h - 1x1 layers of the decoder-side network that multiply numbers of 8 bits, for each instruction set.
//
//   a   = round(in * fineness / 2^15), limited to -zero .. 255 - zero
//   out = saturate16((bias + 16 * sum of weight * a) >> shift), the rounding half being part of bias
//
// Activations are kept as a + zero, which is not negative: the layer's bias has made up for it. Magnitudes of neighboring
// weights add up to 127 at most (`Network::check_narrow`), so two products fit 16 bits where instructions saturate there.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include "network_layers.h"

namespace laconic {
namespace LACONIC_ISA {

constexpr int kSumBits = 4;  // fraction bits that sums gain before the bias is added

inline uint8_t narrowed(int16_t v, int16_t fineness, int zero) {
  const int32_t a = ((int32_t(v) * fineness + (1 << 14)) >> 15) + zero;
  return uint8_t(a < 0 ? 0 : a > 255 ? 255 : a);
}

// Where a layer's results go that the next one takes as bytes; `next` null: nowhere.
struct Onward {
  const Dense* next;
  uint8_t* bytes;
};

#if defined(__AVX2__)

#if defined(__AVX512BW__)
constexpr int kNarrowPositions = 6;
inline Samples scaled(Samples v, Samples fineness) { return _mm512_mulhrs_epi16(v, fineness); }
inline Samples added16(Samples a, Samples b) { return _mm512_adds_epi16(a, b); }
inline Samples repeated16(int v) { return _mm512_set1_epi16(short(v)); }
inline void store_bytes(uint8_t* to, Samples v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtusepi16_epi8(not_negative(v)));
}
inline void store_bytes(uint8_t* to, Samples a, Samples b) {
  const Samples order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
  store(to, _mm512_permutexvar_epi64(order, _mm512_packus_epi16(a, b)));
}
inline Samples leaky(Samples v) { return _mm512_max_epi16(v, _mm512_srai_epi16(v, 3)); }
inline Samples shifted(Samples v, Samples shifts) { return _mm512_srav_epi32(v, shifts); }
inline Samples raised(Samples v) { return _mm512_slli_epi32(v, kSumBits); }
inline Samples packed_in_order(Samples a, Samples b) { return in_order(_mm512_packs_epi32(a, b)); }
#else
constexpr int kNarrowPositions = 3;
inline Samples scaled(Samples v, Samples fineness) { return _mm256_mulhrs_epi16(v, fineness); }
inline Samples added16(Samples a, Samples b) { return _mm256_adds_epi16(a, b); }
inline Samples repeated16(int v) { return _mm256_set1_epi16(short(v)); }
inline void store_bytes(uint8_t* to, Samples v) {
  const Samples bytes = _mm256_permute4x64_epi64(_mm256_packus_epi16(v, v), 0x08);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(bytes));
}
inline void store_bytes(uint8_t* to, Samples a, Samples b) { store(to, in_order(_mm256_packus_epi16(a, b))); }
inline Samples leaky(Samples v) { return _mm256_max_epi16(v, _mm256_srai_epi16(v, 3)); }
inline Samples shifted(Samples v, Samples shifts) { return _mm256_srav_epi32(v, shifts); }
inline Samples raised(Samples v) { return _mm256_slli_epi32(v, kSumBits); }
inline Samples packed_in_order(Samples a, Samples b) { return in_order(_mm256_packs_epi32(a, b)); }
#endif

// Adds four products of unsigned and signed bytes to each sum.
inline Samples multiply_add_bytes(Samples sum, Samples activations, Samples weights) {
#if defined(__AVX512VNNI__) && defined(__GNUC__)
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(activations), "v"(weights));
  return sum;
#elif defined(__AVX512VNNI__)
  return _mm512_dpbusd_epi32(sum, activations, weights);
#elif defined(__AVX512BW__)
  return _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(activations, weights), repeated16(1)));
#else
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(activations, weights), repeated16(1)));
#endif
}

// Positions `from` to `to`.
template <int kVectors, int kTogether>
inline void narrow_columns(const Dense& d, const uint8_t* in, int from, int to, int column, Finish finish, int16_t* out,
                           const Onward& onward) {
  constexpr int kSums = int(sizeof(Samples) / sizeof(int32_t)), kLanes = 2 * kSums;
  static_assert(kVectors % 2 == 0);
  const bool raises = d.shift != 0;
  for (int p = from; p < to; p += kTogether) {
    Samples acc[kTogether][kVectors];
    for (int j = 0; j < kVectors; ++j) {
      const Samples first = raises ? no_samples() : load(d.bias + column + kSums * j);
      for (int i = 0; i < kTogether; ++i) acc[i][j] = first;
    }
    const uint8_t* a = in + ptrdiff_t(p) * d.in;
    const int8_t* w = d.narrow + 4 * column;
    for (int k = 0; k < d.in; k += 4, w += 4 * d.out) {
      Samples x[kTogether];
      for (int i = 0; i < kTogether; ++i) {
        int32_t four;
        memcpy(&four, a + ptrdiff_t(i) * d.in + k, 4);
        x[i] = repeated(four);
      }
      for (int j = 0; j < kVectors; ++j) {
        const Samples b = load(w + 4 * kSums * j);
        for (int i = 0; i < kTogether; ++i) acc[i][j] = multiply_add_bytes(acc[i][j], x[i], b);
      }
    }
#pragma GCC unroll 12
    for (int j = 0; j < kVectors; ++j) {  // unrolled, so that sums stay in registers
      const Samples shifts = load(d.shifts + column + kSums * j);
      if (raises) {
        const Samples bias = load(d.bias + column + kSums * j);
#pragma GCC unroll 12
        for (int i = 0; i < kTogether; ++i) acc[i][j] = shifted(added(raised(acc[i][j]), bias), shifts);
      } else {
#pragma GCC unroll 12
        for (int i = 0; i < kTogether; ++i) acc[i][j] = shifted(acc[i][j], shifts);
      }
    }
#pragma GCC unroll 12
    for (int i = 0; i < kTogether; ++i) {
      const ptrdiff_t at = ptrdiff_t(p + i) * d.out + column;
      Samples v[kVectors / 2];
      for (int j = 0; j < kVectors / 2; ++j) {
        v[j] = packed_in_order(acc[i][2 * j], acc[i][2 * j + 1]);
        if (finish == kRelu) v[j] = leaky(v[j]);
        if (finish == kAdd) v[j] = added16(v[j], load(out + at + kLanes * j));
        if (finish != kRelu || !onward.next) store(out + at + kLanes * j, v[j]);
      }
      if (!onward.next) continue;
      const Samples zero = repeated16(onward.next->zero);
      for (int j = 0; j < kVectors / 2; ++j)
        v[j] = added16(scaled(v[j], load(onward.next->fineness + column + kLanes * j)), zero);
      uint8_t* bytes = onward.bytes + at;
      if (kVectors == 4)
        store_bytes(bytes, v[0], v[kVectors / 2 - 1]);
      else
        store_bytes(bytes, v[0]);
    }
  }
}

#endif

inline void narrow_plain(const Dense& d, const uint8_t* in, int n, int first, Finish finish, int16_t* out,
                         const Onward& onward) {
  constexpr int kColumns = 16;
  for (int column = first; column < d.out; column += kColumns)
    for (int p = 0; p < n; ++p) {
      int32_t acc[kColumns] = {};
      const uint8_t* a = in + ptrdiff_t(p) * d.in;
      const int8_t* w = d.narrow + 4 * column;
      for (int k = 0; k < d.in; k += 4, w += 4 * d.out)
        for (int j = 0; j < kColumns; ++j)
          acc[j] += a[k] * w[4 * j] + a[k + 1] * w[4 * j + 1] + a[k + 2] * w[4 * j + 2] + a[k + 3] * w[4 * j + 3];
      const ptrdiff_t at = ptrdiff_t(p) * d.out + column;
      for (int j = 0; j < kColumns; ++j) {
        const int32_t sum = (acc[j] << d.shift) + d.bias[column + j];
        const int16_t v = finished(sum, d.shifts[column + j], finish, out[at + j]);
        out[at + j] = v;
        if (onward.next) onward.bytes[at + j] = narrowed(v, onward.next->fineness[column + j], onward.next->zero);
      }
    }
}

// The layer of activations in bytes; n is a multiple of `kRowsAtOnce`. With `onward`, `kRelu` need not leave anything in `out`.
inline void dense(const Dense& d, const uint8_t* in, int n, Finish finish, int16_t* out, const Onward& onward) {
  int column = 0;
#if defined(__AVX2__)
  constexpr int kSums = int(sizeof(Samples) / sizeof(int32_t));
  static_assert(kRowsAtOnce % kNarrowPositions == 0);
  for (; column + 4 * kSums <= d.out; column += 4 * kSums)
    narrow_columns<4, kNarrowPositions>(d, in, 0, n, column, finish, out, onward);
  const int twice = n / (2 * kNarrowPositions) * (2 * kNarrowPositions);
  for (; column + 2 * kSums <= d.out; column += 2 * kSums) {
    narrow_columns<2, 2 * kNarrowPositions>(d, in, 0, twice, column, finish, out, onward);
    narrow_columns<2, kNarrowPositions>(d, in, twice, n, column, finish, out, onward);
  }
#endif
  if (column < d.out) narrow_plain(d, in, n, column, finish, out, onward);
}

// Activations of `n` positions as a narrow layer takes them.
inline void narrow_samples(const Dense& d, const int16_t* in, int n, uint8_t* out) {
  int first = 0;
#if defined(__AVX2__)
  constexpr int kLanes = int(sizeof(Samples) / sizeof(int16_t));
  const Samples zero = repeated16(d.zero);
  for (; first + 2 * kLanes <= d.in; first += 2 * kLanes) {
    const Samples fineness[2] = {load(d.fineness + first), load(d.fineness + first + kLanes)};
    for (int p = 0; p < n; ++p) {
      const int16_t* from = in + ptrdiff_t(p) * d.in + first;
      store_bytes(out + ptrdiff_t(p) * d.in + first, added16(scaled(load(from), fineness[0]), zero),
                  added16(scaled(load(from + kLanes), fineness[1]), zero));
    }
  }
  for (; first + kLanes <= d.in; first += kLanes) {
    const Samples fineness = load(d.fineness + first);
    for (int p = 0; p < n; ++p) {
      const ptrdiff_t at = ptrdiff_t(p) * d.in + first;
      store_bytes(out + at, added16(scaled(load(in + at), fineness), zero));
    }
  }
#endif
  for (int p = 0; p < n; ++p)
    for (int c = first; c < d.in; ++c)
      out[ptrdiff_t(p) * d.in + c] = narrowed(in[ptrdiff_t(p) * d.in + c], d.fineness[c], d.zero);
}

}  // namespace LACONIC_ISA
}  // namespace laconic
