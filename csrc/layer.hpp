// One KAN layer over raw arrays. Included once an instruction set, inside a namespace of its own, after vec.hpp.
//
// Samples are taken in blocks; within a block, for one input at a time, they are sorted by the interval they fall into.
// Samples of one interval meet the same k + 1 rows of coefficients, so that these stay in registers while the samples
// go by, and see the same knots, so that uneven grids cost no more than even ones. Nothing depends on the number of
// intervals but the sorting. Outputs lie in tiles of up to `widest` vectors.

constexpr int highest_order = 7;
constexpr int widest = vector_bytes == 16 ? 2 : vector_bytes == 32 ? 2 : 4;  // vectors of one tile: rows x widest fit in registers
constexpr Index column_chunk = 16;  // inputs taken together
constexpr Index span = 2048;        // samples whose output gradients are taken together

// One input's knots, made ready: the intervals in use and the reciprocals of every knot difference.
template <class T>
struct Column {
    const T* knots;
    Index count;             // of knots
    Index first, intervals;  // number of the first interval in use, how many are
    T low, high, per_unit;
    T slack;                 // how far, in intervals, a knot may lie from where even spacing puts it
    const T* reciprocals;    // [p - 1][j] = 1 / (knots[j + p] - knots[j])
    Index stride;
};

inline Index round_up(Index n, Index to) { return (n + to - 1) / to * to; }

template <class T>
Column<T> make_column(const Layer<T>& layer, Index i, T* reciprocals) {
    const Index count = layer.grid + 2 * layer.k + 1, stride = round_up(count, lanes<T>);
    const T* t = layer.knots + i * count;
    Column<T> c{t, count, layer.fade ? 0 : layer.k, layer.fade ? count - 1 : layer.grid, 0, 0, 0, 0, reciprocals, stride};
    c.low = t[c.first];
    c.high = t[c.first + c.intervals];
    c.per_unit = T(c.intervals) / (c.high - c.low);
    T worst = 0;
    for (Index m = 0; m <= c.intervals; ++m) worst = std::max(worst, std::abs((t[c.first + m] - c.low) * c.per_unit - T(m)));
    c.slack = worst + 8 * T(c.intervals) * std::numeric_limits<T>::epsilon();
    for (int p = 1; p <= layer.k; ++p)
        for (Index j = 0; j + p < count; ++j) reciprocals[(p - 1) * stride + j] = T(1) / (t[j + p] - t[j]);
    return c;
}

// Buckets of the sorting: left of the grid, each interval, right of the grid, NaN.
template <class T>
Index buckets_of(const Column<T>& c) { return c.intervals + 3; }

// The interval whose rows a bucket uses.
template <class T>
Index interval_of(const Column<T>& c, Index bucket) {
    return c.first + (bucket > c.intervals + 1 ? 0 : std::clamp<Index>(bucket - 1, 0, c.intervals - 1));
}

// Which of the buckets beside the grid a block's samples fall into.
struct Beside {
    bool left, right, nan;
};

