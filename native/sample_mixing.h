// sample_mixing.h - a sample coded as a chain of decisions around what is foretold of it: is it above or below, and is it
// farther away than a bound that doubles again and again; at last halves of what is left. Each decision is mixed from
// what eight distributions, a histogram and one table that learns say of it (logistic mixing, see mixing.h).
//
// The distributions are logistic. Each has a center, one of the predictions, and a scale, the mean error that was seen
// where some measure of the surroundings was as it is here. Integers only.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include "sample_prediction.h"

namespace laconic {
namespace LACONIC_ISA {

constexpr int kDistributions = 8;
constexpr int kMixedLanes = 16;  // they, a histogram, a table and a constant, with room to spare
constexpr int kDecisionKinds = 64, kScaleBuckets = 80, kGrades = 16, kTextures = 64;
constexpr int kScaleBits = 10;             // of a scale's fraction
constexpr int32_t kLeastScale = 123;       // 0.12
constexpr int32_t kFirstMixedWeight = 7864;  // 0.12 in 2^-16
constexpr int32_t kMostMixedWeight = 1 << 19;
constexpr int32_t kConstantInput = 77;       // 0.3 in 1/256
constexpr int kMassBits = 30;
constexpr uint32_t kInverseScale = 5678;   // 4096 * 2 ln 2: from a mean error to the scale of a logistic distribution
constexpr uint32_t kReach = 738;           // 2^10 * 4095 / 5678: no bound is taken to be farther than so many scales
constexpr int32_t kNarrowScale = 1434;     // 1.4: up to here bounds are 1 apart
constexpr uint32_t kLeastMass = 128;       // added to every mass, in 2^-30

// 2^30 / (1 + e^(i / 16)): what of a logistic distribution lies beyond.
struct Survival {
  uint32_t at[257], less[257];  // less: at[i] - at[i + 1]
  constexpr Survival() : at(), less() {
    uint64_t e = uint64_t{1} << 31;  // 2^31 e^(-i / 16)
    const auto next = [&e] {
      const uint32_t s = uint32_t((e << kMassBits) / ((uint64_t{1} << 31) + e));
      e = e * 61565 >> 16;
      return s;
    };
    uint32_t s = next();
    for (int i = 0; i < 257; ++i) {
      const uint32_t t = next();
      at[i] = s, less[i] = s - t, s = t;
    }
  }
  // Of a distance in 1/256 of the scale of the distribution, -4095 .. 4095.
  LACONIC_INLINE uint32_t beyond(int32_t z) const {
    const uint32_t m = uint32_t(z < 0 ? -z : z), i = m >> 4;
    const uint32_t s = at[i] - (less[i] * (m & 15) >> 4);
    return z < 0 ? (1u << kMassBits) - s : s;
  }
};
inline constexpr Survival kSurvival{};

// 2^16 / (n + 6), and no less than 2^16 / 160: how fast a mean follows that has seen n.
struct MeanRates {
  uint16_t at[160];
  constexpr MeanRates() : at() {
    for (uint32_t n = 0; n < 160; ++n) at[n] = uint16_t(65536 / (n + 6 < 160 ? n + 6 : 160));
  }
};
inline constexpr MeanRates kMeanRates{};

// A mean that learns.
struct Mean {
  int32_t value;
  uint8_t seen;
  LACONIC_INLINE void learn(int32_t x) {
    value += int32_t(int64_t(x - value) * kMeanRates.at[seen] >> 16);
    seen = uint8_t(seen + (seen < 159));
  }
};

// 2^i/4 in 2^-12 for i = 0 .. 3.
constexpr uint32_t kQuarterOctaves[4] = {4096, 4871, 5793, 6889};

#if defined(__AVX2__)
// log2(1 + i / 256) in 1/256, in words that can be gathered.
struct WideLogarithms {
  int32_t fraction[256];
  constexpr WideLogarithms() : fraction() {
    for (int i = 0; i < 256; ++i) fraction[i] = kLogarithms.fraction[i];
  }
};
inline constexpr WideLogarithms kWideLogarithms{};
#endif

// What a sample's surroundings say of the errors to expect.
struct Surroundings {
  int own, others, both, spread;  // buckets, a quarter of an octave each
  int pair;                       // of own and others, coarser
  int grade;                      // of own, an octave each
  int texture;                    // which neighbors are above the prediction
};

// The state of one plane.
class SampleMixer {
 public:
  struct Memory {
    Mean scale[7][kScaleBuckets];
    Mean pair[32 * 32];
    alignas(64) int32_t by_scale[kDecisionKinds * kGrades][kMixedLanes];
    alignas(64) int32_t by_texture[kDecisionKinds * kTextures][kMixedLanes];
    struct Chance {
      uint16_t p;  // 2^-16
      uint8_t seen;
    } table[kDecisionKinds * kTextures * kGrades];
    uint32_t count[256], up_to[257];
  };

