// symbol_prices.h - what the search of dependent_encoder.h pays for symbols: bits by the tables as they stand before a row,
// in 1/4096 of a squared step.
//
// PlainPrices look a magnitude up in one table. MixedPrices, for sets that mix, add the logarithmic odds of all sources as
// the coder will, the network's among them: files take 0.9 % fewer bytes than with the prices of the table of the whole
// activity alone. Survivors often have the same two symbols to the left, and then share what was added up.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include "context_views.h"
#include "mixed_encoder.h"

namespace laconic {
namespace LACONIC_ISA {

// Where in a row a symbol stands, for one survivor.
struct Sight {
  int x;
  unsigned quantizer;
  bool waits;           // in a group that is known to hold a nonzero, before it
  uint8_t west, west2;  // companded magnitudes
  uint8_t sign, sign2;  // of those
};

class SignPrices {
 public:
  LACONIC_INLINE void forget() { memset(known_, 0, sizeof known_); }
  LACONIC_INLINE int64_t of(const uint32_t* tables, unsigned row, bool first, uint32_t lambda) {
    if (!known_[row]) {
      for (unsigned i = 0; i < 2; ++i) price_[row][i] = uint32_t(worth(lambda, first_cost(tables[row], i != 0)));
      known_[row] = true;
    }
    return price_[row][first];
  }

 private:
  uint32_t price_[kSignRows][2];
  bool known_[kSignRows];
};

class PlainPrices {
 public:
  // What is known of a magnitude's price at a place.
  struct Place {
    unsigned row;
    const uint32_t* price;
  };

  LACONIC_INLINE PlainPrices(const BandModel& m, const RowSums& sums, const Sources&, uint32_t lambda)
      : m_(m), sums_(sums), tables_(m.tables), lambda_(lambda) {
    memset(known_, 0, sizeof known_);
  }

  LACONIC_INLINE void start_row(const Context&, const Sources&, int) { signs_.forget(); }
  LACONIC_INLINE void start_group(int) {}
  LACONIC_INLINE void start(int, unsigned) {}
  LACONIC_INLINE int64_t group(unsigned bucket, bool zero) const {
    return worth(lambda_, first_cost(tables_.group[bucket], zero));
  }
  LACONIC_INLINE int64_t sign(const Sight&, const SignPlace& place, bool minus) {
    return signs_.of(tables_.sign, place.row, minus != place.flips, lambda_);
  }
  LACONIC_INLINE Place at(const Sight& s) {
    const uint32_t w1 = m_.weight[kTapOwn + 11], w2 = m_.weight[kTapOwn + 10];
    const unsigned row = (s.quantizer * kKinds + s.waits) * kBuckets + bucket_of(sums_.whole[s.x] + w1 * s.west + w2 * s.west2);
    if (!known_[row]) {
      for (uint32_t k = 0; k < kPriced; ++k) price_[row][k] = uint32_t(worth(lambda_, magnitude_cost(m_, tables_, row, k)));
      known_[row] = true;
    }
    return {row, price_[row]};
  }
  LACONIC_INLINE int64_t magnitude(const Place& at, uint32_t k) const {
    return k < kPriced ? int64_t(at.price[k]) : worth(lambda_, magnitude_cost(m_, tables_, at.row, k));
  }

  // The operations of a row that is decided and stands in `own`; tables learn from it.
  inline bool push_row(OpList& ops, const Context& own, const Sources& src, int y, const uint32_t* magnitude) {
    const uint32_t w1 = m_.weight[kTapOwn + 11], w2 = m_.weight[kTapOwn + 10];
    const uint8_t *mag = own.mag + ptrdiff_t(y) * own.stride, *sign = own.sign + ptrdiff_t(y) * own.stride;
    unsigned state = 0;
    bool ok = true;
    for (int x0 = 0; x0 < own.w; x0 += kGroup) {
      const int x1 = x0 + kGroup < own.w ? x0 + kGroup : own.w;
      unsigned kind = 0;
      const uint32_t mean = group_mean(sums_.whole, x0, own.w);
      if ((mag[x0 - 1] | mag[x0 - 2]) == 0 && mean <= m_.group_limit) {
        uint32_t any = 0;
        for (int x = x0; x < x1; ++x) any |= magnitude[x];
        ok &= push_first(ops, tables_.group[group_bucket(mean)], !any);
        if (!any) {
          state = 0;
          continue;
        }
        kind = kBuckets;
      }
      for (int x = x0; x < x1; ++x) {
        const unsigned row = first_row(state) + kind + bucket_of(sums_.whole[x] + w1 * mag[x - 1] + w2 * mag[x - 2]);
        const SignPlace place = magnitude[x] ? sign_context(own, src, y, x) : SignPlace{0, false};
        ok &= push_symbol(ops, m_, tables_, row, magnitude[x], (sign[x] == 2) != place.flips, place.row);
        known_[row] = false;
        state = next_state(state, magnitude[x]);
        if (magnitude[x]) kind = 0;
      }
    }
    return ok;
  }

