// network_run.h - the network itself: planes -> what it finds for each sample, in integers, the same on every machine.
//
// Samples are gathered in 4 x 4 blocks of three planes (48 channels). Residual blocks of 1x1 and depthwise 3x3
// convolutions follow, and 48 results come back for each block, in units of the base step. Activations and weights
// are 16-bit, sums 32-bit; every layer's weights are checked beforehand so that no sum can leave 32 bits whatever the
// input (`network_fits`), so the order of additions, the instruction set and the number of threads change nothing.
//
//   layer:  out = saturate16((bias + sum of weight * in) >> shift), the rounding half being part of bias
//   narrow layers take 8 bits of their inputs (`narrow_layers.h`)
//   leaky ReLU: max(v, v >> 3)
//
// A tile is computed with as many blocks around it as there are depthwise layers, so tiles leave no seams. Outside the
// picture the depthwise convolution sees zeros; samples beyond the last row and column repeat it.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include <cstdlib>
#include <cstring>

#include "narrow_layers.h"

namespace laconic {
namespace LACONIC_ISA {

constexpr int kBlockSamples = 48;

// A run of positions of any length: `dense` for the full groups, a copy for the rest, so that nothing beyond is touched.
inline void dense_run(const Dense& d, const int16_t* in, int n, Finish finish, int16_t* out, int16_t* spare) {
  const int full = n / kRowsAtOnce * kRowsAtOnce, rest = n - full;
  if (full) dense(d, in, full, finish, out);
  if (!rest) return;
  int16_t *x = spare, *y = spare + kRowsAtOnce * d.in;
  int16_t* to = out + ptrdiff_t(full) * d.out;
  memset(x, 0, size_t(kRowsAtOnce) * size_t(d.in) * sizeof(int16_t));
  memcpy(x, in + ptrdiff_t(full) * d.in, size_t(rest) * size_t(d.in) * sizeof(int16_t));
  if (finish == kAdd) memcpy(y, to, size_t(rest) * size_t(d.out) * sizeof(int16_t));
  dense(d, x, kRowsAtOnce, finish, y);
  memcpy(to, y, size_t(rest) * size_t(d.out) * sizeof(int16_t));
}

// The same for a narrow layer. Bytes may be read and written up to a whole group.
inline void narrow_run(const Dense& d, const uint8_t* in, int n, Finish finish, int16_t* out, const Onward& onward,
                       int16_t* spare) {
  const int full = n / kRowsAtOnce * kRowsAtOnce, rest = n - full;
  if (full) dense(d, in, full, finish, out, onward);
  if (!rest) return;
  int16_t* to = out + ptrdiff_t(full) * d.out;
  memcpy(spare, to, size_t(rest) * size_t(d.out) * sizeof(int16_t));
  const Onward after = {onward.next, onward.bytes + (onward.next ? ptrdiff_t(full) * d.out : 0)};
  dense(d, in + ptrdiff_t(full) * d.in, kRowsAtOnce, finish, spare, after);
  memcpy(to, spare, size_t(rest) * size_t(d.out) * sizeof(int16_t));
}

// A decoded sample in the network's unit, 1/16 of an 8-bit level.
inline int16_t network_sample(int16_t v) { return v; }
inline int16_t network_sample(int32_t v) { return clamp16((v + 128) >> 8); }

// Gathers the 4 x 4 blocks of block row `by`, columns x0 .. x1, of three planes (absent ones are zero).
template <class T>
inline void gather_blocks(const T* planes, const NetworkJob& job, int by, int x0, int x1, int16_t* out) {
  for (int p = 0; p < 3; ++p)
    for (int y = 0; y < 4; ++y) {
      const int row = by * 4 + y < job.height ? by * 4 + y : job.height - 1;
      const T* from = planes + p * job.plane_stride + row * job.row_stride;
      int16_t* to = out + 16 * p + 4 * y;
      int bx = x0;
      for (const int whole = job.width / 4; bx < x1 && bx < whole && p < job.color_planes; ++bx, to += kBlockSamples)
        for (int x = 0; x < 4; ++x) to[x] = network_sample(from[bx * 4 + x]);
      for (; bx < x1; ++bx, to += kBlockSamples)
        for (int x = 0; x < 4; ++x) {
          const int column = bx * 4 + x < job.width ? bx * 4 + x : job.width - 1;
          to[x] = p < job.color_planes ? network_sample(from[column]) : int16_t(0);
        }
    }
}

struct Span {
  int from, to;
};
inline Span widened(Span s, int by, int limit) {
  return {s.from - by > 0 ? s.from - by : 0, s.to + by < limit ? s.to + by : limit};
}

// Of a block row's results row y of a plane, blocks * 4 samples.
inline void results_row(const int16_t* results, int plane, int y, int blocks, int16_t* to) {
  const int16_t* from = results + 16 * plane + 4 * (y & 3);
  for (int b = 0; b < blocks; ++b, from += kBlockSamples, to += 4) memcpy(to, from, 4 * sizeof(int16_t));
}

// Results of the network, 2^-11 base steps, in the planes' unit. A step is below 2^31 (the binding checks), so they stay
// within 27 bits, and shifts need not know the sign.
inline void network_corrections(const int16_t* found, int n, uint32_t step, int32_t* to) {
  const auto by = int32_t(step);
  for (int x = 0; x < n; ++x) to[x] = int32_t(uint64_t(int64_t(int32_t(found[x])) * by + (1 << 18)) >> 19);
}

// Runs the network over a tile. `emit(by, found)` gets the results of each block row, 48 a block from the tile's left edge.
// False: out of memory.
//
// Rows go through all residual blocks as soon as they can: block k works one row behind block k - 1, whose row below it
// needs. So no more than blocks + 2 rows are held, whatever the height of the tile, and they stay in the caches.
template <class T, class F>
inline bool run_network(const T* planes, const NetworkJob& job, const NetworkWeights& net, F&& emit) {
  const int rows = (job.height + 3) / 4, columns = (job.width + 3) / 4;
  const Span tile_y = {job.tile.y / 4, (job.tile.y + job.tile.h + 3) / 4};
  const Span tile_x = {job.tile.x / 4, (job.tile.x + job.tile.w + 3) / 4};
  const Span all_y = widened(tile_y, net.blocks, rows), all_x = widened(tile_x, net.blocks, columns);
  const int h_columns = all_x.to - all_x.from, held = net.blocks + 2;
  const int c = net.channels, wide = net.expanded;
  const size_t row_size = size_t(h_columns + 2) * size_t(c);
  const size_t widest = size_t(h_columns + 2) * size_t(wide > kBlockSamples ? wide : kBlockSamples);
  const int widest_layer = wide > c ? (wide > kBlockSamples ? wide : kBlockSamples) : (c > kBlockSamples ? c : kBlockSamples);
  const size_t spare_size = size_t(kRowsAtOnce) * size_t(2 * widest_layer);
  const size_t h_size = size_t(held) * size_t(h_columns) * size_t(c), ring_size = size_t(net.blocks) * 3 * row_size;
  auto* block =
      static_cast<int16_t*>(std::malloc((h_size + ring_size + row_size + 2 * widest + spare_size + 256) * sizeof(int16_t)));
  // Bytes that narrow layers take: those of a row for one layer, and for the next.
  const size_t bytes_size = size_t(h_columns + kRowsAtOnce) * size_t(widest_layer);
  auto* bytes = static_cast<uint8_t*>(std::calloc(2, bytes_size));
  if (!block || !bytes) return std::free(block), std::free(bytes), false;
  int16_t *h = block, *rings = h + h_size, *spread = rings + ring_size, *hidden = spread + row_size;
  int16_t* spare = hidden + 2 * widest;
  uint8_t* more_bytes = bytes + bytes_size;
  const auto at = [&](int y, int x) {
    return h + (ptrdiff_t((y - all_y.from) % held) * h_columns + (x - all_x.from)) * c;
  };
  const auto gather = [&](int y) {
    gather_blocks(planes, job, y, all_x.from, all_x.to, hidden);
    dense_run(net.input, hidden, h_columns, kStore, at(y, all_x.from), spare);
  };
  const auto work = [&](int k, int y) {
    const NetworkBlock& b = net.block[k];
    const int reach = net.blocks - 1 - k;
    const Span ys = widened(tile_y, reach, rows), xs = widened(tile_x, reach, columns);
    if (y < ys.from || y >= ys.to) return;
    const Span xs_in = widened(xs, 1, columns);
    const int n = xs.to - xs.from, n_in = xs_in.to - xs_in.from;
    const int lead = xs.from - xs_in.from;  // 0 at the left edge of the picture, else 1
    const auto ring = [&](int row) { return rings + (size_t(3 * k) + size_t((row + 3) % 3)) * row_size; };
    const auto mix = [&](int row) {
      // One zero position stands left and right; inside the picture it is overwritten or out of reach.
      int16_t* to = ring(row);
      memset(to, 0, size_t(c) * sizeof(int16_t));
      if (b.mix.narrow) {
        narrow_samples(b.mix, at(row, xs_in.from), n_in, bytes);
        narrow_run(b.mix, bytes, n_in, kRelu, to + c, {nullptr, nullptr}, spare);
      } else {
        dense_run(b.mix, at(row, xs_in.from), n_in, kRelu, to + c, spare);
      }
      memset(to + size_t(n_in + 1) * size_t(c), 0, size_t(c) * sizeof(int16_t));
    };
    if (y == ys.from) {
      if (y > 0) mix(y - 1);
      mix(y);
    }
    if (y + 1 < rows) mix(y + 1);
    const int16_t* around[3];
    for (int r = 0; r < 3; ++r) {
      const int from = y + r - 1;
      around[r] = from >= 0 && from < rows ? ring(from) + size_t(1 + lead) * size_t(c) : nullptr;
    }
    depthwise_row(around, n, c, b.spread, b.spread_bias, b.spread_shift, spread);
    int16_t* row = at(y, xs.from);
    if (b.merge.narrow) {
      narrow_samples(b.merge, spread, n, bytes);
      narrow_run(b.merge, bytes, n, kAdd, row, {&b.expand, more_bytes}, spare);
      narrow_run(b.expand, more_bytes, n, kRelu, hidden, {&b.contract, bytes}, spare);
      narrow_run(b.contract, bytes, n, kAdd, row, {nullptr, nullptr}, spare);
    } else {
      dense_run(b.merge, spread, n, kAdd, row, spare);
      dense_run(b.expand, row, n, kRelu, hidden, spare);
      dense_run(b.contract, hidden, n, kAdd, row, spare);
    }
  };
  gather(all_y.from);
  for (int y = all_y.from; y < tile_y.to + net.blocks - 1; ++y) {
    if (y + 1 < all_y.to) gather(y + 1);
    for (int k = 0; k < net.blocks; ++k) work(k, y - k);
    const int done = y - net.blocks + 1;
    if (done < tile_y.from) continue;
    dense_run(net.output, at(done, tile_x.from), tile_x.to - tile_x.from, kStore, hidden, spare);
    emit(done, hidden);
  }
  std::free(block), std::free(bytes);
  return true;
}

// The same for results in the planes' unit: `emit(plane, y, corrections)` gets those of each row of `count` planes.
template <class T, class F>
inline bool run_corrections(const T* planes, const NetworkJob& job, const NetworkWeights& net, int count, F&& emit) {
  const int blocks = (job.tile.w + 3) / 4;
  auto* row = static_cast<int32_t*>(std::malloc(size_t(4 * blocks) * (sizeof(int32_t) + sizeof(int16_t))));
  if (!row) return false;
  auto* results = reinterpret_cast<int16_t*>(row + 4 * blocks);
  const bool ok = run_network(planes, job, net, [&](int by, const int16_t* found) {
    for (int y = 4 * by; y < 4 * by + 4 && y < job.tile.y + job.tile.h; ++y)
      for (int p = 0; p < count; ++p) {
        results_row(found, p, y, blocks, results);
        network_corrections(results, job.tile.w, job.step, row);
        emit(p, y, row);
      }
  });
  std::free(row);
  return ok;
}

}  // namespace LACONIC_ISA
}  // namespace laconic
