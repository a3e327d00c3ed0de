// differences.h - words that are near those of a base, such as weights after some more training: what is coded is the
// difference of the two as integers of the same order, so nothing is ever rounded.
//
// The change of a weight does not know the weight's exponent, but a difference of float bits counts in units of its last
// place. So the context of a difference is how large it should be: an average of log2 of earlier changes, for this row
// and this column (rows and columns differ: some channels hardly move), less the exponent of the base. What is far below
// the expected size is noise: it goes into a string of raw bits, which costs no time; the rest is one token and a sign.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "adaptive.h"

namespace laconic {

constexpr int kDifferenceTokens = 252;  // sizes below 8 are their own token; then four to an octave, up to 2^64
constexpr int kPlainDifferences = 8, kDifferencesPerOctave = 4;
constexpr int kDifferenceBuckets = 13;  // half octaves; above them the two last take turns, and raw bits grow
constexpr uint32_t kMostFirst = 2200;   // octaves: the exponents of float64 and 64 bits

// How the words of a kind are read: `mantissa` bits below the exponent, 0 where words are plain integers.
struct DifferenceLayout {
  size_t count, columns;
  unsigned mantissa;
  uint32_t first;  // what log2 of a change is near, in octaves
  int tokens;      // 1 + the largest token
};

// 16 log2(x), x > 0, rounded down to the four bits after the first.
LACONIC_INLINE int32_t log_size(uint64_t x) {
  const int octave = 63 - __builtin_clzll(x);
  const uint64_t mantissa = octave >= 4 ? x >> (octave - 4) : x << (4 - octave);
  return 16 * octave + int32_t(mantissa & 15);
}

// Words as integers of the same order, and back.
template <class Word>
LACONIC_INLINE Word to_integer_order(Word w, bool is_float) {
  constexpr Word top = Word(Word{1} << (8 * sizeof(Word) - 1));
  return !is_float ? w : w & top ? Word(~w) : Word(w | top);
}
template <class Word>
LACONIC_INLINE Word to_float_order(Word w, bool is_float) {
  constexpr Word top = Word(Word{1} << (8 * sizeof(Word) - 1));
  return !is_float ? w : w & top ? Word(w ^ top) : Word(~w);
}

// What a change is expected to be, and what was learned from each; all in 1/256 of a sixteenth of an octave.
class ChangeSizes {
 public:
  explicit ChangeSizes(const DifferenceLayout& layout) : row_(int32_t(layout.first << 12)), columns_(layout.columns) {
    if (columns_ < layout.count) column_.assign(columns_, 0);  // otherwise no column is met twice
  }

  // Sixteenths of octaves, of a word whose base has this exponent.
  LACONIC_INLINE int32_t expected(int32_t exponent) const {
    const int32_t x = (sum() >> 8) - 16 * exponent;
    return x < 0 ? 0 : x > 1023 ? 1023 : x;
  }

  LACONIC_INLINE void learn(uint64_t size, int32_t exponent) {
    constexpr uint64_t most = uint64_t{1} << 62;
    const int32_t found = log_size(2 * (size < most ? size : most) + 1) + 16 * exponent;
    const int32_t error = (found << 8) - sum();
    row_ = held(row_ + (error >> 3));
    if (!column_.empty()) {
      column_[at_] = held(column_[at_] + (error >> 4));
      if (++at_ == columns_) at_ = 0;
    }
  }

 private:
  LACONIC_INLINE int32_t sum() const { return row_ + (column_.empty() ? 0 : column_[at_]); }
  LACONIC_INLINE static int32_t held(int32_t x) {
    constexpr int32_t most = 1 << 25;
    return x < -most ? -most : x > most ? most : x;
  }

  int32_t row_;
  size_t columns_, at_ = 0;
  std::vector<int32_t> column_;
};

class DifferenceTables {
 public:
  using Table = AdaptiveTable<kDifferenceTokens>;

  explicit DifferenceTables(int tokens) : tables_(new Table[kDifferenceBuckets]) {
    for (int bucket = 0; bucket < kDifferenceBuckets; ++bucket) start(bucket, tokens);
    const uint32_t even[2] = {8 * kCountStep, 8 * kCountStep};
    for (auto& sign : sign_) sign.start(even, 2);
  }

  Table& of(int bucket) { return tables_[size_t(bucket)]; }
  // A change may shrink weights: its sign is counted apart for negative bases.
  AdaptiveTable<2>& sign(bool base_is_negative) { return sign_[base_is_negative]; }