// Bucket of each of n samples (arrays padded to whole vectors, and -1 behind the last).
template <class T>
Beside find_buckets(const Column<T>& c, const T* x, Index n, std::int32_t* bucket) {
    using V = Vec<T>;
    const T last = T(c.intervals - 1);
    const bool even = c.slack < T(0.25), few = !even && c.intervals <= 64;
    const T* const t = c.knots + c.first;
    IntVec<T> left = {}, right = {}, nan = {};
    for (Index p = 0; p < n; p += lanes<T>) {
        const V v = load(x + p);
        V number = every(T(1)), part = {};
        if (even) {
            const V place = (v - c.low) * c.per_unit;
            V at = place > T(0) ? place : V{};
            at = at < last ? at : every(last);
            const V whole = __builtin_convertvector(__builtin_convertvector(at, typename VectorOf<T>::narrow), V);
            part = place - whole;
            number += whole;
        } else if (few) {
            for (Index m = 1; m < c.intervals; ++m) number += v >= t[m] ? every(T(1)) : V{};
        }
        const IntVec<T> low = v < c.low, high = v > c.high, none = v != v;
        left |= low;
        right |= high;
        nan |= none;
        number = low ? V{} : number;
        number = high ? every(last + T(2)) : number;
        number = none ? every(last + T(3)) : number;
        const auto found = __builtin_convertvector(number, typename VectorOf<T>::narrow);
        __builtin_memcpy(bucket + p, &found, sizeof found);
        if (few || (even && !any<T>(((part < c.slack) | (part > T(1) - c.slack)) & ~(low | high)))) continue;
        const Index many = std::min<Index>(lanes<T>, n - p);
        for (Index w = 0; w < many; ++w) {
            const T value = x[p + w];
            if (!(value >= c.low && value <= c.high)) continue;
            Index m = bucket[p + w] - 1;
            if (even) {
                while (m > 0 && value < t[m]) --m;
                while (m < c.intervals - 1 && value >= t[m + 1]) ++m;
            } else {
                m = 0;
                for (Index half = c.intervals; half > 1;) {  // t[m] <= value < t[m + half], without branches
                    const Index step = half / 2;
                    m += value >= t[m + step] ? step : 0;
                    half -= step;
                }
            }
            bucket[p + w] = std::int32_t(m + 1);
        }
    }
    for (Index p = n; p < round_up(n, lanes<T>); ++p) bucket[p] = -1;
    return {any<T>(left), any<T>(right), any<T>(nan)};
}

// Samples of one block of one input in the order of their buckets: values, row numbers in the block, where each starts.
template <class T>
void sort_block(Index buckets, Beside beside, const T* x, const std::int32_t* bucket, Index n, T* sorted,
                std::int32_t* order, std::uint16_t* starts) {
#if defined(__AVX512F__)
    if (buckets <= 20) {  // few intervals: pick out one after another, a vector at a time
        Index to = 0;
        const __m512i first_rows = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        for (Index b = 0; b < buckets; ++b) {
            __m512i rows = first_rows;
            const __m512i number = _mm512_set1_epi32(int(b));
            starts[b] = std::uint16_t(to);
            if ((b == 0 && !beside.left) || (b == buckets - 2 && !beside.right) || (b == buckets - 1 && !beside.nan)) continue;
            for (Index p = 0; p < n; p += lanes<T>) {
                if constexpr (sizeof(T) == 4) {
                    const __m512i ids = _mm512_loadu_si512(bucket + p);
                    const __mmask16 mine = _mm512_cmpeq_epi32_mask(ids, number);
                    _mm512_storeu_ps(sorted + to, _mm512_maskz_compress_ps(mine, _mm512_loadu_ps(x + p)));
                    _mm512_storeu_si512(order + to, _mm512_maskz_compress_epi32(mine, rows));
                    to += __builtin_popcount(mine);
                } else {
                    const __m256i ids = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bucket + p));
                    const __mmask8 mine = _mm256_cmpeq_epi32_mask(ids, _mm512_castsi512_si256(number));
                    _mm512_storeu_pd(sorted + to, _mm512_maskz_compress_pd(mine, _mm512_loadu_pd(x + p)));
                    _mm256_storeu_si256(reinterpret_cast<__m256i*>(order + to), _mm256_maskz_compress_epi32(mine, _mm512_castsi512_si256(rows)));
                    to += __builtin_popcount(mine);
                }
                rows = _mm512_add_epi32(rows, _mm512_set1_epi32(lanes<T>));
            }
        }
        starts[buckets] = std::uint16_t(to);
        return;
    }
#else
    (void)beside;
