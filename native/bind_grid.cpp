// bind_grid.cpp - the border to Python for records of latents. It checks shapes and ranges, converts, and releases the
// interpreter's lock.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <new>
#include <vector>

#include "bind.h"
#include "grid_fields.h"
#include "grid_records.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace laconic {
namespace {

using Data = Array<const uint8_t, nb::ndim<1>>;
using Spans = Array<const uint64_t, nb::shape<-1, 2>>;

void check_spans(const Data& bytes, const Spans& spans, size_t count) {
  require(spans.shape(0) == count, "a span for each record is expected");
  for (size_t i = 0; i < count; ++i) {
    const uint64_t offset = spans.data()[2 * i], size = spans.data()[2 * i + 1];
    require(offset <= bytes.shape(0) && size <= bytes.shape(0) - offset, "a span beyond the bytes");
  }
}

// A record on its way to tables: table << 8 | symbol of each symbol.
struct Walk {
  explicit Walk(const RecordLayout& layout)
      : entries(layout.channels * layout.cells()), scratch(layout.scratch()), coded(layout.cells()) {}
  void over(const RecordLayout& layout, const int8_t* record) {
    kernels().grid->walk_record(layout.view(), record, scratch.data(), coded.data(), entries.data());
  }

  std::vector<uint32_t> entries;
  std::vector<uint8_t> scratch;
  std::vector<int8_t> coded;
};

// What records of one kind share: layout and, once they are known, tables.
class RecordCoder {
 public:
  RecordCoder(size_t channels, size_t rows, size_t columns, const Array<const uint8_t, nb::ndim<1>>& low,
              const Array<const uint16_t, nb::ndim<1>>& first_tap, const Array<const int32_t, nb::shape<-1, 4>>& taps,
              const Array<const uint16_t, nb::ndim<1>>& base, const Array<const uint8_t, nb::shape<kBounds>>& bound,
              size_t tables) {

    layout_.channels = channels, layout_.rows = rows, layout_.columns = columns, layout_.tables = tables;
    layout_.low.assign(low.data(), low.data() + low.shape(0));
    layout_.first_tap.assign(first_tap.data(), first_tap.data() + first_tap.shape(0));
    for (size_t i = 0; i < taps.shape(0); ++i) {
      const int32_t* t = taps.data() + 4 * i;
      layout_.taps.push_back({t[0], t[1], t[2], t[3]});
    }
    layout_.base.assign(base.data(), base.data() + base.shape(0));
    std::memcpy(layout_.bound, bound.data(), kBounds);
    require(tables >= 1 && tables <= 1024 && layout_.valid(), "a layout of records out of range");
    layout_.prepare();
  }

  // Adds the symbols of records to counts (tables, 256).
  void count(const Array<const int8_t, nb::ndim<4>>& records, const Array<uint64_t, nb::shape<-1, 256>>& counts) const {
    check(records.shape(1), records.shape(2), records.shape(3));
    require(counts.shape(0) == layout_.tables, "counts of all tables are expected");
    nb::gil_scoped_release release;
    uint64_t* to = counts.data();
    const size_t size = layout_.channels * layout_.cells();
    Walk walk(layout_);
    for (size_t i = 0; i < records.shape(0); ++i) {
      walk.over(layout_, records.data() + i * size);
      for (const uint32_t entry : walk.entries) ++to[entry];
    }
  }

  // Frequencies of each row sum to 2^bits; with escapes they need not hold every symbol.
  void load(const Array<const uint16_t, nb::shape<-1, 256>>& freq, unsigned bits, bool escapes) {
    require(freq.shape(0) == layout_.tables, "frequencies of all tables are expected");
    bool ok;
    {
      nb::gil_scoped_release release;
      ok = tables_.load(freq.data(), layout_.tables, bits, escapes);
    }
    loaded_ = ok;
    require(ok, "frequencies that do not sum to what they should, or hold no escape");
  }

  Bytes push(const Array<const int8_t, nb::ndim<3>>& record) const {
    check(record.shape(0), record.shape(1), record.shape(2));
    require(loaded_, "tables are needed");
    std::vector<uint8_t> stream;
    bool ok;
    {
      nb::gil_scoped_release release;
      Walk walk(layout_);
      walk.over(layout_, record.data());
      ok = code_record(walk.entries.data(), layout_, tables_, stream);
    }
    require(ok, "a symbol that the tables do not hold");
    return Bytes(reinterpret_cast<const char*>(stream.data()), stream.size());
  }

