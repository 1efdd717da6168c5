// Compiled once an instruction set: KNOTWORK_ISA names it, the compiler's flags choose it.
#include "kernels.hpp"
#include "pool.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace knotwork {
namespace KNOTWORK_ISA {

#include "vec.hpp"

#include "layer.hpp"

#include "drive.hpp"

#include "series.hpp"

#include "network.hpp"

}  // namespace KNOTWORK_ISA

#define KNOTWORK_JOIN_(a, b) a##b
#define KNOTWORK_JOIN(a, b) KNOTWORK_JOIN_(a, b)
#define KNOTWORK_TEXT_(a) #a
#define KNOTWORK_TEXT(a) KNOTWORK_TEXT_(a)

template <class T>
const Kernels<T>& KNOTWORK_JOIN(kernels_, KNOTWORK_ISA)() {
    using namespace KNOTWORK_ISA;
    static const Kernels<T> table{forward<T>, backward<T>, series<T>, series_backward<T>, outputs<T>, loss<T>, jacobian<T>, normal_equations<T>, peak<T>, KNOTWORK_TEXT(KNOTWORK_ISA)};
    return table;
}

template const Kernels<float>& KNOTWORK_JOIN(kernels_, KNOTWORK_ISA)<float>();
template const Kernels<double>& KNOTWORK_JOIN(kernels_, KNOTWORK_ISA)<double>();

}  // namespace knotwork
