// sample_model.h - parameter sets for tests and fuzzing: lawful, random, and as extreme as the model file may be.
#pragma once
#include <memory>
#include <vector>

#include "check.h"
#include "model.h"

namespace laconic {

// Fills a row of kTokens frequencies that sum to 2^14, the first and the last of them at least 1.
inline void sample_row(Random& random, uint16_t* freq, int flavor) {
  uint32_t left = kProbTotal - 2;
  for (int t = 0; t < kTokens; ++t) freq[t] = 0;
  freq[0] = freq[kEscape] = 1;
  for (int t = 0; t < kTokens; ++t) {
    if (flavor == 1 && random.below(2)) continue;  // tokens that were never seen
    const uint32_t part = flavor == 2 ? (t == 0 ? left : 0) : random.below(left / 2 + 1);
    freq[t] = uint16_t(freq[t] + part), left -= part;
  }
  freq[0] = uint16_t(freq[0] + left);
}

// flavor 0: ordinary; 1: tables with gaps; 2: nearly everything is zero; 3: the heaviest weights; 4: no weights,
// large shifts; 5: flags everywhere.
inline std::unique_ptr<ParameterSet> sample_model(Random& random, int planes, int flavor, bool trellis = false,
                                                  bool mixes = false, bool masks = false,
                                                  bool foretells = false, bool listens = false) {
  const size_t rows = size_t(kRowsEach) * (trellis ? kQuantizers : 1);
  const size_t bands = size_t(planes) * kBands;
  std::vector<uint8_t> weights(bands * kTaps), shift(bands * kBuckets);
  std::vector<uint16_t> bias(bands), limit(bands), freq(bands * rows * kTokens), group(bands * kBuckets), sign(bands * kSigns);
  std::vector<uint8_t> detail_weight(bands);
  std::vector<uint16_t> detail_sign(bands * kSides * kSigns);
  for (uint16_t& f : detail_sign) f = uint16_t(1 + random.below(kProbTotal - 1));
  std::vector<int8_t> recon(bands * rows * 3);
  std::vector<int16_t> predictor(size_t(planes) * 4);
  for (size_t k = 0; k < bands; ++k) {
    const int plane = int(k / kBands), j = int(k % kBands), orientation = j == 0 ? 0 : (j - 1) % 3;
    bias[k] = uint16_t(16 + random.below(100));
    uint32_t budget = (65535u - bias[k]) / kMaxCompanded;
    for (int i = 0; i < kTaps && flavor != 4; ++i) {
      if (i >= kTapParent && i < kTapSibling && j < 4) continue;
      if (i >= kTapSibling && i < kTapSibling + 9 && orientation < 1) continue;
      if (i >= kTapSibling + 9 && i < kTapColor && orientation < 2) continue;
      if (i >= kTapColor && i < kTapColor + 9 && (plane < 1 || plane == 3)) continue;
      if (i >= kTapColor + 9 && (plane < 2 || plane == 3)) continue;
      const uint32_t most = flavor == 3 ? 255 : 16;
      const uint32_t w = random.below((budget < most ? budget : most) + 1);
      weights[k * kTaps + size_t(i)] = uint8_t(w), budget -= w;
    }
    if (foretells) detail_weight[k] = uint8_t(random.below((4 * budget < 255 ? 4 * budget : 255) + 1));
    limit[k] = flavor == 5 ? 65535 : uint16_t(random.below(300));
    for (size_t r = 0; r < rows; ++r) sample_row(random, &freq[(k * rows + r) * kTokens], flavor);
    for (size_t c = 0; c < kBuckets; ++c) {
      shift[k * kBuckets + c] = uint8_t(random.below(flavor == 4 ? kMaxShift + 1 : 3));
      group[k * kBuckets + c] = uint16_t(1 + random.below(kProbTotal - 1));
    }
    for (size_t c = 0; c < kSigns; ++c) sign[k * kSigns + c] = uint16_t(1 + random.below(kProbTotal - 1));
    for (size_t r = 0; r < rows * 3; ++r) recon[k * rows * 3 + r] = int8_t(int(random.below(127)) - 63);
  }
  const size_t scales = size_t(kBuckets) * (trellis ? kQuantizers : 1);
  std::vector<uint16_t> part(bands * kMixParts * scales * kDecisions);
  std::vector<int16_t> mix(bands * kKinds * kDecisions * kMixInputs);
  for (uint16_t& f : part) f = uint16_t(1 + random.below(kProbTotal - 1));
  for (int16_t& w : mix) w = flavor == 3 ? int16_t(random.below(2) ? 8192 : -8192) : int16_t(int(random.below(8193)) - 2048);
  std::vector<uint16_t> mask(size_t(planes) * kMaskedLevels * kContrasts);
  for (uint16_t& f : mask) f = uint16_t(kNoMask + random.below(flavor == 3 ? 1 + kStrongestMask - kNoMask : 600));
  std::vector<int16_t> heard(bands * kKinds * kDecisions);
  for (int16_t& w : heard) w = int16_t(int(random.below(16385)) - 8192);
  for (int16_t& w : predictor) w = int16_t(int(random.below(1025)) - 512);
  return build_parameter_set(planes, {trellis ? kQuantizers : 1, weights.data(), bias.data(), limit.data(), freq.data(), shift.data(), group.data(),
                                      sign.data(), recon.data(), predictor.data(), mixes ? part.data() : nullptr,
                                      mixes ? mix.data() : nullptr, masks ? mask.data() : nullptr,
                                      foretells ? detail_weight.data() : nullptr,
                                      foretells ? detail_sign.data() : nullptr,
                                      listens && mixes ? heard.data() : nullptr});
}

}  // namespace laconic
