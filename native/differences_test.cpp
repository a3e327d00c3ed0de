// differences_test.cpp - laws of differences to a base: words of every width come back, and nothing else is taken.
#include "differences.h"

#include <cstdio>
#include <vector>

#include "check.h"

using namespace laconic;

namespace {

template <class Word>
void words_come_back(unsigned mantissa) {
  Random random{sizeof(Word) + mantissa};
  for (size_t count : {size_t{0}, size_t{1}, size_t{3000}})
    for (size_t columns : {size_t{1}, size_t{37}, size_t{5000}})
      for (unsigned spread : {0u, 6u, 20u, 63u}) {
        std::vector<Word> words(count), base(count), found(count);
        for (size_t i = 0; i < count; ++i) {
          base[i] = Word(random.next());
          const uint64_t move = random.next() & ((uint64_t{1} << random.below(spread + 1)) - 1);
          words[i] = Word(random.below(2) ? base[i] + Word(move) : base[i] - Word(move));
        }
        DifferenceLayout layout{count, columns, mantissa, 0, 2};
        fit_differences(words.data(), base.data(), layout);
        std::vector<uint32_t> ops;
        std::vector<uint8_t> raw;
        code_differences(words.data(), base.data(), layout, ops, raw);
        std::vector<uint8_t> out(push_bound(ops.size()));
        const size_t at = push_ops(ops.data(), ops.size(), out.data(), out.size());
        const auto parse = [&](size_t size, size_t raw_size) {
          return parse_differences(out.data() + at, size, raw.data(), raw_size, base.data(), layout, found.data());
        };
        CHECK(parse(out.size() - at, raw.size()));
        CHECK(found == words);
        if (!raw.empty()) CHECK(!parse(out.size() - at, raw.size() - 1));
        if (out.size() - at > kStatesBytes) CHECK(!parse(out.size() - at - 2, raw.size()));
      }
}

void bits_come_back() {
  Random random{9};
  std::vector<uint8_t> bytes;
  std::vector<std::pair<uint64_t, unsigned>> all;
  BitWriter writer(bytes);
  for (int i = 0; i < 1000; ++i) {
    const unsigned n = random.below(64);
    all.emplace_back(random.next() & ((uint64_t{1} << n) - 1), n);
    writer.put(all.back().first, n);
  }
  writer.finish();
  BitReader reader(bytes.data(), bytes.size());
  for (const auto& [value, n] : all) CHECK(reader.take(n) == value);
  CHECK(reader.finished());
}

}  // namespace

int main() {
  words_come_back<uint8_t>(0);
  words_come_back<uint16_t>(0);
  words_come_back<uint16_t>(7);
  words_come_back<uint16_t>(10);
  words_come_back<uint32_t>(0);
  words_come_back<uint32_t>(23);
  words_come_back<uint64_t>(0);
  words_come_back<uint64_t>(52);
  bits_come_back();
  std::puts("differences: all laws hold");
}
