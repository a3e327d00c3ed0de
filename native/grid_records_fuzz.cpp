// grid_records_fuzz.cpp - hostile streams against the decoder of records, for libFuzzer (LACONIC_FUZZ) or `replay.cpp`.
//
// The first bytes choose the layout; the rest is a record, coded and damaged by what follows, or a stream as it is.
// Every instruction set must end alike, and a record that was not damaged must come back.
#include "grid_records.h"

#include <cstring>
#include <vector>

#include "check.h"

using namespace laconic;

namespace {

RecordLayout layout_of(const uint8_t* head) {
  RecordLayout layout{};
  layout.channels = 1 + head[0] % 6, layout.rows = 1 + head[1] % 9, layout.columns = 1 + head[2] % 70;
  layout.tables = 2 * (kBounds + 1);
  Random random{head[3]};
  layout.first_tap.push_back(0);
  for (size_t c = 0; c < layout.channels; ++c) {
    layout.low.push_back(c < head[4] % 3u);
    layout.base.push_back(c % 2 ? kBounds + 1 : 0);
    for (int left = kMostWeight; left > 3 && random.below(5);) {
      const int weight = 1 + int(random.below(3)), channel = int(random.below(uint32_t(c) + 1));
      const int row = channel == int(c) ? -1 - int(random.below(2)) : int(random.below(5)) - 2;
      layout.taps.push_back({channel, row, int(random.below(5)) - 2, weight});
      left -= weight;
    }
    layout.first_tap.push_back(uint16_t(layout.taps.size()));
  }
  for (int b = 0; b < kBounds; ++b) layout.bound[b] = uint8_t(b * b / 2);
  CHECK(layout.valid());
  layout.prepare();
  return layout;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t head = 8;
  if (size < head) return 0;
  const RecordLayout layout = layout_of(data);
  const RecordView view = layout.view();
  const size_t count = layout.channels * layout.cells();
  // Every symbol in every table; or few of them, and an escape.
  const bool escapes = data[7] & 1;
  const unsigned bits = escapes ? 10 : 12;
  std::vector<uint16_t> freq(256 * layout.tables, escapes ? 0 : 15);
  for (size_t t = 0; t < layout.tables; ++t) {
    uint16_t* row = freq.data() + 256 * t;
    if (escapes) row[1] = row[255] = 99, row[kRecordEscape] = uint16_t(1 + data[7]);
    row[0] = 0;
    unsigned sum = 0;
    for (int s = 0; s < 256; ++s) sum += row[s];
    row[0] = uint16_t((1u << bits) - sum);
  }
  RecordTables tables;
  CHECK(tables.load(freq.data(), layout.tables, bits, escapes));

  std::vector<int8_t> record(count), coded(layout.cells());
  for (size_t i = 0; i < count; ++i) record[i] = int8_t(data[i % size]);
  std::vector<uint32_t> walk(count);
  std::vector<uint8_t> stream;
  std::vector<uint8_t> first;
  bool verdicts[kKernelTables][2] = {};
  for (int k = 0; k < kKernelTables; ++k) {
    const Kernels* kernels = supported_kernels(k);
    if (!kernels) continue;
    const GridKernels& grid = *kernels->grid;
    std::vector<uint8_t> scratch(kTogether * layout.scratch());
    const auto parse = [&](std::vector<RecordJob> jobs, size_t channels) {
      grid.parse_records(view, tables.view(), jobs.data(), jobs.size(), channels, scratch.data());
      return jobs;
    };
    grid.walk_record(view, record.data(), scratch.data(), coded.data(), walk.data());
    CHECK(code_record(walk.data(), layout, tables, stream));
    if (k == 0) first = stream;
    CHECK(stream == first);
    // `scratch` is used again, as it is for the next record of a batch.
    std::vector<int8_t> found(count, 99);
    CHECK(parse({{stream.data(), stream.size(), found.data(), false}}, layout.channels)[0].holds);
    CHECK(found == record);
    const size_t kept = 1 + data[5] % layout.channels;
    std::vector<int8_t> prefix(kept * layout.cells());
    CHECK(parse({{stream.data(), stream.size(), prefix.data(), false}}, kept)[0].holds);
    CHECK(std::memcmp(prefix.data(), record.data(), prefix.size()) == 0);
    std::vector<uint8_t> damaged = stream;
    for (size_t i = head; i + 2 < size && i < head + 30; i += 3)
      damaged[(data[i] * 256u + data[i + 1]) % damaged.size()] ^= data[i + 2];
    damaged.erase(damaged.end() - ptrdiff_t(data[6] % damaged.size()), damaged.end());
    // Alone, and beside one that is whole.
    verdicts[k][0] = parse({{damaged.data(), damaged.size(), found.data(), false}}, layout.channels)[0].holds;
    std::vector<int8_t> beside(count);
    const auto pair = parse({{data + head, size - head, found.data(), false},
                             {stream.data(), stream.size(), beside.data(), false}}, layout.channels);
    verdicts[k][1] = pair[0].holds;
    CHECK(pair[1].holds && beside == record);
    CHECK(verdicts[k][0] == verdicts[0][0] && verdicts[k][1] == verdicts[0][1]);
  }
  return 0;
}
