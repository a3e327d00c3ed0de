// chroma.h - what luma foretells of chroma: before a coefficient of Cb or Cr is quantized, a multiple of the decoded
// coefficient of luma at its place is taken away, and of Cr also a multiple of what remained of Cb (spec/chroma.md).
//
// The factors are not sent. They are slopes of a regression, sum(chroma * luma) / sum(luma^2), over what both sides have
// decoded: the bands of the level above around the place and those of the same level read before, drawn toward the slope
// of the coarser levels of the whole tile where there is little to learn from. Linear prediction of chroma from luma is
// known from video (Zhang et al., "Chroma intra prediction based on inter-channel correlation", 2014); there it takes
// samples beside a block, here the bands above.
//
// Everything is integer arithmetic. Most coefficients of luma are zero, and then there is nothing to compute.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include <cstdlib>
#include <cstring>

#include "causal.h"

namespace laconic {
namespace LACONIC_ISA {

constexpr int kSlopeBits = 10;
constexpr int64_t kSteepest = 2 << kSlopeBits;

// numerator / denominator in 1/1024, rounded toward zero, within -2 .. 2.
inline int64_t slope(int64_t numerator, int64_t denominator) {
  if (denominator >> 50) numerator >>= 16, denominator >>= 16;
  if (numerator >= 2 * denominator) return kSteepest;
  if (numerator <= -2 * denominator) return -kSteepest;
  return numerator * (1 << kSlopeBits) / denominator;
}

inline int64_t scaled_by(int64_t slope, int64_t v) {
  const int64_t p = slope * v;
  return p < 0 ? -((-p + (1 << (kSlopeBits - 1))) >> kSlopeBits) : (p + (1 << (kSlopeBits - 1))) >> kSlopeBits;
}

// Coefficients as they enter the sums: at most 17 bits.
inline int64_t measured(int16_t v) { return v; }
inline int64_t measured(int32_t v) { return v >> 8; }
// The product of two. (Of 16 bits it fits 32, which vectors multiply faster.)
inline int64_t measured_product(int16_t a, int16_t b) { return int32_t(a) * int32_t(b); }
inline int64_t measured_product(int32_t a, int32_t b) { return measured(a) * measured(b); }
// Coefficients with room for a few bits more, and back: vectors do both.
inline int32_t wide(int16_t v) { return v; }
inline int64_t wide(int32_t v) { return v; }
inline int16_t limited(int32_t v) { return int16_t(v < -32768 ? -32768 : v > 32767 ? 32767 : v); }
inline int32_t limited(int64_t v) { return saturate<int32_t>(v); }
// 4.5 squared steps in those units: how much there must be to learn from.
inline int64_t doubt(uint32_t step, bool wide) {
  const uint64_t q = step >> (wide ? 12 : 4);  // in 1/16
  const uint64_t d = q * q * 9 >> 9;
  return d ? int64_t(d) : 1;
}

// How much of a prediction is used, as it stands in a stream: none, a half, three quarters, all.
constexpr unsigned kShareBits = 2;
constexpr int kQuarters[1 << kShareBits] = {0, 2, 3, 4};
struct Shares {
  unsigned luma, other;  // of what luma foretells, of what the rest of Cb foretells
};
template <class T>
inline T share_of(T v, unsigned share) {
  return limited((wide(v) * kQuarters[share] + 2) >> 2);
}
// The one nearest to products / squares.
inline unsigned nearest_share(int64_t products, int64_t squares) {
  const int64_t eighths = 8 * products;
  return eighths <= 0 || eighths < 2 * squares ? 0 : eighths < 5 * squares ? 1 : eighths < 7 * squares ? 2 : 3;
}

// The three chroma predictors: Cb from luma, Cr from luma, and Cr from what remained of Cb.
enum Pairing { kCbLuma, kCrLuma, kCrCb, kPairings };

template <class T>
class ChromaPrediction {
 public:
  // `keeps`: decoded coefficients are kept here (an encoder has no other place for them).
  ChromaPrediction(const TileJob& job, bool keeps) : idle_(!job.predicts_chroma) {
    if (idle_) return;
    const Rect low = band_rect(job.height, job.width, job.tile, 1, 0), tall = band_rect(job.height, job.width, job.tile, 1, 1);
    most_rows_ = low.h > tall.h ? low.h : tall.h, most_columns_ = low.w > tall.w ? low.w : tall.w;
    area_ = size_t(most_rows_) * size_t(most_columns_);
    const size_t sums = size_t(most_rows_ / 2 + 1) * size_t(most_columns_ / 2 + 1);
    const size_t bands = 6 + (keeps ? 10 : 0);
    const size_t row = size_t(most_columns_) + 4;
    const size_t bytes = ((2 * kSums + 1) * sums + 2 * row) * sizeof(int64_t) + (bands * area_ + 2 * row) * sizeof(T) + 64;
    block_ = static_cast<uint8_t*>(std::calloc(1, bytes));
    if (!block_) return;
    auto* at = reinterpret_cast<int64_t*>(block_);
    for (int k = 0; k < kSums; ++k) above_[k] = at, at += sums;
    for (int k = 0; k < kSums; ++k) level_[k] = at, at += sums;
    columns_sum_ = at, at += sums;
    products_ = at + 1, squares_ = at + row + 1, at += 2 * row;
    T* place = reinterpret_cast<T*>(at);
    for (T*& told : told_) told = place, place += row;
    for (int p = 0; p < 2; ++p)
      for (int o = 0; o < 3; ++o) rest_[p][o] = place, place += area_;
    for (int i = 0; keeps && i < 9; ++i) kept_[i / 3][i % 3] = place, place += area_;
    target_ = keeps ? place : nullptr;
  }
  ~ChromaPrediction() { std::free(block_); }
  ChromaPrediction(const ChromaPrediction&) = delete;
  ChromaPrediction& operator=(const ChromaPrediction&) = delete;
  explicit operator bool() const { return idle_ || block_; }

