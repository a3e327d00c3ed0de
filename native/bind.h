// bind.h - what the binding files share.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdlib>

#include "kernels.h"

namespace laconic {

template <class T, class... Shape>
using Array = nanobind::ndarray<T, nanobind::device::cpu, nanobind::c_contig, Shape...>;
using Bytes = nanobind::bytes;

// The kernels in use.
const Kernels& kernels();

inline void require(bool ok, const char* what) {
  if (!ok) throw nanobind::value_error(what);
}

// An array that frees `data`, which came from malloc.
template <class T>
nanobind::object owned_array(T* data, size_t size) {
  nanobind::capsule owner(data, [](void* p) noexcept { std::free(p); });
  return nanobind::cast(nanobind::ndarray<nanobind::numpy, T, nanobind::ndim<1>>(data, {size}, owner));
}

// Defined in bind_arrays.cpp and bind_differences.cpp.
void bind_arrays(nanobind::module_& m);
void bind_differences(nanobind::module_& m);
// Defined in bind_grid.cpp.
void bind_grid(nanobind::module_& m);

}  // namespace laconic
