// causal_decoder.h - one band from the coder's words: the mirror of causal_encoder.h.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include "learning.h"
#include "causal.h"
#include "context_network.h"
#include "dependent.h"
#include "masking.h"
#include "mixing.h"

namespace laconic {
namespace LACONIC_ISA {

// One of two letters; true for the first. Where one is likely a branch that is foretold keeps the comparison out of the
// coder's chain of states; where both are, arithmetic does better.
enum Likely { kEither, kOne };
template <Likely kLikely>
LACONIC_INLINE bool pop_first(RansReader& r, uint32_t& table) {
  const uint32_t freq = first_freq(table);
  const bool first = r.slot() < freq;
  if (kLikely == kEither) {
    r.take(first ? 0 : freq, first ? freq : kProbTotal - freq);
    learn_first(table, first);
  } else if (first) {
    r.take(0, freq);
    learn_first(table, true);
  } else {
    r.take(freq, kProbTotal - freq);
    learn_first(table, false);
  }
  return first;
}

inline unsigned pop_token(RansReader& r, BandTables& t, unsigned row) {
  if (pop_first<kOne>(r, t.zero[row])) return 0;
  uint32_t* bound = t.rest[row];
  // Most are 1 or 2, so that looking at one after the other is fast.
  unsigned token = 1;
  uint32_t start = 0, end = token_start(bound, 2);
  while (end <= r.slot()) start = end, end = token_start(bound, ++token + 1);
  r.take(start, end - start);
  learn_token(bound, t.rest_seen[row], token);
  return token;
}

// The reading side of `code_token`.
struct PopCoder {
  RansReader& r;
  LACONIC_INLINE bool first(uint32_t freq, bool) {
    const bool first = r.slot() < freq;
    if (first)
      r.take(0, freq);
    else
      r.take(freq, kProbTotal - freq);
    return first;
  }
  LACONIC_INLINE unsigned rest(const uint32_t* bound, unsigned) {
    unsigned token = 1;
    uint32_t start = 0, end = token_start(bound, 2);
    while (end <= r.slot()) start = end, end = token_start(bound, ++token + 1);
    r.take(start, end - start);
    return token;
  }
};

template <bool kMixes>
struct TablesOf {
  using Type = BandTables;
  static const Type& first(const BandModel& m, const Sources&) { return m.tables; }
};
template <>
struct TablesOf<true> {
  using Type = MixedTables;
  static Type first(const BandModel& m, const Sources& src) { return first_tables(m, src); }
};

constexpr unsigned kMaxEscapeBits = 20;
// Far above any symbol, and yet m * 64 * step stays below 2^63 for every step of 32 bits.
constexpr uint32_t kMaxMagnitude = 1u << 24;
constexpr uint32_t kInvalid = ~0u;

// What follows a token: escape and low bits. Returns the magnitude, or kInvalid for an escape no encoder writes.
inline uint32_t pop_rest(RansReader& r, unsigned token, unsigned shift) {
  uint32_t m = token;
  if (token == kEscape) {
    const unsigned n = r.take_raw(5);
    if (n > kMaxEscapeBits) return kInvalid;
    uint32_t bits = 0;
    for (unsigned left = n; left > 0;) {
      const unsigned part = left < 8 ? left : 8;
      bits = bits << part | r.take_raw(part);
      left -= part;
    }
    m = (1u << n) + bits - 1;
    if (m << shift >= kMaxMagnitude) return kInvalid;
  }
  return shift ? m << shift | r.take_raw(shift) : m;
}

template <class T, bool kLowest, bool kTrellis, bool kMixes, class Opinion = NoOpinion>
inline DecodeStatus decode_band(RansReader& reader, const BandModel& m, const int16_t* ll_pred, Context& own,
                                const Sources& src, const RowSums& sums, int32_t* lowest, T* out, ptrdiff_t out_stride,
                                uint32_t step, const Mask& mask) {
  RansReader r = reader;  // a local copy stays in registers
  typename TablesOf<kMixes>::Type tables = TablesOf<kMixes>::first(m, src);
  const uint16_t* base = sums.whole;
  const uint32_t w1 = m.weight[kTapOwn + 11], w2 = m.weight[kTapOwn + 10];
  Opinion opinion(src.network);
  for (int y = 0; y < own.h; ++y) {
    uint8_t* mag = own.mag + ptrdiff_t(y) * own.stride;
    uint8_t* sign = own.sign + ptrdiff_t(y) * own.stride;
    T* to = out + y * out_stride;
    uint8_t busy = 0;
    unsigned state = 0;
    const uint8_t* contrast = mask.row(y);
    row_activity(sums, m, kMixes, own, src, y);
    if constexpr (Opinion::kSpeaks) opinion.start_row(own, src, y);
    for (int x0 = 0; x0 < own.w; x0 += kGroup) {
      const int x1 = x0 + kGroup < own.w ? x0 + kGroup : own.w;
      unsigned kind = 0;
      if ((mag[x0 - 1] | mag[x0 - 2]) == 0) {
        const uint32_t mean = group_mean(base, x0, own.w);
        if (mean <= m.group_limit) {
          const unsigned bucket = group_bucket(mean);
          if (pop_first<kOne>(r, tables.group[bucket])) {
            if constexpr (kLowest)
              for (int x = x0; x < x1; ++x) {
                int32_t* q = lowest + ptrdiff_t(y) * own.w + x;
                *q = predict_lowest(q, y, x, own.w, ll_pred);
                to[x] = restored_lowest<T>(*q, step);
              }
            state = 0;
            continue;
          }
          kind = kBuckets;
        }
      }
      if constexpr (Opinion::kSpeaks) opinion.start_group(x0);
      for (int x = x0; x < x1; ++x) {
        const uint32_t west = w1 * mag[x - 1] + w2 * mag[x - 2];
        const unsigned bucket = bucket_of(base[x] + west);
        const unsigned row = (kTrellis ? first_row(state) : 0) + kind + bucket;
        int32_t value = 0;
        uint32_t magnitude = 0;
        const unsigned shift = m.shift[bucket];
        unsigned token;
        if constexpr (kMixes) {
          PopCoder coder{r};
          const Buckets buckets(sums, x, west);
          const unsigned quantizer = kTrellis ? trellis_quantizer(state) : 0;
          opinion.look(x, quantizer);
          token = code_token(coder, tables, quantizer, kind != 0, buckets.of, opinion, 0);
        } else {
          token = pop_token(r, tables, row);
        }
        if (token | shift) {
          magnitude = pop_rest(r, token, shift);
          if (magnitude == kInvalid) return kBadEscape;
          if (magnitude > 0) {
            const SignPlace place = sign_context(own, src, y, x);
            bool minus = place.flips;
            if constexpr (Opinion::kSpeaks) {
              if (opinion.tells_signs()) {
                const int32_t odds = opinion.sign_odds(x, signed_input(mag[x - 1], sign[x - 1]),
                                                       signed_input(mag[x - 2], sign[x - 2]));
                PopCoder coder{r};
                minus ^= code_sign(coder, tables.sign[place.row], tables.sign_weight, place.flips ? -odds : odds, false);
              } else {
                minus ^= pop_first<kEither>(r, tables.sign[place.row]);
              }
            } else {
              minus ^= pop_first<kEither>(r, tables.sign[place.row]);
            }
            sign[x] = minus ? 2 : 1;
            mag[x] = companded(magnitude);
            value = minus ? -int32_t(magnitude) : int32_t(magnitude);
            busy = 1;
            if constexpr (!kLowest) {
              int64_t c = dequantize(magnitude, m.recon[row][recon_index(magnitude)], step);
              if constexpr (kTrellis) c = masked(c, mask.at(contrast, x));
              to[x] = saturate<T>(minus ? -c : c);
            }
            kind = 0;
          }
        }
        if constexpr (kTrellis) state = next_state(state, magnitude);
        if constexpr (kLowest) {
          int32_t* q = lowest + ptrdiff_t(y) * own.w + x;
          *q = clamp_lowest(int64_t(predict_lowest(q, y, x, own.w, ll_pred)) + value);
          to[x] = restored_lowest<T>(*q, step);
        }
      }
    }
    own.busy[y] = busy;
    if (r.overran()) return kOverran;
  }
  reader = r;
  return kDecoded;
}

}  // namespace LACONIC_ISA
}  // namespace laconic