  // An encoder's place for a band's decoded coefficients, and for what is quantized of it; rows lie `stride()` apart.
  T* kept(int plane, int orientation) { return kept_[plane][orientation]; }
  T* target() { return target_; }
  ptrdiff_t stride() const { return most_columns_; }

  // Tells where the decoded coefficients of a band of a new level will be; nothing is left of chroma so far.
  // `busy` tells of each row, once the band is coded, whether it holds a nonzero symbol.
  void begin(int plane, int orientation, const Rect& r, const T* at, ptrdiff_t stride, const uint8_t* busy) {
    decoded_[plane][orientation] = at, stride_[plane] = stride, busy_[plane][orientation] = busy;
    h_[orientation] = r.h, w_[orientation] = r.w;
    if (plane > 0) memset(rest_[plane - 1][orientation], 0, size_t(r.h) * size_t(most_columns_) * sizeof(T));
  }

  // Encoder: leaves in target() what remains of coefficients when their prediction is taken away, and chooses the shares.
  Shares take_away(int plane, int orientation, const T* in, ptrdiff_t in_stride, uint32_t step) {
    start(step);
    T *sum = kept_[plane][orientation], *rest = rest_[plane - 1][orientation];
    const uint8_t *luma_busy = busy_[0][orientation], *other_busy = busy_[1][orientation];
    int64_t products = 0, squares = 0;
    for_rows(orientation, [&](int y, ptrdiff_t at) {
      memset(sum + at, 0, size_t(w_[orientation]) * sizeof(T));
      if (!luma_busy[y]) return;
      foretell(plane == 1 ? kCbLuma : kCrLuma, orientation, y, sum + at);
      for (int x = 0; x < w_[orientation]; ++x) {
        const T foretold = sum[at + x];
        products += measured(in[y * in_stride + x]) * measured(foretold), squares += measured(foretold) * measured(foretold);
      }
    });
    Shares shares = {nearest_share(products, squares), 0};
    for_rows(orientation, [&](int y, ptrdiff_t at) {
      if (luma_busy[y])
        for (int x = 0; x < w_[orientation]; ++x) sum[at + x] = share_of(sum[at + x], shares.luma);
    });
    if (plane == 2) {
      products = squares = 0;
      for_rows(orientation, [&](int y, ptrdiff_t at) {
        if (!other_busy[y]) return;
        foretell(kCrCb, orientation, y, rest + at);
        for (int x = 0; x < w_[orientation]; ++x) {
          const T foretold = rest[at + x];
          const int64_t left = measured(in[y * in_stride + x]) - measured(sum[at + x]);
          products += left * measured(foretold), squares += measured(foretold) * measured(foretold);
        }
      });
      shares.other = nearest_share(products, squares);
      for_rows(orientation, [&](int y, ptrdiff_t at) {
        if (!other_busy[y]) return;
        for (int x = 0; x < w_[orientation]; ++x) {
          rest[at + x] = share_of(rest[at + x], shares.other);
          sum[at + x] = saturate<T>(int64_t(sum[at + x]) + rest[at + x]);
        }
      });
    }
    for_rows(orientation, [&](int y, ptrdiff_t at) {
      for (int x = 0; x < w_[orientation]; ++x)
        target_[at + x] = saturate<T>(int64_t(in[y * in_stride + x]) - sum[at + x]);
    });
    return shares;
  }
  // Encoder, after it: target() holds what remained as the decoder will have it.
  void give_back(int plane, int orientation) {
    T *sum = kept_[plane][orientation], *rest = rest_[plane - 1][orientation];
    for_rows(orientation, [&](int y, ptrdiff_t at) {
      if (!busy_[plane][orientation][y]) return;
      for (int x = 0; x < w_[orientation]; ++x) {
        sum[at + x] = saturate<T>(int64_t(sum[at + x]) + target_[at + x]);
        rest[at + x] = saturate<T>(int64_t(rest[at + x]) + target_[at + x]);
      }
    });
  }
  // Decoder: `to` holds what remained and gets the coefficients.
  void give_back(int plane, int orientation, T* to, ptrdiff_t stride, uint32_t step, Shares shares) {
    start(step);
    T* rest = rest_[plane - 1][orientation];
    for (int y = 0; y < h_[orientation]; ++y, rest += most_columns_, to += stride) {
      const bool luma_speaks = shares.luma && busy_[0][orientation][y];
      const bool other_speaks = shares.other && busy_[1][orientation][y];
      if (!luma_speaks && !other_speaks) {
        if (busy_[plane][orientation][y]) memcpy(rest, to, size_t(w_[orientation]) * sizeof(T));
        continue;
      }
      T *by_luma = told_[0], *by_other = told_[1];
      const size_t size = size_t(w_[orientation]) * sizeof(T);
      luma_speaks ? foretell(plane == 1 ? kCbLuma : kCrLuma, orientation, y, by_luma) : void(memset(by_luma, 0, size));
      other_speaks ? foretell(kCrCb, orientation, y, by_other) : void(memset(by_other, 0, size));
      for (int x = 0; x < w_[orientation]; ++x) {
        const T luma = share_of(by_luma[x], shares.luma), other = share_of(by_other[x], shares.other);
        rest[x] = limited(wide(other) + to[x]);
        to[x] = limited(wide(limited(wide(luma) + other)) + to[x]);
      }
    }
  }

