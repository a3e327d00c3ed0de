// model.h - one parameter set of the context model, checked once and laid out for speed.
//
// A set holds, for every band of every plane, the weights of the causal context, and for every context the frequency
// tables. All of it is integers. The arrays come from a model file, which is as hostile as any other file: `build`
// refuses what could overflow, divide by zero or make a decoder disagree with an encoder.
#pragma once
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

#include "rans.h"

namespace laconic {

constexpr int kLevels = 6;
constexpr int kBands = 1 + 3 * kLevels;  // LL, then HL, LH, HH of levels 6 .. 1
constexpr int kTaps = 57;
constexpr int kBuckets = 48;
constexpr int kTokens = 16;  // 0 .. 14 and the escape
constexpr int kEscape = 15;
constexpr int kKinds = 2;  // 0 ordinary, 1 before the first nonzero of a group known to hold one
constexpr int kQuantizers = 2;  // of a trellis; a set without one uses the first alone
constexpr int kRowsEach = kKinds * kBuckets;
constexpr int kRows = kQuantizers * kRowsEach;
constexpr int kSigns = 27;
constexpr int kMaxForetold = 31;
constexpr int kSides = 7;  // how far from zero a coefficient is foretold (details.h), 0 aside
constexpr int kSignRows = (1 + kSides) * kSigns;
constexpr int kGroup = 16;
constexpr int kMaxCompanded = 127;
constexpr int kMaxShift = 8;

// Where the taps of each source start (see causal.h for what they are).
constexpr int kTapOwn = 0, kTapParent = 12, kTapSibling = 21, kTapColor = 39;

// Frequency tables while a band is coded (learning.h): bounds in 2^-24, and how often each table was used, at most 255.
constexpr unsigned kBoundBits = 24;
constexpr uint8_t kRates[16] = {5,5,6,6,6,6,6,6,6,6,7,7,7,7,7,7};
struct BandTables {
  alignas(64) uint32_t rest[kRows][kTokens];  // where the interval of each token but 0 begins if it is not 0; [0] is 0
  uint8_t rest_seen[kRows];
  // Of two letters: where the first ends, times 2^8, and how often the table was used.
  uint32_t zero[kRows];       // token 0
  uint32_t group[kBuckets];   // "all zero"
  uint32_t sign[kSignRows];   // "negative"; where a side is foretold, "the other side"
};

// Mixing (mixing.h): decisions "is it 0, 1, 2" have a table in each of five activities.
constexpr int kMixInputs = 5, kMixParts = kMixInputs - 1;
constexpr int kDecisions = 3;
constexpr int kMixLanes = 8;  // weights of a decision lie side by side: of the inputs, of a network's opinion, and zeros

constexpr int32_t kMaxStretched = 2047;  // logarithmic odds, in 1/256, either way
constexpr int kMaxFirstWeight = 8192;    // of a source as the mixing begins, either way; 4096 is 1.0

// 2^16 / (1 + e^(-k / 8)) for k = -64 .. 64, and its inverse.
struct Odds {
  uint16_t probability[129] = {
      22, 25, 28, 32, 36, 41, 47, 53, 60, 68, 77, 87, 98, 111, 126, 143, 162, 184, 208, 236, 267, 302, 342, 387,
      439, 497, 562, 636, 720, 815, 922, 1042, 1179, 1333, 1506, 1701, 1921, 2168, 2446, 2758, 3108, 3500, 3938,
      4427, 4971, 5577, 6249, 6992, 7812, 8714, 9702, 10782, 11955, 13226, 14595, 16062, 17625, 19282, 21025, 22849,
      24743, 26695, 28693, 30723, 32768, 34813, 36843, 38841, 40793, 42687, 44511, 46254, 47911, 49474, 50941,
      52310, 53581, 54754, 55834, 56822, 57724, 58544, 59287, 59959, 60565, 61109, 61598, 62036, 62428, 62778,
      63090, 63368, 63615, 63835, 64030, 64203, 64357, 64494, 64614, 64721, 64816, 64900, 64974, 65039, 65097,
      65149, 65194, 65234, 65269, 65300, 65328, 65352, 65374, 65393, 65410, 65425, 65438, 65449, 65459, 65468,
      65476, 65483, 65489, 65495, 65500, 65504, 65508, 65511, 65514};
  int16_t stretched[4096];  // of a probability in 2^-12: the logarithm of its odds
  uint16_t between[4096];   // what `squashed` answers

