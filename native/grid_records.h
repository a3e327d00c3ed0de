// grid_records.h - records of latents on a grid, coded so that a core decodes hundreds of megabytes a second: static
// tables for many records, sixteen rANS states in turn, and contexts that need no symbol of the same row.
//
// A record has C channels of h x w symbols in -127 .. 127. The context of a symbol is a weighted sum of magnitudes,
// each at most kMagnitudeCap, at fixed places ("taps"): of channels coded before, and of rows above in its own channel.
// So the contexts of a row are known before the row is, and come from plain vector code. How many bounds the sum
// exceeds tells which of the tables of the channel's family it is. The low channels hold the difference to the median edge
// detector's prediction (LOCO-I: Weinberger, Seroussi & Sapiro 2000), modulo 256; their magnitudes are those of it.
//
//   stream = states 0 .. 15 (u32 LE) | words (u16 LE) in the order in which the decoder takes them
//
// Symbol x of a row belongs to state x mod 16. States, words and refill are those of rans.h, with probabilities of 12
// bits (data sets of version 1: tables of one shard, for every symbol that occurs in it) or 10 (one set of small tables
// for all shards, fitted to some records; what they do not hold is the escape -128, and a word of its own after the
// row). A decoder may stop after any channel.
//
// What depends on speed is in grid_kernels.cpp, compiled once per instruction set.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels.h"
#include "rans.h"

namespace laconic {

constexpr unsigned kMostBits = 12;  // of a probability: an entry of a table holds two of them and a symbol
constexpr uint8_t kRecordEscape = 0x80;
constexpr int kRecordLanes = 16;
constexpr int kTogether = 2;  // records that are decoded in turn, row by row: one waits for memory while the other works
constexpr int kMagnitudeCap = 10;
constexpr int kMostWeight = 25;  // of all taps of a channel: a sum fits a byte
constexpr int kReach = 2;        // rows and columns from which a tap may take
constexpr int kMostSide = 512;   // cells
constexpr int kBounds = 13;      // between 14 tables of a family
constexpr size_t kVector = 32;   // contexts are made for whole vectors of symbols
constexpr size_t kMostCells = size_t{1} << 26;

struct Tap {
  int32_t channel, row, column, weight;  // row and column relative to the symbol
};

// The same as plain pointers, for the kernels.
struct RecordView {
  size_t channels, rows, columns;
  size_t stride, plane, scratch;  // of magnitudes, in bytes: a row with its borders, a channel, a record
  const uint8_t* low;
  // Where the magnitudes of a channel's taps lie, in bytes from that of the symbol; a tap of weight 3 stands three
  // times, so that its sum is plain additions.
  const uint32_t* first_offset;
  const int32_t* offsets;
  const uint16_t* base;
  const uint8_t* bound;
};

struct RecordLayout {
  size_t channels, rows, columns;
  std::vector<uint8_t> low;         // per channel: 1 for predicted channels
  std::vector<uint16_t> first_tap;  // per channel, and one past the end
  std::vector<Tap> taps;
  std::vector<uint16_t> base;       // per channel: number of the first table of its family
  uint8_t bound[kBounds];           // a sum belongs to table number k of the family where it exceeds k of them
  size_t tables;
  size_t stride;                    // of magnitudes, in bytes: a row with its borders
  std::vector<uint32_t> first_offset;
  std::vector<int32_t> offsets;     // see RecordView

  size_t cells() const { return rows * columns; }

  // Everything the coder relies on.
  bool valid() const {
    if (channels < 1 || rows < 1 || columns < 1 || rows > kMostSide || columns > kMostSide) return false;
    if (channels > 4096 || channels * cells() > kMostCells) return false;
    if (low.size() != channels || base.size() != channels || first_tap.size() != channels + 1) return false;
    if (first_tap[0] != 0 || first_tap[channels] != taps.size()) return false;
    for (size_t c = 0; c < channels; ++c) {
      if (first_tap[c] > first_tap[c + 1] || low[c] > 1 || base[c] + size_t{kBounds} >= tables) return false;
      int total = 0;
      for (size_t t = first_tap[c]; t < first_tap[c + 1]; ++t) {
        const Tap& tap = taps[t];
        if (tap.channel < 0 || size_t(tap.channel) > c || tap.weight < 1 || tap.weight > kMostWeight) return false;
        if (tap.row < -kReach || tap.row > kReach || tap.column < -kReach || tap.column > kReach) return false;
        if (size_t(tap.channel) == c && tap.row >= 0) return false;
        total += tap.weight;
      }
      if (total > kMostWeight) return false;
    }
    return true;
  }

  // Of a valid layout: lists the offsets. To be called before the others below.
  void prepare() {
    stride = (columns + 2 * kReach + kVector - 1) / (kVector) * (kVector);
    first_offset.assign(1, 0);
    for (size_t c = 0; c < channels; ++c) {
      for (size_t t = first_tap[c]; t < first_tap[c + 1]; ++t) {
        const Tap& tap = taps[t];
        const ptrdiff_t channels_away = ptrdiff_t(tap.channel) - ptrdiff_t(c);
        const ptrdiff_t offset = channels_away * ptrdiff_t(plane()) + tap.row * ptrdiff_t(stride) + tap.column;
        offsets.insert(offsets.end(), size_t(tap.weight), int32_t(offset));
      }
      first_offset.push_back(uint32_t(offsets.size()));
    }
  }

