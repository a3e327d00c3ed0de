// planes.h - bytes that are worth a frequency table, such as the exponents of weights: one adaptive table for all of
// them, renewed from the counts of what came before, at places that both sides know. Between two renewals the table
// stands still, so decoding is one look-up, and four pairs of states hide the latency of each other.
//
// Same interval coder as rans.h, with eight states instead of two: operation i belongs to state i mod 8.
//
//   stream = states 0 .. 7 (u32 LE) | words (u16 LE) in the order in which the decoder takes them
//
// Few bytes are not worth eight states: below kWideBytes there are two, and the stream is one of rans.h.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "rans.h"

namespace laconic {

constexpr int kPlaneLanes = 8;
constexpr size_t kWideBytes = 1u << 14;
constexpr size_t kFirstPlaneRun = 64, kLastPlaneRun = 1u << 15;  // bytes between two renewals: 64, 128, .. 32768
constexpr uint32_t kPlaneMemory = 1u << 17;                      // bytes after which old counts fade by half

inline int plane_lanes(size_t count) { return count < kWideBytes ? 2 : kPlaneLanes; }

// The table of bytes `low` .. `high`.
class PlaneTable {
 public:
  PlaneTable(uint32_t low, uint32_t high) : low_(low), high_(high) {
    std::memset(count_, 0, sizeof count_);
    for (uint32_t s = low; s <= high; ++s) count_[s] = 1;  // before anything is known
    renew();
  }

  uint32_t start(uint32_t s) const { return start_[s]; }
  uint32_t freq(uint32_t s) const { return freq_[s]; }
  const uint8_t* symbols() const { return symbol_; }
  const uint32_t* intervals() const { return interval_; }  // start | freq << 16

  // Counts bytes that were coded since and makes the table anew. They lie within low .. high.
  void learn(const uint8_t* bytes, size_t count) {
    uint32_t parts[4][256] = {};  // four, because equal bytes in a row would wait for each other
    size_t i = 0;
    for (; i + 4 <= count; i += 4)
      for (int k = 0; k < 4; ++k) ++parts[k][bytes[i + size_t(k)]];
    for (; i < count; ++i) ++parts[0][bytes[i]];
    for (uint32_t s = low_; s <= high_; ++s)
      count_[s] += 16 * (parts[0][s] + parts[1][s] + parts[2][s] + parts[3][s]);
    renew();
  }

 private:
  void renew() {
    uint64_t total = 0;
    for (uint32_t s = low_; s <= high_; ++s) total += count_[s];
    if (total > 16 * uint64_t{kPlaneMemory}) {
      total = 0;
      for (uint32_t s = low_; s <= high_; ++s) total += count_[s] -= count_[s] / 2;
    }
    const uint64_t share = kProbTotal - (high_ - low_ + 1), scale = (share << 24) / total;
    uint32_t sum = 0, largest = low_;
    for (uint32_t s = low_; s <= high_; ++s) {
      const uint32_t f = 1 + uint32_t(count_[s] * scale >> 24);
      sum += f;
      freq_[s] = uint16_t(f);
      if (count_[s] > count_[largest]) largest = s;
    }
    freq_[largest] = uint16_t(freq_[largest] + (kProbTotal - sum));
    uint32_t at = 0;
    for (uint32_t s = low_; s <= high_; ++s) {
      start_[s] = uint16_t(at);
      interval_[s] = pack_op(at, freq_[s]);
      std::memset(symbol_ + at, int(s), freq_[s]);
      at += freq_[s];
    }
  }

