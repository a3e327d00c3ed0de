// bind_differences.cpp - the border to Python for differences to a base: it checks shapes and ranges, converts, and
// releases the interpreter's lock.
#include <nanobind/stl/tuple.h>

#include <new>
#include <tuple>
#include <vector>

#include "bind.h"
#include "differences.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace laconic {
namespace {

template <class Word>
DifferenceLayout layout_of(size_t count, size_t columns, unsigned mantissa, uint32_t first, int tokens) {
  require(columns >= 1, "a row of at least one word is expected");
  require(mantissa < 8 * sizeof(Word) - 1, "a mantissa within the word is expected");
  require(first <= kMostFirst, "first out of range");
  require(tokens >= 2 && tokens <= kDifferenceTokens, "tokens out of range");
  return {count, columns, mantissa, first, tokens};
}

// Returns (first, tokens, stream, raw bits).
template <class Word>
std::tuple<uint32_t, int, Bytes, Bytes> push(const Array<const Word, nb::ndim<1>>& words,
                                             const Array<const Word, nb::ndim<1>>& base, size_t columns,
                                             unsigned mantissa) {
  require(words.shape(0) == base.shape(0), "words and base differ in number");
  DifferenceLayout layout = layout_of<Word>(words.shape(0), columns, mantissa, 0, 2);
  std::vector<uint32_t> ops;
  std::vector<uint8_t> raw, out;
  size_t start = 0;
  {
    nb::gil_scoped_release release;
    fit_differences(words.data(), base.data(), layout);
    code_differences(words.data(), base.data(), layout, ops, raw);
    out.resize(push_bound(ops.size()));
    start = push_ops(ops.data(), ops.size(), out.data(), out.size());
  }
  const auto bytes = [](const uint8_t* p, size_t n) { return Bytes(reinterpret_cast<const char*>(p), n); };
  return {layout.first, layout.tokens, bytes(out.data() + start, out.size() - start), bytes(raw.data(), raw.size())};
}

template <class Word>
void pop(const Array<const uint8_t, nb::ndim<1>>& stream, const Array<const uint8_t, nb::ndim<1>>& raw,
         const Array<const Word, nb::ndim<1>>& base, size_t columns, unsigned mantissa, uint32_t first, int tokens,
         const Array<Word, nb::ndim<1>>& out) {
  require(out.shape(0) == base.shape(0), "words and base differ in number");
  const DifferenceLayout layout = layout_of<Word>(base.shape(0), columns, mantissa, first, tokens);
  bool ok;
  {
    nb::gil_scoped_release release;
    ok = parse_differences(stream.data(), stream.shape(0), raw.data(), raw.shape(0), base.data(), layout, out.data());
  }
  require(ok, "the stream does not hold these differences");
}

template <class Word>
void bind(nb::module_& m) {
  m.def("push_differences", &push<Word>, "words"_a.noconvert(), "base"_a.noconvert(), "columns"_a, "mantissa"_a);
  m.def("pop_differences", &pop<Word>, "stream"_a.noconvert(), "raw"_a.noconvert(), "base"_a.noconvert(), "columns"_a,
        "mantissa"_a, "first"_a, "tokens"_a, "out"_a.noconvert());
}

}  // namespace

void bind_differences(nb::module_& m) {
  bind<uint8_t>(m);
  bind<uint16_t>(m);
  bind<uint32_t>(m);
  bind<uint64_t>(m);
}

}  // namespace laconic