 private:
  // The prior is geometric with the mean that the bucket stands for, in the weight of 16 symbols.
  void start(int bucket, int tokens) {
    const uint32_t mean = (bucket & 1 ? 27u : 19u) << (bucket / 2 + 4);  // of 2 m, in 1/256
    uint64_t theta = (uint64_t{mean} << 32) / (mean + 512), tail = uint64_t{1} << 32;
    uint32_t prior[kDifferenceTokens];
    for (int t = 0; t < tokens; ++t) {
      if (t >= kPlainDifferences && t % kDifferencesPerOctave == 0) theta = theta * theta >> 32;
      const uint64_t next = (tail >> 16) * (theta >> 16);
      prior[t] = uint32_t((tail - next) * (16 * kCountStep) >> 32);
      tail = next;
    }
    prior[0] += 1;
    tables_[size_t(bucket)].start(prior, tokens);
  }

  std::unique_ptr<Table[]> tables_;
  AdaptiveTable<2> sign_[2];
};

struct DifferenceBucket {
  int bucket;
  unsigned raw_bits;
};

LACONIC_INLINE DifferenceBucket bucket_of(int32_t expected) {
  const int half_octaves = expected >> 3;
  if (half_octaves < kDifferenceBuckets) return {half_octaves, 0};
  const unsigned raw = unsigned(half_octaves - (kDifferenceBuckets - 2)) >> 1;
  return {half_octaves - 2 * int(raw), raw};
}

LACONIC_INLINE uint32_t difference_token(uint64_t size, unsigned& raw_bits) {
  raw_bits = 0;
  if (size < kPlainDifferences) return uint32_t(size);
  const unsigned octave = 63u - unsigned(__builtin_clzll(size));
  raw_bits = octave - 2;
  return kPlainDifferences + (octave - 3) * kDifferencesPerOctave + uint32_t(size >> raw_bits & 3);
}

// Bits, least significant first.
class BitWriter {
 public:
  explicit BitWriter(std::vector<uint8_t>& out) : out_(out) {}
  LACONIC_INLINE void put(uint64_t value, unsigned n) {
    for (; n > 32; n -= 32, value >>= 32) put32(value & 0xffffffffu, 32);
    put32(value, n);
  }
  void finish() {
    for (; held_ > 0; held_ = held_ > 8 ? held_ - 8 : 0, bits_ >>= 8) out_.push_back(uint8_t(bits_));
  }

 private:
  LACONIC_INLINE void put32(uint64_t value, unsigned n) {
    bits_ |= value << held_;
    for (held_ += n; held_ >= 8; held_ -= 8, bits_ >>= 8) out_.push_back(uint8_t(bits_));
  }
  std::vector<uint8_t>& out_;
  uint64_t bits_ = 0;
  unsigned held_ = 0;
};

// The bounded mirror: past the end there are zeros, and `finished` says so.
class BitReader {
 public:
  BitReader(const uint8_t* bytes, size_t size) : bytes_(bytes), size_(size) {}
  LACONIC_INLINE uint64_t take(unsigned n) {
    if (n <= 32) return take32(n);
    const uint64_t low = take32(32);
    return low | take32(n - 32) << 32;
  }
  // All bytes were used, and what is left of the last one is zero.
  bool finished() const { return at_ == size_ && held_ < 8 && bits_ == 0; }

