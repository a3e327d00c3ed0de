// network.h - the decoder-side network: what it adds to the decoded planes, and the pixels that come of them.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include <cstdlib>
#include <cstring>

#include "picture_filter.h"

namespace laconic {
namespace LACONIC_ISA {

// Takes `share` sixteenths of the correction away from the targets of an encoder, in the network's tile of the color
// planes: what it codes then need not hold what the decoder adds. `growth` gets by how much the squared error of the planes
// would grow if they were moved by that share.
template <class T>
inline bool precompensate_tile(const T* planes, T* targets, const NetworkJob& job, const NetworkWeights& net, int share,
                               int64_t* growth) {
  *growth = 0;
  return run_network(planes, job, net, [&](int by, const int16_t* found) {
    for (int y = 0; y < 4 && by * 4 + y < job.tile.y + job.tile.h; ++y)
      for (int p = 0; p < job.color_planes; ++p) {
        const ptrdiff_t at = p * job.plane_stride + (by * 4 + y) * job.row_stride + job.tile.x;
        const T* from = planes + at;
        T* to = targets + at;
        int64_t grown = 0;
        const int16_t* r = found + 16 * p + 4 * y;
        for (int x = 0; x < job.tile.w; ++x) {
          const int64_t correction = network_correction(r[(x >> 2) * kBlockSamples + (x & 3)], job.step);
          const int64_t target = to[x];
          to[x] = saturate<T>(target - ((share * correction + 8) >> 4));
          const int64_t moved = target - to[x];
          grown += moved * (moved - 2 * (target - from[x]));
        }
        *growth += grown;
      }
  });
}

// Decodes the network's tile, adds the correction to the planes, filters them and turns them into pixels.
template <class S, class T>
inline bool enhance_tile(const T* planes, S* pixels, const NetworkJob& job, const NetworkWeights& net,
                         const PictureFilter& filter) {
  if (filter.shift) return filter_tile(planes, pixels, job, net, filter);
  const int tile_w = job.tile.w;
  const ptrdiff_t row_size = tile_w + 4;
  T* fixed = static_cast<T*>(std::malloc(size_t(kMaxPlanes) * 4 * size_t(row_size) * sizeof(T)));  // corrected samples
  if (!fixed) return false;
  const bool ok = run_network(planes, job, net, [&](int by, const int16_t* found) {
    for (int y = 0; y < 4 && by * 4 + y < job.tile.y + job.tile.h; ++y) {
      const int row = by * 4 + y;
      for (int p = 0; p < job.channels; ++p) {
        const T* from = planes + p * job.plane_stride + row * job.row_stride + job.tile.x;
        T* to = fixed + (p * 4 + y) * row_size;
        if (p >= job.color_planes) {
          memcpy(to, from, size_t(tile_w) * sizeof(T));  // alpha is exact
          continue;
        }
        const int16_t* r = found + 16 * p + 4 * y;
        for (int x = 0; x < tile_w; ++x)
          to[x] = saturate<T>(int64_t(from[x]) + network_correction(r[(x >> 2) * kBlockSamples + (x & 3)], job.step));
      }
      synthesize_color<S, T>(fixed + y * row_size, pixels + row * job.pixel_row + ptrdiff_t(job.tile.x) * job.channels,
                             tile_w, {job.channels, false, 4 * row_size});
    }
  });
  std::free(fixed);
  return ok;
}

}  // namespace LACONIC_ISA
}  // namespace laconic
