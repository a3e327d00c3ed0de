// details.h - what the coarser levels foretell of luma's details: before the three bands of a level are quantized, what
// a small network makes of the low band beside them, as decoded, is taken away (spec/details.md).
//
// It is one more lifting step after the 9/7, from low to high, with a network for the filter (Claypoole, Davis, Sweldens
// and Baraniuk, "Nonlinear wavelet transforms for image coding via lifting", 2003): edges go on where they point, which
// no linear filter knows. Being closed around the quantizer it passes no error on. All of it happens inside a tile.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include <cstdlib>
#include <cstring>

#include "causal.h"
#include "lifting.h"
#include "network_run.h"

namespace laconic {
namespace LACONIC_ISA {

template <class T>
struct LumaBand {
  T* at;
  ptrdiff_t stride;
  int h, w;
};

// The places of a level in a tile: those of its low band.
inline Rect low_rect(const TileJob& job, int level) {
  Rect r;
  band_span(job.height, job.tile.y, job.tile.y + job.tile.h, level, false, r.y, r.h);
  band_span(job.width, job.tile.x, job.tile.x + job.tile.w, level, false, r.x, r.w);
  return r;
}

template <class T>
class DetailPrediction {
 public:
  // `keeps`: decoded coefficients are kept here (an encoder that does not predict chroma has no other place for them).
  DetailPrediction(const TileJob& job, bool encodes, bool keeps) : job_(job) {
    for (int level = kLevels; level >= 1; --level)
      if (speaks(level)) finest_ = level;
    if (!finest_) return;
    const Rect low = low_rect(job, finest_);
    rows_ = low.h, columns_ = low.w;
    const size_t area = size_t(rows_) * size_t(columns_);
    const size_t lines = size_t(rows_) * kStrip > size_t(columns_) + 4 ? size_t(rows_) * kStrip : size_t(columns_) + 4;
    const size_t bands = 1 + 3 + (encodes ? 1 : 0) + (keeps ? 3 : 0);
    block_ = static_cast<T*>(std::malloc((bands * area + lines + 64) * sizeof(T)));
    if (!block_) return;
    T* place = block_;
    low_ = place, place += area;
    for (T*& band : foretold_) band = place, place += area;
    if (encodes) target_ = place, place += area;
    for (int o = 0; keeps && o < 3; ++o) kept_[o] = place, place += area;
    scratch_ = place;
  }
  ~DetailPrediction() { std::free(block_); }
  DetailPrediction(const DetailPrediction&) = delete;
  DetailPrediction& operator=(const DetailPrediction&) = delete;
  explicit operator bool() const { return !finest_ || block_; }

  bool active() const { return finest_ != 0; }
  bool speaks(int level) const { return job_.details && job_.details[level - 1]; }
  // An encoder's place for the decoded coefficients of a band; null where nobody asks.
  T* kept(int orientation) { return kept_[orientation]; }
  T* target() { return target_; }
  ptrdiff_t stride() const { return columns_; }

  // The lowest band of luma is known.
  void start(const int32_t* lowest, uint32_t step) {
    if (!finest_) return;
    const Rect r = low_rect(job_, kLevels);
    for (int y = 0; y < r.h; ++y)
      for (int x = 0; x < r.w; ++x) {
        const int64_t q = lowest[ptrdiff_t(y) * r.w + x];
        low_[ptrdiff_t(y) * columns_ + x] = saturate<T>(q < 0 ? -dequantize(-q, 0, step) : dequantize(q, 0, step));
      }
  }

  // Foretells the bands of a level; false: out of memory.
  bool foretell(int level) {
    if (!speaks(level)) return true;
    const Rect r = low_rect(job_, level);
    const NetworkJob job{r.h, r.w, {0, 0, r.h, r.w}, 1, 1, job_.detail_step, 0, columns_, 0};
    return run_network(low_, job, *job_.details[level - 1], [&](int by, const int16_t* found) {
      for (int y = by * 4; y < by * 4 + 4 && y < r.h; ++y)
        for (int o = 0; o < 3; ++o) {
          T* to = foretold_[o] + ptrdiff_t(y) * columns_;
          const int16_t* from = found + 16 * o + 4 * (y & 3);
          for (int x = 0; x < r.w; ++x)
            to[x] = saturate<T>(network_correction(from[(x >> 2) * kBlockSamples + (x & 3)], job_.detail_step));
        }
    });
  }

  // Encoder: leaves in target() what remains of a band.
  void take_away(int orientation, const T* in, ptrdiff_t in_stride, int h, int w) {
    for (int y = 0; y < h; ++y) {
      const T *from = in + y * in_stride, *foretold = foretold_[orientation] + ptrdiff_t(y) * columns_;
      T* to = target_ + ptrdiff_t(y) * columns_;
      for (int x = 0; x < w; ++x) to[x] = saturate<T>(int64_t(from[x]) - foretold[x]);
    }
  }

  // All bands of a level are known, those of luma without what was foretold: gives it back, and makes the next low band.
  // `band_of` gives the LumaBand of an orientation.
  template <class F>
  void finish_level(int level, F&& band_of) {
    if (!finest_) return;
    for (int o = 0; o < 3; ++o) {
      const LumaBand<T> band = band_of(o);
      for (int y = 0; speaks(level) && y < band.h; ++y) {
        const T* foretold = foretold_[o] + ptrdiff_t(y) * columns_;
        T* to = band.at + y * band.stride;
        for (int x = 0; x < band.w; ++x) to[x] = saturate<T>(int64_t(to[x]) + foretold[x]);
      }
    }
    if (level <= finest_) return;
    const Rect half = low_rect(job_, level), full = low_rect(job_, level - 1);
    for (int o = 0; o < 3; ++o) {
      const LumaBand<T> band = band_of(o);
      T* to = low_ + ptrdiff_t(o > 0 ? half.h : 0) * columns_ + (o != 1 ? half.w : 0);
      for (int y = 0; y < band.h; ++y)
        memcpy(to + ptrdiff_t(y) * columns_, band.at + y * band.stride, size_t(band.w) * sizeof(T));
    }
    lift_columns<T, true>(low_, columns_, full.h, 0, full.w, kCdf97, scratch_);
    lift_rows<T, true>(low_, columns_, full.w, 0, full.h, kCdf97, scratch_);
  }

 private:
  const TileJob& job_;
  int finest_ = 0, rows_ = 0, columns_ = 0;  // the finest level that is foretold, 0 for none
  T *block_ = nullptr, *low_ = nullptr, *foretold_[3] = {}, *target_ = nullptr, *kept_[3] = {}, *scratch_ = nullptr;
};

}  // namespace LACONIC_ISA
}  // namespace laconic
