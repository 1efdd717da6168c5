// One KAN layer over raw arrays. Included once an instruction set, inside a namespace of its own, after vec.hpp.
//
// A sample meets k + 1 rows of an input's coefficients, and the row of its base. The weights of these rows are found for
// one input and many samples at a time; what differs from interval to interval, knots and the reciprocals of their
// differences, is looked up lane by lane, so that uneven grids cost what even ones do. Only the gradient by the
// coefficients takes samples interval by interval, to sum it in registers. Outputs lie in tiles of up to `widest` vectors.

constexpr int widest = 8;                              // vectors of one tile
constexpr int collected = vector_bytes == 64 ? 4 : 2;  // vectors whose gradients are summed at once, k + 2 rows of them in registers
constexpr Index tile_bytes = 24 << 10;                 // of outputs that stay in L1 cache while inputs go by

template <class T>
constexpr Index span = 4096 / Index(sizeof(T));  // samples whose weights are held together

inline Index round_up(Index n, Index to) { return (n + to - 1) / to * to; }

// One input's knots, made ready. The table has rows of `stride` numbers: the knots from k - 1 before the first interval in
// use on, then for p = 1 ... k the reciprocals of what lies between each of these knots and the p-th after it.
template <class T>
struct Column {
    const T* knots;
    Index first, intervals;  // number of the first interval in use, how many are
    T low, high, per_unit;
    T slack;                 // how far, in intervals, a knot may lie from where even spacing puts it
    const T* table;
    Index stride;
};

// How many vectors hold one number an interval, if registers can look it up there: 1, 2 or 4, else 0.
template <class T>
int lookups(Index intervals) {
    if (vector_bytes == 64) return intervals <= lanes<T> ? 1 : intervals <= 2 * lanes<T> ? 2 : intervals <= 4 * lanes<T> ? 4 : 0;
    return vector_bytes == 32 && sizeof(T) == 4 && intervals <= lanes<T> ? 1 : 0;
}

template <class T>
Index intervals_of(const Layer<T>& layer) { return layer.fade ? layer.grid + 2 * layer.k : layer.grid; }

template <class T>
Index table_stride(const Layer<T>& layer) {
    return round_up(std::max(intervals_of(layer), lookups<T>(intervals_of(layer)) * Index(lanes<T>)) + 2 * layer.k, lanes<T>);
}

template <class T>
Column<T> make_column(const Layer<T>& layer, Index i, T* table) {
    const Index count = layer.grid + 2 * layer.k + 1, stride = table_stride(layer), first = layer.fade ? 0 : layer.k;
    const T* const t = layer.knots + i * count;
    Column<T> c{t, first, intervals_of(layer), t[first], t[first + intervals_of(layer)], 0, 0, table, stride};
    c.per_unit = T(c.intervals) / (c.high - c.low);
    const Index before = layer.k - 1, used = c.intervals + 2 * layer.k;
    for (Index e = 0; e < used; ++e) table[e] = t[std::clamp<Index>(first - before + e, 0, count - 1)];
    std::fill(table + used, table + stride, table[used - 1]);
    T worst = 0, number = 0;
    for (Index m = 0; m <= c.intervals; ++m, ++number) worst = std::max(worst, std::abs((t[first + m] - c.low) * c.per_unit - number));
    c.slack = worst + 8 * T(c.intervals) * std::numeric_limits<T>::epsilon();
    for (int p = 1; p <= layer.k; ++p)
        for (Index e = 0; e < used - p; e += lanes<T>) {  // beyond the ends for functions that do not exist: 0 will do
            const Vec<T> apart = load(table + e + p) - load(table + e);
            store(table + p * stride + e, apart > T(0) ? T(1) / apart : Vec<T>{});
        }
    return c;
}

