// context_weights.h - the network that sees the context of a coefficient, as it crosses into the kernels.
#pragma once
#include <cstdint>

#include "model.h"

namespace laconic {

constexpr int kHidden = 64, kMiddle = 32;  // units of the two layers
constexpr int kTold = 39;              // inputs before it are the taps of own band, parent and siblings
constexpr int kFar = kTold + 27;       // from kTold on, 3 x 3 foretold magnitudes of HL, LH and HH
constexpr int kFarInputs = 11;         // from kFar on, logarithms of sums (FarRows in context_network.h)
constexpr int kInputs = kFar + kFarInputs;
constexpr int kOwnRow = 10;            // and 11: the only inputs that are not known before the row begins
constexpr uint8_t kMaxInput = 31;
constexpr int32_t kMaxUnit = 32767;
constexpr int kOutputs = kQuantizers * kDecisions;

// Signs (sign_network.h): 10 neighbors of the own band, 3 x 3 in the parent and each sibling, and 3 x 3 of what is foretold
// of HL, LH and HH.
constexpr int kSignUnits = 64, kSignInputs = 64, kSignTold = 37;
constexpr int kSignOwnRow = 8;           // and 9: two left, one left
constexpr int32_t kMaxSignInput = 8;     // before kSignTold; from there on what is foretold is limited already

struct SignWeights {
  alignas(64) int16_t weight[kSignInputs / 2][kSignUnits][2];
  alignas(64) int16_t own_row[kSignUnits][2];
  alignas(64) int32_t bias[kSignUnits];
  alignas(64) int32_t output[kSignUnits];
  int32_t mix[2];  // what the table and the network count at first, 2^16 is 1.0
  int shift, output_shift;
};

// Weights lie in pairs of inputs, so that one multiply-add takes two of them at once; inputs without any weight are left
// out, and an odd one is paired with itself at no weight.
struct ContextWeights {
  int pairs;
  bool looks_far;  // whether any input from kFar on has a weight
  bool tells_signs;
  SignWeights signs;
  uint8_t input[kInputs];
  alignas(64) int16_t weight[kInputs / 2][kHidden][2];
  alignas(64) int32_t bias[kHidden];
  alignas(64) int16_t own_row[kHidden][2];  // two left, one left
  alignas(64) int16_t middle[kHidden / 2][kMiddle][2];
  alignas(64) int32_t middle_bias[kMiddle];
  alignas(64) int16_t output[kOutputs][kMiddle];
  int32_t output_bias[kOutputs];
  int shift, middle_shift, output_shift;
};

}  // namespace laconic