  // All bands of the present level are known: adds up what the next one will learn from.
  void finish_level() {
    int rows = 0, columns = 0;
    for (int o = 0; o < 3; ++o) {
      rows = h_[o] > rows ? h_[o] : rows;
      columns = w_[o] > columns ? w_[o] : columns;
    }
    if (rows > most_rows_ / 2 + 1 || columns > most_columns_ / 2 + 1) return;  // the finest, nothing comes after it
    const size_t area = size_t(rows) * size_t(columns);
    for (int k = 0; k < kSums; ++k) memset(level_[k], 0, area * sizeof(int64_t));
    for (int o = 0; o < 3; ++o)
      for (int y = 0; y < h_[o]; ++y) {
        const T *luma = decoded_[0][o] + y * stride_[0], *cb = decoded_[1][o] + y * stride_[1];
        const T *cr = decoded_[2][o] + y * stride_[2];
        const T *rest_cb = rest_[0][o] + ptrdiff_t(y) * most_columns_, *rest_cr = rest_[1][o] + ptrdiff_t(y) * most_columns_;
        const ptrdiff_t at = ptrdiff_t(y) * columns;
        add_products(cb, luma, w_[o], level_[kCbLuma] + at, level_[kLumaLuma] + at);
        for (int x = 0; x < w_[o]; ++x) level_[kCrLuma][at + x] += measured_product(luma[x], cr[x]);
        add_products(rest_cr, rest_cb, w_[o], level_[kCrCb] + at, level_[kCbCb] + at);
      }
    for (int k = 0; k < kSums; ++k) {
      int64_t sum = 0;
      for (size_t i = 0; i < area; ++i) sum += level_[k][i];
      total_[k] = total_[k] / 2 + sum;
      sum_3x3(level_[k], above_[k], rows, columns);
    }
    above_rows_ = rows, above_columns_ = columns;
  }

 private:
  enum { kLumaLuma = kPairings, kCbCb, kSums };
  static int square_of(int pairing) { return pairing == kCrCb ? kCbCb : kLumaLuma; }

  void start(uint32_t step) {
    doubt_ = doubt(step, sizeof(T) == 4);
    for (int k = 0; k < kPairings; ++k) prior_[k] = slope(total_[k], total_[square_of(k)] + doubt_);
  }

  template <class F>
  void for_rows(int orientation, F&& f) const {
    for (int y = 0; y < h_[orientation]; ++y) f(y, ptrdiff_t(y) * most_columns_);
  }