 private:
  static constexpr uint32_t kPriced = 15;

  const BandModel& m_;
  const RowSums& sums_;
  BandTables tables_;
  const uint32_t lambda_;
  SignPrices signs_;
  uint32_t price_[kRows][kPriced + 1];
  bool known_[kRows];
};

// What the letters of a decision cost by its logarithmic odds, in 1/256 bit.
struct DecisionCosts {
  uint16_t no_yes[2 * kMaxStretched + 1][2];

  constexpr DecisionCosts() : no_yes() {
    for (int32_t odds = -kMaxStretched; odds <= kMaxStretched; ++odds) {
      const uint32_t yes = mixed_freq(kOdds.squashed(odds));
      no_yes[odds + kMaxStretched][0] = uint16_t(cost_of(kProbTotal - yes));
      no_yes[odds + kMaxStretched][1] = uint16_t(cost_of(yes));
    }
  }
  constexpr const uint16_t* of(int32_t odds) const { return no_yes[odds + kMaxStretched]; }
};
inline constexpr DecisionCosts kDecisionCosts{};

template <class Opinion>
class MixedPrices {
 public:
  struct Place {
    uint32_t key;
    unsigned row, shift;
    const uint16_t* cost[kDecisions];  // of "no" and "yes", in 1/256 bit
  };

  LACONIC_INLINE MixedPrices(const BandModel& m, const RowSums& sums, const Sources& src, uint32_t lambda)
      : m_(m), sums_(sums), tables_(first_tables(m, src)), lambda_(lambda), opinion_(src.network), row_(src.views) {}

  LACONIC_INLINE void start_row(const Context& own, const Sources& src, int y) {
    signs_.forget();
    if constexpr (Opinion::kSpeaks) opinion_.start_row(own, src, y);
  }
  LACONIC_INLINE void start_group(int x0) {
    if constexpr (Opinion::kSpeaks) opinion_.start_group(x0);
  }
  // Before the survivors at a position: tokens up to `largest` are what they may ask for.
  LACONIC_INLINE void start(int x, unsigned largest) {
    places_ = 0;
    if constexpr (Opinion::kSpeaks) here_ = row_ + x, here_->views = here_->signs = 0;
    decisions_ = largest < kDecisions ? largest + 1 : kDecisions;
    for (int i = 1; i < kMixParts; ++i) bucket_[i + 1] = bucket_of(16u + sums_.part[i][x]);
  }
  LACONIC_INLINE int64_t group(unsigned bucket, bool zero) const {
    return worth(lambda_, first_cost(tables_.group[bucket], zero));
  }
  LACONIC_INLINE int64_t sign(const Sight& s, const SignPlace& place, bool minus) {
    if constexpr (Opinion::kSpeaks)
      if (opinion_.tells_signs()) return told_sign(s, place, minus);
    return signs_.of(tables_.sign, place.row, minus != place.flips, lambda_);
  }
  LACONIC_INLINE const Place& at(const Sight& s) {
    const uint32_t key = uint32_t(s.west) << 16 | uint32_t(s.west2) << 8 | s.quantizer << 1 | uint32_t(s.waits);
    for (unsigned i = 0; i < places_; ++i)
      if (place_[i].key == key) return place_[i];
    return look(place_[places_++], s, key);
  }
  LACONIC_INLINE int64_t magnitude(const Place& at, uint32_t k) const {
    const unsigned token = token_of(k, at.shift);
    uint32_t cost = at.shift << 8;
    for (unsigned d = 0; d < token && d < kDecisions; ++d) cost += at.cost[d][0];
    if (token < kDecisions) return worth(lambda_, cost + at.cost[token][1]);
    const uint32_t* bound = tables_.rest[at.row];
    cost += cost_of(token_start(bound, token + 1) - token_start(bound, token));
    if (token == kEscape) cost += (5 + 31u - unsigned(__builtin_clz((k >> at.shift) + 1))) << 8;
    return worth(lambda_, cost);
  }

