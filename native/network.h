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
  return run_corrections(planes, job, net, job.color_planes, [&](int p, int y, const int32_t* correction) {
    const ptrdiff_t at = p * job.plane_stride + y * job.row_stride + job.tile.x;
    const T* from = planes + at;
    T* to = targets + at;
    int64_t grown = 0;
    for (int x = 0; x < job.tile.w; ++x) {
      const int64_t target = to[x];
      to[x] = saturate<T>(target - ((share * int64_t(correction[x]) + 8) >> 4));
      const int64_t moved = target - to[x];
      grown += moved * (moved - 2 * (target - from[x]));
    }
    *growth += grown;
  });
}

// Decodes the network's tile, adds the correction to the planes, filters them and turns them into pixels.
template <class S, class T>
inline bool enhance_tile(const T* planes, S* pixels, const NetworkJob& job, const NetworkWeights& net,
                         const PictureFilter& filter) {
  if (filter.shift) return filter_tile(planes, pixels, job, net, filter);
  const int tile_w = job.tile.w;
  T* fixed = static_cast<T*>(std::malloc(size_t(kMaxPlanes) * size_t(tile_w) * sizeof(T)));  // a row of corrected samples
  if (!fixed) return false;
  const bool ok = run_corrections(planes, job, net, job.color_planes, [&](int p, int y, const int32_t* correction) {
    const auto row = [&](int plane) { return planes + plane * job.plane_stride + y * job.row_stride + job.tile.x; };
    T* to = fixed + p * tile_w;
    for (int x = 0; x < tile_w; ++x) to[x] = saturate<T>(int64_t(row(p)[x]) + correction[x]);
    if (p + 1 < job.color_planes) return;
    for (int k = job.color_planes; k < job.channels; ++k)
      memcpy(fixed + k * tile_w, row(k), size_t(tile_w) * sizeof(T));  // alpha is exact
    synthesize_color<S, T>(fixed, pixels + y * job.pixel_row + ptrdiff_t(job.tile.x) * job.channels, tile_w,
                           {job.channels, false, tile_w});
  });
  std::free(fixed);
  return ok;
}

}  // namespace LACONIC_ISA
}  // namespace laconic