  size_t plane() const { return stride * (rows + 2 * kReach); }
  RecordView view() const {
    return {channels, rows, columns, stride, plane(), scratch(), low.data(), first_offset.data(), offsets.data(), base.data(), bound};
  }
  // Bytes of scratch for magnitudes: zero before the first record; every record leaves its borders zero. Vectors reach
  // past the last row.
  size_t scratch() const { return plane() * channels + 2 * kVector; }
};

// The same as a plain pointer, for the kernels.
struct TablesView {
  const uint32_t* slots;  // of each table 2^bits entries: symbol | (slot - start) << 8 | freq << 20
  unsigned bits;
  bool escapes;
};

// Frequencies (tables, 256) that sum to 2^bits in each row, for symbols as bytes (two's complement).
class RecordTables {
 public:
  // False: a row does not sum to 2^bits, one symbol has all of it, or there are escapes and a row has none.
  bool load(const uint16_t* freq, size_t tables, unsigned bits, bool escapes) {
    if (bits < 8 || bits > kMostBits) return false;
    const uint32_t all = 1u << bits;
    bits_ = bits, escapes_ = escapes;
    freq_.assign(freq, freq + 256 * tables);
    start_.resize(256 * tables);
    slot_.resize(all * tables);
    for (size_t t = 0; t < tables; ++t) {
      uint32_t sum = 0;
      for (uint32_t s = 0; s < 256; ++s) {
        const uint32_t f = freq[256 * t + s];
        if (f > all - sum || f == all) return false;
        start_[256 * t + s] = uint16_t(sum);
        for (uint32_t k = 0; k < f; ++k) slot_[all * t + sum + k] = s | k << 8 | f << 20;
        sum += f;
      }
      if (sum != all || (escapes && !freq[256 * t + kRecordEscape])) return false;
    }
    return true;
  }
  TablesView view() const { return {slot_.data(), bits_, escapes_}; }
  bool escapes() const { return escapes_; }
  unsigned bits() const { return bits_; }
  uint32_t freq(size_t table, uint8_t s) const { return freq_[256 * table + s]; }
  uint32_t start(size_t table, uint8_t s) const { return start_[256 * table + s]; }
  // What stands for a symbol in its stream: itself, or the escape.
  uint8_t coded(size_t table, uint8_t s) const { return escapes_ && !freq(table, s) ? kRecordEscape : s; }

 private:
  unsigned bits_ = 0;
  bool escapes_ = false;
  std::vector<uint16_t> freq_, start_;
  std::vector<uint32_t> slot_;
};

// Where a record is decoded from and to.
struct RecordJob {
  const uint8_t* stream;
  size_t size;
  int8_t* record;
  bool holds;  // set by the decoder: the stream holds the record
};

struct GridKernels {
  // Writes table << 8 | symbol for every symbol of a record, in the order of the decoder. `coded` holds h * w bytes.
  void (*walk_record)(const RecordView&, const int8_t* record, uint8_t* scratch, int8_t* coded, uint32_t* out);
  // Streams -> the first `channels` of one to kTogether records. `scratch` is that of as many records.
  void (*parse_records)(const RecordView&, const TablesView&, RecordJob* jobs, size_t count, size_t channels,
                        uint8_t* scratch);
};

// What `walk_record` wrote -> stream. False: a symbol has no room in its table.
inline bool code_record(const uint32_t* walk, const RecordLayout& layout, const RecordTables& tables,
                        std::vector<uint8_t>& stream) {
  const size_t count = layout.channels * layout.cells(), n = layout.columns;
  for (size_t i = 0; i < count; ++i)
    if (!tables.freq(walk[i] >> 8, tables.coded(walk[i] >> 8, uint8_t(walk[i])))) return false;
  stream.resize(4 * kRecordLanes + (tables.escapes() ? 4 : 2) * count);
  uint32_t state[kRecordLanes];
  for (uint32_t& x : state) x = kStateLow;
  uint8_t* p = stream.data() + stream.size();
  const auto put = [&](uint32_t word) {
    p -= 2;
    p[0] = uint8_t(word), p[1] = uint8_t(word >> 8);
  };
  // Backward, for a decoder that goes forward: of each row first the words of its escapes.
  for (size_t end = count; end > 0; end -= n) {
    for (size_t i = end; tables.escapes() && i-- > end - n;)
      if (tables.coded(walk[i] >> 8, uint8_t(walk[i])) == kRecordEscape) put(uint8_t(walk[i]));
    for (size_t i = end; i-- > end - n;) {
      const size_t table = walk[i] >> 8;
      const uint8_t symbol = tables.coded(table, uint8_t(walk[i]));
      const uint32_t start = tables.start(table, symbol), freq = tables.freq(table, symbol);
      uint32_t& state_of_lane = state[(i - (end - n)) % kRecordLanes];
      uint32_t x = state_of_lane;
      if (x >= uint64_t{freq} << (32 - tables.bits())) {
        put(x);
        x >>= 16;
      }
      const uint32_t quotient = x / freq;
      state_of_lane = (quotient << tables.bits()) + (x - quotient * freq) + start;
    }
  }
  for (int s = kRecordLanes; s-- > 0;) {
    p -= 4;
    for (int k = 0; k < 4; ++k) p[k] = uint8_t(state[s] >> (8 * k));
  }
  stream.erase(stream.begin(), stream.begin() + (p - stream.data()));
  return true;
}

}  // namespace laconic
