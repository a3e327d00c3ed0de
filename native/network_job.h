// network_job.h - the decoder-side network and one tile's work for it, as they cross into the kernels.
#pragma once
#include <cstddef>
#include <cstdint>

#include "tile.h"

namespace laconic {

// Weights of a 1x1 layer lie as [in / 2][out][2], so that one multiply-add takes two input channels at once. `bias`
// holds the rounding half.
struct Dense {
  const int16_t* weight;
  const int32_t* bias;
  int in, out, shift;
  // A narrow layer has weights of 8 bits, as [in / 4][out][4], and a shift for each output; `shift` is what sums are raised
  // by before the bias is added, 4 or 0; the bias has made up for `zero`.
  const int8_t* narrow;
  const int32_t* shifts;
  const int16_t* fineness;  // of each input
  int zero;
};

struct NetworkBlock {
  Dense mix, merge, expand, contract;
  const int16_t* spread;  // depthwise 3x3, [9][channels]
  const int32_t* spread_bias;
  int spread_shift;
};

struct NetworkWeights {
  int channels, expanded, blocks;  // channels and expanded: multiples of 16
  Dense input, output;
  const NetworkBlock* block;
};

// A filter of the picture's own (spec/network.md, section 4): shift 0 is none. Taps of a plane: of its corrections, of its
// decoded samples, and of luma's.
constexpr int kFilterTaps = 26;
constexpr int kMaxTapSum = 1 << 13;  // of the magnitudes of a plane's taps
struct PictureFilter {
  int shift;
  int16_t taps[3][kFilterTaps];
};

// Samples, corrections and what is missing after both, (3, planes, height, width), of which an encoder sums rows `from` to
// `to`; what lies around them is looked at.
constexpr int kFilterSums = kFilterTaps + 1;
struct FilterSumsJob {
  int planes, height, width, from, to;
};

struct NetworkJob {
  int height, width;          // of the picture
  Rect tile;                  // in pixels; its corner is a multiple of 4
  int channels;               // of the pixels
  int color_planes;           // 3 or, for gray, 1
  uint32_t step;              // the base step, 1/4096 pixel level (of 16 bits for wide samples)
  ptrdiff_t plane_stride, row_stride, pixel_row;  // in samples
};

}  // namespace laconic