  uint32_t low_, high_;
  uint32_t count_[256];
  uint16_t start_[256], freq_[256];
  uint32_t interval_[256];
  uint8_t symbol_[kProbTotal];
};

// Bytes within low .. high -> stream.
inline void code_plane(const uint8_t* bytes, size_t count, uint32_t low, uint32_t high, std::vector<uint8_t>& stream) {
  std::vector<uint32_t> ops(count);
  PlaneTable table(low, high);
  for (size_t at = 0, run = kFirstPlaneRun; at < count;) {
    const size_t n = count - at < run ? count - at : run;
    for (size_t i = at; i < at + n; ++i) ops[i] = pack_op(table.start(bytes[i]), table.freq(bytes[i]));
    table.learn(bytes + at, n);
    at += n;
    if (run < kLastPlaneRun) run *= 2;
  }
  const size_t lanes = size_t(plane_lanes(count));
  stream.resize(4 * lanes + 2 * count);
  uint32_t state[kPlaneLanes];
  for (uint32_t& x : state) x = kStateLow;
  uint8_t* p = stream.data() + stream.size();
  for (size_t i = count; i-- > 0;) {
    const uint32_t start = ops[i] & 0xffffu, freq = ops[i] >> 16;
    uint32_t x = state[i % lanes];
    if (x >= uint64_t{freq} << (32 - kProbBits)) {
      p -= 2;
      p[0] = uint8_t(x), p[1] = uint8_t(x >> 8);
      x >>= 16;
    }
    const uint32_t quotient = x / freq;
    state[i % lanes] = (quotient << kProbBits) + (x - quotient * freq) + start;
  }
  for (size_t s = lanes; s-- > 0;) {
    p -= 4;
    for (int k = 0; k < 4; ++k) p[k] = uint8_t(state[s] >> (8 * k));
  }
  stream.erase(stream.begin(), stream.begin() + (p - stream.data()));
}

// The inner loop of decoding: `n` bytes under one table. Words past the end are zero and are counted all the same.
template <int Lanes>
inline void take_run(const PlaneTable& table, uint8_t* out, size_t n, uint32_t* states, unsigned& lane,
                     const uint8_t* words, size_t count, size_t& at) {
  const uint8_t* symbols = table.symbols();
  const uint32_t* intervals = table.intervals();
  const auto step = [&](uint32_t& x, size_t limit) {
    const uint32_t slot = x & (kProbTotal - 1);
    const uint8_t s = symbols[slot];
    x = (intervals[s] >> 16) * (x >> kProbBits) + slot - (intervals[s] & 0xffff);
    if (x < kStateLow) {
      uint32_t word = 0;
      if (at < limit) word = uint32_t(words[2 * at]) | uint32_t(words[2 * at + 1]) << 8;
      x = x << 16 | word;
      ++at;
    }
    return s;
  };
  size_t i = 0;
  for (; i < n && lane; ++i) out[i] = step(states[lane], count), lane = (lane + 1) % Lanes;
  uint32_t x[Lanes];
  for (int k = 0; k < Lanes; ++k) x[k] = states[k];
  for (; i + Lanes <= n; i += Lanes) {
    if (at + Lanes <= count) {
      // Enough words for every lane: no look at the end, and no branch on what a coin decides.
      for (int k = 0; k < Lanes; ++k) {
        const uint32_t slot = x[k] & (kProbTotal - 1);
        const uint8_t s = symbols[slot];
        out[i + size_t(k)] = s;
        const uint32_t interval = intervals[s];
        const uint32_t y = (interval >> 16) * (x[k] >> kProbBits) + slot - (interval & 0xffff);
        const uint32_t word = uint32_t(words[2 * at]) | uint32_t(words[2 * at + 1]) << 8;
        const uint32_t more = y < kStateLow;
        x[k] = y << (16 * more) | (word & (0u - more));
        at += more;
      }
    } else {
      for (int k = 0; k < Lanes; ++k) out[i + size_t(k)] = step(x[k], count);
    }
  }
  for (int k = 0; k < Lanes; ++k) states[k] = x[k];
  for (; i < n; ++i) out[i] = step(states[lane], count), lane = (lane + 1) % Lanes;
}

// Stream -> bytes. False: the stream does not hold these bytes.
template <int Lanes>
inline bool parse_plane(const uint8_t* stream, size_t size, uint32_t low, uint32_t high, uint8_t* out, size_t count) {
  if (size < 4 * Lanes || size % 2) return false;
  uint32_t states[Lanes];
  for (int s = 0; s < Lanes; ++s) {
    states[s] = 0;
    for (int k = 3; k >= 0; --k) states[s] = states[s] << 8 | stream[4 * s + k];
    if (states[s] < kStateLow) return false;
  }
  const size_t words = (size - 4 * Lanes) / 2;
  size_t word = 0;
  unsigned lane = 0;
  PlaneTable table(low, high);
  for (size_t at = 0, run = kFirstPlaneRun; at < count;) {
    const size_t n = count - at < run ? count - at : run;
    take_run<Lanes>(table, out + at, n, states, lane, stream + 4 * Lanes, words, word);
    if (word > words) return false;
    table.learn(out + at, n);
    at += n;
    if (run < kLastPlaneRun) run *= 2;
  }
  bool done = word == words;
  for (const uint32_t x : states) done = done && x == kStateLow;
  return done;
}

// Words -> their bytes, one plane after the other, most significant first; and back. With `rotate` the top bit, the sign
// of a float, goes to the bottom first: then the top plane of a float32 or bfloat16 is its exponent, no more.
template <class Word>
inline void split_words(const Word* words, size_t count, bool rotate, uint8_t* planes) {
  constexpr int bits = 8 * sizeof(Word);
  for (size_t i = 0; i < count; ++i) {
    Word w = words[i];
    if (rotate) w = Word(w << 1 | w >> (bits - 1));
    for (size_t k = 0; k < sizeof(Word); ++k) planes[k * count + i] = uint8_t(w >> (bits - 8 * int(k) - 8));
  }
}

template <class Word>
inline void join_words(const uint8_t* planes, size_t count, bool rotate, Word* words) {
  constexpr int bits = 8 * sizeof(Word);
  for (size_t i = 0; i < count; ++i) {
    Word w = 0;
    for (size_t k = 0; k < sizeof(Word); ++k) w = Word(w | Word(planes[k * count + i]) << (bits - 8 * int(k) - 8));
    words[i] = rotate ? Word(w >> 1 | w << (bits - 1)) : w;
  }
}

}  // namespace laconic