  LACONIC_INLINE void start(int depth, Memory* memory) {
    m_ = memory, top_ = 1 << depth, counts_ = depth == 8;
    for (int k = 0; k < kScaleBuckets; ++k) {
      // 4 e + 1 = 2^(k / 4), and scale 0.7 e + 0.4.
      const int64_t four_e = (int64_t(kQuarterOctaves[k & 3]) << (k >> 2)) - 4096;
      for (Mean(&of)[kScaleBuckets] : m_->scale) of[k] = {int32_t((four_e * 7 / 10) >> 4) + 410, 0};
    }
    for (int k = 0; k < 32 * 32; ++k) {
      const int own = k / 32 * 5 / 2;
      m_->pair[k] = m_->scale[0][own < kScaleBuckets ? own : kScaleBuckets - 1];
    }
    for (int k = 0; k < kDecisionKinds * kGrades; ++k) first_weights(m_->by_scale[k]);
    for (int k = 0; k < kDecisionKinds * kTextures; ++k) first_weights(m_->by_texture[k]);
    for (Memory::Chance& c : m_->table) c = {1 << 15, 0};
    memset(m_->count, 0, sizeof m_->count);
  }

  // Before each row: the histogram of the rows before.
  LACONIC_INLINE void start_row() {
    uint32_t sum = 0;
    for (int v = 0; v < 256; ++v) m_->up_to[v] = sum, sum += m_->count[v] + 3;
    m_->up_to[256] = sum;
  }

