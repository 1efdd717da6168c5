// Whole calls: the contractions of layer.hpp over all samples, inputs and tiles of outputs. Included like layer.hpp.

// Memory that a thread keeps from call to call, handed out piece by piece.
class Scratch {
    std::vector<std::unique_ptr<char, void (*)(void*)>> pieces;
    std::vector<Index> sizes;
    std::size_t next = 0;

  public:
    void restart() { next = 0; }
    template <class T>
    T* take(Index n) {
        const Index bytes = round_up(n * Index(sizeof(T)) + 2 * vector_bytes, 4096);
        if (next == pieces.size()) {
            pieces.emplace_back(nullptr, std::free);
            sizes.push_back(0);
        }
        if (sizes[next] < bytes) {
            sizes[next] = 0;  // until there is memory
            pieces[next].reset();
            pieces[next].reset(static_cast<char*>(std::aligned_alloc(4096, std::size_t(bytes))));
            if (!pieces[next]) throw std::bad_alloc();
            sizes[next] = bytes;
        }
        return reinterpret_cast<T*>(pieces[next++].get());
    }
};

// One a thread for the work that `run_together` shares out, and one for what is made before.
template <int purpose = 0>
Scratch& scratch() {
    thread_local Scratch mine;
    mine.restart();
    return mine;
}

// Tiles of outputs: `vectors` each, the last ones narrower.
struct Tile {
    Index first, width;
    int vectors;

    Index samples() const { return tile_bytes / (vectors * vector_bytes); }  // whose outputs stay in L1 cache
};

struct Tiles {
    std::vector<Tile> tiles;
    Index row = 0;  // padded outputs

    Tiles(Index out, Index vector) {
        for (Index first = 0; first < out;) {
            const Index left = out - first;
            int vectors = left >= widest * vector ? widest : widest / 2;
            while (vectors > 1 && left <= vectors / 2 * vector) vectors /= 2;
            tiles.push_back({first, std::min(left, vectors * vector), vectors});
            first += vectors * vector;
            row += vectors * vector;
        }
    }
};

template <class T>
using Sum = void (*)(const Walk<T>&, T*);
template <class T>
using Pull = void (*)(const Walk<T>&, const T*, T*);
template <class T>
using Collect = void (*)(const Sorted<T>&, const T*, Index, const Collected<T>&);

// The kernels for a number of rows (the base's among them) and of vectors.
template <class T>
struct Contractions {
    Sum<T> sum;
    Pull<T> pull;
    Collect<T> collect;
};

template <class T, int R = 1>
Contractions<T> contractions(int rows, int vectors) {
    if (rows == R) {
        if (vectors == 8) return {sum<T, R, 8>, pull<T, R, 8>, collect<T, R, collected>};
        if (vectors == 4) return {sum<T, R, 4>, pull<T, R, 4>, collect<T, R, collected>};
        if (vectors == 2) return {sum<T, R, 2>, pull<T, R, 2>, collect<T, R, 2>};
        return {sum<T, R, 1>, pull<T, R, 1>, collect<T, R, 1>};
    }
    if constexpr (R < highest_order + 2) return contractions<T, R + 1>(rows, vectors);
    return {};
}

// to[c][r] = from[r][c]; rows of `from` lie `stride` apart, those of `to` `ld`.
template <class T>
void transpose(const T* from, Index rows, Index columns, Index stride, T* to, Index ld) {
    constexpr Index n = lanes<T>;
    for (Index r = 0; r < rows; r += n)
        for (Index c = 0; c < columns; c += n) {
            const T* const square = from + r * stride + c;
            if (rows - r >= n && columns - c >= n) transpose_square<true>(square, stride, to + c * ld + r, ld);
            else transpose_square<false>(square, stride, to + c * ld + r, ld, std::min(n, rows - r), std::min(n, columns - c));
        }
}

// Rows of one tile from where they lie `out` apart to where they are packed, zeros behind them, and back.
template <class T>
void pack(const T* from, Index n, Index out, const Tile& tile, T* to) {
    for (Index p = 0; p < n; ++p)
        for (int v = 0; v < tile.vectors; ++v, to += lanes<T>)
            store(to, load_some(from + p * out + tile.first + v * lanes<T>, tile.width - v * lanes<T>));
}

