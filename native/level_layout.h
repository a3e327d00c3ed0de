// level_layout.h - what encoder and decoder of the levels of one matrix agree on beforehand.
#pragma once
#include <cstddef>
#include <cstdint>

namespace laconic {

constexpr int kDirectTokens = 16, kTokensPerOctave = 8;
constexpr int kTrellisTokens = kDirectTokens + 11 * kTokensPerOctave;  // magnitudes below 2^15
constexpr int kLevelTokens = kDirectTokens + 26 * kTokensPerOctave;    // magnitudes below 2^30
constexpr int kEnergyBuckets = 24;                                     // two to an octave
constexpr int kTokenSets = 3;  // quantizer 0 in state 0 (runs of zeros stay there), quantizer 0 elsewhere, quantizer 1

// What the expected magnitude is made of; chosen by the encoder for each tensor.
enum LevelContexts : unsigned { kNoEnergy = 0, kRowEnergy = 1, kColumnEnergy = 2, kRowAndColumn = 3 };

struct LevelLayout {
  size_t count, columns;  // row by row; the last row may be short
  unsigned trellis_bits;  // 0: no trellis, every level is of quantizer 0
  unsigned contexts;      // LevelContexts
  int tokens;             // 1 + the largest token that occurs, at least 2
  unsigned scale;         // bucket of the mean magnitude, where everything starts
  bool shared_zero;       // quantizer 1 has a zero too, see trellis.h
};

}  // namespace laconic