  // Codes a sample: `coder.decide(freq, yes)` codes a decision whose "yes" has a frequency of 1 .. 16383; a decoder
  // ignores what it is told and returns what it finds. The samples of a row come from left to right.
  template <class Coder>
  LACONIC_INLINE int32_t code(Coder& coder, const Guess& f, const Surroundings& s, int32_t sample) {
    int32_t center = (f.blended + 32) >> kUnitBits;
    center = center >= top_ ? top_ - 1 : center;
    Mean* const means[kDistributions] = {&m_->scale[0][s.own],    &m_->scale[1][s.others], &m_->pair[s.pair],
                                         &m_->scale[2][s.spread], &m_->scale[3][s.both],   &m_->scale[4][s.both],
                                         &m_->scale[5][s.both],   &m_->scale[6][s.both]};
    alignas(32) const int32_t centers[kDistributions] = {f.blended, f.blended, f.blended, f.blended,
                                             f.by[0],   f.by[1],   f.by[2],   f.by[3]};
    const int32_t pair_scale = means[2]->value;
    int step_bits = 0;  // of the nearest bound
    for (int32_t most = kNarrowScale; pair_scale > most && step_bits < 14; most *= 2) ++step_bits;
    const int scale_grade = limited_grade(pair_scale);
    const int fraction = ((f.blended - (center << kUnitBits) + 32) >> 4) & 3;
    weights_by_scale_ = scale_grade, weights_by_texture_ = (s.texture & 15) * 4 + fraction;
    table_at_ = s.texture * kGrades + s.grade;
    measure(means, centers, (center << kUnitBits) - (1 << (kUnitBits - 1)));
    alignas(32) int32_t first[kDistributions];
    distances(first, 1, 0);
    // Is it at the center or above?
    alignas(64) int32_t in[kMixedLanes] = {};
    for (int i = 0; i < kDistributions; ++i) in[i] = -limited(first[i], kMaxStretched);
    bool up = true;
    if (center > 0) {
      const int32_t width = 1 << step_bits;
      in[kDistributions] = counted(center, center + width, center, center - width);
      up = decide(coder, in, 0, sample >= center);
    }
    // How far, beginning with 0 in that direction.
    const int32_t limit = up ? top_ - center : center;
    const int32_t far = up ? sample - center : center - 1 - sample;
    const int32_t sign = up ? 1 : -1;
    const int side = up ? 0 : 32;
    alignas(32) uint32_t low_mass[kDistributions], high_mass[kDistributions], mass[kDistributions];
    masses(low_mass, sign, 0);
    memset(high_mass, 0, sizeof high_mass);
    int32_t low = 0, high = limit;
    for (int k = 0;; ++k) {
      const int32_t bound = low + bound_width(k, step_bits);
      if (bound >= limit) break;
      masses(mass, sign, bound);
      all_odds(in, low_mass, mass, nullptr);
      in[kDistributions] = beside(up, center, low, bound, bound + (1 << step_bits));
      if (!decide(coder, in, side + 1 + (k < 19 ? k : 19), far >= bound)) {
        high = bound;
        memcpy(high_mass, mass, sizeof mass);
        break;
      }
      low = bound;
      memcpy(low_mass, mass, sizeof mass);
    }
    for (int k = 0; high - low > 1; ++k) {
      const int32_t middle = (low + high) >> 1;
      masses(mass, sign, middle);
      all_odds(in, low_mass, mass, high_mass);
      in[kDistributions] = beside(up, center, low, middle, high);
      if (decide(coder, in, side + 24 + (k < 7 ? k : 7), far >= middle))
        low = middle, memcpy(low_mass, mass, sizeof mass);
      else
        high = middle, memcpy(high_mass, mass, sizeof mass);
    }
    const int32_t found = up ? center + low : center - 1 - low;
    learn(f, means, found);
    return found;
  }

