// levels_test.cpp - laws of the trellis, its search, the adaptive tables and the byte planes.
#include "levels.h"

#include <cmath>
#include <cstdio>
#include <vector>

#include "check.h"
#include "kernels.h"
#include "planes.h"
#include "trellis_fit.h"

using namespace laconic;

namespace {

// Levels as a search could choose them: no zero where the quantizer has none.
std::vector<int32_t> random_levels(Random& random, size_t count, unsigned bits, bool shared_zero, uint32_t most) {
  std::vector<int32_t> levels(count);
  Trellis trellis(bits, shared_zero);
  for (int32_t& k : levels) {
    const uint32_t size = random.below(random.below(8) ? 4 : most) + trellis.least();
    k = random.below(2) ? -int32_t(size) : int32_t(size);
    trellis.advance(k);
  }
  return levels;
}

std::vector<uint8_t> stream_of(const std::vector<int32_t>& levels, LevelLayout layout) {
  std::vector<uint32_t> ops;
  CHECK(code_levels(levels.data(), layout, ops));
  std::vector<uint8_t> out(push_bound(ops.size()));
  const size_t at = push_ops(ops.data(), ops.size(), out.data(), out.size());
  return {out.begin() + ptrdiff_t(at), out.end()};
}

void levels_come_back_under_every_layout() {
  Random random{1};
  for (unsigned bits : {0u, 2u, 3u, 4u, 5u, 6u, 7u, 8u})
    for (unsigned contexts = 0; contexts <= kRowAndColumn; ++contexts)
      for (size_t columns : {size_t{1}, size_t{7}, size_t{3000}}) {
        const bool shared_zero = bits && random.below(2);
        const auto levels = random_levels(random, 3000, bits, shared_zero, bits ? 32767 : 1u << 29);
        LevelLayout layout{levels.size(), columns, bits, contexts, 0, random.below(kEnergyBuckets), shared_zero};
        layout.tokens = count_tokens(levels.data(), levels.size(), bits, shared_zero);
        const auto stream = stream_of(levels, layout);
        std::vector<int32_t> found(levels.size());
        CHECK(parse_levels(stream.data(), stream.size(), layout, nullptr, found.data()));
        CHECK(found == levels);
        // A stream for one level more, or one less, is refused.
        found.resize(levels.size() + 1);
        ++layout.count;
        CHECK(!parse_levels(stream.data(), stream.size(), layout, nullptr, found.data()));
        layout.count -= 2;
        CHECK(!parse_levels(stream.data(), stream.size(), layout, nullptr, found.data()));
      }
}

void a_zero_where_there_is_none_is_refused() {
  // One step of quantizer 0 with a level that leads to quantizer 1 follows; a zero there cannot be coded.
  Trellis trellis(3, false);
  std::vector<int32_t> levels;
  while (!trellis.quantizer()) levels.push_back(1), trellis.advance(1);
  levels.push_back(0);
  std::vector<uint32_t> ops;
  CHECK(!code_levels(levels.data(), {levels.size(), 1, 3, 0, 4, 8, false}, ops));
  CHECK(count_tokens(levels.data(), levels.size(), 3, false) == 0);
}

void every_magnitude_is_its_token_and_its_raw_bits() {
  for (uint32_t magnitude = 0; magnitude < 1u << 30; magnitude += 1 + magnitude / 777) {
    const Token t = token_of(magnitude);
    unsigned raw_bits;
    const uint32_t base = token_base(t.token, raw_bits);
    CHECK(t.token < uint32_t(kLevelTokens) && raw_bits == t.raw_bits && base + t.raw == magnitude);
  }
}

void the_two_quantizers_hold_every_multiple_of_the_step_once() {
  const PointOffsets none{};
  for (uint32_t q = 0; q < 2; ++q)
    for (int32_t k = -9; k <= 9; ++k) {
      if (q && !k) continue;
      const int32_t steps = trellis_point(q, k, none) / kPointUnit;
      CHECK((steps & 1) == int32_t(q));
      // The subsets are the classes modulo 4.
      const int32_t other = k + (k == -1 && q ? 3 : 2);
      CHECK(((trellis_point(q, other, none) / kPointUnit - steps) % 4 == 0) ==
            (trellis_subset(q, k, false) == trellis_subset(q, other, false)));
    }
}

void the_search_is_near_the_bound() {
  // Gaussian values by Box and Muller; D(R) = 4^-R for variance 1.
  Random random{4};
  std::vector<float> x(1 << 16);
  for (float& v : x) {
    const double u = (double(random.next() >> 11) + 0.5) / 9007199254740992.0, w = double(random.next() >> 11) / 9007199254740992.0;
    v = float(std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * w));
  }
  for (const auto& [bits, gap] : {std::pair{3u, 0.10}, std::pair{6u, 0.07}, std::pair{8u, 0.055}})
    for (const float step : {1.2f, 0.7f, 0.25f}) {
      std::vector<float> scaled = x;
      for (float& v : scaled) v /= step;
      LevelLayout layout{x.size(), 256, bits, kNoEnergy, kTrellisTokens, 8, false};
      const auto* k = supported_kernels(0);
      TrellisFit fit = fit_trellis(k->coding->search_trellis, scaled.data(), {}, layout, 0.35, 65536, 5);
      std::vector<int32_t> levels(x.size()), points(x.size()), again(x.size());
      CHECK(k->coding->search_trellis(bits, scaled.data(), nullptr, x.size(), fit.model, levels.data()));
      for (int i = 1; const auto* other = supported_kernels(i); ++i) {
        CHECK(other->coding->search_trellis(bits, scaled.data(), nullptr, x.size(), fit.model, again.data()));
        CHECK(again == levels);
      }
      layout.tokens = count_tokens(levels.data(), levels.size(), bits, false);
      const auto stream = stream_of(levels, layout);
      CHECK(parse_levels(stream.data(), stream.size(), layout, &fit.offsets, points.data()));
      double squares = 0, power = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const double error = double(x[i]) - double(points[i]) / kPointUnit * double(step);
        squares += error * error, power += double(x[i]) * double(x[i]);
      }
      const double rate = 8.0 * double(stream.size()) / double(x.size());
      CHECK(rate + 0.5 * std::log2(squares / power) < gap);
    }
}