// from[interval] lane by lane; `Lookups` as above.
template <class T, int Lookups>
inline Vec<T> look_up(const T* from, IntVec<T> interval) {
#if defined(__AVX512F__)
    const __m512i m = (__m512i)interval;
    if constexpr (sizeof(T) == 4) {
        if constexpr (Lookups == 1) return (Vec<T>)_mm512_permutexvar_ps(m, _mm512_loadu_ps(from));
        if constexpr (Lookups == 2) return (Vec<T>)_mm512_permutex2var_ps(_mm512_loadu_ps(from), m, _mm512_loadu_ps(from + 16));
        if constexpr (Lookups == 4)
            return (Vec<T>)_mm512_mask_mov_ps((__m512)look_up<T, 2>(from, interval), _mm512_cmpgt_epi32_mask(m, _mm512_set1_epi32(31)),
                                              (__m512)look_up<T, 2>(from + 32, interval));
        return (Vec<T>)_mm512_i32gather_ps(m, from, 4);
    } else {
        if constexpr (Lookups == 1) return (Vec<T>)_mm512_permutexvar_pd(m, _mm512_loadu_pd(from));
        if constexpr (Lookups == 2) return (Vec<T>)_mm512_permutex2var_pd(_mm512_loadu_pd(from), m, _mm512_loadu_pd(from + 8));
        if constexpr (Lookups == 4)
            return (Vec<T>)_mm512_mask_mov_pd((__m512d)look_up<T, 2>(from, interval), _mm512_cmpgt_epi64_mask(m, _mm512_set1_epi64(15)),
                                              (__m512d)look_up<T, 2>(from + 16, interval));
        return (Vec<T>)_mm512_i64gather_pd(m, from, 8);
    }
#elif defined(__AVX2__)
    const __m256i m = (__m256i)interval;
    if constexpr (sizeof(T) == 4) {
        if constexpr (Lookups == 1) return (Vec<T>)_mm256_permutevar8x32_ps(_mm256_loadu_ps(from), m);
        return (Vec<T>)_mm256_i32gather_ps(from, m, 4);
    } else {
        return (Vec<T>)_mm256_i64gather_pd(from, m, 8);
    }
#else
    Vec<T> found;
    for (int w = 0; w < lanes<T>; ++w) found[w] = from[interval[w]];
    return found;
#endif
}

// The interval of each of n samples, counted from the first in use; 0 for NaN. Writes whole vectors.
template <class T>
void find_intervals(const Column<T>& c, const T* x, Index n, std::uint16_t* interval) {
    using V = Vec<T>;
    const T last = T(c.intervals - 1);
    const auto whole_last = typename VectorOf<T>::Integer(c.intervals - 1);
    const bool even = c.slack < T(0.5);
    const T* const t = c.knots + c.first;
    for (Index p = 0; p < n; p += lanes<T>) {
        const V v = load(x + p);
        IntVec<T> number = {};
        if (even) {
            const V place = (v - c.low) * c.per_unit, at = at_most<T>(last, place > T(0) ? place : V{});
            number = __builtin_convertvector(at, IntVec<T>);
            // Beside a knot arithmetic may be off by one.
            const V part = place - __builtin_convertvector(number, V) - T(0.5);
            if (any_between<T>(T(0.5) - c.slack, part < T(0) ? -part : part, T(0.5) + c.slack)) {
                const IntVec<T> back = (v < look_up<T, 0>(t, number)) & (number > 0);
                const IntVec<T> on = (v >= look_up<T, 0>(t + 1, number)) & (number < whole_last);
                number += back - on;  // true is -1
            }
        } else if (c.intervals <= 16) {
            for (Index m = 1; m < c.intervals; ++m) number -= v >= t[m];
        } else {
            for (Index half = c.intervals; half > 1; half -= half / 2) {  // t[number] <= v < t[number + half]
                const IntVec<T> further = number + typename VectorOf<T>::Integer(half / 2);
                number = v >= look_up<T, 0>(t, further) ? further : number;
            }
        }
        const auto found = __builtin_convertvector(number, typename VectorOf<T>::narrow);
        __builtin_memcpy(interval + p, &found, sizeof found);
    }
}

// Rows of samples in the order of their intervals, and where each interval starts. Writes whole vectors.
inline void sort_rows(const std::uint16_t* interval, Index n, Index intervals, std::int32_t* order, std::uint16_t* starts) {
#if defined(__AVX512F__)
    if (intervals <= 12) {  // pick out the rows of one after another, sixteen at a time
        Index to = 0;
        const __m512i first_rows = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        for (Index m = 0; m < intervals; ++m) {
            starts[m] = std::uint16_t(to);
            const __m256i number = _mm256_set1_epi16(short(m));
            __m512i rows = first_rows;
            for (Index p = 0; p < n; p += 16) {
                __mmask16 mine = _mm256_cmpeq_epi16_mask(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(interval + p)), number);
                if (n - p < 16) mine &= __mmask16((1u << (n - p)) - 1);
                _mm512_storeu_si512(order + to, _mm512_maskz_compress_epi32(mine, rows));
                to += __builtin_popcount(mine);
                rows = _mm512_add_epi32(rows, _mm512_set1_epi32(16));
            }
        }
        starts[intervals] = std::uint16_t(to);
        return;
    }