template <class T>
void unpack(const T* from, Index n, Index out, const Tile& tile, T* to) {
    for (Index p = 0; p < n; ++p)
        for (int v = 0; v < tile.vectors; ++v, from += lanes<T>)
            store_some(to + p * out + tile.first + v * lanes<T>, load(from), tile.width - v * lanes<T>);
}

// rows[r][p] *= scale[p], whose numbers lie `in` apart
template <class T>
void multiply_weights(T* weights, Index rows, Index ld, Index n, const T* scale, Index in) {
    for (Index p = 0; p < n; ++p) {
        const T factor = scale[p * in];
        for (Index r = 0; r < rows; ++r) weights[r * ld + p] *= factor;
    }
}

// Knots of some inputs, made ready.
template <class T>
std::vector<Column<T>> make_columns(Scratch& memory, const Layer<T>& layer, Index first, Index last) {
    const Index size = (layer.k + 1) * table_stride(layer);
    T* const tables = memory.take<T>((last - first) * size);
    std::vector<Column<T>> columns;
    columns.reserve(std::size_t(last - first));
    for (Index i = first; i < last; ++i) columns.push_back(make_column(layer, i, tables + (i - first) * size));
    return columns;
}

// Some inputs that are taken together, so that a tile of outputs is fetched once for all of them: as many as keep their
// rows in L2 cache.
template <class T>
Index chunk_of(const Layer<T>& layer) {
    return std::clamp<Index>((Index(1) << 18) / ((intervals_of(layer) + layer.k) * layer.out * Index(sizeof(T))), 4, 16);
}

// The rows of coefficients of some inputs, tile by tile and as long as the tile, with those of their bases behind them.
// Functions that do not exist are zero.
template <class T>
class Rows {
    const Layer<T>& layer;
    const Tiles& tiles;
    const Index rows;
    T *const packed, *const bases;
    const T *first = nullptr, *first_base = nullptr;
    Index inputs = 0;

  public:
    Rows(Scratch& memory, const Layer<T>& layer, const Tiles& tiles, Index most)
        : layer(layer), tiles(tiles), rows(intervals_of(layer) + layer.k), packed(memory.take<T>(most * rows * tiles.row)),
          bases(memory.take<T>(most * tiles.row)) {}

    // With `differences` each row is the next one less the row itself.
    void fetch(Index input, Index many, bool differences) {
        const Index functions = layer.grid + layer.k, before = layer.fade ? layer.k : 0;
        const T* const from = layer.coefficients + input * functions * layer.out;
        const T* const from_base = layer.base_weights + input * layer.out;
        inputs = many;
        if (!differences && !layer.fade && layer.out == tiles.row && tiles.tiles.size() == 1) {
            first = from, first_base = from_base;
            return;
        }
        first = packed, first_base = bases;
        for (Index c = 0; c < many; ++c)
            for (Index r = 0; r <= rows; ++r) {
                const Index j = r - before;
                const bool there = j >= 0 && j < functions, next_there = differences && j + 1 >= 0 && j + 1 < functions;
                const T* const row = r == rows ? from_base + c * layer.out : from + (c * functions + j) * layer.out;
                for (const Tile& tile : tiles.tiles) {
                    const Index width = tile.vectors * lanes<T>;
                    T* const to = r == rows ? bases + tile.first * many + c * width : packed + tile.first * many * rows + (c * rows + r) * width;
                    for (int v = 0; v < tile.vectors; ++v) {
                        const Index at = tile.first + v * lanes<T>, left = layer.out - at;
                        Vec<T> value = r == rows || there ? load_some(row + at, left) : Vec<T>{};
                        if (differences && r < rows) value = (next_there ? load_some(row + layer.out + at, left) : Vec<T>{}) - value;
                        store(to + v * lanes<T>, value);
                    }
                }
            }
    }
    const T* of(const Tile& tile, Index c) const { return first + (tile.first * inputs + c * tile.vectors * lanes<T>) * rows; }
    const T* base_of(const Tile& tile, Index c) const { return first_base + tile.first * inputs + c * tile.vectors * lanes<T>; }
};

