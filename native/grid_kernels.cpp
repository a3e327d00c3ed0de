// grid_kernels.cpp - records of latents: contexts, prediction and the decoder; CMake compiles it once per instruction set.
#include "grid_records.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#include <immintrin.h>
#define LACONIC_GRID_AVX512 1
#endif

namespace laconic {
namespace LACONIC_ISA {
namespace {

constexpr size_t kSums = (kMostSide + kVector - 1) / kVector * kVector;

// Of the vectors here; the layout has room for 32.
#if defined(__AVX2__)
constexpr size_t kWidth = 32;
#else
constexpr size_t kWidth = 16;
#endif
static_assert(kVector % kWidth == 0, "rows are padded to whole vectors");

typedef uint8_t Vector __attribute__((vector_size(kWidth)));

inline Vector load(const uint8_t* from) {
  Vector v;
  memcpy(&v, from, kWidth);
  return v;
}

inline uint8_t* magnitude_row(const RecordView& view, uint8_t* scratch, size_t channel, ptrdiff_t y) {
  return scratch + channel * view.plane + size_t(y + kReach) * view.stride + kReach;
}

// The table of every symbol of a row, within its family. All loops run over whole vectors; what is read past a row is
// within the scratch, and what comes of it is not looked at.
LACONIC_INLINE void row_contexts(const RecordView& view, const uint8_t* row, size_t channel, uint8_t* which) {
  const int32_t *first = view.offsets + view.first_offset[channel], *last = view.offsets + view.first_offset[channel + 1];
  for (size_t x0 = 0; x0 < view.columns; x0 += kWidth) {
    Vector sum = {}, bucket = {};
    for (const int32_t* offset = first; offset < last; ++offset) sum += load(row + x0 + *offset);
    for (int b = 0; b < kBounds; ++b) bucket -= Vector(sum > view.bound[b]);  // true is -1
    memcpy(which + x0, &bucket, kWidth);
  }
}

// `symbols` are zero past the row, and so are the magnitudes.
LACONIC_INLINE void row_magnitudes(const int8_t* symbols, size_t n, uint8_t* row) {
  for (size_t x0 = 0; x0 < n; x0 += kWidth) {
    const Vector s = load(reinterpret_cast<const uint8_t*>(symbols) + x0);
    const Vector negative = Vector(s > 127);
    const Vector m = (s ^ negative) - negative;
    const Vector large = Vector(m > kMagnitudeCap);
    const Vector capped = (m & ~large) | (large & kMagnitudeCap);
    memcpy(row + x0, &capped, kWidth);
  }
}

inline int predict(int west, int north, int corner) {
  const int high = west > north ? west : north, low = west > north ? north : west;
  const int plane = west + north - corner;  // within low .. high exactly where the corner is
  return plane > high ? high : plane < low ? low : plane;
}

inline void to_differences(const int8_t* channel, const RecordView& view, int8_t* out) {
  const ptrdiff_t n = ptrdiff_t(view.columns);
  for (ptrdiff_t y = 0; y < ptrdiff_t(view.rows); ++y)
    for (ptrdiff_t x = 0; x < n; ++x) {
      const int8_t* at = channel + y * n + x;
      const int west = x ? at[-1] : y ? at[-n] : 0, north = y ? at[-n] : west;
      out[y * n + x] = int8_t(uint8_t(*at - predict(west, north, x && y ? at[-n - 1] : north)));
    }
}

inline void from_differences(int8_t* channel, const RecordView& view) {
  const ptrdiff_t n = ptrdiff_t(view.columns);
  int west = 0;
  for (ptrdiff_t x = 0; x < n; ++x) channel[x] = int8_t(uint8_t(west = int8_t(uint8_t(channel[x] + west))));
  for (ptrdiff_t y = 1; y < ptrdiff_t(view.rows); ++y) {
    int8_t* row = channel + y * n;
    const int8_t* above = row - n;
    int corner = above[0];
    west = above[0];
    for (ptrdiff_t x = 0; x < n; ++x) {
      const int north = above[x];
      row[x] = int8_t(uint8_t(west = int8_t(uint8_t(row[x] + predict(west, north, corner)))));
      corner = north;
    }
  }
}

void walk_record(const RecordView& view, const int8_t* record, uint8_t* scratch, int8_t* coded, uint32_t* out) {
  uint8_t which[kSums];
  int8_t row[kSums] = {};
  const size_t n = view.columns;
  for (size_t c = 0; c < view.channels; ++c) {
    const int8_t* symbols = record + c * view.rows * n;
    if (view.low[c]) {
      to_differences(symbols, view, coded);
      symbols = coded;
    }
    for (size_t y = 0; y < view.rows; ++y, symbols += n) {
      uint8_t* m = magnitude_row(view, scratch, c, ptrdiff_t(y));
      row_contexts(view, m, c, which);
      for (size_t x = 0; x < n; ++x) {
        row[x] = symbols[x];
        *out++ = (uint32_t{view.base[c]} + which[x]) << 8 | uint8_t(symbols[x]);
      }
      row_magnitudes(row, n, m);
    }
  }
}

LACONIC_INLINE uint32_t load16(const uint8_t* p) { return uint32_t(p[0]) | uint32_t(p[1]) << 8; }

// A call of memcpy for few bytes would take longer.
LACONIC_INLINE void copy_row(const int8_t* row, size_t n, int8_t* out) {
  size_t x = 0;
  for (; x + 8 <= n; x += 8) memcpy(out + x, row + x, 8);
  for (; x < n; ++x) out[x] = row[x];
}

constexpr size_t kWordsAhead = kRecordLanes;  // vectors load so many words at once, whether they take them or not
constexpr size_t kRowWords = 2 * kMostSide + kWordsAhead;  // of a row at most: a word and an escape for each symbol

// One stream on its way to a record. Where it cannot hold one it goes on with whatever words there are, so that the
// other streams need not wait; `bad` says so.
struct Reader {
  uint32_t state[kRecordLanes];
  const uint8_t* words;
  size_t at, count, gone;  // next word; words in all; those before the one that `words` points to
  bool bad;
  int8_t row[kSums];
  uint8_t which[kSums];
  uint8_t tail[4 * kRowWords];

