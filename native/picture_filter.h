// picture_filter.h - the filter that a picture may bring along: what the encoder found that its decoded samples, and the
// network's corrections of them, still tell of the picture (a Wiener filter, as in loop filters of video codecs).
//
//   sample = decoded + correction + ((sum of tap * feature, and a half) >> shift)
//
// Features are the correction of a place, and how corrections and decoded samples around it differ from those there, the
// two opposite places together (spec/network.md, section 4). Outside the picture the nearest sample is repeated. The sum
// of the magnitudes of a plane's taps is at most kMaxTapSum, so no sum leaves 32 bits.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include <cstdlib>
#include <cstring>

#include "causal.h"
#include "color.h"
#include "network_run.h"

namespace laconic {
namespace LACONIC_ISA {

constexpr int kFilterReach = 3;    // rows and columns, of decoded samples
constexpr int kFilterNear = 2;     // of corrections
constexpr int kFilterPlaces = 12;  // of pairs; the first kNearPlaces reach no farther than kFilterNear
constexpr int kNearPlaces = 6;
constexpr int kFilterPlace[kFilterPlaces][2] = {{0, 1}, {1, 0}, {1, 1}, {1, -1}, {0, 2}, {2, 0},
                                                {0, 3}, {3, 0}, {1, 2}, {2, 1},  {1, -2}, {2, -1}};

// The last rows of the color planes of a tile, each with a few columns around it: row y of the picture at y % kRows.
template <class V, int kRows, int kAround>
struct FilterRows {
  V* data;
  ptrdiff_t width;  // of a row, with what is around it
  int height;       // of the picture