#endif
    // Counting sort, four runs of rows side by side where a run would often wait for its last count.
    const Index runs = intervals <= 64 ? 4 : 1, run = n / runs;
    thread_local std::vector<std::uint32_t> counts;
    counts.assign(std::size_t(runs * intervals), 0);
    std::uint32_t* const at = counts.data();
    for (Index p = 0; p < run; ++p)
        for (Index r = 0; r < runs; ++r) ++at[Index(interval[r * run + p]) * runs + r];
    for (Index p = runs * run; p < n; ++p) ++at[Index(interval[p]) * runs + runs - 1];
    std::uint32_t total = 0;
    for (Index m = 0; m < intervals; ++m) {
        starts[m] = std::uint16_t(total);
        for (Index r = 0; r < runs; ++r) total += std::exchange(at[m * runs + r], total);
    }
    starts[intervals] = std::uint16_t(total);
    for (Index p = 0; p < run; ++p)
        for (Index r = 0; r < runs; ++r) order[at[Index(interval[r * run + p]) * runs + r]++] = std::int32_t(r * run + p);
    for (Index p = runs * run; p < n; ++p) order[at[Index(interval[p]) * runs + runs - 1]++] = std::int32_t(p);
}

// ---- weights: the k + 1 functions, or their derivatives, at samples ----

// What to evaluate. A derivative of order d >= 1 has k shares s_r with Σ_r s_r (c_{r+1} - c_r) = Σ_r B_r c_r, one product
// less than the k + 1 functions. `both` is the functions and the shares of the first derivative.
enum class What { functions, shares, both };

inline int rows_of(What what, int k) { return what == What::functions ? k + 2 : what == What::shares ? k + 1 : 2 * k + 3; }

// Cox-de Boor (de Boor 1978, chapter X) at n samples: rows `ld` apart, differentiated `derivative` times. The functions
// come first, then a row left free for the base, then the shares. Beyond the ends of the grid they go on as straight lines
// or, with `fade`, are zero. `Derivative` is the order if it is known, else -1.
template <class T, int K, int Derivative, What what, int Lookups>
void evaluate(const Column<T>& c, int derivative, bool fade, const std::uint16_t* interval, const T* x, Index n, T* out, Index ld) {
    using V = Vec<T>;
    if constexpr (Derivative >= 0) derivative = Derivative;
    const T* const table = c.table + K - 1;
    const Index stride = c.stride;
    T* const shares = what == What::both ? out + (K + 2) * ld : out;
    for (Index at = 0; at < n; at += lanes<T>) {
        const V given = load(x + at), v = at_most<T>(c.high, at_least<T>(c.low, given)), beyond = given - v, nan = v - v;
        typename VectorOf<T>::narrow places;
        __builtin_memcpy(&places, interval + at, sizeof places);
        const IntVec<T> m = __builtin_convertvector(places, IntVec<T>);
        V knots[2 * K + 1];
#pragma GCC unroll 16
        for (int q = 1 - K; q <= K; ++q) knots[K + q] = look_up<T, Lookups>(table + q, m);
        V values[K + 1], share[K + 1];
        values[0] = every(T(1));
#pragma GCC unroll 8
        for (int p = 1; p <= K; ++p) {
            V carried = {};
            const bool slope = p > K - derivative;
#pragma GCC unroll 8
            for (int r = 0; r < p; ++r) {
                const V width = look_up<T, Lookups>(table + p * stride + 1 - p + r, m);
                share[r] = p == 1 ? width : values[r] * width;
                if (what == What::shares && p == K) continue;
                if (slope) {
                    values[r] = carried - share[r] * T(p);
                    carried = share[r] * T(p);
                } else {
                    values[r] = carried + (knots[K + 1 + r] - v) * share[r];
                    carried = (v - knots[K + 1 - p + r]) * share[r];
                }
            }
            values[p] = carried;
        }
        if (Derivative == 0 && !fade) {
            const V rise = beyond * T(K);
            if constexpr (K == 0) values[0] += beyond - beyond;  // a line without slope has no value at infinity either
#pragma GCC unroll 8
            for (int r = 0; r < K; ++r) {
                values[r] -= rise * share[r];
                values[r + 1] += rise * share[r];
            }
        }
        const bool vanish = fade || derivative > 1;
        const IntVec<T> outside = (beyond > T(0)) | (beyond < T(0));
        if constexpr (what != What::shares)
#pragma GCC unroll 8
            for (int r = 0; r <= K; ++r) {
                const V value = Derivative == 0 && K > 0 ? values[r] : values[r] + nan;
                store(out + r * ld + at, vanish ? outside ? V{} : value : value);
            }
        if constexpr (what != What::functions)
#pragma GCC unroll 8
            for (int r = 0; r < K; ++r) {
                const V value = share[r] * T(K) + nan;
                store(shares + r * ld + at, vanish ? outside ? V{} : value : value);
            }
    }
}

