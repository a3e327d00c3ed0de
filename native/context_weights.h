// context_weights.h - the network that sees the context of a coefficient, as it crosses into the kernels.
#pragma once
#include <cstdint>

#include "model.h"

namespace laconic {

constexpr int kHidden = 32;
constexpr int kTold = 39;              // inputs before it are the taps of own band, parent and siblings
constexpr int kInputs = kTold + 27;    // from it on, 3 x 3 foretold magnitudes of HL, LH and HH
constexpr int kOwnRow = 10;            // and 11: the only inputs that are not known before the row begins
constexpr uint8_t kMaxInput = 31;
constexpr int32_t kMaxUnit = 32767;    // of a hidden unit
constexpr int kOutputs = kQuantizers * kDecisions;

// Weights lie in pairs of inputs, so that one multiply-add takes two of them at once; inputs without any weight are left
// out, and an odd one is paired with itself at no weight.
struct ContextWeights {
  int pairs;
  uint8_t input[kInputs];
  alignas(64) int16_t weight[kInputs / 2][kHidden][2];
  alignas(64) int32_t bias[kHidden];
  alignas(64) int32_t own_row[2][kHidden];  // two left, one left
  alignas(64) int16_t output[kOutputs][kHidden];
  int32_t output_bias[kOutputs];
  int shift, output_shift;
};

}  // namespace laconic
