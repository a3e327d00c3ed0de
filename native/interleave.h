// interleave.h - pixels <-> rows of their channels, a block at a time, so that loops between them go through rows.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include <cstddef>
#include <cstdint>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace laconic {
namespace LACONIC_ISA {

constexpr int kBlockPixels = 256;  // channels of a block stay in the nearest cache
constexpr int kColorChannels = 3;

// The first three channels of a block of pixels.
template <class S>
struct ColorBlock {
  alignas(64) S of[kColorChannels][kBlockPixels];
};

#if defined(__AVX2__)

// Of 16 pixels of three bytes: where each byte of a vector of pixels comes from in a vector of a channel, and back;
// elsewhere 0x80, which takes nothing.
struct ByteOrders {
  uint8_t to_pixels[3][3][16], to_channels[3][3][16];  // by channel, vector of pixels, byte
};
constexpr ByteOrders byte_orders() {
  ByteOrders orders{};
  for (int c = 0; c < 3; ++c)
    for (int v = 0; v < 3; ++v)
      for (int i = 0; i < 16; ++i) {
        const int pixel_byte = 16 * v + i, channel_byte = 3 * i + c;
        orders.to_pixels[c][v][i] = uint8_t(pixel_byte % 3 == c ? pixel_byte / 3 : 0x80);
        orders.to_channels[c][v][i] = uint8_t(channel_byte / 16 == v ? channel_byte % 16 : 0x80);
      }
  return orders;
}
alignas(16) constexpr ByteOrders kByteOrders = byte_orders();

inline __m128i load_bytes(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
inline __m128i taken(__m128i from, const uint8_t* order) { return _mm_shuffle_epi8(from, load_bytes(order)); }

// The first pixels that fill vectors; how many.
inline int interleave_vectors(const ColorBlock<uint8_t>& block, int n, uint8_t* px) {
  int x = 0;
  for (; x + 16 <= n; x += 16, px += 48) {
    __m128i from[3];
    for (int c = 0; c < 3; ++c) from[c] = load_bytes(block.of[c] + x);
    for (int v = 0; v < 3; ++v) {
      const auto& order = kByteOrders.to_pixels;
      const __m128i two = _mm_or_si128(taken(from[0], order[0][v]), taken(from[1], order[1][v]));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(px + 16 * v), _mm_or_si128(two, taken(from[2], order[2][v])));
    }
  }
  return x;
}

inline int deinterleave_vectors(const uint8_t* px, int n, ColorBlock<uint8_t>& block) {
  int x = 0;
  for (; x + 16 <= n; x += 16, px += 48) {
    __m128i from[3];
    for (int v = 0; v < 3; ++v) from[v] = load_bytes(px + 16 * v);
    for (int c = 0; c < 3; ++c) {
      const auto& order = kByteOrders.to_channels[c];
      const __m128i two = _mm_or_si128(taken(from[0], order[0]), taken(from[1], order[1]));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(block.of[c] + x), _mm_or_si128(two, taken(from[2], order[2])));
    }
  }
  return x;
}

#else

inline int interleave_vectors(const ColorBlock<uint8_t>&, int, uint8_t*) { return 0; }
inline int deinterleave_vectors(const uint8_t*, int, ColorBlock<uint8_t>&) { return 0; }

#endif

inline int interleave_vectors(const ColorBlock<uint16_t>&, int, uint16_t*) { return 0; }
inline int deinterleave_vectors(const uint16_t*, int, ColorBlock<uint16_t>&) { return 0; }

// Rows of channels to `n` pixels of `channels` samples each; a fourth is left as it is.
template <class S>
inline void interleave(const ColorBlock<S>& block, int n, int channels, S* px) {
  for (int x = channels == 3 ? interleave_vectors(block, n, px) : 0; x < n; ++x)
    for (int c = 0; c < kColorChannels; ++c) px[channels * x + c] = block.of[c][x];
}

// And back.
template <class S>
inline void deinterleave(const S* px, int n, int channels, ColorBlock<S>& block) {
  for (int x = channels == 3 ? deinterleave_vectors(px, n, block) : 0; x < n; ++x)
    for (int c = 0; c < kColorChannels; ++c) block.of[c][x] = px[channels * x + c];
}

}  // namespace LACONIC_ISA
}  // namespace laconic
