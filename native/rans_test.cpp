// rans_test.cpp - laws of the entropy coder.
#include "rans.h"

#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "check.h"

using namespace laconic;

namespace {

struct Op {
  uint32_t start, freq;
};

std::vector<uint8_t> push_all(const std::vector<Op>& ops) {
  std::vector<uint32_t> packed;
  for (const Op& op : ops) packed.push_back(pack_op(op.start, op.freq));
  std::vector<uint8_t> out(push_bound(ops.size()));
  const size_t at = push_ops(packed.data(), packed.size(), out.data(), out.size());
  return {out.begin() + ptrdiff_t(at), out.end()};
}

// True when the stream holds exactly these operations.
bool pops_to(const std::vector<uint8_t>& stream, const std::vector<Op>& ops) {
  if (!RansReader::well_formed(stream.data(), stream.size())) return false;
  RansReader reader(stream.data(), stream.size());
  for (const Op& op : ops) {
    if (reader.slot() < op.start || reader.slot() >= op.start + op.freq) return false;
    reader.take(op.start, op.freq);
  }
  return reader.finished();
}

std::vector<Op> random_ops(Random& random, size_t count) {
  std::vector<Op> ops(count);
  for (Op& op : ops) {
    op.start = random.below(kProbTotal);
    const uint32_t most = kProbTotal - op.start;
    op.freq = 1 + random.below(random.below(2) ? most : most < 40 ? most : 40);
  }
  return ops;
}

void the_pinned_vector_holds() {
  std::ifstream file(LACONIC_SOURCE_DIR "/golden/rans_vector.txt");
  CHECK(file);
  std::vector<Op> ops;
  std::string line, word, hex;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    words >> word;
    Op op;
    if (word == "op" && words >> op.start >> op.freq) ops.push_back(op);
    if (word == "stream") words >> hex;
  }
  CHECK(ops.size() == 40);
  std::vector<uint8_t> stream;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) stream.push_back(uint8_t(std::stoi(hex.substr(i, 2), nullptr, 16)));
  CHECK(push_all(ops) == stream);
  CHECK(pops_to(stream, ops));
}

void operations_come_back_at_the_price_of_their_entropy() {
  Random random{1};
  for (size_t count : {size_t{0}, size_t{1}, size_t{2}, size_t{3}, size_t{7}, size_t{1000}, size_t{20001}}) {
    const std::vector<Op> ops = random_ops(random, count);
    const std::vector<uint8_t> stream = push_all(ops);
    CHECK(pops_to(stream, ops));
    double bits = 0;
    for (const Op& op : ops) bits += kProbBits - std::log2(double(op.freq));
    // Two states of 16 bits more than the content needs, and rANS's own loss, far below a thousandth.
    CHECK(8.0 * double(stream.size()) <= bits * 1.001 + 64);
    CHECK(8.0 * double(stream.size()) >= bits);
  }
}

void every_extreme_interval_comes_back() {
  std::vector<Op> ops;
  for (int i = 0; i < 100; ++i) {
    ops.push_back({0, kProbTotal});
    ops.push_back({uint32_t(i * 163), 1});
    ops.push_back({kProbTotal - 1, 1});
    ops.push_back({1, kProbTotal - 1});
  }
  CHECK(pops_to(push_all(ops), ops));
}

void a_state_exactly_at_its_limit_comes_back() {
  // Encoded backward, (0, 1) takes a state from 2^16 to 2^30, which is where 4096 << 18 demands that a word leaves.
  const std::vector<Op> ops = {{0, 4096}, {0, kProbTotal}, {0, 1}, {0, kProbTotal}};
  CHECK(pops_to(push_all(ops), ops));
}

void raw_bits_come_back() {
  std::vector<uint32_t> packed;
  Random random{2};
  std::vector<std::pair<uint32_t, unsigned>> values;
  for (int i = 0; i < 5000; ++i) {
    const unsigned n = random.below(9);
    values.emplace_back(random.below(1u << n), n);
    packed.push_back(raw_op(values.back().first, n));
  }
  std::vector<uint8_t> out(push_bound(packed.size()));
  const size_t at = push_ops(packed.data(), packed.size(), out.data(), out.size());
  RansReader reader(out.data() + at, out.size() - at);
  for (const auto& [value, n] : values) CHECK(reader.take_raw(n) == value);
  CHECK(reader.finished());
}

void no_changed_byte_and_no_cut_passes() {
  Random random{3};
  const std::vector<Op> ops = random_ops(random, 60);
  std::vector<uint8_t> stream = push_all(ops);
  for (size_t i = 0; i < stream.size(); ++i)
    for (unsigned change = 1; change < 256; ++change) {
      stream[i] ^= uint8_t(change);
      CHECK(!pops_to(stream, ops));
      stream[i] ^= uint8_t(change);
    }
  for (size_t size = 0; size < stream.size(); ++size)
    CHECK(!pops_to({stream.begin(), stream.begin() + ptrdiff_t(size)}, ops));
  std::vector<uint8_t> longer = stream;
  longer.resize(stream.size() + 2);
  CHECK(!pops_to(longer, ops));
}

void reading_past_the_end_is_remembered() {
  const std::vector<uint8_t> stream = push_all({});
  CHECK(stream.size() == kStatesBytes);
  RansReader reader(stream.data(), stream.size());
  CHECK(reader.finished());
  for (int i = 0; i < 100; ++i) reader.take_raw(8);
  CHECK(reader.overran());
  CHECK(!reader.finished());
}

}  // namespace

int main() {
  the_pinned_vector_holds();
  operations_come_back_at_the_price_of_their_entropy();
  every_extreme_interval_comes_back();
  a_state_exactly_at_its_limit_comes_back();
  raw_bits_come_back();
  no_changed_byte_and_no_cut_passes();
  reading_past_the_end_is_remembered();
  std::puts("rans: all laws hold");
}