  // The operations of a row that is decided and stands in `own`; tables learn from it.
  inline bool push_row(OpList& ops, const Context& own, const Sources& src, int y, const uint32_t* magnitude) {
    if constexpr (Opinion::kSpeaks) {
      RememberedOpinion remembered(opinion_, row_, own.mag + ptrdiff_t(y) * own.stride);
      return push_mixed_row<true>(ops, m_, tables_, own, src, sums_, y, magnitude, remembered);
    } else {
      return push_mixed_row<true>(ops, m_, tables_, own, src, sums_, y, magnitude, opinion_);
    }
  }

 private:
  LACONIC_INLINE const Place& look(Place& p, const Sight& s, uint32_t key) {
    const uint32_t west = m_.weight[kTapOwn + 11] * uint32_t(s.west) + m_.weight[kTapOwn + 10] * uint32_t(s.west2);
    bucket_[0] = bucket_of(sums_.whole[s.x] + west);
    bucket_[1] = bucket_of(16 + sums_.part[0][s.x] + west);
    p.key = key;
    p.row = (s.quantizer * kKinds + s.waits) * kBuckets + bucket_[0];
    p.shift = m_.shift[bucket_[0]];
    const typename Opinion::Seen* seen = nullptr;
    if constexpr (Opinion::kSpeaks) seen = &seen_from(s);
    for (unsigned d = 0; d < decisions_; ++d) {
      const int32_t* w = tables_.weight[s.waits][d];
      int32_t sum = (1 << 15) + w[0] * kOdds.stretched[tables_.whole[p.row][d] >> 20];
      for (int i = 0; i < kMixParts; ++i)
        sum += w[i + 1] * kOdds.stretched[tables_.part[i][s.quantizer * kBuckets + bucket_[i + 1]][d] >> 20];
      if constexpr (Opinion::kSpeaks) sum += w[kMixInputs] * opinion_.odds(*seen, s.quantizer, d);
      p.cost[d] = kDecisionCosts.of(mixed_odds(sum));
    }
    return p;
  }

  // What the network sees does not hang on the quantizer, so survivors share more of it than prices.
  LACONIC_INLINE const typename Opinion::Seen& seen_from(const Sight& s) {
    const uint32_t key = PlaceViews::view_key(s.west, s.west2);
    if (const auto* known = here_->find_view(key)) return *known;
    auto& seen = here_->view[here_->views];
    here_->key[here_->views++] = key;
    opinion_.see(s.x, s.west, s.west2, seen);
    return seen;
  }

  // Of a position one sign can come true, so the price of it goes by the symbols to the left alone.
  inline int64_t told_sign(const Sight& s, const SignPlace& place, bool minus) {
    const int32_t west = signed_input(s.west, s.sign), west2 = signed_input(s.west2, s.sign2);
    const int32_t key = PlaceViews::sign_key(west, west2);
    if (const auto* known = here_->find_sign(key)) return known->price;
    if (!here_->signs) opinion_.signs.look(s.x);
    const int32_t odds = opinion_.signs.odds(west, west2);
    const int32_t sum = mixed_sign(tables_.sign_weight, tables_.sign[place.row], place.flips ? -odds : odds);
    const int64_t price = worth(lambda_, kDecisionCosts.of(mixed_odds(sum))[minus != place.flips]);
    here_->sign[here_->signs++] = {key, odds, price};
    return price;
  }

  const BandModel& m_;
  const RowSums& sums_;
  MixedTables tables_;
  const uint32_t lambda_;
  Opinion opinion_;
  SignPrices signs_;
  unsigned bucket_[kMixInputs];
  Place place_[kStates];
  PlaceViews *row_, *here_ = nullptr;
  unsigned places_ = 0, decisions_ = 0;
};

}  // namespace LACONIC_ISA
}  // namespace laconic
