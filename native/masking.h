// masking.h - steps that grow where a picture is busy: an error is seen less, and counts less in MS-SSIM, where there is
// contrast for it to hide in (spec/masking.md).
//
// Nothing is sent. Both sides measure the contrast from luma of the coarser levels as decoded, and a table of the
// parameter set turns it into a factor for the steps of the next finer level, of every plane. That contrast masks is the
// idea of JPEG 2000's "neighborhood masking" (ISO/IEC 15444-2); there it takes the neighbors in the same band.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include <cstdlib>
#include <cstring>

#include "causal.h"

namespace laconic {
namespace LACONIC_ISA {

// Coefficients of luma as they enter the energy, in 1/16 of a level of 8 bits: their squares fit 30 bits.
inline uint32_t amplitude(int16_t v) { return uint32_t(v < -32767 ? 32767 : v < 0 ? -v : v); }
inline uint32_t amplitude(int32_t v) {
  const int32_t narrow = v >> 8;
  return amplitude(int16_t(narrow > 32767 ? 32767 : narrow < -32767 ? -32767 : narrow));
}

// Energy -> 0 .. kContrasts - 1, four an octave.
inline unsigned contrast_of(uint32_t energy) {
  if (energy == 0) return 0;
  const uint64_t e = uint64_t(energy) << 2;
  const unsigned log = 63u - unsigned(__builtin_clzll(e));
  const unsigned c = 4 * (log - 2) + (unsigned(e >> (log - 2)) & 3);
  return c < kContrasts ? c : kContrasts - 1;
}

// The factors of one band: of the coefficient at (y, x) that of the contrast at (y / 2, x / 2). Without a table all are 1.
struct Mask {
  const uint8_t* contrast;
  ptrdiff_t stride;
  const uint16_t* factor;    // 1/256
  const uint32_t* inverse;   // 2^16 / factor in 1/256
  LACONIC_INLINE const uint8_t* row(int y) const { return contrast ? contrast + (y >> 1) * stride : nullptr; }
  LACONIC_INLINE uint32_t at(const uint8_t* row, int x) const { return row ? factor[row[x >> 1]] : kNoMask; }
};

// Magnitudes in 1/64 step -> in 1/64 of the masked step.
inline void mask_row(uint32_t* v, const Mask& mask, int y, int n) {
  const uint8_t* contrast = mask.row(y);
  if (!contrast) return;
  for (int x = 0; x < n; ++x) v[x] = uint32_t(uint64_t(v[x]) * mask.inverse[contrast[x >> 1]] >> 16);
}

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
class Masking {
 public:
  // `keeps`: luma as decoded is kept here (an encoder that does not predict chroma has no other place for it).
  Masking(const TileJob& job, bool keeps) : idle_(!job.coding[0].set->masks) {
    if (idle_) return;
    const Rect low = low_rect(job, 2);
    area_ = size_t(low.h) * size_t(low.w);
    const size_t bytes = area_ * (4 * sizeof(uint32_t) + 1 + (keeps ? 3 * sizeof(T) : 0)) + 64;
    block_ = static_cast<uint8_t*>(std::calloc(1, bytes));
    if (!block_) return;
    auto* at = reinterpret_cast<uint32_t*>(block_);
    for (uint32_t** p : {&energy_, &above_, &rows_, &smooth_}) *p = at, at += area_;
    T* place = reinterpret_cast<T*>(at);
    for (int o = 0; keeps && o < 3; ++o) kept_[o] = place, place += area_;
    contrast_ = reinterpret_cast<uint8_t*>(place);
    width_ = low.w;
  }
  ~Masking() { std::free(block_); }
  Masking(const Masking&) = delete;
  Masking& operator=(const Masking&) = delete;
  explicit operator bool() const { return idle_ || block_; }

  // An encoder's place for the decoded coefficients of a band of luma; rows lie `stride()` apart. Null where nobody asks.
  T* kept(int level, int orientation) { return level > 1 ? kept_[orientation] : nullptr; }
  ptrdiff_t stride() const { return width_; }

  // Of level 6 there is nothing above to measure.
  Mask of(const PlaneCoding& coding, int level) const {
    if (idle_ || level == kLevels || !coding.set->masks) return {nullptr, 0, nullptr, nullptr};
    const MaskTable& table = coding.set->mask[coding.index][level - 1];
    return {contrast_, columns_, table.factor, table.inverse};
  }

  // All bands of luma of a level are known: finds the contrasts for the next one.
  // `band_of` gives the LumaBand of an orientation.
  template <class F>
  void finish_level(const TileJob& job, int level, F&& band_of) {
    if (idle_ || level == 1) return;
    const LumaBand<T> bands[3] = {band_of(0), band_of(1), band_of(2)};
    const Rect r = low_rect(job, level);
    for (int y = 0; y < r.h; ++y) {
      uint32_t* to = energy_ + ptrdiff_t(y) * r.w;
      memset(to, 0, size_t(r.w) * sizeof(uint32_t));
      for (int o = 0; o < 3; ++o) {
        if (y >= bands[o].h) continue;
        const T* c = bands[o].at + y * bands[o].stride;
        const int n = bands[o].w < r.w ? bands[o].w : r.w;
        for (int x = 0; x < n; ++x) {
          const uint32_t a = amplitude(c[x]), square = a * a;
          to[x] += o == 2 ? uint32_t(uint64_t{3} * square >> 3) : square;
        }
      }
    }
    for (int y = 0; y < r.h; ++y) {
      const uint32_t *at = energy_ + ptrdiff_t(y) * r.w, *north = y > 0 ? at - r.w : at, *south = y + 1 < r.h ? at + r.w : at;
      for (int x = 0; x < r.w; ++x) rows_[x] = uint32_t((uint64_t{6} * at[x] + north[x] + south[x]) >> 3);
      uint32_t* to = smooth_ + ptrdiff_t(y) * r.w;
      for (int x = 0; x < r.w; ++x) {
        const uint32_t west = rows_[x > 0 ? x - 1 : x], east = rows_[x + 1 < r.w ? x + 1 : x];
        to[x] = uint32_t((uint64_t{6} * rows_[x] + west + east) >> 3);
      }
      if (level < kLevels) {
        const uint32_t* coarse = above_ + ptrdiff_t(y >> 1) * columns_;
        for (int x = 0; x < r.w; ++x) to[x] += coarse[x >> 1] >> 2;
      }
    }
    columns_ = r.w;
    memcpy(above_, smooth_, size_t(r.h) * size_t(r.w) * sizeof(uint32_t));
    for (size_t i = 0; i < size_t(r.h) * size_t(r.w); ++i) contrast_[i] = uint8_t(contrast_of(above_[i]));
  }

 private:
  const bool idle_;
  uint8_t *block_ = nullptr, *contrast_ = nullptr;
  size_t area_ = 0;
  int columns_ = 0, width_ = 0;
  T* kept_[3] = {};
  uint32_t *energy_ = nullptr, *above_ = nullptr, *rows_ = nullptr, *smooth_ = nullptr;
};

}  // namespace LACONIC_ISA
}  // namespace laconic
