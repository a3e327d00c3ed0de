// least_squares.h - linear prediction with weights that fit what was seen around: for each block of a row the normal
// equations of the samples above and to the left, summed in a moving window, solved in integers.
//
// Fitting a predictor to the causal neighborhood is due to Wu, Barthel & Zhang ("Piecewise 2D autoregression for predictive
// image coding", ICIP 1998); sums by blocks, so that one solution serves several samples, are our own.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "rans.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace laconic {
namespace LACONIC_ISA {

constexpr int kTapBits = 12;               // of the fraction of a weight
constexpr int32_t kMostTapWeight = 32767;  // nearly 8
constexpr int kShareFraction = 4;              // of the fraction of a sample's share in the sums
// What the diagonal is raised by, so that weights stay small where little is known: this much, and 2^-11 of itself.
constexpr int32_t kRidge = 512;
constexpr int kRidgeShift = 11;
constexpr int kFactorBits = 19;
constexpr int32_t kLeastPivot = 256;

LACONIC_INLINE int32_t limited(int64_t x, int64_t most) { return int32_t(x > most ? most : x < -most ? -most : x); }

// Rows of 64-bit words of which the lower halves count, as numbers with sign: what the elimination multiplies.
template <int kWide>
struct Halves {
  alignas(64) int64_t at[kWide][kWide];
};

#if defined(__AVX2__)
LACONIC_INLINE __m256i load_halves(const int64_t* p) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(p)); }
LACONIC_INLINE void store_halves(int64_t* p, __m256i x) { _mm256_store_si256(reinterpret_cast<__m256i*>(p), x); }

#endif

// A product of lower halves.
LACONIC_INLINE int64_t times(int64_t a, int64_t b) { return int64_t(int32_t(a)) * int32_t(b); }

// The inverse of a pivot, 2^30 .. 2^31, and by how much its products are shifted. Where rounding leaves no pivot the least
// one stands in.
struct Inverse {
  int64_t by;
  int down;
};
LACONIC_INLINE Inverse inverse_of(int32_t found) {
  const int32_t pivot = found < kLeastPivot ? kLeastPivot : found;
  const int scale = __builtin_clz(uint32_t(pivot)) - 1;
  return {int64_t(((uint64_t{1} << 61) - 1) / (uint64_t(pivot) << scale)), 61 - kFactorBits - scale};
}

// An element of the diagonal, raised.
LACONIC_INLINE int64_t raised(int64_t x, int up) {
  const int64_t scaled = x << (up + kFactorBits);
  return scaled + (int64_t{kRidge} << (up + kFactorBits)) + (scaled >> kRidgeShift);
}

