// bind_arrays.cpp - the border to Python for arrays: levels of a trellis, byte planes. It checks shapes and ranges,
// converts, and releases the interpreter's lock.
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <new>
#include <string>
#include <tuple>
#include <vector>

#include "bind.h"
#include "levels.h"
#include "planes.h"
#include "trellis_fit.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace laconic {
namespace {

// Columns, trellis bits, contexts, tokens, scale, shared zero.
using LayoutTuple = std::tuple<size_t, unsigned, unsigned, int, unsigned, bool>;
using OffsetsTuple = std::vector<int>;                                     // six, quantizer 0 first

LevelLayout level_layout(size_t count, const LayoutTuple& fields) {
  const auto [columns, bits, contexts, tokens, scale, shared_zero] = fields;
  require(columns >= 1, "a row of at least one level is expected");
  require(bits == 0 || (bits >= kMinTrellisBits && bits <= kMaxTrellisBits), "a trellis of 0 or 2 to 8 bits is expected");
  require(contexts <= kRowAndColumn, "contexts out of range");
  require(tokens >= 2 && tokens <= (bits ? kTrellisTokens : kLevelTokens), "tokens out of range");
  require(scale < unsigned(kEnergyBuckets), "scale out of range");
  require(bits > 0 || !shared_zero, "without a trellis there is one zero");
  return {count, columns, bits, contexts, tokens, scale, shared_zero};
}

PointOffsets point_offsets(const OffsetsTuple& six) {
  PointOffsets offsets{};
  require(six.size() == 2 * kOffsetMagnitudes, "six offsets are expected");
  for (size_t i = 0; i < six.size(); ++i) {
    require(six[i] >= -kMostOffset && six[i] <= kMostOffset, "an offset out of range");
    offsets.offset[i / kOffsetMagnitudes][i % kOffsetMagnitudes] = int8_t(six[i]);
  }
  return offsets;
}

OffsetsTuple spelled(const PointOffsets& offsets) {
  OffsetsTuple six;
  for (const auto& row : offsets.offset)
    for (const int8_t offset : row) six.push_back(offset);
  return six;
}

// Returns (levels, offsets, bits per value, squared error per value in squared steps); levels are empty where only the
// estimate is wanted.
std::tuple<nb::object, OffsetsTuple, double, double> search(const Array<const float, nb::ndim<1>>& x,
                                                            const LayoutTuple& fields, double lambda, size_t sample,
                                                            int rounds, bool whole) {
  const size_t count = x.shape(0);
  const LevelLayout layout = level_layout(count, fields);
  require(layout.trellis_bits > 0, "a trellis is expected");
  require(count >= 1 && sample >= 4096 && rounds >= 1 && rounds <= 16, "sample or rounds out of range");
  require(lambda >= 0 && lambda <= 1e6, "lambda out of range");
  bool finite = true;
  for (size_t i = 0; i < count; ++i) finite &= x.data()[i] - x.data()[i] == 0;
  require(finite, "finite values are expected");
  auto* levels = static_cast<int32_t*>(std::malloc((whole ? count : 1) * sizeof(int32_t)));
  if (!levels) throw std::bad_alloc();
  nb::object result = owned_array(levels, whole ? count : 0);
  TrellisFit fit;
  {
    nb::gil_scoped_release release;
    const std::vector<uint8_t> buckets = expected_buckets(x.data(), layout);
    fit = fit_trellis(kernels().coding->search_trellis, x.data(), buckets, layout, lambda, sample, rounds);
    if (whole) {
      const uint8_t* b = buckets.empty() ? nullptr : buckets.data();
      if (!kernels().coding->search_trellis(layout.trellis_bits, x.data(), b, count, fit.model, levels)) throw std::bad_alloc();
      LevelCounts counts;
      counts.add(x.data(), nullptr, levels, count, layout, fit.offsets);
      fit.offsets = counts.centroids();
    }
  }
  return {result, spelled(fit.offsets), fit.bits, fit.squares};
}

// Returns (levels, targets, offsets, bits per value, squared error per value in squared steps).
std::tuple<nb::object, nb::object, OffsetsTuple, double, double> search_with_feedback(
    const Array<const float, nb::ndim<2>>& x, const Array<const float, nb::ndim<2>>& along,
    const Array<const float, nb::ndim<2>>& across, const Array<const float, nb::ndim<1>>& row_weight,
    const Array<const float, nb::ndim<1>>& column_weight, const LayoutTuple& fields, double lambda, int rounds) {
  const size_t rows = x.shape(0), columns = x.shape(1), count = rows * columns;
  const LevelLayout layout = level_layout(count, fields);
  require(layout.trellis_bits > 0 && layout.columns == columns, "a trellis and the columns of x are expected");
  require(count >= 1 && rounds >= 0 && rounds <= 16, "x or rounds out of range");
  require(lambda >= 0 && lambda <= 1e6, "lambda out of range");
  require(along.shape(0) == columns && along.shape(1) == columns, "feedback along a row is (columns, columns)");
  require(across.shape(0) == 0 || (across.shape(0) == rows && across.shape(1) == rows), "feedback across rows is (rows, rows)");
  require(row_weight.shape(0) == rows && column_weight.shape(0) == columns, "a weight for each row and column is expected");
  const auto finite = [](const float* at, size_t many) {
    bool all = true;
    for (size_t i = 0; i < many; ++i) all &= at[i] - at[i] == 0;
    return all;
  };
  require(finite(x.data(), count) && finite(along.data(), columns * columns) && finite(across.data(), across.shape(0) * rows),
          "finite values are expected");
  for (size_t i = 0; i < rows; ++i) require(row_weight.data()[i] > 1e-12f && row_weight.data()[i] < 1e12f, "a weight out of range");
  for (size_t j = 0; j < columns; ++j) require(column_weight.data()[j] > 1e-12f && column_weight.data()[j] < 1e12f, "a weight out of range");
  auto* levels = static_cast<int32_t*>(std::malloc(count * sizeof(int32_t)));
  if (!levels) throw std::bad_alloc();
  nb::object first = owned_array(levels, count);
  auto* targets = static_cast<float*>(std::malloc(count * sizeof(float)));
  if (!targets) throw std::bad_alloc();
  nb::object second = owned_array(targets, count);
  TrellisFit fit;
  {
    nb::gil_scoped_release release;
    const FeedbackJob job{x.data(), nullptr, rows, columns, along.data(), across.shape(0) ? across.data() : nullptr,
                          column_weight.data(), row_weight.data()};
    fit = fit_feedback(kernels().coding->search_trellis, kernels().coding->search_feedback, job, layout, lambda, rounds, levels, targets);
  }
  return {first, second, spelled(fit.offsets), fit.bits, fit.squares};
}

int tokens_of(const Array<const int32_t, nb::ndim<1>>& levels, unsigned trellis_bits, bool shared_zero) {
  require(trellis_bits <= kMaxTrellisBits && trellis_bits != 1, "a trellis of 0 or 2 to 8 bits is expected");
  nb::gil_scoped_release release;
  return count_tokens(levels.data(), levels.shape(0), trellis_bits, shared_zero);
}

Bytes push_levels(const Array<const int32_t, nb::ndim<1>>& levels, const LayoutTuple& fields) {
  const LevelLayout layout = level_layout(levels.shape(0), fields);
  std::vector<uint32_t> ops;
  std::vector<uint8_t> out;
  size_t start = 0;
  bool ok;
  {
    nb::gil_scoped_release release;
    ok = code_levels(levels.data(), layout, ops);
    if (ok) {
      out.resize(push_bound(ops.size()));
      start = push_ops(ops.data(), ops.size(), out.data(), out.size());
    }
  }
  require(ok, "levels that this layout cannot hold");
  return Bytes(reinterpret_cast<const char*>(out.data() + start), out.size() - start);
}

// Points in 1/64 step; the levels themselves where `offsets` is empty.
nb::object pop_levels(const Bytes& stream, size_t count, const LayoutTuple& fields, const OffsetsTuple& offsets) {
  const LevelLayout layout = level_layout(count, fields);
  const bool points = !offsets.empty();
  const PointOffsets shifts = points ? point_offsets(offsets) : PointOffsets{};
  require(!points || layout.trellis_bits > 0, "points are those of a trellis");
  auto* out = static_cast<int32_t*>(std::malloc((count + 1) * sizeof(int32_t)));
  if (!out) throw std::bad_alloc();
  nb::object result = owned_array(out, count);
  const auto* bytes = reinterpret_cast<const uint8_t*>(stream.c_str());
  const size_t size = stream.size();
  bool ok;
  {
    nb::gil_scoped_release release;
    ok = parse_levels(bytes, size, layout, points ? &shifts : nullptr, out);
  }
  require(ok, "the stream does not hold these levels");
  return result;
}

Bytes push_plane(const Array<const uint8_t, nb::ndim<1>>& bytes, uint32_t low, uint32_t high) {
  require(low <= high && high <= 255, "a range of bytes is expected");
  bool inside = true;
  std::vector<uint8_t> stream;
  {
    nb::gil_scoped_release release;
    for (size_t i = 0; i < bytes.shape(0); ++i) inside &= bytes.data()[i] >= low && bytes.data()[i] <= high;
    if (inside) code_plane(bytes.data(), bytes.shape(0), low, high, stream);
  }
  require(inside, "a byte outside the range");
  return Bytes(reinterpret_cast<const char*>(stream.data()), stream.size());
}

void pop_plane(const Array<const uint8_t, nb::ndim<1>>& stream, uint32_t low, uint32_t high,
               const Array<uint8_t, nb::ndim<1>>& out) {
  require(low <= high && high <= 255, "a range of bytes is expected");
  const size_t count = out.shape(0);
  bool ok;
  {
    nb::gil_scoped_release release;
    ok = plane_lanes(count) == 2 ? parse_plane<2>(stream.data(), stream.shape(0), low, high, out.data(), count)
                                 : parse_plane<kPlaneLanes>(stream.data(), stream.shape(0), low, high, out.data(), count);
  }
  require(ok, "the stream does not hold these bytes");
}

template <class Word>
void split(const Array<const Word, nb::ndim<1>>& words, const Array<uint8_t, nb::ndim<2>>& planes, bool rotate) {
  require(planes.shape(0) == sizeof(Word) && planes.shape(1) == words.shape(0), "words and planes differ in shape");
  nb::gil_scoped_release release;
  split_words(words.data(), words.shape(0), rotate, planes.data());
}

template <class Word>
void join(const Array<const uint8_t, nb::ndim<2>>& planes, const Array<Word, nb::ndim<1>>& words, bool rotate) {
  require(planes.shape(0) == sizeof(Word) && planes.shape(1) == words.shape(0), "words and planes differ in shape");
  nb::gil_scoped_release release;
  join_words(planes.data(), words.shape(0), rotate, words.data());
}

template <class Word>
void bind_words(nb::module_& m) {
  m.def("split_words", &split<Word>, "words"_a.noconvert(), "planes"_a.noconvert(), "rotate"_a);
  m.def("join_words", &join<Word>, "planes"_a.noconvert(), "words"_a.noconvert(), "rotate"_a);
}

}  // namespace

void bind_arrays(nb::module_& m) {
  m.def("search_trellis", &search, "x"_a.noconvert(), "layout"_a, "lagrangian"_a, "sample"_a, "rounds"_a, "whole"_a);
  m.def("search_feedback", &search_with_feedback, "x"_a.noconvert(), "along"_a.noconvert(), "across"_a.noconvert(),
        "row_weight"_a.noconvert(), "column_weight"_a.noconvert(), "layout"_a, "lagrangian"_a, "rounds"_a);
  m.def("tokens_of", &tokens_of, "levels"_a.noconvert(), "trellis_bits"_a, "shared_zero"_a);
  m.def("push_levels", &push_levels, "levels"_a.noconvert(), "layout"_a);
  m.def("pop_levels", &pop_levels, "stream"_a, "count"_a, "layout"_a, "offsets"_a);
  m.def("push_plane", &push_plane, "plane"_a.noconvert(), "low"_a, "high"_a);
  m.def("pop_plane", &pop_plane, "stream"_a.noconvert(), "low"_a, "high"_a, "out"_a.noconvert());
  bind_words<uint8_t>(m);
  bind_words<uint16_t>(m);
  bind_words<uint32_t>(m);
  bind_words<uint64_t>(m);
}

}  // namespace laconic
