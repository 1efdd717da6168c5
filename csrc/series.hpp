// Sums of several derivatives of a layer's curves at the same samples, as Taylor series need them: samples are sorted and
// functions evaluated once for all of them. For few outputs; one thread. Included like layer.hpp.

constexpr Index series_block = 512;  // samples taken together
constexpr Index series_tile = 4;     // outputs taken together

// One input's samples of a block, interval by interval, with the weights of all orders: [orders][k + 2][ld].
template <class T>
struct Grouped {
    const Layer<T>& layer;
    const Column<T>* column = nullptr;
    Index i = 0, n = 0, ld = series_block + Plan<T>::beyond, rows;
    int orders;
    T *given, *samples, *weights;
    std::uint16_t *found, *intervals;
    std::int32_t* order;
    std::vector<std::uint16_t> starts;

    Grouped(Scratch& memory, const Layer<T>& layer, int orders)
        : layer(layer), rows(layer.k + 2), orders(orders), given(memory.take<T>(ld)), samples(memory.take<T>(ld)),
          weights(memory.take<T>(orders * rows * ld)), found(memory.take<std::uint16_t>(ld)),
          intervals(memory.take<std::uint16_t>(ld)), order(memory.take<std::int32_t>(ld)), starts(intervals_of(layer) + 1) {}

    // Takes `many` samples of an input, `layer.in` apart.
    void fill(const Column<T>& of, Index input, const T* x, Index many) {
        column = &of, i = input, n = many;
        for (Index p = 0; p < n; ++p) given[p] = x[p * layer.in];
        std::fill(given + n, given + round_up(n, lanes<T>), T(0));
        find_intervals(of, given, n, found);
        sort_rows(found, n, of.intervals, order, starts.data());
        for (Index p = 0; p < n; ++p) samples[p] = given[order[p]], intervals[p] = found[order[p]];
        std::fill(samples + n, samples + ld, T(0));
        std::fill(intervals + n, intervals + ld, std::uint16_t(0));
        for (int m = 0; m < orders; ++m)  // a vector more than there are: `curves` reads some of it
            weigh(layer, of, m, What::functions, intervals, samples, round_up(n, lanes<T>) + lanes<T>, weights + m * rows * ld, ld);
    }

    // The m-th derivatives of the curves to outputs `first` on, [outputs][ld].
    void curves(int m, Index first, Index outputs, T* values) const {
        const Index functions = layer.grid + layer.k, count = column->intervals;
        const T *const coefficients = layer.coefficients + i * functions * layer.out, *const from = weights + m * rows * ld;
        for (Index b = 0; b < count; ++b) {
            if (starts[b] == starts[b + 1]) continue;
            const Index start = column->first + b - layer.k;
            for (Index o = 0; o < outputs; ++o) {
                T factors[highest_order + 2];
                for (Index r = 0; r < rows - 1; ++r)
                    factors[r] = start + r >= 0 && start + r < functions ? coefficients[(start + r) * layer.out + first + o] : T(0);
                factors[rows - 1] = layer.base_weights[i * layer.out + first + o];
                for (Index at = starts[b]; at < starts[b + 1]; at += lanes<T>) {  // what lies beyond is written by the next bucket
                    Vec<T> total = load(from + at) * factors[0];
                    for (Index r = 1; r < rows; ++r) total += load(from + r * ld + at) * factors[r];
                    store(values + o * ld + at, total);
                }
            }
        }
    }

    // Adds Σ_m Σ_p weight_m[p] by[m][p], row by row of the weights, to the gradients by coefficients and base of an output.
    void collect(const T* by, Index apart, int used, Index o, T* by_coefficients, T* by_base) const {
        const Index functions = layer.grid + layer.k, count = column->intervals;
        for (Index b = 0; b < count; ++b) {
            if (starts[b] == starts[b + 1]) continue;
            const Index start = column->first + b - layer.k;
            for (Index r = 0; r < rows; ++r) {
                Vec<T> total = {};
                for (int m = 0; m < used; ++m)
                    for (Index at = starts[b]; at < starts[b + 1]; at += lanes<T>) {
                        const Index left = starts[b + 1] - at;
                        total += load_some(weights + (m * rows + r) * ld + at, left) * load_some(by + m * apart + at, left);
                    }
                T sum = 0;
                for (int w = 0; w < lanes<T>; ++w) sum += total[w];
                if (r == rows - 1) by_base[i * layer.out + o] += sum;
                else if (start + r >= 0 && start + r < functions) by_coefficients[(i * functions + start + r) * layer.out + o] += sum;
            }
        }
    }
};