#endif
    // Counting sort, four runs of rows side by side: a run need not wait for the counts of the others.
    const Index run = (n + 3) / 4;
    thread_local std::vector<std::int32_t> counts;
    counts.assign(4 * buckets, 0);
    std::int32_t* const at = counts.data();
    const auto row = [&](Index r, Index p) { return r * run + p; };
    for (Index p = 0; p < run; ++p)
        for (Index r = 0; r < 4; ++r)
            if (row(r, p) < n) ++at[bucket[row(r, p)] * 4 + r];
    std::int32_t total = 0;
    for (Index b = 0; b < buckets; ++b) {
        starts[b] = std::uint16_t(total);
        for (Index r = 0; r < 4; ++r) {
            const std::int32_t here = at[b * 4 + r];
            at[b * 4 + r] = total;
            total += here;
        }
    }
    starts[buckets] = std::uint16_t(total);
    for (Index p = 0; p < run; ++p)
        for (Index r = 0; r < 4; ++r)
            if (row(r, p) < n) {
                const Index to = at[bucket[row(r, p)] * 4 + r]++;
                order[to] = std::int32_t(row(r, p));
                sorted[to] = x[row(r, p)];
            }
}

// ---- weights: the k + 1 functions, or their derivatives, at sorted samples ----

// What to evaluate at sorted samples. A derivative of order d >= 1 has k shares s_r with Σ_r s_r (c_{r+1} - c_r) =
// Σ_r B_r c_r, one product less than the k + 1 functions. `both` is the functions and the shares of the first derivative.
enum class What { functions, shares, both };

inline int rows_of(What what, int k) { return what == What::functions ? k + 2 : what == What::shares ? k + 1 : 2 * k + 3; }

// Cox-de Boor (de Boor 1978, chapter X) at n samples of interval j: rows `ld` apart, differentiated `derivative` times.
// The functions come first, then a row left free for the base, then the shares. `Derivative` is the order if it is
// known, else -1.
template <class T, int K, int Derivative, What what>
void local(const Column<T>& c, Index j, int derivative, const T* x, Index n, T* out, Index ld) {
    using V = Vec<T>;
    if constexpr (Derivative >= 0) derivative = Derivative;
    // at(q) is knot j + q, over(p, q) is 1 / (knot j + q + p - knot j + q).
    const T *knots = c.knots + j, *over = c.reciprocals + j;
    Index stride = c.stride;
    T near[2 * K + 1], near_over[K * (2 * K + 1) + 1];
    if (j < K || j + K >= c.count) {  // beyond the ends a number serves functions that do not exist: any value will do
        for (int q = -K; q <= K; ++q) near[K + q] = c.knots[std::clamp<Index>(j + q, 0, c.count - 1)];
        for (int p = 1; p <= K; ++p)
            for (int q = -K; q <= K; ++q)
                near_over[(p - 1) * (2 * K + 1) + K + q] =
                    j + q >= 0 && j + q + p < c.count ? c.reciprocals[(p - 1) * c.stride + j + q] : T(0);
        knots = near + K;
        over = near_over + K;
        stride = 2 * K + 1;
    }
    T* const shares = what == What::both ? out + (K + 2) * ld : out;
    for (Index at = 0; at < n; at += lanes<T>) {
        const V v = load(x + at);
        V values[K + 1];
        values[0] = every(T(1));
#pragma GCC unroll 8
        for (int p = 1; p <= K; ++p) {
            V carried = {};
            const bool slope = p > K - derivative;
#pragma GCC unroll 8
            for (int r = 0; r < p; ++r) {
                const T width = over[(p - 1) * stride + 1 - p + r];
                const V share = p == 1 ? every(width) : values[r] * width;
                if (what != What::functions && p == K) store(shares + r * ld + at, share * T(K));
                if (what == What::shares && p == K) continue;
                if (slope) {
                    values[r] = carried - share * T(p);
                    carried = share * T(p);
                } else {
                    values[r] = carried + (knots[1 + r] - v) * share;
                    carried = (v - knots[1 - p + r]) * share;
                }
            }
            values[p] = carried;
        }
        if constexpr (what != What::shares)
#pragma GCC unroll 8
            for (int r = 0; r <= K; ++r) store(out + r * ld + at, values[r]);
    }
}