// Adds the sums over some inputs, of some samples, to y.
template <class T>
void forward_part(const Layer<T>& layer, const Plan<T>& plan, const T* x, const T* scale, int derivative, Index first_sample,
                  Index last_sample, Index first_input, Index last_input, T* y) {
    Scratch& memory = scratch();
    const Tiles tiles(layer.out, lanes<T>);
    const Index together = std::min(span<T>, round_up(plan.batch, 16)), chunk = chunk_of(layer), ld = together + Plan<T>::beyond;
    const What what = plan.kept ? What::both : What::functions;
    const bool direct = tiles.tiles.size() == 1 && tiles.row == layer.out;
    T* const outputs = direct ? nullptr : memory.take<T>(together * tiles.row);
    T* const samples = plan.samples ? nullptr : memory.take<T>(chunk * ld);
    std::uint16_t* const intervals = plan.samples ? nullptr : memory.take<std::uint16_t>(chunk * ld);
    T* const weights = plan.kept ? nullptr : memory.take<T>(chunk * rows_of(what, layer.k) * ld);
    Rows<T> rows(memory, layer, tiles, chunk);
    const std::vector<Column<T>> columns = make_columns(memory, layer, first_input, last_input);
    for (Index start = first_sample; start < last_sample; start += together) {
        const Index n = std::min(together, last_sample - start);
        T* const sums = direct ? y + start * layer.out : outputs;
        std::fill_n(sums, n * tiles.row, T(0));
        for (Index input = first_input; input < last_input; input += chunk) {
            const Index many = std::min(chunk, last_input - input);
            T* const mine = plan.samples ? plan.samples + plan.at(input) + start : samples;
            std::uint16_t* const places = plan.samples ? plan.intervals + plan.at(input) + start : intervals;
            T* const weighted = plan.kept ? plan.kept + plan.at(input) * rows_of(what, layer.k) + start : weights;
            const Index apart = plan.samples ? plan.row : ld, weights_ld = plan.kept ? plan.row : ld;
            if (x) transpose(x + start * layer.in + input, n, many, layer.in, mine, apart);
            for (Index c = 0; c < many; ++c) {
                const Column<T>& column = columns[input - first_input + c];
                T* const to = weighted + c * rows_of(what, layer.k) * weights_ld;
                if (x) {
                    std::fill(mine + c * apart + n, mine + c * apart + round_up(n, lanes<T>), T(0));  // what lay there may be slow to reckon with
                    find_intervals(column, mine + c * apart, n, places + c * apart);
                }
                weigh(layer, column, derivative, what, places + c * apart, mine + c * apart, n, to, weights_ld);
                if (scale) multiply_weights(to, layer.k + 2, weights_ld, n, scale + start * layer.in + input + c, layer.in);
            }
            rows.fetch(input, many, false);
            for (const Tile& tile : tiles.tiles) {
                const Index width = tile.vectors * lanes<T>;
                const Sum<T> add_up = contractions<T>(layer.k + 2, tile.vectors).sum;
                for (Index p = 0; p < n; p += tile.samples())
                    for (Index c = 0; c < many; ++c)
                        add_up({rows.of(tile, c), rows.base_of(tile, c), places + c * apart + p, weighted + c * rows_of(what, layer.k) * weights_ld + p,
                                weights_ld, std::min(tile.samples(), n - p)},
                               sums + n * tile.first + p * width);
            }
        }
        if (direct) continue;
        for (const Tile& tile : tiles.tiles) unpack(sums + n * tile.first, n, layer.out, tile, y + start * layer.out);
    }
}

constexpr Index few_samples = 96;         // the fewest that are worth a piece of work of their own
constexpr Index pieces_each = 4;          // a thread's share of the work, cut into so many that threads may differ in speed
constexpr Index worth_sharing = 1 << 18;  // products of a sample with an edge from which a second thread helps