  // Probability, in 2^-16, whose logarithmic odds are x / 256, -2048 <= x < 2048.
  constexpr uint32_t squashed(int32_t x) const { return between[uint32_t(x + 2048) & 4095]; }

 private:
  constexpr uint32_t interpolated(int32_t x) const {
    const uint32_t k = uint32_t(x + 2048) >> 5, part = uint32_t(x + 2048) & 31;
    return (probability[k] * (32 - part) + probability[k + 1] * part) >> 5;
  }

 public:
  constexpr Odds() : stretched(), between() {
    for (int32_t x = -2048; x < 2048; ++x) between[x + 2048] = uint16_t(interpolated(x));
    int32_t x = -kMaxStretched;
    for (uint32_t i = 0; i < 4096; ++i) {
      while (x < kMaxStretched && squashed(x) < 16 * i + 8) ++x;
      stretched[i] = int16_t(x);
    }
  }
};
inline constexpr Odds kOdds{};

struct MixedTables {
  alignas(64) uint32_t rest[kRows][kTokens];  // of tokens from 3 on, otherwise as in BandTables
  uint8_t rest_seen[kRows];
  uint32_t whole[kRows][kDecisions + 1];  // of two letters, by the whole activity; the last is not used
  uint32_t part[kMixParts][kQuantizers * kBuckets][kDecisions + 1];  // by the activity of one source alone
  alignas(32) int32_t weight[kKinds][kDecisions][kMixLanes];  // 2^16 is 1.0
  uint32_t group[kBuckets];
  uint32_t sign[kSignRows];
  int32_t sign_weight[2];  // 2^16 is 1.0: of the table of a sign, and of a network's opinion
};

struct BandModel {
  uint8_t weight[kTaps];
  uint8_t detail_weight;  // of the magnitude that is foretold
  uint16_t bias, group_limit;
  uint8_t shift[kBuckets];
  int8_t recon[kRows][3];  // toward zero, 1/64 step
  bool uses_parent, uses_sibling[2], uses_color[2];
  BandTables tables;  // as each tile begins with them
  MixedTables mixed;  // in sets that mix
};

constexpr int kMaxPlanes = 4, kColorPlanes = 3;

// Masking (masking.h): by how much steps grow at each contrast, level 1 first.
constexpr int kMaskedLevels = kLevels - 1, kContrasts = 96;
constexpr uint16_t kNoMask = 256, kStrongestMask = 16 * 256;
struct MaskTable {
  uint16_t factor[kContrasts];   // 1/256
  uint32_t inverse[kContrasts];  // 2^24 / factor
};

struct ParameterSet {
  int planes;
  bool trellis;  // whether symbols take turns between two quantizers (dependent.h)
  bool mixes;    // whether probabilities are mixed (mixing.h)
  bool masks;    // whether steps follow the contrast (masking.h)
  bool foretells;  // whether contexts know what is foretold of details (details.h)
  bool listens;    // whether networks that see the context have a say (context_network.h)
  int16_t ll_pred[kMaxPlanes][4];
  MaskTable mask[kMaxPlanes][kMaskedLevels];
  BandModel bands[kMaxPlanes * kBands];
};

// log2(1 + i / 256) in 1/256, by repeated squaring: no floating point, so every machine's encoder decides alike.
struct Logarithms {
  uint8_t fraction[256];