  void open(const RecordJob& job) {
    bad = job.size < 4 * kRecordLanes || job.size % 2;
    at = gone = 0;
    memset(row, 0, sizeof row);
    words = tail;
    count = 0;
    for (int s = 0; s < kRecordLanes; ++s) {
      const uint8_t* p = job.stream + 4 * s;
      state[s] = bad ? kStateLow : uint32_t(p[0]) | uint32_t(p[1]) << 8 | uint32_t(p[2]) << 16 | uint32_t(p[3]) << 24;
      bad = bad || state[s] < kStateLow;
    }
    if (bad) {
      memset(tail, 0, sizeof tail);
      return;
    }
    words = job.stream + 4 * kRecordLanes;
    count = (job.size - 4 * kRecordLanes) / 2;
  }

  // Before a row of at most `most` words. Past the end words are zero: what is left is continued there, so that the end
  // costs no more than the middle.
  LACONIC_INLINE void provide(size_t most) {
    if (words != tail && at + most > count) {
      memset(tail, 0, sizeof tail);
      memcpy(tail, words + 2 * at, 2 * (count - at));
      gone = at, at = 0;
      words = tail;
    }
  }

  // After a row: the tail has room for one row past the end.
  LACONIC_INLINE void check() {
    if (gone + at > count) bad = true;
    if (bad) at = 0;
  }

  bool done() const {
    bool all = gone + at == count;
    for (const uint32_t x : state) all = all && x == kStateLow;
    return all;
  }
};

// The symbols of one row of `together` streams in turn. The caller knows that there are words enough, so no branch
// depends on what a coin decides.
#if defined(LACONIC_GRID_AVX512)
// All states of a stream at once. Those that are left with too few bits take the next words in their order: an
// expansion spreads the words over them.
template <size_t together>
LACONIC_INLINE void take_row(const uint32_t* family, const TablesView& tables, size_t n, Reader* readers) {
  static_assert(kRecordLanes == 16, "one vector of states");
  const __m512i low = _mm512_set1_epi32((1 << tables.bits) - 1), limit = _mm512_set1_epi32(int(kStateLow));
  const __m512i rest = _mm512_set1_epi32((1 << kMostBits) - 1);
  const __m128i bits = _mm_cvtsi32_si128(int(tables.bits));
  __m512i state[together];
  size_t used[together];
#pragma GCC unroll 4
  for (size_t k = 0; k < together; ++k) state[k] = _mm512_loadu_si512(readers[k].state), used[k] = readers[k].at;
  for (size_t x = 0; x < n; x += kRecordLanes) {
    const size_t left = n - x;
    const __mmask16 mask = left >= 16 ? __mmask16(0xffff) : __mmask16((1u << left) - 1);
#pragma GCC unroll 4
    for (size_t k = 0; k < together; ++k) {
      const __m512i table =
          _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(readers[k].which + x)));
      const __m512i slot = _mm512_or_si512(_mm512_sll_epi32(table, bits), _mm512_and_si512(state[k], low));
      const __m512i entry = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), mask, slot, family, 4);
      const __m512i next = _mm512_add_epi32(
          _mm512_mullo_epi32(_mm512_srli_epi32(entry, 20), _mm512_srl_epi32(state[k], bits)),
          _mm512_and_si512(_mm512_srli_epi32(entry, 8), rest));
      const __mmask16 more = _mm512_mask_cmplt_epu32_mask(mask, next, limit);
      const __m256i raw = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(readers[k].words + 2 * used[k]));
      const __m512i word = _mm512_maskz_expand_epi32(more, _mm512_cvtepu16_epi32(raw));
      state[k] = _mm512_mask_mov_epi32(state[k], mask, _mm512_mask_or_epi32(next, more, _mm512_slli_epi32(next, 16), word));
      used[k] += size_t(__builtin_popcount(more));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(readers[k].row + x), _mm512_cvtepi32_epi8(entry));  // zero past the row
    }
  }