template <class T>
using Evaluate = void (*)(const Column<T>&, int, bool, const std::uint16_t*, const T*, Index, T*, Index);

template <class T, int K, int Lookups>
Evaluate<T> evaluate_with(int derivative, What what) {
    if (what == What::both) return evaluate<T, K, 0, What::both, Lookups>;
    if (what == What::shares) return derivative == 1 ? evaluate<T, K, 1, What::shares, Lookups> : evaluate<T, K, -1, What::shares, Lookups>;
    return derivative == 0 ? evaluate<T, K, 0, What::functions, Lookups> : evaluate<T, K, -1, What::functions, Lookups>;
}

template <class T, int K = 0>
Evaluate<T> evaluate_for(int k, int derivative, What what, int lookups) {
    if (k == K) {
        if constexpr (vector_bytes > 16 && K <= 5) {  // higher orders are too rare to be worth the code
            if constexpr (vector_bytes == 64 || sizeof(T) == 4)
                if (lookups == 1) return evaluate_with<T, K, 1>(derivative, what);
            if constexpr (vector_bytes == 64) {
                if (lookups == 2) return evaluate_with<T, K, 2>(derivative, what);
                if (lookups == 4) return evaluate_with<T, K, 4>(derivative, what);
            }
        }
        return evaluate_with<T, K, 0>(derivative, what);
    }
    if constexpr (K < highest_order) return evaluate_for<T, K + 1>(k, derivative, what, lookups);
    return nullptr;
}

// Derivatives of the logistic function s(z) as polynomials in w = s(z) s(-z), where nothing cancels; even ones have a
// factor t = s(-z) - s(z). s' = w, w' = w t, t' = -2 w, t² = 1 - 4 w.
template <class T>
struct Logistic {
    T table[highest_derivative + 1][highest_derivative + 2] = {};  // coefficients by powers of w
    Logistic() {
        table[1][1] = 1;
        for (int n = 1; n < highest_derivative; ++n)
            for (int d = 1; d <= n; ++d) {
                const T c = table[n][d];
                table[n + 1][d] += T(d) * c;
                if (n % 2 == 0) table[n + 1][d + 1] -= (T(4 * d) + T(2)) * c;
            }
    }
    Vec<T> operator()(int n, Vec<T> s, Vec<T> other) const {
        if (n == 0) return s;
        const Vec<T> w = s * other;
        Vec<T> sum = every(table[n][n]);
        for (int d = n - 1; d >= 0; --d) sum = sum * w + table[n][d];
        return n % 2 ? sum : sum * (other - s);
    }
};

// s(z) and s(-z), zero where they would soon be no normal numbers; of a NaN, any numbers.
template <class T>
inline std::pair<Vec<T>, Vec<T>> logistic_pair(Vec<T> z) {
    const Vec<T> small = exponential<T>(-z), s = reciprocal<T>(T(1) + small);
    return {z < -exponential_limit<T> ? Vec<T>{} : s, z > exponential_limit<T> ? Vec<T>{} : small * s};
}