  constexpr Logarithms() : fraction() {
    for (uint32_t i = 0; i < 256; ++i) {
      uint64_t x = uint64_t(256 + i) << 23;
      for (int bit = 7; bit >= 0; --bit) {
        x = x * x >> 31;
        if (x >= uint64_t{1} << 32) x >>= 1, fraction[i] = uint8_t(fraction[i] | 1u << bit);
      }
    }
  }
};
inline constexpr Logarithms kLogarithms{};

struct ParameterArrays {  // all C-contiguous, shapes as in spec/entropy.md
  int quantizers;  // 1 or 2
  const uint8_t* weights;
  const uint16_t *bias, *group_limit, *freq;
  const uint8_t* shift;
  const uint16_t *group_freq, *sign_freq;
  const int8_t* recon;
  const int16_t* ll_pred;
  const uint16_t* part_freq;  // null in a set that does not mix, and so the next
  const int16_t* mix_weights;
  const uint16_t* mask;  // null in a set that does not mask
  const uint8_t* detail_weight;  // null in a set that foretells nothing, and so the next
  const uint16_t* detail_sign_freq;
  const int16_t* context_weight;  // null in a set that does not listen to networks
};

// The tables of a band's decisions before it begins: the share of each letter among those still possible.
inline void build_mixed(MixedTables& t, const BandTables& plain, const uint16_t* freq, size_t rows) {
  constexpr uint32_t kLeast = 1u << 12;
  for (size_t r = 0; r < rows; ++r) {
    const uint16_t* f = freq + r * kTokens;
    uint32_t left = kProbTotal;
    for (int d = 0; d < kDecisions; left -= f[d++]) {
      const uint32_t bound = uint32_t((uint64_t(f[d]) << kBoundBits) / left), most = (1u << kBoundBits) - kLeast;
      t.whole[r][d] = (bound < kLeast ? kLeast : bound > most ? most : bound) << 8;
    }
    for (uint32_t i = kDecisions, sum = 0; i < kTokens; sum += f[i++])
      t.rest[r][i] = uint32_t((uint64_t(sum) << kBoundBits) / left);
  }
  for (int c = 0; c < kBuckets; ++c) t.group[c] = plain.group[c];
  for (int c = 0; c < kSignRows; ++c) t.sign[c] = plain.sign[c];
}

// Precondition: 1 <= planes <= kMaxPlanes. Throws std::invalid_argument that names what is wrong and where.
inline std::unique_ptr<ParameterSet> build_parameter_set(int planes, const ParameterArrays& a) {
  const auto refuse = [](const char* what, size_t band) {
    throw std::invalid_argument(std::string(what) + " in band " + std::to_string(band));
  };
  auto set = std::make_unique<ParameterSet>();
  set->planes = planes;
  set->trellis = a.quantizers == kQuantizers;
  set->mixes = a.part_freq != nullptr;
  set->masks = a.mask != nullptr;
  set->foretells = a.detail_weight != nullptr;
  set->listens = a.context_weight != nullptr;
  if (set->listens && !set->mixes) throw std::invalid_argument("an opinion without mixing");
  if (set->masks && !set->trellis) throw std::invalid_argument("masking without a trellis");
  const size_t rows = size_t(a.quantizers) * kRowsEach;
  for (size_t k = 0; k < size_t(planes) * kBands; ++k) {
    BandModel& b = set->bands[k];
    const int plane = int(k / kBands), j = int(k % kBands);
    uint32_t sum = 0;
    for (int i = 0; i < kTaps; ++i) sum += b.weight[i] = a.weights[k * kTaps + size_t(i)];
    uint32_t most = kMaxCompanded * sum;
    if (set->foretells) most += kMaxForetold * uint32_t(b.detail_weight = a.detail_weight[k]);
    b.bias = a.bias[k];
    // The activity is a 16-bit sum: this bound is what makes wrapping impossible, and bucket 0 starts at 16.
    if (b.bias < 16 || b.bias + most > 65535) refuse("bias and weights out of range", k);
    b.group_limit = a.group_limit[k];
    const auto any = [&](int first, int count) {
      bool found = false;
      for (int i = 0; i < count; ++i) found |= b.weight[first + i] != 0;
      return found;
    };
    b.uses_parent = any(kTapParent, 9);
    for (int s = 0; s < 2; ++s) b.uses_sibling[s] = any(kTapSibling + 9 * s, 9), b.uses_color[s] = any(kTapColor + 9 * s, 9);
    const int orientation = j == 0 ? 0 : (j - 1) % 3;
    const bool alpha = plane == 3;
    if ((b.uses_parent && j < 4) || (b.uses_sibling[0] && orientation < 1) || (b.uses_sibling[1] && orientation < 2) ||
        (b.uses_color[0] && (plane < 1 || alpha)) || (b.uses_color[1] && (plane < 2 || alpha)))
      refuse("a weight on a source that does not exist", k);
    for (size_t r = 0; r < rows; ++r) {
      const uint16_t* freq = a.freq + (k * rows + r) * kTokens;
      uint32_t total = 0;
      for (int t = 0; t < kTokens; ++t) {
        total += freq[t];
      }
      if (total != kProbTotal) refuse("frequencies that do not sum to 16384", k);
      if (freq[0] == 0 || freq[kEscape] == 0) refuse("a zero or an escape of frequency 0", k);
      b.tables.zero[r] = uint32_t(freq[0]) << (kBoundBits - kProbBits + 8);
      for (uint32_t t = 1, sum = 0; t < kTokens; sum += freq[t++])
        b.tables.rest[r][t] = uint32_t((uint64_t(sum) << kBoundBits) / (kProbTotal - freq[0]));
      for (int i = 0; i < 3; ++i) {
        b.recon[r][i] = a.recon[(k * rows + r) * 3 + size_t(i)];
        if (b.recon[r][i] < -63 || b.recon[r][i] > 63) refuse("a reconstruction offset of a step or more", k);
      }
    }
    for (int c = 0; c < kBuckets; ++c) {
      b.shift[c] = a.shift[k * kBuckets + size_t(c)];
      const uint32_t zero = a.group_freq[k * kBuckets + size_t(c)];
      if (b.shift[c] > kMaxShift) refuse("a shift over 8", k);
      if (zero < 1 || zero >= kProbTotal) refuse("a group frequency out of range", k);
      b.tables.group[c] = zero << (kBoundBits - kProbBits + 8);
    }
    for (int c = 0; c < kSigns; ++c) {
      const uint32_t negative = a.sign_freq[k * kSigns + size_t(c)];
      if (negative < 1 || negative >= kProbTotal) refuse("a sign frequency out of range", k);
      b.tables.sign[c] = negative << (kBoundBits - kProbBits + 8);
    }
    for (int c = 0; c < kSides * kSigns && set->foretells; ++c) {
      const uint32_t other = a.detail_sign_freq[k * kSides * kSigns + size_t(c)];
      if (other < 1 || other >= kProbTotal) refuse("a sign frequency out of range", k);
      b.tables.sign[kSigns + c] = other << (kBoundBits - kProbBits + 8);
    }
    if (!set->mixes) continue;
    build_mixed(b.mixed, b.tables, a.freq + k * rows * kTokens, rows);
    const int scales = a.quantizers * kBuckets;
    for (int i = 0; i < kMixParts; ++i)
      for (int c = 0; c < scales; ++c)
        for (int d = 0; d < kDecisions; ++d) {
          const uint32_t first = a.part_freq[((k * kMixParts + size_t(i)) * size_t(scales) + size_t(c)) * kDecisions + size_t(d)];
          if (first < 1 || first >= kProbTotal) refuse("a frequency of a decision out of range", k);
          b.mixed.part[i][c][d] = first << (kBoundBits - kProbBits + 8);
        }
    for (size_t i = 0; i < kKinds * kDecisions; ++i) {
      int32_t* to = b.mixed.weight[i / kDecisions][i % kDecisions];
      const auto take = [&](int input, int16_t w) {
        if (w < -kMaxFirstWeight || w > kMaxFirstWeight) refuse("a weight of the mixing out of range", k);
        to[input] = int32_t(w) * 16;
      };
      for (int j = 0; j < kMixInputs; ++j) take(j, a.mix_weights[(k * kKinds * kDecisions + i) * kMixInputs + size_t(j)]);
      if (set->listens) take(kMixInputs, a.context_weight[k * kKinds * kDecisions + i]);
    }
  }
  for (int p = 0; p < planes; ++p) {
    for (int i = 0; i < kMaskedLevels * kContrasts && set->masks; ++i) {
      const uint16_t factor = a.mask[p * kMaskedLevels * kContrasts + i];
      if (factor < kNoMask || factor > kStrongestMask) refuse("a masking factor out of range", size_t(p) * kBands);
      MaskTable& table = set->mask[p][i / kContrasts];
      table.factor[i % kContrasts] = factor, table.inverse[i % kContrasts] = (1u << 24) / factor;
    }
    for (int i = 0; i < 4; ++i) {
      const int16_t w = set->ll_pred[p][i] = a.ll_pred[p * 4 + i];
      if (w < -512 || w > 512) refuse("a predictor weight out of range", size_t(p) * kBands);
    }
  }
  return set;
}

}  // namespace laconic