template <class T>
using Local = void (*)(const Column<T>&, Index, int, const T*, Index, T*, Index);

template <class T, int K = 0>
Local<T> local_for(int k, int derivative, What what) {
    if (k == K) {
        if (what == What::both) return local<T, K, 0, What::both>;
        if (what == What::shares) return derivative == 1 ? local<T, K, 1, What::shares> : local<T, K, -1, What::shares>;
        return derivative == 0 ? local<T, K, 0, What::functions> : local<T, K, -1, What::functions>;
    }
    if constexpr (K < highest_order) return local_for<T, K + 1>(k, derivative, what);
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

// s(z) and s(-z).
template <class T>
inline std::pair<Vec<T>, Vec<T>> logistic_pair(Vec<T> z) {
    const Vec<T> small = exponential<T>(z > T(0) ? -z : z), large = reciprocal<T>(T(1) + small), less = small * large;
    return {z > T(0) ? large : less, z > T(0) ? less : large};
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

// All weights of one block of one input: the k + 1 functions with the base's row behind them, the k shares with that of
// the base's derivative, or (`both`, derivative 0) the one after the other.
template <class T>
void weigh(const Layer<T>& layer, const Column<T>& c, int derivative, What what, const std::uint16_t* starts,
           const T* x, Index n, T* out, Index ld) {
    using V = Vec<T>;
    const int k = layer.k, rows = what == What::shares ? k : k + 1;
    const auto evaluate = local_for<T>(k, derivative, what);
    base_row(layer, c, derivative, x, n, out + rows * ld, what == What::both ? out + (2 * k + 2) * ld : nullptr);
    const Index buckets = buckets_of(c);
    const auto beside = [&](Index b, int order, bool shares, int many_rows, T* to) {  // outside the grid, and NaN
        const Index from = starts[b], end = starts[b + 1], j = interval_of(c, b);
        const bool nan = b == buckets - 1;
        if (nan || layer.fade || order > 1 || order > k) {
            for (Index at = from; at < end; at += lanes<T>)
                for (int r = 0; r < many_rows; ++r) store(to + r * ld + at, nan ? load(x + at) : V{});
            return;
        }
        // A straight line from the end of the grid on.
        alignas(vector_bytes) T place[lanes<T>], level[(highest_order + 1) * lanes<T>], rise[(highest_order + 1) * lanes<T>];
        const T edge = b == 0 ? c.low : c.high;
        std::fill_n(place, lanes<T>, edge);
        std::fill_n(rise, (highest_order + 1) * lanes<T>, T(0));
        local_for<T>(k, order, shares ? What::shares : What::functions)(c, j, order, place, 1, level, lanes<T>);
        if (order == 0 && k > 0) local_for<T>(k, 1, What::functions)(c, j, 1, place, 1, rise, lanes<T>);
        for (Index at = from; at < end; at += lanes<T>)
            for (int r = 0; r < many_rows; ++r)
                store(to + r * ld + at, order == 0 ? level[r * lanes<T>] + (load(x + at) - edge) * rise[r * lanes<T>]
                                                   : every(level[r * lanes<T>]));
    };
    for (Index b = 0; b < buckets; ++b) {
        const Index from = starts[b], many = starts[b + 1] - from;
        if (many == 0) continue;
        if (b == 0 || b >= buckets - 2) {
            beside(b, derivative, what == What::shares, rows, out);
            if (what == What::both) beside(b, 1, true, k, out + (k + 2) * ld);
        } else if (derivative > k) {
            for (Index at = from; at < from + many; at += lanes<T>)
                for (int r = 0; r < rows; ++r) store(out + r * ld + at, V{});
        } else {
            evaluate(c, interval_of(c, b), derivative, x + from, many, out + from, ld);
        }
    }
}

// ---- contractions: one input, one tile of outputs, all its samples in a block ----

// What a contraction walks over. `order` numbers rows of y (or of its gradient), each `vectors` vectors long.
template <class T>
struct Walk {
    const Column<T>* column;
    int k;
    Index functions, out, width;    // width: outputs of this tile
    const T *coefficients, *base;   // of this input, at the tile's first output
    const std::uint16_t* starts;
    const std::int32_t* order;
    const T* weights;
    Index ld;                       // from one row of weights to the next
};

// Where the R rows of coefficients lie that a bucket's samples meet. Rows that reach beyond the tile's width or do not
// exist are copied, with zeros in their place.
template <class T, int R, int V>
struct RowsAt {
    const T* row[R + 1];
    alignas(vector_bytes) T copy[(R + 1) * V * lanes<T>];

    inline void find(const Walk<T>& walk, Index bucket) {
        const Index start = interval_of(*walk.column, bucket) - walk.k;
        if (walk.width == V * lanes<T> && start >= 0 && start + R <= walk.functions) {
            for (int r = 0; r < R; ++r) row[r] = walk.coefficients + (start + r) * walk.out;
            return;
        }
        for (int r = 0; r < R; ++r) {
            const Index j = start + r;
            T* const to = copy + r * V * lanes<T>;
            for (int v = 0; v < V; ++v)
                store(to + v * lanes<T>, j >= 0 && j < walk.functions
                                             ? load_some(walk.coefficients + j * walk.out + v * lanes<T>, walk.width - v * lanes<T>)
                                             : Vec<T>{});
            row[r] = to;
        }
    }
};

template <class T, int V>
inline void load_base(const Walk<T>& walk, Vec<T>* to) {
    for (int v = 0; v < V; ++v) to[v] = load_some(walk.base + v * lanes<T>, walk.width - v * lanes<T>);
}

// y[order] += Σ_r weight_r row_r
template <class T, int R, int V>
void sum(const Walk<T>& walk, T* y) {
    const Index buckets = buckets_of(*walk.column), ld = walk.ld;
    const std::int32_t* const order = walk.order;
    RowsAt<T, R - 1, V> at_bucket;
    Vec<T> base[V];
    load_base<T, V>(walk, base);
    for (Index b = 0; b < buckets; ++b) {
        const Index from = walk.starts[b], to = walk.starts[b + 1];
        if (from == to) continue;
        at_bucket.find(walk, b);
        Vec<T> rows[R][V];
        for (int v = 0; v < V; ++v) {
            for (int r = 0; r < R - 1; ++r) rows[r][v] = load(at_bucket.row[r] + v * lanes<T>);
            rows[R - 1][v] = base[v];
        }
        const T* weights = walk.weights + from;
        for (Index p = from; p < to; ++p, ++weights) {
            T* const at = y + order[p] * Index(V * lanes<T>);
            Vec<T> total[V];
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) total[v] = load(at + v * lanes<T>);
#pragma GCC unroll 9
            for (int r = 0; r < R; ++r) {
                const Vec<T> weight = every(weights[r * ld]);
#pragma GCC unroll 4
                for (int v = 0; v < V; ++v) total[v] += weight * rows[r][v];
            }
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) store(at + v * lanes<T>, total[v]);
        }
    }
}

