// B-spline bases over raw arrays: the compiled twin of src/knotwork/kernels/reference.py, which defines what is right.
//
// Samples are taken in blocks of `block` for one input at a time, so that the inner loops of the Cox-de Boor recursion
// (de Boor 1978, chapter X) run over neighbouring samples and the compiler can vectorise them. Only the K + 1 functions
// that are non-zero at a sample are computed. Nothing here allocates, and no index depends on the value of a sample
// without being clamped first: NaN, infinite samples and knots in disorder never read or write out of bounds.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "kernels.hpp"

namespace knotwork {

constexpr Index block = 16;  // samples

template <class T>
using Block = T[block];

struct Shape {
    Index batch, in, knots;  // knots of one input
};

// The knots of one input, with its grid [low, high] in the middle of them.
template <class T, int K>
struct Knots {
    const T* at;
    Index count;
    Index first, last;  // intervals in use: those of the grid, or all of them
    T low, high, per_unit;

    Knots(const T* knots, Index count, bool whole)
        : at(knots), count(count), first(whole ? 0 : K), last(count - 2 - first), low(at[first]), high(at[last + 1]),
          per_unit(T(last + 1 - first) / (high - low)) {}

    // The interval with at[m] <= x < at[m + 1], or the nearest one in use: guessed as if evenly spaced, then searched.
    Index interval(T x) const {
        const T guess = (x - low) * per_unit;
        const Index steps = guess > 0 ? (guess < T(last - first) ? Index(guess) : last - first) : 0;
        const Index m = first + steps;
        if (m > first && x < at[m]) return std::upper_bound(at + first + 1, at + m, x) - at - 1;
        if (m < last && x >= at[m + 1]) return std::upper_bound(at + m + 1, at + last + 1, x) - at - 1;
        return m;
    }

    // Knot j. Beyond the ends it serves functions that are not kept, and is any knot that leaves no interval empty.
    T operator[](Index j) const { return at[std::clamp<Index>(j, 0, count - 1)]; }
};

// One level of the recursion: from p functions of order p - 1 to p + 1 functions of order p, in place, differentiating
// (`slope`) or not. `around` holds the 2K knots on either side of each sample.
template <class T, int K>
void raise(int p, bool slope, const Block<T>& x, const Block<T>* around, Block<T>* values) {
    Block<T> carried = {};
    for (int r = 0; r < p; ++r) {
        const Block<T>&low = around[K - p + r], &high = around[K + r];
        for (Index w = 0; w < block; ++w) {
            const T share = values[r][w] / (high[w] - low[w]);
            const T left = slope ? -T(p) * share : (high[w] - x[w]) * share;
            values[r][w] = carried[w] + left;
            carried[w] = slope ? T(p) * share : (x[w] - low[w]) * share;
        }
    }
    std::copy(carried, carried + block, values[p]);
}

// Values at x of the K + 1 local functions, differentiated `derivative` <= K times.
template <class T, int K>
void local(int derivative, const Block<T>& x, const Block<T>* around, Block<T>* values) {
    std::fill(values[0], values[0] + block, T(1));
    for (int p = 1; p <= K; ++p) raise<T, K>(p, p > K - derivative, x, around, values);
}

// out[n, i, :] = the functions of input i at x[n, i], for the whole of `out`; slopes likewise unless null.
// `fade` evaluates on the extended knots, where the functions fade to zero; otherwise the grid's ends are continued
// linearly. With `slopes`, derivative must be 0.
template <class T, int K>
void basis(Shape shape, int derivative, bool fade, const T* x, const T* knots, T* out, T* slopes) {
    const Index functions = shape.knots - K - 1, row = shape.in * functions;
    const bool linear = !fade && derivative == 0;  // needs the slope outside the grid
    for (Index start = 0; start < shape.batch; start += block) {
        const Index rows = std::min(block, shape.batch - start);
        std::fill_n(out + start * row, rows * row, T(0));
        if (slopes) std::fill_n(slopes + start * row, rows * row, T(0));
        for (Index i = 0; i < shape.in; ++i) {
            const Knots<T, K> t(knots + i * shape.knots, shape.knots, fade);
            Block<T> inside, beyond, around[2 * K + 1], values[K + 1], slope[K + 1];
            Index m[block];
            bool outside = false;
            for (Index w = 0; w < block; ++w) {
                const T sample = x[(start + std::min(w, rows - 1)) * shape.in + i];
                inside[w] = sample < t.low ? t.low : sample > t.high ? t.high : sample;
                beyond[w] = sample - inside[w];
                outside |= beyond[w] != 0;
                m[w] = t.interval(inside[w]);
                for (int j = 0; j < 2 * K; ++j) around[j][w] = t[m[w] - K + 1 + j];
            }
            if (derivative <= K) local<T, K>(derivative, inside, around, values);
            if (slopes || (linear && outside)) {
                if constexpr (K > 0) local<T, K>(1, inside, around, slope);
                else std::fill_n(slope[0], block, T(0));
            }
            for (Index w = 0; w < rows; ++w) {
                const Index place = ((start + w) * shape.in + i) * functions;
                if (std::isnan(inside[w])) {
                    std::fill_n(out + place, functions, inside[w]);
                    if (slopes) std::fill_n(slopes + place, functions, inside[w]);
                    continue;
                }
                if (derivative > K || (beyond[w] != 0 && (fade || derivative > 1))) continue;
                for (int r = 0; r <= K; ++r) {
                    const Index j = m[w] - K + r;
                    if (fade && (j < 0 || j >= functions)) continue;
                    T value = values[r][w];
                    if (linear && beyond[w] != 0) value += beyond[w] * slope[r][w];
                    out[place + j] = value;
                    if (slopes) slopes[place + j] = slope[r][w];
                }
            }
        }
    }
}

// Whether every sample lies in its grid (NaN does).
template <class T>
bool inside_grid(Shape shape, int k, const T* x, const T* knots) {
    for (Index n = 0; n < shape.batch; ++n)
        for (Index i = 0; i < shape.in; ++i) {
            const T* t = knots + i * shape.knots;
            const T sample = x[n * shape.in + i];
            if (sample < t[k] || sample > t[shape.knots - k - 1]) return false;
        }
    return true;
}

}  // namespace knotwork
