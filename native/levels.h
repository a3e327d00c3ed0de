// levels.h - the entropy model of the levels of one matrix: which adaptive table each of them is coded with.
//
// Weights have no neighbors that look like them, but their rows and columns differ in energy. So the context of a level
// is the quantizer it belongs to and a bucket of the magnitude to be expected, from running averages along its row
// (quick: in a convolution the neighbors in a row are those of one kernel) and down its column, of what was already
// coded. Magnitudes are counted in steps of the trellis.
//
// A size t = |k|, less 1 in quantizer 1 without zero, is a token; from 16 on a token stands for an eighth of an octave, followed by raw bits.
// Then comes the sign, where k is not 0.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "adaptive.h"
#include "level_layout.h"
#include "trellis.h"

namespace laconic {

struct Token {
  uint32_t token, raw_bits, raw;
};

LACONIC_INLINE Token token_of(uint32_t magnitude) {
  if (magnitude < kDirectTokens) return {magnitude, 0, 0};
  const unsigned octave = 31u - unsigned(__builtin_clz(magnitude)), rest = octave - 3;
  return {kDirectTokens + (octave - 4) * kTokensPerOctave + (magnitude >> rest & 7), rest, magnitude & ((1u << rest) - 1)};
}

// The smallest magnitude of a token, and how many raw bits follow it.
LACONIC_INLINE uint32_t token_base(uint32_t token, unsigned& raw_bits) {
  if (token < kDirectTokens) {
    raw_bits = 0;
    return token;
  }
  raw_bits = (token - kDirectTokens) / kTokensPerOctave + 1;
  return (8 + (token & 7)) << raw_bits;
}

// log2 of x > 0 in sixteenths, rounded down to the table: 16 * octave + the next four bits.
LACONIC_INLINE int32_t log_energy(uint32_t x) {
  const int octave = 31 - __builtin_clz(x | 1);
  const uint32_t mantissa = octave >= 4 ? x >> (octave - 4) : x << (4 - octave);
  return 16 * octave + int32_t(mantissa & 15);
}

// Running averages of magnitudes, in 1/256 step.
class Energies {
 public:
  Energies(const LevelLayout& layout) : contexts_(layout.contexts), columns_(layout.columns) {
    const uint32_t first = first_energy(layout.scale);
    row_ = first;
    if (contexts_ & kColumnEnergy) column_.assign(columns_, first);
  }

  // Bucket b begins at 2^(b / 2) / 16 step.
  static uint32_t first_energy(unsigned bucket) { return (bucket & 1 ? 27u : 19u) << (bucket / 2); }

  LACONIC_INLINE uint32_t bucket() const {
    if (contexts_ == kNoEnergy) return 0;
    const uint32_t twice = contexts_ == kRowEnergy      ? 2 * row_
                           : contexts_ == kColumnEnergy ? 2 * column_[at_]
                                                        : row_ + column_[at_];
    const int32_t bucket = (log_energy(twice) >> 3) - 10;
    return bucket < 0 ? 0 : bucket >= kEnergyBuckets ? uint32_t(kEnergyBuckets - 1) : uint32_t(bucket);
  }

  LACONIC_INLINE void add(uint32_t magnitude) {
    if (contexts_ == kNoEnergy) return;
    const auto toward = [scaled = int32_t((magnitude < 65536 ? magnitude : 65536) << 8)](uint32_t& average, int shift) {
      average = uint32_t(int32_t(average) + ((scaled - int32_t(average)) >> shift));
    };
    toward(row_, 3);
    if (contexts_ & kColumnEnergy) toward(column_[at_], 4);
    if (++at_ == columns_) at_ = 0;
  }

 private:
  unsigned contexts_;
  size_t columns_, at_ = 0;
  uint32_t row_;
  std::vector<uint32_t> column_;
};

// All tables of one tensor. A table is made when it is first needed: small tensors touch few.
class LevelTables {
 public:
  using Table = AdaptiveTable<kLevelTokens>;

  explicit LevelTables(const LevelLayout& layout) : layout_(layout), started_{} {
    tables_.reset(static_cast<Table*>(std::malloc(sizeof(Table) * kTokenSets * kEnergyBuckets)));
    const uint32_t even[2] = {8 * kCountStep, 8 * kCountStep};
    sign_.start(even, 2);
  }

  bool ok() const { return tables_ != nullptr; }
  AdaptiveTable<2>& sign() { return sign_; }

  LACONIC_INLINE Table& of(uint32_t set, uint32_t bucket) {
    const uint32_t i = set * kEnergyBuckets + bucket;
    if (!started_[i]) start(i, set, bucket);
    return tables_.get()[i];
  }

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };

