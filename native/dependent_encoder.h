// dependent_encoder.h - one band to the coder's operations by dependent quantization: for each row the path through the
// states with the least distortion + lambda * bits (Viterbi), then the operations of the symbols it chose.
//
// Every survivor carries its own past, so contexts and group flags are priced as the decoder will see them, by tables as
// they stand before the row (symbol_prices.h). A row is decided as a whole: it begins in state 0 anyway.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include "causal_encoder.h"
#include "dependent.h"
#include "masking.h"
#include "symbol_prices.h"

namespace laconic {
namespace LACONIC_ISA {

// How the best path came to each state at one position.
struct Crossing {
  uint32_t magnitude[kStates];
  uint8_t from[kStates];  // kDropped: the group that ends here is dropped as a whole, from that state before it
};
constexpr uint8_t kDropped = 0x80;
constexpr int64_t kNoPath = INT64_MAX / 2;
// Survivors that cost so much more than the best, in 1/4096 of a squared step, are given up.
constexpr int64_t kSlack = 2600;

struct Survivor {
  int64_t cost;
  uint8_t west, west2;  // companded magnitudes
  uint8_t sign, sign2;  // of those
  bool waits;  // in a group that is known to hold a nonzero, before it
};

// `restored`, if there is one, gets what a decoder makes of the band; it may be `in` itself.
template <class T, class Prices>
inline bool encode_dependent_at(OpList& ops, const BandModel& m, bool mixes, Context& own, const Sources& src,
                                const RowSums& sums, uint32_t* v, Crossing* trace, const T* in, ptrdiff_t in_stride,
                                uint32_t step, const Mask& mask, uint32_t lambda, int32_t* symbols,
                                ptrdiff_t symbol_stride, T* restored, ptrdiff_t restored_stride) {
  const uint32_t w1 = m.weight[kTapOwn + 11], w2 = m.weight[kTapOwn + 10];
  constexpr uint32_t kQuiet = 22;  // below it a coefficient can only become zero
  const uint16_t* base = sums.whole;
  Prices prices(m, sums, src, lambda);
  bool ok = true;
  for (int y = 0; y < own.h; ++y) {
    uint8_t* mag = own.mag + ptrdiff_t(y) * own.stride;
    uint8_t* sign = own.sign + ptrdiff_t(y) * own.stride;
    const uint8_t* above = sign - own.stride;
    const uint8_t* third =
        src.sign_source ? src.sign_source->sign + ptrdiff_t(y) * src.sign_source->stride : above - 1;
    const int8_t* side = src.foretold.mag ? src.foretold.side + y * src.foretold.stride : nullptr;
    const T* c = in + y * in_stride;
    row_activity(sums, m, mixes, own, src, y);
    scale_row(v, c, own.w, step);
    mask_row(v, mask, y, own.w);
    prices.start_row(own, src, y);
    own.busy[y] = 0;

    Survivor survivors[2][kStates] = {}, *now = survivors[0], *next = survivors[1];
    for (unsigned s = 0; s < kStates; ++s) now[s].cost = kNoPath;
    now[0] = {0, 0, 0, 0, 0, false};
    for (int x0 = 0; x0 < own.w; x0 += kGroup) {
      const int x1 = x0 + kGroup < own.w ? x0 + kGroup : own.w;
      uint32_t peak = 0;
      for (int x = x0; x < x1; ++x) peak = v[x] > peak ? v[x] : peak;
      const uint32_t mean = group_mean(base, x0, own.w);
      int64_t dropped = kNoPath;
      uint8_t dropped_from = 0;
      bool any = false;
      if (mean <= m.group_limit) {
        const unsigned bucket = group_bucket(mean);
        int64_t zeros = prices.group(bucket, true);
        const int64_t flag = prices.group(bucket, false);
        for (int x = x0; x < x1; ++x) zeros += distortion(v[x], 0, 0);
        for (unsigned s = 0; s < kStates; ++s) {
          now[s].waits = false;
          if (now[s].cost >= kNoPath) continue;
          if (now[s].west | now[s].west2) {
            any = true;
            continue;
          }
          if (now[s].cost + zeros < dropped) dropped = now[s].cost + zeros, dropped_from = uint8_t(s | kDropped);
          if (peak < kQuiet) {
            now[s].cost = kNoPath;
          } else {
            now[s].cost += flag, now[s].waits = true, any = true;
          }
        }
      } else {
        for (unsigned s = 0; s < kStates; ++s) now[s].waits = false;
        any = true;
      }
      if (any) prices.start_group(x0);
      for (int x = x0; x < x1 && any; ++x) {
        Crossing& crossing = trace[x];
        for (unsigned s = 0; s < kStates; ++s) next[s].cost = kNoPath;
        const int64_t zero = distortion(v[x], 0, 0);
        int64_t least = now[0].cost;
        for (unsigned s = 1; s < kStates; ++s) least = now[s].cost < least ? now[s].cost : least;
        const int64_t hopeless = least + kSlack;
        const bool minus = c[x] < 0;
        prices.start(x, v[x] < kQuiet ? 0 : ((v[x] + 32) >> 6) + 1);
        for (unsigned s = 0; s < kStates; ++s) {
          const Survivor& from = now[s];
          if (from.cost > hopeless) continue;
          const Sight sight{x, trellis_quantizer(s), from.waits, from.west, from.west2, from.sign, from.sign2};
          const auto& place = prices.at(sight);
          const auto reach = [&](uint32_t magnitude, int64_t cost) {
            const unsigned to = next_state(s, magnitude);
            if (cost >= next[to].cost) return;
            next[to] = {cost, uint8_t(magnitude ? companded(magnitude) : 0), from.west,
                        uint8_t(magnitude == 0 ? 0 : minus ? 2 : 1), from.sign, from.waits && magnitude == 0};
            crossing.magnitude[to] = magnitude, crossing.from[to] = uint8_t(s);
          };
          reach(0, from.cost + zero + prices.magnitude(place, 0));
          if (v[x] < kQuiet) continue;
          const SignPlace signs = sign_place(from.sign, above[x], third[x], side ? side[x] : 0);
          const int64_t sign_price = from.cost + prices.sign(sight, signs, minus);
          const uint32_t low = (v[x] + 32 * trellis_quantizer(s)) >> 6;
          for (uint32_t k = low ? low : 1; k <= low + 1; ++k)
            reach(k, sign_price + prices.magnitude(place, k) + distortion(v[x], k, m.recon[place.row][recon_index(k)]));
        }
        Survivor* const before = now;
        now = next, next = before;
      }
      for (unsigned s = 0; s < kStates; ++s)
        if (now[s].waits) now[s].cost = kNoPath;  // all zero after all: that is what dropping is for
      if (dropped < now[0].cost) {
        now[0] = {dropped, 0, 0, 0, 0, false};
        trace[x1 - 1].from[0] = dropped_from;
      }
    }

    unsigned state = 0;
    for (unsigned s = 1; s < kStates; ++s)
      if (now[s].cost < now[state].cost) state = s;
    for (int x = own.w - 1; x >= 0;) {
      const uint8_t from = trace[x].from[state];
      if (from & kDropped) {
        const int x0 = x & ~(kGroup - 1);
        for (; x >= x0; --x) v[x] = 0;
      } else {
        v[x] = trace[x].magnitude[state], --x;
      }
      state = from & (kStates - 1);
    }

    T* r = restored ? restored + y * restored_stride : nullptr;
    const uint8_t* contrast = mask.row(y);
    for (int x0 = 0; x0 < own.w; x0 += kGroup) {
      const int x1 = x0 + kGroup < own.w ? x0 + kGroup : own.w;
      uint32_t any = 0;
      for (int x = x0; x < x1; ++x) any |= v[x];
      unsigned kind = 0;
      if ((mag[x0 - 1] | mag[x0 - 2]) == 0 && group_mean(base, x0, own.w) <= m.group_limit) {
        if (!any) {
          state = 0;
          if (r) memset(r + x0, 0, size_t(x1 - x0) * sizeof(T));
          continue;
        }
        kind = kBuckets;
      }
      for (int x = x0; x < x1; ++x) {
        const unsigned row = first_row(state) + kind + bucket_of(base[x] + w1 * mag[x - 1] + w2 * mag[x - 2]);
        const bool minus = c[x] < 0;
        state = next_state(state, v[x]);
        if (r) r[x] = restored_as<T>(m, row, v[x], minus, step, mask.at(contrast, x));
        if (!v[x]) continue;
        if (symbols) symbols[y * symbol_stride + x] = minus ? -int32_t(v[x]) : int32_t(v[x]);
        mag[x] = companded(v[x]), sign[x] = minus ? 2 : 1;
        own.busy[y] = 1, kind = 0;
      }
    }
    ok &= prices.push_row(ops, own, src, y, v);
  }
  return ok;
}

template <class T>
inline bool encode_dependent(OpList& ops, const BandModel& m, bool mixes, Context& own, const Sources& src,
                             const RowSums& sums, uint32_t* v, Crossing* trace, const T* in, ptrdiff_t in_stride,
                             uint32_t step, const Mask& mask, uint32_t lambda, int32_t* symbols, ptrdiff_t symbol_stride,
                             T* restored, ptrdiff_t restored_stride) {
  auto* encode = !mixes        ? encode_dependent_at<T, PlainPrices>
                 : src.network ? encode_dependent_at<T, MixedPrices<ContextNetwork>>
                               : encode_dependent_at<T, MixedPrices<NoOpinion>>;
  return encode(ops, m, mixes, own, src, sums, v, trace, in, in_stride, step, mask, lambda, symbols, symbol_stride,
                restored, restored_stride);
}

}  // namespace LACONIC_ISA
}  // namespace laconic