#if defined(__AVX2__)
// Four rows from row kFrom on, whose columns before it count for nothing. A predictor of branches would not learn how often
// loops over single rows turn, so their lengths are known when compiled.
template <int kWide, int kFrom>
LACONIC_INLINE void factorize_rows(const int32_t (*a)[kWide], int n, int up, Halves<kWide>& factor, Halves<kWide>& u) {
  constexpr int kVectors = (kWide - kFrom) / 4;
  const int rows = n - kFrom < 4 ? n - kFrom : 4;
  const __m128i scaled = _mm_cvtsi32_si128(up + kFactorBits);
  // Less what the rows before take.
  for (int j = 0; j < rows; ++j) {
    const int32_t* from = a[kFrom + j] + kFrom;
    int64_t* to = u.at[kFrom + j] + kFrom;
    __m256i s[kVectors];
    for (int v = 0; v < kVectors; ++v)
      s[v] = _mm256_sll_epi64(_mm256_cvtepi32_epi64(_mm_load_si128(reinterpret_cast<const __m128i*>(from + 4 * v))), scaled);
#pragma GCC unroll 4
    for (int k = 0; k < kFrom; ++k) {
      const __m256i f = _mm256_set1_epi64x(factor.at[k][kFrom + j]);
      for (int v = 0; v < kVectors; ++v)
        s[v] = _mm256_sub_epi64(s[v], _mm256_mul_epi32(f, load_halves(u.at[k] + kFrom + 4 * v)));
    }
    for (int v = 0; v < kVectors; ++v) store_halves(to + 4 * v, s[v]);
    to[j] += raised(from[j], up) - (int64_t{from[j]} << (up + kFactorBits));
  }
  // The square on the diagonal by itself, for all else waits for its pivots.
  Inverse inverse[4];
  int64_t square[4][4], by_pivot[4][4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    if (j >= rows) break;
#pragma GCC unroll 4
    for (int i = j; i < 4; ++i) {
      int64_t x = u.at[kFrom + j][kFrom + i];
      for (int k = 0; k < j; ++k) x -= times(by_pivot[k][j], square[k][i]);
      square[j][i] = x >> kFactorBits;
    }
    inverse[j] = inverse_of(int32_t(square[j][j]));
#pragma GCC unroll 4
    for (int i = j; i < 4; ++i) by_pivot[j][i] = times(square[j][i], inverse[j].by) >> inverse[j].down;
  }
  // Whole rows.
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    if (j >= rows) break;
    const __m256i by = _mm256_set1_epi64x(inverse[j].by);
    const __m128i shift = _mm_cvtsi32_si128(inverse[j].down);
    const __m256i sign = _mm256_set1_epi64x(int64_t{1} << (63 - inverse[j].down));  // where the shift leaves it
    for (int v = 0; v < kVectors; ++v) {
      const auto at = [&](Halves<kWide>& of, int row) { return of.at[kFrom + row] + kFrom + 4 * v; };
      __m256i s = load_halves(at(u, j));
      for (int k = 0; k < j; ++k)
        s = _mm256_sub_epi64(s, _mm256_mul_epi32(_mm256_set1_epi64x(by_pivot[k][j]), load_halves(at(u, k))));
      s = _mm256_srli_epi64(s, kFactorBits);
      store_halves(at(u, j), s);
      const __m256i x = _mm256_srl_epi64(_mm256_mul_epi32(by, s), shift);
      store_halves(at(factor, j), _mm256_sub_epi64(_mm256_xor_si256(x, sign), sign));
    }
  }
  if constexpr (kFrom + 4 < kWide)
    if (kFrom + 4 < n) factorize_rows<kWide, kFrom + 4>(a, n, up, factor, u);
}

// Four weights from kFrom on, and then those before: solved, in 2^-16.
template <int kWide, int kFrom>
LACONIC_INLINE void substitute(const Halves<kWide>& factor, int n, int64_t* solved) {
  constexpr int kNext = kFrom + 4, kFar = kFrom + 8;
  int64_t x[4] = {};
#pragma GCC unroll 4
  for (int j = 3; j >= 0; --j) {
    if (kFrom + j >= n) continue;
    const int64_t* row = factor.at[kFrom + j];
    x[j] = int64_t(int32_t(row[kWide - 1])) << 16;
    if constexpr (kFar < kWide) {
      __m256i products = _mm256_setzero_si256();
      for (int i = kFar; i < kWide; i += 4)
        products = _mm256_add_epi64(products, _mm256_mul_epi32(load_halves(row + i), load_halves(solved + i)));
      const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(products), _mm256_extracti128_si256(products, 1));
      x[j] -= _mm_cvtsi128_si64(_mm_add_epi64(two, _mm_unpackhi_epi64(two, two)));
    }
    // Those found just now are not yet where a vector could read them.
    for (int i = kNext + 3; i >= kNext; --i)
      if (i < kWide) x[j] -= times(row[i], solved[i]);
    for (int i = 3; i > j; --i) x[j] -= times(row[kFrom + i], x[i]);
    x[j] = limited(x[j] >> kFactorBits, int64_t{kMostTapWeight} << (16 - kTapBits));
  }
  for (int j = 0; j < 4; ++j) solved[kFrom + j] = x[j];
  if constexpr (kFrom > 0) substitute<kWide, kFrom - 4>(factor, n, solved);
}
#endif