template <class T>
void forward(const Layer<T>& layer, const Plan<T>& plan, const T* x, const T* scale, int derivative, T* y, int threads) {
    const Index parts = plan.batch * layer.in * layer.out < worth_sharing ? 1 : threads, batch = plan.batch;
    if (parts <= 1 || (batch < parts * few_samples && layer.in < parts))
        return forward_part(layer, plan, x, scale, derivative, 0, batch, 0, layer.in, y);
    if (batch >= parts * few_samples) {
        // Every piece fetches all rows of coefficients: no more of these than samples pay for.
        const Index pieces = std::clamp(batch / std::max(few_samples, 4 * (intervals_of(layer) + layer.k)), parts, pieces_each * parts);
        return run_together(int(parts), int(pieces), [&](int n) {
            const auto from = [&](Index piece) { return piece == pieces ? batch : batch * piece / pieces / 16 * 16; };
            forward_part(layer, plan, x, scale, derivative, from(n), from(n + 1), 0, layer.in, y);
        });
    }
    // Few samples: each thread takes some of the inputs and sums into memory of its own.
    const Index size = batch * layer.out;
    T* const sums = scratch<1>().template take<T>((parts - 1) * size);
    run_together(int(parts), int(parts), [&](int n) {
        forward_part(layer, plan, x, scale, derivative, 0, batch, layer.in * n / parts, layer.in * (n + 1) / parts,
                     n ? sums + (n - 1) * size : y);
    });
    for (Index n = 0; n < parts - 1; ++n)
        for (Index p = 0; p < size; ++p) y[p] += sums[n * size + p];
}

// Gradients that belong to some inputs; `gradient` is packed tile by tile, [tile][batch][row].
template <class T>
void backward_part(const Layer<T>& layer, const Plan<T>& plan, const T* scale, int derivative, const T* gradient,
                   const Tiles& tiles, const Gradients<T>& to, Index first_input, Index last_input) {
    Scratch& memory = scratch();
    const int k = layer.k;
    const Index functions = layer.grid + k, used = intervals_of(layer);
    const Index together = std::min(span<T>, round_up(plan.batch, 16)), chunk = chunk_of(layer), ld = together + Plan<T>::beyond;
    const bool by_parameters = to.by_coefficients || to.by_base;
    const bool plain = to.by_scale || by_parameters, kept = plan.kept && !scale;
    const What what = kept || (plain && to.by_x && derivative == 0) ? What::both : plain ? What::functions : What::shares;
    const bool twice = plain && to.by_x && what != What::both;  // functions and shares apart
    const Index count = twice ? 2 * k + 3 : rows_of(what, k), weights_ld = kept ? plan.row : ld;
    const Index shares_at = plain || what == What::both ? (k + 2) * weights_ld : 0;
    T* const weights = kept ? nullptr : memory.take<T>(chunk * count * ld);
    T* const pulled = memory.take<T>(chunk * ld);
    std::int32_t* const order = memory.take<std::int32_t>(ld);
    std::uint16_t* const starts = memory.take<std::uint16_t>(used + 1);
    Rows<T> rows(memory, layer, tiles, chunk);
    const std::vector<Column<T>> columns = make_columns(memory, layer, first_input, last_input);
    for (Index input = first_input; input < last_input; input += chunk)
        for (Index start = 0; start < plan.batch; start += together) {
            const Index many = std::min(chunk, last_input - input), n = std::min(together, plan.batch - start);
            const std::uint16_t* const intervals = plan.intervals + plan.at(input) + start;
            T* const weighted = kept ? plan.kept + plan.at(input) * count + start : weights;
            const auto weights_of = [&](Index c) { return weighted + c * count * weights_ld; };
            const auto gradient_of = [&](const Tile& tile) {
                return gradient + plan.batch * tile.first + start * tile.vectors * lanes<T>;
            };
            if (!kept)
                for (Index c = 0; c < many; ++c) {
                    const Column<T>& column = columns[input - first_input + c];
                    const T* const samples = plan.samples + plan.at(input + c) + start;
                    const std::uint16_t* const places = intervals + c * plan.row;
                    weigh(layer, column, derivative + (what == What::shares), what, places, samples, n, weights_of(c), ld);
                    if (twice) weigh(layer, column, derivative + 1, What::shares, places, samples, n, weights_of(c) + shares_at, ld);
                }
            const auto pull_back = [&](int rows_met, bool differences, Index weights_at, T* to_rows) {
                std::fill_n(pulled, many * ld, T(0));
                rows.fetch(input, many, differences);
                for (const Tile& tile : tiles.tiles) {
                    const Pull<T> add_up = contractions<T>(rows_met, tile.vectors).pull;
                    for (Index p = 0; p < n; p += tile.samples())
                        for (Index c = 0; c < many; ++c)
                            add_up({rows.of(tile, c), rows.base_of(tile, c), intervals + c * plan.row + p, weights_of(c) + weights_at + p, weights_ld,
                                    std::min(tile.samples(), n - p)},
                                   gradient_of(tile) + p * tile.vectors * lanes<T>, pulled + c * ld + p);
                }
                transpose(pulled, many, n, ld, to_rows + start * layer.in + input, layer.in);
            };
            if (to.by_scale) pull_back(k + 2, false, 0, to.by_scale);
            if (to.by_x) pull_back(k + 1, true, shares_at, to.by_x);
            if (!by_parameters) continue;
            for (Index c = 0; c < many; ++c) {
                const Index i = input + c;
                if (scale) multiply_weights(weights_of(c), k + 2, ld, n, scale + start * layer.in + i, layer.in);
                sort_rows(intervals + c * plan.row, n, used, order, starts);
                const Sorted<T> sorted{order, starts, used, weights_of(c), weights_ld};
                for (const Tile& tile : tiles.tiles)
                    for (int v = 0; v < tile.vectors; v += collected) {
                        const Index o = tile.first + v * lanes<T>;
                        contractions<T>(k + 2, tile.vectors)
                            .collect(sorted, gradient_of(tile) + v * lanes<T>, tile.vectors * lanes<T>,
                                     {to.by_coefficients ? to.by_coefficients + i * functions * layer.out + o : nullptr,
                                      to.by_base ? to.by_base + i * layer.out + o : nullptr, layer.fade ? -k : 0, functions, layer.out,
                                      layer.out - o, start > 0});
                    }
            }
        }
}