template <class T>
void series(const Layer<T>& layer, Index batch, const T* x, const Series<T>& wanted, T* y) {
    Scratch& memory = scratch();
    const int orders = wanted.highest() + 1;
    Grouped<T> sorted(memory, layer, orders);
    const Index ld = sorted.ld;
    T* const values = memory.take<T>(orders * series_tile * ld);
    const std::vector<Column<T>> columns = make_columns(memory, layer, 0, layer.in);
    std::fill_n(y, wanted.count * batch * layer.out, T(0));
    for (Index start = 0; start < batch; start += series_block)
        for (Index i = 0; i < layer.in; ++i) {
            sorted.fill(columns[i], i, x + start * layer.in + i, std::min(series_block, batch - start));
            for (Index first = 0; first < layer.out; first += series_tile) {
                const Index outputs = std::min(series_tile, layer.out - first);
                for (int m = 0; m < orders; ++m) sorted.curves(m, first, outputs, values + m * series_tile * ld);
                for (Index q = 0; q < wanted.count; ++q) {
                    const T* const scale = q ? wanted.scales + ((q - 1) * batch + start) * layer.in + i : nullptr;
                    const T* const from = values + wanted.derivatives[q] * series_tile * ld;
                    T* const to = y + (q * batch + start) * layer.out + first;
                    for (Index p = 0; p < sorted.n; ++p) {
                        const Index row = sorted.order[p];
                        const T factor = scale ? scale[row * layer.in] : T(1);
                        for (Index o = 0; o < outputs; ++o) to[row * layer.out + o] += factor * from[o * ld + p];
                    }
                }
            }
        }
}

template <class T>
void series_backward(const Layer<T>& layer, Index batch, const T* x, const Series<T>& wanted, const T* gradient, T* by_x, T* by_scales,
                     T* by_coefficients, T* by_base) {
    Scratch& memory = scratch();
    const int used = wanted.highest() + 1, orders = used + (by_x != nullptr);
    Grouped<T> sorted(memory, layer, orders);
    const Index ld = sorted.ld, count = wanted.count, functions = layer.grid + layer.k;
    T* const values = memory.take<T>(orders * series_tile * ld);   // [order][output][ld], as are the next but for what they belong to
    T* const gathered = memory.take<T>(count * series_tile * ld);  // gradients of every sum
    T* const together = memory.take<T>(used * series_tile * ld);   // scaled gradients of every order
    T* const scales = memory.take<T>(count * ld);
    T* const of_x = memory.take<T>(ld);
    T* const of_scales = memory.take<T>(count * ld);
    const std::vector<Column<T>> columns = make_columns(memory, layer, 0, layer.in);
    if (by_coefficients) {
        std::fill_n(by_coefficients, layer.in * functions * layer.out, T(0));
        std::fill_n(by_base, layer.in * layer.out, T(0));
    }
    for (Index start = 0; start < batch; start += series_block)
        for (Index i = 0; i < layer.in; ++i) {
            sorted.fill(columns[i], i, x + start * layer.in + i, std::min(series_block, batch - start));
            const Index n = sorted.n, whole = round_up(n, lanes<T>);
            std::fill_n(scales, count * ld, T(0));
            std::fill_n(gathered, count * series_tile * ld, T(0));
            std::fill_n(of_x, ld, T(0));
            std::fill_n(of_scales, count * ld, T(0));
            std::fill_n(scales, n, T(1));
            for (Index q = 1; q < count; ++q)
                for (Index p = 0; p < n; ++p) scales[q * ld + p] = wanted.scales[((q - 1) * batch + start + sorted.order[p]) * layer.in + i];
            for (Index first = 0; first < layer.out; first += series_tile) {
                const Index outputs = std::min(series_tile, layer.out - first);
                if (by_x || by_scales)
                    for (int m = 0; m < orders; ++m) sorted.curves(m, first, outputs, values + m * series_tile * ld);
                std::fill_n(together, used * series_tile * ld, T(0));
                for (Index q = 0; q < count; ++q) {
                    const int m = wanted.derivatives[q];
                    for (Index o = 0; o < outputs; ++o) {
                        T *const g = gathered + (q * series_tile + o) * ld, *const sum = together + (m * series_tile + o) * ld;
                        const T* const from = gradient + (q * batch + start) * layer.out + first + o;
                        const T *const curve = values + (m * series_tile + o) * ld, *const slope = curve + series_tile * ld;
                        for (Index p = 0; p < n; ++p) g[p] = from[sorted.order[p] * layer.out];
                        for (Index at = 0; at < whole; at += lanes<T>) {
                            const Vec<T> here = load(g + at), scaled = here * load(scales + q * ld + at);
                            store(sum + at, load(sum + at) + scaled);
                            if (by_scales) store(of_scales + q * ld + at, load(of_scales + q * ld + at) + here * load(curve + at));
                            if (by_x) store(of_x + at, load(of_x + at) + scaled * load(slope + at));
                        }
                    }
                }
                if (by_coefficients)
                    for (Index o = 0; o < outputs; ++o)
                        sorted.collect(together + o * ld, series_tile * ld, used, first + o, by_coefficients, by_base);
            }
            for (Index p = 0; p < n; ++p) {
                const Index row = start + sorted.order[p];
                if (by_x) by_x[row * layer.in + i] = of_x[p];
                if (by_scales)
                    for (Index q = 1; q < count; ++q) by_scales[((q - 1) * batch + row) * layer.in + i] = of_scales[q * ld + p];
            }
        }
}
