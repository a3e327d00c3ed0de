// rans.h - the entropy coder: range asymmetric numeral systems (Duda, arXiv:1311.2540) with 32-bit states,
// 16-bit words and 14-bit probabilities. It knows nothing of images: it turns a list of operations, each one an
// interval [start, start + freq) of 0 .. 16383, into words and back.
//
// Two states take the operations in turn (operation i belongs to state i mod 2), so that the latency of one hides
// behind the other. Encoding runs backward over the list; decoding runs forward.
//
//   stream = state 0 (u32 LE) | state 1 (u32 LE) | words (u16 LE) in the order in which the decoder takes them
//
// Invariant: between operations 2^16 <= state < 2^32. The encoder starts both states at 2^16, so a decoder that has
// taken every operation must find both there again and no word left. That is a free check, though not a checksum: raw
// bits that changed leave no trace in it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

// Shared inline functions are always inlined: kernels are compiled once per instruction set, and an out-of-line copy
// made for a newer processor must never be the one that the linker keeps for an older.
#define LACONIC_INLINE inline __attribute__((always_inline))

namespace laconic {

constexpr unsigned kProbBits = 14;
constexpr uint32_t kProbTotal = 1u << kProbBits;
constexpr uint32_t kStateLow = 1u << 16;
constexpr size_t kStatesBytes = 8;

// An operation packed in 32 bits: start in the low half, freq (1 .. 16384) in the high half.
LACONIC_INLINE uint32_t pack_op(uint32_t start, uint32_t freq) { return start | freq << 16; }

// n raw bits (0 <= n <= 8) cost exactly n bits: an interval of 2^(14-n).
LACONIC_INLINE uint32_t raw_op(uint32_t value, unsigned n) {
  return pack_op(value << (kProbBits - n), 1u << (kProbBits - n));
}

// Bytes that `push_ops` may need for `count` operations: no operation writes more than one word, because
// x < 2^32 and freq >= 1 give x >> 16 < 2^16 <= the smallest limit, freq << 18.
LACONIC_INLINE size_t push_bound(size_t count) { return kStatesBytes + 2 * count; }

// Encodes ops[0 .. count) into the END of out[0 .. capacity), capacity >= push_bound(count).
// Returns the offset in `out` at which the stream starts. Precondition: every freq is in 1 .. 16384.
inline size_t push_ops(const uint32_t* ops, size_t count, uint8_t* out, size_t capacity) {
  uint32_t state[2] = {kStateLow, kStateLow};
  uint8_t* p = out + capacity;
  for (size_t i = count; i-- > 0;) {
    const uint32_t start = ops[i] & 0xffffu, freq = ops[i] >> 16;
    uint32_t x = state[i & 1];
    if (x >= uint64_t{freq} << (32 - kProbBits)) {
      p -= 2;
      p[0] = uint8_t(x), p[1] = uint8_t(x >> 8);
      x >>= 16;
    }
    const uint32_t quotient = x / freq;
    state[i & 1] = (quotient << kProbBits) + (x - quotient * freq) + start;
  }
  for (int s = 1; s >= 0; --s) {
    p -= 4;
    for (int k = 0; k < 4; ++k) p[k] = uint8_t(state[s] >> (8 * k));
  }
  return size_t(p - out);
}

// The bounded reader. Past its end it takes zero words and remembers it: a damaged stream costs no more time than a
// good one and is refused at the end.
class RansReader {
 public:
  // Precondition: size >= 8 and even (`well_formed`).
  LACONIC_INLINE RansReader(const uint8_t* bytes, size_t size)
      : a_(load32(bytes)), b_(load32(bytes + 4)), words_(bytes + kStatesBytes), count_((size - kStatesBytes) / 2) {}

  LACONIC_INLINE static bool well_formed(const uint8_t* bytes, size_t size) {
    return size >= kStatesBytes && size % 2 == 0 && load32(bytes) >= kStateLow && load32(bytes + 4) >= kStateLow;
  }

  // The slot (0 .. 16383) of the operation that comes next.
  LACONIC_INLINE uint32_t slot() const { return a_ & (kProbTotal - 1); }

  // Takes that operation. Precondition: start <= slot() < start + freq.
  LACONIC_INLINE void take(uint32_t start, uint32_t freq) {
    uint32_t x = freq * (a_ >> kProbBits) + (a_ & (kProbTotal - 1)) - start;
    const bool refill = x < kStateLow;
    const uint32_t word = at_ < count_ ? load16(words_ + 2 * at_) : 0;
    x = refill ? x << 16 | word : x;
    at_ += refill;
    a_ = b_;  // the states take turns
    b_ = x;
  }

  LACONIC_INLINE uint32_t take_raw(unsigned n) {
    const uint32_t value = slot() >> (kProbBits - n);
    take(value << (kProbBits - n), 1u << (kProbBits - n));
    return value;
  }

  // True when `operations` have been taken and the stream is exactly used up.
  LACONIC_INLINE bool finished() const { return at_ == count_ && a_ == kStateLow && b_ == kStateLow; }
  LACONIC_INLINE bool overran() const { return at_ > count_; }

 private:
  LACONIC_INLINE static uint32_t load16(const uint8_t* p) { return uint32_t(p[0]) | uint32_t(p[1]) << 8; }
  LACONIC_INLINE static uint32_t load32(const uint8_t* p) { return load16(p) | load16(p + 2) << 16; }

  uint32_t a_, b_;  // a_ serves the next operation, b_ the one after it
  const uint8_t* words_;
  size_t count_, at_ = 0;
};

}  // namespace laconic
