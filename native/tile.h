// tile.h - where a tile's share of every band lies, and the description of one tile's work that crosses from the
// portable part into the kernels.
//
// Coefficients of a plane lie in one H x W array in the order the lifting leaves them (Mallat): after level l the low
// band fills the top left ceil(H / 2^l) x ceil(W / 2^l), HL lies right of it, LH below it, HH diagonally.
#pragma once
#include <cstddef>
#include <cstdint>

#include "model.h"

namespace laconic {

struct Rect {
  int y, x, h, w;  // in coefficients of the plane's array
};

LACONIC_INLINE int ceil_shift(int n, int shift) { return (n + (1 << shift) - 1) >> shift; }

// One dimension of a tile's share of a band: pixels t0 .. t1 of n, t0 a multiple of 64.
LACONIC_INLINE void band_span(int n, int t0, int t1, int level, bool high, int& from, int& count) {
  const int low = ceil_shift(n, level);
  const int total = high ? ceil_shift(n, level - 1) - low : low;
  const int end = ceil_shift(t1, level);
  const int first = t0 >> level, last = end < total ? end : total;
  from = (high ? low : 0) + first;
  count = last > first ? last - first : 0;
}

// orientation: 0 HL, 1 LH, 2 HH, -1 LL (level 6 only).
LACONIC_INLINE Rect band_rect(int height, int width, const Rect& tile, int level, int orientation) {
  Rect r;
  band_span(height, tile.y, tile.y + tile.h, level, orientation == 1 || orientation == 2, r.y, r.h);
  band_span(width, tile.x, tile.x + tile.w, level, orientation == 0 || orientation == 2, r.x, r.w);
  return r;
}

LACONIC_INLINE int band_index(int level, int orientation) { return 1 + 3 * (kLevels - level) + orientation; }

struct PlaneCoding {
  const ParameterSet* set;
  int index;             // of the plane within its set
  int color_sources;     // how many earlier planes it may look at (0, 1, 2)
  const uint32_t* step;  // per band, 1/256 of a transform unit; 0: integers are coded as they are
  const uint32_t* lambda;  // per band, encoder only: rate-distortion weight, see quantize/rdo.py; 0: plain dead zone
};

struct NetworkWeights;
struct ContextWeights;

struct TileJob {
  int height, width;  // of the picture
  Rect tile;          // in pixels
  int planes;
  const PlaneCoding* coding;
  unsigned cuts;  // bit l - 1: a new resolution group starts at level l
  ptrdiff_t plane_stride;  // of the coefficient array, in samples
  ptrdiff_t row_stride;
  bool predicts_chroma;  // planes 0 .. 2 are luma and chroma, see chroma.h
  // Encoder only
  uint32_t rounding;   // of the plain quantizer, 1/64 step: 32 rounds to nearest
  // The networks that foretell details of luma, one for each level or null (details.h), and the unit of their results.
  const NetworkWeights* const* details = nullptr;
  uint32_t detail_step = 0;
  // The networks that see the context of a coefficient of the color planes, by kBands * plane + band, or null
  // (context_network.h). Those of chroma tell no signs.
  const ContextWeights* const* contexts = nullptr;
};

// A list of operations that grows; plain C so that kernels built for different processors share no inline code.
struct OpList {
  uint32_t* data;
  size_t size, capacity;
};

// What training wants to know of an encoder; null for what nobody asks.
template <class T>
struct EncoderNotes {
  int32_t* symbols = nullptr;
  T* targets = nullptr;  // what was quantized
  int8_t* told = nullptr;  // luma: magnitudes that were foretold, and a plane further their sides
  T* decoded = nullptr;  // what a decoder makes of the operations; may be the coefficients
  bool drafts = false;   // the operations are thrown away
};

constexpr int kMaxGroups = kLevels + 1;

enum DecodeStatus : int { kDecoded = 0, kOutOfMemory = 1, kBadStart = 2, kOverran = 3, kNotFinished = 4, kBadEscape = 5 };

// One tile that is coded sample by sample (predicted_tile.h).
constexpr int kMaxPredictedSide = 1 << 14;
struct PredictedJob {
  Rect tile;            // in pixels
  int channels, depth;  // 1 .. 4, 8 or 16
  ptrdiff_t pixel_row;  // in samples
};

struct StreamView {
  const uint8_t* data;
  size_t size;
  bool present;  // false: lost; this group and the finer ones stay zero
};

}  // namespace laconic