  // What luma, or what remained of Cb, foretells of a row.
  void foretell(int pairing, int o, int y, T* to) {
    const bool rests = pairing == kCrCb;
    const T* from = rests ? rest_[0][o] + ptrdiff_t(y) * most_columns_ : decoded_[0][o] + y * stride_[0];
    sum_columns(pairing, o, y);
    const bool below = (y >> 1) < above_rows_;
    const int64_t* above_products = above_[pairing] + ptrdiff_t(y >> 1) * above_columns_;
    const int64_t* above_squares = above_[square_of(pairing)] + ptrdiff_t(y >> 1) * above_columns_;
    const int64_t prior = prior_[pairing] * doubt_;
    for (int x = 0; x < w_[o]; ++x) {
      to[x] = 0;
      if (!from[x]) continue;
      int64_t products = 2 * (products_[x - 1] + products_[x] + products_[x + 1]);
      int64_t squares = 2 * (squares_[x - 1] + squares_[x] + squares_[x + 1]);
      if (below && (x >> 1) < above_columns_) products += above_products[x >> 1], squares += above_squares[x >> 1];
      const int64_t numerator = products * (1 << kSlopeBits) + prior, denominator = squares + doubt_;
      const int64_t slope = numerator >= kSteepest * denominator    ? kSteepest
                            : numerator <= -kSteepest * denominator ? -kSteepest
                                                                    : numerator / denominator;
      to[x] = saturate<T>(scaled_by(slope, from[x]));
    }
  }

  // Products and squares of the bands of this level read before, summed over row y and those above and below it.
  void sum_columns(int pairing, int o, int y) {
    const size_t size = size_t(w_[o] + 2) * sizeof(int64_t);
    memset(products_ - 1, 0, size), memset(squares_ - 1, 0, size);
    const bool rests = pairing == kCrCb;
    const int plane = pairing == kCbLuma ? 1 : 2;
    for (int s = 0; s < o; ++s) {
      const uint8_t* busy = busy_[rests ? 1 : 0][s];
      const int w = w_[s] < w_[o] + 1 ? w_[s] : w_[o] + 1;
      for (int v = y > 0 ? y - 1 : 0; v <= y + 1 && v < h_[s]; ++v) {
        if (!busy[v]) continue;  // the row to learn by is zero
        const T* of = rests ? rest_[1][s] + ptrdiff_t(v) * most_columns_ : decoded_[plane][s] + v * stride_[plane];
        const T* by = rests ? rest_[0][s] + ptrdiff_t(v) * most_columns_ : decoded_[0][s] + v * stride_[0];
        add_products(of, by, w, products_, squares_);
      }
    }
  }
  static void add_products(const T* of, const T* by, int n, int64_t* __restrict products, int64_t* __restrict squares) {
    for (int x = 0; x < n; ++x) {
      products[x] += measured_product(by[x], of[x]);
      squares[x] += measured_product(by[x], by[x]);
    }
  }

  // Sums over the 3 x 3 around each place, those outside counting as 0.
  void sum_3x3(const int64_t* in, int64_t* out, int rows, int columns) {
    for (int y = 0; y < rows; ++y) {
      int64_t* column = columns_sum_;
      const int64_t* at = in + ptrdiff_t(y) * columns;
      for (int x = 0; x < columns; ++x)
        column[x] = at[x] + (y > 0 ? at[x - columns] : 0) + (y + 1 < rows ? at[x + columns] : 0);
      int64_t* to = out + ptrdiff_t(y) * columns;
      for (int x = 0; x < columns; ++x)
        to[x] = column[x] + (x > 0 ? column[x - 1] : 0) + (x + 1 < columns ? column[x + 1] : 0);
    }
  }

  const bool idle_;
  uint8_t* block_ = nullptr;
  int most_rows_ = 0, most_columns_ = 0;
  size_t area_ = 0;
  const T* decoded_[3][3] = {};
  const uint8_t* busy_[3][3] = {};
  ptrdiff_t stride_[3] = {};
  int h_[3] = {}, w_[3] = {};
  T *rest_[2][3] = {}, *kept_[3][3] = {}, *target_ = nullptr;
  int64_t *above_[kSums] = {}, *level_[kSums] = {}, *columns_sum_ = nullptr;
  int64_t *products_ = nullptr, *squares_ = nullptr;  // of a row, with a place before its first and after its last
  T* told_[2] = {};
  int above_rows_ = 0, above_columns_ = 0;
  int64_t total_[kSums] = {}, prior_[kPairings] = {}, doubt_ = 1;
};

}  // namespace LACONIC_ISA
}  // namespace laconic
