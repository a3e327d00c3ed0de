// details.h - what the coarser levels foretell of luma's details: before the three bands of a level are coded, a small
// network looks at the low band beside them, as decoded (spec/details.md). What it foretells is not taken away but tells
// contexts how large a coefficient may be and of which sign.
//
// An edge goes on where it points, which neighbors and parents do not know. Taking the prediction away, as lifting with
// a network does (Claypoole, Davis, Sweldens and Baraniuk, "Nonlinear wavelet transforms for image coding via lifting",
// 2003), saves as many bytes, but what it adds where coefficients are zero is what the decoder-side network adds as
// well, and better: it sees more.
//
// All of it happens inside a tile. This header is compiled once per instruction set inside its own namespace; it must not
// use std:: templates.
#pragma once
#include <cstdlib>
#include <cstring>

#include "lifting.h"
#include "masking.h"
#include "network_run.h"

namespace laconic {
namespace LACONIC_ISA {

// Sixteenths of a step -> how far from zero, 0 .. kSides.
inline int side_class(uint32_t sixteenths) {
  if (!sixteenths) return 0;
  const int bits = 32 - __builtin_clz(sixteenths);
  return bits < kSides ? bits : kSides;
}

// 16-bit pictures are measured without their low bits.
inline uint32_t without_depth(int16_t v) { return uint32_t(v < 0 ? -int32_t(v) : int32_t(v)); }
inline uint32_t without_depth(int32_t v) { return uint32_t(v < 0 ? -v : v) >> 8; }
template <class T>
inline uint32_t sixteenths_in(uint32_t step) {  // times 2^16, of a unit of without_depth()
  const uint32_t narrow = sizeof(T) == 2 ? step : step >> 8;
  return (1u << 28) / (narrow ? narrow : 1);
}

template <class T>
class DetailPrediction {
 public:
  // `keeps`: decoded coefficients are kept here (an encoder that does not predict chroma has no other place for them).
  DetailPrediction(const TileJob& job, bool keeps) : job_(job) {
    for (int level = kLevels; level >= 1; --level)
      if (speaks(level)) finest_ = level;
    if (!finest_) return;
    const Rect low = low_rect(job, finest_);
    rows_ = low.h, columns_ = low.w;
    const size_t area = size_t(rows_) * size_t(columns_);
    const size_t lines = size_t(rows_) * kStrip > size_t(columns_) + 4 ? size_t(rows_) * kStrip : size_t(columns_) + 4;
    told_stride_ = columns_ + 2 * kPad;
    const size_t told = (size_t(rows_) + 2) * size_t(told_stride_);
    block_ = static_cast<T*>(std::malloc((area * (keeps ? 7 : 4) + lines + 64) * sizeof(T) + 6 * told));
    if (!block_) return;
    T* place = block_;
    low_ = place, place += area;
    for (T*& band : found_) band = place, place += area;
    for (int o = 0; keeps && o < 3; ++o) kept_[o] = place, place += area;
    scratch_ = place, place += lines + 64;
    auto* bytes = reinterpret_cast<uint8_t*>(place);
    memset(bytes, 0, 6 * told);
    const ptrdiff_t first = told_stride_ + kPad;  // zeros all around
    for (int o = 0; o < 3; ++o, bytes += 2 * told)
      mag_[o] = bytes + first, side_[o] = reinterpret_cast<int8_t*>(bytes + told + first);
  }
  ~DetailPrediction() { std::free(block_); }
  DetailPrediction(const DetailPrediction&) = delete;
  DetailPrediction& operator=(const DetailPrediction&) = delete;
  explicit operator bool() const { return !finest_ || block_; }

  bool active() const { return finest_ != 0; }
  bool speaks(int level) const { return job_.details && job_.details[level - 1] && job_.coding[0].set->foretells; }
  // An encoder's place for the decoded coefficients of a band, if it asked for one.
  T* kept(int orientation) { return kept_[orientation]; }
  ptrdiff_t stride() const { return columns_; }

  // The lowest band of luma is known.
  void start(const int32_t* lowest) {
    if (!finest_) return;
    const Rect r = low_rect(job_, kLevels);
    const uint32_t step = job_.coding[0].step[0];
    for (int y = 0; y < r.h; ++y)
      for (int x = 0; x < r.w; ++x)
        low_[ptrdiff_t(y) * columns_ + x] = restored_lowest<T>(lowest[ptrdiff_t(y) * r.w + x], step);
  }

  // Runs the network of a level; false: out of memory.
  bool run(int level) {
    if (!speaks(level)) return true;
    const Rect r = low_rect(job_, level);
    const NetworkJob job{r.h, r.w, {0, 0, r.h, r.w}, 1, 1, job_.detail_step, 0, columns_, 0};
    return run_corrections(low_, job, *job_.details[level - 1], 3, [&](int o, int y, const int32_t* correction) {
      T* to = found_[o] + ptrdiff_t(y) * columns_;
      for (int x = 0; x < r.w; ++x) to[x] = saturate<T>(correction[x]);
    });
  }

  // Measures what is foretold of the bands of a level in their steps.
  void measure(int level, const Mask& mask) {
    if (!speaks(level)) return;
    for (int o = 0; o < 3; ++o) {
      const Rect r = band_rect(job_.height, job_.width, job_.tile, level, o);
      const uint64_t unit = sixteenths_in<T>(job_.coding[0].step[band_index(level, o)]);
      for (int y = 0; y < r.h; ++y) {
        const T* from = found_[o] + ptrdiff_t(y) * columns_;
        const uint8_t* contrast = mask.row(y);
        uint8_t* mag = mag_[o] + ptrdiff_t(y) * told_stride_;
        int8_t* side = side_[o] + ptrdiff_t(y) * told_stride_;
        for (int x = 0; x < r.w; ++x) {
          uint64_t a = without_depth(from[x]) * unit >> 16;
          if (contrast) a = a * mask.inverse[contrast[x >> 1]] >> 16;
          const uint32_t sixteenths = uint32_t(a < 255 ? a : 255);
          mag[x] = uint8_t(sixteenths >> 1 < kMaxForetold ? sixteenths >> 1 : kMaxForetold);
          const int far = side_class(sixteenths);
          side[x] = int8_t(from[x] < 0 ? -far : far);
        }
      }
    }
  }

  // What was measured of a band.
  Foretold foretold(int orientation) const { return {mag_[orientation], side_[orientation], told_stride_}; }

  // All bands of luma of a level are known: makes the next low band. `band_of` gives the LumaBand of an orientation.
  template <class F>
  void finish_level(int level, F&& band_of) {
    if (!finest_ || level <= finest_) return;
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
  int finest_ = 0, rows_ = 0, columns_ = 0, told_stride_ = 0;  // the finest level that is foretold, 0 for none
  T *block_ = nullptr, *low_ = nullptr, *found_[3] = {}, *kept_[3] = {}, *scratch_ = nullptr;
  uint8_t* mag_[3] = {};
  int8_t* side_[3] = {};
};

}  // namespace LACONIC_ISA
}  // namespace laconic