// Solves the normal equations a (upper triangle by rows; the right side is the last column) by L D L^T, which needs no
// square roots. All words wrap, so that numbers of a hostile file do no harm; in honest sums nothing comes near that.
template <int kWide>
LACONIC_INLINE void solve_normal_equations(const int32_t (*a)[kWide], int n, int16_t* weights) {
  int32_t largest = 1;
  for (int j = 0; j < n; ++j) largest = a[j][j] > largest ? a[j][j] : largest;
  const int clear = __builtin_clz(uint32_t(largest)) - 4, up = clear > 0 ? clear : 0;  // 2^27 .. 2^28, or as it is
  Halves<kWide> factor, u;
  alignas(64) int64_t solved[kWide] = {};  // in 2^-16
#if defined(__AVX2__)
  factorize_rows<kWide, 0>(a, n, up, factor, u);
  substitute<kWide, kWide - 4>(factor, n, solved);
#else
  int64_t sum[kWide];
  for (int j = 0; j < n; ++j) {
    sum[j] = raised(a[j][j], up);
    for (int i = j + 1; i < kWide; ++i) sum[i] = int64_t(a[j][i]) << (up + kFactorBits);
    for (int k = 0; k < j; ++k)
      for (int i = j; i < kWide; ++i) sum[i] -= times(factor.at[k][j], u.at[k][i]);
    for (int i = j; i < kWide; ++i) u.at[j][i] = sum[i] >> kFactorBits;
    const Inverse inverse = inverse_of(int32_t(u.at[j][j]));
    for (int i = j; i < kWide; ++i) factor.at[j][i] = times(u.at[j][i], inverse.by) >> inverse.down;
  }
  for (int j = n - 1; j >= 0; --j) {
    int64_t x = int64_t(int32_t(factor.at[j][kWide - 1])) << 16;
    for (int i = n - 1; i > j; --i) x -= times(factor.at[j][i], solved[i]);
    solved[j] = limited(x >> kFactorBits, int64_t{kMostTapWeight} << (16 - kTapBits));
  }
#endif
  for (int j = 0; j < n; ++j) weights[j] = int16_t(solved[j] >> (16 - kTapBits));
}

// The sum of w x over kCount taps, a multiple of 16, in 2^-12; x of 10 bits with sign.
template <int kCount>
LACONIC_INLINE int32_t weighted_sum(const int16_t* w, const int16_t* x) {
#if defined(__AVX2__)
  __m256i sum = _mm256_setzero_si256();
  for (int i = 0; i < kCount; i += 16)
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + i)),
                                                  _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i))));
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
#else
  int32_t sum = 0;
  for (int i = 0; i < kCount; ++i) sum += w[i] * x[i];
  return sum;
#endif
}

// Samples come from left to right, row by row. kWide - 1 taps at most, kBlock samples share their weights, and what was
// seen in a row counts 1 - 2^-kFade times as much in the next.
template <int kWide, int kBlock, int kFade>
class LeastSquares {
 public:
  static constexpr int kSums = kWide * (kWide - 1);
  LACONIC_INLINE static int blocks(int width) { return (width + kBlock - 1) / kBlock; }
  LACONIC_INLINE static size_t bytes(int width) { return size_t(2 * blocks(width) + 1) * kSums * sizeof(int32_t); }

  LACONIC_INLINE void start(int taps, int width, void* memory) {
    taps_ = taps, blocks_ = blocks(width), filled_ = 0;
    memset(memory, 0, bytes(width));
    none_ = static_cast<int32_t*>(memory);
    above_ = none_ + kSums, here_ = above_ + size_t(blocks_) * kSums;
    memset(weights_, 0, sizeof weights_), memset(seen_, 0, sizeof seen_), memset(share_, 0, sizeof share_);
  }

  // Before each sample of a row.
  LACONIC_INLINE void come_to(int x) {
    if (x % kBlock == 0) start_block(x / kBlock);
  }

  LACONIC_INLINE const int16_t* weights() const { return weights_; }

  // Learns a sample: what the taps saw, the same times its share in 2^-4, and what came. 10 bits with sign each.
  LACONIC_INLINE void learn(int x, bool last, const int16_t* taps, const int16_t* weighted, int32_t target) {
    int16_t* const seen = seen_[filled_];
    memcpy(seen, taps, (kWide - 1) * sizeof *taps);
    seen[kWide - 1] = int16_t(target);
    memcpy(share_[filled_], weighted, (kWide - 1) * sizeof *weighted);
    ++filled_;
    if (x % kBlock == kBlock - 1 || last) finish_block(x / kBlock);
  }

  LACONIC_INLINE void finish_row() {
    const size_t count = size_t(blocks_) * kSums;
    for (size_t i = 0; i < count; ++i) above_[i] += here_[i] - (above_[i] >> kFade);
  }