void planes_come_back_at_the_price_of_their_entropy() {
  Random random{5};
  for (size_t count : {size_t{0}, size_t{1}, size_t{17}, kWideBytes - 1, kWideBytes, size_t{100001}}) {
    std::vector<uint8_t> bytes(count), found(count), stream;
    double counts[256] = {};
    for (uint8_t& b : bytes) b = uint8_t(100 + random.below(1 + random.below(20))), ++counts[b];
    code_plane(bytes.data(), count, 100, 120, stream);
    const bool wide = plane_lanes(count) != 2;
    const auto parse = [&](const std::vector<uint8_t>& s) {
      return wide ? parse_plane<kPlaneLanes>(s.data(), s.size(), 100, 120, found.data(), count)
                  : parse_plane<2>(s.data(), s.size(), 100, 120, found.data(), count);
    };
    CHECK(parse(stream));
    CHECK(found == bytes);
    double bits = 0;
    for (double c : counts) bits -= c > 0 ? c * std::log2(c / double(count)) : 0;
    CHECK(8.0 * double(stream.size()) <= bits * 1.005 + 1200);
    stream.push_back(0), stream.push_back(0);
    CHECK(!parse(stream));
    if (count > 100) {
      stream.resize(stream.size() - 4);
      CHECK(!parse(stream));
    }
  }
}

void words_come_back_from_their_planes() {
  Random random{6};
  std::vector<uint32_t> words(1000), found(1000);
  for (uint32_t& w : words) w = uint32_t(random.next());
  std::vector<uint8_t> planes(4000);
  for (bool rotate : {false, true}) {
    split_words(words.data(), 1000, rotate, planes.data());
    CHECK(planes[0] == uint8_t(words[0] >> (rotate ? 23 : 24)));
    join_words(planes.data(), 1000, rotate, found.data());
    CHECK(found == words);
  }
}

}  // namespace

int main() {
  levels_come_back_under_every_layout();
  a_zero_where_there_is_none_is_refused();
  every_magnitude_is_its_token_and_its_raw_bits();
  the_two_quantizers_hold_every_multiple_of_the_step_once();
  the_search_is_near_the_bound();
  planes_come_back_at_the_price_of_their_entropy();
  words_come_back_from_their_planes();
  std::puts("levels: all laws hold");
}