 private:
  LACONIC_INLINE static void first_weights(int32_t* w) {
    for (int i = 0; i < kMixedLanes; ++i) w[i] = i < kDistributions ? kFirstMixedWeight : 0;
  }
  // How much farther bound k lies than the one before: 1, 1, 1, 1, 2, 2, 4, 4, 8, 8, .. steps.
  LACONIC_INLINE static int32_t bound_width(int k, int step_bits) {
    const int bits = (k < 4 ? 0 : (k - 2) >> 1) + step_bits;
    return 1 << (bits > 20 ? 20 : bits);
  }
  // log2(4 s + 1), rounded down, of a scale.
  LACONIC_INLINE static int limited_grade(int32_t scale) {
    const int g = log2_16(uint32_t(scale) + 256) / 16 - 8;
    return g > kGrades - 1 ? kGrades - 1 : g;
  }
  // What distances from the centers go by; `edge` is where the value at hand begins.
  LACONIC_INLINE void measure(Mean* const* means, const int32_t* centers, int32_t edge) {
#if defined(__AVX2__)
    const auto value = [&](int i) { return means[i]->value; };
    const __m256i scale = _mm256_max_epi32(
        _mm256_setr_epi32(value(0), value(1), value(2), value(3), value(4), value(5), value(6), value(7)),
        _mm256_set1_epi32(kLeastScale));
    // Quotients of such small numbers differ from whole ones by more than rounding does, so whole parts are exact.
    const __m256d low = _mm256_cvtepi32_pd(_mm256_castsi256_si128(scale)), high = _mm256_cvtepi32_pd(_mm256_extracti128_si256(scale, 1));
    const auto octave = [](__m256d x) { return _mm256_srli_epi64(_mm256_castpd_si256(x), 52); };
    const auto inverse = [&](__m256d x) {
      const __m256d power = _mm256_castsi256_pd(_mm256_slli_epi64(octave(x), 52));
      return _mm256_cvttpd_epi32(_mm256_div_pd(_mm256_mul_pd(power, _mm256_set1_pd(kInverseScale)), x));
    };
    store8(inverse_, _mm256_setr_m128i(inverse(low), inverse(high)));
    const __m256i octaves = _mm256_permute4x64_epi64(
        _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(octave(low)), _mm256_castsi256_ps(octave(high)), 0x88)), 0xd8);
    const __m256i bits = _mm256_sub_epi32(octaves, _mm256_set1_epi32(1023));
    const __m256i coarse = _mm256_max_epi32(_mm256_sub_epi32(bits, _mm256_set1_epi32(17)), _mm256_setzero_si256());
    store8(coarse_, coarse), store8(shift_, _mm256_sub_epi32(bits, coarse));
    const __m256i reach = _mm256_set1_epi32(kReach);
    const __m256i even = _mm256_srli_epi64(_mm256_mul_epu32(scale, reach), 10);
    const __m256i odd = _mm256_srli_epi64(_mm256_mul_epu32(_mm256_srli_epi64(scale, 32), reach), 10);
    store8(most_, _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa));
    store8(offset_, _mm256_sub_epi32(_mm256_set1_epi32(edge), load8(centers)));
#else
    for (int i = 0; i < kDistributions; ++i) {
      const uint32_t scale = uint32_t(means[i]->value < kLeastScale ? kLeastScale : means[i]->value);
      const int bits = 31 - __builtin_clz(scale);
      inverse_[i] = int32_t((uint64_t{kInverseScale} << bits) / scale);
      coarse_[i] = bits > 17 ? bits - 17 : 0, shift_[i] = bits - coarse_[i];
      most_[i] = int32_t(uint64_t{scale} * kReach >> 10);
      offset_[i] = edge - centers[i];
    }
#endif
  }
  // How far a bound is from the center of each distribution, in 1/256 of its scale.
  LACONIC_INLINE void distances(int32_t* z, int32_t sign, int32_t bound) const {
#if defined(__AVX2__)
    store8(z, distances8(sign, bound));
#else
    for (int i = 0; i < kDistributions; ++i) {
      int32_t d = (bound << kUnitBits) + sign * offset_[i];
      d = d > most_[i] ? most_[i] : d < -most_[i] ? -most_[i] : d;
      z[i] = (d >> coarse_[i]) * inverse_[i] >> shift_[i];
    }
#endif
  }
  LACONIC_INLINE void masses(uint32_t* mass, int32_t sign, int32_t bound) const {
#if defined(__AVX2__)
    const __m256i z = distances8(sign, bound), m = _mm256_abs_epi32(z), i = _mm256_srli_epi32(m, 4);
    const __m256i at = _mm256_i32gather_epi32(reinterpret_cast<const int*>(kSurvival.at), i, 4);
    const __m256i less = _mm256_i32gather_epi32(reinterpret_cast<const int*>(kSurvival.less), i, 4);
    const __m256i s = _mm256_sub_epi32(at, _mm256_srli_epi32(_mm256_mullo_epi32(less, _mm256_and_si256(m, _mm256_set1_epi32(15))), 4));
    const __m256i other = _mm256_sub_epi32(_mm256_set1_epi32(1 << kMassBits), s);
    store8(mass, _mm256_blendv_epi8(s, other, _mm256_srai_epi32(z, 31)));
#else
    int32_t z[kDistributions];
    distances(z, sign, bound);
    for (int i = 0; i < kDistributions; ++i) mass[i] = kSurvival.beyond(z[i]);
#endif
  }
  // The logarithms of the odds of more than `mass` against from there to `low`, both less `high` if given.
  LACONIC_INLINE static void all_odds(int32_t* in, const uint32_t* low, const uint32_t* mass, const uint32_t* high) {
#if defined(__AVX2__)
    const __m256i m = load8(mass), least = _mm256_set1_epi32(kLeastMass);
    const __m256i yes = high ? _mm256_sub_epi32(m, load8(high)) : m, no = _mm256_sub_epi32(load8(low), m);
    const __m256i x = _mm256_sub_epi32(log2_8(_mm256_add_epi32(yes, least)), log2_8(_mm256_add_epi32(no, least)));
    const __m256i most = _mm256_set1_epi32(kMaxStretched), y = _mm256_srai_epi32(_mm256_mullo_epi32(x, _mm256_set1_epi32(177)), 8);
    store8(in, _mm256_max_epi32(_mm256_min_epi32(y, most), _mm256_sub_epi32(_mm256_setzero_si256(), most)));
#else
    for (int i = 0; i < kDistributions; ++i)
      in[i] = limited((log2_256(mass[i] - (high ? high[i] : 0) + kLeastMass) - log2_256(low[i] - mass[i] + kLeastMass)) * 177 >> 8,
                      kMaxStretched);
#endif
  }