// x[p] += Σ_o Σ_r weight_r row_r[o] g[order][o], for sorted samples p (padded to whole vectors)
template <class T, int R, int V, bool Differences>
void pull(const Walk<T>& walk, const T* g, T* x) {
    constexpr Index group = lanes<T>;
    const Index buckets = buckets_of(*walk.column), ld = walk.ld, n = walk.starts[buckets];
    const std::int32_t* const order = walk.order;
    RowsAt<T, R - 1 + Differences, V> at_bucket;
    Vec<T> base[V];
    load_base<T, V>(walk, base);
    alignas(vector_bytes) T buffer[group * group] = {};  // a group's products, still to be summed over the lanes
    for (Index b = 0; b < buckets; ++b) {
        Index p = walk.starts[b];
        const Index to = walk.starts[b + 1];
        if (p == to) continue;
        at_bucket.find(walk, b);
        Vec<T> rows[R][V];
        for (int v = 0; v < V; ++v) {
            for (int r = 0; r < R - 1; ++r) {
                rows[r][v] = load(at_bucket.row[r] + v * lanes<T>);
                if constexpr (Differences) rows[r][v] = load(at_bucket.row[r + 1] + v * lanes<T>) - rows[r][v];
            }
            rows[R - 1][v] = base[v];
        }
        while (p < to) {
            const Index stop = std::min(to, (p / group + 1) * group);
            const T* weights = walk.weights + p;
            for (; p < stop; ++p, ++weights) {
                const T* const at = g + order[p] * Index(V * lanes<T>);
                Vec<T> gradient[V];
#pragma GCC unroll 4
                for (int v = 0; v < V; ++v) gradient[v] = load(at + v * lanes<T>);
                Vec<T> total;
#pragma GCC unroll 9
                for (int r = 0; r < R; ++r) {
                    Vec<T> dot = gradient[0] * rows[r][0];
#pragma GCC unroll 4
                    for (int v = 1; v < V; ++v) dot += gradient[v] * rows[r][v];
                    const Vec<T> weighted = dot * weights[r * ld];
                    total = r ? total + weighted : weighted;
                }
                store(buffer + p % group * lanes<T>, total);
            }
            if (stop % group == 0 || stop == n) {
                T* const done = x + (stop - 1) / group * group;
                store(done, load(done) + lane_sums<T>(buffer));
            }
        }
    }
}