 private:
  LACONIC_INLINE uint64_t take32(unsigned n) {
    for (; held_ < n; held_ += 8, ++at_) bits_ |= uint64_t{at_ < size_ ? bytes_[at_] : uint8_t{0}} << held_;
    const uint64_t value = bits_ & ((uint64_t{1} << n) - 1);
    bits_ >>= n;
    held_ -= n;
    return value;
  }
  const uint8_t* bytes_;
  size_t size_, at_ = 0;
  uint64_t bits_ = 0;
  unsigned held_ = 0;
};

// One pass over words and base: calls emit(word's size, is negative, base is negative, expected, exponent) for each.
template <class Word>
struct Difference {
  uint64_t size;
  bool negative, base_negative;
  int32_t exponent;
};

template <class Word>
LACONIC_INLINE int32_t exponent_of(Word base, unsigned mantissa) {
  if (!mantissa) return 0;
  constexpr Word top = Word(Word{1} << (8 * sizeof(Word) - 1));
  const auto exponent = int32_t(Word(base & Word(~top)) >> mantissa);
  return exponent ? exponent : 1;  // below the normal numbers the units stay the same
}

template <class Word>
LACONIC_INLINE Difference<Word> difference_of(Word word, Word base, unsigned mantissa) {
  constexpr Word top = Word(Word{1} << (8 * sizeof(Word) - 1));
  const Word d = Word(to_integer_order(word, mantissa > 0) - to_integer_order(base, mantissa > 0));
  const bool negative = d & top;
  return {negative ? Word(Word{0} - d) : d, negative, bool(base & top), exponent_of(base, mantissa)};
}

// Fills in `first` and `tokens`: what the other side is told.
template <class Word>
inline void fit_differences(const Word* words, const Word* base, DifferenceLayout& layout) {
  constexpr size_t sample = 65536;
  const size_t n = layout.count < sample ? layout.count : sample;
  uint64_t sum = 0;
  for (size_t i = 0; i < n; ++i) {
    const auto d = difference_of(words[i], base[i], layout.mantissa);
    const uint64_t most = uint64_t{1} << 62;
    sum += uint64_t(log_size(2 * (d.size < most ? d.size : most) + 1) + 16 * d.exponent);
  }
  layout.first = n ? uint32_t((sum / n + 8) / 16) : 0;
  ChangeSizes sizes(layout);
  uint32_t most = 1;
  for (size_t i = 0; i < layout.count; ++i) {
    const auto d = difference_of(words[i], base[i], layout.mantissa);
    unsigned raw;
    const uint32_t token = difference_token(d.size >> bucket_of(sizes.expected(d.exponent)).raw_bits, raw);
    most = token > most ? token : most;
    sizes.learn(d.size, d.exponent);
  }
  layout.tokens = int(most) + 1;
}

// Words -> operations for rans.h, two each at most, and raw bits.
template <class Word>
inline void code_differences(const Word* words, const Word* base, const DifferenceLayout& layout,
                             std::vector<uint32_t>& ops, std::vector<uint8_t>& raw) {
  DifferenceTables tables(layout.tokens);
  ChangeSizes sizes(layout);
  BitWriter bits(raw);
  ops.clear();
  ops.reserve(2 * layout.count);
  for (size_t i = 0; i < layout.count; ++i) {
    const auto d = difference_of(words[i], base[i], layout.mantissa);
    const auto [bucket, shift] = bucket_of(sizes.expected(d.exponent));
    unsigned n;
    const uint32_t token = difference_token(d.size >> shift, n);
    n += shift;
    auto& table = tables.of(bucket);
    ops.push_back(table.op(token));
    table.count(token);
    bits.put(d.size & ((uint64_t{1} << n) - 1), n);
    if (d.size) {
      auto& sign = tables.sign(d.base_negative);
      ops.push_back(sign.op(d.negative));
      sign.count(d.negative);
    }
    sizes.learn(d.size, d.exponent);
  }
  bits.finish();
}

// The mirror. False: stream and raw bits do not hold these words. An early end costs no more time than a good one.
template <class Word>
inline bool parse_differences(const uint8_t* stream, size_t size, const uint8_t* raw, size_t raw_size, const Word* base,
                              const DifferenceLayout& layout, Word* words) {
  if (!RansReader::well_formed(stream, size)) return false;
  DifferenceTables tables(layout.tokens);
  ChangeSizes sizes(layout);
  RansReader reader(stream, size);
  BitReader bits(raw, raw_size);
  const bool is_float = layout.mantissa > 0;
  constexpr Word top = Word(Word{1} << (8 * sizeof(Word) - 1));
  for (size_t i = 0; i < layout.count; ++i) {
    const int32_t exponent = exponent_of(base[i], layout.mantissa);
    const auto [bucket, shift] = bucket_of(sizes.expected(exponent));
    auto& table = tables.of(bucket);
    const uint32_t token = table.take(reader);
    table.count(token);
    uint64_t found = token;
    unsigned n = shift;
    if (token >= kPlainDifferences) {
      const unsigned octaves = (token - kPlainDifferences) / kDifferencesPerOctave + 1;
      found = uint64_t(4 + (token & 3)) << octaves;
      n += octaves;
    }
    if (n > 63) return false;
    found = (found << shift) + bits.take(n);
    bool negative = false;
    if (found) {
      auto& sign = tables.sign(base[i] & top);
      negative = sign.take(reader);
      sign.count(negative);
    }
    const Word d = negative ? Word(Word{0} - Word(found)) : Word(found);
    words[i] = to_float_order(Word(to_integer_order(base[i], is_float) + d), is_float);
    sizes.learn(found, exponent);
  }
  return reader.finished() && bits.finished();
}

}  // namespace laconic