  static size_t size(int w) { return size_t(3 * kRows) * size_t(w + 2 * kAround) * sizeof(V); }
  V* row(int plane, int y) const {  // of the tile's first column
    const int inside = y < 0 ? 0 : y < height ? y : height - 1;
    return data + (plane * kRows + inside % kRows) * width + kAround;
  }
};

// acc[x] += tap * (two opposite places of `rows`, each less the place itself)
template <class V, int kRows, int kAround>
inline void add_pair(const FilterRows<V, kRows, kAround>& rows, int plane, int y, const int* place, int tap, int w,
                     int32_t* acc) {
  const int16_t *here = rows.row(plane, y), *after = rows.row(plane, y + place[0]) + place[1];
  const int16_t* before = rows.row(plane, y - place[0]) - place[1];
  for (int x = 0; x < w; ++x) acc[x] += tap * (after[x] + before[x] - 2 * here[x]);
}

inline int32_t filtered(int16_t, int32_t sum, int shift) { return (sum + (1 << (shift - 1))) >> shift; }
inline int64_t filtered(int32_t, int32_t sum, int shift) { return (int64_t(sum) * 256 + (1 << (shift - 1))) >> shift; }

// Decodes the network's tile, adds the corrections, filters and turns the planes into pixels. The network runs over a
// block more on every side, whose corrections the filter sees.
template <class S, class T>
inline bool filter_tile(const T* planes, S* pixels, const NetworkJob& job, const NetworkWeights& net,
                        const PictureFilter& filter) {
  const Rect tile = job.tile;
  NetworkJob wide = job;
  wide.tile.y = tile.y ? tile.y - 4 : 0, wide.tile.x = tile.x ? tile.x - 4 : 0;
  const int bottom = tile.y + tile.h + 4 < job.height ? tile.y + tile.h + 4 : job.height;
  const int right = tile.x + tile.w + 4 < job.width ? tile.x + tile.w + 4 : job.width;
  wide.tile.h = bottom - wide.tile.y, wide.tile.w = right - wide.tile.x;

  constexpr int kDecodedRows = 8, kFoundRows = 8;
  using Decoded = FilterRows<int16_t, kDecodedRows, kFilterReach>;
  using Found = FilterRows<int16_t, kFoundRows, kFilterReach>;
  using Exact = FilterRows<int32_t, kFoundRows, 0>;
  const size_t sums = size_t(tile.w) * sizeof(int32_t), fixed = size_t(kMaxPlanes) * size_t(tile.w) * sizeof(T);
  char* memory = static_cast<char*>(
      std::malloc(Decoded::size(tile.w) + Found::size(tile.w) + Exact::size(tile.w) + sums + fixed + 64));
  if (!memory) return false;
  // The widest first, for alignment.
  auto* acc = reinterpret_cast<int32_t*>(memory);
  const Exact exact = {reinterpret_cast<int32_t*>(memory + sums), tile.w, job.height};
  auto* restored = reinterpret_cast<T*>(memory + sums + Exact::size(tile.w));
  char* narrow = memory + sums + Exact::size(tile.w) + (fixed + 7) / 8 * 8;
  const Decoded decoded = {reinterpret_cast<int16_t*>(narrow), tile.w + 2 * kFilterReach, job.height};
  const Found found = {reinterpret_cast<int16_t*>(narrow + Decoded::size(tile.w)), tile.w + 2 * kFilterReach, job.height};

  // Columns around the tile that are there and within `reach`; beyond them the last one is repeated.
  const auto left_of = [&](int reach) { return tile.x < reach ? tile.x : reach; };
  const auto right_of = [&](int reach) {
    const int rest = job.width - tile.x - tile.w;
    return rest < reach ? rest : reach;
  };
  const auto repeat = [&](int16_t* row, int reach) {
    const int left = left_of(reach), right = right_of(reach);
    for (int x = left; x < reach; ++x) row[-x - 1] = row[-left];
    for (int x = right; x < reach; ++x) row[tile.w + x] = row[tile.w - 1 + right];
  };
  const auto load = [&](int y) {
    for (int p = 0; p < job.color_planes; ++p) {
      const T* from = planes + p * job.plane_stride + y * job.row_stride + tile.x;
      int16_t* to = decoded.row(p, y);
      for (int x = -left_of(kFilterReach); x < tile.w + right_of(kFilterReach); ++x) to[x] = network_sample(from[x]);
      repeat(to, kFilterReach);
    }
  };
  const auto keep = [&](int by, const int16_t* results) {
    for (int y = 4 * by; y < 4 * by + 4 && y < bottom; ++y)
      for (int p = 0; p < job.color_planes; ++p) {
        const int16_t* r = results + 16 * p + 4 * (y & 3);
        int16_t* to = found.row(p, y);
        int32_t* whole = exact.row(p, y);
        for (int x = -left_of(kFilterNear); x < tile.w + right_of(kFilterNear); ++x) {
          const int at = tile.x + x - wide.tile.x;
          const auto correction = int32_t(network_correction(r[(at >> 2) * kBlockSamples + (at & 3)], job.step));
          to[x] = network_sample(saturate<T>(correction));
          if (x >= 0 && x < tile.w) whole[x] = correction;
        }
        repeat(to, kFilterNear);
      }
  };
  const auto restore = [&](int y) {
    for (int p = 0; p < job.channels; ++p) {
      const T* from = planes + p * job.plane_stride + y * job.row_stride + tile.x;
      T* to = restored + ptrdiff_t(p) * tile.w;
      if (p >= job.color_planes) {
        memcpy(to, from, size_t(tile.w) * sizeof(T));  // alpha is exact
        continue;
      }
      memset(acc, 0, sums);
      const int16_t* tap = filter.taps[p];
      const auto add = [&](int plane, int near_places, int places) {
        const int16_t* centre = found.row(plane, y);
        if (const int t = *tap++)
          for (int x = 0; x < tile.w; ++x) acc[x] += t * centre[x];
        for (int k = 0; k < near_places; ++k)
          if (const int t = *tap++) add_pair(found, plane, y, kFilterPlace[k], t, tile.w, acc);
        for (int k = 0; k < places; ++k)
          if (const int t = *tap++) add_pair(decoded, plane, y, kFilterPlace[k], t, tile.w, acc);
      };
      add(p, kNearPlaces, kFilterPlaces);
      if (p) add(0, 0, kNearPlaces);
      const int32_t* correction = exact.row(p, y);
      for (int x = 0; x < tile.w; ++x)
        to[x] = saturate<T>(int64_t(from[x]) + correction[x] + filtered(T(0), acc[x], filter.shift));
    }
    synthesize_color<S, T>(restored, pixels + y * job.pixel_row + ptrdiff_t(tile.x) * job.channels, tile.w,
                           {job.channels, false, tile.w});
  };
  int loaded = tile.y > kFilterReach ? tile.y - kFilterReach : 0, done = tile.y;
  const bool ok = run_network(planes, wide, net, [&](int by, const int16_t* results) {
    keep(by, results);
    const int known = 4 * by + 4 < bottom ? 4 * by + 4 - kFilterNear : tile.y + tile.h;
    for (; done < known && done < tile.y + tile.h; ++done) {
      for (; loaded <= done + kFilterReach && loaded < job.height; ++loaded) load(loaded);
      restore(done);
    }
  });
  std::free(memory);
  return ok;
}

}  // namespace LACONIC_ISA
}  // namespace laconic