template <class T>
void backward(const Layer<T>& layer, const Plan<T>& plan, const T* scale, int derivative, const T* gradient,
              Gradients<T> to, int threads) {
    const Tiles tiles(layer.out, lanes<T>);
    if (tiles.tiles.size() != 1 || tiles.row != layer.out) {
        T* const packed = scratch<1>().template take<T>(plan.batch * tiles.row);
        for (const Tile& tile : tiles.tiles) pack(gradient, plan.batch, layer.out, tile, packed + plan.batch * tile.first);
        gradient = packed;
    }
    // Results belong to one input each: how inputs are shared out does not change them.
    const bool shared = threads > 1 && plan.batch * layer.in * layer.out >= worth_sharing;
    const Index pieces = shared ? std::clamp<Index>(layer.in / chunk_of(layer), std::min<Index>(threads, layer.in), pieces_each * threads) : 1;
    run_together(shared ? threads : 1, int(pieces), [&](int n) {
        backward_part(layer, plan, scale, derivative, gradient, tiles, to, layer.in * n / pieces, layer.in * (n + 1) / pieces);
    });
}

template <class T>
double peak() {
    using V = Vec<T>;
    constexpr int many = vector_bytes == 64 ? 24 : 12;
    V sums[many];
    for (int n = 0; n < many; ++n) sums[n] = every(T(n));
    const volatile T given[] = {T(0.5), T(0.25)};  // unknown to the compiler
    const V factor = every(T(given[0])), term = every(T(given[1]));
    constexpr int rounds = 1 << 16;
    const auto began = std::chrono::steady_clock::now();
    for (int round = 0; round < rounds; ++round)
#pragma GCC unroll 24
        for (int n = 0; n < many; ++n) sums[n] = sums[n] * factor + term;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    V total = {};
    for (int n = 0; n < many; ++n) total += sums[n];
    volatile T kept = total[0];
    (void)kept;
    return 2.0 * rounds * many * lanes<T> / took.count() / 1e9;
}
