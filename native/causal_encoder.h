// causal_encoder.h - one band to the coder's operations, quantized on the way: the mirror of causal_decoder.h.
//
// Symbols are chosen in coding order, so the contexts and tables that price them are the true ones. What a choice does to
// the contexts of later symbols is not weighed: with their price changes summed back through the weights as a tax, bytes
// at equal PSNR fell by no more than 0.15 %, for twice the time.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include "mixed_encoder.h"
#include "symbol_encoder.h"

namespace laconic {
namespace LACONIC_ISA {

// Magnitudes in 1/64 step. Steps are at least 1/16 of a transform unit, so a 15-bit magnitude stays below 2^31.
template <class T>
inline void scale_row(uint32_t* v, const T* c, int n, uint32_t step) {
  if (step == 0) {
    for (int x = 0; x < n; ++x) v[x] = uint32_t(c[x] < 0 ? -int32_t(c[x]) : int32_t(c[x])) << 6;
    return;
  }
  if constexpr (sizeof(T) == 2) {
    // 2^(14 + s) / step with s chosen so that the reciprocal has 16 bits: 15 + 16 bits fit the product.
    unsigned s = 0;
    while (s < 31 && ((uint64_t{1} << (15 + s)) + step / 2) / step < 65536) ++s;
    const uint32_t inverse = uint32_t(((uint64_t{1} << (14 + s)) + step / 2) / step);
    for (int x = 0; x < n; ++x) {
      const uint32_t a = uint32_t(c[x] < 0 ? -int32_t(c[x]) : int32_t(c[x]));
      v[x] = (a * inverse) >> s;
    }
  } else {
    for (int x = 0; x < n; ++x) v[x] = uint32_t((uint64_t(c[x] < 0 ? -int64_t(c[x]) : int64_t(c[x])) << 14) / step);
  }
}

// Squared error of reconstructing v (1/64 step) as magnitude q, 1/4096 of a squared step.
inline int64_t distortion(uint32_t v, uint32_t q, int delta) {
  const int64_t e = int64_t(v) - (q ? int64_t(q) * 64 - delta : 0);
  return e * e;
}

// Squared error that bits (1/256) are worth, 1/4096 of a squared step.
inline int64_t worth(uint32_t lambda, uint32_t bits) { return int64_t(lambda) * bits >> 8; }

struct Choice {
  uint32_t magnitude;
  int64_t cost;  // distortion + lambda * bits, 1/4096 of a squared step
};

// Of the magnitudes near v, the one with the least distortion + lambda * bits.
inline Choice choose(const BandModel& m, const BandTables& tables, unsigned row, uint32_t v, bool minus, unsigned sign,
                     uint32_t lambda) {
  const uint32_t top = (v + 40) >> 6;
  Choice best{0, distortion(v, 0, 0) + worth(lambda, magnitude_cost(m, tables, row, 0))};
  if (top == 0) return best;
  const uint32_t from = top > 2 ? top - 1 : 1;
  if (top > 2) best.cost = INT64_MAX;
  for (uint32_t q = from; q <= top; ++q) {
    const uint32_t bits = magnitude_cost(m, tables, row, q) + first_cost(tables.sign[sign], minus);
    const int64_t cost = distortion(v, q, m.recon[row][recon_index(q)]) + worth(lambda, bits);
    if (cost < best.cost) best = {q, cost};
  }
  return best;
}

// What a decoder makes of a symbol.
template <class T>
inline T restored_as(const BandModel& m, unsigned row, uint32_t magnitude, bool minus, uint32_t step,
                     uint32_t mask = kNoMask) {
  if (!magnitude) return 0;
  const int64_t c = masked(dequantize(magnitude, m.recon[row][recon_index(magnitude)], step), mask);
  return saturate<T>(minus ? -c : c);
}

template <class T>
inline bool encode_lowest(OpList& ops, const BandModel& m, bool mixes, const int16_t* ll_pred, Context& own,
                          const Sources& src, const RowSums& sums, uint32_t* v, int32_t* lowest, const T* in,
                          ptrdiff_t in_stride, uint32_t step, int32_t* symbols, ptrdiff_t symbol_stride) {
  const uint32_t w1 = m.weight[kTapOwn + 11], w2 = m.weight[kTapOwn + 10];
  const uint16_t* base = sums.whole;
  int32_t residual[kGroup];
  BandTables tables = m.tables;
  MixedTables mixed = first_tables(m, src);
  bool ok = true;
  for (int y = 0; y < own.h; ++y) {
    uint8_t* mag = own.mag + ptrdiff_t(y) * own.stride;
    uint8_t* sign = own.sign + ptrdiff_t(y) * own.stride;
    row_activity(sums, m, mixes, own, src, y);
    own.busy[y] = 0;
    const size_t row_start = ops.size;
    for (int x0 = 0; x0 < own.w; x0 += kGroup) {
      const int n = x0 + kGroup < own.w ? kGroup : own.w - x0;
      bool any = false;
      for (int i = 0; i < n; ++i) {
        int32_t* q = lowest + ptrdiff_t(y) * own.w + x0 + i;
        const int64_t c = in[y * in_stride + x0 + i];
        const int64_t a = c < 0 ? -c : c;
        const int64_t rounded = step ? ((a << 8) + step / 2) / step : a;
        *q = clamp_lowest(c < 0 ? -rounded : rounded);
        if (symbols) symbols[y * symbol_stride + x0 + i] = *q;
        residual[i] = *q - predict_lowest(q, y, x0 + i, own.w, ll_pred);
        v[x0 + i] = uint32_t(residual[i] < 0 ? -residual[i] : residual[i]);
        any |= residual[i] != 0;
      }
      unsigned kind = 0;
      const uint32_t mean = group_mean(base, x0, own.w);
      if ((mag[x0 - 1] | mag[x0 - 2]) == 0 && mean <= m.group_limit) {
        const unsigned bucket = group_bucket(mean);
        ok &= push_first(ops, tables.group[bucket], !any);
        if (!any) continue;
        kind = kBuckets;
      }
      for (int i = 0; i < n; ++i) {
        const int x = x0 + i;
        const unsigned row = kind + bucket_of(base[x] + w1 * mag[x - 1] + w2 * mag[x - 2]);
        const bool minus = residual[i] < 0;
        const uint32_t magnitude = v[x];
        const SignPlace place = sign_context(own, src, y, x);
        ok &= push_symbol(ops, m, tables, row, magnitude, minus != place.flips, place.row);
        if (!magnitude) continue;
        mag[x] = companded(magnitude), sign[x] = minus ? 2 : 1;
        own.busy[y] = 1, kind = 0;
      }
    }
    if (mixes) {
      ops.size = row_start;
      ok &= push_mixed_row<false>(ops, m, mixed, own, src, sums, y, v);
    }
  }
  return ok;
}

// `restored`, if there is one, gets what a decoder makes of the band; it may be `in` itself.
template <class T>
inline bool encode_band(OpList& ops, const BandModel& m, bool mixes, Context& own, const Sources& src,
                        const RowSums& sums, uint32_t* v, const T* in, ptrdiff_t in_stride, uint32_t step,
                        uint32_t lambda, uint32_t rounding, int32_t* symbols, ptrdiff_t symbol_stride, T* restored,
                        ptrdiff_t restored_stride) {
  const uint32_t w1 = m.weight[kTapOwn + 11], w2 = m.weight[kTapOwn + 10];
  const uint32_t quiet = lambda ? 24 : 64 - rounding;  // below it a coefficient can only become zero
  const uint16_t* base = sums.whole;
  BandTables tables = m.tables;
  MixedTables mixed = first_tables(m, src);
  Undo undo;
  bool ok = true;
  for (int y = 0; y < own.h; ++y) {
    uint8_t* mag = own.mag + ptrdiff_t(y) * own.stride;
    uint8_t* sign = own.sign + ptrdiff_t(y) * own.stride;
    const T* c = in + y * in_stride;
    T* r = restored ? restored + y * restored_stride : nullptr;
    row_activity(sums, m, mixes, own, src, y);
    scale_row(v, c, own.w, step);
    own.busy[y] = 0;
    const size_t row_start = ops.size;
    for (int x0 = 0; x0 < own.w; x0 += kGroup) {
      const int x1 = x0 + kGroup < own.w ? x0 + kGroup : own.w;
      uint32_t peak = 0;
      for (int x = x0; x < x1; ++x) peak = v[x] > peak ? v[x] : peak;
      unsigned kind = 0, bucket = 0;
      const size_t mark = ops.size;
      int64_t coded = 0, zeroed = 0;
      if ((mag[x0 - 1] | mag[x0 - 2]) == 0) {
        const uint32_t mean = group_mean(base, x0, own.w);
        if (mean <= m.group_limit) {
          bucket = group_bucket(mean);
          if (peak < quiet) {
            ok &= push_first(ops, tables.group[bucket], true);
            if (r) memset(r + x0, 0, size_t(x1 - x0) * sizeof(T));
            for (int x = x0; x < x1; ++x) v[x] = 0;
            continue;
          }
          // The flag learns when it is certain; no other letter of the group looks at it.
          const uint32_t freq = first_freq(tables.group[bucket]);
          ok &= push(ops, pack_op(freq, kProbTotal - freq));
          kind = kBuckets;
          coded = worth(lambda, first_cost(tables.group[bucket], false));
          zeroed = worth(lambda, first_cost(tables.group[bucket], true));
        }
      }
      const bool flagged = kind != 0;
      bool any = false;
      for (int x = x0; x < x1; ++x) {
        const unsigned row = kind + bucket_of(base[x] + w1 * mag[x - 1] + w2 * mag[x - 2]);
        const bool minus = c[x] < 0;
        uint32_t magnitude = 0;
        SignPlace place = {0, false};
        if (v[x] < quiet) {
          if (flagged) coded += distortion(v[x], 0, 0) + worth(lambda, magnitude_cost(m, tables, row, 0));
        } else {
          place = sign_context(own, src, y, x);
          if (lambda) {
            const Choice best = choose(m, tables, row, v[x], minus != place.flips, place.row, lambda);
            magnitude = best.magnitude, coded += best.cost;
          } else {
            magnitude = (v[x] + rounding) >> 6;
          }
        }
        if (flagged) zeroed += distortion(v[x], 0, 0);
        if (flagged) undo.keep(tables, row, magnitude != 0, place.row);
        ok &= push_symbol(ops, m, tables, row, magnitude, minus != place.flips, place.row);
        if (symbols) symbols[y * symbol_stride + x] = minus ? -int32_t(magnitude) : int32_t(magnitude);
        if (r) r[x] = restored_as<T>(m, row, magnitude, minus, step);
        v[x] = magnitude;
        if (!magnitude) continue;
        mag[x] = companded(magnitude), sign[x] = minus ? 2 : 1;
        any = true, kind = 0;
      }
      if (flagged && (!any || (lambda && zeroed <= coded))) {
        // The whole group as zeros is the better deal (or the only one): take back what was written.
        ops.size = mark;
        undo.restore(tables);
        ok &= push_first(ops, tables.group[bucket], true);
        for (int x = x0; x < x1; ++x) mag[x] = sign[x] = 0, v[x] = 0;
        if (r) memset(r + x0, 0, size_t(x1 - x0) * sizeof(T));
        if (symbols)
          for (int x = x0; x < x1; ++x) symbols[y * symbol_stride + x] = 0;
        continue;
      }
      undo.forget();
      if (flagged) learn_first(tables.group[bucket], false);
      if (any) own.busy[y] = 1;
    }
    if (mixes) {
      ops.size = row_start;
      ok &= push_mixed_row<false>(ops, m, mixed, own, src, sums, y, v);
    }
  }
  return ok;
}

}  // namespace LACONIC_ISA
}  // namespace laconic