  // The prior is geometric with the mean that the bucket stands for, in the weight of 16 symbols.
  void start(uint32_t i, uint32_t set, uint32_t bucket) {
    const uint32_t energy = Energies::first_energy(layout_.contexts == kNoEnergy ? layout_.scale : bucket);
    const uint32_t mean = set == 2 && !layout_.shared_zero ? (energy > 256 + 32 ? energy - 256 : 32) : energy;  // of 2 t, in 1/256
    uint64_t theta = (uint64_t{mean} << 32) / (mean + 512), tail = uint64_t{1} << 32;   // P(t + 1) / P(t), P(.. >= t)
    uint32_t prior[kLevelTokens];
    for (int t = 0; t < layout_.tokens; ++t) {
      // `theta` is for one magnitude; a token of the next octave spans twice as many.
      if (t >= kDirectTokens && t % kTokensPerOctave == 0) theta = theta * theta >> 32;
      const uint64_t next = (tail >> 16) * (theta >> 16);
      prior[t] = uint32_t((tail - next) * (16 * kCountStep) >> 32);
      tail = next;
    }
    prior[0] += 1;
    started_[i] = true;
    new (&tables_.get()[i]) Table;
    tables_.get()[i].start(prior, layout_.tokens);
  }

  LevelLayout layout_;
  std::unique_ptr<Table, Free> tables_;
  bool started_[kTokenSets * kEnergyBuckets];
  AdaptiveTable<2> sign_{};
};

LACONIC_INLINE uint32_t token_set(uint32_t state) { return state & 1 ? 2 : state != 0; }

// 1 + the largest token of these levels: what `LevelLayout::tokens` has to be. 0 where one is no level at all.
inline int count_tokens(const int32_t* levels, size_t count, unsigned trellis_bits, bool shared_zero) {
  Trellis trellis(trellis_bits, shared_zero);
  uint32_t most = 1;
  for (size_t i = 0; i < count; ++i) {
    const int32_t k = levels[i];
    const uint32_t least = trellis.least(), size = uint32_t(k < 0 ? -int64_t{k} : int64_t{k});
    if (size < least || size >= 1u << 30) return 0;
    const uint32_t token = token_of(size - least).token;
    most = token > most ? token : most;
    trellis.advance(k);
  }
  return int(most) + 1;
}

// Levels -> operations for rans.h, at most six each. False: out of memory, or a level that the layout cannot hold
// (a token beyond its number, a zero in quantizer 1).
inline bool code_levels(const int32_t* levels, const LevelLayout& layout, std::vector<uint32_t>& ops) {
  LevelTables tables(layout);
  if (!tables.ok()) return false;
  Energies energies(layout);
  Trellis trellis(layout.trellis_bits, layout.shared_zero);
  ops.clear();
  ops.reserve(layout.count * 2 + 16);
  for (size_t i = 0; i < layout.count; ++i) {
    const int32_t k = levels[i];
    const uint32_t least = trellis.least(), size = uint32_t(k < 0 ? -int64_t{k} : int64_t{k});
    if (size < least || size >= 1u << 30) return false;
    const Token t = token_of(size - least);
    if (int(t.token) >= layout.tokens) return false;
    auto& table = tables.of(token_set(trellis.state()), energies.bucket());
    ops.push_back(table.op(t.token));
    table.count(t.token);
    for (unsigned left = t.raw_bits; left;) {
      const unsigned n = left < 8 ? left : 8;
      left -= n;
      ops.push_back(raw_op(t.raw >> left & ((1u << n) - 1), n));
    }
    if (k) {
      ops.push_back(tables.sign().op(k < 0));
      tables.sign().count(k < 0);
    }
    energies.add(trellis_magnitude(trellis.quantizer(), size));
    trellis.advance(k);
  }
  return true;
}

// The mirror: a stream -> points in 1/64 step, or levels where `offsets` is null. False: the stream does not hold these
// levels. A stream that ends early costs no more time than a good one.
inline bool parse_levels(const uint8_t* stream, size_t size, const LevelLayout& layout, const PointOffsets* offsets,
                         int32_t* out) {
  if (!RansReader::well_formed(stream, size)) return false;
  LevelTables tables(layout);
  if (!tables.ok()) return false;
  Energies energies(layout);
  Trellis trellis(layout.trellis_bits, layout.shared_zero);
  RansReader reader(stream, size);
  for (size_t i = 0; i < layout.count; ++i) {
    const uint32_t q = trellis.quantizer();
    auto& table = tables.of(token_set(trellis.state()), energies.bucket());
    const uint32_t token = table.take(reader);
    table.count(token);
    unsigned raw_bits;
    uint32_t magnitude = token_base(token, raw_bits);
    for (unsigned left = raw_bits; left;) {
      const unsigned n = left < 8 ? left : 8;
      left -= n;
      magnitude += reader.take_raw(n) << left;
    }
    magnitude += trellis.least();
    int32_t k = int32_t(magnitude);
    if (k) {
      const uint32_t negative = tables.sign().take(reader);
      tables.sign().count(negative);
      k = negative ? -k : k;
    }
    out[i] = offsets ? trellis_point(q, k, *offsets) : k;
    energies.add(trellis_magnitude(q, magnitude));
    trellis.advance(k);
  }
  return reader.finished();
}

}  // namespace laconic