// The derivative by x of the base function of x measured in its grid, at n samples; the next one too into `slope`.
template <class T>
void base_row(const Layer<T>& layer, const Column<T>& c, int derivative, const T* x, Index n, T* out, T* slope) {
    using V = Vec<T>;
    const T low = c.knots[layer.k], high = c.knots[layer.k + layer.grid];
    const T scale = T(2) / (high - low), centre = (low + high) / 2;
    if (layer.base == Base::silu && derivative < 2 && !(slope && derivative)) {
        for (Index at = 0; at < n; at += lanes<T>) {
            const V z = (load(x + at) - centre) * scale;
            const auto [s, other] = logistic_pair<T>(z);
            const V value = z * s, rise = scale * (s + value * other);
            store(out + at, derivative ? rise : value);
            if (slope) store(slope + at, rise);
        }
        return;
    }
    T factor = 1;
    for (int d = 0; d < derivative; ++d) factor *= scale;
    if (layer.base == Base::silu) {
        static const Logistic<T> logistic;
        for (Index at = 0; at < n; at += lanes<T>) {
            const V z = (load(x + at) - centre) * scale;
            const auto [s, other] = logistic_pair<T>(z);
            store(out + at, factor * (T(derivative) * logistic(derivative - 1, s, other) + z * logistic(derivative, s, other)));
        }
        if (slope) base_row<T>(layer, c, derivative + 1, x, n, slope, nullptr);
        return;
    }
    if (layer.base == Base::zero || (layer.base == Base::identity && derivative > 1)) {
        std::fill_n(out, round_up(n, lanes<T>), T(0));
    } else if (layer.base == Base::identity) {
        for (Index at = 0; at < n; ++at) out[at] = derivative ? factor : (x[at] - centre) * scale;
    } else {
        for (Index at = 0; at < n; ++at) {
            const T z = (x[at] - centre) * scale;
            const T value = derivative % 2 ? std::cos(z) : std::sin(z);
            out[at] = derivative % 4 > 1 ? -factor * value : factor * value;
        }
    }
    if (slope) base_row<T>(layer, c, derivative + 1, x, n, slope, nullptr);
}

// All weights of one input's samples: the k + 1 functions with the base's row behind them, the k shares with that of the
// base's derivative, or (`both`, derivative 0) the one after the other.
template <class T>
void weigh(const Layer<T>& layer, const Column<T>& c, int derivative, What what, const std::uint16_t* interval, const T* x,
           Index n, T* out, Index ld) {
    const int k = layer.k, rows = what == What::shares ? k : k + 1;
    base_row(layer, c, derivative, x, n, out + rows * ld, what == What::both ? out + (2 * k + 2) * ld : nullptr);
    if (derivative <= k) {
        evaluate_for<T>(k, derivative, what, lookups<T>(c.intervals))(c, derivative, layer.fade, interval, x, n, out, ld);
        return;
    }
    for (Index at = 0; at < n; at += lanes<T>) {  // zero, but for NaN
        const Vec<T> v = load(x + at), nan = v != v ? v : Vec<T>{};
        for (int r = 0; r < rows; ++r) store(out + r * ld + at, nan);
    }
}

// ---- contractions: one input, one tile of outputs, some samples ----

// What a contraction walks over. Rows are V vectors long: `interval` says the first of the rows that a sample meets.
template <class T>
struct Walk {
    const T *rows, *base;
    const std::uint16_t* interval;
    const T* weights;
    Index ld;  // from one row of weights to the next
    Index n;
};

// y += Σ_r weight_r row_r
template <class T, int R, int V>
void sum(const Walk<T>& walk, T* y) {
    constexpr Index row_size = V * lanes<T>;
    Vec<T> base[V];
    for (int v = 0; v < V; ++v) base[v] = load(walk.base + v * lanes<T>);
    const Index ld = walk.ld, n = walk.n;  // copies: y might be the walk for all that the compiler knows
    const T *const first = walk.rows, *weights = walk.weights;
    const std::uint16_t* const interval = walk.interval;
    for (Index p = 0; p < n; ++p, ++weights, y += row_size) {
        const T* const rows = first + interval[p] * row_size;
        Vec<T> total[V];
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) total[v] = load(y + v * lanes<T>);
#pragma GCC unroll 9
        for (int r = 0; r < R; ++r) {
            const Vec<T> weight = every(weights[r * ld]);
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) total[v] += weight * (r < R - 1 ? load(rows + r * row_size + v * lanes<T>) : base[v]);
        }
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) store(y + v * lanes<T>, total[v]);
    }
}