#if defined(__AVX2__)
  template <class T>
  LACONIC_INLINE static __m256i load8(const T* p) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(p)); }
  template <class T>
  LACONIC_INLINE static void store8(T* p, __m256i x) { _mm256_store_si256(reinterpret_cast<__m256i*>(p), x); }
  LACONIC_INLINE __m256i distances8(int32_t sign, int32_t bound) const {
    const __m256i offset = load8(offset_), most = load8(most_);
    __m256i d = _mm256_add_epi32(_mm256_set1_epi32(bound << kUnitBits), sign > 0 ? offset : _mm256_sub_epi32(_mm256_setzero_si256(), offset));
    d = _mm256_max_epi32(_mm256_min_epi32(d, most), _mm256_sub_epi32(_mm256_setzero_si256(), most));
    return _mm256_srav_epi32(_mm256_mullo_epi32(_mm256_srav_epi32(d, load8(coarse_)), load8(inverse_)), load8(shift_));
  }
  // 256 log2(x), by the exponent and the first bits of x as a number in floating point. The bits after the tenth are taken
  // away where a one could carry into the first when it is rounded.
  LACONIC_INLINE static __m256i log2_8(__m256i x) {
    const __m256i f = _mm256_castps_si256(_mm256_cvtepi32_ps(_mm256_andnot_si256(_mm256_srli_epi32(x, 10), x)));
    const __m256i bits = _mm256_srli_epi32(f, 15);  // exponent and eight bits of the fraction
    const __m256i fraction = _mm256_i32gather_epi32(kWideLogarithms.fraction, _mm256_and_si256(bits, _mm256_set1_epi32(255)), 4);
    return _mm256_add_epi32(_mm256_sub_epi32(_mm256_andnot_si256(_mm256_set1_epi32(255), bits), _mm256_set1_epi32(127 << 8)), fraction);
  }
