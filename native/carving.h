// carving.h - one block of memory cut into arrays, each at a multiple of 64 bytes.
#pragma once
#include <cstddef>
#include <cstdint>

namespace laconic {

constexpr size_t kCarved = 64;  // up to so much more than its size a block needs, and each array

class Carver {
 public:
  explicit Carver(void* block) : at_(static_cast<uint8_t*>(block)) { skip(); }

  template <class T>
  T* take(size_t count) {
    T* const array = reinterpret_cast<T*>(at_);
    at_ += count * sizeof(T);
    skip();
    return array;
  }
  uint8_t* rest() const { return at_; }

 private:
  void skip() { at_ += (kCarved - reinterpret_cast<uintptr_t>(at_) % kCarved) % kCarved; }
  uint8_t* at_;
};

}  // namespace laconic
