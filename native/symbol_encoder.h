// symbol_encoder.h - one symbol to the coder's operations with plain tables, and what it costs: the mirror of `pop_token`
// and `pop_rest`.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include <cstdlib>

#include "causal.h"
#include "learning.h"

namespace laconic {
namespace LACONIC_ISA {

inline bool push(OpList& ops, uint32_t op) {
  if (ops.size == ops.capacity) {
    const size_t capacity = ops.capacity ? ops.capacity * 2 : 4096;
    uint32_t* data = static_cast<uint32_t*>(std::realloc(ops.data, capacity * sizeof(uint32_t)));
    if (!data) return false;
    ops.data = data, ops.capacity = capacity;
  }
  ops.data[ops.size++] = op;
  return true;
}

inline unsigned token_of(uint32_t magnitude, unsigned shift) {
  return magnitude >> shift < kEscape ? magnitude >> shift : unsigned(kEscape);
}

inline uint32_t magnitude_cost(const BandModel& m, const BandTables& tables, unsigned row, uint32_t magnitude) {
  const unsigned shift = m.shift[row % kBuckets];
  const unsigned token = token_of(magnitude, shift);
  uint32_t cost = token_cost(tables, row, token) + (shift << 8);
  if (token == kEscape) cost += (5 + 31u - unsigned(__builtin_clz((magnitude >> shift) + 1))) << 8;
  return cost;
}

inline bool push_first(OpList& ops, uint32_t& table, bool first) {
  const uint32_t freq = first_freq(table);
  learn_first(table, first);
  return push(ops, first ? pack_op(0, freq) : pack_op(freq, kProbTotal - freq));
}

inline bool push_token(OpList& ops, BandTables& t, unsigned row, unsigned token) {
  bool ok = push_first(ops, t.zero[row], token == 0);
  if (!token) return ok;
  uint32_t* bound = t.rest[row];
  const uint32_t start = token_start(bound, token);
  ok &= push(ops, pack_op(start, token_start(bound, token + 1) - start));
  learn_token(bound, t.rest_seen[row], token);
  return ok;
}

// What a group changes in the tables, so that it can be taken back.
class Undo {
 public:
  void keep(const BandTables& t, unsigned row, bool token, unsigned sign) {
    Entry& e = entry_[count_++];
    e.row = uint8_t(row), e.sign = uint8_t(sign), e.token = token;
    e.zero = t.zero[row];
    if (!token) return;
    memcpy(e.rest, t.rest[row], sizeof e.rest);
    e.rest_seen = t.rest_seen[row];
    e.sign_table = t.sign[sign];
  }
  void restore(BandTables& t) {
    while (count_ > 0) {
      const Entry& e = entry_[--count_];
      t.zero[e.row] = e.zero;
      if (!e.token) continue;
      memcpy(t.rest[e.row], e.rest, sizeof e.rest);
      t.rest_seen[e.row] = e.rest_seen;
      t.sign[e.sign] = e.sign_table;
    }
  }
  void forget() { count_ = 0; }

 private:
  struct Entry {
    uint32_t zero, sign_table, rest[kTokens];
    uint8_t row, sign, rest_seen;
    bool token;
  };
  Entry entry_[kGroup];
  int count_ = 0;
};

// What follows a token: escape and low bits.
inline bool push_tail(OpList& ops, uint32_t magnitude, unsigned token, unsigned shift) {
  bool ok = true;
  if (token == kEscape) {
    const uint32_t v = (magnitude >> shift) + 1;
    const unsigned n = 31u - unsigned(__builtin_clz(v));
    ok &= push(ops, raw_op(n, 5));
    for (unsigned left = n; left > 0;) {
      const unsigned part = left < 8 ? left : 8;
      left -= part;
      ok &= push(ops, raw_op((v >> left) & ((1u << part) - 1), part));
    }
  }
  if (shift) ok &= push(ops, raw_op(magnitude & ((1u << shift) - 1), shift));
  return ok;
}

inline bool push_symbol(OpList& ops, const BandModel& m, BandTables& tables, unsigned row, uint32_t magnitude,
                        bool minus, unsigned sign) {
  const unsigned shift = m.shift[row % kBuckets];
  const unsigned token = token_of(magnitude, shift);
  bool ok = push_token(ops, tables, row, token);
  ok &= push_tail(ops, magnitude, token, shift);
  if (magnitude) ok &= push_first(ops, tables.sign[sign], minus);
  return ok;
}

}  // namespace LACONIC_ISA
}  // namespace laconic
