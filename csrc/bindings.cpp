// The Python module knotwork.kernels._compiled. Arrays come as addresses (int) of contiguous CPU memory, because
// exchanging tensors through DLPack costs more than the arithmetic of a small network: kernels/compiled.py, the only
// caller, checks shapes, types and devices before.
#include <nanobind/nanobind.h>

#include <cstdint>

#include "basis.hpp"

namespace nb = nanobind;
using namespace knotwork;

template <class T>
T* array(std::uintptr_t address) {
    return reinterpret_cast<T*>(address);
}

constexpr int highest_order = 7;

template <class T, int K = 0>
void basis_of_order(int k, Shape shape, int derivative, bool fade, const T* x, const T* knots, T* out, T* slopes) {
    if (k == K) return basis<T, K>(shape, derivative, fade, x, knots, out, slopes);
    if constexpr (K < highest_order) basis_of_order<T, K + 1>(k, shape, derivative, fade, x, knots, out, slopes);
}

template <class T>
void call_basis(Index batch, Index in, Index n_knots, int k, int derivative, bool fade, std::uintptr_t x,
                std::uintptr_t knots, std::uintptr_t out, std::uintptr_t slopes) {
    nb::gil_scoped_release free;
    basis_of_order<T>(k, {batch, in, n_knots}, derivative, fade, array<const T>(x), array<const T>(knots),
                      array<T>(out), array<T>(slopes));
}

template <class T>
bool call_inside_grid(Index batch, Index in, Index n_knots, int k, std::uintptr_t x, std::uintptr_t knots) {
    nb::gil_scoped_release free;
    return inside_grid<T>({batch, in, n_knots}, k, array<const T>(x), array<const T>(knots));
}

NB_MODULE(_compiled, m) {
    m.attr("HIGHEST_ORDER") = highest_order;
    m.def("basis_float32", call_basis<float>);
    m.def("basis_float64", call_basis<double>);
    m.def("inside_grid_float32", call_inside_grid<float>);
    m.def("inside_grid_float64", call_inside_grid<double>);
}