// rows[j + r] += Σ weight_r g[order], over the blocks of a span: `walks`, whose gradients start at g[block].
// `gradient` has k rows of padding in front; the base's row is separate.
template <class T, int R, int V>
void collect(const Walk<T>* walks, const T* const* g, Index blocks, T* gradient, T* base) {
    const Column<T>& column = *walks->column;
    const Index buckets = buckets_of(column);
    Vec<T> base_total[V] = {};
    for (Index b = 0; b < buckets; ++b) {
        Vec<T> total[R][V] = {};
        for (int v = 0; v < V; ++v) total[R - 1][v] = base_total[v];
        for (Index block = 0; block < blocks; ++block) {
            const Walk<T>& walk = walks[block];
            const Index to = walk.starts[b + 1], ld = walk.ld;
            const T *weights = walk.weights + walk.starts[b], *const gradients = g[block];
            const std::int32_t* const order = walk.order;
            for (Index p = walk.starts[b]; p < to; ++p, ++weights) {
                const T* const at = gradients + order[p] * Index(V * lanes<T>);
                Vec<T> values[V];
#pragma GCC unroll 4
                for (int v = 0; v < V; ++v) values[v] = load(at + v * lanes<T>);
#pragma GCC unroll 9
                for (int r = 0; r < R; ++r) {
                    const Vec<T> weight = every(weights[r * ld]);
#pragma GCC unroll 4
                    for (int v = 0; v < V; ++v) total[r][v] += weight * values[v];
                }
            }
        }
        T* const rows = gradient + interval_of(column, b) * Index(V * lanes<T>);  // -k rows for the first, +k of padding
        for (int r = 0; r < R - 1; ++r)
            for (int v = 0; v < V; ++v) {
                T* const at = rows + (r * V + v) * lanes<T>;
                store(at, load(at) + total[r][v]);
            }
        for (int v = 0; v < V; ++v) base_total[v] = total[R - 1][v];
    }
    for (int v = 0; v < V; ++v) store(base + v * lanes<T>, load(base + v * lanes<T>) + base_total[v]);
}