#pragma GCC unroll 4
  for (size_t k = 0; k < together; ++k) _mm512_storeu_si512(readers[k].state, state[k]), readers[k].at = used[k];
}
#else
LACONIC_INLINE void take_one(const uint32_t* family, const TablesView& tables, size_t n, Reader& reader) {
  uint32_t state[kRecordLanes];
  for (int k = 0; k < kRecordLanes; ++k) state[k] = reader.state[k];
  size_t used = reader.at;
  const unsigned bits = tables.bits;
  const uint32_t low = (1u << bits) - 1;
  const auto step = [&](uint32_t& lane, size_t x) {
    const uint32_t entry = family[size_t{reader.which[x]} << bits | (lane & low)];
    reader.row[x] = int8_t(uint8_t(entry));
    const uint32_t next = (entry >> 20) * (lane >> bits) + (entry >> 8 & 0xfff);
    const uint32_t more = next < kStateLow;
    const uint32_t word = load16(reader.words + 2 * used);
    lane = next << (more << 4) | (word & (0u - more));
    used += more;
  };
  size_t x = 0;
  for (; x + kRecordLanes <= n; x += kRecordLanes) {
#pragma GCC unroll 16
    for (int k = 0; k < kRecordLanes; ++k) step(state[k], x + size_t(k));
  }
  const size_t rest = n - x;
#pragma GCC unroll 16
  for (int k = 0; k < kRecordLanes - 1; ++k)
    if (size_t(k) < rest) step(state[k], x + size_t(k));
  for (int k = 0; k < kRecordLanes; ++k) reader.state[k] = state[k];
  reader.at = used;
}

template <size_t together>
LACONIC_INLINE void take_row(const uint32_t* family, const TablesView& tables, size_t n, Reader* readers) {
  for (size_t k = 0; k < together; ++k) take_one(family, tables, n, readers[k]);
}
#endif

// Puts the symbols in the place of escapes; they stand after the row, a word each.
LACONIC_INLINE void take_escapes(size_t n, Reader& reader) {
  uint8_t any = 0;
  Vector found = {};
  for (size_t x = 0; x < n; x += kWidth)
    found |= Vector(load(reinterpret_cast<const uint8_t*>(reader.row) + x) == kRecordEscape);
  for (size_t k = 0; k < kWidth; ++k) any |= found[k];
  if (!any) return;
  for (size_t x = 0; x < n; ++x) {
    if (uint8_t(reader.row[x]) != kRecordEscape) continue;
    const uint32_t symbol = load16(reader.words + 2 * reader.at++);
    reader.bad = reader.bad || symbol > 255;
    reader.row[x] = int8_t(uint8_t(symbol));
  }
}

template <size_t together>
void parse_together(const RecordView& view, const TablesView& tables, RecordJob* jobs, size_t channels,
                    uint8_t* scratch, size_t scratch_size) {
  Reader readers[together];
  int8_t* out[together];
  for (size_t k = 0; k < together; ++k) readers[k].open(jobs[k]), out[k] = jobs[k].record;
  const size_t n = view.columns, most = (tables.escapes ? 2 : 1) * n + kWordsAhead;
  for (size_t c = 0; c < channels; ++c) {
    const uint32_t* family = tables.slots + (size_t{view.base[c]} << tables.bits);
    for (size_t y = 0; y < view.rows; ++y) {
      for (size_t k = 0; k < together; ++k) {
        row_contexts(view, magnitude_row(view, scratch + k * scratch_size, c, ptrdiff_t(y)), c, readers[k].which);
        readers[k].provide(most);
      }
      take_row<together>(family, tables, n, readers);
      for (size_t k = 0; k < together; ++k) {
        if (tables.escapes) take_escapes(n, readers[k]);
        readers[k].check();
        row_magnitudes(readers[k].row, n, magnitude_row(view, scratch + k * scratch_size, c, ptrdiff_t(y)));
        copy_row(readers[k].row, n, out[k]);
        out[k] += n;
      }
    }
    for (size_t k = 0; view.low[c] && k < together; ++k) from_differences(out[k] - view.rows * n, view);
  }
  for (size_t k = 0; k < together; ++k)
    jobs[k].holds = !readers[k].bad && (channels < view.channels || readers[k].done());
}

void parse_records(const RecordView& view, const TablesView& tables, RecordJob* jobs, size_t count, size_t channels,
                   uint8_t* scratch) {
  static_assert(kTogether == 2, "one or two");
  if (count == 2)
    parse_together<2>(view, tables, jobs, channels, scratch, view.scratch);
  else
    parse_together<1>(view, tables, jobs, channels, scratch, view.scratch);
}

}  // namespace
}  // namespace LACONIC_ISA

#define LACONIC_JOIN_(a, b) a##b
#define LACONIC_JOIN(a, b) LACONIC_JOIN_(a, b)

extern const GridKernels LACONIC_JOIN(grid_kernels_, LACONIC_ISA);
const GridKernels LACONIC_JOIN(grid_kernels_, LACONIC_ISA) = {LACONIC_ISA::walk_record, LACONIC_ISA::parse_records};

}  // namespace laconic
