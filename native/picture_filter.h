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

// A part of a filter's sum: taps * (a[x], b[x]).
struct FilterTerm {
  const int16_t *a, *b;
  int16_t taps[2];
};
constexpr int kMaxTerms = kFilterTaps + 1;

// The terms of a plane's taps in a row: of features that are differences the two places make a term, and what all of them
// take away at the place itself is another.
template <class Found, class Decoded>
inline int filter_terms(const Found& found, const Decoded& decoded, int plane, int y, const int16_t* tap, FilterTerm* terms) {
  int count = 0;
  const auto pairs = [&](const auto& rows, int of, int places) {
    int32_t sum = 0;
    for (int k = 0; k < places; ++k) {
      const int16_t t = *tap++;
      if (t == 0) continue;
      const int* place = kFilterPlace[k];
      terms[count++] = {rows.row(of, y + place[0]) + place[1], rows.row(of, y - place[0]) - place[1], {t, t}};
      sum += t;
    }
    return int16_t(-2 * sum);
  };
  const auto add = [&](int of, int near_places, int places) {
    const int16_t own = *tap++, near_sum = pairs(found, of, near_places), sum = pairs(decoded, of, places);
    if (const auto at_place = int16_t(own + near_sum); at_place || sum)
      terms[count++] = {found.row(of, y), decoded.row(of, y), {at_place, sum}};
  };
  add(plane, kNearPlaces, kFilterPlaces);
  if (plane) add(0, 0, kNearPlaces);
  return count;
}

// The sums of the terms, for whole vectors: up to kFilterSlack - 1 more than w.
constexpr int kFilterSlack = 32;
inline void sum_terms(const FilterTerm* terms, int count, int w, int32_t* sums) {
#if defined(__SSE2__)
  constexpr int kLanes = int(sizeof(Samples) / sizeof(int16_t));
  static_assert(kLanes <= kFilterSlack);
  for (int x = 0; x < w; x += kLanes) {
    Samples low = no_samples(), high = no_samples();
    for (int i = 0; i < count; ++i) {
      int32_t taps;
      memcpy(&taps, terms[i].taps, sizeof taps);
      const Samples a = load(terms[i].a + x), b = load(terms[i].b + x), both = repeated(taps);
      low = multiply_add(low, low_pairs(a, b), both), high = multiply_add(high, high_pairs(a, b), both);
    }
    store_pairs(sums + x, low, high);
  }
#else
  for (int x = 0; x < w; ++x) {
    sums[x] = 0;
    for (int i = 0; i < count; ++i) sums[x] += terms[i].taps[0] * terms[i].a[x] + terms[i].taps[1] * terms[i].b[x];
  }
#endif
}

// What decoded sample, correction and filter make; of 8 bits no sum of the three leaves 32 bits.
inline int32_t filtered(int16_t from, int32_t correction, int32_t sum, int shift) {
  return from + correction + ((sum + (1 << (shift - 1))) >> shift);
}
inline int64_t filtered(int32_t from, int32_t correction, int32_t sum, int shift) {
  return int64_t(from) + correction + ((int64_t(sum) * 256 + (1 << (shift - 1))) >> shift);
}

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
  const size_t sums = size_t(tile.w + kFilterSlack) * sizeof(int32_t), fixed = size_t(kMaxPlanes) * size_t(tile.w) * sizeof(T);
  const size_t slack = kFilterSlack * sizeof(int16_t);  // whole vectors are read
  char* memory = static_cast<char*>(
      std::malloc(Decoded::size(tile.w) + Found::size(tile.w) + Exact::size(tile.w) + sums + fixed + slack + 64));
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
  const auto keep = [&](int y, int p, const int32_t* corrections) {
    const int32_t* of = corrections + (tile.x - wide.tile.x);  // the tile's first column
    int16_t* to = found.row(p, y);
    for (int x = -left_of(kFilterNear); x < tile.w + right_of(kFilterNear); ++x) to[x] = network_sample(saturate<T>(of[x]));
    repeat(to, kFilterNear);
    memcpy(exact.row(p, y), of, size_t(tile.w) * sizeof(int32_t));
  };
  const auto restore = [&](int y) {
    for (int p = 0; p < job.channels; ++p) {
      const T* from = planes + p * job.plane_stride + y * job.row_stride + tile.x;
      T* to = restored + ptrdiff_t(p) * tile.w;
      if (p >= job.color_planes) {
        memcpy(to, from, size_t(tile.w) * sizeof(T));  // alpha is exact
        continue;
      }
      FilterTerm terms[kMaxTerms];
      sum_terms(terms, filter_terms(found, decoded, p, y, filter.taps[p], terms), tile.w, acc);
      const int32_t* correction = exact.row(p, y);
      for (int x = 0; x < tile.w; ++x) to[x] = saturate<T>(filtered(from[x], correction[x], acc[x], filter.shift));
    }
    synthesize_color<S, T>(restored, pixels + y * job.pixel_row + ptrdiff_t(tile.x) * job.channels, tile.w,
                           {job.channels, false, tile.w});
  };
  int loaded = tile.y > kFilterReach ? tile.y - kFilterReach : 0, done = tile.y;
  const bool ok = run_corrections(planes, wide, net, job.color_planes, [&](int p, int y, const int32_t* corrections) {
    keep(y, p, corrections);
    if (p + 1 < job.color_planes) return;
    const int known = y + 1 < bottom ? y + 1 - kFilterNear : tile.y + tile.h;
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
