// mixed_encoder.h - the operations of a row whose symbols are chosen, in sets that mix probabilities.
//
// The scalar encoder chose them by the prices of the plain tables, which learn beside the mixed ones; the trellis by the
// mixed ones themselves (symbol_prices.h).
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include "symbol_encoder.h"
#include "context_network.h"
#include "dependent.h"
#include "mixing.h"

namespace laconic {
namespace LACONIC_ISA {

// The writing side of `code_token`.
struct PushCoder {
  OpList& ops;
  bool ok;
  LACONIC_INLINE bool first(uint32_t freq, bool value) {
    ok &= push(ops, value ? pack_op(0, freq) : pack_op(freq, kProbTotal - freq));
    return value;
  }
  LACONIC_INLINE unsigned rest(const uint32_t* bound, unsigned token) {
    const uint32_t start = token_start(bound, token);
    ok &= push(ops, pack_op(start, token_start(bound, token + 1) - start));
    return token;
  }
};

// Codes a row whose symbols stand in `own` already; `magnitude` tells what is not companded.
template <bool kTrellis, class Opinion>
inline bool push_mixed_row(OpList& ops, const BandModel& m, MixedTables& tables, const Context& own, const Sources& src,
                           const RowSums& sums, int y, const uint32_t* magnitude, Opinion& opinion) {
  const uint32_t w1 = m.weight[kTapOwn + 11], w2 = m.weight[kTapOwn + 10];
  const uint8_t *mag = own.mag + ptrdiff_t(y) * own.stride, *sign = own.sign + ptrdiff_t(y) * own.stride;
  unsigned state = 0;
  PushCoder coder{ops, true};
  bool ok = true;
  if constexpr (Opinion::kSpeaks) opinion.start_row(own, src, y);
  for (int x0 = 0; x0 < own.w; x0 += kGroup) {
    const int x1 = x0 + kGroup < own.w ? x0 + kGroup : own.w;
    unsigned kind = 0;
    const uint32_t mean = group_mean(sums.whole, x0, own.w);
    if ((mag[x0 - 1] | mag[x0 - 2]) == 0 && mean <= m.group_limit) {
      uint32_t any = 0;
      for (int x = x0; x < x1; ++x) any |= magnitude[x];
      ok &= push_first(ops, tables.group[group_bucket(mean)], !any);
      if (!any) {
        state = 0;
        continue;
      }
      kind = 1;
    }
    if constexpr (Opinion::kSpeaks) opinion.start_group(x0);
    for (int x = x0; x < x1; ++x) {
      const Buckets buckets(sums, x, w1 * mag[x - 1] + w2 * mag[x - 2]);
      const unsigned shift = m.shift[buckets.of[0]];
      const unsigned token = token_of(magnitude[x], shift);
      const unsigned quantizer = kTrellis ? trellis_quantizer(state) : 0;
      opinion.look(x, quantizer);
      code_token(coder, tables, quantizer, kind, buckets.of, opinion, token);
      ok &= push_tail(ops, magnitude[x], token, shift);
      if (kTrellis) state = next_state(state, magnitude[x]);
      if (!magnitude[x]) continue;
      const SignPlace place = sign_context(own, src, y, x);
      const bool first = (sign[x] == 2) != place.flips;
      kind = 0;
      if constexpr (Opinion::kSpeaks)
        if (opinion.tells_signs()) {
          const int32_t odds = opinion.sign_odds(x, signed_input(mag[x - 1], sign[x - 1]),
                                                 signed_input(mag[x - 2], sign[x - 2]));
          code_sign(coder, tables.sign[place.row], tables.sign_weight, place.flips ? -odds : odds, first);
          continue;
        }
      ok &= push_first(ops, tables.sign[place.row], first);
    }
  }
  return ok && coder.ok;
}

// The same, with the opinion of the network that the band may have.
template <bool kTrellis>
inline bool push_mixed_row(OpList& ops, const BandModel& m, MixedTables& tables, const Context& own, const Sources& src,
                           const RowSums& sums, int y, const uint32_t* magnitude) {
  if (src.network) {
    ContextNetwork network(src.network);
    return push_mixed_row<kTrellis>(ops, m, tables, own, src, sums, y, magnitude, network);
  }
  NoOpinion none;
  return push_mixed_row<kTrellis>(ops, m, tables, own, src, sums, y, magnitude, none);
}

}  // namespace LACONIC_ISA
}  // namespace laconic