 private:
  // Before the first sample of each block of a row. The sums of the blocks above count whole, 3/4 and 1/2 at a distance of
  // 0, 1 and 2 blocks; those of two blocks to the left whole.
  void start_block(int block) {
    const auto of = [&](const int32_t* sums, int at) { return at < 0 || at >= blocks_ ? none_ : sums + size_t(at) * kSums; };
    const int32_t *a0 = of(above_, block), *a1 = of(above_, block - 1), *a2 = of(above_, block + 1),
                  *a3 = of(above_, block - 2), *a4 = of(above_, block + 2), *h1 = of(here_, block - 1), *h2 = of(here_, block - 2);
    alignas(64) int32_t a[kWide - 1][kWide];
    for (int j = 0; j < taps_; ++j) {
      const int from = j * kWide;
#if defined(__AVX2__)
      for (int i = from + (j & ~7); i < from + kWide; i += 8) {
        const auto at = [&](const int32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + i)); };
        const __m256i one = _mm256_add_epi32(at(a1), at(a2)), two = _mm256_add_epi32(at(a3), at(a4));
        const __m256i near = _mm256_add_epi32(at(a0), _mm256_add_epi32(at(h1), at(h2)));
        const __m256i far = _mm256_add_epi32(_mm256_sub_epi32(one, _mm256_srai_epi32(one, 2)), _mm256_srai_epi32(two, 1));
        _mm256_store_si256(reinterpret_cast<__m256i*>(a[j] + (i - from)), _mm256_add_epi32(near, far));
      }
#else
      for (int i = from + (j & ~7); i < from + kWide; ++i) {
        const int32_t one = a1[i] + a2[i];
        a[j][i - from] = a0[i] + h1[i] + h2[i] + (one - (one >> 2)) + ((a3[i] + a4[i]) >> 1);
      }
#endif
    }
    solve_normal_equations<kWide>(a, taps_, weights_);
  }

  // After the last sample of each block of a row.
  void finish_block(int block) {
    for (; filled_ < kBlock; ++filled_) memset(seen_[filled_], 0, sizeof seen_[0]), memset(share_[filled_], 0, sizeof share_[0]);
    int32_t* const sums = here_ + size_t(block) * kSums;
    filled_ = 0;
#if defined(__AVX2__)
    // Pairs of samples side by side, as the products want them.
    alignas(64) int32_t seen[kBlock / 2][kWide], share[kBlock / 2][kWide];
    for (int p = 0; p < kBlock / 2; ++p)
      for (int i = 0; i < kWide; ++i) {
        seen[p][i] = int32_t(uint16_t(seen_[2 * p][i]) | uint32_t(uint16_t(seen_[2 * p + 1][i])) << 16);
        share[p][i] = int32_t(uint16_t(share_[2 * p][i]) | uint32_t(uint16_t(share_[2 * p + 1][i])) << 16);
      }
    add_products<0>(seen, share, sums);
#else
    for (int j = 0; j < taps_; ++j)
      for (int i = j & ~7; i < kWide; ++i) {
        int32_t sum = 0;
        for (int s = 0; s < kBlock; ++s) sum += share_[s][j] * seen_[s][i];
        sums[j * kWide + i] = sum;
      }
#endif
  }

#if defined(__AVX2__)
  template <int kFirst>
  LACONIC_INLINE void add_products(const int32_t (*seen)[kWide], const int32_t (*share)[kWide], int32_t* sums) const {
    if constexpr (kFirst < kWide) {
      constexpr int kVectors = (kWide - kFirst) / 8;
      const int last = kFirst + 8 < taps_ ? kFirst + 8 : taps_;
      for (int j = kFirst; j < last; ++j) {
        __m256i part[kVectors] = {};
        for (int p = 0; p < kBlock / 2; ++p) {
          const __m256i w = _mm256_set1_epi32(share[p][j]);
          for (int v = 0; v < kVectors; ++v)
            part[v] = _mm256_add_epi32(
                part[v], _mm256_madd_epi16(w, _mm256_load_si256(reinterpret_cast<const __m256i*>(seen[p] + kFirst + 8 * v))));
        }
        for (int v = 0; v < kVectors; ++v)
          _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + j * kWide + kFirst + 8 * v), part[v]);
      }
      add_products<kFirst + 8>(seen, share, sums);
    }
  }
#endif

  int taps_ = 0, blocks_ = 0, filled_ = 0;
  int32_t *none_ = nullptr, *above_ = nullptr, *here_ = nullptr;
  alignas(64) int16_t weights_[32];
  alignas(64) int16_t seen_[kBlock][kWide];
  alignas(64) int16_t share_[kBlock][kWide];
};

}  // namespace LACONIC_ISA
}  // namespace laconic