#endif
  // Four times the logarithm of how much more often values of yes .. were seen than those of no ..
  LACONIC_INLINE int32_t counted(int32_t yes, int32_t yes_end, int32_t no_end, int32_t no) const {
    if (!counts_) return 0;
    yes_end = yes_end > 256 ? 256 : yes_end, no = no < 0 ? 0 : no;
    const uint32_t y = (m_->up_to[yes_end] - m_->up_to[yes]) * uint32_t(no_end - no);
    const uint32_t n = (m_->up_to[no_end] - m_->up_to[no]) * uint32_t(yes_end - yes);
    return limited(((log2_256(y + !y) - log2_256(n + !n)) * 177 >> 8) * 4, kMaxStretched);  // words may wrap to 0
  }
  // The same for distances from the center, bound .. beyond against low .. bound.
  LACONIC_INLINE int32_t beside(bool up, int32_t center, int32_t low, int32_t bound, int32_t beyond) const {
    if (!counts_) return 0;
    if (up) return counted(center + bound, center + beyond, center + bound, center + low);
    const int32_t end = center - beyond < 0 ? 0 : center - beyond;
    return -counted(center - bound, center - low, center - bound, end);
  }

  template <class Coder>
  LACONIC_INLINE bool decide(Coder& coder, int32_t* in, int kind, bool yes) {
    Memory::Chance& chance = m_->table[kind * kTextures * kGrades + table_at_];
    const int32_t known = chance.seen < 12 ? chance.seen * 21 : 256;
    const int32_t table = kOdds.stretched[chance.p >> 4] * known >> 8;
#if defined(__AVX2__)
    // As a whole: a vector cannot yet be read where words of it were written just now.
    store8(in + kDistributions, _mm256_setr_epi32(in[kDistributions], table, kConstantInput, 0, 0, 0, 0, 0));
#else
    in[kDistributions + 1] = table, in[kDistributions + 2] = kConstantInput;
#endif
    int32_t* const a = m_->by_scale[kind * kGrades + weights_by_scale_];
    int32_t* const b = m_->by_texture[kind * kTextures + weights_by_texture_];
    const int32_t sum_a = mixed_sum(a, in), sum_b = mixed_sum(b, in);
    const uint32_t p_a = chance_of(sum_a >> 12), p_b = chance_of(sum_b >> 12), p = chance_of((sum_a + sum_b) >> 13);
    uint32_t freq = p >> 2;
    freq = freq < 1 ? 1 : freq;
    yes = coder.decide(freq, yes);
    learn_weights(a, in, p_a, yes), learn_weights(b, in, p_b, yes);
    const int32_t error = (yes ? 65535 : 0) - int32_t(chance.p);
    chance.p = uint16_t(int32_t(chance.p) + (error * kChanceRates[chance.seen] >> 8));
    chance.seen = uint8_t(chance.seen + (chance.seen < 31));
    return yes;
  }
  LACONIC_INLINE static uint32_t chance_of(int32_t sum) {
    return kOdds.squashed(limited(sum, kMaxStretched));
  }
  // The sum of the inputs times their weights, in 2^-20; the last bits of the weights matter for learning only.
  LACONIC_INLINE static int32_t mixed_sum(const int32_t* w, const int32_t* in) {
#if defined(__AVX2__)
    const auto part = [&](int i) { return _mm256_mullo_epi32(_mm256_srai_epi32(load8(w + i), 4), load8(in + i)); };
    const __m256i sum = _mm256_add_epi32(part(0), part(8));
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
#else
    int32_t sum = 0;
    for (int i = 0; i < kMixedLanes; ++i) sum += (w[i] >> 4) * in[i];
    return sum;
#endif
  }
  LACONIC_INLINE static void learn_weights(int32_t* w, const int32_t* in, uint32_t p, bool yes) {
    const int32_t error = (yes ? 65536 : 0) - int32_t(p);
    for (int i = 0; i < kMixedLanes; ++i) {
      const int32_t x = w[i] + ((error * in[i] + (1 << 15)) >> 16);
      w[i] = x > kMostMixedWeight ? kMostMixedWeight : x < -kMostMixedWeight ? -kMostMixedWeight : x;
    }
  }

  LACONIC_INLINE void learn(const Guess& f, Mean* const* means, int32_t sample) {
    const auto off = [&](int32_t p) {
      const int32_t e = (sample << kUnitBits) - p;
      return (e < 0 ? -e : e) << (kScaleBits - kUnitBits);
    };
    for (int i = 0; i < 4; ++i) means[i]->learn(off(f.blended));
    for (int i = 0; i < 4; ++i) means[4 + i]->learn(off(f.by[i]));
    if (counts_) ++m_->count[sample];
  }

  // In 2^-8: how fast a chance follows that has seen n decisions.
  static constexpr uint8_t kChanceRates[32] = {170, 102, 73, 57, 47, 39, 34, 30, 27, 24, 22, 20, 19, 18, 17, 16,
                                               15,  14,  13, 12, 12, 11, 11, 10, 10, 10, 9,  9,  8,  6,  4,  2};
  Memory* m_ = nullptr;
  int32_t top_ = 256;
  bool counts_ = true;
  int weights_by_scale_ = 0, weights_by_texture_ = 0, table_at_ = 0;
  alignas(32) int32_t inverse_[kDistributions], offset_[kDistributions], most_[kDistributions], coarse_[kDistributions],
      shift_[kDistributions];
};

}  // namespace LACONIC_ISA
}  // namespace laconic