  // Streams lie at spans (n, 2) of (offset, size) in `bytes`; records are (n, c, h, w) for the first c channels.
  // Returns the number of the first stream that does not hold its record, or -1.
  int64_t pop(const Data& bytes, const Spans& spans, const Array<int8_t, nb::ndim<4>>& records) const {
    const size_t channels = records.shape(1), count = records.shape(0);
    require(channels >= 1 && channels <= layout_.channels, "channels out of range");
    check(layout_.channels, records.shape(2), records.shape(3));
    require(loaded_, "tables are needed");
    check_spans(bytes, spans, count);
    nb::gil_scoped_release release;
    std::vector<uint8_t> scratch(kTogether * layout_.scratch());
    const RecordView view = layout_.view();
    const GridKernels& k = *kernels().grid;
    for (size_t i = 0; i < count; i += kTogether) {
      RecordJob jobs[kTogether];
      const size_t now = count - i < kTogether ? count - i : kTogether;
      for (size_t j = 0; j < now; ++j) {
        const uint64_t* span = spans.data() + 2 * (i + j);
        jobs[j] = {bytes.data() + span[0], span[1], records.data() + (i + j) * channels * layout_.cells(), false};
      }
      k.parse_records(view, tables_.view(), jobs, now, channels, scratch.data());
      for (size_t j = 0; j < now; ++j)
        if (!jobs[j].holds) return int64_t(i + j);
    }
    return -1;
  }

 private:
  void check(size_t channels, size_t rows, size_t columns) const {
    require(channels == layout_.channels && rows == layout_.rows && columns == layout_.columns,
            "records of another shape are expected");
  }

  RecordLayout layout_;
  RecordTables tables_;
  bool loaded_ = false;
};

// As RecordCoder::pop, for records of grid_fields.h.
int64_t pop_fields(const Data& bytes, const Spans& spans, const Array<const int8_t, nb::ndim<1>>& lowest,
                   const Array<const uint8_t, nb::ndim<1>>& widths, const Array<int8_t, nb::ndim<4>>& records) {
  const size_t channels = records.shape(1), cells = records.shape(2) * records.shape(3);
  require(channels >= 1 && channels <= widths.shape(0) && lowest.shape(0) == widths.shape(0), "channels out of range");
  for (size_t c = 0; c < widths.shape(0); ++c) require(widths.data()[c] <= 8, "fields of at most 8 bits");
  check_spans(bytes, spans, records.shape(0));
  nb::gil_scoped_release release;
  const FieldLayout layout{widths.shape(0), cells, lowest.data(), widths.data()};
  for (size_t i = 0; i < records.shape(0); ++i) {
    const uint64_t* span = spans.data() + 2 * i;
    if (!unpack_fields(layout, bytes.data() + span[0], span[1], channels, records.data() + i * channels * cells))
      return int64_t(i);
  }
  return -1;
}

}  // namespace

void bind_grid(nb::module_& m) {
  nb::class_<RecordCoder>(m, "RecordCoder")
      .def(nb::init<size_t, size_t, size_t, const Array<const uint8_t, nb::ndim<1>>&,
                    const Array<const uint16_t, nb::ndim<1>>&, const Array<const int32_t, nb::shape<-1, 4>>&,
                    const Array<const uint16_t, nb::ndim<1>>&, const Array<const uint8_t, nb::shape<kBounds>>&, size_t>(),
           "channels"_a, "rows"_a, "columns"_a, "low"_a.noconvert(), "first_tap"_a.noconvert(), "taps"_a.noconvert(),
           "base"_a.noconvert(), "bound"_a.noconvert(), "tables"_a)
      .def("count", &RecordCoder::count, "records"_a.noconvert(), "counts"_a.noconvert())
      .def("load", &RecordCoder::load, "frequencies"_a.noconvert(), "bits"_a, "escapes"_a)
      .def("push", &RecordCoder::push, "record"_a.noconvert())
      .def("pop", &RecordCoder::pop, "data"_a.noconvert(), "spans"_a.noconvert(), "records"_a.noconvert());
  m.def("pop_fields", &pop_fields, "data"_a.noconvert(), "spans"_a.noconvert(), "lowest"_a.noconvert(),
        "widths"_a.noconvert(), "records"_a.noconvert());
}

}  // namespace laconic
