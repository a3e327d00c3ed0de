// context_views.h - what the search saw of each place of a row through the networks of context, kept for the coder.
//
// The search (symbol_prices.h) asks what is seen from a place for every past that may come true; when a row is decided the
// coder asks again for the past that did. Both would compute the same, so the answers stay until the next row.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include "context_network.h"
#include "dependent.h"

namespace laconic {
namespace LACONIC_ISA {

// What was asked at one place, by the two symbols to the left. Of signs only those that are told by a network.
struct PlaceViews {
  struct Sign {
    int32_t key, odds;
    int64_t price;
  };
  uint32_t views, signs;  // how many of each are known
  uint32_t key[kStates];
  Sign sign[kStates];
  ContextNetwork::Seen view[kStates];

  static LACONIC_INLINE uint32_t view_key(uint8_t west, uint8_t west2) { return uint32_t(west) << 8 | west2; }
  static LACONIC_INLINE int32_t sign_key(int32_t west, int32_t west2) { return west * 64 + west2; }

  LACONIC_INLINE const ContextNetwork::Seen* find_view(uint32_t wanted) const {
    for (uint32_t i = 0; i < views; ++i)
      if (key[i] == wanted) return &view[i];
    return nullptr;
  }
  LACONIC_INLINE const Sign* find_sign(int32_t wanted) const {
    for (uint32_t i = 0; i < signs; ++i)
      if (sign[i].key == wanted) return &sign[i];
    return nullptr;
  }
};

// The opinion of a network on a row that a search has gone through: nothing is computed but the odds of decisions.
class RememberedOpinion {
 public:
  static constexpr bool kSpeaks = true;
  LACONIC_INLINE RememberedOpinion(const ContextNetwork& network, const PlaceViews* row, const uint8_t* mag)
      : network_(network), row_(row), mag_(mag) {}

  LACONIC_INLINE void start_row(const Context&, const Sources&, int) const {}
  LACONIC_INLINE void start_group(int) const {}
  LACONIC_INLINE void look(int x, unsigned quantizer) {
    seen_ = row_[x].find_view(PlaceViews::view_key(mag_[x - 1], mag_[x - 2]));
    quantizer_ = quantizer;
  }
  LACONIC_INLINE int32_t odds(unsigned decision) const { return network_.odds(*seen_, quantizer_, decision); }
  LACONIC_INLINE bool tells_signs() const { return network_.tells_signs(); }
  LACONIC_INLINE int32_t sign_odds(int x, int32_t west, int32_t west2) const {
    return row_[x].find_sign(PlaceViews::sign_key(west, west2))->odds;
  }

 private:
  const ContextNetwork& network_;
  const PlaceViews* row_;
  const uint8_t* mag_;
  const ContextNetwork::Seen* seen_ = nullptr;
  unsigned quantizer_ = 0;
};

}  // namespace LACONIC_ISA
}  // namespace laconic
