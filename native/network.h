// network.h - the decoder-side network in integers: what it adds to the decoded planes is the same on every machine.
//
// Samples are gathered in 4 x 4 blocks of three planes (48 channels). Residual blocks of 1x1 and depthwise 3x3
// convolutions follow, and the result comes back as a correction in units of the base step. Activations and weights
// are 16-bit, sums 32-bit; every layer's weights are checked beforehand so that no sum can leave 32 bits whatever the
// input (`network_fits`), so the order of additions, the instruction set and the number of threads change nothing.
//
//   layer:  out = saturate16((bias + sum of weight * in) >> shift), the rounding half being part of bias
//   leaky ReLU: max(v, v >> 3)
//
// A tile is computed with as many blocks around it as there are depthwise layers, so tiles leave no seams. Outside the
// picture the depthwise convolution sees zeros; samples beyond the last row and column repeat it.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include <cstdlib>
#include <cstring>

#include "causal.h"
#include "color.h"
#include "network_job.h"
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace laconic {
namespace LACONIC_ISA {

constexpr int kBlockSamples = 48;

enum Finish { kStore, kRelu, kAdd };

inline int16_t clamp16(int32_t v) { return int16_t(v > 32767 ? 32767 : v < -32768 ? -32768 : v); }

inline int16_t finished(int32_t sum, int shift, Finish finish, int16_t before) {
  int16_t v = clamp16(sum >> shift);
  if (finish == kRelu && v < 0) v = int16_t(v >> 3);
  return finish == kAdd ? clamp16(int32_t(v) + before) : v;
}

constexpr int kRowsAtOnce = 6;  // positions computed together; runs are padded to a multiple

#if defined(__AVX512BW__)

inline __m512i multiply_add(__m512i sum, __m512i a, __m512i b) {
#if defined(__AVX512VNNI__)
  return _mm512_dpwssd_epi32(sum, a, b);
#else
  return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
#endif
}

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
    for (int i = 0; i < kRowsAtOnce; ++i)
      for (int j = 0; j < kVectors; ++j) {
        __m256i v = _mm512_cvtsepi32_epi16(_mm512_sra_epi32(acc[i][j], shift));
        auto* to = reinterpret_cast<__m256i*>(out + ptrdiff_t(p + i) * d.out + column + 16 * j);
        if (finish == kRelu) v = _mm256_max_epi16(v, _mm256_srai_epi16(v, 3));
        if (finish == kAdd) v = _mm256_adds_epi16(v, _mm256_loadu_si256(to));
        _mm256_storeu_si256(to, v);
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
inline void depthwise_row(const int16_t* const rows[3], int n, int channels, const int16_t* weight, const int32_t* bias,
                          int shift, int16_t* out) {
  constexpr int kChannels = 16;
  for (int c0 = 0; c0 < channels; c0 += kChannels)
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

// A run of positions of any length: `dense` for the full groups, a copy for the rest, so that nothing beyond is touched.
inline void dense_run(const Dense& d, const int16_t* in, int n, Finish finish, int16_t* out, int16_t* spare) {
  const int full = n / kRowsAtOnce * kRowsAtOnce, rest = n - full;
  if (full) dense(d, in, full, finish, out);
  if (!rest) return;
  int16_t *x = spare, *y = spare + kRowsAtOnce * d.in;
  int16_t* to = out + ptrdiff_t(full) * d.out;
  memset(x, 0, size_t(kRowsAtOnce) * size_t(d.in) * sizeof(int16_t));
  memcpy(x, in + ptrdiff_t(full) * d.in, size_t(rest) * size_t(d.in) * sizeof(int16_t));
  if (finish == kAdd) memcpy(y, to, size_t(rest) * size_t(d.out) * sizeof(int16_t));
  dense(d, x, kRowsAtOnce, finish, y);
  memcpy(to, y, size_t(rest) * size_t(d.out) * sizeof(int16_t));
}

// A decoded sample in the network's unit, 1/16 of an 8-bit level.
inline int16_t network_sample(int16_t v) { return v; }
inline int16_t network_sample(int32_t v) { return clamp16((v + 128) >> 8); }

// Gathers the 4 x 4 blocks of block row `by`, columns x0 .. x1, of three planes (absent ones are zero).
template <class T>
inline void gather_blocks(const T* planes, const NetworkJob& job, int by, int x0, int x1, int16_t* out) {
  for (int p = 0; p < 3; ++p)
    for (int y = 0; y < 4; ++y) {
      const int row = by * 4 + y < job.height ? by * 4 + y : job.height - 1;
      const T* from = planes + p * job.plane_stride + row * job.row_stride;
      int16_t* to = out + 16 * p + 4 * y;
      for (int bx = x0; bx < x1; ++bx, to += kBlockSamples)
        for (int x = 0; x < 4; ++x) {
          const int column = bx * 4 + x < job.width ? bx * 4 + x : job.width - 1;
          to[x] = p < job.color_planes ? network_sample(from[column]) : int16_t(0);
        }
    }
}

struct Span {
  int from, to;
};
inline Span widened(Span s, int by, int limit) {
  return {s.from - by > 0 ? s.from - by : 0, s.to + by < limit ? s.to + by : limit};
}

// Decodes the network's tile, adds the correction to the planes and turns them into pixels.
template <class S, class T>
inline bool enhance_tile(const T* planes, S* pixels, const NetworkJob& job, const NetworkWeights& net) {
  const int rows = (job.height + 3) / 4, columns = (job.width + 3) / 4;
  const Span tile_y = {job.tile.y / 4, (job.tile.y + job.tile.h + 3) / 4};
  const Span tile_x = {job.tile.x / 4, (job.tile.x + job.tile.w + 3) / 4};
  const Span all_y = widened(tile_y, net.blocks, rows), all_x = widened(tile_x, net.blocks, columns);
  const int h_rows = all_y.to - all_y.from, h_columns = all_x.to - all_x.from;
  const int c = net.channels, wide = net.expanded;
  const int tile_w = job.tile.w;
  const size_t row_size = size_t(h_columns + 2) * size_t(c);
  const size_t widest = size_t(h_columns + 2) * size_t(wide > kBlockSamples ? wide : kBlockSamples);
  const int widest_layer = wide > c ? (wide > kBlockSamples ? wide : kBlockSamples) : (c > kBlockSamples ? c : kBlockSamples);
  const size_t spare_size = size_t(kRowsAtOnce) * size_t(2 * widest_layer);
  const size_t h_size = size_t(h_rows) * size_t(h_columns) * size_t(c);
  const size_t strip = size_t(kMaxPlanes) * 4 * size_t(tile_w + 4);
  auto* block = static_cast<int16_t*>(
      std::malloc((h_size + 4 * row_size + 2 * widest + spare_size + 256) * sizeof(int16_t) + strip * sizeof(T)));
  if (!block) return false;
  T* fixed = reinterpret_cast<T*>(block);  // the corrected samples of four rows, first for the sake of alignment
  int16_t* h = reinterpret_cast<int16_t*>(fixed + strip);
  int16_t* ring[3] = {h + h_size, h + h_size + row_size, h + h_size + 2 * row_size};
  int16_t* spread = ring[2] + row_size;
  int16_t* hidden = spread + row_size;
  int16_t* spare = hidden + 2 * widest;
  const auto at = [&](int y, int x) {
    return h + (ptrdiff_t(y - all_y.from) * h_columns + (x - all_x.from)) * c;
  };
  for (int y = all_y.from; y < all_y.to; ++y) {
    gather_blocks(planes, job, y, all_x.from, all_x.to, hidden);
    dense_run(net.input, hidden, h_columns, kStore, at(y, all_x.from), spare);
  }
  for (int k = 0; k < net.blocks; ++k) {
    const NetworkBlock& b = net.block[k];
    const int reach = net.blocks - 1 - k;
    const Span ys = widened(tile_y, reach, rows), xs = widened(tile_x, reach, columns);
    const Span xs_in = widened(xs, 1, columns);
    const int n = xs.to - xs.from, n_in = xs_in.to - xs_in.from;
    const int lead = xs.from - xs_in.from;  // 0 at the left edge of the picture, else 1
    const auto mix = [&](int y) {
      // One zero position stands left and right; inside the picture it is overwritten or out of reach.
      int16_t* row = ring[(y + 3) % 3];
      memset(row, 0, size_t(c) * sizeof(int16_t));
      dense_run(b.mix, at(y, xs_in.from), n_in, kRelu, row + c, spare);
      memset(row + size_t(n_in + 1) * size_t(c), 0, size_t(c) * sizeof(int16_t));
    };
    if (ys.from > 0) mix(ys.from - 1);
    mix(ys.from);
    for (int y = ys.from; y < ys.to; ++y) {
      if (y + 1 < rows) mix(y + 1);
      const int16_t* around[3];
      for (int r = 0; r < 3; ++r) {
        const int from = y + r - 1;
        around[r] = from >= 0 && from < rows ? ring[(from + 3) % 3] + size_t(1 + lead) * size_t(c) : nullptr;
      }
      depthwise_row(around, n, c, b.spread, b.spread_bias, b.spread_shift, spread);
      dense_run(b.merge, spread, n, kAdd, at(y, xs.from), spare);
      dense_run(b.expand, at(y, xs.from), n, kRelu, hidden, spare);
      dense_run(b.contract, hidden, n, kAdd, at(y, xs.from), spare);
    }
  }
  for (int by = tile_y.from; by < tile_y.to; ++by) {
    dense_run(net.output, at(by, tile_x.from), tile_x.to - tile_x.from, kStore, hidden, spare);
    for (int y = 0; y < 4 && by * 4 + y < job.height && by * 4 + y < job.tile.y + job.tile.h; ++y) {
      const int row = by * 4 + y;
      for (int p = 0; p < job.channels; ++p) {
        const T* from = planes + p * job.plane_stride + row * job.row_stride + job.tile.x;
        T* to = fixed + (p * 4 + y) * ptrdiff_t(tile_w + 4);
        if (p >= job.color_planes) {
          memcpy(to, from, size_t(tile_w) * sizeof(T));  // alpha is exact
          continue;
        }
        const int16_t* r = hidden + 16 * p + 4 * y;
        for (int x = 0; x < tile_w; ++x) {
          const int64_t correction = (int64_t(r[(x >> 2) * kBlockSamples + (x & 3)]) * job.step + (1 << 18)) >> 19;
          to[x] = saturate<T>(int64_t(from[x]) + correction);
        }
      }
      synthesize_color<S, T>(fixed + y * ptrdiff_t(tile_w + 4),
                             pixels + row * job.pixel_row + ptrdiff_t(job.tile.x) * job.channels, tile_w,
                             {job.channels, false, 4 * ptrdiff_t(tile_w + 4)});
    }
  }
  std::free(block);
  return true;
}

}  // namespace LACONIC_ISA
}  // namespace laconic