// x += Σ_o Σ_r weight_r row_r[o] g[o]; writes whole vectors
template <class T, int R, int V>
void pull(const Walk<T>& walk, const T* g, T* x) {
    constexpr Index row_size = V * lanes<T>, group = lanes<T>;
    Vec<T> base[V];
    for (int v = 0; v < V; ++v) base[v] = load(walk.base + v * lanes<T>);
    alignas(vector_bytes) T buffer[group * group] = {};  // a group's products, still to be summed over the lanes
    const Index ld = walk.ld, n = walk.n;
    const T *const row_0 = walk.rows, *weights = walk.weights;
    const std::uint16_t* const interval = walk.interval;
    for (Index first = 0; first < n; first += group) {
        const Index many = std::min(group, n - first);
        for (Index p = 0; p < many; ++p, ++weights, g += row_size) {
            const T* const rows = row_0 + interval[first + p] * row_size;
            Vec<T> gradient[V], total = {};
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) gradient[v] = load(g + v * lanes<T>);
#pragma GCC unroll 9
            for (int r = R - 1; r >= 0; --r) {
                Vec<T> dot = gradient[0] * (r < R - 1 ? load(rows + r * row_size) : base[0]);
#pragma GCC unroll 8
                for (int v = 1; v < V; ++v) dot += gradient[v] * (r < R - 1 ? load(rows + r * row_size + v * lanes<T>) : base[v]);
                const Vec<T> weighted = dot * weights[r * ld];
                total = r < R - 1 ? total + weighted : weighted;
            }
            store(buffer + p * group, total);
        }
        store(x + first, load(x + first) + lane_sums<T>(buffer));
    }
}

// Samples to be taken interval by interval, with their weights.
template <class T>
struct Sorted {
    const std::int32_t* order;
    const std::uint16_t* starts;
    Index intervals;
    const T* weights;
    Index ld;
};

// Where the gradients of an input's coefficients and base go, at a tile's first output; either may be null. `first` is the
// number of the function that is row 0 of interval 0; functions that do not exist are left out.
template <class T>
struct Collected {
    T *by_coefficients, *by_base;
    Index first, functions, out, width;
    bool add;  // to what is there

    template <int V>
    void put(T* at, const Vec<T>* found) const {
        for (int v = 0; v < V; ++v) {
            const Index many = width - v * lanes<T>;
            store_some(at + v * lanes<T>, add ? load_some(at + v * lanes<T>, many) + found[v] : found[v], many);
        }
    }
    template <int V>
    void put_row(Index row, const Vec<T>* found) const {
        const Index number = first + row;
        if (by_coefficients && number >= 0 && number < functions) put<V>(by_coefficients + number * out, found);
    }
    template <int V>
    void put_base(const Vec<T>* found) const {
        if (by_base) put<V>(by_base, found);
    }
};

// by_coefficients[interval + r] and by_base += Σ weight_r g, or =; rows of g lie `row_size` apart
template <class T, int R, int V>
void collect(const Sorted<T>& sorted, const T* g, Index row_size, const Collected<T>& to) {
    Vec<T> total[R][V] = {};
    const Index ld = sorted.ld, intervals = sorted.intervals;
    const T* const first = sorted.weights;
    const std::int32_t* const order = sorted.order;
    for (Index m = 0; m < intervals; ++m) {
        const Index end = sorted.starts[m + 1];
        for (Index at = sorted.starts[m]; at < end; ++at) {
            const Index p = order[at];
            const T* const weights = first + p;
            Vec<T> values[V];
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) values[v] = load(g + p * row_size + v * lanes<T>);
#pragma GCC unroll 9
            for (int r = 0; r < R; ++r) {
                const Vec<T> weight = every(weights[r * ld]);
#pragma GCC unroll 4
                for (int v = 0; v < V; ++v) total[r][v] += weight * values[v];
            }
        }
        if constexpr (R > 1) {  // what no later sample meets is written, the other rows move up
            to.template put_row<V>(m, total[0]);
            for (int r = 0; r + 2 < R; ++r)
                for (int v = 0; v < V; ++v) total[r][v] = total[r + 1][v];
            for (int v = 0; v < V; ++v) total[R - 2][v] = Vec<T>{};
        }
    }
    for (int r = 0; r + 2 < R; ++r) to.template put_row<V>(intervals + r, total[r]);
    to.template put_base<V>(total[R - 1]);
}
